"""Builds of a Worker: which is current, on which one a trip runs, and how to move it.

What ``temporal worker deployment`` and ``temporal workflow update-options`` do on the
command line.
"""

from __future__ import annotations

import asyncio
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.workflow.v1 import VersioningOverride, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    SetWorkerDeploymentCurrentVersionRequest,
    UpdateWorkflowExecutionOptionsRequest,
)
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from lab.running.background import background
from lab.running.system import System, Trip
from travel.worker import DEPLOYMENT_NAME

KNOWN_SECONDS = 30.0


async def set_current(system: System, build_id: str) -> None:
    """Let new trips begin on this build, as soon as a Worker of it has begun to poll."""
    await background().run(_set_current(system.client, build_id))


async def move_once(trip: Trip, build_id: str) -> None:
    """Move one running trip to another build, with its next Workflow Task."""
    await background().run(_move_once(trip.system.client, trip.handle.id, build_id))


async def build_of(trip: Trip) -> str:
    """The build on which a trip runs, or on which it ended."""
    return await background().run(_build_of(trip.handle))


async def _set_current(client: Client, build_id: str) -> None:
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace,
        deployment_name=DEPLOYMENT_NAME,
        build_id=build_id,
        ignore_missing_task_queues=True,
    )
    async with asyncio.timeout(KNOWN_SECONDS):
        while True:
            try:
                await client.workflow_service.set_worker_deployment_current_version(request)
                return
            except RPCError as error:
                # The server hears of a build when its first Worker polls.
                if error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION):
                    raise
            await asyncio.sleep(0.1)


async def _move_once(client: Client, workflow_id: str, build_id: str) -> None:
    target = VersioningOverride.OneTimeOverride(target_deployment_version=_version(build_id))
    await client.workflow_service.update_workflow_execution_options(
        UpdateWorkflowExecutionOptionsRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            workflow_execution_options=WorkflowExecutionOptions(
                versioning_override=VersioningOverride(one_time=target)
            ),
            update_mask=FieldMask(paths=["versioning_override"]),
        )
    )


async def _build_of(handle: WorkflowHandle[Any, Any]) -> str:
    description = await handle.describe()
    info = description.raw_description.workflow_execution_info.versioning_info
    return info.deployment_version.build_id


def _version(build_id: str) -> WorkerDeploymentVersion:
    return WorkerDeploymentVersion(deployment_name=DEPLOYMENT_NAME, build_id=build_id)
