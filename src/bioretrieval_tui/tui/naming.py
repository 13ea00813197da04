"""Names of indexes: what is wrong with one that is typed, and one that fits what goes into it."""

from __future__ import annotations

import re

from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.index.layout import CATALOGUE, check_name

LONGEST = 64
"""Characters of a name; what `check_name` says of a longer one would not fit its line."""


def name_problem(name: str) -> str | None:
    """What is wrong with a name, or None."""
    if name == CATALOGUE:
        return f"{CATALOGUE} is the app's own index: choose another name"
    if len(name) > LONGEST:
        return f"a name has {LONGEST} characters at most, and this has {len(name)}"
    try:
        check_name(name)
    except UsageError as error:
        return error.line()
    return None


def suggestion(file: str) -> str:
    """A name for an index after a file or folder; "" where nothing of it can be used."""
    stem = file.removesuffix(".gz")
    return slug(stem.rpartition(".")[0] or stem)


def slug(text: str, longest: int = 40) -> str:
    """What of a text can name an index, whole words if they fit; "" where nothing can."""
    whole = re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")
    if len(whole) <= longest:
        return whole
    return whole[: longest + 1].rpartition("-")[0] or whole[:longest]
