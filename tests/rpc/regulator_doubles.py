"""What stands in for a bank's backend for the regulator in tests of the RPCs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from node.ledger.rejection import Reason, Rejection


@dataclass
class SupervisionDouble:
    """Takes every item of evidence but those that begin with zero."""

    taken: list[bytes] = field(default_factory=list)

    async def submit_evidence(self, item: bytes) -> bytes:
        if item[0] == 0:
            raise Rejection(Reason.EVIDENCE, "proves nothing")
        self.taken.append(item)
        return hashlib.sha256(item).digest()
