"""Whole consortiums in memory: the production core and ledger under one seed in virtual time.

What is simulated is everything between the cores: links that lose, repeat, delay and reorder,
one-way and symmetric partitions, disks, power, clocks, clients, operators, and banks that lie. What
is not simulated is cryptography: signatures, ballots and proofs are oracles that nobody can forge
(`oracle`, `ballot_oracle`, `proof_oracle`; BFT-12 section 16). The consensus and the rules of the
ledger are the very code that a node runs; so are the sums of ballots' ciphertexts and the proofs of
settlements, for the oracle's ballots hold real points.

Reading order, inner to outer
-----------------------------
`oracle`, `ballot_oracle`                  signatures and ballots
`network`, `disk`, `ledger`                what the engine plays with
`bank`, `checker`, `checkers`              who looks on: one module for each promise
`engine`                                   banks, hosts, time: effects in, events out
`genesis`, `transactions`, `proof_oracle`, `evidence_desk`, `production_ledger`
                                           the production ledger for the engine
`clients`, `operators`, `regulator`        who uses the ledger, sees to the banks' stakes, and
                                           settles fiscal years
`byzantine`                                banks that lie, by style, alone and as a coalition
`schedule`, `profiles`                     a run as a value, and how a seed becomes one
`run`, `shrink`, `trace`, `campaign`       playing one, cutting it down, reading it, playing many
`mutants`, `fork`                          the simulator's own tests: it must notice

A seed is one run for ever, on every machine: everything that is drawn comes from generators that
are named after the seed and their purpose.

What is promised, and by whom it is checked
-------------------------------------------
In every run: agreement, validity, write-ahead (D1, D2), innocence (no correct bank signs what would
convict it; one ballot in a view), the rollback guard (D4), equal state roots, conservation of
value, the treasury's sums, the voting record (every seal and every record holds approvals of q
different banks, as the oracle knows and nobody else), settlements (each year once, by the counts
that were recorded, to the last unit), no correct bank convicted, durability of every acknowledged
transaction. In the profile `live`, after everything has healed: liveness, every provable offence
convicted (two ballots too, once the regulator has opened one), readmission, settlement.
"""
