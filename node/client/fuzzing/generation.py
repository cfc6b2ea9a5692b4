"""Message number `index` of a seed: to which method, under whose credential, with which bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from crypto.transaction import transaction_id
from node.client.fuzzing import byte_mutation, field_mutation, grammar, value_mutation
from node.client.fuzzing.corpus import Corpus
from node.consensus.evidence_items import encode_item
from node.consensus.messages import Evidence, Message, encode_message
from node.wire import ledger_pb2, operator_codec, operator_pb2, peer_codec, peer_pb2
from node.wire.fields import MalformedMessage
from node.wire.identity import Role

EXCHANGE = "/consortium.v1.Peer/Exchange"
EXCHANGE_SHARE = 0.35
"""Of all messages: this one method carries every message of the consensus."""
SUBMISSION_SHARE = 0.15
ALLOWED_SHARE = 0.85
"""Of messages under a role that may call the method; the others must fail at the door."""
SENDER_RUN = 250
"""Messages after which another bank's certificate is used between banks."""

_SUBMISSIONS = (
    "/consortium.v1.Ledger/SubmitTransaction",
    "/consortium.v1.Ledger/SubmitTransactions",
)
_OPERATORS_ONLY = "/consortium.v1.Operator/"
_BANKS_ONLY = (EXCHANGE, "/consortium.v1.Peer/FetchSnapshot")
_CHANGES_NOTHING_BUT = ("Shutdown", "InjectFault", "SetLogLevel")
"""Methods of operators that do what they say: only requests that cannot be obeyed are sent."""


@dataclass(frozen=True, slots=True)
class FuzzMessage:
    """One hostile message, before it is sent."""

    index: int
    method: str
    """Full path of the gRPC method."""
    role: Role
    bank: int
    """To whom it is sent."""
    sender: int
    """Bank whose certificate is shown, where the role is bank."""
    kind: str
    """What it was made from, for example `Vote` or `transaction`."""
    mutation: str
    request: bytes
    """The request, or one frame of the peer stream."""
    transactions: frozenset[bytes]
    """Ids of all transactions in it: none of them may ever be sealed because of it."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method with its descriptor."""

    path: str
    descriptor: MethodDescriptor


@lru_cache
def methods() -> Mapping[str, Method]:
    """Every method of the three services, from their descriptors."""
    found = {}
    for file in (ledger_pb2, operator_pb2, peer_pb2):
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                path = f"/{service.full_name}/{method.name}"
                found[path] = Method(path, method)
    return found


class Generator:
    """Makes the messages of one seed."""

    def __init__(self, corpus: Corpus, seed: str, target: str = "") -> None:
        """All messages go to methods with `target` in their path; raises ValueError without one."""
        self._corpus = corpus
        self._seed = seed
        self._paths = [path for path in methods() if target.lower() in path.lower()]
        if not self._paths:
            raise ValueError(f"no method is called {target!r}")
        self._valid: dict[int, tuple[Message, ...]] = {}

    def message(self, index: int) -> FuzzMessage:
        """Return message number `index`, always the same one."""
        chance = Random(f"{self._seed}:{index}")
        path = self._path(chance)
        role = self._role(path, chance)
        bank = chance.randrange(self._corpus.bank_count)
        # Streams of one bank displace each other: the sender changes rarely.
        sender = (bank + 1 + index // SENDER_RUN) % self._corpus.bank_count
        if sender == bank:
            bank = (bank + 1) % self._corpus.bank_count
        kind, mutation, request = self._request(path, sender, chance)
        if role is Role.OPERATOR and _would_be_obeyed(path, request):
            role = Role.CLIENT
        return FuzzMessage(
            index, path, role, bank, sender, kind, mutation, request, _transactions(path, request)
        )

    def _path(self, chance: Random) -> str:
        draw = chance.random()
        if EXCHANGE in self._paths and draw < EXCHANGE_SHARE:
            return EXCHANGE
        submissions = [path for path in _SUBMISSIONS if path in self._paths]
        if submissions and draw < EXCHANGE_SHARE + SUBMISSION_SHARE:
            return chance.choice(submissions)
        return chance.choice(self._paths)

    def _role(self, path: str, chance: Random) -> Role:
        if chance.random() > ALLOWED_SHARE:
            return chance.choice(list(Role))
        if path.startswith(_OPERATORS_ONLY):
            return Role.OPERATOR
        if path in _BANKS_ONLY:
            return Role.BANK
        if "/consortium.v1.Peer/" in path:
            return chance.choice((Role.BANK, Role.REGULATOR))
        return chance.choice((Role.CLIENT, Role.CLIENT, Role.OPERATOR, Role.BANK))

    # --- requests -----------------------------------------------------------------------------

    def _request(self, path: str, sender: int, chance: Random) -> tuple[str, str, bytes]:
        if path == EXCHANGE:
            return self._frame(sender, chance)
        descriptor = methods()[path].descriptor.input_type
        if path in _SUBMISSIONS:
            kind, mutation, raw = self._transaction(chance)
            valid = GetMessageClass(descriptor)(transaction=raw).SerializeToString()
            return self._disguised(kind, mutation, valid, chance)
        built = grammar.request(descriptor, self._corpus.identifiers, chance)
        return self._disguised(descriptor.name, "grammar", built, chance)

    def _disguised(
        self, kind: str, mutation: str, request: bytes, chance: Random
    ) -> tuple[str, str, bytes]:
        """Half of the requests are damaged as protobuf too."""
        draw = chance.random()
        if draw < 0.25:
            name, request = field_mutation.mutate(request, chance)
        elif draw < 0.5:
            name, request = byte_mutation.mutate(request, self._corpus.identifiers, chance)
        else:
            return kind, mutation, request
        return kind, name, request

    def _transaction(self, chance: Random) -> tuple[str, str, bytes]:
        if not self._corpus.transactions:
            return "transaction", "noise", chance.randbytes(600)
        raw = chance.choice(self._corpus.transactions)
        if chance.random() < 0.1:
            return "transaction", "replay", raw
        if chance.random() < 0.1:
            return "governance", "noise", b"\x01" + bytes([chance.choice((16, 17, 18, 19))]) + raw
        name, mutated = byte_mutation.mutate(raw, self._corpus.transactions, chance)
        return "transaction", name, mutated

    # --- the stream between banks -------------------------------------------------------------

    def _frame(self, sender: int, chance: Random) -> tuple[str, str, bytes]:
        if chance.random() < 0.15:
            kind, mutation, raw = self._transaction(chance)
            encoded = (
                peer_codec.unverified_item(raw)
                if chance.random() < 0.5
                else peer_codec.transaction_item(raw)
            )
        else:
            kind, mutation, raw = self.consensus_message(sender, chance)
            encoded = peer_codec.message_item(raw)
        if chance.random() < 0.1:
            name, encoded = field_mutation.mutate(encoded, chance)
            return kind, name, encoded
        return kind, mutation, encoded

    def consensus_message(self, sender: int, chance: Random) -> tuple[str, str, bytes]:
        """Return type, mutation and bytes of a hostile message that a bank might send."""
        if sender not in self._valid:
            self._valid[sender] = self._corpus.consensus_messages(sender)
        valid = self._valid[sender]
        # First the type, then one of that type: no type is drowned by the others.
        kinds = sorted({type(message).__name__ for message in valid})
        kind = chance.choice(kinds)
        message = chance.choice([item for item in valid if type(item).__name__ == kind])
        draw = chance.random()
        if draw < 0.1:
            return kind, "replay", encode_message(message)
        if draw < 0.6:
            changed = self._changed(message, valid, chance)
            if changed is not None:
                return kind, "value", changed
        others = [encode_message(item) for item in chance.sample(valid, min(4, len(valid)))]
        name, mutated = byte_mutation.mutate(encode_message(message), others, chance)
        return kind, name, mutated

    def _changed(
        self, message: Message, others: tuple[Message, ...], chance: Random
    ) -> bytes | None:
        """Return the encoding of other values in the message; None if they have none."""
        try:
            if isinstance(message, Evidence):
                items = self._corpus.evidence_items
                changed = value_mutation.mutate(chance.choice(items), items, chance)
                return encode_message(Evidence(encode_item(changed)))
            return encode_message(value_mutation.mutate(message, others, chance))
        except (ValueError, OverflowError, TypeError, AttributeError, AssertionError):
            # edge: what cannot be encoded cannot be sent either; the bytes are mutated instead
            return None


def _would_be_obeyed(path: str, request: bytes) -> bool:
    """Whether an operator's request would really stop, break or silence a bank."""
    name = path.rpartition("/")[2]
    if not path.startswith(_OPERATORS_ONLY) or name not in _CHANGES_NOTHING_BUT:
        return False
    message: Any = GetMessageClass(methods()[path].descriptor.input_type)()
    try:
        message.ParseFromString(request)
    except DecodeError:
        return False
    checks: Mapping[str, Callable[[Any], object]] = {
        "Shutdown": lambda _: None,
        "InjectFault": operator_codec.fault_from_stub,
        "SetLogLevel": operator_codec.log_level,
    }
    try:
        checks[name](message)
    except MalformedMessage:
        return False
    return True


def _transactions(path: str, request: bytes) -> frozenset[bytes]:
    """Return the ids of what a bank would take for transactions in this request."""
    stubs = {EXCHANGE: peer_pb2.PeerFrame} | {
        path: GetMessageClass(methods()[path].descriptor.input_type) for path in _SUBMISSIONS
    }
    stub = stubs.get(path)
    if stub is None:
        return frozenset()
    try:
        message: Any = stub.FromString(request)
    except DecodeError:
        return frozenset()
    raws = message.transactions if path == EXCHANGE else [message.transaction]
    return frozenset(bytes(transaction_id(raw)) for raw in raws)
