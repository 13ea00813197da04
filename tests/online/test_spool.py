"""What a fetch keeps on disk, ids in files, starred papers, and the settings of the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from server import World, pmid_of

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.online.fetch import fetch
from bioretrieval_tui.online.http import HttpClient, user_agent
from bioretrieval_tui.online.ids import work_id
from bioretrieval_tui.online.searches import batches_of_ids, documents_of, names_of
from bioretrieval_tui.online.services import masked, network_setting
from bioretrieval_tui.online.spool import (
    FetchBatch,
    FetchRequest,
    Mark,
    Spool,
    keep_starred,
    starred_path,
)
from bioretrieval_tui.paths import write_atomically


def batch(start: int, count: int, done: int | None = None) -> FetchBatch:
    documents = tuple(
        Document(str(n), f"title {n}", "text \u2028 & more", {"pmid": str(n)})
        for n in range(start, start + count)
    )
    at = start + count if done is None else done
    return FetchBatch(documents, (), Mark({"at": str(at)}, at, 100))


def test_the_next_run_finds_the_kept_records(tmp_path: Path) -> None:
    path = tmp_path / "a.part"
    with Spool(path, "asked") as spool:
        for _ in collected_until(spool, [batch(0, 3), batch(3, 2)]):
            pass
    with Spool(path, "asked") as spool:
        assert [one.id for one in spool.documents()] == list("01234")
        assert next(spool.documents()) == batch(0, 1).documents[0]
        state = spool.state
        assert (state.mark.cursor, state.mark.done, state.over) == ({"at": "5"}, 5, False)
        spool.add(batch(5, 1))
        spool.finish()
        assert spool.state.over
        spool.move(tmp_path / "a")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a"]
    lines = [json.loads(line) for line in (tmp_path / "a").read_text("utf-8").split("\n")[:-1]]
    assert [line["_id"] for line in lines] == list("012345")


def collected_until(spool: Spool, given: list[FetchBatch]) -> list[list[Document]]:
    """Batches of a fetch that does not come to its end."""
    return [spool.add(one) for one in given]


@pytest.mark.parametrize("beyond", [b"", b"{", b'{"_id": "9"}\n', bytes(5_000)])
def test_data_behind_the_mark_is_cut_off(tmp_path: Path, beyond: bytes) -> None:
    path = tmp_path / "a.part"
    with Spool(path, "asked") as spool:
        spool.add(batch(0, 4))
    with path.open("ab") as out:
        out.write(beyond)
    with Spool(path, "asked") as spool:
        assert [one.id for one in spool.documents()] == list("0123")
        spool.add(batch(4, 1))
        assert [one.id for one in spool.documents()] == list("01234")


def test_a_truncated_spool_starts_over(tmp_path: Path) -> None:
    path = tmp_path / "a.part"
    with Spool(path, "asked") as spool:
        spool.add(batch(0, 4))
    path.write_bytes(path.read_bytes()[:-10])
    with Spool(path, "asked") as spool:
        assert (spool.state.records, spool.state.mark, list(spool.documents())) == (0, Mark(), [])


def test_records_that_shift_between_pages_are_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "a.part"
    with Spool(path, "asked") as spool:
        spool.add(batch(0, 5))
        assert [one.id for one in spool.add(batch(3, 5, done=10))] == ["5", "6", "7"]
    with Spool(path, "asked") as spool:
        assert [one.id for one in spool.add(batch(6, 4, done=14))] == ["8", "9"]
        assert spool.state.records == 10


def test_a_spool_of_another_request_or_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.part"
    with Spool(path, "asked") as spool:
        spool.add(batch(0, 2))
        with pytest.raises(BioRetrievalError, match="another process"), Spool(path, "asked"):
            pass
    with pytest.raises(BioRetrievalError, match="another request"), Spool(path, "other"):
        pass
    with Spool(path, "other", restart=True) as spool:
        assert (spool.state.records, path.stat().st_size) == (0, 0)
        spool.add(batch(0, 2))
        spool.state_path.write_bytes(b"{")
    with pytest.raises(BioRetrievalError, match="another request") as caught, Spool(path, "other"):
        pass
    assert "--anew" in caught.value.line()


def test_what_pubmed_said_of_a_query_is_told_again_when_a_fetch_resumes(
    client: HttpClient, world: World, tmp_path: Path
) -> None:
    world.said, world.broken_from = {"errorlist": {"fieldsnotfound": ["titel"]}}, 200
    request = FetchRequest("pubmed", "birds", output=str(tmp_path / "a.jsonl"))
    told: list[str] = []
    with pytest.raises(BioRetrievalError, match="404"):
        fetch(request, client=client, warn=told.append)
    world.broken_from = None
    result = fetch(request, client=client, warn=told.append)
    assert (result.records, result.resumed, len(world.of("/esearch"))) == (450, 200, 1)
    assert told == [*result.cautions] * 2
    assert told[0].startswith("PubMed does not know the field [titel]")


class Killed(BaseException):
    """The end of a process."""


def test_a_fetch_killed_after_its_renaming_ends_when_it_is_called_again(
    client: HttpClient, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "a.jsonl"
    request = FetchRequest("pubmed", "birds", most=5, output=str(output))
    unlink = Path.unlink

    def killed(path: Path, *, missing_ok: bool = False) -> None:
        if path.name.endswith(".state"):
            raise Killed
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as context:
        context.setattr(Path, "unlink", killed)
        with pytest.raises(Killed):
            fetch(request, client=client)
    whole, asked = output.read_bytes(), len(world.asked)
    with pytest.raises(UsageError, match="exists"):
        fetch(msgspec.structs.replace(request, restart=True), client=client)
    with pytest.raises(UsageError, match="exists"):
        fetch(msgspec.structs.replace(request, query="moss"), client=client)
    result = fetch(request, client=client)
    assert (result.records, result.resumed, result.found) == (5, 5, 450)
    assert (output.read_bytes(), len(world.asked)) == (whole, asked)
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["a.jsonl"]
    with pytest.raises(UsageError, match="exists"):
        fetch(request, client=client)


# Ids ------------------------------------------------------------------------------------------


def test_each_id_is_requested_from_its_service(client: HttpClient, world: World) -> None:
    words = [str(pmid_of(n)) for n in range(250)]
    words += ["10.5555/pond.300", "10.5555/POND.301", "10.5555/none", "2601.00007", "1"]
    ids = [one for line, word in enumerate(words, 1) if (one := work_id(word, line))]
    found = list(batches_of_ids(client, ids))
    names = {one.id for one in documents_of(found)}
    assert names == {*(str(pmid_of(n)) for n in range(250)), str(pmid_of(300)), str(pmid_of(301)),
                     "2601.00007"}  # fmt: skip
    answered = set[tuple[str, str]]().union(*(names_of(one) for one in documents_of(found)))
    absent = [one for one in ids if one.key not in answered]
    assert [(one.kind, one.name, one.line) for one in absent] == [("doi", "10.5555/none", 253),
                                                                   ("pmid", "1", 255)]  # fmt: skip
    rest = list(batches_of_ids(client, ids, found[0].mark))
    assert [one.mark for one in rest] == [one.mark for one in found[1:]]


# What the user says ---------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path))
    for name in ("NCBI_API_KEY", "BIORETRIEVAL_CONTACT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config").mkdir()
    return tmp_path / "config" / "config.toml"


def test_the_environment_comes_before_the_file(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert network_setting("NCBI_API_KEY") is None
    assert "(" not in user_agent()
    config.write_text('[online]\nncbi_api_key = "abc"\ncontact = "me@example.org"\n')
    assert network_setting("NCBI_API_KEY") == ("abc", f"{config}:2")
    assert user_agent().endswith(" (mailto:me@example.org)")
    monkeypatch.setenv("NCBI_API_KEY", "xyz")
    assert network_setting("NCBI_API_KEY") == ("xyz", "NCBI_API_KEY")
    assert masked("0123456789abcdefghij") == "********ij"
    assert masked("secret") == "********"


@pytest.mark.parametrize(
    "text",
    [
        '[online]\nncbi_api_key = "secret\n',
        "[online]\nncbi_api_key = 7\n",
        '[online]\nncbi_api_key = "secret key"\n',
        '[online]\nncbi_api_key = "secret\\nX-Header: 1"\n',
    ],
)
def test_an_invalid_config_file_is_reported_without_the_key(config: Path, text: str) -> None:
    config.write_text(text)
    with pytest.raises(BioRetrievalError) as caught:
        network_setting("NCBI_API_KEY")
    assert "config.toml" in caught.value.line()
    assert "secret" not in caught.value.line()
    assert caught.value.remedy


def test_marks_are_written_and_read() -> None:
    mark = Mark({"web": "x"}, 3, None)
    assert msgspec.json.decode(msgspec.json.encode(mark), type=Mark) == mark


def test_an_interrupt_while_saving_the_mark_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.part"

    def interrupted(where: Path, data: bytes, **how: Any) -> None:
        write_atomically(where, data, **how)
        if b'"records":4' in data:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, Spool(path, "asked") as spool:
        patched.setattr("bioretrieval_tui.online.spool.write_atomically", interrupted)
        with pytest.raises(KeyboardInterrupt):
            spool.add(batch(0, 4))
        kept = spool.kept()
        assert kept is not None
        assert kept.records == 4
    with Spool(path, "asked") as spool:
        assert [one.id for one in spool.documents()] == list("0123")


def test_a_file_not_written_by_a_fetch_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "a.part"
    path.write_text("a diary")
    with pytest.raises(BioRetrievalError, match="not written by a fetch"), Spool(path, "asked"):
        pass
    assert path.read_text() == "a diary"
    with Spool(path, "asked", restart=True) as spool:
        spool.add(batch(0, 1))
    assert "diary" not in path.read_text()


def test_a_fetch_without_records_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "a.part"
    with Spool(path, "asked") as spool:
        assert spool.state_path.exists()  # a killed run would leave this
    assert list(tmp_path.iterdir()) == []


def test_a_run_killed_before_its_first_record_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.part"
    with Spool(path, "asked"):
        path.write_bytes(b'{"_id": "half of a batch')  # leaving tidies up an empty file only
    with Spool(path, "other") as spool:
        assert (spool.state.records, path.stat().st_size) == (0, 0)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path))
    return tmp_path


def paper(identifier: str, title: str = "t") -> dict[str, bytes]:
    return {identifier: json.dumps({"_id": identifier, "title": title}).encode() + b"\n"}


def kept(path: Path) -> list[tuple[str, str]]:
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    return [(record["_id"], record["title"]) for record in records]


def test_papers_are_kept_once_and_in_order() -> None:
    path = keep_starred("mine", paper("2") | paper("1"), restart=False)
    assert path == starred_path("mine")
    assert keep_starred("mine", paper("3") | paper("2"), restart=False) == path
    assert kept(path) == [("2", "t"), ("1", "t"), ("3", "t")]


def test_a_changed_record_takes_the_place_of_what_it_was() -> None:
    keep_starred("mine", paper("1") | paper("2"), restart=False)
    path = keep_starred("mine", paper("1", "revised"), restart=False)
    assert kept(path) == [("1", "revised"), ("2", "t")]


def test_a_new_index_begins_a_new_file() -> None:
    keep_starred("mine", paper("1"), restart=False)
    assert kept(keep_starred("mine", paper("2"), restart=True)) == [("2", "t")]
    assert not starred_path("other").exists()


def test_a_failed_save_leaves_the_starred_papers(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "starred").write_text("in the way")
    with pytest.raises(BioRetrievalError, match=r"starred papers cannot be saved in .*starred"):
        keep_starred("mine", paper("1"), restart=False)
    assert (home / "data" / "starred").read_text() == "in the way"
