"""What a bank keeps: its own PostgreSQL database, and the server for it where none is given.

`embedded_postgres` runs a PostgreSQL server of our own for the local consortium, one database and
one role a bank. Nothing else in this package knows where the server came from: it receives a
database URL.
"""
