"""Evaluation: benchmark folders, runs of the search over them, measures, and what was measured."""
