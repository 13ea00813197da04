"""Widgets draw roles and post messages; the panes own the state."""
