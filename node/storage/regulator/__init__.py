"""The regulator's own database: what it followed, drew, re-verified, opened and settled.

It is apart from every bank's: its role alone may connect to it. It keeps counts of approvals by
year and not who voted on which block, so what it does not need cannot leak from it. The audit log,
challenges, re-verifications and alarms are append-only; audit rows are chained by hash.
"""
