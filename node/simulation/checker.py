"""What a checker may look at, and how it says that a property does not hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from node.consensus.effects import Effect, Persist
from node.consensus.events import Event
from node.consensus.messages import Message, Seal
from node.ledger.blocks import Block
from node.ledger.types import BankIndex, TransactionId
from node.simulation.ledger import Valid

if TYPE_CHECKING:
    from node.simulation.engine import Bank, Cluster


class Violation(AssertionError):
    """A property does not hold; `checker` names it."""

    def __init__(self, checker: str, message: str) -> None:
        super().__init__(f"{checker}: {message}")
        self.checker = checker
        self.message = message

    def __reduce__(self) -> tuple[type[Violation], tuple[str, str]]:
        return (Violation, (self.checker, self.message))


class Checker:
    """Looks on from outside, by what is written, sent and applied; never touches anything.

    Each hook is called at the moment that it names, before anything follows from it.
    """

    name = ""

    def begin(self, cluster: Cluster) -> None:
        """The cluster exists; nothing has happened yet."""
        self.cluster = cluster

    def disturbed(self, text: str) -> None:
        """Something goes wrong, or is put right again."""

    def restarted(self, bank: Bank) -> None:
        """The bank's core has loaded its disk; its first effects are not performed yet."""

    def crashed(self, bank: Bank) -> None:
        """The bank has lost everything but its disk."""

    def delivered(self, bank: Bank, event: Event) -> None:
        """The core is about to take this event."""

    def performed(self, bank: Bank, effect: Effect) -> None:
        """The host is about to perform this effect."""

    def persisted(self, bank: Bank, effect: Persist) -> None:
        """The record and the blocks are on the bank's disk; the guard is not written yet."""

    def sent(self, bank: Bank, message: Message, targets: Sequence[BankIndex]) -> None:
        """The message is about to leave the bank."""

    def applied(self, bank: Bank, block: Block, seal: Seal, outcome: Valid) -> None:
        """The block is on the bank's disk with its outcome."""

    def acknowledged(self, bank: Bank, transaction_id: TransactionId) -> None:
        """The bank tells a client that its transaction is sealed."""

    def finish(self) -> None:
        """The run is over."""

    def violation(self, message: str) -> Violation:
        """Return the error to raise."""
        return Violation(self.name, message)


HOOKS = (
    "disturbed",
    "restarted",
    "crashed",
    "delivered",
    "performed",
    "persisted",
    "sent",
    "applied",
    "acknowledged",
    "finish",
)


class Watch:
    """Calls every checker that has something to say to a hook, in the order given."""

    def __init__(self, cluster: Cluster, checkers: Iterable[Checker]) -> None:
        self.checkers = tuple(checkers)
        for checker in self.checkers:
            checker.begin(cluster)
        for hook in HOOKS:
            interested = [
                getattr(checker, hook)
                for checker in self.checkers
                if getattr(type(checker), hook) is not getattr(Checker, hook)
            ]
            setattr(self, hook, _together(interested))

    if TYPE_CHECKING:

        def __getattr__(self, hook: str) -> Any: ...


def _together(hooks: list[Any]) -> Any:
    if len(hooks) == 1:
        return hooks[0]

    def call(*arguments: Any) -> None:
        for hook in hooks:
            hook(*arguments)

    return call
