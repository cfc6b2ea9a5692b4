"""What travels between processes: generated stubs of `consortium.v1` and their translation.

The contract is `proto/node/wire/*.proto`; its comments are the API reference. `*_pb2*` modules are
generated and committed. `records` holds the values of the API as frozen dataclasses, `codec`,
`peer_codec` and `operator_codec` turn stubs into them and back, with every size limit checked,
and `identity` names the parties and their roles. Servers (`node.rpc`) and clients (`node.client`)
both build on these, so neither sees the other.

What is hashed or signed is never a protobuf encoding: stubs carry canonical bytes of
`node.ledger`, `node.consensus` and IDX1 unchanged.
"""
