"""The SDK's hello world, for ``benchmark.py``: the least that a first Workflow costs."""

import asyncio
import sys
from collections.abc import Callable
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker


@activity.defn
async def say_hello(name: str) -> str:
    return f"Hello, {name}!"


@workflow.defn
class SayHello:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(
            say_hello, name, start_to_close_timeout=timedelta(seconds=5)
        )


async def main(server: str, tell: Callable[[str], object] = print) -> None:
    """Start a server, a Worker and a Workflow, and tell its result; then end them."""
    async with (
        await WorkflowEnvironment.start_local(
            dev_server_existing_path=server, dev_server_log_level="never"
        ) as environment,
        Worker(
            environment.client, task_queue="hello", workflows=[SayHello], activities=[say_hello]
        ),
    ):
        tell(
            await environment.client.execute_workflow(
                SayHello.run, "World", id="hello", task_queue="hello"
            )
        )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
