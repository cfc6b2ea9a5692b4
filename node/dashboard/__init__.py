"""The operator's page: a web server over the public clients, which knows what any client may.

It asks every bank's Operator service about its health, follows the sealed blocks of one bank and
turns to another when that one dies, and serves what it learned to any number of browsers: a JSON
API, one stream of server-sent events, static files. Banks are not trusted for what can be checked:
blocks, ballots, inclusion and the treasury's state are verified from the genesis alone.

Who sees what. On loopback the public ledger is free: blocks, transactions, votes, treasury, which
banks answer. What a bank tells its operators alone (links, memory, alarms, who voted, rounds and
traces, faults) needs an operator's session, because a user of the machine is not necessarily the
operator. A session is opened by the login token, which lies in a file of mode 0600 below the
consortium's directory and stands in the fragment of the address that `consortium up` prints, so
that the printed address just works and the token is in no log and no request line. From other
machines the page is served over TLS alone and nothing is free: the caller shows an operator's
certificate of the consortium or the login token. Breaking banks needs a session, a token against
forged requests, and a server that was not started with `--no-faults`.
"""
