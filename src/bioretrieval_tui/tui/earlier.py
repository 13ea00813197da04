"""Earlier queries: walking through them in the query line as a shell does."""

from __future__ import annotations

from collections.abc import Iterable


class Earlier:
    """Queries, newest first, and where one is among them."""

    MOST = 200

    def __init__(self) -> None:
        self.queries: list[str] = []
        self._at = -1
        self._draft = ""

    def load(self, queries: Iterable[str]) -> None:
        """Queries of former sessions, newest first; they stand behind those of this one."""
        self.queries = list(dict.fromkeys([*self.queries, *queries]))[: self.MOST]

    def add(self, query: str) -> bool:
        """Keep a query as the newest one; False if it is that already."""
        self._at = -1
        if self.queries[:1] == [query]:
            return False
        self.queries = [query, *(one for one in self.queries if one != query)][: self.MOST]
        return True

    def older(self, now: str) -> str | None:
        """The query before the one that stands in the line, or None if there is none."""
        return self._step(now, range(self._at + 1, len(self.queries)))

    def newer(self) -> str | None:
        """The query after it, at last what was being typed; None if that is in the line."""
        if self._at < 0:
            return None
        self._at -= 1
        return self._draft if self._at < 0 else self.queries[self._at]

    def containing(self, now: str) -> str | None:
        """The next older query that contains what was being typed, whatever the case."""
        sought = (now if self._at < 0 else self._draft).strip().casefold()
        places = range(self._at + 1, len(self.queries))
        return self._step(now, (at for at in places if sought in self.queries[at].casefold()))

    def typed(self, now: str) -> None:
        """What stands in the line now; if it is no query of these, walking begins anew."""
        if self._at >= 0 and self.queries[self._at] != now:
            self._at = -1

    def _step(self, now: str, places: Iterable[int]) -> str | None:
        for at in places:
            if self.queries[at] != now:
                if self._at < 0:
                    self._draft = now
                self._at = at
                return self.queries[at]
        return None
