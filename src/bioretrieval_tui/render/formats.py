"""The formats by name: which one a call means, a sheet rendered in it, JSON and CSV.

Text comes in chunks that each end with a newline, so that a long export streams and `| head` ends
it early. The others have modules of their own, imported when they are needed.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
from msgspec.structs import replace

from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.paths import file_errors, write_atomically
from bioretrieval_tui.render.sheet import Cell, Sheet, Shown, one_line, shortened
from bioretrieval_tui.terminal.clean import clean
from bioretrieval_tui.util.formatting import did_you_mean

Format = Literal[
    "table", "markdown", "json", "jsonl", "csv", "bibtex", "ris", "csl", "endnote", "latex"
]
FORMATS: tuple[Format, ...] = get_args(Format)
CITED: tuple[Format, ...] = ("bibtex", "ris", "csl", "endnote")
"""Formats of works to cite: a sheet without citations has none of them."""
ALIASES: dict[str, Format] = {
    "md": "markdown", "tex": "latex", "csl-json": "csl", "endnote-xml": "endnote",
}  # fmt: skip
EXTENSIONS: dict[str, Format] = {
    ".md": "markdown", ".markdown": "markdown", ".csv": "csv", ".csl.json": "csl", ".json": "json",
    ".jsonl": "jsonl", ".bib": "bibtex", ".ris": "ris", ".xml": "endnote", ".txt": "table",
    ".tex": "latex",
}  # fmt: skip
_NAMES: dict[str, Format] = {**{name: name for name in FORMATS}, **ALIASES}


def resolve(name: str | None, *, terminal: bool) -> Format:
    """The format of that name; with no name, table for a terminal and markdown for a pipe. Raises
    UsageError: there is no such format; the remedy names the nearest, or all."""
    if name is None:
        return "table" if terminal else "markdown"
    wanted = name.strip().casefold()
    if wanted in _NAMES:
        return _NAMES[wanted]
    remedy = did_you_mean(wanted, _NAMES, f"formats: {', '.join(FORMATS)}", cutoff=0.5)
    raise UsageError(f"there is no format '{shortened(name, 40)}'", remedy=remedy)


def format_of(path: Path) -> Format:
    """The format that the extension of a file names. Raises UsageError."""
    name = path.name.casefold()
    found = next((form for end, form in EXTENSIONS.items() if name.endswith(end)), None)
    if found is None:
        raise UsageError(
            f"no format has the extension '{path.suffix or path.name}'",
            remedy=f"use one of {' '.join(EXTENSIONS)}",
        )
    return found


def save_text(path: Path, text: str) -> Path:
    """Write an export whole. Raises BioRetrievalError."""
    if path.is_dir():
        raise BioRetrievalError(f"{path} is a folder", remedy="name a file in it")
    with file_errors(f"cannot write {path}"):
        write_atomically(path, text.encode())
    return path


def render(
    sheet: Sheet,
    format: Format,  # noqa: A002 - the word that the option and the design use
    *,
    width: int | None = None,
    colour: bool = False,
    links: bool = False,
) -> Iterator[str]:
    """The sheet as text, in chunks that each end with a newline; joined, they are the whole.

    width: cells of the terminal that a table may take, None for as many as it needs; colour: a
    table may use the terminal's sixteen colours; links: a table may use OSC 8 links.

    `width`, `colour` and `links` are for table; the other formats look the same everywhere.
    """
    if format == "table":
        from bioretrieval_tui.render import terminal_text

        return terminal_text.render(sheet, width=width, colour=colour, links=links)
    if format == "markdown":
        from bioretrieval_tui.render import markdown

        return markdown.render(sheet)
    if format == "bibtex":
        from bioretrieval_tui.render import citation

        return citation.bibliography(sheet.citations)
    if format in CITED:
        from bioretrieval_tui.render import reference_formats as written

        if format == "csl":
            return json_array(replace(sheet, records=written.csl_items(sheet.citations)))
        return {"ris": written.ris, "endnote": written.endnote_xml}[format](sheet.citations)
    if format == "latex":
        from bioretrieval_tui.render import booktabs

        return booktabs.render(sheet)
    return {"json": json_array, "jsonl": json_lines, "csv": csv_lines}[format](sheet)


# JSON -----------------------------------------------------------------------------------------

# What JSON writes for a control character, among them all that `clean` would take away.
_CONTROL = re.compile(r"\\[ubfrt]")


def encoded(value: Any, *, indent: int = 0) -> str:
    """`value` as JSON text without a line end; text in it is cleaned, NaN becomes null."""
    try:
        raw = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # a lone surrogate, which `clean` drops
        raw = ""
    # Texts are only cleaned one by one where the whole shows that one needs it.
    if not raw or _CONTROL.search(raw) or clean(raw, newlines=True) != raw:
        raw = msgspec.json.encode(cleaned(value)).decode()
    return msgspec.json.format(raw, indent=indent) if indent else raw


def object_text(value: dict[str, Any]) -> str:
    """One record as an indented object that ends with a newline."""
    return encoded(value, indent=2) + "\n"


def json_array(sheet: Sheet) -> Iterator[str]:
    """The records as an array, a chunk a record. An empty sheet is `[]`."""
    opening = "[\n"
    for item in sheet.records:
        # Line ends inside strings are escaped, so each "\n" here is one of the layout.
        yield opening + "  " + encoded(item, indent=2).replace("\n", "\n  ")
        opening = ",\n"
    yield "\n]\n" if len(sheet.records) else "[]\n"


def json_lines(sheet: Sheet) -> Iterator[str]:
    """The records, a line each. An empty sheet has no lines."""
    for item in sheet.records:
        yield encoded(item) + "\n"


def cleaned(value: Any) -> Any:
    """The same value with every text in it, keys included, freed of control bytes."""
    if isinstance(value, str):
        return clean(value, newlines=True)
    if isinstance(value, dict):
        return {cleaned(key): cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [cleaned(item) for item in value]
    return value


# CSV ------------------------------------------------------------------------------------------
#
# RFC 4180 with "\n" line ends and a header of column keys. A spreadsheet runs text that begins with
# = + - @ as a formula: such a field starts with an apostrophe (its sign for text),
# unless it is a plain number such as -0.5. JSON keeps the exact text.

# Spreadsheets in East Asian locales read the wide forms as the ASCII ones.
_FORMULA = "=+-@\t\r＝＋－＠"  # noqa: RUF001
_PLAIN_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def csv_lines(sheet: Sheet) -> Iterator[str]:
    """The header, then a line a row, data-only columns included."""
    import csv

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    heads = tuple(column.key for column in sheet.columns)
    for row in chain([heads], sheet.rows):
        writer.writerow(map(_csv_field, row))
        yield out.getvalue()
        out.seek(out.truncate(0))


def _csv_field(cell: Cell) -> str:
    """One field before quoting; text that a spreadsheet would run is made harmless."""
    value = cell.value if isinstance(cell, Shown) else cell
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    value = one_line(value)
    if value.startswith(tuple(_FORMULA)) and not _PLAIN_NUMBER.fullmatch(value):
        value = "'" + value
    # An unverified number stays a number: the `unverified` column of the row names it instead.
    marked = value and isinstance(cell, Shown) and cell.unverified
    return f"{value} (unverified)" if marked else value
