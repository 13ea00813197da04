"""Helpers without knowledge of the field: formatting, text, processes."""
