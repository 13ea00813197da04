"""Loading reports every fault once, with its file, line, entry and field, and never crashes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from bioretrieval_tui.catalog import reading
from bioretrieval_tui.catalog.content import MAX_BYTES
from bioretrieval_tui.catalog.validate import parse, read_folder
from bioretrieval_tui.errors import CatalogueError, NotFoundError, Problem

DATA = Path(__file__).resolve().parents[2] / "data"


def problems_of(folder: Path) -> list[Problem]:
    """Every problem of a catalogue folder; [] where it is sound."""
    try:
        parse(read_folder(folder))
    except CatalogueError as error:
        return error.problems
    return []


def edit(folder: Path, old: str, new: str, name: str = "all.yaml") -> str:
    """Replace the one place of `old` in a file; the new text."""
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
    text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return text


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
     "0.75", "results[2]", "value", "the same figure stands at all.yaml:44"),
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
     "'unverifed' is not one of confirmed, secondary, unverified; did you mean 'unverified'?"),
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


def test_the_small_catalogue_is_sound(folder: Path) -> None:
    assert problems_of(folder) == []


@pytest.mark.parametrize("fault", [Fault(*row) for row in FAULTS], ids=[f[0] for f in FAULTS])
def test_one_fault_is_one_line(folder: Path, fault: Fault) -> None:
    text = edit(folder, fault.old, fault.new)
    lines = [n for n, line in enumerate(text.splitlines(keepends=True), 1) if fault.at in line]
    assert len(lines) == 1, f"{fault.at!r} must mark one line"

    (problem,) = problems_of(folder)

    assert problem.file == folder / "all.yaml"
    assert problem.line == lines[0]
    assert problem.entry == fault.entry
    assert problem.field == fault.field
    assert fault.says in problem.message
    line = str(problem)
    assert line.startswith(f"{folder / 'all.yaml'}:{problem.line}: ")
    assert line.isprintable()


SYNTAX = [
    ("a brace left open", b"models: [{id: x\n", 2, "is not valid YAML"),
    ("bad indentation", b"models:\n  - id: x\n name: y\n", 3, "is not valid YAML"),
    ("a tab for indentation", b"models:\n\t- id: x\n", 2, "is not valid YAML"),
    ("two documents", b"models: []\n---\nmodels: []\n", 2, "is not valid YAML"),
    ("an alias to nothing", b"models: *nowhere\n", 1, "is not valid YAML"),
    ("an unknown directive", b"%TAG ! foo bar\n---\na: 1\n", 1, "is not valid YAML"),
    ("a control character", b"models: [\x00]\n", None, "is not valid YAML"),
    ("latin-1", "models: []\n# é\n".encode("latin-1"), 2, "is not UTF-8 (byte 13)"),
    ("utf-16", "models: []\n".encode("utf-16"), 1, "is not UTF-8 (byte 0)"),
    ("a list at the top", b"- id: x\n", 1, "expects sections such as 'models:'"),
    ("a word", b"models\n", 1, "expects sections such as 'models:'"),
    ("empty", b"", None, "is empty"),
    ("only a comment", b"# nothing here\n", None, "is empty"),
    ("only a mark", b"\xef\xbb\xbf", None, "is empty"),
    ("brackets without end", b"models: " + b"[" * 200_000, 1, "nested more than 40 levels"),
    ("braces without end", b"models:\n " + b"{a: " * 200_000, 2, "nested more than 40 levels"),
    ("dashes without end", b"models:\n " + b"- " * 200_000, 2, "nested more than 40 levels"),
    ("questions without end", b"? " * 200_000, 1, "nested more than 40 levels"),
    ("closed brackets", b"a: " + b"[" * 41 + b"]" * 41, 1, "nested more than 40 levels"),
    ("a circle", b"models: &a [*a]\n", None, "refers to itself"),
    ("a circle of two", b"models: &a\n  - tags: &b [*a, *b]\n", None, "refers to itself"),
    ("too large", b"#" * (MAX_BYTES + 1), None, "is larger than 16 MiB"),
]


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [case[1:] for case in SYNTAX],
    ids=[case[0] for case in SYNTAX],
)
def test_a_file_that_cannot_be_taken_is_one_line(
    folder: Path, data: bytes, line: int | None, says: str
) -> None:
    """The fault is said of the file alone, not of what relied on its records."""
    (folder / "more.yaml").write_bytes(data)
    edit(folder, "  - all.yaml", "  - all.yaml\n  - more.yaml", "catalog.yaml")

    (problem,) = problems_of(folder)

    assert problem.file == folder / "more.yaml"
    assert problem.line == line
    assert says in problem.message
    assert "\n" not in str(problem)


def test_the_pure_python_loader_says_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyYAML comes without its C half on some platforms."""
    monkeypatch.setattr(reading, "_LOADER", yaml.SafeLoader)
    assert problems_of(folder) == []
    (folder / "all.yaml").write_bytes(b"models: " + b"[" * 2_000)
    (problem,) = problems_of(folder)
    assert "nested more than 40 levels" in problem.message
    (folder / "all.yaml").write_text('sources:\n  - {id: a, text: "\\ud800"}\n')
    (problem,) = problems_of(folder)
    assert problem.field == "text"
    assert "\\ud800" in str(problem)


@pytest.mark.parametrize("levels", [6, 9, 30])
def test_a_few_lines_cannot_stand_for_millions(folder: Path, levels: int) -> None:
    """The 'billion laughs': each alias unfolds to ten of the one before."""
    lines = ["a0: &a0 [" + ", ".join(["lol"] * 10) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, levels)]
    (folder / "all.yaml").write_text("\n".join(lines))
    (problem,) = problems_of(folder)
    assert "grows too large" in problem.message


def test_an_alias_that_saves_typing_is_welcome(folder: Path) -> None:
    edit(folder, "sources: [card]\n    relations", "sources: &from [card]\n    relations")
    edit(folder, "summary: Another., sources: [card]", "summary: Another., sources: *from")
    _, content = parse(read_folder(folder))
    beta = next(entry for entry in content.entries if entry.id == "beta")
    assert beta.sources == ("card",)


HEADER = [
    ("another version", "version: 1", "version: 2", 1, "version", "format version '2' is not 1"),
    ("a version that is no number", "version: 1", "version: yes", 1, "version", "is not 1"),
    ("no version", "version: 1\n", "", 1, "version", "is missing"),
    ("an unknown key", "updated:", "upated:", 2, None, "did you mean 'updated'?"),
    ("a date list", '"2026-11-22"', "[2026]", 2, "updated", "expects text"),
    ("a key twice", "version: 1", "version: 1\nversion: 1", 2, None, "is given twice"),
    ("an include that is no list", "\n  - all.yaml", " all.yaml", 3, "include", "expects a list"),
    ("an include of a number", "all.yaml", "12", 4, "include", "expects a list of file names"),
    ("a file that is not there", "all.yaml", "all.yaml\n  - b.yaml", None, "include", "'b.yaml'"),
    ("a file outside", "all.yaml", "all.yaml\n  - ../x.yaml", None, "include", "is not there"),
]


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [case[1:] for case in HEADER],
    ids=[case[0] for case in HEADER],
)
def test_a_fault_of_the_entry_file(
    folder: Path, old: str, new: str, line: int | None, field: str | None, says: str
) -> None:
    edit(folder, old, new, "catalog.yaml")
    (problem,) = problems_of(folder)
    assert (problem.file, problem.line, problem.field) == (folder / "catalog.yaml", line, field)
    assert says in problem.message


@pytest.mark.parametrize("data", [b"", b"\xff", b"- a list\n", b"version: [\n", b"word"])
def test_a_broken_entry_file_is_one_line_and_hides_nothing(folder: Path, data: bytes) -> None:
    (folder / "catalog.yaml").write_bytes(data)
    (problem,) = problems_of(folder)
    assert problem.file == folder / "catalog.yaml"

    edit(folder, "dimension: 768", "dimension: wide")
    assert [p.file.name for p in problems_of(folder)] == ["catalog.yaml", "all.yaml"]


def test_a_file_that_nothing_includes(folder: Path) -> None:
    (folder / "stray.yaml").write_text("papers: []\n")
    (problem,) = problems_of(folder)
    assert str(problem) == (
        f"{folder / 'catalog.yaml'}: include: does not include 'stray.yaml', which is there"
    )


def test_ids_are_one_space_across_files(folder: Path) -> None:
    (folder / "more.yaml").write_text(
        "sources:\n  - {id: card, text: Again}\n"
        "datasets:\n  - {id: alpha, name: A, summary: S, sources: [card], use: any}\n"
    )
    edit(folder, "  - all.yaml", "  - all.yaml\n  - more.yaml", "catalog.yaml")
    assert [(p.line, p.entry, p.field, p.message) for p in problems_of(folder)] == [
        (2, "card", "id", "id 'card' is already used at all.yaml:2"),
        (4, "alpha", "id", "id 'alpha' is already used at all.yaml:16"),
    ]


def test_every_fault_of_every_file_is_listed_in_one_go(folder: Path) -> None:
    """Faults of types, of references and of syntax, in the order in which a reader meets them."""
    edit(folder, "year: 2020", "year: soon")
    edit(folder, "tags: [bi-encoder]", "tags: [bi-encoder]\n    colour: red")
    edit(folder, "relations: [alpha-paper]", "relations: [nobody]")
    edit(folder, "value: 0.5, source: table", "value: 0.5")
    (folder / "broken.yaml").write_text("papers: [\n")
    (folder / "zeta.yaml").write_text("datasets:\n  - {id: d}\n")
    edit(
        folder, "  - all.yaml", "  - all.yaml\n  - broken.yaml\n  - zeta.yaml\n  - no.yaml",
        "catalog.yaml",
    )  # fmt: skip
    found = [(p.file.name, p.line, p.entry, p.field) for p in problems_of(folder)]
    assert found == [
        ("catalog.yaml", None, None, "include"),
        ("all.yaml", 8, "alpha-paper", "year"),
        ("all.yaml", 13, "alpha-paper", "colour"),
        ("all.yaml", 17, "alpha", "relations"),
        ("all.yaml", 45, "results[1]", "source"),
        ("broken.yaml", 2, None, None),
        ("zeta.yaml", 2, "d", "name"),
        ("zeta.yaml", 2, "d", "summary"),
        ("zeta.yaml", 2, "d", "sources"),
        ("zeta.yaml", 2, "d", "use"),
    ]


def test_thousands_of_wrong_relations_are_all_listed(folder: Path) -> None:
    """Only the first are given a hint: comparing each with every id would take minutes."""
    rows = "\n".join(
        f"  - {{id: d{n}, name: D, summary: S, sources: [card], use: u, relations: [alpho{n}]}}"
        for n in range(3_000)
    )
    (folder / "many.yaml").write_text(f"datasets:\n{rows}\n")
    edit(folder, "  - all.yaml", "  - all.yaml\n  - many.yaml", "catalog.yaml")
    found = problems_of(folder)
    assert len(found) == 3_000
    assert found[0].message == "no entry has the id 'alpho0'; did you mean 'alpha'?"
    assert found[-1].message == "no entry has the id 'alpho2999'"


def test_a_long_value_is_quoted_in_short(folder: Path) -> None:
    edit(folder, "role: retriever", f"role: {'x' * 5000}")
    (problem,) = problems_of(folder)
    assert len(str(problem)) < 400


def test_nothing_but_values_comes_out_of_a_file(tmp_path: Path) -> None:
    """Tags that ask for objects leave text, lists and maps; nothing is built or run."""
    marker = tmp_path / "hacked"
    text = (
        f"a: !!python/object/apply:os.system ['touch {marker}']\n"
        "b: !!python/name:os.system ''\n"
        "c: !!python/object/new:collections.OrderedDict {d: 1}\n"
        "e: !!python/tuple [1, 2]\n"
        "f: !ours 12\n"
        "g: 2026-11-22\n"
        "h: !!binary aGVsbG8=\n"
        "i: !!set {x, y}\n"
        "on: 0o17\n"
    )
    document = reading.compose(tmp_path / "x.yaml", text.encode())
    assert isinstance(document, reading.Document)
    assert document.root is not None
    assert reading.plain(document.root) == {
        "a": [f"touch {marker}"],
        "b": "",
        "c": {"d": 1},
        "e": [1, 2],
        "f": "12",
        "g": "2026-11-22",
        "h": "aGVsbG8=",
        "i": {"x": None, "y": None},
        "on": "0o17",
    }
    assert not marker.exists()


def test_the_validator_prints_every_problem_and_fails(folder: Path) -> None:
    edit(folder, "year: 2020", "year: soon")
    edit(folder, "relations: [alpha-paper]", "relations: [nobody]")
    done = subprocess.run(
        [sys.executable, "-m", "bioretrieval_tui.catalog.validate", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    first, second, count = done.stderr.splitlines()
    assert first == f"{folder}/all.yaml:8: alpha-paper: year: expects a whole number, found 'soon'"
    assert second.startswith(f"{folder}/all.yaml:16: alpha: relations: no entry has the id")
    assert count == "2 problems"


def test_the_validator_on_a_sound_folder_and_on_none(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bioretrieval_tui.catalog.validate"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "5 entries, 2 results: no problems\n")
    empty = tmp_path / "none"
    done = subprocess.run([*command, str(empty)], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith(f"no catalog.yaml in {empty}")


def test_a_folder_where_a_file_should_be(folder: Path) -> None:
    (folder / "odd.yaml").mkdir()
    with pytest.raises(CatalogueError, match=r"odd\.yaml: cannot be read: Is a directory"):
        read_folder(folder)


def test_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_folder(tmp_path)
