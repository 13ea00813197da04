"""A sheet as a LaTeX table: booktabs rules, the best number of a column in bold, the second
underlined."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bioretrieval_tui.render.sheet import Cell, Sheet, face, one_line, readable

_SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "\N{BLACK DIAMOND}": r"$\diamond$", "\N{GREEK CAPITAL LETTER DELTA}": r"$\Delta$",
}  # fmt: skip
_SPECIAL = re.compile("|".join(map(re.escape, _SIGNS)))
_EMPHASIS = {"best": r"\textbf{%s}", "second": r"\underline{%s}"}


def escape(text: str) -> str:
    """`text` on one line, with everything that has a meaning in LaTeX written out."""
    return _SPECIAL.sub(lambda found: _SIGNS[found[0]], one_line(text))


def cell(value: Cell) -> str:
    seen = face(value)
    text = escape(seen.text)
    if not text:
        return ""
    if seen.emphasis:  # of the number, not of a difference behind it
        number, *rest = text.split(" ", 1)
        text = " ".join([number.join(_EMPHASIS[seen.emphasis].split("%s")), *rest])
    signs = seen.mark + ("?" if seen.unverified else "")
    return f"{text}\\textsuperscript{{{escape(signs)}}}" if signs else text


def render(sheet: Sheet) -> Iterator[str]:
    """A `table` environment that needs the package booktabs, a line at a time."""
    places = readable(sheet)
    columns = [sheet.columns[place] for place in places]
    aligned = "".join("r" if column.align == "right" else "l" for column in columns)
    yield "% needs \\usepackage{booktabs}\n"
    yield "\\begin{table}\n\\centering\n"
    if sheet.title:
        yield f"\\caption{{{escape(sheet.title)}}}\n"
    yield f"\\begin{{tabular}}{{{aligned}}}\n\\toprule\n"
    yield " & ".join(escape(column.title) for column in columns) + " \\\\\n\\midrule\n"
    for row in sheet.rows:
        yield " & ".join(cell(row[place]) for place in places) + " \\\\\n"
    yield "\\bottomrule\n\\end{tabular}\n"
    if sheet.note:
        yield f"\\par\\smallskip\\footnotesize {escape(sheet.note)}\n"
    yield "\\end{table}\n"
