"""IDX1: confidential notes, range proofs, spend proofs, issues, anonymous ballots, batch
verification.

A note hides its value in a Pedersen commitment and its owner in a one-time key. A transfer proves,
without naming them, that each input is some real note of a public ring, that it was not spent
before, and that values balance and are in range. A bank issues against a public, signed amount.
Twelve banks verify every transaction, so everything is shaped for verifying many at once, in one
multi-scalar multiplication.

Layers, each importing only from those above it:

`errors`                    reason codes, and errors whose type says whose fault it is     8, 9.6
`scalar` `encoding`         integers modulo the group order, fixed-width integers          1.4, 2.3
`curve`                     the group; the only module on the curve library                2
`transcript` `generators`   framed hashing, named points                                   1, 2.4
`randomness`                hedged coins of the provers                                    12.5
`subgroup`                  whether many points lie in G1, asked at once              2.2, 10.2
`accumulator`               weighted equations on shared bases, one zero test              6.5, 10
`ring` `layout`             bins; where every field of a transaction lies                  4, 5
`pedersen` `signature`      commitments, the one Ed25519 rule                              3.2, 7.6
`transaction`               canonical bytes, digests, form                                 5, 8.1
`range_proof` `spend` `issue`   prove, collect, accumulate: one statement a module         6, 7
`note`                      wallet keys, sealing, scanning                                 3
`build`                     what a wallet and an issuing bank call
`collected` `validation`    steps 8.1-8.6 against a `LedgerView`                           8
`batch`                     the equations of many items; blocks                  8.7, 8.8, 10
`ballot` and its parts      vote keys, ballots, openings                                   9
`opener_shares`             the opener's key among officers, proven decryptions            9.7
`ballot_tally`              counts of a sum of ballots, proven without opening one         BFT-12 18
`merkle`                    inclusion proofs over a block                                  11

How a bank uses it: `collect` once at admission, `verify_batch` over what arrived together, the
verdict kept by transaction id. When a block comes, `check_context` and `check_uniqueness` repeat
what depends on the state; `judge_block` does everything. Wallets call `scan_output` and
`build_transfer`.

Choices that IDX1 leaves open
- Coins are BLAKE2b of 64 bytes of randomness, the secret and the whole statement, expanded by
  counter; a source of randomness that breaks repeats a whole proof or nothing.
- `build_transfer` checks the rings it proves over for torsion, unless the caller vouches for having
  compared their digests with certified state; it checks that notes open and amounts balance.
- A batch may ask whether its strict points lie in G1 by random sums (`crypto.subgroup`), with a
  probability of at most 2^-66 that a false one passes at one bank; if they do not, every point is
  asked for itself. Where verdicts are reproduced from bytes alone, nothing is asked by sums.
- A failing batch is halved; a half is not tested as a whole when its sibling held.
- An invalid block is judged a second time with all equations known, so that a failed transaction
  frees what it occupied; its cost is bounded by twice that of a valid block and the search for the
  bad items. Nothing that decides validity deviates.

What is not proven or not protected (IDX1 12)
- Security rests on discrete logarithms in G1, on the random-oracle model, and for unlinkable
  nullifiers on a q-DDHI assumption; there is no machine-checked proof.
- Proving is not constant-time: the time of multiplications depends on secrets, so prove on the
  owner's machine.
- The anonymity set of a spend is the bin's real notes less those whose spends an observer knows;
  timing, network addresses, redeemed and issued amounts are public and may link what the proofs
  hide.
- Payees of a one-input transfer learn together the amount of its input. Who sees a pending
  transaction may publish its one-time key first; the wallet then rebuilds, no money is lost.
- A view key opens the values and receipts of its session.
"""
