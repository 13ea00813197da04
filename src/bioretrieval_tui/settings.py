"""What the app keeps between sessions: finished steps, small settings, earlier queries."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import private

LAST_INDEX = "last-index"
"""The index of one's own that was searched last."""
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
_PATIENCE = 10.0
"""Seconds that a write waits for those of other processes."""


class SettingsStore:
    """The SQLite file at `path`; it and its folder are made at the first write. All methods raise
    BioRetrievalError if it cannot be written, or is there and cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def done(self) -> frozenset[str]:
        """Ids of the entries marked as done."""
        return frozenset(row[0] for row in self._read("select entry from done"))

    def set_done(self, entry: str, done: bool) -> None:
        """Mark an entry as done, or take the mark away."""
        if done:
            self._run("insert or ignore into done (entry) values (?)", entry)
        else:
            self._run("delete from done where entry = ?", entry)

    def setting(self, name: str) -> str | None:
        rows = self._read("select value from setting where name = ?", name)
        return str(rows[0][0]) if rows else None

    def set_setting(self, name: str, value: str) -> None:
        self._run("insert or replace into setting values (?, ?)", name, value)

    def queries(self) -> list[str]:
        """Earlier queries, newest first, each once."""
        return [str(row[0]) for row in self._read("select query from asked order by place desc")]

    def keep_query(self, query: str) -> None:
        """Keep a query as the newest one."""
        self._run("insert or replace into asked (query) values (?)", query)
        newest = "select place from asked order by place desc limit ?"
        self._run(f"delete from asked where place not in ({newest})", MOST_QUERIES)  # noqa: S608

    def _read(self, statement: str, *values: str) -> list[Any]:
        return self._run(statement, *values) if self.path.exists() else []

    def _run(self, statement: str, *values: str | int) -> list[Any]:
        """The rows of a statement in a transaction, in a file that is made if it is not there."""
        import sqlite3

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(private(self.path, os.O_RDONLY | os.O_CREAT))
            with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as connection, connection:
                connection.executescript(_SCHEMA)
                return connection.execute(statement, values).fetchall()
        except (OSError, sqlite3.Error) as error:
            raise BioRetrievalError(
                f"the settings file {self.path} cannot be used: {error}",
                remedy="check the folder, or move the file away to start a new one",
            ) from error
