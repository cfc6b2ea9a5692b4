"""The signatures of the simulator, for tests that play one core at a desk."""

from __future__ import annotations

from node.simulation.oracle import OracleSigner, OracleVerifier, public_key

__all__ = ["OracleSigner", "OracleVerifier", "public_key"]
