"""What a Worker would be given: Workflows, Activities, interceptors, converters.

Made once and used for any number of simulations.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import temporalio.activity
import temporalio.workflow
from temporalio.common import MetricMeter
from temporalio.converter import (
    DataConverter,
    PayloadConverter,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from temporalio.converter import default as default_converter
from temporalio.worker import (
    ActivityInboundInterceptor,
    Interceptor,
    UnsandboxedWorkflowRunner,
    WorkflowInterceptorClassInput,
    WorkflowRunner,
)
from temporalio.worker._workflow_instance import (
    _DEFAULT_ENABLED_WORKFLOW_LOGIC_FLAGS,
    _WorkflowLogicFlag,
)

from .errors import NotSimulated
from .loop import birthplace
from .quick import QuickConverter, quick_failures

ALL_FLAGS = frozenset(_WorkflowLogicFlag)
"""Every change of behaviour that the SDK knows, also those it does not use yet."""


class Code:
    """Workflows and Activities, and how to run them.

    Args:
        workflows: Workflow classes.
        activities: Functions and bound methods with ``@activity.defn``, sync or async. An
            object that has such methods stands for all of them.
        interceptors: As for a ``Worker``; for Activities and Workflows.
        runner: The SDK's Workflow runner; unsandboxed by default, which is three times
            as fast. A Workflow that opted out of the sandbox never runs in it.
        data_converter: Without a codec; one that encrypts would hide nothing here.
        failure_exception_types: As ``workflow_failure_exception_types`` of a ``Worker``.
        next_flags: Run with the SDK's logic flags that are not on yet. Among them is the
            one that hands all jobs of an activation to the Workflow at once: it decides
            what a cancel request does that arrives together with a reply.
    """

    def __init__(
        self,
        workflows: Sequence[type],
        activities: Sequence[Any] = (),
        *,
        interceptors: Sequence[Interceptor] = (),
        runner: WorkflowRunner | None = None,
        data_converter: DataConverter | None = None,
        failure_exception_types: Sequence[type[BaseException]] = (),
        next_flags: bool = False,
    ) -> None:
        self.interceptors = list(interceptors)
        self.runner = runner or UnsandboxedWorkflowRunner()
        self.unsandboxed = UnsandboxedWorkflowRunner()
        self.converter = data_converter or default_converter()
        if self.converter.payload_codec is not None:
            raise NotSimulated(
                "A payload codec is not simulated; give the simulation a data converter without."
            )
        self._quick = QuickConverter(self._slow())
        self.payload_converter = self.new_payload_converter()
        self.failure_converter = quick_failures(self.converter.failure_converter)
        self.failure_exception_types = list(failure_exception_types)
        self.flags = ALL_FLAGS if next_flags else frozenset(_DEFAULT_ENABLED_WORKFLOW_LOGIC_FLAGS)
        self.runner.set_worker_level_failure_exception_types(self.failure_exception_types)
        self._workflows = self._prepare(workflows)
        self._activities = _definitions(activities)
        self.extern_functions, self.workflow_interceptors = self._workflow_side()

    def new_payload_converter(self) -> PayloadConverter:
        """For one Workflow; in the sandbox classes are others, so it needs its own."""
        return self._quick if self._may_be_quick() else self._slow()

    def _slow(self) -> PayloadConverter:
        return self.converter._new_payload_converter()

    def _may_be_quick(self) -> bool:
        return type(self.runner) is UnsandboxedWorkflowRunner and not self._contextual()

    def _contextual(self) -> bool:
        """Whether what is written depends on the Workflow it is written for."""
        converter = self.converter.payload_converter_class()
        if not isinstance(converter, WithSerializationContext):
            return False
        somewhere = WorkflowSerializationContext(namespace="default", workflow_id="any")
        return converter.with_context(somewhere) is not converter

    @property
    def workflow_types(self) -> list[str]:
        """Names of the Workflows."""
        return [name for name in self._workflows if name]

    @property
    def activity_types(self) -> list[str]:
        """Names of the Activities."""
        return [name for name in self._activities if name]

    @property
    def intercepts_activities(self) -> bool:
        """Whether an interceptor stands between Temporal and the Activities."""
        plain = Interceptor.intercept_activity
        return any(type(i).intercept_activity is not plain for i in self.interceptors)

    def workflow(self, name: str) -> temporalio.workflow._Definition:
        """The definition of a Workflow type, or of the dynamic Workflow."""
        found = self._workflows.get(name) or self._workflows.get(None)
        if found is None:
            known = ", ".join(self.workflow_types)
            raise NotSimulated(f"Workflow {name} was not given to the simulation; it has {known}.")
        return found

    def activity(self, name: str) -> temporalio.activity._Definition | None:
        """The definition of an Activity type, or of the dynamic Activity, if there is one."""
        return self._activities.get(name) or self._activities.get(None)

    def intercepted(self, root: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """``root`` within all interceptors, the first one outermost."""
        chain = root
        for interceptor in reversed(self.interceptors):
            chain = interceptor.intercept_activity(chain)
        return chain

    def _prepare(
        self, workflows: Sequence[type]
    ) -> Mapping[str | None, temporalio.workflow._Definition]:
        found: dict[str | None, temporalio.workflow._Definition] = {}
        for workflow in workflows:
            definition = temporalio.workflow._Definition.must_from_class(workflow)
            runner = self.runner if definition.sandboxed else self.unsandboxed
            with birthplace():
                runner.prepare_workflow(definition)
            found[definition.name] = definition
        return found

    def _workflow_side(self) -> tuple[dict[str, Callable[..., Any]], list[Any]]:
        functions: dict[str, Callable[..., Any]] = {
            "__temporal_get_metric_meter": lambda: MetricMeter.noop,
            "__temporal_assert_local_activity_valid": self._assert_local_activity,
        }
        given = WorkflowInterceptorClassInput(unsafe_extern_functions=functions)
        classes = (i.workflow_interceptor_class(given) for i in self.interceptors)
        return functions, [found for found in classes if found]

    def _assert_local_activity(self, name: str) -> None:
        if self.activity(name) is None:
            known = ", ".join(sorted(self.activity_types))
            raise ValueError(
                f"Activity function {name} is not registered on this worker, "
                f"available activities: {known}"
            )


def _definitions(activities: Sequence[Any]) -> dict[str | None, temporalio.activity._Definition]:
    found: dict[str | None, temporalio.activity._Definition] = {}
    for given in activities:
        definition = temporalio.activity._Definition.from_callable(given)
        several = [definition] if definition else _methods(given)
        if not several:
            raise ValueError(f"{given!r} is no Activity; expected one with @activity.defn.")
        for one in several:
            found[one.name] = one
    return found


def _methods(owner: Any) -> list[temporalio.activity._Definition]:
    members = inspect.getmembers(owner, callable)
    defined = (temporalio.activity._Definition.from_callable(member) for _name, member in members)
    return [definition for definition in defined if definition]
