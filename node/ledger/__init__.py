"""The ledger: a pure state machine. State in, state out; no clock, no randomness, no IO.

To be completed by the modules of this package.
"""
