"""`shelf`: what is noted of entries and documents, and files of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

CORPUS = [
    {"_id": "17606479", "title": "Statins and memory", "text": "We study statins.",
     "metadata": {"pmid": "17606479", "year": 2007, "authors": ["Smith J"], "journal": "JAMA"}},
    {"_id": "d2", "title": "Zebrafish hearts", "text": "They regenerate.", "year": 2012},
]  # fmt: skip
HOSTILE = (
    "@article{x,\n title = {Bad \x1b]52;c;aGk=\x07 <b>title</b> | $(touch x)},\n year = 2020}\n"
)


def caller(fresh: Call, environment: dict[str, str], home: Path) -> Call:
    env = {**environment, "BIORETRIEVAL_HOME": str(home)}

    def run(*words: object, code: int = 0, **more: str) -> Any:
        ended = fresh(list(map(str, words)), {**env, **more})
        assert ended.code == code, ended.err
        return ended

    return run


@pytest.fixture(scope="module")
def furnished(
    tmp_path_factory: pytest.TempPathFactory, fresh: Call, environment: dict[str, str]
) -> Path:
    """A home with an index, and a shelf with an entry, two documents of it and a PMID."""
    folder = tmp_path_factory.mktemp("furnished")
    call = caller(fresh, environment, folder / "home")
    corpus = folder / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(one) + "\n" for one in CORPUS))
    call("index", "build", "mine", corpus, "--lexical", "-q")
    call("shelf", "star", "medcpt", "mine/17606479", "pmid:12345")
    call("shelf", "tag", "MedCPT", "good", "#to try")
    call("shelf", "status", "mine/d2", "to-read")
    call("shelf", "note", "mine/d2", "Look", "at table 2.")
    return folder / "home"


@pytest.fixture
def call(fresh: Call, environment: dict[str, str], tmp_path: Path) -> Call:
    return caller(fresh, environment, tmp_path / "home")


@pytest.fixture
def filled(call: Call, furnished: Path, tmp_path: Path) -> Call:
    shutil.copytree(furnished, tmp_path / "home")
    return call


def kept(call: Call) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = call("shelf", "list", "-f", "json").json
    return sorted(found, key=lambda one: str(one["keys"]))


def test_what_is_noted_is_listed_and_filters_lists_and_searches(filled: Call) -> None:
    titles = [
        row.split(",")[3] for row in filled("shelf", "list", "-f", "csv").out.splitlines()[1:]
    ]
    assert titles[:2] == ["Zebrafish hearts", "MedCPT (query and article encoders)"]
    starred = filled("shelf", "list", "-w", "is:starred", "-w", "kind:document", "-f", "jsonl").out
    assert [json.loads(row)["title"] for row in starred.splitlines()] == [
        "PMID 12345", "Statins and memory",
    ]  # fmt: skip
    assert filled("list", "-w", "tag:good", "-f", "json").json[0]["id"] == "medcpt"
    assert "**shelf**: starred, tags good, to try" in filled("show", "medcpt").out
    search = ("search", "statins hearts", "-i", "mine", "-m", "lexical", "-f", "json", "-w")
    assert [hit["id"] for hit in filled(*search, "is:starred").json] == ["17606479"]
    assert [hit["id"] for hit in filled(*search, "note:table status:to-read").json] == ["d2"]
    filled("shelf", "unstar", "pmid:17606479", "12345")
    assert filled(*search, "is:starred").json == []
    filled("shelf", "tag", "medcpt", "GOOD", "--remove")
    assert "starred, to try\n" in filled("shelf", "star", "medcpt").err


@pytest.mark.parametrize("name", ["shelf.json", "works.bib", "works.ris", "works.csl.json"])
def test_what_was_exported_is_imported_once(filled: Call, tmp_path: Path, name: str) -> None:
    before, file = kept(filled), tmp_path / name
    filled("shelf", "export", file)
    filled("shelf", "import", file)
    assert kept(filled) == before
    (tmp_path / "home" / "data" / "shelf.sqlite").unlink()
    filled("shelf", "import", file, "--status", "read")
    after = kept(filled)
    if name == "shelf.json":
        assert after == before
    else:
        assert {one["title"] for one in after} == {one["title"] for one in before}
        assert {one["status"] for one in after} == {"read"}


def test_the_reading_list(filled: Call, tmp_path: Path) -> None:
    filled("shelf", "export", tmp_path / "list.md", "-w", "-pmid")
    text = (tmp_path / "list.md").read_text()
    assert text == (
        "# Reading list\n\n## To read\n\n- **Zebrafish hearts**\n  2012\n\n  > Look at table 2.\n"
        "\n## Others\n\n- ★ **[MedCPT (query and article encoders)]"
        "(https://huggingface.co/ncbi/MedCPT-Query-Encoder)**\n  2023, medcpt\n  #good #to-try\n"
        "- ★ **[Statins and memory](https://pubmed.ncbi.nlm.nih.gov/17606479/)**\n"
        "  Smith J, JAMA, 2007\n"
    )


def test_a_note_in_the_editor(filled: Call, tmp_path: Path) -> None:
    script = tmp_path / "editor.sh"
    script.write_text('#!/bin/sh\nprintf "one\\ntwo\\n" >> "$1"\n')
    script.chmod(0o755)
    for _ in range(2):
        filled("shelf", "note", "medcpt", EDITOR=str(script))
    (note,) = [one["note"] for one in kept(filled) if one["kind"] == "model"]
    assert note == "one\ntwo\none\ntwo"
    said = filled("shelf", "note", "medcpt", EDITOR="false", code=1).err
    assert "the editor failed" in said
    assert "unchanged" in said
    assert "set EDITOR" in filled("shelf", "note", "medcpt", EDITOR="", VISUAL="", code=2).err
    filled("shelf", "note", "medcpt", "")
    assert not any(one["note"] for one in kept(filled) if one["kind"] == "model")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("star nothing-like-this-xyz", 3, "no entry has the id 'nothing-like-this-xyz'"),
        ("star medcpt mine/d9", 3, "index mine has no document 'd9'"),
        ("status medcpt skimmed", 2, "there is no status 'skimmed'"),
        ("list -w is:stared", 2, "did you mean starred?"),
        ("export FOLDER/x.doc", 2, "no format has the extension '.doc'"),
        ("export FOLDER/no/x.json -w x", 1, ""),
        ("import FOLDER/gone.json", 1, "gone.json cannot be read: No such file"),
        ("import FOLDER/wrong.json", 1, "wrong.json: Expected `bool`, got `str` - at `$[0].starr"),
        ("import FOLDER/keys.json", 1, "keys.json: $[0].keys: not the keys of a thing"),
        ("import FOLDER/status.json", 1, "status.json: $[1]: there is no status 'gone'"),
        ("import FOLDER/page.html", 1, "page.html is an HTML page"),
        ("import FOLDER/status.json --status none", 2, "works without a status are not kept"),
    ],
)
def test_what_cannot_be_is_one_line_and_changes_nothing(
    filled: Call, tmp_path: Path, words: str, code: int, said: str
) -> None:
    files = {
        "wrong.json": '[{"keys": ["pmid:1"], "starred": "yes"}]',
        "keys.json": '[{"keys": ["../pmid:1"], "starred": true}]',
        "status.json": '[{"keys": ["pmid:1"], "note": "x"},'
        ' {"keys": ["pmid:2"], "status": "gone"}]',
        "page.html": "<html></html>",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    before = kept(filled)
    if not said:  # a folder of an export is made, as for other exports
        filled("shelf", *words.replace("FOLDER", str(tmp_path)).split())
        return
    ended = filled("shelf", *words.replace("FOLDER", str(tmp_path)).split(), code=code)
    assert said in ended.err
    assert len([line for line in ended.lines if line.startswith("bioretrieval-tui:")]) == 1
    assert kept(filled) == before


def test_hostile_titles_are_cleaned_wherever_they_are_written(call: Call, tmp_path: Path) -> None:
    (tmp_path / "x.bib").write_text(HOSTILE)
    call("shelf", "import", tmp_path / "x.bib")
    for words in (("list",), ("list", "-f", "json"), ("list", "-f", "csv")):
        ended = call("shelf", *words)
        assert "Bad" in ended.out
        assert "\x1b" not in ended.out + ended.err
    odd = (
        '[{"keys": ["pmid:1"], "note": "x", "title": "Bad", "about": {"metadata": [1], "text": 1}}]'
    )
    (tmp_path / "odd.json").write_text(odd)
    call("shelf", "import", tmp_path / "odd.json")
    call("shelf", "export", tmp_path / "x.ris")
    call("shelf", "export", tmp_path / "x.md")
    assert "\x1b" not in (tmp_path / "x.md").read_text()
    assert r"**Bad title \| \$(touch x)**" in (tmp_path / "x.md").read_text()
