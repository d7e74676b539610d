"""Exceptions that are no failure."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from saga_cases.world import Base, a_saga, failure, look, take


@workflow.defn
class PlainErrorTranslated(Base):
    @workflow.run
    async def run(self) -> str:
        try:
            async with self.saga:
                await self.step("flight")
                return str({"flight": 100}["hotel"])
        except KeyError as error:
            raise ApplicationError(f"no price: {error}") from error


@workflow.defn
class PlainErrorAnswered(Base):
    """Whoever asks for everything gets everything, and then says that all is well."""

    @workflow.run
    async def run(self, how: str) -> str:
        try:
            async with self.saga:
                await self.step("flight")
                if how == "in a task group":
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self.step("hotel"))
                        group.create_task(self.bug())
                elif how == "in a gather":
                    await asyncio.gather(self.step("hotel"), self.bug())
                elif how == "in an inner saga":
                    async with a_saga() as inner:
                        await take(inner, "hotel")
                        await self.bug()
                await self.bug()
        except BaseException:
            return "never mind"
        return "booked"

    async def bug(self) -> None:
        raise ValueError("a bug")


@workflow.defn(failure_exception_types=[ExceptionGroup])
class GroupDeclared(Base):
    """Whoever uses a TaskGroup may say that a group ends the Workflow."""

    @workflow.run
    async def run(self) -> str:
        async with self.saga:
            await self.step("flight")
            async with asyncio.TaskGroup() as group:
                group.create_task(self.no_price())
        return "booked"

    async def no_price(self) -> None:
        raise KeyError("no price")


@workflow.defn
class FinallyReturns(Base):
    @workflow.run
    async def run(self) -> str:
        try:
            async with self.saga:
                await self.step("flight")
                raise ValueError("a bug")
        finally:
            return "never mind"  # noqa: B012


@workflow.defn
class PlainErrorNamed(Base):
    @workflow.run
    async def run(self) -> str:
        self.saga = a_saga(failures=[KeyError])
        try:
            async with self.saga:
                await self.step("flight")
                return str({"flight": 100}["hotel"])
        except KeyError as error:
            raise ApplicationError(f"no price: {error}") from error


@workflow.defn(failure_exception_types=[KeyError])
class PlainErrorDeclared(Base):
    @workflow.run
    async def run(self) -> str:
        async with self.saga:
            await self.step("flight")
            return str({"flight": 100}["hotel"])


@workflow.defn
class NothingOwed(Base):
    """A plain error before the first step, and after a definite no, is as without a saga."""

    @workflow.run
    async def run(self) -> str:
        try:
            async with self.saga:
                try:
                    await self.step("flight")
                except ActivityError:
                    raise KeyError("flight") from None
        except KeyError:
            return "answered"
        return "booked"


@workflow.defn
class FailureAnswered(Base):
    """A failure is undone before anybody outside can answer it."""

    @workflow.run
    async def run(self) -> str:
        try:
            async with self.saga:
                await self.step("flight")
                await self.step("hotel")
        except ActivityError:
            await look("what is left")
            return "answered"
        return "booked"


@workflow.defn
class GroupOfBoth(Base):
    @workflow.run
    async def run(self) -> None:
        async with self.saga:
            await self.step("flight")
            raise ExceptionGroup("both", [ValueError("a bug"), failure("a failure")])
