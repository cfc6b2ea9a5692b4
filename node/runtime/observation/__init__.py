"""What happened at this bank, kept in memory for the people who run it.

Every edge of the node tells one `Observation`: when a proposal came, when this bank voted,
committed and applied, what was checked of a transaction and how long it took. Nothing here acts on
what it is told, and nothing in the node reads it but the answers to operators, metrics and traces.

Bounded: the last heights and the last transactions, each within a fixed number of bytes; what is
older, or was before the last start, is gone. It knows from which bank a transaction came, and of
clients only that one sent it.
"""

from __future__ import annotations

from node.runtime.observation.histogram import Histogram
from node.runtime.observation.observation import Observation

__all__ = ["Histogram", "Observation"]
