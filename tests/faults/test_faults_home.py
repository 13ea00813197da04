"""Four processes that write one file of the home at once; and who may read such files."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faulty import Child

from bioretrieval_tui.documents import checksum
from bioretrieval_tui.documents.checksum import remembered_sha256
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.online import freshness, spool, watches
from bioretrieval_tui.paths import keep_report, places, private, save_file, write_atomically
from bioretrieval_tui.search.catalogue_index import Abstract, keep_abstracts, kept_abstracts
from bioretrieval_tui.settings import SettingsStore

EACH = 6
NAMES = [f"w{writer}-{number}" for writer in range(4) for number in range(EACH)]


def settings() -> SettingsStore:
    return SettingsStore(places().data / "library.sqlite")


def star(name: str) -> None:
    spool.keep_starred("mine", {name: spool.line_of(Document(name, "t"))}, restart=False)


def starred() -> Iterator[str]:
    for line in spool.starred_path("mine").read_text().splitlines():
        yield line.split('"')[3]


def mark(name: str) -> None:
    settings().set_done(name, True)


def ask(name: str) -> None:
    settings().keep_query(name)


def watch(name: str) -> None:
    watches.add_watch(name, "pubmed", since="2026-03-01", today="2026-03-08")


def read_news(name: str) -> None:
    watches.mark_read("news", [name])


def describe(name: str) -> None:
    subject = freshness.Subject(where="arxiv", name=name, asked="2026-03-08")
    freshness.keep_subjects([subject], "2026-03-08T00:00:00+00:00")


def note(name: str) -> None:
    checksum._SETTLED_NS = -1
    remembered_sha256(places().data / "files" / name)


def noted() -> Iterator[str]:
    for path in (places().cache / "checksums").rglob("*.json"):
        yield path.stem


KINDS: dict[str, tuple[Callable[[str], None], Callable[[], object]]] = {
    "stars": (star, starred),
    "marks": (mark, lambda: settings().done()),
    "queries": (ask, lambda: settings().queries()),
    "watches": (watch, lambda: [one.watch.query for one in watches.watches()]),
    "news": (read_news, lambda: [one.id for one in watches.watched("news").news if one.read]),
    "abstracts": (
        lambda name: keep_abstracts({name: Abstract("t", "pubmed", "2026-03-08")}),
        kept_abstracts,
    ),
    "a refresh": (
        describe,
        lambda: [one.name for one in freshness.load_freshness().subjects.values()],
    ),
    "checksums": (note, noted),
}


def write(home: str, kind: str, names: list[str]) -> None:
    os.environ["BIORETRIEVAL_HOME"] = home
    for name in names:
        KINDS[kind][0](name)


@pytest.mark.parametrize("kind", KINDS)
def test_four_writers_lose_nothing(home: Path, kind: str) -> None:
    if kind == "news":
        watches.add_watch("news", "pubmed", since="2026-03-01", today="2026-03-08")
        found = tuple(watches.News(id=name, title="t", found="2026-03-08") for name in NAMES)
        watches.save(watches.Watched(watch=watches.watched("news").watch, news=found))
    if kind == "checksums":
        (home / "data" / "files").mkdir(parents=True)
        for name in NAMES:
            (home / "data" / "files" / name).write_text(name)
    parts = [NAMES[at : at + EACH] for at in range(0, len(NAMES), EACH)]
    children = [
        Child(home.with_name(f"child{number}"), write, str(home), kind, part)
        for number, part in enumerate(parts)
    ]
    ends = [child.end() for child in children]
    assert ends == [{"value": None}] * 4
    assert sorted(KINDS[kind][1]()) == sorted(NAMES)  # type: ignore[call-overload]
    assert list(home.rglob("*.tmp")) == []


# Who may read them --------------------------------------------------------------------------------


def test_what_the_user_asks_and_reads_is_for_the_user_alone(home: Path) -> None:
    star("one")
    ask("query")
    watch("query")
    keep_report("what went wrong")
    with spool.Spool(home / "state" / "fetch" / "mine.jsonl", "key") as kept:
        kept.add(spool.FetchBatch((Document("1", "t"),), (), spool.Mark()))
        seen = modes(home)
    assert {name for name, mode in seen.items() if mode == 0o600} >= {
        "mine.jsonl", "mine.jsonl.state", "library.sqlite", "query.json", "last-error.log",
    }  # fmt: skip
    assert {mode for name, mode in seen.items() if not name.endswith(".lock")} == {0o600}


@pytest.mark.parametrize("call", [ask, star])
def test_files_of_before_become_private(home: Path, call: Callable[[str], None]) -> None:
    call("one")
    for path in home.rglob("*"):
        if path.is_file():
            path.chmod(0o644)
    call("two")
    assert {mode for name, mode in modes(home).items() if not name.endswith(".lock")} == {0o600}


def test_what_is_exported_is_not_private(tmp_path: Path) -> None:
    save_file(tmp_path / "report.json", b"{}", "the report")
    assert stat.S_IMODE((tmp_path / "report.json").stat().st_mode) & 0o044
    write_atomically(tmp_path / "report.json", b"{}", opener=private)
    assert stat.S_IMODE((tmp_path / "report.json").stat().st_mode) == 0o600


def modes(home: Path) -> dict[str, int]:
    found = [path for path in home.rglob("*") if path.is_file()]
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in found}
