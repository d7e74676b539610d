"""A namespace for each system: made when it is needed, emptied and used again afterwards.

Each costs the server some 3 MB and five open files, and gives back neither when it is
deleted. So a kernel makes as many as it has systems at a time, and no more.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    ListSchedulesRequest,
    ListWorkerDeploymentsRequest,
)
from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    StartWorkflowInput,
    WorkflowHandle,
)
from temporalio.service import RPCError, RPCStatusCode

from travel.temporal.connection import connect, register_search_attribute
from travel.temporal.namespaces import make_namespace
from travel.temporal.server import Server

MANY = 8
"""So many are made at once; then it is better to wait for one that is being emptied."""

EMPTYING_SECONDS = 60.0
POLL_SECONDS = 0.5


class Namespaces:
    """Those of one server. The first is ``default``, then come ``system-2``, ``system-3`` …"""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._free: list[int] = []
        self._made = 0
        self._known: set[str] = set()
        self._emptying: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Client]:
        """A client of a namespace where nothing ever happened, for the length of the block."""
        number = await self._take()
        started = _Started()
        client = await self._client(_name(number), started)
        try:
            yield client
        finally:
            task = asyncio.create_task(self._empty(number, client, started.ids))
            self._emptying.add(task)
            task.add_done_callback(self._emptying.discard)

    @asynccontextmanager
    async def shared(self, name: str) -> AsyncIterator[Client]:
        """A client of a namespace that others use too, and that stays as it is."""
        yield await self._client(name)

    async def _take(self) -> int:
        if not self._free and self._made >= MANY and self._emptying:
            await asyncio.wait(self._emptying, return_when=asyncio.FIRST_COMPLETED)
        if self._free:
            return heapq.heappop(self._free)
        self._made += 1
        return self._made

    async def _client(self, name: str, *interceptors: Interceptor) -> Client:
        if name not in self._known:
            await self._make(name)
        return await connect(self.server.address, namespace=name, interceptors=interceptors)

    async def _make(self, name: str) -> None:
        default = await connect(self.server.address)
        if name != default.namespace:
            new = Client(default.service_client, namespace=name)
            await make_namespace(new)
            # Once: the server opens a connection to itself for each time it is asked.
            await register_search_attribute(new)
        self._known.add(name)

    def abandon(self) -> None:
        """Empty nothing any more: the next server may listen at the same address."""
        for task in self._emptying:
            task.cancel()

    async def _empty(self, number: int, client: Client, started: set[str]) -> None:
        """Delete what was started there; then the namespace is free for another system."""
        if not self.server.is_running:
            return
        with suppress(RPCError, TimeoutError):
            async with asyncio.timeout(EMPTYING_SECONDS):
                if not await _keeps_more(client):
                    await _delete_workflows(client, started)
                    heapq.heappush(self._free, number)


class _Started(Interceptor):
    """Notes the id of every Workflow that a client starts: the list of Workflows lags behind."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        """See ``temporalio.client.Interceptor``."""
        return _Noting(next, self.ids)


class _Noting(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, ids: set[str]) -> None:
        super().__init__(next)
        self._ids = ids

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        self._ids.add(input.id)
        return await super().start_workflow(input)


def _name(number: int) -> str:
    return "default" if number == 1 else f"system-{number}"


async def _keeps_more(client: Client) -> bool:
    """Whether Schedules or versions of Workers are left, which would act on later systems."""
    ask, name = client.workflow_service, client.namespace
    schedules = await ask.list_schedules(ListSchedulesRequest(namespace=name))
    versions = await ask.list_worker_deployments(ListWorkerDeploymentsRequest(namespace=name))
    return bool(schedules.schedules or versions.worker_deployments)


async def _delete_workflows(client: Client, started: set[str]) -> None:
    """Delete them, running or not, and return when the server has forgotten them."""
    wanted = {(workflow_id, "") for workflow_id in started}
    asked: set[tuple[str, str]] = set()
    while True:
        for workflow_id, run_id in wanted - asked:
            await _delete(client, workflow_id, run_id)
        asked |= wanted
        await asyncio.sleep(POLL_SECONDS)
        wanted = {(found.id, found.run_id) async for found in client.list_workflows()}
        if not wanted and not [name for name in started if await _is_known(client, name)]:
            return


async def _delete(client: Client, workflow_id: str, run_id: str) -> None:
    execution = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
    request = DeleteWorkflowExecutionRequest(
        namespace=client.namespace, workflow_execution=execution
    )
    try:
        await client.workflow_service.delete_workflow_execution(request, retry=True)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise


async def _is_known(client: Client, workflow_id: str) -> bool:
    try:
        await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True
