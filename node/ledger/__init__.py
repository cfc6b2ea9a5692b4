"""The ledger: a pure state machine. State in, state out; no clock, no randomness, no IO.

Reading order, inner to outer:

`types`, `encoding`             narrow number types; the one canonical encoding
`active_set`, `blocks`          who decides a height; header and block
`rejection`                     the reason enum and the one error that carries it
`parameters`, `definitions`, `genesis`, `fiscal_year`    what all banks agree on beforehand
`state_records`, `state`, `accumulators`                 what the state root commits to
`governance_form`, `settlement`, `governance`            transactions about the banks: stakes,
                                return to the active set, the end of a fiscal year
`equations`, `ballots`, `voting_record`                  verified ballots, what is published of
                                a block, and which of its parent's ballots a block carries
`facts`, `rules`, `proofs`      judging a transaction by itself; proofs are verified once
`draw`, `settlement_rules`      which blocks the regulator examines; when a year may be settled
`offences`, `slashing`          evidence that was verified; which may be punished, and how
`effects`, `bins`, `treasury`, `transition`              executing a block
`block_validity`                judging and building whole blocks
`reexecution`                   executing a sealed block from its bytes and the state alone
`invalidity`, `execution_proof`, `ring_proof`            proving to others that a block is invalid
`invariants`                    conservation of money over the public totals

The host's loop: decode what arrived, look up `facts_needed`, `verify_transactions`; keep the
verdicts by id; `verify_parent_ballots`, or both at once with `verify_together`; verify evidence
(`node.consensus`) and ask `check_offence`; `build_block` when leading, `validate_block` when voting
and applying; store the `Transition` it returns in one database transaction; go on with
`transition.state`.

Where this differs from the protocol's text, and why: the state root covers everything but the id of
the block itself (a header cannot contain its own hash); a header's creator must be the leader of
its height and original view, which every correct proposal satisfies and which makes "proposer in
the active set" exact; proofs of possession stand outside the chain id, which they are bound to;
stake movements are applied in the order of the block's transactions, which they belong to; an
approval also signs the expiry of what it approves; a SETTLEMENT's proof covers its expiry too and
takes the place of a signature; a block ends one fiscal year at most; the range proof of a TRANSFER
is a matter of E5 only once a seal stands for the state that certifies the rings, because its
challenges hash them; a block carries exactly q approvals of
its parent and at most n - q rejections, so whoever verifies it does bounded work, and every block
counts the same; ballots that are no voting record whoever the banks are (unsorted, of two views,
about something else) are a matter of E5.
"""
