"""What a build will take, told and checked after a few seconds of it, while it goes on.

The rates are those of this build; what it has not made yet is reckoned from its format: vectors and
graphs by their dimension, the rest from what the documents take. `benchmarks/results/scaling.md`
has the measured bytes of each part.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.manifest import NEW_GRAPHS
from bioretrieval_tui.memory import available_memory
from bioretrieval_tui.paths import SPARE, free_space
from bioretrieval_tui.util.formatting import short, size, time_left

AFTER = 10.0
"""Seconds of encoding after which a build is reckoned."""
_TEXT_SHARE = 0.3
"""Bytes of text index and metadata for each byte of the stored documents."""
_POOLED = 37
"""Bytes that the pool of a build keeps beside each vector."""


class BuildEstimate(msgspec.Struct, frozen=True):
    """What a build takes in all. documents: about; seconds: from now on; disk: bytes; plain: of
    them those for BM25; held: those of the graphs, which are read into memory for searching."""

    documents: int
    seconds: float
    disk: int
    plain: int
    held: int

    @property
    def line(self) -> str:
        """The estimate in one line."""
        said = [f"about {short(self.documents)} documents", time_left(self.seconds)]
        said.append(f"{size(self.disk)} of disk")
        if self.held:
            said.append(f"{size(self.held)} of memory to search by the graphs")
        if (memory := available_memory()) is not None and self.held > memory:
            said[-1] += f" (available here: {size(memory)}; --lexical takes little, and so does"
            said[-1] += " --store lance+file:FOLDER once it is built)"
        return ", ".join(said)

    def require_space(self, folder: Path, written: int) -> None:
        """Raise IndexFault if the disk of `folder`, an index's, cannot hold what has not been
        `written` yet, in bytes."""
        needed, free = max(0, self.disk - written) + SPARE, free_space(folder)
        if needed > free:
            lexical = f"; BM25 alone (--lexical) takes {size(self.plain)} in all"
            raise IndexFault(
                f"the index {folder.name} needs {size(needed)} more, and its disk has {size(free)}"
                " free",
                remedy=f"free space, set BIORETRIEVAL_HOME to another disk, or take fewer files"
                f"{lexical if self.held else ''}; the next build keeps the vectors so far",
            )


def estimated(
    *,
    rows: int,
    share: float,
    done: int,
    seconds: float,
    stored: int,
    dimension: int,
    vectors: float = 1.0,
    pooled: bool = True,
) -> BuildEstimate:
    """The estimate of a build that has read `rows` documents, which are `share` of all and take
    `stored` bytes, and finished `done` of them in `seconds`. vectors: of each document; pooled:
    whether the vectors are also kept in a pool."""
    total = max(rows, round(rows / share))
    graph = 4 * dimension + 8 * NEW_GRAPHS.m + 24 if dimension else 0
    vector = 2 * dimension * (1 + pooled) + _POOLED * pooled if dimension else 0
    plain = round((1 + _TEXT_SHARE) * stored / rows * total)
    held = round(vectors * graph * total)
    disk = plain + held + round(vectors * vector * total)
    return BuildEstimate(total, (total - done) * seconds / done, disk, plain, held)
