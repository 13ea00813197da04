"""A whole encoder that needs no model: words hashed into a few dimensions.

For tests of what happens around an encoder (kills, locks, disks), where loading torch in every
child process would be all that the test does. It is deterministic, so builds can be compared.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from bioretrieval_tui.catalog.models import Encoding, Similarity
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder import Vectors
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.progress import Progress, Reporter, silent


class HashingEncoder:
    model_id = "test/hashing"
    revision = "sha256:0"
    recipe: Encoding = embedded.RECIPE
    recipe_hash = recipe_hash(embedded.RECIPE)
    similarity: Similarity = "cosine"
    normalised = True
    device = "cpu"
    dtype = "float32"
    tokens = 0
    at_once = 0
    max_tokens = 256

    def __init__(self, dimension: int = 16, batch: int = 20) -> None:
        self.dimension = dimension
        self._batch = batch

    def close(self) -> None:
        pass

    def encode_queries(self, texts: Sequence[str], *, instruction: str | None = None) -> Vectors:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                code = zlib.crc32(word.encode("utf-8", "replace"))
                vectors[row, code % self.dimension] += 1 + code / 2**33
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(lengths == 0, 1, lengths)

    def encode_documents(
        self,
        documents: Sequence[Document],
        progress: Reporter = silent,
        longer: list[int] | None = None,
    ) -> Vectors:
        if longer is not None:
            reads = self.max_tokens
            longer += (n for n, one in enumerate(documents) if len(one.text.split()) > reads)
        parts = [np.zeros((0, self.dimension), dtype=np.float32)]
        for start in range(0, len(documents), self._batch):
            some = documents[start : start + self._batch]
            parts.append(self.encode_queries([f"{d.title} {d.text}" for d in some]))
            self.tokens += sum(len(f"{d.title} {d.text}".split()) for d in some)
            progress(Progress("encoding", start + len(some), len(documents)))
        return np.concatenate(parts)


def write_corpus(path: str, word: str, count: int) -> None:
    """A BEIR file whose documents all hold `word` and their own number."""
    with open(path, "w") as out:
        out.writelines(
            f'{{"_id": "{word}{number}", "title": "t", "text": "{word} n{number}"}}\n'
            for number in range(count)
        )
