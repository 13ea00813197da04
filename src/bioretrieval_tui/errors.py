"""Errors that users see: one line with the fault, its place and the remedy, and an exit code.

Faults of input, files and environment are raised as one of these. Any other exception that escapes
is a bug. This module imports no other module of the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_FOUND = 3
EXIT_NO_NEWS = 4
"""Only for `watch run`: it succeeded and found no news."""
EXIT_INTERRUPTED = 130


class BioRetrievalError(Exception):
    """Base of all errors with a message for the user.

    Args:
        message: the fault, one line.
        remedy: what the user can do, one line, or None.
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return self.line()

    def line(self) -> str:
        """The error as one line: message, semicolon, remedy."""
        text = self.message if not self.remedy else f"{self.message}; {self.remedy}"
        return " ".join(text.split())


class UsageError(BioRetrievalError):
    """Wrong arguments."""

    exit_code = EXIT_USAGE


class NotFoundError(BioRetrievalError):
    """An entry, index or file that does not exist."""

    exit_code = EXIT_NOT_FOUND


class InterruptedByUser(BioRetrievalError):
    """Cancelled by the user; no file is half-written."""

    exit_code = EXIT_INTERRUPTED


class FilterError(UsageError):
    """A filter that does not parse. `column` is 0-based within `expression`."""

    def __init__(
        self, message: str, *, expression: str, column: int, remedy: str | None = None
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.expression = expression
        self.column = column

    def line(self) -> str:
        where = f"filter, column {self.column + 1}: "
        return where + super().line()

    def pointer(self) -> str:
        """Two lines: the expression, and a caret under the column."""
        return f"{self.expression}\n{' ' * self.column}^"


class Problem(NamedTuple):
    """One defect of an input file, with its place."""

    file: Path | str
    message: str
    line: int | None = None
    entry: str | None = None
    field: str | None = None

    def __str__(self) -> str:
        place = str(self.file) if self.line is None else f"{self.file}:{self.line}"
        parts = [place, self.entry, self.field, self.message]
        return escaped(" ".join(": ".join(filter(None, parts)).split()))


def escaped(text: str) -> str:
    """`text` with unprintable characters escaped as in Python."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class CatalogueError(BioRetrievalError):
    """An invalid catalogue file, with all its problems."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        first = str(problems[0]) if problems else "the catalogue is not valid"
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(first + more)


class CorpusError(BioRetrievalError):
    """An unreadable corpus file or a malformed record."""


class IndexFault(BioRetrievalError):
    """An index that is missing, busy, damaged or incompatible."""


class VectorsMissing(IndexFault):
    """An index that serves BM25 alone is asked for vectors."""


class ModelError(BioRetrievalError):
    """A model whose files are missing, altered or cannot be loaded."""


class DeviceMemoryError(ModelError):
    """A device has too little memory for a model, or for a single text."""
