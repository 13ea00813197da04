"""Writing segments: what a stream of records and deletions amounts to, however it is split."""

from __future__ import annotations

import itertools
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioretrieval_tui.documents import store
from bioretrieval_tui.documents.document import Document, Place, Record
from bioretrieval_tui.documents.store import DocumentStore, StoredId
from bioretrieval_tui.documents.store_writer import StoreOutcome, StoreWriter


def record(identifier: str, text: str = "", title: str = "", **metadata: object) -> Record:
    return Record(Document(identifier, title, text, metadata), Place("c.jsonl", line=1))


Step = Record | str
"""A record is added, an id deleted."""


@dataclass
class Written:
    """Segments as they are written one after another, and what the writer said of each step."""

    folder: Path
    paths: list[Path] = field(default_factory=list)
    dead: frozenset[int] = frozenset()
    aliases: int = 0
    changes: int = 0
    said: list[StoreOutcome | bool] = field(default_factory=list)

    def segment(self, *steps: Step) -> Written:
        base = self.store()
        path = self.folder / f"{len(self.paths)}.sqlite"
        with StoreWriter(path, base, self.dead) as writer:
            for step in steps:
                self.said.append(writer.delete(step) if isinstance(step, str) else writer.add(step))
            writer.finish()
            self.dead |= writer.died
            self.aliases += writer.aliases
            self.changes = writer.changes
        base.close()
        self.paths.append(path)
        return self

    def store(self) -> DocumentStore:
        return DocumentStore(self.paths)

    def held(self) -> dict[str, tuple[str, str]]:
        """Title and text of every id, by way of the rows that are alive and their aliases."""
        store = self.store()
        found = {}
        for label, one in store.records():
            if label in self.dead:
                continue
            document = one.document
            for name in (document.id, *store.aliases(label)):
                assert name not in found
                found[name] = (document.title, document.text)
        store.close()
        return found


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path)


def test_new_same_and_replaced(written: Written) -> None:
    written.segment(
        record("a", "one"), record("a", "one"), record("a", "two"), record("a", "two", year=1)
    )
    assert written.said == [
        StoreOutcome.NEW,
        StoreOutcome.SAME,
        StoreOutcome.REPLACED,
        StoreOutcome.REPLACED,
    ]
    assert written.dead == {0, 1}
    store = written.store()
    assert store.marked_dead() == [0, 1]
    assert store.find("a") == (2, Document("a", "", "two", {"year": 1}))
    # What is dead stays readable under its label: the encoder may be at it.
    assert [document.text for document in store.get([0, 1, 2])] == ["one", "two", "two"]


def test_the_order_of_keys_in_metadata_is_no_change(written: Written) -> None:
    written.segment(record("a", "x", one=1, two=2), record("a", "x", two=2, one=1))
    assert written.said == [StoreOutcome.NEW, StoreOutcome.SAME]


def test_replaced_in_a_later_segment(written: Written) -> None:
    written.segment(record("a", "one"), record("b", "other")).segment(record("a", "two"))
    assert written.dead == {0}
    store = written.store()
    assert store.lookup("a") == StoredId(2, alias=False)
    assert store.marked_dead() == []  # segments are never touched again
    assert store.labels(["a", "b", "c"]) == {"a": 2, "b": 1}


def test_nothing_new_is_no_change(written: Written) -> None:
    written.segment(record("a", "one"), record("b", "one"))
    written.segment(record("a", "one"), record("b", "one"), "none")
    assert written.said[2:] == [StoreOutcome.SAME, StoreOutcome.SAME, False]
    assert written.changes == 0


def test_an_alias_that_comes_again_with_its_own_metadata_is_no_change(written: Written) -> None:
    """A chunk carries its number, so no alias has the metadata of its document."""
    written.segment(record("a", "one", chunk=1), record("b", "one", chunk=2))
    written.segment(record("a", "one", chunk=1), record("b", "one", chunk=2))
    assert written.said == [
        StoreOutcome.NEW,
        StoreOutcome.ALIAS,
        StoreOutcome.SAME,
        StoreOutcome.SAME,
    ]
    assert written.changes == 0


def test_the_same_text_of_two_works_is_two_documents(written: Written) -> None:
    written.segment(
        record("a", "one", pmid="1"),
        record("b", "one", pmid="2"),
        record("c", "one", authors=["Miller A"]),
        record("d", "one", authors=["Berg O"], pmid="3"),
        record("e", "one", pmid="1", types=["Preprint"]),
    )
    assert written.said[:2] == [StoreOutcome.NEW] * 2
    assert written.said[3] is StoreOutcome.NEW


@pytest.mark.parametrize("split", [False, True])
def test_the_same_text_under_another_id_is_another_name(written: Written, split: bool) -> None:
    if split:
        written.segment(record("a", "one", "t")).segment(record("b", "one", "t"))
    else:
        written.segment(record("a", "one", "t"), record("b", "one", "t"))
    assert written.said == [StoreOutcome.NEW, StoreOutcome.ALIAS]
    store = written.store()
    assert (store.rows, written.aliases) == (1, 1)
    assert store.lookup("b") == StoredId(0, alias=True)
    assert store.find("b") == (0, Document("a", "t", "one"))
    assert store.aliases(0) == ["b"]
    assert list(store.all_aliases()) == [("b", 0)]


def test_a_title_alone_makes_no_two_papers_one(written: Written) -> None:
    written.segment(record("a", "", "Editorial"), record("b", " \n", "Editorial"))
    written.segment(record("c", "", "Editorial"))
    assert written.said == [StoreOutcome.NEW] * 3
    assert written.aliases == 0


def test_an_alias_may_become_a_document_of_its_own(written: Written) -> None:
    written.segment(record("a", "one"), record("b", "one")).segment(record("b", "two"))
    assert written.said[-1] is StoreOutcome.REPLACED
    assert written.held() == {"a": ("", "one"), "b": ("", "two")}
    assert (written.aliases, written.dead) == (0, frozenset())


@pytest.mark.parametrize("split", [False, True])
def test_a_name_lives_on_when_its_document_dies(written: Written, split: bool) -> None:
    first = [record("a", "one", year=7), record("c", "one"), record("b", "one")]
    if split:
        written.segment(*first).segment("a")
    else:
        written.segment(*first, "a")
    assert written.said[-1] is True
    store = written.store()
    # The least of its names is what the text is called now; the others stand for it still.
    assert store.find("b") == (1, Document("b", "", "one", {"year": 7}))
    assert store.lookup("c") == StoredId(1, alias=True)
    assert store.lookup("a") is None
    assert written.dead == {0}
    assert written.aliases == 1
    ((_, moved),) = [pair for pair in store.records() if pair[0] == 1]
    assert moved.place == Place("c.jsonl", line=1)


def test_replacing_a_document_keeps_its_old_text_for_its_names(written: Written) -> None:
    written.segment(record("a", "one"), record("b", "one")).segment(record("a", "two"))
    assert written.held() == {"a": ("", "two"), "b": ("", "one")}


def test_deleting_an_alias_leaves_the_document(written: Written) -> None:
    written.segment(record("a", "one"), record("b", "one")).segment("b")
    assert written.held() == {"a": ("", "one")}
    assert written.store().lookup("b") is None
    assert (written.dead, written.aliases) == (frozenset(), 0)


def test_gone_and_back_over_several_segments(written: Written) -> None:
    written.segment(record("a", "one"), record("b", "two"))
    written.segment("a")
    assert written.store().lookup("a") is None
    written.segment(record("c", "three"))
    assert written.store().lookup("a") is None
    written.segment("a", record("a", "one"))
    assert written.said[-2:] == [False, StoreOutcome.NEW]
    assert written.store().find("a") == (3, Document("a", "", "one"))
    written.segment("a", record("a", "two"))
    assert written.said[-1] is StoreOutcome.ALIAS
    assert written.held() == {"a": ("", "two"), "b": ("", "two"), "c": ("", "three")}


def test_a_text_that_is_dead_has_no_second_name(written: Written) -> None:
    written.segment(record("a", "one"), record("x", "y")).segment("a", record("b", "one"))
    assert written.said[-1] is StoreOutcome.NEW
    written.segment("b").segment(record("c", "one"))
    assert written.said[-1] is StoreOutcome.NEW
    assert written.store().same_content(Document("", "", "one").content_hash()) == [3, 2, 0]


def test_half_a_surrogate_pair_is_refused_and_costs_nothing(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s.sqlite") as writer:
        for bad in (record("a", "\ud800"), record("\udfff", "x"), record("b", "", "\ud800")):
            with pytest.raises(ValueError, match="surrogate"):
                writer.add(bad)
        assert (writer.rows, writer.changes) == (0, 0)
        assert writer.add(record("a", "fine")) is StoreOutcome.NEW
        writer.finish()
    assert DocumentStore([tmp_path / "s.sqlite"]).rows == 1


def test_a_file_name_that_is_no_text(written: Written) -> None:
    place = Place("/data/\udcff.jsonl", offset=12)
    written.segment(Record(Document("a", "", "x"), place))
    ((_, found),) = written.store().records()
    assert found.place == Place("/data/?.jsonl", line=12)


def test_reading_along_sees_what_was_added(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s.sqlite") as writer:
        for number in range(5):
            writer.add(record(str(number), f"text {number}"))
            assert [d.text for d in writer.read(number, 10)] == [f"text {number}"]
        writer.delete("2")
        # A window holds its rows whatever became of them.
        assert [d.id for d in writer.read(1, 3)] == ["1", "2", "3"]


def test_an_unfinished_file_is_no_segment_with_rows(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s.sqlite") as writer:
        writer.add(record("a", "x"))
    store = DocumentStore([tmp_path / "s.sqlite"])
    assert store.rows == 0


def test_compacting_joins_nothing_anew(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s.sqlite") as writer:
        writer.joins_twins = False
        assert writer.add(record("a", "one", year=1)) is StoreOutcome.NEW
        assert writer.add(record("b", "one", year=2)) is StoreOutcome.NEW
        writer.name("c", 1)
        writer.finish()
    store = DocumentStore([tmp_path / "s.sqlite"])
    assert store.find("c") == (1, Document("b", "", "one", {"year": 2}))


NAMES = st.sampled_from("abcde")
RECORDS = st.builds(
    record,
    NAMES,
    st.sampled_from(["", "one", "two", "three"]),
    st.sampled_from(["", "title"]),
    year=st.sampled_from([1, 2]),
)
STEPS = st.one_of(RECORDS, RECORDS, NAMES)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(STEPS, max_size=8), min_size=1, max_size=4))
def test_any_steps_over_any_segments_are_what_a_dict_makes_of_them(
    segments: list[list[Step]],
) -> None:
    model: dict[str, tuple[str, str]] = {}
    told: list[bool] = []
    with tempfile.TemporaryDirectory() as folder:
        written = Written(Path(folder))
        for steps in segments:
            written.segment(*steps)
        for step, said in zip(itertools.chain(*segments), written.said, strict=True):
            if isinstance(step, str):
                told.append(said is (model.pop(step, None) is not None))
                continue
            document = step.document
            content = (document.title, document.text)
            if document.id not in model:
                told.append(said in (StoreOutcome.NEW, StoreOutcome.ALIAS))
            elif model[document.id] != content:
                told.append(said is StoreOutcome.REPLACED)
            else:  # metadata alone may differ, which an alias has none of
                told.append(said in (StoreOutcome.SAME, StoreOutcome.REPLACED))
            model[document.id] = content
        assert all(told)
        assert written.held() == model
        store = written.store()
        alive = [label for label in range(store.rows) if label not in written.dead]
        assert sorted(written.dead) == store.superseded()
        aliases = dict(store.all_aliases())
        assert len(aliases) == written.aliases
        assert len(alive) + len(aliases) == len(model)
        for name in "abcde":
            found = store.find(name)
            assert (found is not None) == (name in model)
            if found is not None:
                label, document = found
                assert label in alive
                assert (document.title, document.text) == model[name]
                assert aliases.get(name, label) == label
                assert (document.id == name) == (name not in aliases)
        assert all(store.intact(label) for label in range(store.rows))
        assert store.check() is None
        store.close()


def test_long_texts_are_read_a_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows, pages of a store and batches end where their texts fill what is read at once; one
    document is read however long it is."""
    monkeypatch.setattr(store, "READ_AT_ONCE", 4_000)
    lengths = [10, 900, 900, 9_000, 10, 10, 3_000, 3_000, 10]
    with StoreWriter(tmp_path / "s.sqlite") as writer:
        for number, length in enumerate(lengths):
            writer.add(record(str(number), f"{number} " * (length // 2)))
        sizes, start = [], 0
        while documents := writer.read(start, 5):
            sizes.append(len(documents))
            start += len(documents)
        writer.finish()
    assert sizes == [4, 4, 1]
    with closing(DocumentStore([tmp_path / "s.sqlite"])) as finished:
        assert [len(some) for some in finished.batches(5)] == sizes
        assert [label for label, _ in finished.records()] == list(range(9))
        assert [len(some) for some in finished.batches(3, 3)] == [1, 3, 2]
