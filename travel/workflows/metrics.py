"""What a saga tells whoever watches from outside: numbers for Prometheus.

======================================  =========  ==========================================
``travel_sagas_compensating``           counter    sagas that began to undo
``travel_saga_undoing_seconds``         histogram  how long one took until all was undone;
                                                   its count is the sagas that are done
``travel_undo_stuck_seconds``           histogram  how long an undo has been stuck so far, noted
                                                   at every turn; label ``undo``
``travel_undos_refused``                counter    undos that a provider definitely refused: from
                                                   then on the trip waits for a person; label
                                                   ``undo``
``travel_undo_attempts_failed``         counter    attempts of an undo that failed, counted by
                                                   the Worker (``travel.temporal.metrics``)
======================================  =========  ==========================================

Prometheus adds ``_total`` to a counter. ``travel/alerts.yml`` has the alerts.

All of them only grow, so those of many Workers can be added up, and a restart (from 0 again)
is something that Prometheus knows. A gauge "undos stuck now" would be a number in one
Worker's memory: wrong after an eviction, and lost with the process.

**Why not an alert on the attempt number?** "Attempt > 10" is what most people write first,
and here it may never fire: an undo's turn is an Activity of its own, its attempts are
counted from 1 in each turn, and a turn ends before the tenth. How long an undo has been
stuck is known to the saga alone. So the saga says it.

``workflow.metric_meter()`` is silent while a Workflow replays: a trip that moves to another
Worker is not counted twice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from temporalio import workflow

from travel.saga import Waiting


class SagaMetrics:
    """Follows one saga; call ``changed`` whenever it moves on or gets stuck."""

    def __init__(self) -> None:
        self._began: datetime | None = None
        self._done = False
        self._refused: set[str] = set()

    def changed(
        self, *, compensating: bool, to_undo: Collection[str], waiting: Sequence[Waiting]
    ) -> None:
        """``to_undo`` are names of undos, ``waiting`` the stuck ones, as ``Saga`` has them."""
        if not compensating or self._done:
            return
        now, meter = workflow.now(), workflow.metric_meter()
        refused = {stuck.name for stuck in waiting if stuck.refused}
        if self._began is None:
            # A run that takes over from one with a full history goes on with the same saga.
            self._began = min([now, *(stuck.since for stuck in waiting)])
            if workflow.info().continued_run_id is None:
                meter.create_counter("travel_sagas_compensating").add(1)
            else:
                self._refused = refused
        for undo in sorted(refused - self._refused):
            meter.create_counter("travel_undos_refused").add(1, {"undo": undo})
        self._refused = refused
        for stuck in waiting:
            histogram = meter.create_histogram_timedelta("travel_undo_stuck", unit="duration")
            histogram.record(now - stuck.since, {"undo": stuck.name})
        if not to_undo:
            self._done = True
            histogram = meter.create_histogram_timedelta("travel_saga_undoing", unit="duration")
            histogram.record(now - self._began)
