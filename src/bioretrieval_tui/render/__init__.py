"""Rows to text: for readers, programs and reference managers, pure functions."""
