"""NCBI's MedCPT vectors: three chunks as they are published, fetched from a server on this machine,
interrupted, resumed, damaged, and searched by the query encoder of the catalogue's recipe."""

from __future__ import annotations

import io
import json
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from server import Article, Fault, World, article_set, serving
from verbs import Ended, Program

from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.catalog.models import Encoding, Model
from bioretrieval_tui.errors import CorpusError, UsageError
from bioretrieval_tui.index.build import add_to_index
from bioretrieval_tui.index.manifest import ANY_REVISION, Manifest, read_manifest
from bioretrieval_tui.index.registry import open_index
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.online.medcpt_chunks import (
    build_from_chunks,
    check_chunk,
    chunk_in,
    parse_numbers,
    ranges,
)
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.types import Query

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "encoding"))  # tiny_models

from authors_vectors import Authors
from tiny_models import save_long_bert

WIDTH = 768
WORDS = "statins muscle asthma gout steroids liver gene trial".split()


def article(pmid: int) -> dict[str, str]:
    """A record as NCBI writes it: date, title, abstract and headings."""
    one, other = WORDS[pmid % 8], WORDS[pmid // 8 % 8]
    return {
        "d": "20071115",
        "t": f"Title {pmid} on {one}.",
        "a": f"We gave {one} for {other} in {pmid} people." if pmid % 3 else "",
        "m": f"humans!|{one}!|{one}!therapy*|rna, untranslated!genetics|",
    }


def vector(pmid: int, width: int = WIDTH) -> np.ndarray:
    """Not of unit length: MedCPT's are compared by inner product."""
    return np.random.default_rng(pmid).normal(0, 0.4, width).astype(np.float32)


def npy(matrix: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, matrix)
    return out.getvalue()


def chunk_files(number: int, count: int = 40, width: int = WIDTH) -> dict[str, bytes]:
    """The files of a chunk by path; the rows are in another order than the texts."""
    pmids = [number * 1_000_000 + place for place in range(1, count + 1)]
    rows = pmids[::-1]
    return {
        f"/embeds_chunk_{number}.npy": npy(np.stack([vector(one, width) for one in rows])),
        f"/pmids_chunk_{number}.json": json.dumps([str(one) for one in rows]).encode(),
        f"/pubmed_chunk_{number}.json": json.dumps(
            {str(one): article(one) for one in pmids}
        ).encode(),
    }


@pytest.fixture
def world() -> World:
    files = {path: data for number in range(3) for path, data in chunk_files(number).items()}
    return World(files={**files, "/README.txt": b"the vectors of MedCPT"})


@pytest.fixture
def program(world: World, tmp_path: Path) -> Iterator[Program]:
    with serving(world) as address:
        yield Program(tmp_path / "home", address)


def build(program: Program, *words: str, **env: str) -> Ended:
    return program("index", "build", "pubmed", "--from", "medcpt", *words, **env)


def folder_with(tmp_path: Path, *numbers: int) -> Path:
    """A folder with chunks."""
    folder = tmp_path / "chunks"
    folder.mkdir(exist_ok=True)
    for number in numbers:
        for path, data in chunk_files(number).items():
            (folder / path[1:]).write_bytes(data)
    return folder


def manifest_in(program: Program) -> Manifest:
    return read_manifest(program.home / "data" / "indexes" / "pubmed")


def spooled(program: Program) -> list[str]:
    return sorted(path.name for path in (program.home / "cache" / "medcpt").glob("*"))


def last(ended: Ended) -> str:
    assert "Traceback" not in ended.err
    return ended.lines[-1]


def test_three_chunks_become_an_index(
    program: Program, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = build(program, "--yes")
    assert (ended.code, ended.out) == (0, ""), ended.err
    plan, built, counts = ended.lines
    where = re.escape(str(program.home / "cache" / "medcpt"))
    pattern = rf"3 chunks \(0-2\): 9 files to fetch into {where}, about [34]\d\d kB; an index of"
    assert re.search(pattern, plan)
    assert "built pubmed: 120 documents (0 of them encoded now)" in built
    assert counts.endswith("120 read, 120 kept, 40 without abstract")
    manifest = manifest_in(program)
    assert (manifest.documents, manifest.dimension, manifest.ids) == (120, WIDTH, "pmid")
    assert (manifest.revision, manifest.device) == (ANY_REVISION, "imported")
    entry = load().catalogue.entry_of("medcpt", Model)
    assert (manifest.model, manifest.recipe) == (entry.weights, entry.encoding)
    assert (manifest.similarity, manifest.normalised) == ("dot", False)
    assert spooled(program) == []  # the index has all of it
    assert [Path(one.path).name for one in manifest.inputs] == [
        f"pubmed_chunk_{number}.json" for number in range(3)
    ]
    assert program("index", "verify", "pubmed", "-q").code == 0
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(program.home))
    index = open_index("pubmed")
    stored = {record.document.id: label for label, record in index.documents.records()}
    for number in range(3):
        for place in range(1, 41):
            pmid = number * 1_000_000 + place
            label = np.array([stored[str(pmid)]])
            own = index.vectors.similarities(vector(pmid), label)[0]
            assert own == pytest.approx(vector(pmid) @ vector(pmid), rel=2e-3)
    (found,) = index.documents.get([stored["1000001"]])
    assert found.title == "Title 1000001 on muscle."
    assert found.metadata["mesh"] == ["humans", "muscle", "rna, untranslated"]
    assert (found.metadata["year"], found.metadata["pmid"]) == (2007, "1000001")
    index.close()
    hit = program(
        "search", "gout steroids", "-i", "pubmed", "-m", "lexical", "-k", "1", "-f", "json"
    )
    assert hit.json[0]["url"].startswith("https://pubmed.ncbi.nlm.nih.gov/")
    assert all(one["user-agent"].startswith("bioretrieval-tui/") for _, _, one in world.asked)


def test_some_chunks_and_more_later(program: Program, world: World) -> None:
    assert build(program, "--yes", "--chunks", "0,2").code == 0
    assert manifest_in(program).documents == 80
    assert not world.of("/embeds_chunk_1")
    world.asked.clear()
    ended = build(program, "--yes", "--chunks", "0,2")
    assert (ended.code, world.asked) == (0, [])
    assert last(ended) == "bioretrieval-tui: nothing to do: the index pubmed has these chunks"
    line = last(build(program, "--yes", "--chunks", "1-4"))
    assert line.endswith("the MedCPT archive has no embeds_chunk_3.npy; it has 0-2")
    assert not world.of("/embeds_chunk_1")  # nothing is fetched before all is known
    ended = build(program, "--yes")
    assert "1 chunk (1): 3 files to fetch" in ended.lines[0]
    assert "built pubmed: 120 documents" in ended.lines[1]
    assert [path for _, path, _ in world.asked if "embeds" in path] == ["/embeds_chunk_1.npy"]
    assert last(build(program, "--yes")).endswith(
        "nothing to do: the index pubmed has these chunks"
    )
    assert program("index", "verify", "pubmed", "-q").code == 0


def test_nothing_is_fetched_without_consent(program: Program, world: World) -> None:
    ended = build(program)
    assert ended.code == 2
    assert last(ended).endswith("no terminal to confirm on; add --yes to fetch the files")
    assert {path for _, path, _ in world.asked} == {"/"}


def test_files_that_are_here_need_no_network(
    program: Program, world: World, tmp_path: Path
) -> None:
    folder = folder_with(tmp_path, 0, 2)
    (folder / "embeds_chunk_1.npy").write_bytes(b"a chunk that is not whole")
    before = sorted(folder.iterdir())
    ended = build(program, "--at", str(folder), BIORETRIEVAL_OFFLINE="1")
    assert ended.code == 0, ended.err
    assert f"2 chunks (0,2): all files are in {folder}; an index of about 80 doc" in ended.lines[0]
    assert manifest_in(program).documents == 80
    assert not world.asked
    assert sorted(folder.iterdir()) == before
    line = last(build(program, "--at", str(folder), "--chunks", "1", BIORETRIEVAL_OFFLINE="1"))
    assert "the network is not allowed here" in line


def test_a_folder_takes_what_it_lacks(program: Program, world: World, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, 0)
    assert build(program, "--at", str(folder), "--yes").code == 0
    assert manifest_in(program).documents == 120
    assert not world.of("/embeds_chunk_0")
    assert len(list(folder.iterdir())) == 9


def test_a_killed_run_goes_on_where_it_was(program: Program, world: World) -> None:
    part = program.home / "cache" / "medcpt" / "embeds_chunk_1.npy.part"
    world.faults = [("/embeds_chunk_1", Fault("hang", 100_000))]
    words = ("index", "build", "pubmed", "--from", "medcpt", "--yes")
    running = program.started(*words)
    until = time.monotonic() + 120
    while not (part.exists() and part.stat().st_size >= 60_000):
        assert running.poll() is None, running.communicate()[1].decode()
        assert time.monotonic() < until
        time.sleep(0.02)
    running.kill()
    running.communicate()
    arrived = part.stat().st_size
    assert manifest_in(program).documents == 40  # and it can be searched
    assert spooled(program) == ["embeds_chunk_1.npy.part"]
    world.asked.clear()
    ended = build(program, "--yes")
    assert ended.code == 0, ended.err
    assert "2 chunks (1-2): 6 files to fetch" in ended.lines[0]
    assert manifest_in(program).documents == 120
    assert not world.of("/embeds_chunk_0")
    assert [one["range"] for one in world.of("/embeds_chunk_1")] == [f"bytes={arrived}-"]


def test_an_interrupt_says_what_is_kept(program: Program, world: World) -> None:
    world.faults = [("/pmids_chunk_2", Fault("drip"))]
    running = program.started("index", "build", "pubmed", "--from", "medcpt", "--yes")
    until = time.monotonic() + 120
    while not world.of("/pmids_chunk_2"):
        assert running.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    err = running.communicate(timeout=60)[1].decode()
    assert running.returncode == 130
    said = "2 of 3 chunks added so far; the same call goes on from there"
    assert err.splitlines()[-1] == f"bioretrieval-tui: stopped; {said}"
    assert manifest_in(program).documents == 80


def test_another_index_of_that_name_stays(program: Program, tmp_path: Path) -> None:
    """Chunks come into force one by one, so nothing is replaced by a part of them."""
    folder = folder_with(tmp_path, 0)
    (tmp_path / "a.jsonl").write_text('{"_id": "1", "text": "statins"}\n')
    assert program("index", "build", "pubmed", str(tmp_path / "a.jsonl"), "--lexical").code == 0
    before = manifest_in(program)
    ended = build(program, "--at", str(folder), "--chunks", "0")
    assert ended.code == 2
    assert "the index pubmed exists, and is not of MedCPT's chunks; choose another" in last(ended)
    assert manifest_in(program) == before


def with_value(value: float) -> bytes:
    matrix = np.stack([vector(one) for one in range(40)])
    matrix[7, 100] = value
    return npy(matrix)


DAMAGED = {
    "dimension": (
        "embeds_chunk_1.npy", lambda _: npy(np.ones((40, 32), np.float32)),
        "has vectors of 32 dimensions, not the 768 of ncbi/MedCPT-Article-Encoder; name the folder",
    ),
    "rows": (
        "embeds_chunk_1.npy", lambda _: npy(np.stack([vector(one) for one in range(39)])),
        "pmids_chunk_1.json names 40 PMIDs for the 39 vectors of embeds_chunk_1.npy; delete both",
    ),
    "longer": (
        "embeds_chunk_1.npy", lambda data: data + b"more",
        "has 123,012 bytes, not the 123,008 that its header states; delete it",
    ),
    "shorter": ("embeds_chunk_1.npy", lambda data: data[:-4], "is not a .npy matrix"),
    "nan": (
        "embeds_chunk_1.npy", lambda _: with_value(np.nan),
        "the vector of PMID 1000033 has values that are no numbers or exceed 65,504; delete it",
    ),
    "infinite": ("embeds_chunk_1.npy", lambda _: with_value(-np.inf), "vector of PMID 1000033 "),
    "large": ("embeds_chunk_1.npy", lambda _: with_value(70_000), "vector of PMID 1000033 "),
    "pmids": ("pmids_chunk_1.json", lambda data: data[:-9], "is not a list of ids"),
    "record": (
        "pubmed_chunk_1.json", lambda data: data[:-30], "ends within a record: it is cut off",
    ),
    "end": ("pubmed_chunk_1.json", lambda data: data[:-1], "ends within a record: it is cut off"),
    "page": (
        "pubmed_chunk_1.json", lambda _: b"<html>Please sign in</html>", "does not begin as the",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_a_chunk_that_is_damaged_is_one_line(program: Program, tmp_path: Path, case: str) -> None:
    name, damage, said = DAMAGED[case]
    path = folder_with(tmp_path, 0, 1, 2) / name
    path.write_bytes(damage(path.read_bytes()))
    ended = build(program, "--at", str(path.parent), "--chunks", "0-2")
    assert ended.code == 1
    assert said in last(ended)
    assert name in last(ended)
    goes_on = "1 of 3 chunks added so far; the same call goes on from there"
    assert ended.lines[-2].endswith(goes_on)
    assert manifest_in(program).documents == 40


def test_a_damaged_file_that_is_deleted_is_fetched_again(program: Program, world: World) -> None:
    whole = world.files["/pubmed_chunk_1.json"]
    world.files["/pubmed_chunk_1.json"] = whole[:-200]
    ended = build(program, "--yes", "--chunks", "0-1")
    remedy = "it is cut off; delete it, and the same call fetches it again"
    assert last(ended).endswith(remedy)
    (program.home / "cache" / "medcpt" / "pubmed_chunk_1.json").unlink()
    world.files["/pubmed_chunk_1.json"] = whole
    world.asked.clear()
    assert build(program, "--yes", "--chunks", "0-1").code == 0
    assert manifest_in(program).documents == 80
    assert [path for _, path, _ in world.asked] == ["/", "/pubmed_chunk_1.json"]


def test_services_that_fail_are_one_line(program: Program, world: World) -> None:
    world.faults = [("/pubmed_chunk_1", Fault("say", 404, "gone"))]
    ended = build(program, "--yes")
    assert ended.code == 3
    assert "the MedCPT archive has no pubmed_chunk_1.json; leave its chunk out" in last(ended)
    world.faults = [("/pubmed_chunk_1", Fault("say", 403, "no"))]
    ended = build(program, "--yes")
    assert (ended.code, "status 403" in last(ended)) == (1, True)
    assert "0 of 2 chunks added so far" in ended.lines[-2]
    world.broken = {"/": Fault("page")}
    line = last(build(program, "--yes", "--chunks", "1-2"))
    assert "the MedCPT archive sent an unexpected response: a listing without files" in line
    down = build(program, "--yes", BIORETRIEVAL_MEDCPT_URL="http://127.0.0.1:9")
    assert down.code == 1
    assert last(down).startswith("bioretrieval-tui: the MedCPT archive cannot be reached: it ")


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(
    program: Program, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000_000))
    ended = build(program, "--yes")
    assert ended.code == 1
    assert re.search(r"has 1\.0 GB free, of 1\.1 GB needed; free space, or take some", last(ended))
    assert {path for _, path, _ in world.asked} == {"/"}


def test_a_disk_that_fills_keeps_what_had_arrived(program: Program, world: World) -> None:
    """A limit on the size of files stands for the disk."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "from bioretrieval_tui.main import run; sys.exit(run(sys.argv[1:]))"
    )
    words = ("index", "build", "pubmed", "--from", "medcpt", "--yes")
    running = program.started(*words, code=code)
    err = running.communicate(timeout=120)[1].decode()
    assert running.returncode == 1
    line = err.splitlines()[-1]
    assert "embeds_chunk_0.npy cannot be written: File too large; free space or" in line
    assert (program.home / "cache" / "medcpt" / "embeds_chunk_0.npy.part").stat().st_size > 0
    world.asked.clear()
    assert build(program, "--yes").code == 0
    assert "range" in world.of("/embeds_chunk_0")[0]


def test_texts_and_vectors_that_do_not_meet_are_counted(program: Program, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, 0, 1)
    others = json.loads((folder / "pubmed_chunk_1.json").read_text())
    del others["1000001"]
    (folder / "pubmed_chunk_1.json").write_text(json.dumps(others))
    texts = json.loads((folder / "pubmed_chunk_0.json").read_text())
    del texts["5"], texts["6"]
    texts["77"] = article(77)
    texts["8"] |= {"t": "", "a": ""}
    (folder / "pubmed_chunk_0.json").write_text(json.dumps(texts))
    report = tmp_path / "report.json"
    words = ("--at", str(folder), "--chunks", "0-1", "--report", str(report))
    ended = build(program, *words)
    assert ended.code == 0
    assert "there is no vector for '77'" in ended.err
    assert last(ended).endswith("4 vectors without a document left out")
    counts = json.loads(report.read_text())
    assert (counts["kept"], counts["rejected"], counts["without_document"]) == (76, 2, 4)
    assert "neither" in "".join(one["reason"] for one in counts["rejections"])


def test_a_record_within_that_is_damaged_costs_no_other(program: Program, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, 0)
    path = folder / "pubmed_chunk_0.json"
    path.write_bytes(path.read_bytes().replace(b'"t": "Title 9 ', b'"t": "\xff\xfe 9 '))
    ended = build(program, "--at", str(folder), "--chunks", "0")
    assert ended.code == 0
    assert "not UTF-8" in ended.err
    assert manifest_in(program).documents == 39


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "medcpt", "--chunks", "3-1"], "'3-1' names no chunks; write 0-3 or 0-3,7"),
        (["--from", "medcpt", "--chunks", "all"], "'all' names no chunks"),
        (["--from", "medcpt", "x.jsonl", "--model", "bge"], "leave out FILE, --model"),
        (["--from", "medcpt", "--format", "ris", "--map", "id=a"], "leave out --format, --map"),
        (["--chunks", "1"], "--chunks, --at and --yes are of --from"),
        (["x.jsonl", "--yes"], "--chunks, --at and --yes are of --from"),
        ([], "no corpus file is named"),
    ],
)
def test_options_that_do_not_fit(program: Program, words: list[str], said: str) -> None:
    ended = program("index", "build", "pubmed", *words)
    assert ended.code == 2
    assert said in last(ended)


def test_names_that_cannot_be_are_refused_before_anything_is_fetched(
    program: Program, world: World
) -> None:
    for name, said in (("Not A Name", "cannot name an index"), ("catalogue", "choose another")):
        ended = program("index", "build", name, "--from", "medcpt", "--yes")
        assert (ended.code, said in last(ended)) == (2, True)
    assert not world.asked


def test_a_job_of_the_background_does_the_same(program: Program, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, 0)
    started = build(program, "--at", str(folder), "--yes", "--background")
    assert (started.code, started.out) == (0, "1\n"), started.err
    assert program("jobs", "attach", "1").code == 0
    assert manifest_in(program).documents == 120
    (row,) = program("jobs", "list", "-f", "json").json
    assert (row["job"], row["verb"], row["state"]) == ("Building pubmed", "medcpt", "done")


def test_queries_are_encoded_by_the_query_encoder_of_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small twins of both encoders: vectors of the article encoder, as its authors make them, are
    given as a chunk; a query meets them by the inner product of CLS vectors."""
    monkeypatch.setenv("BIORETRIEVAL_ENGINE", "torch")  # in float32
    query, articles = (save_long_bert(tmp_path / str(seed), seed) for seed in (7, 8))
    found = load().catalogue.entry_of("medcpt", Model).encoding
    assert found is not None
    recipe: Encoding = msgspec.structs.replace(
        found,
        query=msgspec.structs.replace(found.query, model=str(query)),
        document=msgspec.structs.replace(found.document, model=str(articles)),
    )
    folder = folder_with(tmp_path, 0)
    texts = json.loads((folder / "pubmed_chunk_0.json").read_text())
    pairs = tuple((one["t"], one["a"]) for one in texts.values())
    rows = Authors(articles, pairs, 512, "cls").vectors()
    np.save(folder / "embeds_chunk_0.npy", rows)
    (folder / "pmids_chunk_0.json").write_text(json.dumps(list(texts)))
    build_from_chunks("twins", [0], folder, "ncbi/MedCPT", recipe, dimension=32)
    asked = "does gout medicine harm the liver?"
    expected = rows @ Authors(query, ((asked,),), 64, "cls").vectors()[0]
    engine = SearchEngine(open_index("twins"))
    hits = engine.search(Query(text=asked, k=40, mode="dense")).hits
    engine.close()
    scores = dict(zip(texts, expected, strict=True))
    assert len(hits) == 40
    for hit in hits:
        assert hit.score == pytest.approx(scores[hit.id], rel=5e-3, abs=0.05)
    assert hits[0].id == max(scores, key=scores.__getitem__)


def test_daily_files_come_behind_the_chunks(tmp_path: Path) -> None:
    """Encoded by the article encoder of the recipe, whose files are here."""
    articles = save_long_bert(tmp_path / "articles", 8)
    found = load().catalogue.entry_of("medcpt", Model).encoding
    assert found is not None
    sides = {
        side: msgspec.structs.replace(getattr(found, side), model=str(articles))
        for side in ("query", "document")
    }
    recipe = msgspec.structs.replace(found, **sides)
    folder = folder_with(tmp_path, 0, 1)
    for number in (0, 1):
        (folder / f"embeds_chunk_{number}.npy").write_bytes(
            chunk_files(number, width=32)[f"/embeds_chunk_{number}.npy"]
        )
    build_from_chunks("daily", [0], folder, str(articles), recipe, dimension=32)
    day = [Article("1", "Revised", "Statins again.", date(2026, 6, 1)),
           Article("39000001", "New", "Gout and tides.", date(2026, 6, 1))]  # fmt: skip
    (tmp_path / "pubmed26n1400.xml").write_bytes(article_set(day))
    outcome = add_to_index("daily", [tmp_path / "pubmed26n1400.xml"], device="cpu")
    assert (outcome.report.encoded, outcome.report.kept, outcome.report.replaced) == (2, 1, 1)
    # And a further chunk behind those.
    later = build_from_chunks("daily", [0, 1], folder, str(articles), recipe, dimension=32)
    assert later.manifest.documents == 81
    assert later.report.encoded == 0
    assert verify_index("daily").ok


def test_verifying_reads_a_chunk_part_by_part(tmp_path: Path) -> None:
    """More rows than one part, a fault in the last."""
    chunk = chunk_in(folder_with(tmp_path, 0), 0)
    count = 20_000
    matrix = np.zeros((count, 4), np.float32)
    chunk.ids.write_text(json.dumps(list(range(count))))
    np.save(chunk.vectors, matrix)
    steps: list[int] = []
    assert check_chunk(chunk, "m", 4, lambda step: steps.append(step.done)) == count
    assert (len(steps), steps[-1]) == (3, count)
    matrix[-1, 2] = np.nan
    np.save(chunk.vectors, matrix)
    with pytest.raises(CorpusError, match="the vector of PMID 19999 "):
        check_chunk(chunk, "m", 4)


@pytest.mark.parametrize("text", ["0", "0-3", "0-3,7", "0-3,7,9-10", "37"])
def test_numbers_are_read_as_they_are_written(text: str) -> None:
    assert ranges(parse_numbers(text)) == text


def test_numbers_in_any_order() -> None:
    assert parse_numbers(" 7 , 0 - 2,1") == (0, 1, 2, 7)
    for wrong in ("", "1,", "a", "1-", "-1", "1.5", "1-2-3", "٣"):
        with pytest.raises(UsageError):
            parse_numbers(wrong)
