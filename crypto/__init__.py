"""IDX1: confidential notes, range proofs, spend proofs, issues, anonymous ballots, batch
verification."""
