"""Vectors: those of the authors' own way, in order, of the right length, from several threads."""

from __future__ import annotations

import itertools
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from precisions import BFLOAT16, Precision
from tiny_models import SAVE, recipe, reference, save_static

from bioretrieval_tui.catalog.models import Side
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import embedded, openvino_encoder
from bioretrieval_tui.encoding.device import pick, usable_cores
from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.encoding.encoder_registry import load_encoder
from bioretrieval_tui.encoding.model_files import files_of
from bioretrieval_tui.encoding.openvino_encoder import OpenVinoEngine
from bioretrieval_tui.encoding.recipe import ModelPart, recipe_hash
from bioretrieval_tui.errors import InterruptedByUser, ModelError, UsageError
from bioretrieval_tui.progress import Progress

DOCUMENTS = [
    Document("1", "Statins and muscle pain", "A randomised trial of 200 patients."),
    Document("2", "", "p53 is a tumour suppressor."),
    Document("3", "Long one", "insulin resistance and obesity in adolescents " * 80),
    Document("4", "", ""),
    Document("5", "Accents", "Étude de la maladie de Behçet \x1b[31m \ud800 end"),
]


@pytest.fixture(scope="session")
def _prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encoders")


@pytest.fixture(autouse=True)
def _shared_encoders(home: Path, _prepared: Path) -> None:
    """What one test has prepared others find: preparing is for test_openvino.py."""
    (home / "cache").mkdir(parents=True)
    (home / "cache" / "encoders").symlink_to(_prepared, target_is_directory=True)


@pytest.fixture(scope="session")
def families(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> dict[str, Path]:
    """The folder of a small model of each family."""
    root = tmp_path_factory.mktemp("families")
    return {"bert": tiny} | {name: SAVE[name](root / name) for name in SAVE if name != "bert"}


def test_attributes_of_the_embedded_encoder(encoder: Encoder, precision: Precision) -> None:
    assert encoder.model_id == embedded.MODEL_ID
    assert encoder.revision == embedded.REVISION
    assert encoder.recipe_hash == recipe_hash(embedded.RECIPE)
    assert (encoder.dimension, encoder.similarity, encoder.normalised) == (384, "cosine", True)
    assert encoder.device == "cpu"
    assert encoder.dtype == precision.name


def test_documents_agree_with_the_model_card(encoder: Encoder, precision: Precision) -> None:
    vectors = encoder.encode_documents(DOCUMENTS)
    texts = [f"{d.title} {d.text}".strip().encode("utf-8", "replace").decode() for d in DOCUMENTS]
    expected = reference(texts, embedded.locate(), 256, "mean")
    assert vectors.shape == (5, 384)
    precision.agree(vectors, expected)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_queries_agree_with_the_model_card(encoder: Encoder, precision: Precision) -> None:
    texts = ["p53", "do statins cause muscle pain? " * 60]
    expected = reference(texts, embedded.locate(), 256, "mean")
    precision.agree(encoder.encode_queries(texts), expected)


def test_the_256th_token_counts_and_the_next_does_not(encoder: Encoder) -> None:
    # [CLS] + 254 words + [SEP]; the package's tokenizer file would stop at 128.
    words = ["gene"] * 254
    short, seen, unseen = (
        encoder.encode_queries([" ".join(words[:200])])[0],
        encoder.encode_queries([" ".join([*words[:253], "liver"])])[0],
        encoder.encode_queries([" ".join([*words, "liver"])])[0],
    )
    full = encoder.encode_queries([" ".join(words)])[0]
    assert not np.allclose(full, seen, atol=1e-4)
    np.testing.assert_allclose(full, unseen, atol=1e-5)
    assert not np.allclose(full, short, atol=1e-6)


def test_vectors_keep_the_order_of_the_inputs(encoder: Encoder) -> None:
    documents = [Document(str(n), "", "cell " * (1 + n * 37 % 50)) for n in range(50)]
    together = encoder.encode_documents(documents)
    for row in (0, 17, 49):
        np.testing.assert_allclose(
            together[row], encoder.encode_documents([documents[row]])[0], atol=1e-5
        )


def test_no_inputs_give_no_vectors(encoder: Encoder) -> None:
    assert encoder.encode_documents([]).shape == (0, 384)
    assert encoder.encode_queries([]).shape == (0, 384)


LONG = [Document(str(n), "", "heart failure in adults " * 40) for n in range(40)]
"""Documents of 163 tokens: several batches."""


def test_progress_counts_to_the_end_on_the_calling_thread(encoder: Encoder) -> None:
    steps: list[Progress] = []
    threads = set()
    before = encoder.tokens

    def progress(step: Progress) -> None:
        steps.append(step)
        threads.add(threading.get_ident())

    encoder.encode_documents(LONG, progress)
    done = [step.done for step in steps]
    assert len(done) > 3
    assert done == sorted(set(done))
    assert done[-1] == 40
    assert {step.total for step in steps} == {40}
    assert threads == {threading.get_ident()}
    # "heart failure in adults" is four tokens; two special ones stand around each text.
    assert encoder.tokens - before == 40 * (4 * 40 + 2)


def test_a_reporter_stops_the_work_and_the_encoder_still_works(encoder: Encoder) -> None:
    seen = []

    def stop(step: Progress) -> None:
        seen.append(step)
        raise InterruptedByUser("enough")

    running = threading.active_count()
    with pytest.raises(InterruptedByUser):
        encoder.encode_documents(LONG, stop)
    assert len(seen) == 1
    assert threading.active_count() == running
    assert encoder.encode_queries(["x"]).shape == (1, 384)
    vectors = encoder.encode_documents(LONG[:3])
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-5)


def test_a_query_is_answered_between_two_batches_of_documents(encoder: Encoder) -> None:
    begun, answered = threading.Event(), threading.Event()
    done: list[int] = []

    def progress(step: Progress) -> None:
        done.append(step.done)
        begun.set()
        # The documents' next batch is not waited for, however slow the machine is.
        assert answered.wait(600)

    def ask() -> None:
        begun.wait()
        encoder.encode_queries(["heart failure"])
        answered.set()

    asking = threading.Thread(target=ask)
    asking.start()
    vectors = encoder.encode_documents(LONG[:24], progress)
    asking.join()
    assert done[0] < done[-1] == 24
    np.testing.assert_allclose(vectors[0], vectors[-1], atol=1e-5)


def test_torch_encodes_few_queries_on_one_thread(torch_encoder: Encoder) -> None:
    import torch

    used: list[int] = []
    engine = torch_encoder.engine("query")
    worker, before = engine.worker, engine._threads
    launch = worker.launch

    def watch(batch):
        used.append(torch.get_num_threads())
        return launch(batch)

    worker.launch, engine._threads = watch, 2
    try:
        torch_encoder.encode_queries(["x"])
        torch_encoder.encode_documents([Document("1", "", "x")])
        torch_encoder.encode_queries(["x"] * 20)
    finally:
        engine._threads = before
        del worker.launch
    assert used == [1, 2, 2]
    assert torch.get_num_threads() == before <= usable_cores()


def test_an_encoder_is_loaded_once(prepared_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(prepared_home))
    engine = load_encoder(device="cpu").engine("document")
    steps: list[Progress] = []
    assert load_encoder(device="cpu", reporter=steps.append).engine("document") is engine
    assert load_encoder(side="query").engine("query") is engine
    assert [step.stage for step in steps] == ["loading model"] * 2


def test_another_revision_is_refused() -> None:
    with pytest.raises(ModelError, match="is here in revision 1110a243"):
        load_encoder(revision="0" * 40, device="cpu")


def test_the_user_can_force_a_precision(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    can = openvino_encoder.core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    found = {}
    for name in ("float32", "bfloat16", ""):
        monkeypatch.setenv("BIORETRIEVAL_PRECISION", name)
        found[name] = load_encoder(str(tiny), recipe(), device="cpu")
    assert (found["float32"].dtype, found["bfloat16"].dtype) == ("float32", "bfloat16")
    # A processor without bfloat16 leaves it to torch, which emulates it.
    by_openvino = isinstance(found["bfloat16"].engine("query"), OpenVinoEngine)
    assert by_openvino == ("BF16" in can)
    assert found[""].dtype == ("bfloat16" if "BF16" in can else "float32")
    monkeypatch.setenv("BIORETRIEVAL_PRECISION", "int8")
    with pytest.raises(UsageError, match="BIORETRIEVAL_PRECISION is 'int8'"):
        load_encoder(str(tiny), recipe(), device="cpu")


def test_torch_emulates_bfloat16_where_the_processor_lacks_it(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = openvino_encoder.Chip("1", "an old one", "f32")
    monkeypatch.setattr(openvino_encoder, "_quickest", lambda: without)
    monkeypatch.setenv("BIORETRIEVAL_PRECISION", "bfloat16")
    notes: list[str | None] = []
    encoder = load_encoder(
        str(tiny), recipe(pooling="mean"), device="cpu",
        reporter=lambda step: notes.append(step.note),
    )  # fmt: skip
    assert encoder.dtype == "bfloat16"
    assert (
        "with torch: this processor has no bfloat16, which BIORETRIEVAL_PRECISION asks for" in notes
    )
    text = "query: the liver"
    BFLOAT16.agree(encoder.encode_queries(["the liver"]), reference([text], tiny, 12, "mean"))


@pytest.mark.parametrize(
    "device", ["gpu", "cuda:x", "", "cpu ", "cuda:-1", "cpu,cuda:0", "cuda:0,cuda:00", "cuda:1,"]
)
def test_an_unknown_device_name_is_refused(device: str) -> None:
    with pytest.raises(UsageError, match="unknown device"):
        load_encoder(device=device)


def test_a_missing_device_is_refused() -> None:
    import torch

    number = torch.cuda.device_count()
    with pytest.raises(ModelError, match=f"no device cuda:{number} here"):
        pick(f"cuda:{number}")
    with pytest.raises(ModelError, match=f"no device cuda:{number + 1} here"):
        pick(f"cuda:{number + 1},cuda:{number + 2}")
    assert pick("auto").partition(":")[0] in ("cpu", "cuda", "mps")


@pytest.mark.parametrize(("cards", "taken"), [(1, "cuda"), (3, "cuda:0,cuda:1,cuda:2")])
def test_auto_takes_all_cards(cards: int, taken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr("bioretrieval_tui.encoding.device._GPU_FILES", (__file__,))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    assert pick("auto") == taken
    assert pick("cuda:0") == "cuda:0"


# --- other models


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_local_model_by_its_recipe(tiny: Path, pooling: str, precision: Precision) -> None:
    encoder = load_encoder(str(tiny), recipe(pooling=pooling), device="cpu")
    assert encoder.dimension == 32
    assert encoder.revision.startswith("sha256:")
    text = "the liver " * 30
    document = Document("1", "A title", text)
    precision.agree(
        encoder.encode_documents([document]),
        reference([f"passage: A title[SEP]{text}".strip()], tiny, 40, pooling),
    )
    precision.agree(
        encoder.encode_queries([text]),
        reference([f"query: {text}".strip()], tiny, 12, pooling),
    )


def test_the_authors_own_modules_where_the_recipe_names_no_pooling(
    tiny: Path, tmp_path: Path, precision: Precision
) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    model = SentenceTransformer(
        modules=[Transformer(str(tiny)), Pooling(32, "cls")],
        prompts={"query": "Never shown: "},
        default_prompt_name="query",
        device="cpu",
    )
    model.save(str(tmp_path / "st"))
    theirs = recipe(pooling=None, library="sentence-transformers")
    encoder = load_encoder(str(tmp_path / "st"), theirs, device="cpu")
    precision.agree(
        encoder.encode_queries(["the liver"]),
        reference(["query: the liver"], tiny, 12, "cls"),
    )
    with pytest.raises(ModelError, match=r"no modules\.json that says how it pools"):
        load_encoder(str(tiny), theirs, device="cpu")


def test_a_folder_of_sentence_transformers_brings_its_recipe(
    tiny: Path, tmp_path: Path, precision: Precision
) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    model = SentenceTransformer(
        modules=[Transformer(str(tiny), max_seq_length=24), Pooling(32, "cls")],
        prompts={"query": "Find {it}: ", "document": "A text: "},
        similarity_fn_name="dot",
        device="cpu",
    )
    folder = tmp_path / "own"
    model.save(str(folder))
    encoder = load_encoder(str(folder), device="cpu")
    assert (encoder.similarity, encoder.normalised) == ("dot", False)
    long = "the liver " * 30
    for ours, theirs in (
        (encoder.encode_queries(["p53", long]), model.encode_query(["p53", long.strip()])),
        (
            encoder.encode_documents([Document("1", "A title", long)]),
            model.encode_document([f"A title {long.strip()}"]),
        ),
    ):
        precision.agree(ours, theirs)
    again = load_encoder(str(folder), encoder.recipe, device="cpu")
    assert again.engine("query") is encoder.engine("query")
    (folder / "modules.json").unlink()
    with pytest.raises(ModelError, match="is not known"):
        load_encoder(str(folder), device="cpu")


def test_dot_products_keep_their_lengths(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # By OpenVINO: test_a_folder_of_sentence_transformers_brings_its_recipe.
    monkeypatch.setenv("BIORETRIEVAL_ENGINE", "torch")
    dot = recipe(normalise=False, similarity="dot")
    encoder = load_encoder(str(tiny), dot, device="cpu")
    assert not encoder.normalised
    assert not np.allclose(np.linalg.norm(encoder.encode_queries(["x"])), 1, atol=1e-3)
    cosine = load_encoder(str(tiny), recipe(normalise=False), device="cpu")
    assert cosine.normalised
    np.testing.assert_allclose(np.linalg.norm(cosine.encode_queries(["x"])), 1, atol=1e-5)


def test_other_content_gives_another_revision(tiny: Path, tmp_path: Path) -> None:
    first = load_encoder(str(tiny), recipe(), device="cpu").revision
    copy = tmp_path / "copy"
    shutil.copytree(tiny, copy)
    assert load_encoder(str(copy), recipe(), device="cpu").revision == first
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(data)
    assert files_of(ModelPart(str(copy), None, recipe())).revision != first
    with pytest.raises(ModelError, match="is here in revision"):
        load_encoder(str(copy), recipe(pooling="mean"), device="cpu", revision=first)
    # What was prepared of the first one is still the first one.
    assert load_encoder(str(copy), recipe(), device="cpu", revision=first).revision == first


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "cross-encoder"}, "it is a cross-encoder"),
        ({"type": "none"}, "must be fine-tuned"),
        ({"type": "lexical"}, "it is a lexical retriever"),
        ({"library": "model2vec"}, "it needs model2vec"),
        ({"library": "adapters"}, "names no adapter"),
        ({"requires": "gritlm"}, "it needs the package gritlm"),
        ({"requires": "own-code"}, "it runs code from its own repository"),
        ({"padding_side": "left"}, "pads on the left and pools by cls"),
        ({"pooling": None}, "pooling is not known"),
        ({"type": "static", "document": Side(pair=("{title}", "{text}"))}, "as a pair"),
        ({"type": "static", "append": "eos"}, "appends a token"),
    ],
)
def test_unsupported_recipes_are_refused_by_name(
    tiny: Path, changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(ModelError, match="cannot be used for search") as caught:
        load_encoder(str(tiny), recipe(**changes), device="cpu")
    assert reason in caught.value.line()


def test_a_longer_input_than_the_model_takes_is_refused(tiny: Path) -> None:
    with pytest.raises(ModelError, match="takes 64 tokens"):
        load_encoder(str(tiny), recipe(document=Side(max_length=65)), device="cpu")


def test_a_model_without_recipe_is_refused() -> None:
    with pytest.raises(ModelError, match="is not known"):
        load_encoder("ncbi/MedCPT-Query-Encoder", device="cpu")


@pytest.mark.parametrize("name", ["no-such/model", "../evil", "a b", "/no/such/folder"])
def test_a_missing_model_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="not on this machine"):
        load_encoder(name, recipe(), device="cpu")


def test_pickled_weights_are_not_loaded(tiny: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny, copy)
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match="no safetensors weights"):
        load_encoder(str(copy), recipe(), device="cpu")


def test_damaged_weights_give_one_line(tiny: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny, copy)
    data = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load_encoder(str(copy), recipe(), device="cpu")
    assert "\n" not in caught.value.line()


TEXTS = ["the liver", "statin muscle pain in a trial of heart failure", "p53", "", "cell " * 90]


@pytest.mark.parametrize(
    ("family", "pooling", "engine"),
    [
        *itertools.product(SAVE, ("cls", "mean"), ("torch",)),
        # A conversion takes seconds: one of each family and of each pooling.
        *(("bert", "cls", "auto"), ("bert", "mean", "auto")),
        *(("mpnet", "mean", "auto"), ("xlm-roberta", "cls", "auto")),
    ],
)
def test_vectors_of_a_family(
    family: str,
    pooling: str,
    engine: str,
    families: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = families[family]
    monkeypatch.setenv("BIORETRIEVAL_ENGINE", engine)
    encoder = load_encoder(str(folder), recipe(pooling=pooling), device="cpu")
    assert isinstance(encoder.engine("query"), OpenVinoEngine) == (engine == "auto")
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


def test_the_default_precision_is_the_fastest_of_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BIORETRIEVAL_PRECISION")
    can = openvino_encoder.core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert openvino_encoder.chip().precision == ("bf16" if "BF16" in can else "f32")
    for queries in (True, False):
        settings = openvino_encoder.settings("f32", queries=queries)
        assert settings["INFERENCE_PRECISION_HINT"] == "f32"


@pytest.fixture(scope="module")
def abstracts() -> tuple[list[Document], np.ndarray]:
    """Real abstracts, and their vectors by sentence-transformers."""
    data = Path(__file__).resolve().parents[3] / "shared" / "data" / "scifact" / "corpus.jsonl"
    if not data.is_file():
        pytest.skip("the real data is not here")
    with data.open(encoding="utf-8") as lines:
        records = [json.loads(line) for _, line in zip(range(24), lines, strict=False)]
    documents = [Document(one["_id"], one["title"], one["text"]) for one in records]
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(str(embedded.locate()), device="cpu")
    plain.max_seq_length = 256
    texts = [f"{one.title} {one.text}" for one in documents]
    return documents, plain.encode(texts, batch_size=8, normalize_embeddings=True)


def test_embedded_model_on_real_abstracts_agrees_with_sentence_transformers(
    abstracts: tuple[list[Document], np.ndarray], encoder: Encoder
) -> None:
    documents, expected = abstracts
    ours = (encoder.encode_documents(documents) * expected).sum(axis=1)
    least, mean = (0.999999, 0.999999) if encoder.dtype == "float32" else (0.999, 0.9998)
    assert ours.min() >= least
    assert np.mean(ours) >= mean


def test_torch_on_real_abstracts_agrees_with_sentence_transformers(
    abstracts: tuple[list[Document], np.ndarray], torch_encoder: Encoder
) -> None:
    documents, expected = abstracts
    by_torch = (torch_encoder.encode_documents(documents) * expected).sum(axis=1)
    assert by_torch.min() > 0.999999


def test_documents_longer_than_the_model_reads_are_named(
    encoder: Encoder, torch_encoder: Encoder
) -> None:
    words = [3, 254, 255, 300, 20_000]
    documents = [Document(str(n), "", "a " * n) for n in words]
    for one in (encoder, torch_encoder):
        longer: list[int] = []
        one.encode_documents(documents, longer=longer)
        assert sorted(longer) == [2, 3, 4]
        assert one.max_tokens == 256


@pytest.mark.parametrize("most", [None, 5])
def test_static_embeddings_read_known_words_up_to_their_number(
    most: int | None, tmp_path: Path
) -> None:
    folder = save_static(tmp_path / "static", normalise=False)
    side = Side(max_length=most)
    static = recipe(type="static", pooling=None, library="model2vec", query=side, document=side)
    encoder = load_encoder(str(folder), static, device="cpu")
    texts = ["\U0001fac0 a b c d e", "\U0001fac0 a b c d e f", "a b c d e " + "\U0001fac0 " * 9_000]
    longer: list[int] = []
    vectors = encoder.encode_documents([Document("", "", one) for one in texts], longer=longer)
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-6)
    assert (longer, encoder.max_tokens) == ([] if most is None else [1], most)
