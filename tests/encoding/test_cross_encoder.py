"""Cross-encoders: raw logits of the authors' own way, in the documents' order, refused by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
import yaml
from tiny_models import recipe, save_long_bert

from bioretrieval_tui.catalog.models import Encoding, Side
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.cross_encoder import CrossEncoder, load_cross_encoder
from bioretrieval_tui.errors import InterruptedByUser, ModelError, UsageError
from bioretrieval_tui.progress import Progress

MODELS = Path(__file__).resolve().parents[2] / "data" / "models.yaml"
QUERY = "does aspirin help?"
DOCUMENTS = [
    Document("1", "Aspirin", "It lowered the risk of a second heart attack."),
    Document("2", "", "A text without a title."),
    Document("3", "A title without a text", ""),
    Document("4", "A long one", "heart attack " * 400),
    *(Document(str(n), "Cells", "cell " * n) for n in range(5, 60, 7)),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_long_bert(tmp_path_factory.mktemp("cross") / "model", 9, labels=1)


def catalogues(identifier: str = "medcpt-cross-encoder") -> Encoding:
    models = yaml.load(MODELS.read_text(encoding="utf-8"), yaml.CSafeLoader)["models"]
    (model,) = [one for one in models if one["id"] == identifier]
    return msgspec.convert(model["encoding"], Encoding)


@pytest.fixture(scope="module")
def encoder(folder: Path) -> CrossEncoder:
    return load_cross_encoder(str(folder), catalogues(), device="cpu")


def reference(folder: Path, pairs: list[list[str]]) -> np.ndarray:
    """MedCPT's own snippet: pairs of the query and "Title. Abstract", one padded batch."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    model = AutoModelForSequenceClassification.from_pretrained(str(folder)).eval()
    with torch.no_grad():
        inputs = tokenizer(
            pairs, truncation=True, padding=True, return_tensors="pt", max_length=512
        )
        return model(**inputs).logits.squeeze(dim=1).numpy()


def second(document: Document) -> str:
    if not document.title:
        return document.text
    return f"{document.title}. {document.text}".strip()


def test_scores_are_the_raw_logits_in_the_documents_order(
    encoder: CrossEncoder, folder: Path
) -> None:
    scores = encoder.scores(QUERY, DOCUMENTS)
    assert scores.dtype == np.float32
    expected = reference(folder, [[QUERY, second(one)] for one in DOCUMENTS])
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert np.ptp(expected) > 0.01
    swapped = reference(folder, [[second(one), QUERY] for one in DOCUMENTS])
    assert np.abs(scores - swapped).max() > 1e-3
    assert np.abs(scores - 1 / (1 + np.exp(-expected))).max() > 1e-3
    blank = reference(folder, [[QUERY, f"{one.title} {one.text}"] for one in DOCUMENTS])
    assert np.abs(scores - blank).max() > 1e-3


def test_attributes_and_scores_of_no_documents(encoder: CrossEncoder, folder: Path) -> None:
    assert encoder.model_id == str(folder)
    assert encoder.revision.startswith("sha256:")
    assert len(encoder.recipe_hash) == 64
    assert encoder.device == "cpu"
    assert encoder.scores(QUERY, []).shape == (0,)
    assert load_cross_encoder(str(folder), catalogues(), device="cpu") is encoder


def test_progress_follows_each_batch_and_can_cancel(encoder: CrossEncoder) -> None:
    steps: list[Progress] = []
    many = [Document(str(n), "", "heart attack in adults " * 40) for n in range(60)]
    encoder.scores(QUERY, many, steps.append)
    done = [step.done for step in steps]
    assert len(done) > 1
    assert done == sorted(set(done))
    assert done[-1] == 60

    def stop(step: Progress) -> None:
        seen.append(step)
        raise InterruptedByUser("enough")

    seen: list[Progress] = []
    with pytest.raises(InterruptedByUser):
        encoder.scores(QUERY, many, stop)
    assert len(seen) == 1
    assert encoder.scores(QUERY, many[:1]).shape == (1,)


def test_out_of_memory_halves_the_batch(
    encoder: CrossEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    expected = encoder.scores(QUERY, DOCUMENTS)
    worker = encoder._engine.worker
    sizes: list[int] = []
    room = 3

    def crowded(_: object, given: tuple[dict[str, torch.Tensor]]) -> None:
        sizes.append(len(given[0]["input_ids"]))
        if sizes[-1] > room:
            raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(worker, "budget", worker.budget)
    hook = worker._modules[0].register_forward_pre_hook(crowded)
    try:
        np.testing.assert_allclose(encoder.scores(QUERY, DOCUMENTS), expected, atol=1e-5)
        assert max(sizes) > 3
        room = 0
        with pytest.raises(ModelError, match="too little memory"):
            encoder.scores(QUERY, DOCUMENTS)
    finally:
        hook.remove()


def test_models_that_are_no_cross_encoders_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot rerank: it is a bi-encoder"):
        load_cross_encoder(str(folder), recipe(), device="cpu")
    one_text = Encoding(type="cross-encoder", grade="C", document=Side(template="{query} {text}"))
    with pytest.raises(ModelError, match="reads two segments"):
        load_cross_encoder(str(folder), one_text, device="cpu")
    headless = save_long_bert(tmp_path / "headless")
    with pytest.raises(ModelError, match="no cross-encoder: its files lack"):
        load_cross_encoder(str(headless), catalogues(), device="cpu")
    three = save_long_bert(tmp_path / "three", labels=3)
    with pytest.raises(ModelError, match="gives 3 scores"):
        load_cross_encoder(str(three), catalogues(), device="cpu")
    too_long = Encoding(type="cross-encoder", grade="C", document=Side(max_length=513))
    with pytest.raises(ModelError, match="takes 512 tokens, but its document recipe asks for 513"):
        load_cross_encoder(str(folder), too_long, device="cpu")
    with pytest.raises(UsageError):
        load_cross_encoder(str(folder), catalogues(), device="gpu")
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    (damaged / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load_cross_encoder(str(damaged), catalogues(), device="cpu")
    assert "\n" not in caught.value.line()
