"""The fields that one kind alone has, and the encoding recipe, as markdown list lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from bioretrieval_tui.catalog.models import (
    AnyEntry,
    Benchmark,
    CheckVector,
    Dataset,
    Encoding,
    Entry,
    Loaders,
    Model,
    Paper,
    Recipe,
    Side,
    Step,
    Subset,
)
from bioretrieval_tui.render.markdown import code, escape, link
from bioretrieval_tui.terminal.clean import safe_url
from bioretrieval_tui.util.formatting import short

Names = Mapping[str, str]

_LABELS = {
    "acl": "ACL Anthology",
    "arxiv": "arXiv",
    "base": "trained from",
    "doi": "DOI",
    "hub": "on the hub",
    "max_tokens": "longest input",
    "pmid": "PubMed",
    "params": "parameters",
    "trained_on": "has seen the training data of",
}
_GRADES = {
    "A": "the authors' own code or card was read",
    "B": "third-party code was read",
    "C": "inferred",
}
# Shown elsewhere on the page, or of use to the program alone.
_ELSEWHERE = {*Entry.__struct_fields__, "encoding", "order"}


def field_lines(entry: AnyEntry, names: Names) -> Iterator[str]:
    """A line for each field of the entry's kind that says something, with its status."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(type(entry))}
    for name in entry.__struct_fields__:
        value = getattr(entry, name)
        # The default of a required field is msgspec's NODEFAULT, which equals no value.
        if name in _ELSEWHERE or value is None or value == () or value == defaults[name]:
            continue
        text = _field(entry, name, value, names)
        if not text:
            continue
        status = entry.statuses.get(name, entry.status)
        mark = "" if status == "confirmed" else f" ({status})"
        nested = text.startswith("\n")
        label = _LABELS.get(name, name.replace("_", " "))
        yield f"- **{label}**{mark}:{text}" if nested else f"- **{label}**: {text}{mark}"


def _field(entry: AnyEntry, name: str, value: Any, names: Names) -> str:
    special = _SPECIAL.get((type(entry), name))
    if special is not None:
        return special(value, names)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, tuple):
        return ", ".join(escape(item) for item in value)
    return escape(str(value))


def _parameters(value: int, _: Names) -> str:
    size = short(value)
    return size if size == str(value) else f"{size} ({value:,})"


def _named(value: str | tuple[str, ...], names: Names) -> str:
    ids = (value,) if isinstance(value, str) else value
    return ", ".join(
        f"{escape(names[item])} ({code(item)})" if item in names else escape(item) for item in ids
    )


def _at(prefix: str, suffix: str = "") -> Callable[[Any, Names], str]:
    """A field whose value is the end of an address."""

    def shown(value: Any, _: Names) -> str:
        values = value if isinstance(value, tuple) else (value,)
        return ", ".join(link(str(v), safe_url(f"{prefix}{v}{suffix}")) for v in values)

    return shown


def _authors(value: tuple[str, ...], _: Names) -> str:
    complete = not value or value[-1] != "others"
    shown = ", ".join(escape(name) for name in (value if complete else value[:-1]))
    return shown if complete else f"{shown} and others"


def _splits(value: dict[str, int], _: Names) -> str:
    return ", ".join(f"{escape(name)} {count:,}" for name, count in value.items())


def _subsets(value: tuple[Subset, ...], _: Names) -> str:
    lines = []
    for subset in value:
        sizes = [
            f"{count:,} {what}"
            for what, count in (("queries", subset.queries), ("documents", subset.documents))
            if count is not None
        ]
        said = [*sizes, *([escape(subset.note)] if subset.note else [])]
        lines.append(f"\n  - {escape(subset.name)}" + (f": {', '.join(said)}" if said else ""))
    return "".join(lines)


def _loaders(value: Loaders, _: Names) -> str:
    found = [
        f"\n  - {name.replace('_', '-') if name != 'ir_datasets' else name}: {_loader(name, text)}"
        for name in value.__struct_fields__
        if (text := getattr(value, name))
    ]
    return "".join(found)


def _loader(name: str, text: str) -> str:
    return link(text, safe_url(text)) if name == "zip" else code(text)


def _commands(value: tuple[str, ...], _: Names) -> str:
    return "".join(f"\n  - {code(command)}" for command in value)


_HUB = "https://huggingface.co/"
_SPECIAL: dict[tuple[type[AnyEntry], str], Callable[[Any, Names], str]] = {
    (Paper, "authors"): _authors,
    (Paper, "arxiv"): _at("https://arxiv.org/abs/"),
    (Paper, "doi"): _at("https://doi.org/"),
    (Paper, "acl"): _at("https://aclanthology.org/", "/"),
    (Paper, "pmid"): _at("https://pubmed.ncbi.nlm.nih.gov/", "/"),
    (Model, "params"): _parameters,
    (Model, "hub"): _at(_HUB),
    (Model, "trained_on"): _named,
    (Dataset, "hub"): _at(f"{_HUB}datasets/"),
    (Benchmark, "splits"): _splits,
    (Benchmark, "subsets"): _subsets,
    (Benchmark, "members"): _named,
    (Benchmark, "loaders"): _loaders,
    (Recipe, "model"): _named,
    (Recipe, "params"): _parameters,
    (Recipe, "paper"): _named,
    (Step, "commands"): _commands,
}


def encoding_lines(entry: AnyEntry, reference: Callable[[str], str]) -> Iterator[str]:
    """The recipe that turns text into vectors, a line a setting; nothing for other kinds.

    Args:
        reference: gives a source id its mark on the page.
    """
    if not isinstance(entry, Model) or entry.encoding is None:
        return
    encoding = entry.encoding
    yield f"- **type**: {encoding.type} (grade {encoding.grade}: {_GRADES[encoding.grade]})"
    for name in encoding.__struct_fields__:
        text = _setting(name, getattr(encoding, name), reference)
        if text:
            mark = " (unverified)" if name in encoding.unverified else ""
            nested = text.startswith("\n")
            label = name.replace("_", " ")
            yield f"- **{label}**{mark}:{text}" if nested else f"- **{label}**: {text}{mark}"
    unread = [name for name in encoding.unverified if name not in Encoding.__struct_fields__]
    if unread:
        yield f"- **unverified**: {', '.join(escape(name) for name in unread)}"
    if encoding.traps:
        yield "- **watch for**:" + "".join(f"\n  - {escape(trap)}" for trap in encoding.traps)


def _setting(name: str, value: Any, reference: Callable[[str], str]) -> str:
    if name in ("type", "grade", "traps", "unverified") or value is None or value in ("", {}):
        return ""
    if name == "pad_to_max_length" and not value:
        return ""
    if isinstance(value, Side):
        return _side(value)
    if isinstance(value, CheckVector):
        starts = ", ".join(str(number) for number in value.starts)
        return f"{value.side} {code(value.text)} starts {starts} {reference(value.source)}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "".join(f"\n  - {escape(k)}: {escape(v)}" for k, v in value.items())
    if name == "precomputed":
        return link(value, safe_url(value))
    if name == "instruction":
        return code(value)
    return escape(str(value))


def _side(side: Side) -> str:
    said = []
    if side.model:
        said.append(code(side.model))
    if side.adapter:
        said.append(f"adapter {code(side.adapter)}")
    if side.template:
        said.append(f"template {code(side.template)}")
    if side.pair:
        said.append(f"pair {code(side.pair[0])} and {code(side.pair[1])}")
    if side.max_length is not None:
        said.append(f"at most {side.max_length:,} tokens")
    return ", ".join(said)
