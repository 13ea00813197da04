"""Three families of models, two poolings, two engines: the vectors of transformers alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_models import SAVE, recipe, reference

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import openvino_runtime
from bioretrieval_tui.encoding.encoder import load_encoder
from bioretrieval_tui.encoding.openvino_encoder import OpenVinoEncoder

TEXTS = ["the liver", "statin muscle pain in a trial of heart failure", "p53", "", "cell " * 90]


@pytest.mark.parametrize("engine", ["auto", "torch"])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("family", SAVE)
def test_vectors_of_a_family(
    family: str, pooling: str, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SAVE[family](tmp_path / family)
    monkeypatch.setenv("BIORETRIEVAL_ENGINE", engine)
    encoder = load_encoder(str(folder), recipe(pooling=pooling), device="cpu")
    assert isinstance(encoder, OpenVinoEncoder) == (engine == "auto")
    documents = [Document(str(n), "a title", text) for n, text in enumerate(TEXTS)]
    separator = "[SEP]" if family == "bert" else "</s>"
    inputs = [f"passage: a title{separator}{text}".strip() for text in TEXTS]
    queries = [f"query: {text}".strip() for text in TEXTS]
    exact = encoder.dtype == "float32"
    for ours, theirs in (
        (encoder.encode_documents(documents), reference(inputs, folder, 40, pooling)),
        (encoder.encode_queries(TEXTS), reference(queries, folder, 12, pooling)),
        (encoder.encode_queries(TEXTS[:1]), reference(queries[:1], folder, 12, pooling)),
    ):
        assert (ours * theirs).sum(axis=1).min() > (0.999999 if exact else 0.999)


def test_the_precision_is_what_the_chip_is_quick_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BIORETRIEVAL_PRECISION")
    can = openvino_runtime.core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert openvino_runtime.chip().precision == ("bf16" if "BF16" in can else "f32")
    for settings in (openvino_runtime.one_by_one("f32"), openvino_runtime.many("f32")):
        assert settings["INFERENCE_PRECISION_HINT"] == "f32"


def test_embedded_model_on_real_abstracts_agrees_with_sentence_transformers(
    encoder, torch_encoder
) -> None:
    import json

    data = Path(__file__).resolve().parents[3] / "shared" / "data" / "scifact" / "corpus.jsonl"
    if not data.is_file():
        pytest.skip("the real data is not here")
    with data.open(encoding="utf-8") as lines:
        records = [json.loads(line) for _, line in zip(range(24), lines, strict=False)]
    documents = [Document(one["_id"], one["title"], one["text"]) for one in records]
    from sentence_transformers import SentenceTransformer

    from bioretrieval_tui.encoding import embedded

    plain = SentenceTransformer(str(embedded.locate().folder), device="cpu")
    plain.max_seq_length = 256
    texts = [f"{one.title} {one.text}" for one in documents]
    expected = plain.encode(texts, batch_size=8, normalize_embeddings=True)
    by_torch = (torch_encoder.encode_documents(documents) * expected).sum(axis=1)
    assert by_torch.min() > 0.999999
    ours = (encoder.encode_documents(documents) * expected).sum(axis=1)
    least, mean = (0.999999, 0.999999) if encoder.dtype == "float32" else (0.999, 0.9998)
    assert ours.min() >= least
    assert np.mean(ours) >= mean
