"""The panes (one a digit key) and the dialogs."""
