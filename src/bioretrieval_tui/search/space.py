"""Queries and documents of an index as points of one space, whatever its similarity is."""

from __future__ import annotations

import numpy as np

from bioretrieval_tui.encoding.distance import EXTRA, as_queries, extended_queries
from bioretrieval_tui.index.registry import OpenIndex
from bioretrieval_tui.search.candidates import Floats, Labels


def points(index: OpenIndex, labels: Labels) -> Floats:
    """The documents' vectors without what a distance adds to them: float32 (n, dimension)."""
    vectors: Floats = index.vectors.take(labels)
    return vectors[:, :-EXTRA] if index.manifest.similarity == "l2" else vectors


def query_point(index: OpenIndex, vector: Floats) -> Floats:
    """The point of a query's vector."""
    return (vector[:-EXTRA] / 2).astype(np.float32) if index.manifest.similarity == "l2" else vector


def query_at(index: OpenIndex, point: Floats) -> Floats:
    """The vector of a query that stands at `point`."""
    return extended_queries(point[None])[0] if index.manifest.similarity == "l2" else point


def query_like(index: OpenIndex, vector: Floats) -> Floats:
    """The vector of a query for what is near to a document of this vector."""
    return as_queries(vector[None])[0] if index.manifest.similarity == "l2" else vector
