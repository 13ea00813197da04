"""The guide agrees with the program: commands, options, keys, links and the pages of the site."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bioretrieval_tui.actions import ACTIONS, shown_key
from bioretrieval_tui.cli import PROGRAM
from bioretrieval_tui.cli.root import VERBS, root
from bioretrieval_tui.cli.train import TrainGroup

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
OURS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# Commands -------------------------------------------------------------------------------------


def calls(text: str) -> Iterator[tuple[str, bool]]:
    """The calls of the program in a page, and whether each is complete: those of blocks are, and of
    those in prose the options count."""
    for block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            before, program, call = line.partition(f"{PROGRAM} ")
            if program and not re.search(r"[\"'(<#|]|Usage:|^ *-", before):
                yield call, True
    for span in SPAN.findall(FENCE.sub("", text)):
        words = " ".join(span.split())
        if words.startswith(f"{PROGRAM} "):
            yield words.removeprefix(f"{PROGRAM} "), False
        elif words.split()[0] in VERBS and " " in words:
            yield words, False


def own_words(call: str) -> list[str]:
    """The words of a call up to what a shell does with its output."""
    lexer = shlex.shlex(call, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    end = next((at for at, word in enumerate(words) if set(word) <= set("|&;<>()")), len(words))
    return words[:end]


def fault(call: str, complete: bool) -> str:
    """What the program would refuse in a call."""
    command: click.Command = root
    context = click.Context(root, info_name=PROGRAM)
    words = own_words(call)
    while True:
        known = {name: one for one in command.get_params(context) for name in one.opts}
        if not isinstance(command, click.Group):
            break
        if isinstance(command, TrainGroup):
            words = command.completed(words)
        while words and words[0].startswith("-"):
            if (option := known.get(words.pop(0))) is None:
                return "an option is not known"
            if isinstance(option, click.Option) and not option.is_flag and words:
                words.pop(0)
        if not words or words[0].isupper() or "|" in words[0] or words[0] in ("help", "..."):
            return ""
        name = words.pop(0)
        inner = command.get_command(context, name)
        if inner is None:
            return f"there is no {name}"
        context = click.Context(inner, parent=context, info_name=name)
        command = inner
    if not complete:
        given = (one for one in words if re.fullmatch(r"-[a-z]|--[a-z-]+", one))
        return next((f"No such option '{one}'." for one in given if one not in known), "")
    try:
        command.make_context(name, words)
    except click.ClickException as error:
        return error.format_message().partition(" (Did")[0]
    return ""


@pytest.mark.parametrize("page", OURS, ids=named)
def test_the_program_takes_the_calls_of_a_page(page: Path) -> None:
    found = [(call, fault(call, complete)) for call, complete in calls(page.read_text("utf-8"))]
    assert [one for one in found if one[1]] == []
    assert found or page.name not in ("README.md", "cli.md", "pipes.md")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```\nbioretrieval-tui serach x\n```", "there is no serach"),
        ("```sh\nA=1 bioretrieval-tui search x --wehre y | less\n```", "No such option '--wehre'."),
        ("```console\n$ bioretrieval-tui index verify\n```", "Missing argument 'NAME'."),
        ("`index build --lexicle`", "No such option '--lexicle'."),
        ("`bioretrieval-tui\nlst models`", "there is no lst"),
    ],
)
def test_calls_that_it_does_not_take_are_found(text: str, said: str) -> None:
    assert [fault(*one) for one in calls(text + "\n")] == [said]


# Keys -----------------------------------------------------------------------------------------


def test_keys_of_the_tutorials_are_keys_of_the_app() -> None:
    keys = {shown_key(key) for action in ACTIONS for key in action.keys}
    pages = [DOCS / "index.md", DOCS / "tour.md", *(DOCS / "tutorials").glob("*.md")]
    texts = [FENCE.sub("", page.read_text("utf-8")) for page in pages]
    told = {one for text in texts for one in SPAN.findall(text) if re.match(r".$|ctrl\+.$", one)}
    assert {"9", "ctrl+p", "="} <= told
    assert told - keys == set()


def test_variables_that_pages_name_are_read() -> None:
    source = "".join(one.read_text("utf-8") for one in (ROOT / "src").rglob("*.py"))
    told = {one for page in (OURS[0], *PAGES)
            for one in re.findall(r"BIORETRIEVAL_[A-Z_]+", page.read_text("utf-8"))}  # fmt: skip
    told = {one for one in told if one not in source and not one.endswith("_URL")}
    assert told == set()


# Links and pages --------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """The anchors of headings, as GitHub and the site make them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    slugs = [re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles]
    return {slug for slug, count in Counter(slugs).items() if count == 1}


@pytest.mark.parametrize("page", OURS, ids=named)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text("utf-8"))):
        place, _, anchor = link.partition("#")
        target = page.parent / place if place else page
        if "://" in place:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            broken.append(link)
    assert broken == []


def test_pictures_and_site_load_nothing_from_elsewhere() -> None:
    pictures = list(DOCS.glob("screenshots/*.svg"))
    found = [one for one in pictures if re.search(r"(url\(|href=)\W*http", one.read_text("utf-8"))]
    assert pictures
    assert found == []
    assert "font: false" in (ROOT / "mkdocs.yml").read_text("utf-8")


def test_every_page_has_a_place_in_the_site() -> None:
    listed = re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    pages = {one.relative_to(DOCS).as_posix() for one in PAGES}
    results = {f"results/{one.name}" for one in (ROOT / "benchmarks/results").glob("*.md")}
    assert set(listed) == pages | results | {"changelog.md", "contributing.md"}
    assert len(listed) == len(set(listed))
