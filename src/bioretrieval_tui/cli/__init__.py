"""The command line: one file a command group, each of them thin."""

PROGRAM = "bioretrieval-tui"
COMPLETION_VARIABLE = "_BIORETRIEVAL_TUI_COMPLETE"
"""Set by the shell's completion function; names the shell and what it wants."""
