"""A bank's node, and the client side of it.

Rooms, from the inside out; each may import those before it and none after it:

ledger      pure state machine: what a transaction may do, state in and state out
consensus   sans-IO consensus core: events in, ordered effects out
simulation  the same core under a seeded simulator with adversaries and checkers
wire        generated stubs, and the codec between them and the ledger's types
storage     PostgreSQL: tables, the consensus journal, queries, the embedded server
rpc         grpc.aio services, interceptors, mutual TLS, links to the peers
client      public client and wallet
runtime     composition root: event loop, clock, configuration, admission
dashboard   the operator's web page
cli         the `consortium` command

The import contracts in pyproject.toml hold the rooms to this order.
"""
