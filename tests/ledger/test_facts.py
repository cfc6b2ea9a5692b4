"""What a host has to look up before the rules can judge."""

from __future__ import annotations

from node.ledger.facts import FactsNeeded, facts_needed
from tests.ledger.chain import Chain


def test_facts_needed_names_everything_once_in_order(chain: Chain) -> None:
    notes = chain.mature()
    transfer = chain.transfer([notes[0], notes[1]])
    mint = chain.mint([10])
    decoded = [chain.decode(transfer), chain.decode(mint), chain.decode(transfer)]
    assert facts_needed(decoded) == FactsNeeded(
        nullifiers=(notes[0].nullifier, notes[1].nullifier),
        one_time_keys=tuple(output.one_time_key for item in decoded[:2] for output in item.outputs),
        bin_ids=(notes[0].bin_id,),
        transaction_ids=(decoded[0].transaction_id, decoded[1].transaction_id),
    )


def test_verified_transactions_need_what_their_bytes_need(chain: Chain) -> None:
    raw = chain.transfer(chain.mature()[:1])
    assert facts_needed(chain.verify(raw)) == facts_needed([chain.decode(raw)])
