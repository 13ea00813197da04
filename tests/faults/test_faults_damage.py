"""Every file of an index cut, flipped, emptied, exchanged or deleted: one line or the right
answer, never a crash, never a wrong answer; `verify` names the file and a remedy that works."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faulty
import msgspec
import pictures
import pytest
from faulty import LONG, Child
from hashing_encoder import HashingEncoder
from pictures import at_home, by_id, copied, demo, one_line, picture, same

from bioretrieval_tui.documents import checksum
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.base import open_base
from bioretrieval_tui.index.manifest import read_manifest
from bioretrieval_tui.index.registry import open_index
from bioretrieval_tui.index.vectors import VectorStore
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.paths import places

CUTS = 10 if LONG else 4
FLIPS = 25 if LONG else 3
OLD, NEW = 150, 130

FILES = (
    "manifest.json",
    *(f"segment {number}/{name}" for number in (0, 1) for name in
      ("documents.sqlite", "vectors.f16")),
    "generation/graph.hnsw",
    "generation/dead.npy",
    "generation/longer.npy",
    *(f"generation/text/*{name}" for name in
      (".idx", ".term", ".fast", ".fieldnorm", ".store", ".pos", ".del")),
    "generation/text/meta.json",
    "generation/text/.managed.json",
    "generation/metadata/block-0000000000.columns",
)  # fmt: skip
"""A file of each kind of an index that was built once and added to once."""


SOME = FILES if LONG else (FILES[0], FILES[1], FILES[4], "generation/graph.hnsw",
                            "generation/dead.npy", "generation/text/*.idx")  # fmt: skip
"""One of each kind; the short run looks at these only where it follows remedies."""


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[str]]:
    """Two indexes of like shape in two homes, and the corpora of the first."""
    root = tmp_path_factory.mktemp("damage")
    made, corpora = [], []
    for seed in (1, 2):
        old = pictures.write_corpus(root / f"old{seed}.jsonl", seed, 0, OLD)
        new = pictures.write_corpus(root / f"new{seed}.jsonl", seed + 10, OLD // 2, NEW)
        home = root / f"home{seed}"
        Child(home, faulty.build, [str(old)]).value()
        Child(home, faulty.add, [str(new)]).value()
        made.append(home)
        corpora += [str(old), str(new)]
    faulty.reap()
    return made[0], made[1], corpora[:2]


def file_of(home: Path, name: str) -> Path:
    """Where one of FILES lies."""
    manifest = read_manifest(demo(home))
    folder, _, rest = name.rpartition("segment ")[2].partition("/")
    if name.startswith("segment "):
        return demo(home) / manifest.segments[int(folder)].id / rest
    path = demo(home) / name.replace("generation", manifest.generation)
    return min(path.parent.glob(path.name)) if "*" in name else path


def test_these_are_all_files(homes: tuple[Path, Path, list[str]]) -> None:
    found = {path for path in demo(homes[0]).rglob("*") if path.is_file()}
    known = {file_of(homes[0], name) for name in FILES}
    assert known <= found
    # Of a segment of the text index there is one file of each kind; of the others, one file.
    kinds = {".lock", *(path.suffix for path in known if path.parent.name == "text")}
    assert {path.suffix for path in found - known} <= kinds
    manifest = read_manifest(demo(homes[0]))
    assert manifest.rows - manifest.documents > 20


def test_the_dead_are_known_without_the_list_of_them(
    homes: tuple[Path, Path, list[str]],
) -> None:
    with at_home(homes[0]), open_base("demo") as base:
        assert base.dead == set(base.store.superseded())


Damage = tuple[str, bytes | None]
"""What was done, and the file's new content; None: no file."""


def damages(path: Path, other: Path, seed: str) -> Iterator[Damage]:
    import random

    data, chance = path.read_bytes(), random.Random(seed)
    places = {0, 1, len(data) - 1, len(data) // 2}
    while len(places) < min(CUTS, len(data)):
        places.add(chance.randrange(len(data)))
    for place in sorted(places)[:CUTS] if LONG else sorted(places):
        yield f"cut to {place}", data[:place]
    yield "one byte more", data + b"\0"
    for _ in range(FLIPS):
        flipped = bytearray(data)
        for _ in range(chance.choice((1, 1, 3, 50))):
            flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        yield "flipped", bytes(flipped)
    yield "zeros", b"\0" * len(data)
    yield "another index's", other.read_bytes()
    yield "deleted", None


def put(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


# In the child ---------------------------------------------------------------------------------


def look() -> dict[str, Any]:
    """Open and search the index every way; what was answered, or the line."""
    try:
        index = open_index("demo")
    except BioRetrievalError as error:
        return {"error": error.line(), "kind": type(error).__name__}
    try:
        found = pictures.answers_of(index)
        walked = VectorStore(index.manifest, index.folder, exact_below=0)
        walked.search(HashingEncoder(pictures.DIMENSION).encode_queries(["glioma"])[0], 3)
        documents = index.documents.get(found["worded"][0][0])
        return {"texts": [one.text for one in documents], "worded": found["worded"][0][0],
                "near": [labels for labels, _ in found["near"]]}  # fmt: skip
    except BioRetrievalError as error:
        return {"error": error.line(), "kind": type(error).__name__}
    finally:
        index.close()


def verified() -> dict[str, Any]:
    """What `verify` says."""
    try:
        found = verify_index("demo")
    except BioRetrievalError as error:
        return {"error": error.line(), "kind": type(error).__name__}
    return {"faults": [(one.what, one.found, one.remedy) for one in found.checks if not one.ok]}


def examine(name: str, path: str, other: str, seed: str, out: str, rotten: bool) -> int:
    """Damage one file in every way, one after another, and write down what is said of each."""
    victim = Path(path)
    data = victim.read_bytes()
    count = 0
    with open(out, "a") as lines:
        for what, content in damages(victim, Path(other), seed):
            if content == data:
                continue
            lines.write(json.dumps({"damage": what}) + "\n")
            lines.flush()
            put(victim, content)
            if rotten and content is not None:
                remember(victim, checksum.sha256_of, data)
            saw = look()
            lines.write(json.dumps({"damage": what, "saw": saw, "verify": verified()}) + "\n")
            lines.flush()
            victim.write_bytes(data)
            count += 1
    return count


def remember(path: Path, _: Callable[[Path], str], data: bytes) -> None:
    """As if the disk had changed bytes behind everybody's back: size and times are those of the
    file as it was, whose checksum is remembered."""
    import hashlib

    path = path.absolute()
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    note = places().cache / "checksums" / f"{name}.json"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps([*checksum._state(path), hashlib.sha256(data).hexdigest()]))


# The tests ------------------------------------------------------------------------------------


def examined(name: str, homes: tuple[Path, Path, list[str]], tmp_path: Path, rotten: bool) -> Any:
    home = copied(homes[0], tmp_path / "home")
    path, other = file_of(home, name), file_of(homes[1], name)
    out = tmp_path / "said.jsonl"
    seed = str(faulty.seeded().random())
    with at_home(home):
        right = look()
    child = Child(home, examine, name, str(path), str(other), seed, str(out), rotten)
    child.process.join(faulty.PATIENCE)
    said = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    assert child.process.exitcode == 0, f"{child.process.exitcode} at {said[-1:]} {child.said()}"
    done = [one for one in said if "saw" in one]
    assert len(done) == child.value() > CUTS
    return home, right, done


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file(name: str, homes: tuple[Path, Path, list[str]], tmp_path: Path) -> None:
    home, right, said = examined(name, homes, tmp_path, rotten=False)
    for one in said:
        saw, verdict = one["saw"], one["verify"]
        if name == "manifest.json" and "error" not in saw:
            # A blank at its end is no part of what it says.
            assert saw == right
            assert verdict["faults"] == []
            continue
        # Every other file is compared with its checksum before any is used.
        assert "error" in saw, one
        one_line(saw["error"])
        assert saw["kind"] in ("IndexFault", "NotFoundError")
        if name == "manifest.json" and one["damage"] == "deleted":
            assert saw["kind"] == verdict["kind"] == "NotFoundError"
            continue
        if name == "manifest.json" and one["damage"] == "another index's":
            # Sound in itself, and of the same name: what it speaks of is not there.
            assert "is missing" in saw["error"]
            assert all(remedy for _, _, remedy in verdict["faults"])
            continue
        found = [fault for fault in verdict["faults"] if file_of(home, name).stem in fault[0]]
        assert len(found) == 1, verdict
        for what, reason, remedy in found:
            one_line(f"{what} {reason}; {remedy}")
            wanted = "index compact demo" if name.startswith("generation") else "build"
            assert wanted in remedy or "rename the folder" in remedy


@pytest.mark.parametrize("name", SOME[1:])
def test_a_file_that_rots_behind_its_checksum(
    name: str, homes: tuple[Path, Path, list[str]], tmp_path: Path
) -> None:
    """Opening trusts a checksum that it remembers, so a disk that lies is not seen at once; even
    then nothing crashes, and `verify`, which remembers nothing, names the file."""
    home, _, said = examined(name, homes, tmp_path, rotten=True)
    for one in said:
        saw = one["saw"]
        if "error" in saw:
            one_line(saw["error"])
        else:
            # A document is right or an error; what a rotten figure does to an order is bounded
            # by what it is a figure of.
            assert all(label < OLD + NEW for labels in saw["near"] for label in labels)
        assert any(file_of(home, name).stem in fault[0] for fault in one["verify"]["faults"]), one


@pytest.mark.parametrize("name", SOME)
def test_the_remedy_gives_a_sound_index_again(
    name: str, homes: tuple[Path, Path, list[str]], tmp_path: Path
) -> None:
    good, other, corpora = homes
    home = tmp_path / "home"
    kinds = {what.split()[0]: content for what, content in
             damages(file_of(good, name), file_of(other, name), "remedy")}  # fmt: skip
    for what, content in kinds.items() if LONG else [*kinds.items()][len(name) % 2 :: 2]:
        copied(good, home)
        path = file_of(home, name)
        if path.read_bytes() == content:
            continue
        put(path, content)
        if name.startswith("generation"):
            # An addition would carry the damage on, so it says the same.
            refused = Child(home, faulty.add, corpora).end()
            assert refused.get("kind") == "IndexFault", (what, refused)
            one_line(refused["error"])
            assert "index compact demo" in refused["error"]
            assert Child(home, faulty.compact).value()["changed"]
            after, due = by_id(home), by_id(good)
            same(after, due)
        else:
            Child(home, faulty.build, corpora).value()
            due_home = copied(tmp_path / "nothing", tmp_path / "due")
            Child(due_home, faulty.build, corpora).value()
            same(picture(home), picture(due_home))
        with at_home(home):
            verdict = verify_index("demo")
        assert verdict.ok, (what, verdict)
        assert pictures.litter(home) == set()
        faulty.reap()


@pytest.mark.parametrize("what", ["generation", "segment", "both"])
def test_a_whole_folder_is_gone(
    what: str, homes: tuple[Path, Path, list[str]], tmp_path: Path
) -> None:
    home = copied(homes[0], tmp_path / "home")
    manifest = read_manifest(demo(home))
    if what != "segment":
        shutil.rmtree(demo(home) / manifest.generation)
    if what != "generation":
        shutil.rmtree(demo(home) / manifest.segments[0].id)
    with at_home(home):
        saw, verdict = look(), verified()
    one_line(saw["error"])
    assert "is missing" in saw["error"]
    assert all(remedy for _, _, remedy in verdict["faults"])
    if what == "generation":
        Child(home, faulty.compact).value()
        same(by_id(home), by_id(homes[0]))
    else:
        refused = Child(home, faulty.compact).end()
        assert "is missing" in refused["error"]
        one_line(refused["error"])
        Child(home, faulty.build, homes[2]).value()
    with at_home(home):
        assert verify_index("demo").ok


def test_a_file_that_is_a_folder_or_leads_nowhere(
    homes: tuple[Path, Path, list[str]], tmp_path: Path
) -> None:
    for name in SOME[1:]:
        for kind in ("folder", "nowhere", "circle"):
            home = copied(homes[0], tmp_path / "home")
            path = file_of(home, name)
            path.unlink()
            if kind == "folder":
                path.mkdir()
            else:
                os.symlink(path if kind == "circle" else "nowhere", path)
            found = Child(home, look).value()
            one_line(found["error"])
            verdict = Child(home, verified).value()
            assert verdict["faults"], (name, kind)
            for _, reason, remedy in verdict["faults"]:
                one_line(f"{reason}; {remedy}")
        faulty.reap()


def test_seals_are_not_taken_for_truth(homes: tuple[Path, Path, list[str]], tmp_path: Path) -> None:
    """A manifest that somebody sealed anew over a damaged graph: native code still sees no file
    of another shape."""
    from bioretrieval_tui.index.manifest import FileFacts, encode_manifest, seal

    home = copied(homes[0], tmp_path / "home")
    path = file_of(home, "generation/graph.hnsw")
    data = path.read_bytes()
    for content in (data[:40], data[: len(data) // 2], b"\xff" * len(data), b"\0" * len(data)):
        manifest = read_manifest(demo(homes[0]))
        path.write_bytes(content)
        facts = FileFacts(len(content), checksum.sha256_of(path))
        files = {**manifest.files, manifest.path("graph.hnsw"): facts}
        sealed = seal(msgspec.structs.replace(manifest, files=files))
        (demo(home) / "manifest.json").write_bytes(encode_manifest(sealed))
        one_line(Child(home, look).value()["error"])
        assert [what for what, _, _ in Child(home, verified).value()["faults"]] == ["graph"]
