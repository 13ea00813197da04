"""The reader's shelf: stars, reading status, tags and notes, and saved searches, in an SQLite file.

A thing is found by any of its keys: `entry:ID` of the catalogue; of a document `pmid:N`, `doi:D`
and `text:HASH`, so that another index, or the same one built again, finds the same mark. What is
needed to show and cite a document is kept with it, for when its index is gone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import msgspec
from msgspec.structs import replace

from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.paths import file_errors, locked, places, private

if TYPE_CHECKING:
    import sqlite3

STAR = "\N{BLACK STAR}"
STATUSES = ("to read", "reading", "read")
"""What a status may be, besides none ("")."""
MOST_CHARACTERS = 100_000
"""Longest note."""
_LONGEST_TAG = 100
_VERSION = 1
_SCHEMA = """
create table mark (
    id integer primary key, kind text not null, title text not null, year integer, url text,
    starred integer not null, status text not null, note text not null, added text not null,
    changed text not null, about text not null
);
create table name (
    key text primary key, mark integer not null references mark on delete cascade
) without rowid;
create index names on name (mark);
create table tag (
    mark integer not null references mark on delete cascade, tag text not null,
    primary key (mark, tag)
) without rowid;
create table saved (letter text primary key, pane text not null, state text not null);
"""
_COLUMNS = "id, kind, title, year, url, starred, status, note, added, changed"
_PATIENCE = 20.0
"""Seconds that a write waits for those of other processes."""
_DAMAGED = frozenset({11, 26})
"""SQLite's codes of a malformed file, and of one that is no database."""
_HEADER = 28
"""Bytes of an SQLite file up to its count of changes, which has four."""
_ORDER = {"entry": 0, "pmid": 1, "doi": 2, "text": 3}

_T = TypeVar("_T")


class ShelfMark(msgspec.Struct, frozen=True, kw_only=True):
    """A thing with what its reader noted of it; without star, status, tag and note it is on no
    shelf.

    keys: the first names it, all find it; kind: of an entry, or "document"; added, changed: ISO
    8601, UTC; about: of a document its id, text and metadata, where they were asked for or given.
    """

    keys: tuple[str, ...]
    kind: str = "document"
    title: str = ""
    year: int | None = None
    url: str | None = None
    starred: bool = False
    status: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""
    added: str = ""
    changed: str = ""
    about: dict[str, Any] = {}

    @property
    def key(self) -> str:
        return self.keys[0]

    @property
    def entry(self) -> str:
        """The id of the entry; "" for a document."""
        kind, _, identifier = self.key.partition(":")
        return identifier if kind == "entry" else ""

    @property
    def noted(self) -> tuple[bool, str, tuple[str, ...], str]:
        """What the reader noted: star, status, tags, note."""
        return self.starred, self.status, self.tags, self.note

    @property
    def kept(self) -> bool:
        return any(self.noted)


Change = Callable[[ShelfMark], ShelfMark]
"""Makes another mark of the present one."""


class SavedSearch(msgspec.Struct, frozen=True):
    """A query or a filter under a letter. state: what the pane needs to show it again."""

    letter: str
    pane: str
    state: dict[str, str]


def status_of(text: str) -> str:
    """The status that a text names: `to-read` is "to read", `none` no status. Raises UsageError."""
    found = " ".join(text.casefold().replace("-", " ").replace("_", " ").split())
    if found not in (*STATUSES, "none", ""):
        raise UsageError(f"there is no status '{text}'", remedy="use to-read, reading, read, none")
    return "" if found == "none" else found


def tags_of(words: Iterable[str]) -> tuple[str, ...]:
    """Tags in order, each once, on one line and without the sign before it. Raises UsageError."""
    found = {" ".join(word.split()).lstrip("#").strip() for word in words} - {""}
    if any(len(tag) > _LONGEST_TAG for tag in found):
        raise UsageError(f"a tag has more than {_LONGEST_TAG} characters", remedy="use a note")
    return tuple(sorted(found))


def noted_as(other: ShelfMark) -> Change:
    """The change that notes what another mark does, and nothing else."""
    return lambda mark: replace(
        mark, starred=other.starred, status=other.status, tags=other.tags, note=other.note
    )


def merged(other: ShelfMark) -> Change:
    """The change that joins another mark: tags and stars of both; status and note of the newer."""

    def change(mark: ShelfMark) -> ShelfMark:
        newer, older = (other, mark) if other.changed > mark.changed else (mark, other)
        return replace(
            mark,
            starred=mark.starred or other.starred,
            status=newer.status or older.status,
            tags=(*mark.tags, *other.tags),
            note=newer.note or older.note,
            added=min(filter(None, (mark.added, other.added)), default=""),
            changed=newer.changed,
        )

    return change


def _tell(text: str) -> NoReturn:
    raise BioRetrievalError(text)


class ShelfStore:
    """The file at `path`, made private at the first change.

    A damaged file is kept aside, a new one made, and `remark` called with the loss. All methods
    raise BioRetrievalError if the file cannot be used, as `remark` does by default.
    """

    def __init__(self, path: Path, remark: Callable[[str], object] = _tell) -> None:
        self.path = path
        self.remark = remark

    # Marks -------------------------------------------------------------------------------

    def marks(self, *, about: bool = False) -> list[ShelfMark]:
        """All marks, newest first. about: with what shows and cites them."""
        return self._read(lambda db: _marks(db, "", (), about=about)) or []

    def about(self, key: str) -> dict[str, Any]:
        """What shows and cites the thing of this key; {} if it is not on the shelf."""
        rows = self._read(
            lambda db: db.execute(
                "select about from mark join name on mark = id where key = ?", (key,)
            ).fetchall()
        )
        return _decoded(rows[0][0]) if rows else {}

    def change(
        self, changes: Iterable[tuple[ShelfMark, Change]]
    ) -> list[tuple[ShelfMark, ShelfMark]]:
        """Change several things, all or none; return what each was and is now. A thing is given as
        a mark, of which the keys and what shows it are read. Raises UsageError for a status, a tag
        or a note that cannot be."""
        now, given = datetime.now(UTC).isoformat(timespec="seconds"), list(changes)
        return self._write(lambda db: [_changed(db, thing, make, now) for thing, make in given])

    # Saved searches ----------------------------------------------------------------------

    def saved(self) -> list[SavedSearch]:
        """Saved searches by their letters."""
        rows = self._read(lambda db: db.execute("select * from saved order by letter").fetchall())
        return [SavedSearch(letter, pane, _decoded(state)) for letter, pane, state in rows or ()]

    def save(self, search: SavedSearch) -> None:
        """Keep a search; it replaces the one of its letter."""
        values = (search.letter, search.pane, msgspec.json.encode(search.state).decode())
        self._write(lambda db: db.execute("replace into saved values (?, ?, ?)", values))

    def forget(self, letter: str) -> None:
        """Remove the saved search of a letter."""
        self._write(lambda db: db.execute("delete from saved where letter = ?", (letter,)))

    # The file ----------------------------------------------------------------------------

    def version(self) -> bytes:
        """What differs after each change of the file, by any process."""
        try:
            with self.path.open("rb") as file:
                return b"%d %b" % (os.fstat(file.fileno()).st_ino, file.read(_HEADER)[-4:])
        except OSError:
            return b""

    def _read(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        def reading(db: sqlite3.Connection) -> _T:
            db.execute("begin")  # all that is read is of one moment
            return work(db)

        return self._run(reading) if self.path.exists() else None

    def _write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        def transaction(db: sqlite3.Connection) -> _T:
            db.execute("begin immediate")
            try:
                found = work(db)
            except BaseException:
                db.rollback()
                raise
            db.commit()
            return found

        with file_errors(f"the shelf {self.path} cannot be written"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(private(self.path, os.O_RDONLY | os.O_CREAT))
        return self._run(transaction)

    def _run(self, work: Callable[[sqlite3.Connection], _T], *, again: bool = True) -> _T:
        import sqlite3

        try:
            with closing(self._connect()) as db:
                return work(db)
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _DAMAGED and again:
                self._set_aside()
                return self._run(work, again=False)
            raise BioRetrievalError(
                f"the shelf {self.path} cannot be used: {error}",
                remedy="check the folder, or move the file away to start a new one",
            ) from error

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        db = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)
        try:
            db.execute("pragma foreign_keys = on")
            if (known := _version_of(db)) > _VERSION:
                said = f"the shelf {self.path} is of a newer version of this program"
                raise BioRetrievalError(said, remedy="update the program")
            if known < _VERSION:
                db.execute("begin immediate")
                if not _version_of(db):  # else another process has made it meanwhile
                    for statement in filter(str.strip, _SCHEMA.split(";")):
                        db.execute(statement)
                    db.execute(f"pragma user_version = {_VERSION}")
                db.commit()
        except BaseException:
            db.close()
            raise
        return db

    def _set_aside(self) -> None:
        lock = self.path.with_name(f".{self.path.name}.lock")
        with locked(lock, "the shelf cannot be replaced", "another process does so"):
            if self._sound():
                return  # another process has replaced it
            day = datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S")
            aside = self.path.with_name(f"{self.path.stem}.damaged-{day}{self.path.suffix}")
            with file_errors(f"the damaged shelf {self.path} cannot be moved away"):
                self.path.replace(aside)
                os.close(private(self.path, os.O_RDONLY | os.O_CREAT))
                journal = self.path.with_name(f"{self.path.name}-journal")
                if journal.exists():
                    journal.replace(aside.with_name(f"{aside.name}-journal"))
        self.remark(f"the shelf was damaged: its marks are lost here, the file is kept as {aside}")

    def _sound(self) -> bool:
        import sqlite3

        try:
            with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as db:
                return bool(db.execute("pragma quick_check(1)").fetchone()[0] == "ok")
        except sqlite3.DatabaseError:
            return False


def _decoded(text: str) -> dict[str, Any]:
    """An object; {} for what is none, which loses no other mark."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, TypeError):
        return {}


def _version_of(db: sqlite3.Connection) -> int:
    return int(db.execute("pragma user_version").fetchone()[0])


def _marks(
    db: sqlite3.Connection, where: str, values: tuple[object, ...], *, about: bool
) -> list[ShelfMark]:
    """The marks that a condition keeps, newest first."""
    names: dict[int, list[str]] = {}
    tags: dict[int, list[str]] = {}
    columns = _COLUMNS + (", about" if about else "")
    chosen = f"where mark in (select id from mark {where})" if where else ""  # noqa: S608
    for found, table, column in ((names, "name", "key"), (tags, "tag", "tag")):
        ordered = f"select mark, {column} from {table} {chosen} order by {column}"  # noqa: S608
        for mark, text in db.execute(ordered, values):
            found.setdefault(mark, []).append(text)
    order = "order by changed desc, id desc"
    rows = db.execute(f"select {columns} from mark {where} {order}", values)  # noqa: S608
    return [
        ShelfMark(
            keys=_in_order(names.get(row[0]) or [""]),
            kind=row[1], title=row[2], year=row[3], url=row[4], starred=bool(row[5]),
            status=row[6], tags=tuple(tags.get(row[0], ())),
            note=row[7], added=row[8], changed=row[9],
            about=_decoded(row[10]) if about else {},
        )
        for row in rows
    ]  # fmt: skip


def _in_order(keys: list[str]) -> tuple[str, ...]:
    """The sorted keys of a thing by `_rank`: only a DOI can stand in the wrong place."""
    return tuple(sorted(keys, key=_rank) if keys[0].startswith("doi:") else keys)


def _rank(key: str) -> tuple[int, str]:
    """The order of keys: by PMID, DOI, content."""
    return _ORDER.get(key.partition(":")[0], len(_ORDER)), key


def _changed(
    db: sqlite3.Connection, thing: ShelfMark, make: Change, now: str
) -> tuple[ShelfMark, ShelfMark]:
    held = ", ".join("?" * len(thing.keys))
    where = f"where id in (select mark from name where key in ({held}))"  # noqa: S608
    found = _marks(db, where, thing.keys, about=True)
    before = found[0] if found else replace(thing, starred=False, status="", tags=(), note="",
                                            added="", changed="")  # fmt: skip
    for other in found[1:]:  # known by different keys until now
        before = merged(other)(before)
    after = make(before)
    note = after.note.strip()
    if len(note) > MOST_CHARACTERS:
        said = f"a note of {len(note):,} characters is too long"
        raise UsageError(said, remedy=f"keep it below {MOST_CHARACTERS:,}")
    keys = sorted({*thing.keys, *(key for one in found for key in one.keys)}, key=_rank)
    after = replace(
        after,
        keys=tuple(keys),
        status=status_of(after.status),
        tags=tags_of(after.tags),
        note=note,
        added=after.added or now,
        changed=now if after.changed == before.changed else after.changed,
    )
    if thing.about or not found:
        after = replace(after, kind=thing.kind, title=thing.title, year=thing.year, url=thing.url,
                        about=thing.about)  # fmt: skip
    if len(found) < 2 and (after.noted, after.keys) == (before.noted, before.keys):
        return before, before
    db.execute(f"delete from mark {where}", thing.keys)  # noqa: S608
    if after.kept:
        about = msgspec.json.encode(after.about).decode()
        row = db.execute(
            "insert into mark values (null, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (after.kind, after.title, after.year, after.url, after.starred, after.status,
             after.note, after.added, after.changed, about),
        ).lastrowid  # fmt: skip
        db.executemany("insert into name values (?, ?)", [(key, row) for key in after.keys])
        db.executemany("insert into tag values (?, ?)", [(row, tag) for tag in after.tags])
    return before, after


class Shelf:
    """The marks of a store by their keys, as they were read last."""

    def __init__(self, marks: Iterable[ShelfMark] = ()) -> None:
        self.marks = list(marks)

    @cached_property
    def by_key(self) -> dict[str, ShelfMark]:
        return {key: mark for mark in self.marks for key in mark.keys}

    def find(self, keys: Iterable[str]) -> ShelfMark | None:
        """The mark of the thing with these keys."""
        return next(filter(None, map(self.by_key.get, keys)), None)

    def entry(self, identifier: str) -> ShelfMark | None:
        """The mark of an entry of the catalogue."""
        return self.by_key.get(f"entry:{identifier}")


def shelf_path() -> Path:
    return places().data / "shelf.sqlite"


_read_last: tuple[Path, bytes, Shelf] | None = None


def kept_shelf() -> Shelf:
    """The shelf of the user, read again if it has changed. Raises BioRetrievalError."""
    global _read_last
    store = ShelfStore(shelf_path())
    version = store.version()
    if _read_last is None or _read_last[:2] != (store.path, version):
        _read_last = store.path, version, Shelf(store.marks())
    return _read_last[2]
