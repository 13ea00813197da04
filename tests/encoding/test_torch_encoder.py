"""The torch encoder's own logic, on the CPU: sharing, halving, falling back, packing.

No accelerator is needed: devices are lanes on the CPU, and memory runs out where a real module
raises what torch raises. What only a card can show (its speed, its kernels) is not shown here.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import SAVE, recipe

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import torch_encoder
from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.encoding.model_files import ModelFiles
from bioretrieval_tui.encoding.token_batches import Batch, TextTokenizer, Tokens
from bioretrieval_tui.encoding.torch_encoder import (
    DeviceWorker,
    TorchEngine,
    best_dtype,
)
from bioretrieval_tui.encoding.torch_modules import load_modules, shape_of
from bioretrieval_tui.errors import InterruptedByUser, ModelError
from bioretrieval_tui.progress import Progress

DOCUMENTS = [Document(str(n), "", "gene " * (1 + n * 37 % 36)) for n in range(60)]
IDS = ([2, 5, 6, 7, 3], [2, 9, 3], [2] + [8, 4] * 12 + [3], [2, 3])
BATCH = Batch(range(4), [Tokens(ids) for ids in IDS])
PAIRS = Batch(range(4), [Tokens(ids, [0] * 2 + [1] * (len(ids) - 2)) for ids in IDS])


def modules_of(folder: Path, **changes: object) -> Any:
    return load_modules("tiny", ModelFiles(folder, "r"), recipe(**changes))


def run(worker: DeviceWorker, batch: Batch) -> np.ndarray:
    return worker.launch(batch)().vectors


class Small:
    """Makes lanes whose device holds `room` tokens at once, padding counted; see `seen`."""

    def __init__(self, folder: Path, rooms: dict[str, int]) -> None:
        self.folder = folder
        self.rooms = rooms
        self.seen: list[tuple[str, int, int]] = []

    def __call__(self, name: str) -> DeviceWorker:
        import torch

        modules = modules_of(self.folder)
        small = self

        class Crowded(torch.nn.Module):
            def forward(self, features: Any) -> Any:
                rows, columns = features["input_ids"].shape
                small.seen.append((name, rows, threading.get_ident()))
                if rows * columns > small.rooms.get(name, 10**9):
                    raise torch.OutOfMemoryError("no room")
                return features

        worker = DeviceWorker(modules, name, 0)
        worker._modules = [Crowded(), *modules]
        return worker


def encoder_with(small: Small, device: str) -> Encoder:
    modules = modules_of(small.folder)
    shape = shape_of("tiny", modules, recipe())
    tokenizer = TextTokenizer.of("tiny", modules.tokenizer)
    engine = TorchEngine("tiny", "r", shape, tokenizer, device, small)
    return Encoder("tiny", "r", recipe(), lambda _: engine)


@pytest.fixture(scope="module")
def expected(tiny: Path) -> np.ndarray:
    return encoder_with(Small(tiny, {}), "cpu:0").encode_documents(DOCUMENTS)


def test_a_batch_that_does_not_fit_is_halved_with_a_note(tiny: Path, expected: np.ndarray) -> None:
    small = Small(tiny, {"cpu:0": 150})
    encoder = encoder_with(small, "cpu:0")
    encoder.engine("document").worker.budget = 1000
    steps: list[Progress] = []
    vectors = encoder.encode_documents(DOCUMENTS, steps.append)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    notes = [step.note for step in steps if step.note]
    assert notes
    assert notes[-1].startswith("cpu:0 is short of memory: batches are reduced to ")
    assert 64 <= encoder.engine("document").worker.budget <= 150
    assert [step.done for step in steps] == sorted({step.done for step in steps})
    assert steps[-1].done == 60
    # What was learnt holds: a second round meets no full memory.
    before = len(small.seen)
    again = encoder.encode_documents(DOCUMENTS)
    np.testing.assert_allclose(again, expected, atol=1e-5)
    assert sum(rows for _, rows, _ in small.seen[before:]) == 60
    assert encoder.tokens == 2 * sum(min(40, 5 + 1 + n * 37 % 36) for n in range(60))


def test_one_text_that_does_not_fit_goes_to_the_cpu(tiny: Path, expected: np.ndarray) -> None:
    small = Small(tiny, {"cpu:0": 30})
    encoder = encoder_with(small, "cpu:0")
    notes: list[str | None] = []
    vectors = encoder.encode_documents(DOCUMENTS, lambda step: notes.append(step.note))
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert "cpu:0 is out of memory: the CPU encodes what does not fit" in notes
    assert {name for name, _, _ in small.seen} == {"cpu:0", "cpu"}


def test_out_of_memory_on_the_cpu_is_an_error(tiny: Path) -> None:
    with pytest.raises(ModelError, match="too little memory") as caught:
        encoder_with(Small(tiny, {"cpu": 2}), "cpu").encode_documents(DOCUMENTS)
    assert "smaller model" in caught.value.line()


def test_a_query_falls_back_to_the_cpu_too(tiny: Path) -> None:
    whole = encoder_with(Small(tiny, {}), "cpu:0").encode_queries(["the liver"])
    crowded = encoder_with(Small(tiny, {"cpu:0": 2}), "cpu:0").encode_queries(["the liver"])
    np.testing.assert_allclose(crowded, whole, atol=1e-6)


def test_the_caller_hears_of_progress_and_the_model_runs_elsewhere(
    tiny: Path, expected: np.ndarray
) -> None:
    small = Small(tiny, {})
    encoder = encoder_with(small, "cpu:0")
    told: set[int] = set()
    vectors = encoder.encode_documents(DOCUMENTS, lambda _: told.add(threading.get_ident()))
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert told == {threading.get_ident()}
    assert told.isdisjoint(thread for _, _, thread in small.seen)


def test_a_cancel_ends_the_work(tiny: Path) -> None:
    def stop(_: Progress) -> None:
        raise InterruptedByUser("enough")

    encoder = encoder_with(Small(tiny, {}), "cpu:0")
    encoder.engine("document").worker.budget = 60
    running = threading.active_count()
    with pytest.raises(InterruptedByUser):
        encoder.encode_documents(DOCUMENTS, stop)
    assert threading.active_count() == running
    assert encoder.encode_queries(["x"]).shape == (1, 32)


def test_an_error_of_the_worker_is_raised_to_the_caller(tiny: Path) -> None:
    encoder = encoder_with(Small(tiny, {}), "cpu:0")
    encoder.engine("document").worker._modules = [lambda _: 1 / 0]
    with pytest.raises(ZeroDivisionError):
        encoder.encode_documents(DOCUMENTS)


# --- texts without padding


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
def test_packed_texts_have_the_vectors_of_padded_ones(
    family: str, pooling: str, tmp_path: Path
) -> None:
    folder = SAVE[family](tmp_path / family)
    modules = modules_of(folder, pooling=pooling)
    worker = DeviceWorker(modules, "cpu", int(modules.tokenizer.pad_token_id), pack=True)
    assert worker.packed
    assert modules[0].model.config._attn_implementation == torch_encoder.PACKED
    other = modules_of(folder, pooling=pooling)
    padded = DeviceWorker(other, "cpu", int(other.tokenizer.pad_token_id))
    assert not padded.packed
    for batch in (BATCH, PAIRS):
        np.testing.assert_allclose(run(worker, batch), run(padded, batch), atol=1e-5)
    told = not np.allclose(run(worker, PAIRS), run(worker, BATCH), atol=1e-4)
    assert told == (family == "bert")


def test_a_model_that_cannot_be_packed_is_padded(tmp_path: Path) -> None:
    folder = SAVE["mpnet"](tmp_path / "mpnet")
    modules = modules_of(folder)
    worker = DeviceWorker(modules, "cpu", 1, pack=True)
    assert not worker.packed
    again = DeviceWorker(modules_of(folder), "cpu", 1)
    np.testing.assert_allclose(run(worker, BATCH), run(again, BATCH), atol=1e-6)


def test_packing_that_gives_other_vectors_is_not_used(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = torch_encoder._attention

    def wrong(*args: Any, **kwargs: Any) -> Any:
        out, weights = right(*args, **kwargs)
        return out.flip(1), weights

    monkeypatch.setattr(torch_encoder, "_attention", wrong)
    modules = modules_of(tiny)
    before = modules[0].model.config._attn_implementation
    worker = DeviceWorker(modules, "cpu", 0, pack=True)
    assert not worker.packed
    assert modules[0].model.config._attn_implementation == before
    plain = DeviceWorker(modules_of(tiny), "cpu", 0)
    np.testing.assert_allclose(run(worker, BATCH), run(plain, BATCH), atol=1e-6)


def test_the_precision_of_a_device() -> None:
    assert best_dtype("cpu") == "float32"
    assert best_dtype("mps") == "float32"
