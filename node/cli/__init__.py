"""The `consortium` command: starting, operating and using a consortium from a terminal.

`main` knows every command by name and imports its module only when it is asked for, so that a
node's process does not carry what it does not need. Answers go to standard output, everything
else to standard error. Exit codes: 0 all well, 1 a check failed or something was refused, 2 the
command was not understood, 3 nobody could be reached.
"""
