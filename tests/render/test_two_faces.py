"""The app and the command line show the same of an entry, and a new field reaches every face."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from msgspec import structs

from bioretrieval_tui.catalog import fields
from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.catalog.fields import EntryField
from bioretrieval_tui.catalog.loader import schema
from bioretrieval_tui.catalog.models import AnyEntry, Link
from bioretrieval_tui.paths import places
from bioretrieval_tui.render.entries import entry_page, entry_record, entry_sheet
from bioretrieval_tui.render.formats import FORMATS, render
from bioretrieval_tui.render.page import Fact, Group, Page, markdown, plain
from bioretrieval_tui.tui.entry_list import entry_columns, entry_rows
from bioretrieval_tui.tui.spans import paint
from bioretrieval_tui.tui.text import fit
from bioretrieval_tui.tui.widgets.table import VirtualTable

REAL = load().catalogue


def squeezed(text: str) -> str:
    """Spaces apart, and without the signs of inline Markdown, which the app draws."""
    return " ".join(text.replace("`", "").replace("**", "").split())


def facts_of(page: Page) -> Iterator[Fact]:
    for section in page.sections:
        if isinstance(section, Group):
            yield from section.facts


def text_of(node: SyntaxTreeNode) -> str:
    return "".join(one.content for one in node.walk() if one.type in ("text", "code_inline"))


def in_markdown(page: Page) -> list[tuple[str, str]]:
    """(label, values) of the printed page, read by a Markdown parser."""
    tree = SyntaxTreeNode(MarkdownIt().enable("table").parse("".join(markdown(page))))
    found = []
    for node in tree.walk():
        if node.type != "list_item" or node.level > 1 or node.children[0].type != "paragraph":
            continue
        runs = list(node.children[0].children[0].children)
        if runs and len(runs) > 1 and runs[1].type == "strong":  # an empty text comes before
            runs = runs[1:]
        if not runs or runs[0].type != "strong" or runs[0].children[0].content == "Correction.":
            continue
        label = "".join(child.content for child in runs[0].children)
        values = "".join(
            one.content
            for run in runs[1:]
            for one in run.walk()
            if one.type in ("text", "code_inline")
        ).removeprefix(":")
        nested = [
            "".join(one.content for one in item.walk() if one.type in ("text", "code_inline"))
            for child in node.children[1:]
            for item in child.children
        ]
        found.append((label, squeezed(", ".join(nested) if nested else values)))
    return found


def in_the_app(page: Page) -> list[tuple[str, str]]:
    """(label, values) of the lines of the app."""
    painted = paint(page)
    found: list[tuple[str, list[str]]] = []
    sizes = {
        section.holds: sum(len(fact.values) for fact in section.facts)
        for section in page.sections
        if isinstance(section, Group)
    }
    links = range(painted.links_at, painted.links_at + sizes["links"])
    jumps = range(painted.jumps_at, painted.jumps_at + sizes["jumps"])
    first = painted.lead if page.summary else 2
    for number, line in enumerate(painted.lines[first:], first):
        if len(line.spans) < 2 or line.spans[0].role not in ("dim", "text"):
            continue
        label, rest = line.spans[0].text, "".join(span.text for span in line.spans[1:])
        if line.spans[0].role == "text" and not label.isspace():
            continue
        if number in links or number in jumps:
            label = label.lstrip().partition(" ")[2] if label[0] != " " else label[2:]  # the letter
        label = label.strip()
        if not label or (found and found[-1][0] == label and number in jumps):
            found[-1][1].append(rest)
        else:
            found.append((label, [rest]))
    return [(label, squeezed(", ".join(map(str.strip, values)))) for label, values in found]


def marked(fact: Fact, values: str, mark: str) -> str:
    return values if fact.status == "confirmed" else f"{values} {mark}"


@pytest.mark.parametrize("kind", list(fields.LISTS)[:-1])
def test_both_faces_show_the_same_labels_and_values(kind: str) -> None:
    """Of every entry of the real catalogue."""
    entries = [entry for entry in REAL.entries if entry.__struct_config__.tag == kind]
    assert entries
    for entry in entries:
        page = entry_page(entry, REAL)
        printed, painted = in_markdown(page), in_the_app(page)
        facts = list(facts_of(page))
        assert [label for label, _ in printed] == [fact.label for fact in facts], entry.id
        assert len({label for label, _ in painted}) == len({fact.label for fact in facts}), entry.id
        for fact, (_, shown) in zip(facts, printed, strict=True):
            jumps = [[part.jump for part in value if part.jump] for value in fact.values]
            wanted = [
                plain(value) + (f" ({jump[0]})" if jump else "")
                for value, jump in zip(fact.values, jumps, strict=True)
            ]
            if fact.listed:
                assert shown == squeezed(", ".join(wanted)), entry.id
            else:
                assert shown == squeezed(marked(fact, ", ".join(wanted), f"({fact.status})"))
        for fact in facts:
            texts = ", ".join(plain(value) for value in fact.values)
            assert (fact.label, squeezed(marked(fact, texts, fact.status))) in painted or any(
                squeezed(texts) in values for label, values in painted if label == fact.label
            ), (entry.id, fact.label)


def test_a_page_begins_with_what_one_comes_for() -> None:
    """Scores, recipe, licence and size, then the summary; each address is there once."""
    titles = [one.title for one in entry_page(REAL.entry("medcpt"), REAL).sections]
    order = ["Encoding", "Licence and size", "Summary", "Details", "Links", "Related"]
    assert titles[0].startswith("Published results: 10 of")
    assert [title for title in titles if title in order] == order
    assert "watch for" in [fact.label for fact in facts_of(entry_page(REAL.entry("medcpt"), REAL))]
    found = entry_page(REAL.entry("medcpt"), REAL, away=True)
    assert found.summary

    model = structs.replace(
        REAL.entry("medcpt"),
        hub=("lab/m",),
        links=(
            Link(label="first", url="https://hf.co/lab/m/", type="model"),
            Link(label="code", url="http://www.example.org/c", type="code"),
            Link(label="again", url="https://example.org/c/", type="code"),
        ),
    )
    links = next(one for one in entry_page(model, REAL).sections if one.title == "Links")
    assert isinstance(links, Group)
    assert [(one.label, one.values[0][0].url) for one in links.facts] == [
        ("on the hub", "https://huggingface.co/lab/m"),
        ("code", "https://example.org/c/"),
    ]


def test_lists_without_columns_of_their_own_have_the_same_in_both_faces() -> None:
    for section, kind in (("papers", "paper"), ("datasets", "dataset")):
        sheet = entry_sheet(REAL.section(section), REAL, kind=kind)
        shown = [column.key for column in sheet.columns if not column.data_only]
        assert [column.key for column in entry_columns(section)] == shown


NEW = EntryField(
    "quantised", "text", "weights of fewer bits", ("model",), "quantised to", ("bits",),
    width=9, listed="shown", cite="keywords",
)  # fmt: skip


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AnyEntry:
    """An entry with a field that the table alone declares, read from an overlay."""
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path))
    monkeypatch.setattr(fields, "TABLE", fields.FieldTable((*fields.TABLE.rows, NEW)))
    overlays = places().overlays
    overlays.mkdir(parents=True)
    (overlays / "mine.yaml").write_text("models:\n- id: medcpt\n  quantised: int8 weights\n")
    loaded = load()
    assert loaded.problems == ()
    return loaded.catalogue.entry("medcpt")


def test_a_field_added_to_the_table_is_everywhere(one: AnyEntry) -> None:
    """Filter, sorting, list, page, `show`, every export, the JSON Schema and the reference."""
    catalogue = load().catalogue
    models = catalogue.section("models")
    assert fields.filtered(models, "quantised:int8", catalogue) == [one]
    assert fields.filtered(models, "has:bits", catalogue) == [one]
    assert fields.ordered(models, "quantised", catalogue)[0] == one

    columns = entry_columns("models")
    cells = entry_rows([one], columns, catalogue).cells(0)
    assert (columns[-1].title, cells[-1].text) == ("Quantised to", "int8 weights")

    page = entry_page(one, catalogue)
    assert ("quantised to", "int8 weights") in list(page.pairs())
    assert ("quantised to", "int8 weights") in in_the_app(page)
    assert ("quantised to", "int8 weights") in in_markdown(page)
    assert entry_record(one, catalogue)["quantised"] == "int8 weights"

    sheet = entry_sheet([one], catalogue)
    texts = {name: "".join(render(sheet, name)) for name in FORMATS}
    assert all("int8 weights" in text for text in texts.values())
    (row,) = csv.DictReader(io.StringIO(texts["csv"]))
    assert row["quantised"] == "int8 weights"
    assert json.loads(texts["json"])[0]["quantised"] == "int8 weights"
    assert "keywords = {int8 weights}" in texts["bibtex"]

    assert schema()["$defs"]["Model"]["properties"]["quantised"] == {"type": "string"}
    assert "| `quantised` | quantised to | text | `bits` | model |" in fields.reference()


def test_a_field_added_to_the_table_is_shown_by_the_command(one: AnyEntry) -> None:
    from bioretrieval_tui.cli.entry_verbs import show

    for form in ("markdown", "json", "csv"):
        said = CliRunner().invoke(show, [one.id, "-f", form])
        assert "int8 weights" in said.output, said


def test_a_field_of_the_table_is_checked_by_its_type(
    one: AnyEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    (places().overlays / "mine.yaml").write_text("models:\n- id: medcpt\n  quantised: 8\n")
    (problem,) = load().problems
    assert "quantised: expects text" in problem
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("section", "width", "shown"),
    [
        ("timeline", 80, "year name era"),
        ("timeline", 54, "year name era"),
        ("models", 80, "name role params year dimension licence"),
        ("models", 54, "name role params year"),
        ("models", 90, "name role params year dimension licence max_tokens"),
        ("benchmarks", 80, "name queries documents metric task results"),
        ("benchmarks", 54, "name queries documents metric"),
        ("recipes", 80, "name params method best runnable paper"),
        ("recipes", 54, "name params method best"),
        ("path", 80, "number name"),
        ("path", 90, "number name commands"),
    ],
)
def test_what_a_list_shows_in_the_app(section: str, width: int, shown: str) -> None:
    """Beside its page, a list is 54 cells wide at 120 columns and 90 at 200."""
    columns = entry_columns(section)
    shown_there = VirtualTable(columns).columns_at(width, tall=False)
    assert [columns[place].key for place in shown_there] == shown.split()


def test_names_of_models_and_steps_are_told_apart_beside_their_page() -> None:
    for section in ("models", "path"):
        columns = entry_columns(section)
        place = [column.key for column in columns].index("name")
        (_, layout), *_ = VirtualTable(columns)._layout(54, tall=False)
        size = dict(layout)[place]
        names = [one.name for one in REAL.section(section)]
        families = [name for name in names if section == "path" or name.startswith("PubMedBERT ")]
        assert len({fit(name, size) for name in families}) == len(families) > 4


def test_a_recipe_shows_the_arxiv_number_of_its_paper_and_a_milestone_its_dot() -> None:
    recipe = next(one for one in REAL.section("recipes") if one.name == "MedCPT recipe")
    cells = entry_rows([recipe], entry_columns("recipes"), REAL).cells(0)
    assert (cells[0].text, cells[-1].text) == (recipe.name, "2307.00589")
    milestone = REAL.section("timeline")[0]
    cells = entry_rows([milestone], entry_columns("timeline"), REAL).cells(0)
    assert cells[1].text == f"● {milestone.name}"
