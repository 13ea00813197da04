"""Euclidean distance by inner products, for models whose authors rank by it.

An index knows inner products only. So a document x gets components behind it and so does a query
q, such that their inner product is exactly -|q - x|^2: the nearest comes first, and the score is a
distance still. With c = 1024:

    document  [ x,   -h,  -l,  1      ]    h + l = |x|^2 / 2c
    query     [ 2q,  2c,  2c,  -|q|^2 ]

Vectors of documents are kept in half precision, which has eleven bits: too few for a squared
length, so h has the first of them and l the rest; and the length is that of the halves, since those
are what a query is compared with. c keeps h small, so that two documents that are compared with
each other, as a graph does while it is built, are compared by x.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

EXTRA = 3
"""Components that are added."""
_SCALE = 1024.0


def extended_documents(vectors: Vectors) -> Vectors:
    """float32 (n, dimension + EXTRA) of document vectors (n, dimension)."""
    halves = vectors.astype(np.float16).astype(np.float64)
    wanted = (halves**2).sum(axis=1) / (2 * _SCALE)
    first = wanted.astype(np.float16).astype(np.float64)
    extra = np.stack([-first, first - wanted, np.ones_like(first)], axis=1)
    return np.concatenate([vectors, extra.astype(np.float32)], axis=1)


def extended_queries(vectors: Vectors) -> Vectors:
    """float32 (n, dimension + EXTRA) of query vectors (n, dimension)."""
    squares = (vectors.astype(np.float64) ** 2).sum(axis=1)
    extra = np.empty((len(vectors), EXTRA), dtype=np.float32)
    extra[:, :2] = 2 * _SCALE
    extra[:, 2] = -squares
    return np.concatenate([2 * vectors, extra], axis=1)


def as_queries(documents: Vectors) -> Vectors:
    """What asks for the neighbours of documents whose extended vectors (n, dimension + EXTRA)
    are known, as those of an index are."""
    return extended_queries(documents[:, :-EXTRA].astype(np.float32))
