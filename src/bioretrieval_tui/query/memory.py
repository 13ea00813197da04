"""Keeping the latest results, so that the next keystroke finds what the last one worked out."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class Recent(Generic[KeyT, ValueT]):
    """The latest `limit` results by key; the oldest goes first.

    Unlike functools.lru_cache around a method it does not hold its owner, so that a filter of
    many rows is freed at once when its list is replaced.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: dict[KeyT, ValueT] = {}

    def peek(self, key: KeyT) -> ValueT | None:
        """The result of `key` if it is still known."""
        return self._kept.get(key)

    def get(self, key: KeyT, make: Callable[[KeyT], ValueT]) -> ValueT:
        """The result of `key`, made by `make(key)` where it is not known; what that raises."""
        if key in self._kept:
            return self._kept[key]
        value = make(key)
        while len(self._kept) >= self._limit:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = value
        return value
