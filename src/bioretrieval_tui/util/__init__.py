"""Helpers that know nothing of retrieval: text folding and formatting."""
