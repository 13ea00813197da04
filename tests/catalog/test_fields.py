"""Fields of entries, the order by a field, and numbers as they are shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui.catalog import fields
from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.models import (
    SECTIONS,
    AnyEntry,
    Content,
    Encoding,
    Model,
    Recipe,
    Training,
)
from bioretrieval_tui.errors import EXIT_USAGE, UsageError
from bioretrieval_tui.util import formatting as numbers


def test_missing_values_come_last_either_way(catalogue: Catalogue) -> None:
    models = catalogue.section("models")
    without = [e.id for e in models if getattr(e, "params", None) is None]
    assert without, "the test needs a model of unknown size"

    up = fields.ordered(models, "params", catalogue)
    down = fields.ordered(models, "params", catalogue, reverse=True)

    sizes = [getattr(entry, "params", None) for entry in up]
    known = [size for size in sizes if size is not None]
    assert known == sorted(known)
    assert known[0] == 0  # zero parameters (BM25) is a value
    assert [e.id for e in up][len(known) :] == without
    assert [e.id for e in down][len(known) :] == without
    assert [getattr(e, "params", None) for e in down][: len(known)] == known[::-1]


def test_equal_values_keep_their_order(catalogue: Catalogue) -> None:
    models = catalogue.section("models")
    for reverse in (False, True):
        found = fields.ordered(models, "dim", catalogue, reverse=reverse)
        wide = [e.id for e in found if getattr(e, "dimension", None) == 768]
        assert wide == [e.id for e in models if getattr(e, "dimension", None) == 768]


def test_no_is_a_value_and_text_is_sorted_without_case(catalogue: Catalogue) -> None:
    gated = fields.ordered(catalogue.section("models"), "gated", catalogue)
    values = [getattr(e, "gated", None) for e in gated]
    assert values[0] is False
    assert values[-1] is None
    names = [e.name.casefold() for e in fields.ordered(catalogue.entries, "name", catalogue)]
    assert names == sorted(names)


@pytest.mark.parametrize(
    ("given_as", "name"),
    [
        ("params", "params"),
        ("PARAMS", "params"),
        ("parameters", "params"),
        ("dim", "dimension"),
        ("docs", "documents"),
        ("qrels", "judgements"),
        ("license", "licence"),
        ("link", "url"),
        ("relations", "related"),
        ("figures", "results"),
    ],
)
def test_fields_by_name_and_alias(given_as: str, name: str) -> None:
    assert fields.field_name(given_as) == name


def test_names_and_aliases_are_used_once() -> None:
    words = [word for row in fields.TABLE.rows for word in (row.name, *row.aliases)]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("word", "says"),
    [("parms", "did you mean params?"), ("licens", "did you mean licence?"), ("€", "fields: ")],
)
def test_an_unknown_field_is_answered_with_the_nearest(word: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        fields.field_name(word)
    assert caught.value.exit_code == EXIT_USAGE
    assert says in caught.value.line()


def test_every_field_has_a_value_somewhere_and_of_its_type(catalogue: Catalogue) -> None:
    """A field that is always empty is misspelt, or its data are missing."""
    types: dict[str, Any] = {
        "text": str,
        "number": (int, float),
        "bool": bool,
        "set": tuple,
        "date": str,
    }
    for row in fields.TABLE.rows:
        found = [row.read(e, catalogue) for e in catalogue.entries if kind_of(e) in row.kinds]
        values = [value for value in found if value not in (None, "", (), {})]
        empty = ("acl", "positives", "topic", "here", "note", "teacher")
        assert values or row.name in empty, row.name
        if row.type is not None:
            assert all(isinstance(value, types[row.type]) for value in values), row.name


def test_the_table_and_the_structs_hold_the_same_fields() -> None:
    """They cannot drift: a field of a struct has its row, and a row its attribute."""
    elsewhere = {"sources", "links", "facts", "notes", "relations", "statuses", "extra"}
    elsewhere |= {"encoding", "training", "traps", "unverified"}  # recipes: rows of their own
    for struct in SECTIONS.values():
        kind = str(struct.__struct_config__.tag)
        paths = {row.path or row.name for row in fields.TABLE.of(kind)}
        assert set(struct.__struct_fields__) - elsewhere <= paths, kind
        assert fields.TABLE.declared_only(kind) == {}
    parts: dict[str, set[str]] = {"Encoding": set(), "Training": set()}
    for row in fields.TABLE.rows:
        if row.group in parts:
            parts[row.group].add(row.path.partition(".")[2])
    # `type` is a field of models and of benchmarks; evidence stands behind each value.
    assert set(Encoding.__struct_fields__) - {"unverified", "type"} == parts["Encoding"]
    assert set(Training.__struct_fields__) - {"evidence"} == parts["Training"]


def test_every_list_has_columns_of_its_kind() -> None:
    for kind in fields.LISTS:
        for row in (column for columns in fields.TABLE.listed(kind) for column in columns):
            assert not kind or kind in row.kinds, (kind, row.name)


def value(entry: AnyEntry, name: str, catalogue: Catalogue) -> Any:
    return fields.TABLE.by_name[name].read(entry, catalogue)


def test_values_that_are_worked_out(catalogue: Catalogue) -> None:
    medcpt = catalogue.entry("medcpt")
    assert value(medcpt, "kind", catalogue) == "model"
    assert value(medcpt, "pooling", catalogue) == "cls"
    assert value(medcpt, "similarity", catalogue) == "dot"
    assert value(medcpt, "results", catalogue) == len(catalogue.results_of("medcpt"))
    assert "medcpt-paper" in value(medcpt, "related", catalogue)
    assert "https://hf.co/ncbi/MedCPT-Query-Encoder" in value(medcpt, "url", catalogue)
    assert value(medcpt, "venue", catalogue) is None
    step = catalogue.entry("step-1")
    assert value(step, "results", catalogue) is None


def test_the_filter_searches_ids_and_hub_ids_and_reads_values(catalogue: Catalogue) -> None:
    one = [catalogue.entry("bmretriever-2b")]
    for found in ("bmretriever-2b", "BMRetriever/BMRetriever-2B", "params=2506172416"):
        assert fields.filtered(one, found, catalogue) == one
    assert fields.filtered(one, "has:venue", catalogue) == []


def test_a_filter_over_the_real_catalogue(catalogue: Catalogue) -> None:
    models = catalogue.section("models")
    found = fields.filtered(models, "role:retriever params<=500M dim=1024", catalogue)
    assert "bmretriever-410m" in [entry.id for entry in found]
    for entry in found:
        assert isinstance(entry, Model)
        assert entry.role == "retriever"
        assert entry.params is not None
        assert entry.params <= 500_000_000
        assert entry.dimension == 1024
    assert fields.filtered(models, "  ", catalogue) == list(models)


@pytest.mark.parametrize(
    ("words", "holds"),
    [
        ("runnable:yes", lambda one: one.runnable == "yes"),
        ("runnable:needs", lambda one: one.runnable == "needs"),
        ("loss:triplet", lambda one: one.loss == "triplet"),
        (
            "training_pairs:given batch>=100",
            lambda one: one.pairs == "given" and (one.batch or 0) >= 100,
        ),
        ("has:lora", lambda one: one.lora is not None),
    ],
)
def test_recipes_by_how_they_train(
    words: str, holds: Callable[[Training], bool], catalogue: Catalogue
) -> None:
    recipes = catalogue.of_type(Recipe)
    found = fields.filtered(recipes, words, catalogue)
    assert 0 < len(found) < len(recipes)
    assert found == [one for one in recipes if one.training and holds(one.training)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""), (0, "0"), (7, "7"), (999, "999"), (1000, "1K"), (1049, "1.05K"),
        (3633, "3.63K"), (171_332, "171K"), (99_960, "100K"), (999_499, "999K"),
        (999_500, "1M"), (999_999, "1M"), (10**6, "1M"), (22_713_216, "22.7M"),
        (109_000_000, "109M"), (353_822_720, "354M"), (999_499_999, "999M"),
        (999_500_000, "1B"), (2_506_172_416, "2.51B"), (7_110_660_096, "7.11B"),
        (10_000_000_000, "10B"), (100_000_000_000, "100B"),
    ],
)  # fmt: skip
def test_sizes_in_three_figures(value: int | None, text: str) -> None:
    assert numbers.short(value) == text


@given(st.integers(0, 10**12))
def test_a_size_is_never_off_by_more_than_its_last_figure(value: int) -> None:
    text = numbers.short(value)
    scale = {"K": 10**3, "M": 10**6, "B": 10**9}.get(text[-1], 1)
    read = float(text.rstrip("KMB")) * scale
    assert abs(read - value) <= max(value * 0.0051, 0)
    assert len(text.rstrip("KMB").replace(".", "")) <= 4


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.500"), (0.34, "0.340"), (0.3254, "0.3254"), (0.149, "0.149"), (1.0, "1.000"),
        (0.0, "0.000"), (-0.25, "-0.250"), (0.0066, "0.0066"), (0.1 + 0.2, "0.300"),
        (0.00001, "0.00001"), (0.0000001, "0.000"), (0.7240, "0.724"),
    ],
)  # fmt: skip
def test_figures_keep_their_published_decimals(value: float, text: str) -> None:
    assert numbers.figure(value) == text


def test_counts_in_thousands() -> None:
    assert numbers.count(14_913_939) == "14,913,939"
    assert numbers.count(0) == "0"
    assert numbers.count(None) == ""


@pytest.mark.parametrize(
    ("licence", "free"),
    [
        ("Apache-2.0", True), ("apache-2.0 (an earlier card said MIT)", True), ("MIT", True),
        ("CC BY 4.0", True), ("cc-by-sa-4.0", True), ("CC0-1.0", True), ("public-domain", True),
        ("cc-by-nc-4.0", False), ("CC BY-NC-SA 4.0", False), ("CC BY-NC-ND 4.0", False),
        ("gemma", False), ("research only", False), (None, None),
    ],
)  # fmt: skip
def test_a_free_licence_is_known_by_its_name(licence: str | None, free: bool | None) -> None:
    model = Model(id="a", name="A", role="retriever", summary="A.", sources=("x",), licence=licence)
    found = Catalogue(Content(entries=(model,), results=(), sources=()))
    assert fields.TABLE.by_name["free_licence"].read(model, found) is free
