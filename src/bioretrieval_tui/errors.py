"""Errors that a user may see: one clear line, where it happened, what to do, an exit code.

Everything that can go wrong through input, files or the environment is raised as one of these;
anything else that escapes is a defect of ours. This module knows nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_FOUND = 3
EXIT_NO_NEWS = 4
"""Of `watch run` alone: all went well, and there was nothing new."""
EXIT_INTERRUPTED = 130


class BioRetrievalError(Exception):
    """Base of all errors with a message for the user.

    Args:
        message: what is wrong, one line.
        remedy: what the user can do about it, one line, or None.
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def line(self) -> str:
        """The whole error as one line: message, then the remedy behind a semicolon."""
        text = self.message if not self.remedy else f"{self.message}; {self.remedy}"
        return " ".join(text.split())


class UsageError(BioRetrievalError):
    """The words of the call are wrong."""

    exit_code = EXIT_USAGE


class NotFoundError(BioRetrievalError):
    """No such entry, index or file."""

    exit_code = EXIT_NOT_FOUND


class InterruptedByUser(BioRetrievalError):
    """The user cancelled; nothing is half-written."""

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
        """The expression with a caret under the place, as two lines."""
        return f"{self.expression}\n{' ' * self.column}^"


@dataclass(frozen=True, slots=True)
class Problem:
    """One defect of an input file: where it stands, what is wrong, what to do."""

    file: Path | str
    message: str
    line: int | None = None
    entry: str | None = None
    field: str | None = None

    def __str__(self) -> str:
        place = str(self.file) if self.line is None else f"{self.file}:{self.line}"
        parts = [place]
        if self.entry:
            parts.append(self.entry)
        if self.field:
            parts.append(self.field)
        return " ".join(f"{': '.join(parts)}: {self.message}".split())


class CatalogueError(BioRetrievalError):
    """A catalogue file that does not validate; carries every problem, not only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        first = str(problems[0]) if problems else "the catalogue is not valid"
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(first + more)


class CorpusError(BioRetrievalError):
    """A corpus file that cannot be read or a record that is malformed."""


class IndexFault(BioRetrievalError):
    """An index that is missing, busy, damaged or does not fit."""


class ModelError(BioRetrievalError):
    """A model whose files are missing, altered or not loadable."""
