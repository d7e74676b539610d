"""Namespaces that are new: made, and waited for until every part of the server knows them.

A server notes a namespace in its database first. Its frontend, its history and its matching
service each look there for themselves, and each remembers for a while that there was nothing:
one call may succeed and the next one say ``Namespace default is not found``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    DescribeWorkflowExecutionRequest,
    RegisterNamespaceRequest,
)
from temporalio.client import Client, Interceptor, OutboundInterceptor
from temporalio.service import RPCError, RPCStatusCode

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.05
RETENTION_SECONDS = 3 * 24 * 3600

NOBODY = "nobody"
"""Workflow and Task Queue that are asked for to see whether their namespace is known."""

CALLS = (
    "start_workflow",
    "describe_workflow",
    "count_workflows",
    "query_workflow",
    "signal_workflow",
    "start_workflow_update",
    "cancel_workflow",
    "terminate_workflow",
    "create_schedule",
)

T = TypeVar("T")


def is_unknown_namespace(error: RPCError) -> bool:
    """Whether a call failed because the server does not know the namespace (yet)."""
    if error.status != RPCStatusCode.NOT_FOUND:
        return False
    details = error.grpc_status.details
    return any(detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in details)


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """The result of ``call``, asked again as long as its namespace is not known.

    Raises what the last call raised after a minute of that.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await call()
        except RPCError as error:
            if not is_unknown_namespace(error) or time.monotonic() > deadline:
                raise
        await asyncio.sleep(POLL_SECONDS)


async def is_served(client: Client) -> bool:
    """Whether every part of the server that a Workflow needs knows the client's namespace."""
    ask, name = client.workflow_service, client.namespace
    nobody = WorkflowExecution(workflow_id=NOBODY)
    questions: Sequence[Callable[[], Awaitable[Any]]] = (
        # First the database: who asks the others too early is told "not found" for a second.
        partial(ask.describe_namespace, DescribeNamespaceRequest(namespace=name)),
        partial(ask.count_workflow_executions, CountWorkflowExecutionsRequest(namespace=name)),
        partial(
            ask.describe_task_queue,
            DescribeTaskQueueRequest(namespace=name, task_queue=TaskQueue(name=NOBODY)),
        ),
        partial(
            ask.describe_workflow_execution,
            DescribeWorkflowExecutionRequest(namespace=name, execution=nobody),
        ),
    )
    for question in questions:
        if not await _is_answered(question):
            return False
    return True


async def make_namespace(client: Client) -> None:
    """Make the client's namespace where there is none, and wait until it is served."""
    request = RegisterNamespaceRequest(
        namespace=client.namespace,
        workflow_execution_retention_period=Duration(seconds=RETENTION_SECONDS),
    )
    try:
        await client.workflow_service.register_namespace(request, retry=True)
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await is_served(client) and time.monotonic() < deadline:
        await asyncio.sleep(POLL_SECONDS)


class PatientClient(Interceptor):
    """A client interceptor: whichever call meets a namespace that is not known yet waits."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        """See ``temporalio.client.Interceptor``."""
        return _PatientOutbound(next)


class _PatientOutbound(OutboundInterceptor):
    """Asks again; the methods are those of ``CALLS``."""


def _asked_patiently(name: str) -> Callable[[OutboundInterceptor, Any], Awaitable[Any]]:
    async def call(self: OutboundInterceptor, input: Any) -> Any:
        return await patiently(lambda: getattr(self.next, name)(input))

    return call


for _name in CALLS:
    setattr(_PatientOutbound, _name, _asked_patiently(_name))


async def _is_answered(question: Callable[[], Awaitable[Any]]) -> bool:
    """A Workflow that does not exist is an answer too: it was looked for in its namespace."""
    try:
        await question()
    except RPCError as error:
        return error.status == RPCStatusCode.NOT_FOUND and not is_unknown_namespace(error)
    return True
