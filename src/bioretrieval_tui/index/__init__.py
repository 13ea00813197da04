"""Indexes on disk: documents, vectors and graph under one manifest, built, opened and removed."""
