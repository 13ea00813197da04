"""What answers become, what counts as a change, and where catalogue and network disagree."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Content, Dataset, Model, Paper
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.freshness import (
    MOST_CHANGES,
    Freshness,
    SubjectChange,
    arxiv_subject,
    differences,
    hub_name,
    hub_subject,
    load_freshness,
    removed,
    same_licence,
    same_words,
    save_freshness,
    subjects_of,
    with_subjects,
)
from bioretrieval_tui.online.searches import arxiv_records

MODEL = Model(
    id="m", name="M", summary="s", sources=("x",), role="retriever", hub=("org/m",), licence="MIT"
)
DATASET = Dataset(
    id="d", name="D", summary="s", sources=("x",), use="u", hub=("org/d",), gated=False
)
PAPER = Paper(
    id="p", name="P", summary="s", sources=("x",), title="On Birds: A Study", arxiv="2101.00001"
)


def catalogue() -> Catalogue:
    return Catalogue(Content(entries=(MODEL, DATASET, PAPER), results=(), sources=()))


def feed(version: int = 1, *, title: str = "On birds: a study", comment: str = "") -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
    <feed xmlns="http://www.w3.org/2005/Atom" xmlns:arxiv="http://arxiv.org/schemas/atom">
      <entry><id>http://arxiv.org/abs/2101.00001v{version}</id>
        <published>2021-01-02T10:00:00Z</published><updated>2021-03-0{version}T10:00:00Z</updated>
        <title>{title}</title><summary>They sing.  They
        fly.</summary><author><name>Ann Bee</name></author>
        <arxiv:comment>{comment}</arxiv:comment><category term="cs.IR"/></entry>
    </feed>""".encode()


def hub(**more: object) -> dict[str, object]:
    return {
        "id": "org/m",
        "downloads": 10,
        "likes": 2,
        "lastModified": "2024-05-06T07:08:09.000Z",
        "gated": False,
        "cardData": {"license": "mit"},
        **more,
    }


def test_a_hub_card_becomes_dated_facts() -> None:
    found = hub_subject("model", "org/m", hub(), day="2026-01-02", etag='"e"')
    assert {name: fact.value for name, fact in found.facts.items()} == {
        "downloads": 10,
        "likes": 2,
        "changed": "2024-05-06",
        "gated": False,
        "licence": "mit",
    }
    assert {fact.date for fact in found.facts.values()} == {"2026-01-02"}
    assert (found.state, found.now, found.etag) == ("there", None, '"e"')


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("downloads", -1),
        ("downloads", True),
        ("downloads", "10"),
        ("likes", 2**60),
        ("lastModified", "yesterday"),
        ("gated", "perhaps"),
        ("cardData", {"license": {"a": 1}}),
        ("cardData", [1]),
    ],
)
def test_a_field_of_another_type_counts_as_not_stated(field: str, value: object) -> None:
    whole = hub_subject("model", "org/m", hub(), day="2026-01-02").facts
    found = hub_subject("model", "org/m", hub(**{field: value}), day="2026-01-02").facts
    assert len(found) == len(whole) - 1


def test_another_name_is_a_rename_but_another_case_is_not() -> None:
    assert hub_subject("model", "org/m", hub(id="new/m"), day="d").now == "new/m"
    assert hub_subject("model", "org/m", hub(id="Org/M"), day="d").state == "there"
    # A name that is no name is not believed.
    assert hub_subject("model", "org/m", hub(id="../../x"), day="d").state == "there"


@pytest.mark.parametrize("text", ["m", "a/b/c", "a/..", "a b/c", "/c", "a/\x1b[2J", ""])
def test_only_org_slash_name_is_a_hub_name(text: str) -> None:
    assert hub_name(text) is None


def test_an_arxiv_feed_is_read_with_versions() -> None:
    record = arxiv_records(feed(3))["2101.00001"]
    document = record.document
    assert (document.text, document.metadata["authors"], document.metadata["date"]) == (
        "They sing. They fly.",
        ["Ann Bee"],
        "2021-01-02",
    )
    assert (record.facts["version"], record.facts["updated"]) == (3, "2021-03-03")


def test_an_error_entry_of_arxiv_is_not_a_paper() -> None:
    wrong = feed().replace(b"abs/2101.00001v1", b"api/errors#incorrect_id")
    assert arxiv_records(wrong) == {}


@pytest.mark.parametrize("data", [b"", b"<html/>", b"<feed", b"not found"])
def test_anything_but_an_atom_feed_is_one_line(data: bytes) -> None:
    with pytest.raises(BioRetrievalError, match="arXiv sent an unexpected response"):
        arxiv_records(data)


def test_entities_of_a_feed_are_not_expanded() -> None:
    bomb = b'<!DOCTYPE feed [<!ENTITY a "AAAA"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
    data = feed(title="On &a;&f; birds").replace(b'<?xml version="1.0" encoding="UTF-8"?>', bomb)
    try:
        found = arxiv_records(data.strip())
    except BioRetrievalError:
        return
    assert "AAAA" not in found["2101.00001"].document.title
    assert "root" not in found["2101.00001"].document.title


# Changes and differences ----------------------------------------------------------------------


def refreshed(*answers: tuple[str, dict[str, object]]) -> tuple[Freshness, list[list[str]]]:
    """Refreshes one after the other, a day each, and the lines of each one's changes."""
    known, lines = Freshness(), []
    for day, answer in answers:
        subject = hub_subject("model", "org/m", answer, day=day)
        known, changes = with_subjects(known, [subject], day)
        lines.append([one.line() for one in changes])
    return known, lines


def test_the_first_refresh_and_download_counts_are_no_changes() -> None:
    _, lines = refreshed(("2026-01-01", hub()), ("2026-01-02", hub(downloads=11, likes=3)))
    assert lines == [[], []]


def test_a_change_is_reported_once_with_both_values() -> None:
    gated = hub(gated="manual", cardData={"license": "cc-by-nc-4.0"})
    known, lines = refreshed(("2026-01-01", hub()), ("2026-01-02", gated), ("2026-01-03", gated))
    assert lines == [[], ["org/m: gated no -> yes", "org/m: licence mit -> cc-by-nc-4.0"], []]
    # Each figure carries the day on which it was first read so.
    facts = known.subjects["model:org/m"].facts
    assert facts["gated"].date == "2026-01-02"
    assert facts["likes"].date == "2026-01-01"
    assert [change.date for change in known.changes] == ["2026-01-02", "2026-01-02"]


def test_a_licence_that_is_stated_or_withdrawn_is_a_change() -> None:
    _, lines = refreshed(
        ("2026-01-01", hub(cardData={})), ("2026-01-02", hub()), ("2026-01-03", hub(cardData={}))
    )
    assert lines[1:] == [["org/m: licence not stated -> mit"], ["org/m: licence mit -> not stated"]]


def test_a_removed_repository_keeps_what_was_known_and_may_come_back() -> None:
    known, _ = refreshed(("2026-01-01", hub()))
    gone = removed("model", "org/m", day="2026-01-02", before=known.subjects["model:org/m"])
    known, changes = with_subjects(known, [gone], "2026-01-02")
    assert [one.line() for one in changes] == ["org/m was removed"]
    assert known.subjects["model:org/m"].facts["licence"].value == "mit"
    back = hub_subject("model", "org/m", hub(), day="2026-01-03")
    known, changes = with_subjects(known, [back], "2026-01-03")
    assert [one.line() for one in changes] == ["org/m is available again"]


def test_a_new_version_of_a_paper_is_a_change() -> None:
    known = Freshness()
    for day, version in (("2026-01-01", 1), ("2026-01-02", 2)):
        subject = arxiv_subject(arxiv_records(feed(version))["2101.00001"], day=day)
        known, changes = with_subjects(known, [subject], day)
    assert "arXiv 2101.00001 has a new version, v2" in [one.line() for one in changes]


def test_the_number_of_kept_changes_is_bounded() -> None:
    old = tuple(
        SubjectChange(date="2020-01-01", where="model", name=f"a/{n}", field="gated")
        for n in range(MOST_CHANGES)
    )
    known = Freshness(changes=old)
    known, _ = with_subjects(known, [hub_subject("model", "org/m", hub(), day="2026-01-01")], "t")
    gated = hub_subject("model", "org/m", hub(gated=True), day="2026-01-02")
    known, _ = with_subjects(known, [gated], "t")
    assert len(known.changes) == MOST_CHANGES
    assert known.changes[0].name == "org/m"


def test_a_contradiction_is_a_difference_and_the_entry_stays() -> None:
    known, _ = refreshed(("2026-01-01", hub(cardData={"license": "apache-2.0"})))
    (found,) = differences(catalogue(), known)
    assert (found.entry, found.field, found.catalogue, found.found, found.date) == (
        "m",
        "licence",
        "MIT",
        "apache-2.0",
        "2026-01-01",
    )
    assert not found.severe


def test_an_unstated_fact_is_no_difference() -> None:
    # The entry says nothing of gating, the hub nothing of a licence.
    known, _ = refreshed(("2026-01-01", hub(gated="auto", cardData={})))
    assert differences(catalogue(), known) == []


def test_removed_renamed_and_withdrawn_are_severe() -> None:
    known, _ = refreshed(("2026-01-01", hub(id="new/m")))
    gone = removed("dataset", "org/d", day="2026-01-01")
    paper = arxiv_records(feed(title="On fish", comment="This paper has been withdrawn"))
    known, _ = with_subjects(
        known, [gone, arxiv_subject(paper["2101.00001"], day="2026-01-01")], "2026-01-01"
    )
    found = {
        (one.entry, one.field): (one.found, one.severe) for one in differences(catalogue(), known)
    }
    assert found == {
        ("m", "hub"): ("new/m", True),
        ("d", "hub"): ("not there", True),
        ("p", "arxiv"): ("withdrawn", True),
        ("p", "title"): ("On fish", False),
    }


@pytest.mark.parametrize(
    ("own", "other", "same"),
    [
        ("MIT", "mit", True),
        ("Apache-2.0 according to mteb", "apache-2.0", True),
        ("CC BY-NC-SA", "cc-by-nc-sa-4.0", True),
        ("MIT", "other", True),
        ("MIT", "apache-2.0", False),
        ("CC-BY-NC-4.0", "cc-by-4.0", False),
    ],
)
def test_licences_are_compared_by_their_words(own: str, other: str, same: bool) -> None:
    assert same_licence(own, other) is same


def test_titles_are_compared_by_their_words() -> None:
    assert same_words("On Birds: A Study", "On birds - a   study")
    assert not same_words("On Birds", "On Fish")


def test_every_subject_is_listed_once() -> None:
    assert list(subjects_of(catalogue())) == [
        ("model", "org/m"),
        ("dataset", "org/d"),
        ("arxiv", "2101.00001"),
    ]


def test_a_damaged_freshness_file_counts_as_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path))
    path = tmp_path / "cache" / "online" / "freshness.json"
    known, _ = refreshed(("2026-01-01", hub()))
    save_freshness(known)
    assert load_freshness() == known
    whole = path.read_bytes()
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        assert load_freshness() == Freshness()
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(known, format=99)))
    assert load_freshness() == Freshness()


def test_a_freshness_file_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("in the way")
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path))
    with pytest.raises(BioRetrievalError, match="cannot be saved"):
        save_freshness(Freshness())
