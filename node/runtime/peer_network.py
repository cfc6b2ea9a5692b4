"""The links to the other banks, in both directions, behind the few verbs the node needs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from crypto.transaction import transaction_id
from node.consensus.messages import Message, encode_message
from node.ledger.types import BankIndex, TransactionId
from node.rpc.credentials import TlsFiles
from node.rpc.link_conditions import LinkConditions
from node.rpc.peer_link import PeerLink, PeerMisbehaved, PeerUnavailable
from node.runtime.clock import Clock
from node.runtime.config import PeerAddress
from node.runtime.incoming_links import IncomingLinks
from node.wire import peer_codec
from node.wire.identity import Identity
from node.wire.operator_records import PeerReport
from node.wire.records import Hello

logger = logging.getLogger(__name__)

FETCH_AT_ONCE = 200
"""Ids in one FetchTransactions call."""


class PeerNetwork:
    """All links of one bank. An item for everybody is encoded once."""

    def __init__(
        self,
        consortium: str,
        peers: Sequence[PeerAddress],
        tls: TlsFiles,
        hello: Callable[[], Hello],
        incoming: IncomingLinks,
        clock: Clock,
        on_linked: Callable[[BankIndex], None],
    ) -> None:
        self._incoming = incoming
        self._clock = clock
        self._links: Mapping[BankIndex, PeerLink] = {
            peer.bank: PeerLink(
                Identity.of_bank(consortium, peer.bank),
                peer.address,
                tls,
                hello,
                on_linked=on_linked,
            )
            for peer in peers
        }

    def start(self) -> None:
        for link in self._links.values():
            link.start()

    async def close(self) -> None:
        for link in self._links.values():
            await link.close()

    @property
    def linked_banks(self) -> int:
        """Banks whose link is up in both directions."""
        return sum(
            link.linked and self._incoming[bank].linked for bank, link in self._links.items()
        )

    @property
    def unlinked(self) -> tuple[BankIndex, ...]:
        """Banks that a message would not reach now."""
        return tuple([bank for bank, link in self._links.items() if not link.linked])

    def misbehaved(self) -> dict[BankIndex, int]:
        """Return how often each bank's stream was ended for what the bank sent, if it ever was."""
        counts = {bank: self._incoming[bank].misbehaved for bank in self._links}
        return {bank: count for bank, count in counts.items() if count}

    def disturb(self, bank: BankIndex, conditions: LinkConditions) -> None:
        """Disturb what is sent to one bank, on purpose."""
        self._links[bank].set_conditions(conditions)

    def greet(self, bank: BankIndex) -> None:
        """A bank has just connected to this one: it is up, so connect back at once."""
        link = self._links.get(bank)
        if link is not None and not link.linked:
            link.connect_now()

    def send_message(self, to: BankIndex, message: Message) -> None:
        link = self._links.get(to)
        if link is not None:
            link.send_message(peer_codec.message_item(encode_message(message)))

    def broadcast_message(self, message: Message) -> None:
        item = peer_codec.message_item(encode_message(message))
        for link in self._links.values():
            link.send_message(item)

    def gossip(self, raw: bytes, *, verified: bool = True) -> None:
        """Queue a transaction for every bank, linked or not."""
        item = peer_codec.transaction_item(raw) if verified else peer_codec.unverified_item(raw)
        for link in self._links.values():
            link.send_transaction(item)

    def gossip_to(self, bank: BankIndex, raws: Iterable[bytes]) -> None:
        """Queue transactions for one bank, for example one that has just come back."""
        link = self._links.get(bank)
        if link is None:
            return
        for raw in raws:
            link.send_transaction(peer_codec.transaction_item(raw))

    def fetch_order(self, first: BankIndex) -> Sequence[BankIndex]:
        """Return linked banks, `first` before the others, then in turn after it."""
        linked = [bank for bank, link in self._links.items() if link.linked]
        return sorted(linked, key=lambda bank: (bank != first, bank < first, bank))

    async def fetch_transactions(
        self, source: BankIndex, transaction_ids: Sequence[TransactionId]
    ) -> Sequence[bytes]:
        """Fetch bodies from one bank; a bank that does not answer yields what it has given."""
        link = self._links.get(source)
        fetched: list[bytes] = []
        wanted = list(transaction_ids)
        while link is not None and wanted:
            try:
                answer = await link.fetch_transactions(wanted[:FETCH_AT_ONCE])
            except (PeerUnavailable, PeerMisbehaved) as error:
                logger.info("fetch failed", extra={"peer": source, "detail": str(error)})
                break
            if not answer:
                break
            fetched += answer
            # Answers come in the order asked for; a bank that lacks some leaves gaps.
            got = {transaction_id(raw) for raw in answer}
            wanted = [item for item in wanted if item not in got]
            if len(answer) < FETCH_AT_ONCE:
                break
        return fetched

    def reports(self) -> tuple[PeerReport, ...]:
        now_s = self._clock.monotonic_s()
        reports: list[PeerReport] = []
        for bank, link in self._links.items():
            status = link.status()
            incoming = self._incoming[bank]
            heard_s = incoming.heard_s
            reports.append(
                PeerReport(
                    bank=bank,
                    address=status.address,
                    linked_out=status.linked,
                    linked_in=incoming.linked,
                    height=max(status.peer_height, incoming.height),
                    last_heard_ms=None if heard_s is None else int((now_s - heard_s) * 1000),
                    queued_items=status.queued_items,
                    queued_bytes=status.queued_bytes,
                    sent_frames=status.counters.sent_frames,
                    sent_items=status.counters.sent_items,
                    sent_bytes=status.counters.sent_bytes,
                    dropped_transactions=status.counters.dropped_transactions,
                    dropped_messages=status.counters.dropped_messages,
                    connections=status.connections,
                    last_error=status.last_error,
                )
            )
        return tuple(reports)
