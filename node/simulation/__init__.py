"""Whole consortiums in memory: the production core and ledger under one seed in virtual time."""
