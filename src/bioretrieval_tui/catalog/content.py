"""A whole catalogue as typed values: what loading makes, and what its compiled form holds.

Knows the entries only. The fast start reads this and nothing of YAML or of its checks.
"""

# Annotations are objects here, not strings: msgspec would evaluate each string at start-up.
from msgspec import Struct

from bioretrieval_tui.catalog.entries import AnyEntry, Change, Result, Source

FORMAT_VERSION = 1
"""The `version` of the catalogue files that this program reads."""

MAX_BYTES = 16 * 1024 * 1024
"""Largest catalogue file read. The shipped catalogue is a third of a megabyte."""


class Content(Struct, frozen=True, kw_only=True):
    """A whole catalogue as typed values: the compiled form is this, as JSON."""

    entries: tuple[AnyEntry, ...]
    results: tuple[Result, ...]
    sources: tuple[Source, ...]
    changes: tuple[Change, ...] = ()
    updated: str | None = None
