"""Widgets: one a file. They draw roles and post messages; the panes own the state."""
