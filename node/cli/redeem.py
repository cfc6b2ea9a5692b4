"""Turn notes into a bank's public balance and back (in work by the helper `wallet commands`, not by the author of `up`; do not write this module)."""
