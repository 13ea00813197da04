"""The command line: one file a command group, each of them thin."""
