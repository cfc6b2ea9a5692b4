"""BFT-12 section 12: one liar must not make everybody bisect."""

from __future__ import annotations

from node.runtime.verification_lanes import PENANCE, Pending, VerificationLanes


def pending(source: str, number: int = 0) -> Pending:
    return Pending(bytes([number]), source, None)


def test_sources_in_good_standing_share_a_batch() -> None:
    lanes = VerificationLanes()
    items = [pending("client/a"), pending("client/b"), pending("bank/1")]
    for item in items:
        lanes.put(item)
    assert lanes.take(100) == items
    assert len(lanes) == 0


def test_a_batch_has_a_limit() -> None:
    lanes = VerificationLanes()
    for number in range(5):
        lanes.put(pending("client/a", number))
    assert [item.raw for item in lanes.take(3)] == [b"\x00", b"\x01", b"\x02"]
    assert [item.raw for item in lanes.take(3)] == [b"\x03", b"\x04"]


def test_a_blamed_source_is_verified_alone_and_what_it_queued_moves_with_it() -> None:
    lanes = VerificationLanes()
    liar = [pending("client/liar", number) for number in range(2)]
    honest = pending("client/honest")
    for item in (liar[0], honest, liar[1]):
        lanes.put(item)
    assert lanes.blame("client/liar")
    assert not lanes.blame("client/liar")
    assert lanes.suspects == ("client/liar",)
    assert lanes.take(100) == [honest]
    assert lanes.take_suspect() == [liar[0]]
    assert lanes.take(100) == [liar[1]]
    assert len(lanes) == 0


def test_suspects_take_turns() -> None:
    lanes = VerificationLanes()
    lanes.blame("client/a")
    lanes.blame("client/b")
    for source in ("client/a", "client/a", "client/b"):
        lanes.put(pending(source))
    sources = [lanes.take_suspect()[0].source for _ in range(3)]
    assert sources == ["client/a", "client/b", "client/a"]
    assert lanes.take_suspect() == []


def test_valid_transactions_restore_a_source() -> None:
    lanes = VerificationLanes()
    lanes.blame("client/a")
    waiting = pending("client/a", 1)
    lanes.put(waiting)
    for _ in range(PENANCE - 1):
        lanes.credit("client/a")
    assert lanes.suspects == ("client/a",)
    lanes.credit("client/a")
    assert lanes.suspects == ()
    assert lanes.take(100) == [waiting]
