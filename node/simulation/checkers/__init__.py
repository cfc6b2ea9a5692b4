"""What must hold in every run, one named checker each (BFT-12 sections 1, 4, 9, 14, 18)."""
