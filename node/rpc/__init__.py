"""The network edge of a node: gRPC services, mutual TLS, roles, errors and links to other banks.

`server.serve` puts it together. A call passes through these steps in this order, each refusing
with a gRPC status and a google.rpc reason: TLS with a certificate of the consortium's CA
(`credentials`); identity and role (`identity_check`, `roles`: one table of every method); the
caller's share of concurrent calls; request size before parsing; parsing and field limits
(`node.wire` codecs); the method's own time limit; the backend. Whatever a backend raises is
translated by the one table in `errors`; an exception nobody foresaw becomes INTERNAL with a
correlation id that the log repeats, and nothing of it leaves the bank.

Services know nothing of ledger, mempool or database: they call the protocols of `backend`, which
`node.runtime` implements. `peer_link` is the outgoing half of the bank-to-bank stream,
`certificates` the consortium's certificate authority.
"""
