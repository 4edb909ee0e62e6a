"""The command line: one room a command."""
