"""Whole consortiums in memory: the production core and ledger under one seed in virtual time.

What is simulated is everything between the cores: links that lose, repeat, delay and reorder,
one-way and symmetric partitions, disks, power, clocks, clients, operators, and banks that lie. What
is not simulated is cryptography: signatures and proofs are oracles that nobody can forge (`oracle`,
`proof_oracle`; BFT-12 section 16). The consensus and the rules of the ledger are the very code that
a node runs.

Reading order, inner to outer
-----------------------------
`oracle`, `network`, `disk`, `ledger`      what the engine plays with
`bank`, `checker`, `checkers`              who looks on: one module for each promise
`engine`                                   banks, hosts, time: effects in, events out
`genesis`, `transactions`, `proof_oracle`, `evidence_desk`, `production_ledger`
                                           the production ledger for the engine
`clients`, `operators`                     who uses the ledger, and sees to the banks' stakes
`byzantine`                                banks that lie, by style, alone and as a coalition
`schedule`, `profiles`                     a run as a value, and how a seed becomes one
`run`, `shrink`, `trace`, `campaign`       playing one, cutting it down, reading it, playing many
`mutants`, `fork`                          the simulator's own tests: it must notice

A seed is one run for ever, on every machine: everything that is drawn comes from generators that
are named after the seed and their purpose.

What is promised, and by whom it is checked
-------------------------------------------
In every run: agreement, validity, write-ahead (D1, D2), innocence (no correct bank signs what would
convict it), the rollback guard (D4), equal state roots, conservation of value, the treasury's sums,
no correct bank convicted, durability of every acknowledged transaction. In the profile `live`,
after everything has healed: liveness, every provable offence convicted, readmission.
"""
