"""Earlier queries in the library file."""

from __future__ import annotations

from pathlib import Path

import pytest

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.settings import MOST_QUERIES, SettingsStore


def test_newest_first_each_once_and_not_too_many(tmp_path: Path) -> None:
    library = SettingsStore(tmp_path / "data" / "library.sqlite")
    assert library.queries() == []
    assert not library.path.exists()
    for n in range(MOST_QUERIES + 20):
        library.keep_query(f"query {n}")
    library.keep_query("query 100")
    found = SettingsStore(library.path).queries()
    assert len(found) == MOST_QUERIES
    assert found[:3] == ["query 100", "query 219", "query 218"]
    assert found.count("query 100") == 1
    assert "query 19" not in found


def test_a_library_of_before_gets_them(tmp_path: Path) -> None:
    """A file that an older version made has no such table yet."""
    import sqlite3

    path = tmp_path / "library.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("create table setting (name text primary key, value text not null)")
        connection.execute("insert into setting values ('theme', 'light')")
    connection.close()
    library = SettingsStore(path)
    assert library.queries() == []
    library.keep_query("statins")
    assert library.queries() == ["statins"]
    assert library.setting("theme") == "light"


def test_what_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "library.sqlite"
    path.write_text("this is no database, whatever its name says")
    library = SettingsStore(path)
    for call in (library.queries, lambda: library.keep_query("statins")):
        with pytest.raises(BioRetrievalError, match="cannot be used"):
            call()
    assert path.read_text().startswith("this is no database")
