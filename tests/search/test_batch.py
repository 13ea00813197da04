"""Many queries at once: the order of the answers, and faults among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.search.batch import BATCH, answers
from bioretrieval_tui.search.types import Query


class NoModels:
    """An index that is asked for no vector."""

    engines: Mapping[str, Any] = {}


def asked(count: int) -> Iterator[tuple[str, Query]]:
    return ((f"q{number}", Query(text=str(number), mode="lexical")) for number in range(count))


@pytest.mark.parametrize("count", [0, 1, BATCH, 2 * BATCH + 1])
def test_answers_are_in_the_order_of_the_queries(count: int) -> None:
    found = answers(NoModels(), asked(count), lambda query, _: query.text)  # type: ignore[arg-type] # no index
    assert list(found) == [(f"q{number}", str(number)) for number in range(count)]


def test_a_fault_comes_after_the_answers_before_it() -> None:
    def answer(query: Query, _: object) -> str:
        if query.text == "70":
            raise UsageError("no")
        return query.text

    found = answers(NoModels(), asked(200), answer)  # type: ignore[arg-type] # no index
    assert [next(found)[1] for _ in range(70)] == [str(number) for number in range(70)]
    with pytest.raises(UsageError):
        next(found)
