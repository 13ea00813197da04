"""Every recipe of the catalogue that can be run, on a tiny model of its base's architecture."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import yaml
from authors_vectors import Authors, loaded
from test_trainer import examples, moved, weights
from tiny_models import save_decoder, save_long_bert, save_long_mpnet, save_modern_bert

from bioretrieval_tui.api import model_recipe
from bioretrieval_tui.catalog.models import Encoding, Lora, Model, Recipe
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder import EXTRA, Encoder
from bioretrieval_tui.encoding.encoder_registry import load_encoder, recipe_of
from bioretrieval_tui.encoding.recipe import side_recipe
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.main import run
from bioretrieval_tui.progress import silent
from bioretrieval_tui.training import trainer
from bioretrieval_tui.training.hyperparameters import RunSettings, choose
from bioretrieval_tui.training.losses import Texts
from bioretrieval_tui.training.own_models import Fitted
from bioretrieval_tui.training.trainable_models import (
    FRESH,
    encoding_to_train,
    prepare_tokenizer,
    trainable_model,
)
from bioretrieval_tui.training.trainer import add_lora, fit, merge_lora

DATA = Path(__file__).resolve().parents[2] / "data"
LONG = "IL-6 in a p53 " * 100
DOCUMENTS = [
    Document("1", "Statins and muscle pain", "A randomised trial of 200 patients."),
    Document("2", "", "p53 is a tumour suppressor."),
    Document("3", "A long one", LONG),
]
QUERIES = ["diabetes treatment", "does IL-6 hurt?", LONG]


def _entries(name: str, kind: type) -> dict[str, Any]:
    content = yaml.load((DATA / f"{name}.yaml").read_text("utf-8"), yaml.CSafeLoader)
    tag = {"kind": name.removesuffix("s")}
    return {one["id"]: msgspec.convert(one | tag, kind) for one in content[name]}


MODELS: dict[str, Model] = _entries("models", Model)
RECIPES: dict[str, Recipe] = _entries("recipes", Recipe)
RUNNABLE = [
    one for one in RECIPES.values() if one.training is not None and one.training.runnable != "no"
]
BY_HUB = {hub: one for one in MODELS.values() for hub in one.hub}


@pytest.fixture(autouse=True)
def _by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIORETRIEVAL_ENGINE", "torch")


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A tiny model of an architecture, made once; not to be changed."""
    root = tmp_path_factory.mktemp("architectures")
    makers: dict[str, Callable[[Path], Path]] = {
        "bert": save_long_bert,
        "modernbert": save_modern_bert,
        "mpnet": save_long_mpnet,
        **{name: lambda folder, name=name: save_decoder(folder, name)
           for name in ("gemma", "gpt-neox", "mistral", "qwen3")},
    }  # fmt: skip

    def made(name: str) -> Path:
        return root / name if (root / name).exists() else makers[name](root / name)

    return made


def encoding_of(one: Recipe) -> Encoding:
    assert one.base is not None
    own = BY_HUB[one.base].encoding if one.base in BY_HUB else None
    found = encoding_to_train(one.base, own, MODELS[one.model].encoding, named=False)
    assert found is not None
    return found


def settings_of(one: Recipe, **given: str) -> RunSettings:
    """The recipe's, but quick and exact on the CPU."""
    quick = {"batch": "8", "steps": "8", "learning_rate": "2e-3", "warmup": "0"}
    return choose(one, quick | {"precision": "float32"} | given).settings


def plainly(encoder: Encoder, side: str) -> np.ndarray:
    """Vectors without what l2 adds to them for the index."""
    if side == "query":
        found = encoder.encode_queries(QUERIES)
        return found if encoder.similarity != "l2" else found[:, :-EXTRA] / 2
    found = encoder.encode_documents(DOCUMENTS)
    return found if encoder.similarity != "l2" else found[:, :-EXTRA]


def close_to_authors(folder: Path, encoding: Encoding) -> None:
    """The vectors of a folder are those that the encoding's authors would compute with it."""
    encoder = load_encoder(str(folder), encoding, device="cpu")
    sep = str(loaded(folder)[0].sep_token or "")
    for side in ("query", "document"):
        filled = side_recipe(encoding, side)
        given = (
            [filled.query(one, separator=sep).first for one in QUERIES]
            if side == "query"
            else [filled.document(one, separator=sep).first for one in DOCUMENTS]
        )
        authors = Authors(
            folder, tuple((text,) for text in given), filled.max_length or 512,
            encoding.pooling or "mean",
            normalise=bool(encoding.normalise) or encoding.similarity == "cosine",
            end=encoding.append is not None,
        )  # fmt: skip
        np.testing.assert_allclose(plainly(encoder, side), authors.vectors(), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("one", RUNNABLE, ids=lambda one: one.id)
def test_a_recipe_trains(one: Recipe, twin: Callable[[str], Path], tmp_path: Path) -> None:
    base, encoding, chosen = (
        twin(MODELS[one.model].architecture or "bert"),
        encoding_of(one),
        settings_of(one),
    )
    runs: list[tuple[Any, Fitted]] = []
    for name in ("one", "two"):
        model = trainable_model(str(base), encoding)
        before = weights(model)
        done = fit(model, encoding, chosen, examples(48), examples(8, 5), tmp_path / name, silent)
        runs.append((model, done))
    model, done = runs[0]
    # The loss falls.
    losses = [value for _, value in done.losses]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    # The same seed gives the same weights.
    assert moved(weights(model), weights(runs[1][0])) == set()
    # Of an adapter's layers the weights moved, else those of all layers.
    changed = moved(before, weights(model))
    assert changed or done.best == 0
    if chosen.lora is not None:
        assert all(name.endswith("weight") and "norm" not in name.casefold() for name in changed)
        assert done.trained[0] < done.trained[1]
    elif done.best:
        still = {name for name in before if "pooler" not in name} - changed
        assert not [name for name in still if "embeddings" not in name and "embed" not in name]
    # What is saved encodes as the recipe says.
    model.save(str(tmp_path / "saved"), create_model_card=False)
    close_to_authors(tmp_path / "saved", encoding)


@pytest.mark.parametrize(
    ("architecture", "append"),
    [
        ("bert", None), ("modernbert", None), ("qwen3", None), ("qwen3", "eos"), ("gemma", "eos"),
        ("gpt-neox", "eos"), ("mistral", "eos"),
    ],
)  # fmt: skip
def test_training_reads_texts_as_the_encoder_does(
    architecture: str, append: Any, twin: Callable[[str], Path], tmp_path: Path
) -> None:
    pooling = "cls" if "bert" in architecture else "last"
    side = {name: msgspec.structs.replace(getattr(FRESH, name), max_length=64)
            for name in ("query", "document")}  # fmt: skip
    encoding = msgspec.structs.replace(FRESH, pooling=pooling, append=append, **side)
    model = trainable_model(str(twin(architecture)), encoding)
    before = model.max_seq_length
    undo = prepare_tokenizer(model, encoding, 64)
    texts = Texts(encoding, settings_of(RUNNABLE[0]), model.tokenizer)
    read = model.encode([texts.document(one) for one in DOCUMENTS])
    encoder = load_encoder(str(twin(architecture)), encoding, device="cpu")
    np.testing.assert_allclose(read, plainly(encoder, "document"), atol=2e-5)
    undo()
    assert model.max_seq_length == before
    model.save(str(tmp_path / "saved"), create_model_card=False)
    again = load_encoder(str(tmp_path / "saved"), encoding, device="cpu")
    np.testing.assert_array_equal(plainly(again, "document"), plainly(encoder, "document"))


@pytest.mark.parametrize("one", RUNNABLE, ids=lambda one: one.id)
def test_a_recipe_asks_for_its_base(
    one: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    """Nothing but the base's files is in the way, also where they only predict masked words."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    words = ["--on", "x"] if one.training and one.training.pairs != "given" else ["--pairs", "x"]
    assert run(["train", one.id, *words, "--dry-run", "-q"]) == 1
    _, err = capsys.readouterr()
    assert f"{one.base} is not on this machine" in err


def test_a_masked_language_model_begins_with_the_mean_of_its_tokens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_long_bert(tmp_path / "masked")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["BertForMaskedLM"]}))
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(
        json.dumps({"query": one.query, "positive": one.positive.text}) + "\n"
        for one in examples(24)
    ))  # fmt: skip
    words = ["train", "--pairs", str(pairs), "--base", str(folder), "--name", "new", "-q"]
    assert run([*words, "--set", "steps=2", "--set", "batch=4", "-f", "json"]) == 0
    out, _ = capsys.readouterr()
    lineage = json.loads(out)
    assert lineage["encoding"]["pooling"] == "mean"
    made, recipe = model_recipe("new")
    assert recipe == FRESH
    close_to_authors(Path(made), FRESH)


def test_a_model_without_an_end_token_cannot_append_it(twin: Callable[[str], Path]) -> None:
    model = trainable_model(str(twin("bert")), FRESH)
    with pytest.raises(ModelError, match="appends an end token, and the tokenizer has none"):
        prepare_tokenizer(model, msgspec.structs.replace(FRESH, append="eos"), 64)


@pytest.mark.parametrize("architecture", ["bert", "modernbert", "qwen3"])
def test_a_merged_adapter_gives_the_vectors_of_the_adapter(
    architecture: str, twin: Callable[[str], Path]
) -> None:
    import torch

    model = trainable_model(str(twin(architecture)), FRESH)
    plain, names = model.encode(QUERIES), set(weights(model))
    add_lora(model, Lora(rank=4, alpha=8.0))
    assert all(("lora_" in name) == one.requires_grad for name, one in model.named_parameters())
    torch.manual_seed(1)
    for name, one in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(one, std=0.1)
    adapted = model.eval().encode(QUERIES)
    assert np.abs(adapted - plain).max() > 1e-2
    merge_lora(model)
    assert set(weights(model)) == names
    np.testing.assert_allclose(model.encode(QUERIES), adapted, atol=1e-5)


@pytest.mark.parametrize("similarity", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("loss", ["contrastive", "triplet", "margin-mse", "kl"])
def test_losses_and_scores_compare_vectors_as_the_index_does(
    similarity: Any, loss: str, twin: Callable[[str], Path]
) -> None:
    """A set of vectors at another length is another set to all but the cosine."""
    import torch

    encoding = msgspec.structs.replace(FRESH, similarity=similarity, normalise=False)
    model = trainable_model(str(twin("bert")), encoding)
    chosen = settings_of(RUNNABLE[0], loss=loss, temperature="1", margin="5")
    function = trainer.loss_of(model, chosen)
    torch.manual_seed(3)
    vectors = [torch.randn(4, 32) for _ in range(3)]
    labels = {"margin-mse": torch.rand(4, 1), "kl": torch.rand(4, 2)}.get(loss)
    values = []
    for length in (1.0, 3.0):
        each = [length * one for one in vectors]
        compute = getattr(function, "compute_loss_from_embeddings", None)
        assert compute is not None
        values.append(float(compute(each, labels)))
    assert (values[0] == pytest.approx(values[1], abs=1e-5)) == (similarity == "cosine")
    assert model.similarity_fn_name == {"l2": "euclidean"}.get(similarity, similarity)


def test_prompts_of_a_base_are_not_put_before_filled_texts(
    twin: Callable[[str], Path], tmp_path: Path
) -> None:
    """A folder's own prompts are part of its recipe; the held-out queries have them once."""
    base = trainable_model(str(twin("bert")), FRESH)
    base.prompts = {"query": "query: ", "document": "passage: "}
    base.save(str(tmp_path / "base"), create_model_card=False)
    encoding = encoding_to_train(str(tmp_path / "base"), None, None, named=True)
    assert encoding is None  # its own
    own = recipe_of(str(tmp_path / "base"), None)
    model = trainable_model(str(tmp_path / "base"), own)
    texts = Texts(own, settings_of(RUNNABLE[0]), model.tokenizer)
    encoder = load_encoder(str(tmp_path / "base"), device="cpu")
    read = model.encode_query([texts.query("statin")])
    np.testing.assert_allclose(read, encoder.encode_queries(["statin"]), atol=2e-5)


def test_how_a_new_model_encodes(twin: Callable[[str], Path]) -> None:
    bge, minilm = (MODELS[name].encoding for name in ("bge-base-en-v1-5", "all-minilm-l6-v2"))
    biohicl = MODELS["biohicl-base"].encoding
    assert biohicl is not None
    # As the recipe's model, without its name.
    found = encoding_to_train("BAAI/bge-base-en-v1.5", bge, biohicl, named=False)
    assert found is not None
    assert found.query is not None
    assert (found.query.template, found.query.model, found.pooling) == ("{query}", None, "cls")
    # A base that is named keeps its own way.
    assert encoding_to_train("MiniLM", minilm, biohicl, named=True) is minilm
    assert encoding_to_train(embedded.MODEL_ID, None, biohicl, named=True) is None
    # One that predicts words has none.
    masked = MODELS["scibert"].encoding
    specter = encoding_to_train("scibert", masked, MODELS["specter2"].encoding, named=False)
    assert specter is not None
    assert specter.document is not None
    assert (specter.similarity, specter.pooling, specter.document.adapter) == ("l2", "cls", None)
    assert encoding_to_train("scibert", masked, None, named=True) is FRESH
    folder = str(twin("bert"))  # of BertModel: nobody says that it only predicts words
    assert encoding_to_train(folder, None, None, named=True) is None
    found = encoding_to_train(folder, None, biohicl, named=True)
    assert found is not None
    assert found.pooling == "cls"
