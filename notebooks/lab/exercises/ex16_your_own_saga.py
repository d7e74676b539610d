"""Notebook 16: a saga of another domain, from an empty file.

Whatever the learner calls things inside, three names are agreed upon: ``Order``, ``Desk``
and, in the second exercise, ``PlaceOrder``. The rest is behaviour.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from lab.checking.exercise import UNATTEMPTED, CellExercise, ValueExercise
from lab.checking.modules import Answer, CellProblem, load_answer, load_module
from lab.checking.real import run_for_real
from lab.checking.report_card import Line, ReportCard
from lab.checking.trials import Problem
from lab.exercises.ex16_answers import DESK, SAGA
from lab.shop import Shop
from lab.showing.scoreboards import Cell, Scoreboard
from lab.simulation import CannotProve, NeverYields, Proof, Schedule, prove
from lab.simulation.guard import guarded
from lab.simulation.prove import CALM
from lab.simulation.prove_runs import OPEN, Ran, Subject, copied

PAIRS = (
    ("reserve_stock", "release_stock"),
    ("charge_card", "refund_card"),
    ("book_parcel", "cancel_parcel"),
)
UNDOS = tuple(undo for _do, undo in PAIRS)
ACTIVITIES = (*(name for pair in PAIRS for name in pair), "tell_customer")
EMPTY = "# an empty file"

MISTAKE_OF = {
    "undo registered after its step": "registered late",
    "a step without its undo": "undo forgotten",
    "nothing is undone": "undo forgotten",
    "a cancel request ended the undoing": "one shield",
    "a cancel request ended the saga without its undos": "cancel missed",
    "undo given up": "gave up",
    "first failure masked": "cause hidden",
    "told done although it was undone": "error swallowed",
    "not idempotent": "not idempotent",
    "a late step was done after its undo": "no tombstone",
    "auxiliary step compensates": "email compensated",
    "undone twice": "undone twice",
    "an undo that does not undo": "left",
    "closed with something held": "left",
    "undo not awaited": "not awaited",
    "never ends": "never ended",
    "an error in the Workflow's own code": "bug",
    "not deterministic": "not deterministic",
}
"""What ``prove`` calls a mistake, and what the hints of this course call it."""


# --- the desk: seven Activities ------------------------------------------------


def _part(module: ModuleType, name: str) -> Any:
    found = getattr(module, name, None)
    if not inspect.isclass(found):
        raise CellProblem(f"There is no class {name} in the cell; expected one.")
    return found


def new_order(order_type: Any, **changes: Any) -> Any:
    """An order as the learner's class makes it."""
    values = {"reference": "O-1", "item": "lamp", "price_cents": 4_900, "address": "1 Main Street"}
    try:
        return order_type(**(values | changes))
    except TypeError as error:
        raise CellProblem(
            f"Order cannot be made ({error}); expected a dataclass with reference, item, "
            "price_cents and address."
        ) from None


@dataclass
class Counter:
    """A shop with the learner's desk in it."""

    module: ModuleType
    shop: Shop = field(default_factory=Shop)

    def __post_init__(self) -> None:
        try:
            self.desk = _part(self.module, "Desk")(self.shop)
        except TypeError as error:
            raise CellProblem(f"Desk(shop) does not work: {error}.") from None
        missing = [name for name in ACTIVITIES if not hasattr(self.desk, name)]
        if missing:
            raise CellProblem(f"Desk has no {', '.join(missing)}.")
        for name in ACTIVITIES:
            if not _is_activity(getattr(self.desk, name)):
                raise CellProblem(f"{name} is no Activity; expected @activity.defn above it.")

    def order(self, **changes: Any) -> Any:
        return new_order(_part(self.module, "Order"), **changes)

    async def ask(self, name: str, times: int = 1, **changes: Any) -> BaseException | None:
        """Call it as Workers would, each time another one; return what it raised in the end."""
        raised: BaseException | None = None
        for _ in range(times):
            raised, desk = None, _part(self.module, "Desk")(self.shop)
            try:
                outcome = ActivityEnvironment().run(getattr(desk, name), self.order(**changes))
                if inspect.isawaitable(outcome):
                    await outcome
            except NotImplementedError:
                raise
            except Exception as error:
                raised = error
        return raised


def is_final(error: BaseException | None) -> bool:
    """Whether Temporal, or a Saga, can take this error for a definite no."""
    if isinstance(error, ApplicationError):
        return bool(error.type) and error.non_retryable
    return error is not None and type(error).__name__ in ("Refused", "Rejected")


def refusal_of(module: ModuleType) -> str:
    """The type of error by which the learner's Activities say no for good."""
    error = asyncio.run(Counter(module).ask("reserve_stock", item="vase"))
    return (error.type or "") if isinstance(error, ApplicationError) else type(error).__name__


async def _asked_again(module: ModuleType, do: str) -> Problem | None:
    """A reply can get lost, so each is asked three times."""
    counter = Counter(module)
    error = await counter.ask(do, 3)
    held = counter.shop.held()
    if len(held) != 1:
        return Problem("done twice", f"after three calls of {do} there are: {held or 'nothing'}")
    if error is not None:
        return Problem("not idempotent", f"{do} did it, and still says: {error}")
    return None


async def _undone_again(module: ModuleType, do: str, undo: str) -> Problem | None:
    counter = Counter(module)
    await counter.ask(do, 2)
    error = await counter.ask(undo, 3)
    if counter.shop.held():
        mistake = "bug" if error else "undone twice"
        said = f"; it says: {error}" if error else ""
        return Problem(mistake, f"after {undo}, three times: {counter.shop.held()}{said}")
    if error is not None:
        return Problem("not idempotent", f"{undo}, the third time, says: {error}")
    return None


async def _undo_first(module: ModuleType, do: str, undo: str) -> Problem | None:
    counter = Counter(module)
    if error := await counter.ask(undo):
        return Problem("no tombstone", f"{undo} of something never done says: {error}")
    error = await counter.ask(do, 3)
    if counter.shop.held():
        return Problem("no tombstone", f"{do} arrived after {undo}: {counter.shop.held()}")
    if not is_final(error):
        mistake = "rejection retried" if error else "no tombstone"
        return Problem(mistake, f"{do} after {undo} was not refused for good: {error!r}")
    return None


async def _refused(module: ModuleType) -> Problem | None:
    counter = Counter(module)
    first = await counter.ask("reserve_stock", item="vase")
    if not is_final(first):
        return Problem("rejection retried", f"sold out is no definite no: {first!r}")
    counter.shop.stock["vase"] = 1
    again = await counter.ask("reserve_stock", item="vase")
    if again is None:
        return Problem("not idempotent", "refused first, and then reserved after all")
    return None


async def _several_orders(module: ModuleType) -> Problem | None:
    counter = Counter(module)
    for reference in ("O-1", "O-2"):
        for do, _ in PAIRS:
            await counter.ask(do, 2, reference=reference)
    if len(counter.shop.held()) != 6:
        return Problem("incomplete", f"two orders, and there is: {counter.shop.held()}")
    for _, undo in PAIRS:
        await counter.ask(undo, reference="O-1")
    if any("O-1" in one for one in counter.shop.held()) or len(counter.shop.held()) != 3:
        return Problem("incomplete", f"O-1 was undone, and there is: {counter.shop.held()}")
    for do, _ in PAIRS:
        await counter.ask(do, 2, reference="O-3")
    if len(counter.shop.held()) != 6:
        found = f"O-1 was undone, then O-3 was placed, and there is: {counter.shop.held()}"
        return Problem("incomplete", found)
    return None


async def _told(module: ModuleType) -> Problem | None:
    counter = Counter(module)
    error = await counter.ask("tell_customer")
    if error or "O-1" not in dict(counter.shop.mailbox):
        return Problem("email forgotten", f"no mail for O-1; tell_customer says: {error}")
    return None


def _desk_trials(module: ModuleType) -> Iterator[tuple[str, str, Any]]:
    for do, undo in PAIRS:
        yield f"{do}, asked again", "done once", partial(_asked_again, module, do)
        yield f"{undo}, asked again", "undone once", partial(_undone_again, module, do, undo)
        yield f"{undo} first", f"{do} is refused", partial(_undo_first, module, do, undo)
    yield "sold out", "a definite no, and it stays one", partial(_refused, module)
    yield "several orders", "each has its own", partial(_several_orders, module)
    yield "tell_customer", "a mail", partial(_told, module)


@dataclass(eq=False)
class DeskExercise(CellExercise):
    """The answer is a file with ``Order`` and ``Desk``."""

    def load(self, cell: str) -> Any:
        """The learner's Desk."""
        return _part(load_module(self.name, cell), "Desk")

    def defined(self, cell: str) -> list[Any]:
        """Order and Desk, once there are any."""
        return [] if _is_empty(cell) else _known(load_module(self.name, cell), "Order", "Desk")

    async def judge_cell(self, cell: str) -> ReportCard:
        """The report card of an answer's text."""
        if _is_empty(cell):
            return ReportCard(self.title, note=UNATTEMPTED)
        module = load_module(self.name, cell)
        Counter(module)
        lines: list[Line] = []

        async def play() -> None:
            for tried, should, trial in _desk_trials(module):
                lines.append(Line(tried, should, await trial()))

        try:
            await asyncio.to_thread(guarded, lambda: asyncio.run(play()), "Desk", 3.0)
        except NotImplementedError:
            return ReportCard(self.title, note=UNATTEMPTED)
        except NeverYields as endless:
            problem = Problem("never ended", str(endless))
            lines.append(Line("each Activity", "comes to an end", problem))
        return ReportCard(self.title, lines)


def _known(module: ModuleType, *names: str) -> list[Any]:
    return [_part(module, name) for name in names]


def _is_empty(cell: str) -> bool:
    return not [line for line in cell.splitlines() if line.strip() and line.strip()[0] != "#"]


# --- the saga ------------------------------------------------------------------


def proof_of(module: ModuleType, workflows: Any, name: str, random: int = 40) -> Proof:
    """Put a shop's saga through everything."""
    return prove(
        workflows,
        lambda shop: [_part(module, "Desk")(shop)],
        argument=new_order(_part(module, "Order")),
        left_behind=lambda shop: shop.held(),
        world=Shop,
        rejection=refusal_of(module),
        random=random,
        name=name,
    )


@dataclass(eq=False)
class SagaExercise(CellExercise):
    """The answer is a whole file; it is proven, and gets a row on the scoreboard."""

    proof: Proof | None = field(default=None, repr=False)

    def load(self, cell: str) -> Any:
        """The learner's Workflow."""
        return load_answer(self.name, cell, "").design

    def defined(self, cell: str) -> list[Any]:
        """Order, Desk and the Workflow, once there are any."""
        if _is_empty(cell):
            return []
        loaded = load_answer(self.name, cell, "")
        return [*_known(loaded.module, "Order", "Desk"), loaded.design]

    async def judge_cell(self, cell: str) -> ReportCard:
        """The report card of an answer's text."""
        if _is_empty(cell):
            return ReportCard(self.title, note=UNATTEMPTED)
        loaded = load_answer(self.name, cell, "")
        lines, simulated = await asyncio.to_thread(self._simulated, loaded)
        if any(line.problem for line in lines):
            return ReportCard(self.title, lines, simulated=simulated)
        lines.append(Line("one order for real", "as simulated", await _for_real(loaded)))
        return ReportCard(self.title, lines, simulated=simulated, real=1)

    def _simulated(self, loaded: Answer) -> tuple[list[Line], int]:
        """What is found without a server, and how many schedules it took."""
        lines = _orders(loaded)
        if _hopeless(lines[-1]):
            return lines, len(lines)
        try:
            self.proof = proof_of(loaded.module, loaded.workflows_in_order, "you")
        except CannotProve as problem:
            if not lines[0].problem:
                raise CellProblem(str(problem)) from None
            return lines, len(lines)
        proven = [Line(line.tried, line.should, _problem(line)) for line in self.proof.lines]
        # What prove finds says more, so it comes first.
        lines = [*proven, *lines] if self.proof.lost else [*lines, *proven]
        return lines, len(ORDERS) + self.proof.tried

    def board(self, other: Proof, name: str = "you") -> Scoreboard:
        """The scoreboard of the shop: some other saga, and yours once it was checked."""
        board = Scoreboard(things="orders").add_row(other.name, _cells(other))
        if self.proof is not None:
            board.add_row(name, _cells(self.proof))
        return board


# --- single orders ---------------------------------------------------------------------

ORDERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "a lamp": ("", {}),
    "a vase, which is sold out": ("reserve_stock", {"item": "vase"}),
    "a card that is declined": ("charge_card", {"reference": "O-1-declined"}),
    "an order without an address": ("book_parcel", {"address": ""}),
}
"""What the services themselves say yes to, and who says no; ``prove`` makes up its own refusals."""


def _orders(loaded: Answer) -> list[Line]:
    """What the learner's own desk and Workflow make of them."""
    lines: list[Line] = []
    for tried, (refused_by, changes) in ORDERS.items():
        problem = _order(loaded, refused_by, changes)
        should = "refused, and nothing is left" if refused_by else "placed, and told"
        lines.append(Line(tried, should, problem))
        if _hopeless(lines[-1]):
            break
    return lines


def _hopeless(line: Line) -> bool:
    """Nothing more can be learned from further runs, and each may take its time."""
    return line.problem is not None and line.problem.mistake in HOPELESS


HOPELESS = (
    "not deterministic",
    "bug",
    "never ended",
    "blip not retried",
    "rejection retried",
    "undone after success",
)


def _order(loaded: Answer, refused_by: str, changes: Mapping[str, Any]) -> Problem | None:
    subject = Subject(
        loaded.workflows_in_order,
        new_order(_part(loaded.module, "Order"), **changes),
        lambda shop: [_part(loaded.module, "Desk")(shop)],
        lambda shop: shop.held(),
        Shop,
    )
    ran, again = subject.run(Schedule(), watch=True), subject.run(Schedule(), watch=True)
    judge = _refusal if refused_by else _placed
    return _unusable(ran, again) or _done_again(ran, refused_by) or judge(ran)


def _unusable(ran: Ran, again: Ran) -> Problem | None:
    if ran.not_deterministic:
        return Problem("not deterministic", ran.not_deterministic)
    if ran.bug:
        return Problem(_bug(ran.bug), ran.bug)
    if ran.sites != again.sites:
        found = "the same order twice went two ways; what a Workflow remembers belongs to it alone"
        return Problem("not deterministic", found)
    return None


def _bug(said: str) -> str:
    return "never ended" if "runs on and on" in said else "bug"


def _done_again(ran: Ran, refused_by: str) -> Problem | None:
    """An Activity that has its answer is not called again; the desk makes that harmless only."""
    answered: set[str] = set()
    for op in ran.ops:
        if op.activity in answered:
            if op.activity == refused_by:
                found = f"{op.activity} had been refused, and was called again"
                return Problem("rejection retried", found)
            mistake = "undone twice" if op.activity in UNDOS else "done twice"
            return Problem(mistake, f"{op.activity} had succeeded, and was called again")
        if op.activity in ACTIVITIES and (
            op.outcome == "completed" or (op.failed and op.activity == refused_by)
        ):
            answered.add(op.activity)
    return None


def _placed(ran: Ran) -> Problem | None:
    if not ran.stands:
        return _not_placed(ran)
    if undone := [op.activity for op in ran.ops if op.activity in UNDOS]:
        return Problem("undone after success", f"nothing went wrong, and {undone[0]} ran")
    if len(ran.held) != len(PAIRS):
        return Problem("incomplete", f"placed, and there is: {ran.held or 'nothing'}")
    told = [op for op in ran.ops if op.activity == "tell_customer"]
    if not told:
        return Problem("email forgotten", "the order is placed, and nobody called tell_customer")
    if told[0].outcome == OPEN:
        return Problem("not awaited", "the Workflow closed before tell_customer was done")
    late = [op.activity for op in ran.ops if op not in told and op.closed > told[0].scheduled]
    if late:
        return Problem("email too early", f"told before {late[0]} was done")
    return None


def _not_placed(ran: Ran) -> Problem:
    if ran.status == OPEN:
        return Problem("never ended", "nothing goes wrong, and the Workflow stays open")
    blip = "book_parcel" in ran.blamed and "does not answer" in ran.reason
    said = f"the first answer of the parcel service got lost, and the Workflow {ran.status}"
    if blip:
        return Problem("blip not retried", said)
    return Problem("incomplete", f"the Workflow {ran.status}: {ran.reason}")


def _refusal(ran: Ran) -> Problem | None:
    if ran.status == OPEN:
        return Problem("never ended", "the Workflow stays open")
    if ran.held:
        return Problem("left", f"the Workflow {ran.status}, and there is: {ran.held}")
    if ran.stands:
        return Problem("error swallowed", "it was not placed, and the Workflow says completed")
    if any(op.activity == "tell_customer" for op in ran.ops):
        return Problem("email too early", "the customer was told, and then the order was refused")
    return None


async def _for_real(loaded: Answer) -> Problem | None:
    """The last word is the server's."""
    counter = Counter(loaded.module)
    activities = [method for _name, method in inspect.getmembers(counter.desk, _is_activity)]
    problem = await run_for_real(loaded.workflows_in_order, counter.order(), activities)
    if problem is None and len(counter.shop.held()) != 3:
        return Problem("incomplete", f"placed, and there is: {counter.shop.held()}")
    return problem


def _is_activity(method: Any) -> bool:
    return hasattr(method, "__temporal_activity_definition")


def _problem(line: Any) -> Problem | None:
    if not line.losses:
        return None
    loss = line.losses[0]
    mistake = MISTAKE_OF.get(loss.mistake, "other")
    if mistake == "undo forgotten" and loss.where == "charge_card":
        mistake = "refund forgotten"
    if mistake == "bug":
        mistake = _bug(loss.found)
    return Problem(mistake, f"{loss.mistake}: {loss.found}")


def _cells(proof: Proof) -> dict[str, Cell]:
    row = {kind: tally for kind, tally in proof.row.items() if kind != CALM}
    return {kind: Cell(tally.lost, tally.tried) for kind, tally in row.items()}


# --- the audit -----------------------------------------------------------------

Look = Callable[[Shop], Any]


def _states() -> Iterator[tuple[str, Shop, bool]]:
    """Shops, and whether something is left behind in each."""
    shop = Shop()
    yield "a shop that nobody was in", shop, False
    reserved = Shop()
    reserved.reserve("O-1", "lamp")
    yield "a lamp put aside", reserved, True
    charged = Shop()
    charged.charge("O-1", 4_900)
    yield "money taken", charged, True
    refunded = Shop()
    refunded.charge("O-1", 4_900)
    refunded.refund("O-1", 4_900)
    yield "money taken and paid back", refunded, False
    twice = Shop()
    twice.charge("O-1", 4_900)
    twice.refund("O-1", 4_900)
    twice.refund("O-1", 4_900)
    yield "money paid back twice", twice, True
    crossed = Shop()
    crossed.charge("O-1", 4_900)
    crossed.refund("O-2", 4_900)
    yield "one customer's money paid back to another", crossed, True
    sent = Shop()
    _book(sent)
    yield "a parcel on its way", sent, True
    canceled = Shop()
    _book(canceled)
    canceled.cancel_parcel(1)
    canceled.send_mail("O-1", "Sorry.")
    canceled.notes["O-1", "parcel"] = "undone"
    yield "a parcel called off, a mail, and a note", canceled, False


def _book(shop: Shop) -> None:
    with contextlib.suppress(ConnectionError):
        shop.book_parcel("O-1", "1 Main Street")


async def _judge_audit(left_behind: Look) -> list[Line]:
    def look(shop: Shop) -> Any:
        return guarded(lambda: copied(left_behind(shop)), "left_behind", limit=2.0)

    lines, nothing = [], look(Shop())
    for name, shop, should in _states():
        before = copy.deepcopy(shop)
        found = look(shop)
        wrong = (found != nothing) != should
        said = f"left_behind says {found!r}"
        problem = Problem("left", said) if wrong else None
        if shop != before:
            problem = Problem("table changed", "the shop is not what it was before it was asked")
        lines.append(Line(name, "something is left" if should else "nothing is left", problem))
    return lines


shop_desk = DeskExercise(
    name="shop_desk",
    title="The desk",
    skeleton=EMPTY,
    hints=(
        "Each service does what it is told, each time. Who remembers what was done already?",
        "Look at the table of answers in notebook 07: done, refused, undone. shop.notes is yours.",
        'self.shop.notes[order.reference, "stock"] = "done"  # and what if it is "undone"?',
    ),
    solution_code=DESK,
    why="Under one key for each order and service the desk remembers one of three answers, so it "
    "may be asked again and in any order. The parcel service is looked up before it is asked.",
)
shop_saga = SagaExercise(
    name="shop_saga",
    title="Your own saga",
    skeleton=EMPTY,
    hints=(
        "Which of the four steps can be undone, which is the pivot, which only tells somebody?",
        "Look at the smallest saga in the copy kit, and at the second screen of notebook 07.",
        "async with Saga(rejections=[...]) as saga:  await saga.step(..., undo=..., name=...)",
    ),
    solution_code=SAGA,
    why="Stock, card and parcel are steps with an undo each, registered before they run; the mail "
    "comes after the block and changes nothing.",
)
shop_audit = ValueExercise(
    name="shop_audit",
    title="The shop's audit",
    judge_value=_judge_audit,
    hints=(
        "What would the shop's owner be angry about? A note of your own is none of it.",
        "Look at reserved, ledger and parcels in the Shop above.",
        "sum the ledger for each reference; a parcel counts unless it is canceled",
    ),
    solution_code="""
def left_behind(shop):
    money = {}
    for reference, cents in shop.ledger:
        money[reference] = money.get(reference, 0) + cents
    kept = [(reference, cents) for reference, cents in money.items() if cents]
    sent = [parcel.number for parcel in shop.parcels if not parcel.canceled]
    return [*shop.reserved, *kept, *sent]
""",
    why="It looks at what the services hold, for each order by itself, and never at what the saga "
    "says of itself.",
)
