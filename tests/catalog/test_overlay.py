"""The user's own files: they add and override, and a broken one harms nobody else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bioretrieval_tui.catalog import compiled, typed_yaml
from bioretrieval_tui.catalog.compiled import Loaded
from bioretrieval_tui.catalog.models import MAX_BYTES, Model, Paper
from bioretrieval_tui.paths import Places

Load = Callable[[], Loaded]
Write = Callable[..., Path]

GAMMA = "models:\n  - {id: gamma, name: Gamma, role: retriever, summary: Ours., sources: [card]}\n"


def model(loaded: Loaded, identifier: str) -> Model:
    entry = loaded.catalogue.entry(identifier)
    assert isinstance(entry, Model)
    return entry


def test_no_overlay_at_all(load: Load) -> None:
    loaded = load()
    assert loaded.problems == ()
    assert len(loaded.catalogue.entries) == 5


def test_an_overlay_adds_an_entry(load: Load, overlay: Write) -> None:
    overlay("mine.yaml", GAMMA.replace("sources: [card]", "sources: [card], relations: [alpha]"))
    loaded = load()
    assert loaded.problems == ()
    assert model(loaded, "gamma").summary == "Ours."
    assert "gamma" in [entry.id for entry in loaded.catalogue.related("alpha")]
    assert [entry.id for entry in loaded.catalogue.section("models")] == ["alpha", "beta", "gamma"]


def test_an_overlay_overrides_the_fields_it_gives_and_no_others(load: Load, overlay: Write) -> None:
    before = model(load(), "alpha")
    overlay("mine.yml", "models:\n  - {id: alpha, params: 42, tags: [mine], relations: []}\n")
    loaded = load()
    assert loaded.problems == ()
    after = model(loaded, "alpha")
    assert after.params == 42
    assert after.tags == ("mine",)
    assert after.relations == ()  # lists are replaced, not joined
    assert (after.name, after.encoding, after.sources) == (
        before.name, before.encoding, before.sources,
    )  # fmt: skip
    # Its place among the others stays.
    assert [entry.id for entry in loaded.catalogue.section("models")] == ["alpha", "beta"]


def test_null_takes_a_field_away(load: Load, overlay: Write) -> None:
    overlay("mine.yaml", "models:\n  - {id: alpha, params: null, statuses: {}}\n")
    loaded = load()
    assert loaded.problems == ()
    assert model(loaded, "alpha").params is None


def test_an_overlay_adds_results_and_sources(load: Load, overlay: Write) -> None:
    overlay(
        "mine.yaml",
        "sources:\n  - {id: lab, text: Our lab}\n  - {id: card, text: The card again}\n"
        "results:\n  - {model: alpha, benchmark: tests, value: 0.75, source: lab}\n"
        "changes:\n"
        '  - {date: "2026-11-23", text: Ours}\n',
    )
    loaded = load()
    assert loaded.problems == ()
    assert [r.value for r in loaded.catalogue.results_of("alpha")] == [0.5, 0.75]
    assert loaded.catalogue.sources["lab"].text == "Our lab"
    assert loaded.catalogue.sources["card"].text == "The card again"
    assert loaded.catalogue.changes[-1].text == "Ours"


def test_overlays_are_taken_by_name_and_build_on_each_other(load: Load, overlay: Write) -> None:
    overlay("20-more.yaml", "models:\n  - {id: gamma, params: 7, relations: [alpha]}\n")
    overlay("10-gamma.yaml", GAMMA)
    overlay("30-paper.yaml", "models:\n  - {id: gamma, params: 8}\n")
    loaded = load()
    assert loaded.problems == ()
    assert model(loaded, "gamma").params == 8
    assert model(loaded, "gamma").relations == ("alpha",)


BROKEN = [
    ("unknown key", "models:\n  - {id: alpha, parms: 1}\n", ":2: alpha: parms: unknown key"),
    ("wrong type", "models:\n  - {id: alpha, params: many}\n", ":2: alpha: params: expects"),
    ("new entry, not whole", "models:\n  - {id: new, name: N}\n", ":2: new: "),
    ("dangling", "models:\n  - {id: alpha, relations: [x]}\n", ":2: alpha: relations: no entry"),
    ("another kind", "papers:\n  - {id: alpha, year: 2020}\n", "is one of models, not of papers"),
    ("no source", "results:\n  - {model: alpha, benchmark: tests, value: 1}\n",
     "source: is missing"),
    ("same figure", "results:\n  - {model: alpha, benchmark: tests, value: 1, source: table}\n",
     "the same result is at all.yaml"),
    ("id twice in one file", GAMMA + GAMMA.partition("\n")[2], "'gamma' is already used at"),
    ("override twice in one file",
     "models:\n  - {id: beta, params: 1}\n  - {id: beta, params: 2}\n",
     "'beta' is already used at broken.yaml:2"),
    ("source twice in one file", "sources:\n  - {id: s, text: A}\n  - {id: s, text: B}\n",
     ":3: s: id: id 's' is already used at broken.yaml:2"),
    ("not YAML", "models: [\n", "is not valid YAML"),
    ("not UTF-8", b"\xff\xfe", "is not UTF-8"),
    ("header", "version: 1\n", "unknown section 'version'"),
    ("include", "include: [/etc/passwd]\n", "unknown section 'include'"),
    ("nested", "models: " + "[" * 200_000, "nested more than 40 levels"),
    ("too large", b"#" * (MAX_BYTES + 1), "is larger than 16 MiB"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "says"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN]
)
def test_a_broken_overlay_is_told_and_left_out_while_others_stand(
    load: Load, overlay: Write, text: str | bytes, says: str
) -> None:
    whole = load().catalogue
    overlay("a-sound.yaml", GAMMA)
    broken = overlay("broken.yaml", text)
    overlay("z-sound.yaml", "models:\n  - {id: gamma, params: 9}\n")

    loaded = load()

    assert loaded.problems
    assert all(line.startswith(f"{broken}") for line in loaded.problems)
    assert any(says in line for line in loaded.problems)
    assert model(loaded, "gamma").params == 9
    # Of the broken file nothing is taken, not even its sound half.
    assert [e for e in loaded.catalogue.entries if e.id != "gamma"] == list(whole.entries)
    assert loaded.catalogue.results == whole.results


def test_every_problem_of_an_overlay_is_listed(load: Load, overlay: Write) -> None:
    overlay(
        "broken.yaml",
        "models:\n  - {id: alpha, params: many, relations: [x]}\n  - {id: beta, colour: red}\n",
    )
    fields = [line.split(": ")[2] for line in load().problems]
    assert fields == ["params", "colour", "relations"]


def test_an_overlay_cannot_lean_on_one_that_was_left_out(load: Load, overlay: Write) -> None:
    overlay("1.yaml", GAMMA.replace("role: retriever", "role: chief"))
    overlay("2.yaml", "models:\n  - {id: alpha, relations: [gamma]}\n")
    loaded = load()
    assert len(loaded.problems) == 2
    assert "no entry has the id 'gamma'" in loaded.problems[1]
    assert model(loaded, "alpha").relations == ("alpha-paper",)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "models: []\n"])
def test_an_overlay_may_hold_nothing(load: Load, overlay: Write, text: str) -> None:
    overlay("mine.yaml", text)
    assert load().problems == ()


def test_what_is_not_a_file_of_ours_is_passed_over(
    load: Load, overlay: Write, home: Places
) -> None:
    overlay("notes.txt", "not YAML: [")
    overlay(".hidden.yaml", "not YAML: [")
    overlay("backup.yaml~", "not YAML: [")
    (home.overlays / ".#lock.yaml").symlink_to("user@host.1234")
    assert load().problems == ()


def test_what_cannot_be_read_is_told(load: Load, overlay: Write, home: Places) -> None:
    """A folder, a dead link and a pipe under an overlay's name; reading the pipe would hang."""
    overlay("gamma.yaml", GAMMA)
    (home.overlays / "a-folder.yaml").mkdir()
    (home.overlays / "b-link.yaml").symlink_to("nowhere")
    os.mkfifo(home.overlays / "c-pipe.yaml")
    loaded = load()
    assert [line.replace(f"{home.overlays}/", "") for line in loaded.problems] == [
        "a-folder.yaml: is not a plain file; left out",
        "b-link.yaml: cannot be read: No such file or directory; left out",
        "c-pipe.yaml: is not a plain file; left out",
    ]
    assert model(loaded, "gamma").name == "Gamma"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_no_right_to_read(load: Load, overlay: Write, home: Places) -> None:
    path = overlay("mine.yaml", GAMMA)
    path.chmod(0)
    assert load().problems == (f"{path}: cannot be read: Permission denied; left out",)
    home.overlays.chmod(0)
    try:
        assert load().problems == (f"{home.overlays}: cannot be listed: Permission denied",)
    finally:
        home.overlays.chmod(0o700)


def test_a_file_where_the_folder_should_be(load: Load, home: Places) -> None:
    home.config.mkdir(parents=True)
    home.overlays.write_text("oops")
    loaded = load()
    assert loaded.problems == (f"{home.overlays}: cannot be listed: Not a directory",)
    assert len(loaded.catalogue.entries) == 5


def test_names_that_act_on_a_terminal_or_are_no_text(
    load: Load, overlay: Write, home: Places
) -> None:
    """Problems are printed and kept as JSON, so what a file is called must survive both."""
    home.overlays.mkdir(parents=True)
    for name in (b"\x1b[2J.yaml", b"bad-\xff.yaml", "back\u202ewards.yaml".encode(), b"a\nb.yaml"):
        Path(os.fsdecode(os.fsencode(home.overlays) + b"/" + name)).write_text("models: [\n")
    first, again = load(), load()
    assert len(first.problems) == 4
    assert all(line.isprintable() for line in first.problems)
    assert again.problems == first.problems


HOSTILE = """\
papers:
  - id: alpha-paper
    name: "\\e]0;owned\\a <script>alert(1)</script> [x](javascript:alert(1)) \\u202e"
    title: "{{7*7}} ${HOME} $(id) `id` %s %n"
    authors: ["Robert'); DROP TABLE papers;--", "\\0"]
    summary: !!python/object/apply:os.system [id]
"""


def test_hostile_content_stays_data(load: Load, overlay: Write) -> None:
    path = overlay("hostile.yaml", HOSTILE)
    (line,) = load().problems
    assert line == f"{path}:6: alpha-paper: summary: expects a single value"

    text = HOSTILE.replace("!!python/object/apply:os.system [id]", "!!python/name:os.system 'S'")
    overlay("hostile.yaml", text)
    loaded = load()
    assert loaded.problems == ()
    paper = loaded.catalogue.entry("alpha-paper")
    assert isinstance(paper, Paper)
    assert paper.title == "{{7*7}} ${HOME} $(id) `id` %s %n"
    assert paper.authors == ("Robert'); DROP TABLE papers;--", "\0")
    assert paper.name.startswith("\x1b]0;owned\x07")  # faces clean what they show, data stays
    assert paper.summary == "S"


def test_lone_surrogates_do_not_reach_the_compiled_form(
    load: Load, overlay: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typed_yaml, "_LOADER", typed_yaml.yaml.SafeLoader)
    overlay("mine.yaml", 'models:\n  - {id: alpha, name: "\\ud800"}\n')
    (line,) = load().problems
    assert "alpha: name: holds a character that no file can be written with" in line


def test_the_real_catalogue_takes_an_overlay(overlay: Write, home: Places) -> None:
    overlay(
        "mine.yaml",
        GAMMA.replace("card", "medcpt-repo")
        + "benchmarks:\n  - {id: nfcorpus, licence: ask the authors}\n",
    )
    loaded = compiled.load(home)
    assert loaded.problems == ()
    assert loaded.catalogue.entry("gamma").name == "Gamma"
    assert getattr(loaded.catalogue.entry("nfcorpus"), "licence", None) == "ask the authors"
