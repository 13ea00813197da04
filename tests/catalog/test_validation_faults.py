"""One fault of a record is one line: its file, line, entry and field, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from bioretrieval_tui.catalog.loader import parse, read_folder
from bioretrieval_tui.errors import CatalogueError, Problem

Edit = Callable[..., str]
Problems = Callable[[], list[Problem]]


class Fault(NamedTuple):
    """An edit of the sound catalogue, and the one problem that it must give.

    at: words on the line that must be named.
    """

    name: str
    old: str
    new: str
    at: str
    entry: str | None
    field: str | None
    says: str


# What is wrong | old | new | words on the line that is named | entry | field | what it says.
# fmt: off
FAULTS = [
    ("unknown key", "params: 109000000", "parms: 109000000", "parms", "alpha", "parms",
     "unknown key 'parms'; did you mean 'params'?"),
    ("unknown key inside a link", "type: arxiv", "type: arxiv, tpye: x", "tpye", "alpha-paper",
     "links[0].tpye", "unknown key 'tpye'; did you mean 'type'?"),
    ("unknown key far from any", "params: 109000000", "zzzzzz: 1", "zzzzzz", "alpha", "zzzzzz",
     "unknown key 'zzzzzz'"),
    ("kind is not written", "dimension: 768", "kind: model", "kind:", "alpha", "kind",
     "unknown key 'kind'"),
    ("text where a number belongs", "dimension: 768", "dimension: wide", "wide", "alpha",
     "dimension", "expects a whole number, found 'wide'"),
    ("a fraction where a count belongs", "dimension: 768", "dimension: 7.5", "7.5", "alpha",
     "dimension", "expects a whole number, found '7.5'"),
    ("a negative count", "dimension: 768", "dimension: -1", "dimension: -1", "alpha",
     "dimension", "must be at least 0, found '-1'"),
    ("true where a number belongs", "dimension: 768", "dimension: true", "dimension: true",
     "alpha", "dimension", "expects a whole number, found 'True'"),
    ("a number where text belongs", "summary: A model.", "summary: 12", "summary: 12", "alpha",
     "summary", "expects text, found '12' (put it in quotes)"),
    ("blank text", "summary: A model.", 'summary: "  "', 'summary: "  "', "alpha", "summary",
     "must not be empty"),
    ("a text where a list belongs", "tags: [bi-encoder]", "tags: bi-encoder", "tags: bi-encoder",
     "alpha-paper", "tags", "expects a list"),
    ("a list where a text belongs", "role: retriever", "role: [retriever]", "role: [", "alpha",
     "role", "expects a single value"),
    ("a text where a map belongs", "loaders: {mteb: Tests}", "loaders: mteb", "loaders: mteb",
     "tests", "loaders", "expects a map of keys and values"),
    ("a value outside its list", "role: retriever", "role: retreiver", "retreiver", "alpha",
     "role",
     "entity-linking, lexical, reranker, retriever, similarity; did you mean 'retriever'?"),
    ("a pair of three", '["{title}", "{text}"]', '["{title}", "{text}", "{text}"]', "pair:",
     "alpha", "encoding.document.pair", "expects 2 items"),
    ("a year before all", "year: 2020", "year: 20", "year: 20", "alpha-paper", "year",
     "must be at least 1990, found '20'"),
    ("a number beyond all", "dimension: 768", "dimension: 99999999999999999999", "99999999",
     "alpha", "dimension", "found '99999999999999999999'"),
    ("an infinite component", "[0.5, -0.25]", "[.inf, -0.25]", ".inf", "alpha",
     "encoding.check.starts[0]", "expects a number, found '.inf'"),
    ("a tagged infinity", "[0.5, -0.25]", "[!!float inf, -0.25]", "inf,", "alpha",
     "encoding.check.starts[0]", "is out of range, found 'inf'"),
    ("a percentage", "value: 0.5", "value: 50", "value: 50", "results[1]", "value",
     "must be at most 1.0, found '50'"),
    ("missing field", "    role: retriever\n", "", "id: alpha\n", "alpha", "role", "is missing"),
    ("missing field of a link", ", type: arxiv", "", "label: arXiv", "alpha-paper",
     "links[0].type", "is missing"),
    ("no id", "id: train-alpha, ", "", "name: Train", "recipes (no id)", "id", "is missing"),
    ("an id that is none", "id: train-alpha", "id: Train_Alpha", "Train_Alpha", "Train_Alpha",
     "id", "'Train_Alpha' is not an id (lower-case letters, digits and single hyphens)"),
    ("an id with a line break behind", "id: train-alpha", 'id: "train-alpha\\n"',
     "train-alpha\\n", "train-alpha\\n", "id", "is not an id"),
    ("an id used twice in a section", "benchmarks:",
     "  - {id: alpha, name: C, role: lexical, summary: S, sources: [card]}\nbenchmarks:",
     "name: C", "alpha", "id", "id 'alpha' is already used at all.yaml:16"),
    ("an id used twice across sections", "id: train-alpha", "id: alpha", "name: Train", "alpha",
     "id", "id 'alpha' is already used at all.yaml:16"),
    ("a source given twice", "{id: table, text: A table}",
     "{id: table, text: A table}\n  - {id: table, text: Another}", "Another}", "table", "id",
     "id 'table' is already used at all.yaml:3"),
    ("dangling relation", "relations: [alpha-paper]", "relations: [alpha-papr]", "id: alpha\n",
     "alpha", "relations", "no entry has the id 'alpha-papr'; did you mean 'alpha-paper'?"),
    ("a relation to itself", "relations: [alpha-paper]", "relations: [alpha]", "id: alpha\n",
     "alpha", "relations", "relates to itself"),
    ("a recipe for no model", "model: alpha, method", "model: gamma, method", "id: train-alpha",
     "train-alpha", "model", "no entry has the id 'gamma'"),
    ("a recipe for a paper", "model: alpha, method", "model: alpha-paper, method",
     "id: train-alpha", "train-alpha", "model", "'alpha-paper' is one of papers, not of models"),
    ("an instruction for no benchmark", "{tests: Find", "{testz: Find", "id: alpha\n", "alpha",
     "encoding.instructions", "no entry has the id 'testz'; did you mean 'tests'?"),
    ("javascript", "https://arxiv.org/abs/2001.00001", "javascript:alert(1)", "javascript",
     "alpha-paper", "links[0].url", "'javascript:alert(1)' is not an http or https address"),
    ("ftp", "https://arxiv.org/abs/2001.00001", "ftp://example.org/x", "ftp:", "alpha-paper",
     "links[0].url", "is not an http or https address"),
    ("an address with a space", "https://arxiv.org/abs/2001.00001", "https://example.org/a b",
     "a b", "alpha-paper", "links[0].url", "is not an http or https address"),
    ("an address with a line break behind", "https://arxiv.org/abs/2001.00001",
     "https://example.org/\\n", "example.org/\\n", "alpha-paper", "links[0].url",
     "'https://example.org/\\n' is not an http or https address"),
    ("an address that acts on the terminal", "https://arxiv.org/abs/2001.00001",
     "https://example.org/\\e[2J", "example.org/\\e", "alpha-paper", "links[0].url",
     "'https://example.org/\\x1b[2J' is not an http or https address"),
    ("an address that reads backwards", "https://arxiv.org/abs/2001.00001",
     "https://example.org/\\u202Egpj.exe", "gpj", "alpha-paper", "links[0].url",
     "is not an http or https address"),
    ("a figure with no source", "value: 0.5, source: table", "value: 0.5", "value: 0.5",
     "results[1]", "source", "is missing"),
    ("a figure of an unknown source", "value: 0.5, source: table", "value: 0.5, source: tables",
     "value: 0.5", "results[1]", "source", "no source has the id 'tables'; did you mean 'table'?"),
    ("a figure of an unknown model", "{model: alpha, benchmark", "{model: gamma, benchmark",
     "model: gamma", "results[1]", "model", "no entry has the id 'gamma'"),
    ("a figure on a model", "benchmark: tests, value: 0.5", "benchmark: beta, value: 0.5",
     "value: 0.5", "results[1]", "benchmark", "'beta' is one of models, not of benchmarks"),
    ("a figure given twice", "source: table}\n",
     "source: table}\n  - {model: alpha, benchmark: tests, value: 0.75, source: table}\n",
     "0.75", "results[2]", "value", "the same result is at all.yaml:44"),
    ("a figure set apart without a reason", ", note: other data", "", "value: 0.25",
     "results[2]", "note", "is missing: say why it cannot be compared"),
    ("an entry with no source", "summary: A paper.\n    links:",
     "summary: A paper.\n    facts:\n      - {label: x, value: y, source: nowhere}\n    links:",
     "id: alpha-paper", "alpha-paper", "facts[0].source", "no source has the id 'nowhere'"),
    ("no sources at all", 'added: "2026-11-22"\nmodels:',
     'added: "2026-11-22"\nmodels:\n  - {id: c, name: C, role: lexical, summary: S, sources: []}',
     "id: c,", "c", "sources", "must not be empty"),
    ("a note with no source", "text: A caution., source: card,", "text: A caution.,",
     "A caution", "alpha", "notes[0].source", "is missing"),
    ("a check vector of an unknown source", "-0.25], source: card", "-0.25], source: crad",
     "id: alpha\n", "alpha", "encoding.check.source",
     "no source has the id 'crad'; did you mean 'card'?"),
    ("bad status", "{params: unverified}", "{params: unverifed}", "unverifed", "alpha",
     "statuses.params",
     ("'unverifed' is not one of confirmed, declared, secondary, unverified; "
      "did you mean 'unverified'?")),
    ("a status of no field", "{params: unverified}", "{parms: unverified}", "id: alpha\n",
     "alpha", "statuses", "unknown field 'parms'; did you mean 'params'?"),
    ("an unread field of no recipe", "unverified: [pooling]", "unverified: [poolin]",
     "id: alpha\n", "alpha", "encoding.unverified",
     "unknown field 'poolin'; did you mean 'pooling'?"),
    ("a template with an unknown placeholder", "query: {query}", "query: {qeury}", "id: alpha\n",
     "alpha", "encoding.query",
     "has a field '{qeury}' that is not one of {query}, {text}, {title}, {instruction}, {sep}"),
    ("a template that reaches into objects", "query: {query}", "query: {query.__class__}",
     "id: alpha\n", "alpha", "encoding.query", "has a field '{query.__class__}'"),
    ("a template that fills the memory", "query: {query}", "{query:>999999999}", "id: alpha\n",
     "alpha", "encoding.query", "formats '{query}'; a field stands alone in its braces"),
    ("a template with an open brace", "query: {query}", "query: {query", "id: alpha\n", "alpha",
     "encoding.query", "does not parse"),
    ("a label used twice", "type: arxiv}",
     'type: arxiv}\n      - {label: ARXIV, url: "https://example.org", type: site}',
     "id: alpha-paper", "alpha-paper", "links", "label 'arxiv' is used twice"),
    ("a date that is none", 'added: "2026-11-22"', 'added: "22 November"', "22 November",
     "alpha-paper", "added", "'22 November' is not a date (YYYY-MM-DD)"),
    ("a key given twice", "dimension: 768", "dimension: 768\n    dimension: 769",
     "dimension: 769", "alpha", "dimension", "key 'dimension' is given twice"),
    ("a bad key given twice is said twice, once as bad", "dimension: 768",
     "dimension: 768\n    dimension: wide", "dimension: wide", "alpha", "dimension",
     "key 'dimension' is given twice"),
    ("a key of a free map given twice", "{params: unverified}",
     "{params: unverified, params: confirmed}", "params: confirmed", "alpha", "statuses.params",
     "key 'params' is given twice"),
    ("a section given twice", "recipes:", "papers: []\nrecipes:", "papers: []", None, None,
     "section 'papers' is given twice"),
    ("an unknown section", "recipes:", "recipies: []\nrecipes:", "recipies", None, None,
     "unknown section 'recipies'; did you mean 'recipes'?"),
    ("a section that is no list", "recipes:", "datasets: {a: 1}\nrecipes:", "datasets", None,
     None, "section 'datasets' expects a list"),
    ("an item that is no map", "benchmarks:", "datasets:\n  - just words\nbenchmarks:",
     "just words", None, None, "an item of 'datasets' expects keys"),
    ("the header outside the entry file", "sources:\n", "version: 1\nsources:\n", "version: 1",
     None, None, "unknown section 'version'"),
    ("an object's tag on a text", "summary: A model.",
     "summary: !!python/object/apply:os.system [touch hacked]", "os.system", "alpha", "summary",
     "expects a single value"),
    ("an object's tag on a number", "dimension: 768",
     "dimension: !!python/object/apply:builtins.int 768", "builtins.int", "alpha", "dimension",
     "expects a whole number, found '768'"),
    ("a truth set by a tag", "corrects: true", "corrects: !!bool perhaps", "perhaps", "alpha",
     "notes[0].corrects", "expects true or false, found 'perhaps'"),
    ("an escape sequence in a key", "dimension: 768", '"\\e]0;owned\\a": 768', "owned", "alpha",
     "\\x1b]0;owned\\x07", "unknown key '\\x1b]0;owned\\x07'"),
]
# fmt: on


def test_the_small_catalogue_is_sound(folder: Path, problems: Problems) -> None:
    assert problems() == []


@pytest.mark.parametrize("fault", [Fault(*row) for row in FAULTS], ids=[f[0] for f in FAULTS])
def test_one_fault_is_one_line(folder: Path, fault: Fault, edit: Edit, problems: Problems) -> None:
    text = edit(fault.old, fault.new)
    lines = [n for n, line in enumerate(text.splitlines(keepends=True), 1) if fault.at in line]
    assert len(lines) == 1, f"{fault.at!r} must mark one line"

    (problem,) = problems()

    assert problem.file == folder / "all.yaml"
    assert problem.line == lines[0]
    assert problem.entry == fault.entry
    assert problem.field == fault.field
    assert fault.says in problem.message
    line = str(problem)
    assert line.startswith(f"{folder / 'all.yaml'}:{problem.line}: ")
    assert line.isprintable()


TRAINING = """{runnable: needs, because: The pairs, batch: 16, lora: {rank: 8},
     evidence: {batch: "card: Training", lora: "table: row 2"}}"""


@pytest.mark.parametrize(
    ("old", "new", "field", "says"),
    [
        ("16", "16", "", ""),
        ("needs, because: The pairs", '"yes"', "", ""),
        (", because: The pairs", "", "because", "is missing: say what has to be brought, or why"),
        ("needs, because: The pairs", '"no"', "because", "is missing"),
        ("{batch:", '{bacth: "card: x", batch:', "evidence",
         "unknown field 'bacth'; did you mean 'batch'?"),
        ('batch: "card: Training", ', "", "evidence.batch", "is missing: say where it was read"),
        ('"card: Training"', "card", "evidence.batch",
         "expects a source and a place (card: Training)"),
        ('"card: Training"', '"crad: Training"', "evidence.batch",
         "no source has the id 'crad'; did you mean 'card'?"),
        ("needs", "no", "runnable", "'False' is not one of needs, no, yes (put it in quotes)"),
        ("batch: 16", "learning_rate: 1", "learning_rate", "must be less than 1"),
        ("rank: 8", "alpha: 0", "lora.alpha", "must be more than 0"),
        ("needs", "perhaps", "runnable", "'perhaps' is not one of"),
        ("16", "1", "batch", "must be at least 2, found '1'"),
        ("batch: 16", "bach: 16", "bach", "unknown key 'bach'; did you mean 'batch'?"),
    ],
)  # fmt: skip
def test_training_says_where_it_was_read_and_why_it_cannot_run(
    old: str, new: str, field: str, says: str, edit: Edit, problems: Problems
) -> None:
    assert old in TRAINING
    edit("method: by hand}", f"method: by hand,\n     training: {TRAINING.replace(old, new, 1)}}}")

    found = problems()

    assert [one.field for one in found] == ([f"training.{field}"] if field else [])
    assert all(says in one.message and one.entry == "train-alpha" for one in found)


def test_a_file_that_does_not_parse_is_the_only_problem(tmp_path: Path) -> None:
    """References to its entries are not reported as faults of the other files."""
    data = Path(__file__).resolve().parents[2] / "data"
    for path in data.glob("*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / "papers.yaml").open("a", encoding="utf-8") as out:
        out.write("\nbroken: [1\n")
    with pytest.raises(CatalogueError) as raised:
        parse(read_folder(tmp_path))
    (one,) = raised.value.problems
    assert Path(one.file).name == "papers.yaml"
    assert "is not valid YAML" in one.message
