"""Traces of a saga by the SDK's own OpenTelemetry support: one line in the client's options."""

from __future__ import annotations

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from temporal import a_new_trip, run
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.testing import TimeSkipper

from travel.booking import result_of, start_trip
from travel.store.database import Database
from travel.temporal.connection import connect
from travel.worker import running_worker


def test_one_trace_has_the_trip_its_steps_and_its_compensations(
    temporal_address: str, sqlite_database: Database
) -> None:
    """With a Worker that forgets the Workflow after each task: a replay adds no span."""
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracing = TracingInterceptor(provider.get_tracer("travel"))
    trip = a_new_trip(car_type="limousine")

    async def test() -> None:
        client = TimeSkipper(await connect(temporal_address, interceptors=[tracing])).client
        options = {"queue": "traces", "max_cached_workflows": 0}
        async with running_worker(client, sqlite_database, **options):
            handle = await start_trip(client, trip, queue="traces")
            assert not (await result_of(handle, trip, sqlite_database)).booked

    run(test())
    found = sorted(spans.get_finished_spans(), key=lambda span: span.start_time or 0)
    assert len({span.context.trace_id for span in found}) == 1
    steps = ["store_booking_request", "book_flight", "book_hotel", "book_car"]
    undos = ["cancel_hotel", "cancel_flight"]
    assert _named(found, "RunActivity:") == [*steps, *undos]
    assert _named(found, "StartWorkflow:") == _named(found, "RunWorkflow:") == ["BookTrip"]
    refused = next(span for span in found if span.name == "RunActivity:book_car")
    assert refused.status.status_code is StatusCode.ERROR
    told = {str(value) for span in found for value in (span.attributes or {}).values()}
    assert trip.workflow_id in told  # by which the Web UI finds it


def _named(spans: list[ReadableSpan], prefix: str) -> list[str]:
    return [span.name.removeprefix(prefix) for span in spans if span.name.startswith(prefix)]
