"""BFT-12, the consensus of the consortium, as a sans-IO core: events in, ordered effects out."""
