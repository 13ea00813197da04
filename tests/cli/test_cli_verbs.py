"""Every verb that reads the catalogue, in every format: the bytes are those of `export`.

`export` has golden files for its bytes; here it is checked that a call hands it the right
entries and adds nothing.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from bioretrieval_tui.actions import ACTIONS
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.listing import load_listing
from bioretrieval_tui.render.entries import entry_page, entry_record, entry_sheet
from bioretrieval_tui.render.formats import FORMATS, Format, encoded, object_text, render
from bioretrieval_tui.render.page import markdown
from bioretrieval_tui.settings import SettingsStore

Call = Callable[..., Any]
KINDS = {
    "papers": "paper",
    "models": "model",
    "datasets": "dataset",
    "benchmarks": "benchmark",
    "recipes": "recipe",
    "timeline": "milestone",
    "path": "step",
}


@pytest.mark.parametrize("format_", FORMATS)
def test_list_writes_what_export_renders(cli: Call, catalogue: Catalogue, format_: Format) -> None:
    called = cli("list", "models", "-f", format_)
    sheet = entry_sheet(catalogue.section("models"), catalogue, kind="model")
    assert called.code == 0
    assert called.err == ""
    assert called.out == "".join(render(sheet, format_))


def test_list_without_a_kind_is_the_whole_catalogue(cli: Call, catalogue: Catalogue) -> None:
    listed = cli("list", "-f", "json").json
    assert [entry["id"] for entry in listed] == [entry.id for entry in catalogue.entries]
    assert len(listed) == len({entry["id"] for entry in listed})


def test_markdown_is_the_format_of_a_pipe_and_md_its_alias(cli: Call) -> None:
    assert cli("list", "path").out == cli("list", "path", "-f", "markdown").out
    assert cli("list", "path", "-f", "md").out == cli("list", "path").out
    assert cli("list", "path").out.startswith("# Path\n\n| ")


def test_every_kind_has_its_singular_and_its_order(cli: Call, catalogue: Catalogue) -> None:
    for plural, singular in KINDS.items():
        rows = [json.loads(line) for line in cli("list", plural, "-f", "jsonl").out.splitlines()]
        assert rows
        assert {row["kind"] for row in rows} == {singular}
        assert [row["id"] for row in rows] == [e.id for e in catalogue.section(plural)]
    assert cli("list", "milestone", "-f", "jsonl").out == cli("list", "timeline", "-f", "jsonl").out


def test_the_timeline_is_in_the_order_of_time(cli: Call) -> None:
    years = [row["year"] for row in cli("list", "timeline", "-f", "json").json]
    assert years == sorted(years)


def test_a_filter_keeps_what_fits(cli: Call) -> None:
    called = cli("list", "models", "-w", "params<=30M", "-s", "params", "-f", "json")
    params = [model["params"] for model in called.json]
    assert params == sorted(params)
    assert params[-1] <= 30_000_000
    everything = [model["params"] for model in cli("list", "models", "-f", "json").json]
    assert len(params) == sum(1 for value in everything if value is not None and value <= 30e6)


def test_filters_given_twice_must_both_fit(cli: Call) -> None:
    both = cli("list", "models", "-w", "params<=30M", "--where", "dimension<=64", "-f", "json")
    one = cli("list", "models", "-w", "params<=30M dimension<=64", "-f", "json")
    assert both.json == one.json
    assert both.json


def test_nothing_that_fits_is_an_empty_listing_and_a_word_about_it(cli: Call) -> None:
    called = cli("list", "models", "-w", "params>900B", "-f", "json")
    assert (called.code, called.out) == (0, "[]\n")
    assert called.lines == ["bioretrieval-tui: no entry matches the filter"]


def test_reverse_turns_the_order_and_keeps_the_unknown_last(cli: Call) -> None:
    rows = cli("list", "models", "-s", "params", "-r", "-f", "json").json
    params = [row["params"] for row in rows]
    known = [value for value in params if value is not None]
    assert known == sorted(known, reverse=True)
    assert params[len(known) :] == [None] * (len(params) - len(known))
    unsorted = [row["id"] for row in cli("list", "models", "-f", "json").json]
    backwards = [row["id"] for row in cli("list", "models", "-r", "-f", "json").json]
    assert backwards == unsorted[::-1]


def test_a_limit_keeps_the_first(cli: Call) -> None:
    rows = cli("list", "papers", "-n", "3", "-f", "json").json
    assert rows == cli("list", "papers", "-f", "json").json[:3]


@pytest.mark.parametrize("format_", FORMATS)
def test_show_writes_one_entry_in_every_format(
    cli: Call, catalogue: Catalogue, format_: Format
) -> None:
    entry = catalogue.entry("medcpt")
    called = cli("show", "medcpt", "-f", format_, env={"COLUMNS": "80"})
    assert (called.code, called.err) == (0, "")
    if format_ == "markdown":
        assert called.out == "".join(markdown(entry_page(entry, catalogue)))
    elif format_ == "json":
        assert called.out == object_text(entry_record(entry, catalogue))
    elif format_ == "jsonl":
        assert called.out == encoded(entry_record(entry, catalogue)) + "\n"
    elif format_ == "table":
        assert called.out.startswith(entry.name)
        assert max(map(len, called.out.splitlines())) <= 80
        for related in catalogue.related(entry.id):
            assert related.id in called.out
        assert "\x1b" not in called.out
    else:
        assert called.out == "".join(render(entry_sheet([entry], catalogue), format_))


def test_show_takes_an_id_in_any_case(cli: Call) -> None:
    assert cli("show", "MedCPT", "-f", "json").json["id"] == "medcpt"


@pytest.mark.parametrize(
    ("to", "start"), [("bibtex", "@"), ("ris", "TY  - "), ("csl", "["), ("endnote-xml", "<?xml ")]
)
def test_show_cites_what_is_a_work_and_names_the_paper_of_what_is_not(
    cli: Call, to: str, start: str
) -> None:
    assert cli("show", "medcpt-paper", "-f", to).out.startswith(start)
    refused = cli("show", "step-1", "-f", to)
    assert (refused.code, refused.out) == (1, "")
    assert "'step-1' cannot be cited" in refused.err


def test_results_group_like_with_like_best_first(cli: Call, catalogue: Catalogue) -> None:
    rows = cli("results", "-f", "json").json
    assert len(rows) == len(load_listing(catalogue).results)
    groups: list[tuple[Any, ...]] = []
    previous: dict[str, Any] | None = None
    for row in rows:
        group = (row["benchmark"], row["metric"], row["subset"])
        if previous is not None and groups[-1] == group:
            assert (not previous["comparable"], -previous["value"]) <= (
                not row["comparable"],
                -row["value"],
            )
        else:
            groups.append(group)
        previous = row
    assert len(groups) == len(set(groups))


def test_results_by_benchmark_model_and_zero_shot(cli: Call) -> None:
    some = cli("results", "-b", "nfcorpus", "-b", "scifact", "--zero-shot", "-f", "json").json
    assert {row["benchmark"] for row in some} == {"nfcorpus", "scifact"}
    assert all(row["zero_shot"] is True for row in some)
    one = cli("results", "-m", "medcpt", "-f", "json").json
    assert one
    assert {row["model"] for row in one} == {"medcpt"}


def test_results_of_a_suite_are_those_of_its_members(cli: Call, catalogue: Catalogue) -> None:
    members = set(getattr(catalogue.entry("beir"), "members", ()))
    found = {row["benchmark"] for row in cli("results", "-b", "beir", "-f", "json").json}
    assert {"nfcorpus", "scifact", "trec-covid"} <= found <= members | {"beir"}


@pytest.mark.parametrize("format_", ["table", "markdown", "jsonl", "csv"])
def test_results_in_the_other_formats(cli: Call, format_: str) -> None:
    called = cli("results", "-b", "scifact", "-f", format_)
    count = len(cli("results", "-b", "scifact", "-f", "json").json)
    heading = {"table": 2, "markdown": 4, "jsonl": 0, "csv": 1}[format_]
    assert called.code == 0
    assert len(called.out.splitlines()) == count + heading


def test_models_are_ranked_by_the_columns_that_are_asked_for(cli: Call) -> None:
    rows = cli("results", "--columns", "nfcorpus,curev1:fr", "--complete", "-f", "json").json
    assert len(rows) > 100
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    for row in rows:
        values = [row["results"][key]["value"] for key in ("nfcorpus", "curev1:fr")]
        assert row["score"] == pytest.approx(sum(values) / 2)
    assert [row["rank"] for row in rows[:3]] == [1, 2, 3]


@pytest.mark.parametrize("ranking", ["mean", "mean-rank", "borda"])
def test_each_ranking_says_what_it_ranks_by(cli: Call, ranking: str) -> None:
    called = cli("results", "--wide", "--rank", ranking, "-n", "3")
    heading = {"mean": "mean", "mean-rank": "mean rank", "borda": "Borda"}[ranking]
    assert f" {heading} |" in called.out
    assert f"{heading} of NFCorpus, SciFact, SCIDOCS, TREC-COVID" in called.err
    assert "without all of these scores" in called.err


def test_a_free_small_model_for_french_questions(cli: Call) -> None:
    """The question of a newcomer: what fits my machine and my licence, in my language?"""
    where = "params<=150M licence:apache open_weights:yes"
    rows = cli("results", "--columns", "curev1:fr", "-w", where, "-n", "5", "-f", "json").json
    assert len(rows) == 5
    assert all(
        row["params"] <= 150_000_000 and "apache" in row["licence"].casefold() for row in rows
    )


def test_a_subset_and_a_name_that_lists_show_are_taken(cli: Call) -> None:
    rows = cli("results", "-b", "curev1:fr", "-m", "multilingual-e5-small", "-f", "json").json
    assert [(row["subset"], row["model"]) for row in rows] == [
        ("fr", "intfloat-multilingual-e5-small")
    ]


def test_a_subset_is_meant_however_it_is_written(cli: Call) -> None:
    rows = cli("results", "-b", "CUREv1:FR", "-f", "json").json
    assert {row["subset"] for row in rows} == {"fr"}
    assert rows == cli("results", "-b", "curev1:fr", "-f", "json").json


def test_signs_stand_behind_scores_for_readers(cli: Call) -> None:
    words = ["results", "--columns", "nfcorpus", "-m", "voyage-3-m-exp", "-m", "MiniCPM-Embedding"]
    assert "**0.4699**t" in cli(*words).out
    assert "0.3977}\\textsuperscript{s}" in cli(*words, "-f", "latex").out
    assert "s self-reported" in cli(*words).err
    # A file stands alone: it explains the signs that it has, and no others.
    note = "NFCorpus; t trained on this benchmark, s self-reported\n"
    for made in (cli(*words), cli(*words, "-f", "latex")):
        assert note in made.out
    assert ",0.4699," in cli(*words, "-f", "csv").out or ",0.4699\n" in cli(*words, "-f", "csv").out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--columns", ""], 2, "--columns names no benchmark"),
        (["--complete"], 2, "--rank, --complete, -s and -r are for --wide"),
        (["-b", "scifact", "--columns", "nfcorpus"], 2, "-b and --columns exclude each other"),
        (["--columns", "nfcorpsu"], 2, "no column is called 'nfcorpsu'; did you mean nfcorpus"),
        (["--wide", "-s", "nowhere"], 2, "it cannot be sorted by 'nowhere'; use rank, model"),
        (["--wide", "--rank", "median"], 2, "'median' is not one of"),
        (["--wide", "-w", "params<<1"], 2, "filter, column"),
        (["-m", "nobody/nothing"], 3, "no model has the id 'nobody/nothing'"),
    ],
)
def test_a_wrong_wish_for_a_ranking_is_one_line(
    cli: Call, words: list[str], code: int, says: str
) -> None:
    called = cli("results", *words)
    assert (called.code, called.out) == (code, "")
    assert says in called.lines[0]


def test_a_ranking_as_latex(cli: Call) -> None:
    models = [word for name in ("medcpt", "bge-base-en-v1-5", "gte-base") for word in ("-m", name)]
    out = cli("results", "--columns", "nfcorpus,scifact", *models, "-f", "latex").out
    assert r"\begin{tabular}{rlrrrrr}" in out
    assert r"\textbf{0.379}" in out
    assert r"\underline{0.3735}" in out
    assert out.count(" \\\\\n") == 4
    assert "footnotesize Mean of NFCorpus, SciFact" in out


def test_entries_side_by_side(cli: Call) -> None:
    rows = cli("compare", "medcpt", "bge-base-en-v1-5", "BAAI/bge-m3", "-f", "json").json
    scidocs = next(row for row in rows if row["field"] == "scidocs")
    assert list(scidocs["values"]) == ["medcpt", "bge-base-en-v1-5", "bge-m3"]
    assert scidocs["best"] == ["bge-base-en-v1-5"]
    assert "sources" in scidocs["remark"]
    called = cli("compare", "nfcorpus", "scifact", "--differences", "-f", "markdown")
    assert "| Facts | queries | 323 | 300 |" in called.out
    assert "| = |" not in called.out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["medcpt"], 2, "1 cannot be compared; name 2 to 6 entries"),
        (["a", "b", "c", "d", "e", "f", "g"], 2, "7 cannot be compared"),
        (["medcpt", "ncbi/MedCPT-Query-Encoder"], 2, "'medcpt' is given twice"),
        (["medcpt", "nfcorpus"], 2, "several kinds: medcpt (model), nfcorpus (benchmark)"),
        (["medcpt", "medcbt"], 3, "no entry has the id 'medcbt'; nearest: medcpt"),
    ],
)
def test_a_comparison_that_cannot_be_made(
    cli: Call, words: list[str], code: int, says: str
) -> None:
    called = cli("compare", *words)
    assert (called.code, called.out) == (code, "")
    assert says in called.lines[0]
    assert len(called.lines) == 1


def test_a_listed_model_has_a_page_and_says_that_its_facts_are_declared(cli: Call) -> None:
    for name in ("intfloat/multilingual-e5-small", "intfloat-multilingual-e5-small"):
        out = cli("show", name).out
        assert "declared to mteb, and not checked" in out
        assert "https://huggingface.co/intfloat/multilingual-e5-small" in out
        assert "CUREv1" in out


@pytest.mark.parametrize(
    ("verb", "to"),
    [("results", "bibtex"), ("keys", "ris"), ("config", "csl"), ("doctor", "endnote")],
)
def test_what_cannot_be_cited_is_refused(cli: Call, verb: str, to: str) -> None:
    called = cli(verb, "-f", to)
    assert (called.code, called.out) == (2, "")
    said = f"this cannot be written as {to}; formats: table, markdown, json, jsonl, csv"
    said += ", latex" if verb == "results" else ""
    assert called.lines == [f"bioretrieval-tui: {said}"]


@pytest.mark.parametrize("format_", ["table", "markdown", "json", "jsonl", "csv"])
def test_keys_are_those_of_the_registry(cli: Call, format_: str) -> None:
    called = cli("keys", "-f", format_)
    assert (called.code, called.err) == (0, "")
    bound = ACTIONS
    if format_ == "json":
        assert {row["id"] for row in called.json} == {action.id for action in bound}
        assert sorted(called.json[0]) == ["action", "help", "id", "keys", "origin", "scope"]
    elif format_ == "csv":
        assert len(list(csv.DictReader(io.StringIO(called.out)))) == len(bound)
    else:
        for action in bound:
            assert action.help[:20] in called.out.replace("\\", "")


@pytest.mark.parametrize("format_", ["table", "markdown", "json", "jsonl", "csv"])
def test_config_names_every_place_and_what_set_it(cli: Call, home: Any, format_: str) -> None:
    called = cli("config", "-f", format_)
    assert called.code == 0
    for place in ("catalog.d", "indexes", "cache", "state"):
        assert str(home) in called.out
        assert place in called.out
    assert "BIORETRIEVAL_HOME" in called.out


def test_config_says_which_variable_is_in_force(cli: Call) -> None:
    called = cli("--offline", "config", "-f", "json", env={"NO_COLOR": "1"})
    rows = {row["name"]: (row["value"], row["origin"]) for row in called.json}
    assert rows["NO_COLOR"] == ("no colours", "NO_COLOR")
    assert rows["BROWSER"][1] == "default"
    assert rows["offline"] == ("yes", "--offline")


def test_config_set_is_what_config_shows_then(cli: Call, tmp_path: Any) -> None:
    env = {"BIORETRIEVAL_HOME": str(tmp_path)}
    path = tmp_path / "config" / "config.toml"
    assert cli("config", "set", "theme", "light", env=env).err == f"theme is set in {path}\n"
    assert cli("config", "set", "tehme", "dark", env=env).code == 2
    SettingsStore(tmp_path / "data" / "library.sqlite").set_setting("theme", "terminal")
    called = cli("config", "-f", "json", env=env)
    rows = {row["name"]: (row["value"], row["origin"]) for row in called.json}
    assert rows["theme"] == ("terminal", f"the app; {path}:1 says light")
    assert cli("config", "schema", env=env).json["$ref"]
    assert cli("config", "set", "keys.open", "o, ctrl+e", env=env).code == 0
    assert cli("config", "set", "keys.sort", "g, x", env=env).code == 2
    assert cli("config", "set", "notify", "no", env=env).code == 0
    said = f"notify is no longer set in {path}\n"
    assert cli("config", "unset", "notify", env=env).err == said
    assert cli("config", "unset", "theme ", env=env).code == 2
    with path.open("a") as out:
        out.write('[[command]]\nkey = "f6"\ncommand = "date {nmae}"\n')
    called = cli("config", "-f", "json", env=env | {"COLUMNS": "99"})  # not the call of before
    rows = {row["name"]: (row["value"], row["origin"]) for row in called.json}
    assert rows["keys.open"] == ("o, ctrl+e", f"{path}:4")
    assert rows["command date"] == ("date {nmae}", f"{path}:5")
    assert (
        "config.toml:7: command.command: there is no field {nmae}; did you mean name" in called.err
    )
    called = cli("keys", "-f", "json", env=env)
    rows = {row["id"]: (row["keys"], row["origin"]) for row in called.json}
    assert rows["open"] == (["o", "ctrl+e"], f"{path}:4")
    assert rows["sort"] == (["s"], "default")
    assert "command-0" not in rows
    assert "there is no field {nmae}" in called.err


def test_open_prints_the_address_that_was_asked_for(cli: Call, catalogue: Catalogue) -> None:
    links = catalogue.entry("medcpt").links
    assert cli("open", "medcpt", "--print").out == f"{links[0].url}\n"
    by_label = cli("open", "medcpt", "--link", links[1].label.upper(), "--print")
    assert by_label.out == f"{links[1].url}\n"
    arxiv = next(link.url for link in links if link.type == "arxiv")
    assert cli("open", "medcpt", "--link", "arxiv", "--print").out == f"{arxiv}\n"


def test_open_uses_the_browser_that_is_named(
    cli: Call, catalogue: Catalogue, tmp_path: Any
) -> None:
    seen = tmp_path / "seen"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > "{seen}"\n')
    browser.chmod(0o755)
    called = cli("open", "medcpt", env={"BROWSER": str(browser)})
    assert (called.code, called.out) == (0, "")
    assert seen.read_text() == catalogue.entry("medcpt").links[0].url
    assert called.err.startswith("bioretrieval-tui: opened with browser: https://")


def test_open_without_a_browser_writes_the_address(cli: Call, catalogue: Catalogue) -> None:
    called = cli("open", "medcpt")
    assert (called.code, called.err) == (0, "")
    assert called.out == f"{catalogue.entry('medcpt').links[0].url}\n"


def test_open_knows_no_such_link_and_names_those_that_there_are(cli: Call) -> None:
    called = cli("open", "medcpt", "--link", "wikipedia", "--print")
    assert (called.code, called.out) == (3, "")
    assert "has no link 'wikipedia'; its links: 'query encoder'" in called.err
