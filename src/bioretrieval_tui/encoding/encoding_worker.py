"""One model that encodes texts, in the process of a card or on a node of a cluster.

Both ends import this module. What decides whether they understand each other, the version and the
answer to `load`, is plain text and JSON.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from bioretrieval_tui import __version__
from bioretrieval_tui.encoding.encoder import Encoded, Engine, Shape
from bioretrieval_tui.encoding.recipe import ModelPart, SideInput
from bioretrieval_tui.errors import BioRetrievalError, DeviceMemoryError

if TYPE_CHECKING:
    from bioretrieval_tui.encoding.token_batches import TextTokenizer


class WorkerOrder(msgspec.Struct, frozen=True):
    """What a worker loads: a model in one revision, on `device`, with so many cores. settings:
    environment variables that decide how it computes, as they are on the machine of the build."""

    part: ModelPart
    revision: str
    device: str
    cores: int
    settings: dict[str, str]


class WorkerFacts(msgspec.Struct, frozen=True, tag="facts"):
    """What a worker has loaded, as of `Engine`."""

    shape: Shape
    normalised: bool
    device: str
    dtype: str


class WorkerFault(msgspec.Struct, frozen=True, tag="fault"):
    """Why a worker cannot do its work, as of `BioRetrievalError`; here: for want of memory, which
    others may have."""

    message: str
    remedy: str | None = None
    here: bool = False

    @classmethod
    def of(cls, error: BioRetrievalError) -> WorkerFault:
        return cls(error.message, error.remedy, isinstance(error, DeviceMemoryError))


class EncodingWorker:
    """One model and what is asked of it, from one or more threads. Faults for the user are
    returned: a cluster would wrap what is raised in exceptions of its own."""

    _engine: Engine

    def load(self, version: str, order: bytes) -> bytes:
        """Load a model, once. version: of the program that asks; order: JSON of a WorkerOrder.
        Returns JSON of WorkerFacts or a WorkerFault."""
        if version != __version__:
            said = f"bioretrieval-tui is {__version__} there, and {version} here"
            remedy = "install the same version on every node"
            return msgspec.json.encode(WorkerFault(said, remedy))
        wanted = msgspec.json.decode(order, type=WorkerOrder)
        os.environ.update(wanted.settings)
        from bioretrieval_tui.encoding.device import limit_cores
        from bioretrieval_tui.encoding.encoder_registry import engine_of
        from bioretrieval_tui.progress import silent

        limit_cores(wanted.cores)
        try:
            found = engine_of(wanted.part, wanted.revision, wanted.device, silent)
        except BioRetrievalError as error:
            return msgspec.json.encode(WorkerFault.of(error))
        self._engine = found
        facts = WorkerFacts(found.shape, found.normalised, found.device, found.dtype)
        return msgspec.json.encode(facts)

    def tokenizer(self) -> TextTokenizer | None:
        """The tokenizer of the model, see `Engine`."""
        return self._engine.tokenizer

    def encode(self, inputs: Sequence[Any], max_length: int) -> Encoded | WorkerFault:
        """The vectors of texts, as of `Engine.encoded`. inputs: each the fields of a SideInput."""
        texts = [SideInput(*one) for one in inputs]
        try:
            parts = list(self._engine.encoded(texts, max_length, urgent=False))
        except BioRetrievalError as error:
            return WorkerFault.of(error)
        return Encoded(
            [row for part in parts for row in part.rows],
            np.concatenate([part.vectors for part in parts]),
            sum(part.tokens for part in parts),
            next((part.note for part in parts if part.note), None),
            [row for part in parts for row in part.longer],
        )
