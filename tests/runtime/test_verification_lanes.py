"""BFT-12 section 12: one liar must not make everybody bisect."""

from __future__ import annotations

from node.runtime.verification_lanes import PENANCE, Pending, VerificationLanes


def pending(source: str, number: int = 0) -> Pending:
    return Pending(bytes([number]), source, None)  # type: ignore[arg-type]


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


def test_what_a_block_names_waits_behind_nothing() -> None:
    lanes = VerificationLanes()
    lanes.blame("client/liar")
    flood = [pending("client/a", number) for number in range(3)]
    liars = [pending("client/liar", number) for number in range(2)]
    named = pending("bank/1")
    for item in (*flood, *liars):
        lanes.put(item)
    lanes.put(named, urgent=True)
    lanes.hurry(flood[1])
    lanes.hurry(liars[1])
    assert lanes.take_urgent(100) == [named, flood[1], liars[1]]
    assert lanes.take(100) == [flood[0], flood[2]]
    lanes.hurry(flood[0])
    assert lanes.take(100) == [liars[0]]
    assert len(lanes) == 0


def test_how_much_one_source_has_waiting_is_known() -> None:
    lanes = VerificationLanes()
    for source in ("client/a", "client/a", "bank/1"):
        lanes.put(pending(source))
    assert (lanes.waiting_of("client/a"), lanes.waiting_of("bank/1")) == (2, 1)
    lanes.take(100)
    assert lanes.waiting_of("client/a") == 0


def test_section_12_sources_take_turns_in_the_common_batches() -> None:
    lanes = VerificationLanes()
    flood = [pending("bank/6", number) for number in range(5)]
    honest = [pending("client/a"), pending("client/b")]
    for item in (*flood, *honest):
        lanes.put(item)
    assert lanes.take(3) == [flood[0], *honest]
    late = pending("client/c")
    lanes.put(late)
    assert lanes.take(2) == [flood[1], late]
    assert lanes.take(100) == flood[2:]
    assert (len(lanes), lanes.take(100)) == (0, [])


def test_what_is_urgent_leaves_its_queue_and_has_one_of_its_own() -> None:
    lanes = VerificationLanes()
    items = [pending(f"bank/{number}", number) for number in range(3)]
    for item in items:
        lanes.put(item)
    lanes.hurry(items[1])
    assert (len(lanes), lanes.patient) == (3, 2)
    assert lanes.take_urgent(100) == [items[1]]
    assert lanes.take_urgent(100) == []
    assert lanes.take(100) == [items[0], items[2]]
    assert (len(lanes), lanes.patient) == (0, 0)
