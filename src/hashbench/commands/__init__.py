"""The subcommands of `hashbench`, one file each.

A file has a docstring, `HELP` (one line), `add_arguments(parser)` and `run(arguments)`, which gives the exit status or
nothing for 0. It imports what it works with inside `run`, so that `hashbench --help` need not load it.
"""
