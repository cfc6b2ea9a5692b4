"""The regulator: a process that follows all banks, votes on nothing, and trusts none (BFT-12 18).

`follower`           headers, ballot certificates and voting records, verified from the genesis on
`execution`          every block executed again, its outcome compared with the header's roots, and
                     every nullifier with those before it
`reverification`     one block in ten, drawn by a sealed seed, and every challenged one, verified
                     again, proofs included, from the bytes that one bank stores
`accusations`        a sealed block that is invalid: evidence E5 by its seal, handed in until the
                     banks have taken it
`handing_in`         offering evidence to so many banks that one of them is correct
`settling`           counts of a year by the sums of its ballots, the SETTLEMENT that proves them
`openings`           naming who cast a ballot, with a proof for everybody and an audit row each time
`ballot_conflicts`   two ballots under one tag: opened, made into evidence E8, handed in
`officers`           the same with the opener's key split among t of m officers
`backend`, `process` its own gRPC service, and the composition root

What it knows: which banks approved a block, as a set, from the sum of the block's ballots. It keeps
only the counts of each year. A single ballot is opened for evidence or by an order, and then a row
of the append-only audit log says so before anybody learns the name.

Secrets: `opener.key` (absent where officers hold shares) and `draw.root`, mode 0600, in the
regulator's own directory. Neither is ever logged, sent, or stored in a database.

What it cannot do: vote, spend, choose which blocks it examines (the seed is committed in the
genesis), or claim wrong counts (every bank verifies the one proof).
"""
