"""Archives: resumed from any byte, compared, unpacked with care; the baseline file by file."""

from __future__ import annotations

import gzip
import hashlib
import stat
import zipfile
from pathlib import Path

import msgspec
import pytest
from server import Fault, World, archive_files, benchmark_files, zipped

from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.catalog.models import Benchmark
from bioretrieval_tui.documents.mesh import kept_mesh, mesh_path
from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.errors import BioRetrievalError, NotFoundError, UsageError
from bioretrieval_tui.evaluation.benchmark import find_parts, read_benchmark
from bioretrieval_tui.online import archives
from bioretrieval_tui.online.archives import download, fetch_benchmark, fetchable, unpack
from bioretrieval_tui.online.http import HttpClient
from bioretrieval_tui.online.services import OnlineError
from bioretrieval_tui.progress import Progress
from mesh_sample import DESCRIPTORS

DATA = bytes(range(256)) * 1_200
MD5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()


def fetched(
    client: HttpClient, target: Path, md5: str | None = MD5, most: int = 10**9
) -> list[int]:
    told: list[int] = []
    download(
        client,
        "baseline",
        "file",
        target,
        md5=md5,
        most_bytes=most,
        tell=lambda n, _: told.append(n),
    )
    return told


@pytest.mark.parametrize("cut", [0, 1, 255, 65_536, 200_000, len(DATA) - 1])
def test_a_file_is_resumed_at_any_byte(
    client: HttpClient, world: World, tmp_path: Path, cut: int
) -> None:
    world.files["/file"] = DATA
    world.faults = [("/file", Fault("cut", cut))]
    fetched(client, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == DATA
    assert world.of("/file")[-1].get("range") == (f"bytes={cut}-" if cut else None)
    assert world.sent == len(DATA)  # no byte twice
    assert [path.name for path in tmp_path.glob("file*")] == ["file"]


def test_a_service_that_sends_only_whole_files(
    client: HttpClient, world: World, tmp_path: Path
) -> None:
    world.files["/file"] = DATA
    world.faults = [("/file", Fault("cut", 70_000)), ("/file", Fault("whole"))]
    fetched(client, tmp_path / "file", most=len(DATA))
    assert (tmp_path / "file").read_bytes() == DATA


def test_another_process_resumes_a_file(client: HttpClient, world: World, tmp_path: Path) -> None:
    world.files["/file"] = DATA
    world.faults = [("/file", Fault("cut", 70_000))] + [("/file", Fault("fail"))] * 5
    with pytest.raises(OnlineError, match="the PubMed archive responded with status 500"):
        fetched(client, tmp_path / "file")
    assert (tmp_path / "file.part").read_bytes() == DATA[:70_000]
    told = fetched(client, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == DATA
    assert told[0] > 70_000
    assert told[-1] == len(DATA)


def test_one_process_at_a_time_fetches_a_file(
    client: HttpClient, world: World, tmp_path: Path
) -> None:
    """The part file of both would be a mixture."""
    world.files["/file"] = DATA
    second: list[str] = []

    def tell(_: int, __: int | None) -> None:
        if not second:
            with pytest.raises(BioRetrievalError, match="another process fetches it") as caught:
                fetched(client, tmp_path / "file")
            second.append(caught.value.line())

    where = tmp_path / "file"
    download(client, "baseline", "file", where, md5=MD5, most_bytes=10**9, tell=tell)
    assert len(second) == 1
    assert where.read_bytes() == DATA


def test_a_complete_part_file_is_renamed(client: HttpClient, world: World, tmp_path: Path) -> None:
    world.files["/file"] = DATA
    (tmp_path / "file.part").write_bytes(DATA)
    fetched(client, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == DATA


def test_a_file_with_a_wrong_md5_or_too_many_bytes_is_refused(
    client: HttpClient, world: World, tmp_path: Path
) -> None:
    world.files["/file"] = DATA[:-1] + b"x"
    with pytest.raises(OnlineError, match="has the wrong MD5"):
        fetched(client, tmp_path / "file")
    assert not list(tmp_path.glob("file*"))
    with pytest.raises(OnlineError, match="more than 1,000 bytes"):
        fetched(client, tmp_path / "file", most=1_000)


def test_a_download_fails_after_five_connections_without_data(
    client: HttpClient, world: World, tmp_path: Path
) -> None:
    world.files["/file"] = DATA
    world.faults = [("/file", Fault("cut", 0))] * 50
    with pytest.raises(OnlineError, match="broke off"):
        fetched(client, tmp_path / "file")
    assert len(world.of("/file")) == 5


# Unpacking ------------------------------------------------------------------------------------


def archive(tmp_path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in entries:
            out.writestr(name, data)
    return path


def quiet(_: int, __: int) -> None:
    """Says nothing."""


def test_unpacked_files_equal_the_packed_ones(tmp_path: Path) -> None:
    path = archive(tmp_path, ("top/a.txt", b"one"), ("top/b/c.txt", b"two" * 9), ("top/d", b""))
    told: list[tuple[int, int]] = []
    unpack(path, tmp_path / "out", tell=lambda *step: told.append(step))
    found = {str(one.relative_to(tmp_path / "out")): one.read_bytes()
             for one in (tmp_path / "out").rglob("*") if one.is_file()}  # fmt: skip
    assert found == {"a.txt": b"one", "b/c.txt": b"two" * 9, "d": b""}
    assert told[-1] == (30, 30)


def linked() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("top/link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([("../out.txt", b"x")], "leads outside"),
        ([("a/../../out.txt", b"x")], "leads outside"),
        ([("/etc/out.txt", b"x")], "leads outside"),
        ([("C:\\out.txt", b"x")], "leads outside"),
        ([("a\\..\\..\\out.txt", b"x")], "leads outside"),
        ([(linked(), b"/etc/passwd")], "a link or a device"),
        ([("a", b"x"), ("A", b"y")], "a path twice"),
        ([(f"f{n}", b"") for n in range(30)], "it holds 30 files"),
        ([("big", bytes(2_000_000))], "it unpacks to 2,000,000 bytes"),
    ],
)
def test_dangerous_zip_files_are_not_unpacked(
    tmp_path: Path, entries: list[tuple[str | zipfile.ZipInfo, bytes]], said: str
) -> None:
    path = archive(tmp_path, *entries)
    before = sorted(tmp_path.parent.rglob("*"))
    with pytest.raises(BioRetrievalError, match=said):
        unpack(path, tmp_path / "out", tell=quiet, most_bytes=10**6, most_files=20)
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_a_zip_file_larger_than_declared_is_damaged(tmp_path: Path) -> None:
    path = archive(tmp_path, ("big", bytes(1_000_000)))
    data = path.read_bytes().replace((1_000_000).to_bytes(4, "little"), (9).to_bytes(4, "little"))
    path.write_bytes(data)
    with pytest.raises(BioRetrievalError, match="damaged"):
        unpack(path, tmp_path / "out", tell=quiet)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_an_archive_that_is_cut_off_or_damaged(tmp_path: Path, share: float) -> None:
    path = archive(tmp_path, *((f"f{n}", DATA[n:]) for n in range(4)))
    whole = path.read_bytes()
    at = int(len(whole) * share)
    for broken in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF] * 40) + whole[at + 40 :]):
        path.write_bytes(broken)
        with pytest.raises(BioRetrievalError, match=r"damaged|not unpacked"):
            unpack(path, tmp_path / "out", tell=quiet)
        assert not (tmp_path / "out").exists()


# Benchmarks -----------------------------------------------------------------------------------


@pytest.fixture
def nfcorpus(world: World) -> Benchmark:
    """The catalogue's entry, with the MD5 of our own archive."""
    entry = load().catalogue.by_id["nfcorpus"]
    assert isinstance(entry, Benchmark)
    assert entry.loaders is not None
    data = zipped(benchmark_files("nfcorpus"))
    world.files["/nfcorpus.zip"] = data
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return msgspec.structs.replace(
        entry, loaders=msgspec.structs.replace(entry.loaders, md5=digest)
    )


def test_a_fetched_benchmark_can_be_evaluated(
    client: HttpClient, world: World, nfcorpus: Benchmark, tmp_path: Path
) -> None:
    world.faults = [("/nfcorpus.zip", Fault("cut", 300))]
    told: list[Progress] = []
    fetch_benchmark(client, nfcorpus, tmp_path / "nf", reporter=told.append)
    assert len(read_benchmark(tmp_path / "nf").queries) == 5
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["nf"]
    assert {step.stage for step in told} == {"fetching nfcorpus", "unpacking"}
    with pytest.raises(UsageError, match="exists"):
        fetch_benchmark(client, nfcorpus, tmp_path / "nf")


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (("corpus/c.parquet", "queries/q.parquet", "data/test-00000-of-00001.parquet"), None),
        (("corpus/c.parquet", "queries/q.parquet", "qrels/test.parquet", "README.md"), None),
        (("corpus.jsonl.gz", "topics.xml", "qrels.txt"), None),
        (("corpus/c.parquet", "data/test-00000-of-00001.parquet"), "queries"),
        (("queries.jsonl", "qrels/test.tsv"), "corpus"),
    ],
)
def test_archives_in_the_layout_of_the_hub(
    client: HttpClient, world: World, nfcorpus: Benchmark, tmp_path: Path,
    names: tuple[str, ...], missing: str | None,
) -> None:  # fmt: skip
    data = zipped({f"nf/{name}": b"PAR1" for name in names})
    world.files["/nfcorpus.zip"] = data
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert nfcorpus.loaders is not None
    loaders = msgspec.structs.replace(nfcorpus.loaders, md5=digest)
    entry = msgspec.structs.replace(nfcorpus, loaders=loaders)
    if missing is None:
        fetch_benchmark(client, entry, tmp_path / "nf")
        assert find_parts(tmp_path / "nf").split == "test"
        return
    with pytest.raises(BioRetrievalError, match=f"holds no {missing}"):
        fetch_benchmark(client, entry, tmp_path / "nf")


def test_an_altered_archive_is_not_unpacked(
    client: HttpClient, world: World, nfcorpus: Benchmark, tmp_path: Path
) -> None:
    world.files["/nfcorpus.zip"] = zipped(benchmark_files("other"))
    with pytest.raises(OnlineError, match="has the wrong MD5"):
        fetch_benchmark(client, nfcorpus, tmp_path / "nf")
    assert not [path for path in tmp_path.iterdir() if path.name != "home"]


def test_a_benchmark_without_an_archive_is_refused(client: HttpClient, tmp_path: Path) -> None:
    found = load().catalogue
    assert {"nfcorpus", "scifact", "scidocs", "trec-covid"} <= set(fetchable(found))
    entry = next(
        one for one in found.of_type(Benchmark) if one.loaders is None or not one.loaders.zip
    )
    with pytest.raises(NotFoundError, match="names no archive"):
        fetch_benchmark(client, entry, tmp_path / "x")


# The baseline ---------------------------------------------------------------------------------


def test_the_baseline_file_by_file(client: HttpClient, world: World, tmp_path: Path) -> None:
    world.files = archive_files(world)
    listed = archives.listed(client)
    assert [one.path for one in listed] == [
        "baseline/pubmed26n0001.xml.gz",
        "baseline/pubmed26n0002.xml.gz",
        "updatefiles/pubmed26n0003.xml.gz",
    ]
    assert all(one.bytes and one.bytes < 20_000 for one in listed)
    folder = tmp_path / "pubmed"
    world.faults = [("/baseline/pubmed26n0002.xml.gz", Fault("cut", 99))]
    archives.fetch_files(client, listed, folder)
    assert archives.missing(listed, folder) == []

    from bioretrieval_tui.index.intake import feed_files

    feed_files([folder], ReadSettings())  # the readers of the corpus take the folder
    for one in listed:
        assert (folder / one.name).read_bytes() == world.files[f"/{one.path}"]


def test_a_baseline_resumes_behind_the_file_that_failed(
    client: HttpClient, world: World, tmp_path: Path
) -> None:
    world.files = archive_files(world)
    whole = world.files["/baseline/pubmed26n0002.xml.gz"]
    world.files["/baseline/pubmed26n0002.xml.gz"] = whole[:-1] + b"?"
    listed = archives.listed(client)
    with pytest.raises(OnlineError, match=r"pubmed26n0002\.xml\.gz .* has the wrong MD5"):
        archives.fetch_files(client, listed, tmp_path)
    world.files["/baseline/pubmed26n0002.xml.gz"] = whole
    left = archives.missing(listed, tmp_path)
    assert [one.name for one in left] == ["pubmed26n0002.xml.gz", "pubmed26n0003.xml.gz"]
    world.asked.clear()
    archives.fetch_files(client, left, tmp_path)
    assert not world.of("/baseline/pubmed26n0001")
    assert archives.missing(listed, tmp_path) == []


@pytest.mark.parametrize(
    ("path", "fault", "said"),
    [
        ("/baseline/", Fault("page"), "a listing without files"),
        ("/baseline/pubmed26n0001.xml.gz.md5", Fault("page"), "no MD5 of pubmed26n0001.xml.gz"),
    ],
)
def test_a_baseline_listing_that_is_not_understood_is_one_line(
    client: HttpClient, world: World, tmp_path: Path, path: str, fault: Fault, said: str
) -> None:
    world.files = {k: v for k, v in archive_files(world).items() if "update" not in k}
    world.faults = [(path, fault)]
    with pytest.raises(OnlineError) as caught:
        archives.fetch_files(client, archives.listed(client, ["baseline"]), tmp_path)
    assert said in caught.value.line()


# MeSH -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["desc2026.gz", "desc2025.gz", "desc2025.xml"])
def test_the_newest_headings_of_mesh_are_fetched_and_kept(
    client: HttpClient, world: World, name: str
) -> None:
    data = DESCRIPTORS.encode()
    world.files[f"/{name}"] = data if name.endswith(".xml") else gzip.compress(data)
    world.faults = [(f"/{name}", Fault("cut", 500))]
    told: list[Progress] = []
    mesh = archives.fetch_mesh(client, [2026, 2025], "2026-07-01", reporter=told.append)
    assert (len(mesh), mesh.source, mesh.day) == (7, name, "2026-07-01")
    kept = kept_mesh()
    assert kept is not None
    assert list(kept.headings()) == list(mesh.headings())
    assert [path.name for path in mesh_path().parent.iterdir()] == ["mesh.tsv"]
    assert "fetching MeSH" in {step.stage for step in told}


def test_damaged_headings_are_refused_and_none_are_said(client: HttpClient, world: World) -> None:
    with pytest.raises(NotFoundError, match="no MeSH of 2026 or 2025"):
        archives.fetch_mesh(client, [2026, 2025], "2026-07-01")
    world.files["/desc2026.gz"] = b"<html>a page</html>"
    with pytest.raises(BioRetrievalError, match="no MeSH headings"):
        archives.fetch_mesh(client, [2026], "2026-07-01")
    assert list(mesh_path().parent.iterdir()) == []
    world.broken["/desc2026.gz"] = Fault("say", 403, "no")
    with pytest.raises(OnlineError, match="403"):
        archives.fetch_mesh(client, [2026, 2025], "2026-07-01")
