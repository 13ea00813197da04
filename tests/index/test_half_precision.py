"""float16 as float32: every number of it, and products with them."""

from __future__ import annotations

import numpy as np
import pytest

from bioretrieval_tui.index.half_precision import products, widened

EVERY = np.arange(2**16, dtype=np.uint16).view(np.float16)


def test_every_finite_number_is_itself() -> None:
    with np.errstate(all="ignore"):
        right = EVERY.astype(np.float32)
    finite = np.isfinite(right)
    ours = widened(EVERY)
    np.testing.assert_array_equal(ours[finite].view(np.uint32), right[finite].view(np.uint32))
    assert np.isfinite(ours).all()  # infinity and what is no number become large numbers


@pytest.mark.parametrize("shape", [(0, 4), (1, 384), (1_023, 16), (1_025, 16), (3_000, 7)])
def test_products_are_those_of_float32(shape: tuple[int, int]) -> None:
    chance = np.random.default_rng(2)
    rows = chance.normal(size=shape).astype(np.float16)
    query = chance.normal(size=shape[1]).astype(np.float32)
    for scale in (1e-6, 1.0, 1e4):
        found = products(rows, query * np.float32(scale))
        due = rows.astype(np.float64) @ (query.astype(np.float64) * scale)
        np.testing.assert_allclose(found, due, rtol=1e-5, atol=1e-5 * scale)
    assert found.dtype == np.float32


def test_the_smallest_numbers_count() -> None:
    tiny = np.full((1, 8), np.float16(6e-8))
    expected = float(tiny.astype(np.float64).sum())
    assert products(tiny, np.ones(8, np.float32))[0] == pytest.approx(expected, rel=1e-6)


def test_rows_that_do_not_lie_together() -> None:
    """Of a memory map, a column slice or a transposed array."""
    rows = np.random.default_rng(4).normal(size=(40, 32)).astype(np.float16)
    for view in (rows[::2], rows[:, ::2], np.asfortranarray(rows)):
        np.testing.assert_array_equal(widened(view), view.astype(np.float32))
