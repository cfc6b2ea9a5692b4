"""Hostile messages for every method of a bank, and what must not happen when they arrive.

Message number `index` of a seed is a function of seed, index and corpus alone (`generation`), so
that a finding is two numbers. The corpus is what the ledger already shows to everybody
(`corpus`); mutations work on bytes (`byte_mutation`), on the fields of protobuf (`field_mutation`)
and on decoded values (`value_mutation`), and `grammar` builds requests from their descriptors.
`delivery` sends them under the credentials of clients, operators, the regulator and banks,
`campaign` sends many, `observation` compares the banks before and after.

Nothing is ever signed: a conflicting statement under a bank's own key would be that bank's
offence and not a malformed message.
"""
