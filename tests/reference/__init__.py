"""An independent, slow verifier of IDX1, written from its text alone.

It shares nothing with the production code: no module of `crypto` is imported, curve arithmetic is
py_ecc's, every equation is checked by itself as written, without batching and without packed
integers. Ed25519 is computed here from RFC 8032; X25519, HKDF and ChaCha20-Poly1305 come from
`cryptography`.

`framing` sections 1 and 2.3, `group` 2 and 10.1, `notes` 3 and 4, `layout` 5 and 8.1, `rules`
8.2-8.6 and the digests of 5.5, `equations` 6, 7 and 8.7, `ed25519` 7.6, `ballots` 9, `tree` 11,
`blocks` 8.8, and `vectors` with the module's command, `python -m tests.reference FILE`, section 13.
"""

import importlib
import sys

# py_ecc raises the recursion limit of the whole process, so far that hostile nesting
# overflows the C stack in whatever test runs after; nothing here needs more than the default.
_limit = sys.getrecursionlimit()
importlib.import_module("py_ecc.bls.hash_to_curve")
sys.setrecursionlimit(_limit)
