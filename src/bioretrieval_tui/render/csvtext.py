"""csv: RFC 4180 with "\\n" line ends, a header of column keys, one line a row.

Numbers are written raw and truth values as true and false; nothing is an empty field. Text is
kept to one line, so a row is a line.

A spreadsheet runs text that begins with = + - @ as a formula. Such a field gets an apostrophe in
front (the spreadsheets' own sign for "this is text"), unless it is a plain number such as -0.5.
Readers that want the text to the letter take json.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from bioretrieval_tui.render.sheet import Plain, Sheet, datum

# The wide forms are taken for their ASCII kin by spreadsheets in East Asian locales.
_FORMULA = "=+-@\t\r＝＋－＠"  # noqa: RUF001
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


class _Echo:
    """A file for csv.writer that hands each line back to the caller of `writerow`."""

    def write(self, line: str) -> str:
        return line


def field(value: Plain) -> str:
    """One field before quoting: text that a spreadsheet would run is disarmed."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    if value.startswith(tuple(_FORMULA)) and not _NUMBER.fullmatch(value):
        return "'" + value
    return value


def render(sheet: Sheet) -> Iterator[str]:
    """The header, then a line a row, data-only columns included."""
    writer = csv.writer(_Echo(), lineterminator="\n")
    yield str(writer.writerow([field(column.key) for column in sheet.columns]))
    for row in sheet.rows:
        fields = []
        for cell in row:
            value, unverified = datum(cell)
            # A number stays a number: the `unverified` column of the row names it instead.
            mark = " (unverified)" if unverified and isinstance(value, str) and value else ""
            fields.append(field(value) + mark)
        yield str(writer.writerow(fields))
