"""What outlives a session: finished steps, small settings (theme, folders), earlier queries."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bioretrieval_tui.errors import BioRetrievalError

_SCHEMA = """
create table if not exists done (
    entry text primary key, at text not null default current_timestamp
);
create table if not exists setting (name text primary key, value text not null);
create table if not exists asked (
    place integer primary key autoincrement, query text not null unique
);
"""
MOST_QUERIES = 200
"""Queries that are kept; older ones go."""


class SettingsStore:
    """The SQLite file at `path`; it and its folder are made at the first write."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction, to a file that is made if it is not there."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=2.0)
        except (OSError, sqlite3.Error) as error:
            raise self._fault(error) from error
        try:
            with connection:
                connection.executescript(_SCHEMA)
                yield connection
        except sqlite3.Error as error:
            raise self._fault(error) from error
        finally:
            connection.close()

    def _fault(self, error: Exception) -> BioRetrievalError:
        return BioRetrievalError(
            f"the settings file {self.path} cannot be used: {error}",
            remedy="check the folder, or move the file away to start a new one",
        )

    def done(self) -> frozenset[str]:
        """Ids of the entries marked as done.

        Raises:
            BioRetrievalError: the file is there and cannot be read.
        """
        if not self.path.exists():
            return frozenset()
        with self._open() as connection:
            return frozenset(row[0] for row in connection.execute("select entry from done"))

    def set_done(self, entry: str, done: bool) -> None:
        """Mark an entry as done, or take the mark away.

        Raises:
            BioRetrievalError: the file cannot be written.
        """
        with self._open() as connection:
            if done:
                connection.execute("insert or ignore into done (entry) values (?)", (entry,))
            else:
                connection.execute("delete from done where entry = ?", (entry,))

    def setting(self, name: str) -> str | None:
        """A setting, or None."""
        if not self.path.exists():
            return None
        with self._open() as connection:
            found = connection.execute("select value from setting where name = ?", (name,))
            row = found.fetchone()
            return None if row is None else str(row[0])

    def set_setting(self, name: str, value: str) -> None:
        """Keep a setting."""
        with self._open() as connection:
            connection.execute("insert or replace into setting values (?, ?)", (name, value))

    def queries(self) -> list[str]:
        """Earlier queries, newest first, each once.

        Raises:
            BioRetrievalError: the file is there and cannot be read.
        """
        if not self.path.exists():
            return []
        with self._open() as connection:
            found = connection.execute("select query from asked order by place desc")
            return [str(row[0]) for row in found]

    def keep_query(self, query: str) -> None:
        """Keep a query as the newest one.

        Raises:
            BioRetrievalError: the file cannot be written.
        """
        with self._open() as connection:
            connection.execute("insert or replace into asked (query) values (?)", (query,))
            connection.execute(
                "delete from asked where place not in"
                " (select place from asked order by place desc limit ?)",
                (MOST_QUERIES,),
            )
