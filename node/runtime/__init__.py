"""The node at the edge of the pure rooms: event loop, clock, files, database, links.

`node` composes everything. `driver` runs the consensus core and executes its effects through
`consensus_host`; `chain` asks the pure ledger; `admission` verifies whatever arrives, in
micro-batches; `transaction_pool` holds what is on its way; the three `*_backend` modules answer
clients, peers and operators; `supervisor` runs a whole local consortium.

Three deviations from the architecture's text, and why:

* Verification batches are formed over all sources in good standing, not per source: a batch of
  one costs ten times as much per transaction as a batch of a hundred. A source whose proof fails
  spoils one batch, and is then verified one by one at its own expense (`verification_lanes`).
* The own transactions of a bank are gossiped again while they wait, and a bank that comes back is
  told the whole mempool: a lost frame must not leave a bank without the knowledge that there is
  work.
* What comes from a client in good standing is gossiped before it is admitted, marked as such, while
  blocks have room: all banks verify it at the same time instead of one after the other, which is a
  third of the way to the seal. `early_gossip` says what keeps this from being abused.
"""
