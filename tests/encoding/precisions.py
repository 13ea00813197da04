"""The precisions that a model computes in, and how near its vectors must come in each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Precision:
    """One precision, under the name that BIORETRIEVAL_PRECISION takes.

    least: the lowest cosine to vectors computed in float32.
    """

    name: str
    least: float

    def agree(self, ours: np.ndarray, theirs: np.ndarray) -> None:
        """Assert that `ours` are the vectors that `theirs` are in float32: in float32 to 1e-5 a
        component; in bfloat16 by cosine, and within 2% in length."""
        assert ours.dtype == np.float32
        assert ours.shape == theirs.shape
        if self.name == "float32":
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
        a, b = ours.astype(np.float64), theirs.astype(np.float64)
        lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
        assert ((a * b).sum(axis=1) / lengths[0] / lengths[1]).min() >= self.least
        np.testing.assert_allclose(lengths[0], lengths[1], rtol=2e-2)


FLOAT32 = Precision("float32", 0.999999)
BFLOAT16 = Precision("bfloat16", 0.999)
