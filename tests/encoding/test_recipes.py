"""Every recipe of the catalogue, read from the catalogue, against its authors' own way.

The models are small twins of random weights; the recipes are those of data/models.yaml with the
hub ids replaced. What the authors do is written beside each in plain transformers
(authors_vectors.py), and so is every known trap: a vector that a trap would give must not be ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest
import yaml
from authors_vectors import Authors
from tiny_models import (
    save_adapter,
    save_decoder,
    save_long_bert,
    save_long_mpnet,
    save_static,
    save_xlm_roberta,
)

from bioretrieval_tui.catalog.models import Encoding, Model
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.encoder import (
    EXTRA,
    Encoder,
    as_queries,
    extended_documents,
    extended_queries,
)
from bioretrieval_tui.encoding.encoder_registry import load_encoder
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.errors import ModelError

MODELS = Path(__file__).resolve().parents[2] / "data" / "models.yaml"
LONG = "IL-6 in a p53 " * 100
PAIRS = (
    ("Statins and muscle pain", "A randomised trial of 200 patients."),
    ("", "p53 is a tumour suppressor."),
    ("A title without a text", ""),
    ("A long one", LONG),
    ("Étude de la maladie de Behçet", "TNF-\u03b1 and 心不全 in 12.5% of samples; P < 0.001"),
    ("short", "x"),
)
DOCUMENTS = [Document(str(n), title, text) for n, (title, text) in enumerate(PAIRS)]
QUERIES = ["diabetes treatment", "IL-6", LONG, "Behçet, TNF-\u03b1: 心不全?", "does it hurt"]
BGE = "Represent this sentence for searching relevant passages: "
ASK = "Given a question, retrieve relevant documents that best answer the question"
WEB = "Given a web search query, retrieve relevant passages that answer the query"


@pytest.fixture(autouse=True)
def _by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32, as the home of a test has it; what OpenVINO makes of recipes, and bfloat16, is
    compared further down."""
    monkeypatch.setenv("BIORETRIEVAL_ENGINE", "torch")


@pytest.fixture(scope="session")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a small model by name, made at its first use."""
    root = tmp_path_factory.mktemp("twins")
    makers: dict[str, Callable[[Path], Path]] = {
        "bert": save_long_bert,
        "bert-2": lambda folder: save_long_bert(folder, 8),
        "cross": lambda folder: save_long_bert(folder, 9, labels=1),
        "mpnet": save_long_mpnet,
        "xlm-roberta": lambda folder: save_xlm_roberta(folder, 64),
        "adapter-1": lambda folder: save_adapter(folder, "[PRX]", 1),
        "adapter-2": lambda folder: save_adapter(folder, "[QRY]", 2),
        "static": lambda folder: save_static(folder, normalise=True),
        "static-weighted": lambda folder: save_static(folder, normalise=False, weighted=True),
    }
    for family in ("gpt-neox", "gemma", "mistral", "qwen3"):
        makers[family] = lambda folder, family=family: save_decoder(folder, family)

    def twin(name: str) -> Path:
        return root / name if (root / name).exists() else makers[name](root / name)

    return twin


def entry(identifier: str) -> Model:
    models = yaml.load(MODELS.read_text(encoding="utf-8"), yaml.CSafeLoader)["models"]
    (found,) = [model for model in models if model["id"] == identifier]
    return msgspec.convert({**found, "kind": "model"}, Model)


def recipe_of(identifier: str, names: dict[str, Path]) -> Encoding:
    """The catalogue's recipe, its hub ids replaced by folders."""
    found = entry(identifier).encoding
    assert found is not None
    sides = {}
    for name in ("query", "document"):
        side = getattr(found, name)
        if side is not None:
            model = None if side.model is None else str(names[side.model])
            adapter = None if side.adapter is None else str(names[side.adapter])
            sides[name] = msgspec.structs.replace(side, model=model, adapter=adapter)
    return msgspec.structs.replace(found, **sides)


def singles(texts: list[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((text,) for text in texts)


def joined(title: str, text: str) -> str:
    return f"{title} {text}".strip()


JOINED = [joined(*pair) for pair in PAIRS]
SEPARATED = [f"{title}[SEP]{text}" for title, text in PAIRS]


@dataclass(frozen=True)
class Case:
    """A model of the catalogue, its twin, and what the facts say of its two sides; `traps` name
    what other vectors a mistake gives."""

    id: str
    twin: str
    query: dict[str, object]
    document: dict[str, object]
    traps: tuple[tuple[str, str, dict[str, object]], ...] = ()


def texts(values: list[str]) -> dict[str, object]:
    return {"inputs": singles(values)}


def plain(
    identifier: str,
    twin: str = "bert",
    *,
    pooling: str,
    normalise: bool,
    length: int = 512,
    queries: list[str] = QUERIES,
    documents: list[str] = JOINED,
    traps: tuple[tuple[str, str, dict[str, object]], ...] = (),
    **same: object,
) -> Case:
    """A model that encodes both sides alike but for the text."""
    how = {"pooling": pooling, "normalise": normalise, "max_length": length, **same}
    return Case(identifier, twin, texts(queries) | how, texts(documents) | how, traps)


ASKED = [f"{ASK}\nQuery: {query.strip()}" for query in QUERIES]
PASSAGES = [f"Represent this passage\npassage: {text}" for text in JOINED]
INSTRUCTED = [f"Instruct: {WEB}\nQuery:{query.strip()}" for query in QUERIES]
CLS_TRAP = ("document", "mean instead of CLS", {"pooling": "mean"})
PADDED_TRAPS = (
    ("document", "CLS instead of the mean", {"pooling": "cls"}),
    ("document", "the mean of words only", {"pooling": "mean", "masked": True}),
)
MEAN_TRAPS = (
    ("document", "CLS instead of the mean", {"pooling": "cls"}),
    ("document", "padding counted in the mean", {"pooling": "mean-all"}),
)
END_TRAPS = (
    ("query", "no end token", {"end": False}),
    ("document", "no end token", {"end": False}),
    (
        "query",
        "lower case in front of queries",
        texts([q.replace("Query:", "query:") for q in ASKED]),
    ),
    (
        "document",
        "capital in front of passages",
        texts([text.replace("passage: ", "Passage: ") for text in PASSAGES]),
    ),
    ("document", "passages without their sentence", texts(JOINED)),
    ("document", "made unit length", {"normalise": True}),
)
SEPARATOR_TRAPS = (
    ("document", "a blank instead of the separator", texts(JOINED)),
    ("document", "mean instead of CLS", {"pooling": "mean"}),
    ("document", "the pooler", {"pooling": "pooler"}),
)


def bmretriever(identifier: str, twin: str) -> Case:
    return plain(
        identifier, twin, pooling="last", normalise=False, queries=ASKED, documents=PASSAGES,
        end=True, left=True, traps=END_TRAPS,
    )  # fmt: skip


def bge(identifier: str) -> Case:
    return plain(
        identifier, pooling="cls", normalise=True, queries=[BGE + query for query in QUERIES],
        traps=(
            CLS_TRAP,
            ("query", "no instruction", texts(QUERIES)),
            ("document", "instruction on documents", texts([BGE + text for text in JOINED])),
        ),
    )  # fmt: skip


def e5(identifier: str) -> Case:
    return plain(
        identifier, pooling="mean", normalise=True,
        queries=[f"query: {query}" for query in QUERIES],
        documents=[f"passage: {text}" for text in JOINED],
        traps=(
            *MEAN_TRAPS,
            ("query", "no prefix", texts(QUERIES)),
            ("document", "no prefix", texts(JOINED)),
            ("document", "the queries' prefix", texts([f"query: {text}" for text in JOINED])),
        ),
    )  # fmt: skip


NAMES = [text for _, text in PAIRS]
CASES = (
    bmretriever("bmretriever-410m", "gpt-neox"),
    bmretriever("bmretriever-2b", "gemma"),
    bmretriever("bmretriever-7b", "mistral"),
    plain("biohicl-base", pooling="cls", normalise=True, traps=(CLS_TRAP,)),
    plain("bica-base", pooling="mean", normalise=True, traps=MEAN_TRAPS),
    plain(
        "medte", pooling="mean", normalise=True,
        traps=(*MEAN_TRAPS, ("document", "a prefix", texts([f"passage: {t}" for t in JOINED]))),
    ),
    plain("medembed-small", pooling="cls", normalise=True, traps=(CLS_TRAP,)),
    plain("pubmedbert-embeddings", pooling="mean", normalise=True, traps=MEAN_TRAPS),
    plain(
        "s-pubmedbert-ms-marco", pooling="mean", normalise=True, length=350,
        traps=(*MEAN_TRAPS, ("document", "512 tokens", {"max_length": 512})),
    ),
    plain(
        "biolord-2023", "mpnet", pooling="mean", normalise=True, length=128, traps=MEAN_TRAPS
    ),
    plain("biolord-2023-m", "xlm-roberta", pooling="mean", normalise=True, length=64),
    plain(
        "sapbert", pooling="cls", normalise=False, length=25, documents=NAMES, full=True,
        traps=(
            CLS_TRAP,
            ("document", "the pooler", {"pooling": "pooler"}),
            ("document", "more than 25 tokens", {"max_length": 512, "full": False}),
            ("document", "a title before the name", texts(JOINED)),
            ("document", "made unit length", {"normalise": True}),
        ),
    ),
    plain(
        "sapbert-mean-token", pooling="mean-all", normalise=False, length=25, documents=NAMES,
        full=True, traps=PADDED_TRAPS,
    ),
    *(
        plain(
            name, pooling="mean-all", normalise=True, length=32, documents=NAMES, full=True,
            masked=False,
            traps=(*PADDED_TRAPS, ("document", "an attention mask", {"masked": True})),
        )
        for name in ("coder-eng", "coder-eng-pp", "coder-all")
    ),
    plain(
        "sapbert-xlmr", "xlm-roberta", pooling="cls", normalise=False, length=25, documents=NAMES,
        full=True,
    ),
    plain(
        "contriever", pooling="mean", normalise=False,
        traps=(*MEAN_TRAPS, ("document", "made unit length", {"normalise": True})),
    ),
    bge("bge-base-en-v1-5"),
    plain("gte-base", pooling="mean", normalise=True, traps=MEAN_TRAPS),
    e5("e5-base-v2"),
    plain(
        "all-minilm-l6-v2", pooling="mean", normalise=True, length=256,
        traps=(*MEAN_TRAPS, ("document", "512 tokens", {"max_length": 512})),
    ),
    plain("all-mpnet-base-v2", "mpnet", pooling="mean", normalise=True, length=384),
    plain(
        "qwen3-embedding-0-6b", "qwen3", pooling="last", normalise=True, length=32_768,
        queries=INSTRUCTED, left=True,
        traps=(
            (
                "query",
                "a blank behind Query:",
                texts([text.replace("Query:", "Query: ") for text in INSTRUCTED]),
            ),
            (
                "document",
                "instruction on documents",
                texts([f"Instruct: {WEB}\nQuery:{text}" for text in JOINED]),
            ),
            ("document", "an end token of one's own", {"end": True}),
            ("document", "mean instead of last", {"pooling": "mean"}),
        ),
    ),
    plain(
        "e5-mistral-7b", "mistral", pooling="last", normalise=True, length=4096, end=True,
        queries=[f"Instruct: {WEB}\nQuery: {query.strip()}" for query in QUERIES],
        traps=(("query", "no end token", {"end": False}),),
    ),
    plain(
        "specter", pooling="cls", normalise=False, documents=SEPARATED, traps=SEPARATOR_TRAPS
    ),
    plain("scincl", pooling="cls", normalise=False, documents=SEPARATED, traps=SEPARATOR_TRAPS),
)  # fmt: skip


def plainly(encoder: Encoder, side: str) -> np.ndarray:
    """Vectors as the authors have them: of l2, what is added for the index is taken away."""
    if side == "query":
        found = encoder.encode_queries(QUERIES)
        return found if encoder.similarity != "l2" else found[:, :-EXTRA] / 2
    found = encoder.encode_documents(DOCUMENTS)
    return found if encoder.similarity != "l2" else found[:, :-EXTRA]


def close(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.dtype == np.float32
    assert np.ptp(theirs) > 0.1
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-5)


def apart(ours: np.ndarray, trap: np.ndarray, name: str) -> None:
    """At least one input has another vector; many traps leave some inputs alone."""
    assert np.abs(ours - trap).max() > 1e-3, name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_recipe_of_one_model(case: Case, twins: Callable[[str], Path]) -> None:
    folder = twins(case.twin)
    names = dict.fromkeys(entry(case.id).hub, folder)
    encoder = load_encoder(str(folder), recipe_of(case.id, names), device="cpu")
    ours = {side: plainly(encoder, side) for side in ("query", "document")}
    authors = {
        "query": Authors(folder, **case.query),
        "document": Authors(folder, **case.document),
    }
    for side, vectors in ours.items():
        close(vectors, authors[side].vectors())
    for side, name, changes in case.traps:
        apart(ours[side], authors[side].but(**changes).vectors(), name)
    # Alone and in company a text has one vector.
    close(encoder.encode_documents(DOCUMENTS[1:2]), encoder.encode_documents(DOCUMENTS)[1:2])


@pytest.mark.parametrize(
    ("tried", "siblings"),
    [
        ("bmretriever-410m", ["bmretriever-1b", "bmretriever-2b", "bmretriever-7b"]),
        ("biohicl-base", ["biohicl-large", "medembed-small", "medembed-base", "medembed-large"]),
        ("biolord-2023", ["biolord-2023-s", "biolord-2023-c"]),
        ("contriever", ["contriever-msmarco"]),
        ("bge-base-en-v1-5", ["bge-small-en-v1-5", "bge-large-en-v1-5"]),
        ("gte-base", ["gte-small", "bica-base", "medte"]),
        ("e5-base-v2", ["e5-base", "e5-large-v2"]),
        ("qwen3-embedding-0-6b", ["qwen3-embedding-4b", "qwen3-embedding-8b"]),
        ("pubmedbert-static-8m", ["pubmedbert-static-1m", "pubmedbert-static-500k"]),
    ],
)
def test_siblings_have_one_recipe(tried: str, siblings: list[str]) -> None:
    def hash_of(identifier: str) -> str:
        found = entry(identifier).encoding
        assert found is not None
        return recipe_hash(found)

    assert {hash_of(sibling) for sibling in siblings} == {hash_of(tried)}


def medcpt(twins: Callable[[str], Path]) -> tuple[Encoding, Path, Path]:
    query, article = twins("bert"), twins("bert-2")
    names = {"ncbi/MedCPT-Query-Encoder": query, "ncbi/MedCPT-Article-Encoder": article}
    return recipe_of("medcpt", names), query, article


def test_medcpt_is_two_models_and_a_pair(twins: Callable[[str], Path]) -> None:
    recipe, query, article = medcpt(twins)
    encoder = load_encoder("ncbi/MedCPT-Article-Encoder", recipe, device="cpu")
    queries, documents = plainly(encoder, "query"), plainly(encoder, "document")
    of_queries = Authors(query, singles(QUERIES), 64, "cls")
    of_documents = Authors(article, PAIRS, 512, "cls")
    close(queries, of_queries.vectors())
    close(documents, of_documents.vectors())
    assert (encoder.similarity, encoder.normalised) == ("dot", False)
    apart(queries, of_queries.but(pooling="mean").vectors(), "mean of a query")
    apart(queries, of_queries.but(max_length=512).vectors(), "512 tokens of a query")
    apart(queries, of_queries.but(folder=article).vectors(), "the article encoder for queries")
    apart(queries, of_queries.but(normalise=True).vectors(), "unit length")
    apart(documents, of_documents.but(pooling="mean").vectors(), "mean of an article")
    apart(documents, of_documents.but(pooling="pooler").vectors(), "the pooler")
    apart(documents, of_documents.but(types=False).vectors(), "no segments")
    apart(documents, of_documents.but(folder=query).vectors(), "the query encoder for articles")
    for text in (JOINED, SEPARATED):
        one = of_documents.but(inputs=singles(text)).vectors()
        apart(documents, one, "title and abstract as one string")


def specter2(identifier: str, twins: Callable[[str], Path]) -> Encoding:
    names = {
        "allenai/specter2_base": twins("bert"),
        "allenai/specter2": twins("adapter-1"),
        "allenai/specter2_adhoc_query": twins("adapter-2"),
    }
    return recipe_of(identifier, names)


@pytest.mark.parametrize(
    ("identifier", "of_queries"), [("specter2", "adapter-1"), ("specter2-adhoc-query", "adapter-2")]
)
def test_specter2_uses_its_adapters(
    identifier: str, of_queries: str, twins: Callable[[str], Path]
) -> None:
    base = twins("bert")
    encoder = load_encoder(str(base), specter2(identifier, twins), device="cpu")
    queries, documents = plainly(encoder, "query"), plainly(encoder, "document")
    asked = Authors(base, singles(QUERIES), 512, "cls", adapter=twins(of_queries))
    papers = Authors(base, singles(SEPARATED), 512, "cls", adapter=twins("adapter-1"), types=False)
    close(queries, asked.vectors())
    close(documents, papers.vectors())
    assert encoder.dimension == 32 + EXTRA
    for adapter in (None, twins("adapter-2")):
        apart(documents, papers.but(adapter=adapter).vectors(), f"with {adapter}")
    other = twins("adapter-1" if of_queries == "adapter-2" else "adapter-2")
    for adapter in (None, other):
        apart(queries, asked.but(adapter=adapter).vectors(), f"with {adapter}")
    pairs = papers.but(inputs=PAIRS, types=True, adapter=None).vectors()
    apart(documents, pairs, "two segments")
    # The base alone is still what it was: adapters go on copies.
    bare = recipe_of("scincl", {"malteos/scincl": base})
    plain_encoder = load_encoder(str(base), bare, device="cpu")
    close(plainly(plain_encoder, "document"), papers.but(adapter=None).vectors())


@pytest.mark.parametrize("identifier", ["pubmedbert-static-8m", "pubmedbert-static-2m"])
@pytest.mark.parametrize("twin", ["static", "static-weighted"])
def test_static_embeddings_are_a_mean_of_rows(
    identifier: str, twin: str, twins: Callable[[str], Path]
) -> None:
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    folder = twins(twin)
    names = dict.fromkeys(entry(identifier).hub, folder)
    encoder = load_encoder(str(folder), recipe_of(identifier, names), device="cpu")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tensors = load_file(folder / "model.safetensors")

    def vector(text: str) -> np.ndarray:
        ids = [
            one
            for one in tokenizer.encode(text, add_special_tokens=False).ids
            if one != tokenizer.token_to_id("[UNK]")
        ]
        rows = [tensors["mapping"][one] for one in ids] if "mapping" in tensors else ids
        weights = (
            [tensors["weights"][one] for one in ids] if "weights" in tensors else [1] * len(ids)
        )
        table = tensors["embeddings"].astype(np.float64)
        parts = [table[row] * weight for row, weight in zip(rows, weights, strict=True)]
        mean = np.mean(parts, axis=0)
        return mean / np.linalg.norm(mean)

    close(encoder.encode_documents(DOCUMENTS), np.array([vector(text) for text in JOINED]))
    close(encoder.encode_queries(QUERIES), np.array([vector(text) for text in QUERIES]))
    assert len(tokenizer.encode(LONG).ids) > 512
    assert not encoder.encode_queries(["\U0001fac0", ""]).any()
    assert encoder.device == "cpu"


def test_an_instruction_of_a_task_replaces_the_recipes_own(
    twins: Callable[[str], Path],
) -> None:
    folder = twins("gpt-neox")
    recipe = recipe_of("bmretriever-410m", dict.fromkeys(entry("bmretriever-410m").hub, folder))
    encoder = load_encoder(str(folder), recipe, device="cpu")
    task = recipe.instructions["scifact"]
    assert task != recipe.instruction
    authors = Authors(folder, singles([f"{task}\nQuery: p53"]), 512, "last", end=True)
    close(encoder.encode_queries(["p53"], instruction=task), authors.vectors())
    own = Authors(folder, singles([f"{ASK}\nQuery: p53"]), 512, "last", end=True).vectors()
    close(encoder.encode_queries(["p53"]), own)
    apart(encoder.encode_queries(["p53"], instruction=task), own, "the recipe's own instruction")
    # A recipe without a place for one does not care.
    bert = twins("bert")
    other = load_encoder(
        str(bert), recipe_of("bica-base", dict.fromkeys(["bisectgroup/BiCA-base"], bert))
    )
    close(other.encode_queries(["p53"], instruction=task), other.encode_queries(["p53"]))


@pytest.mark.parametrize(
    "identifier",
    [
        "biobert", "scibert", "biomedbert-abstract", "biomedbert-abstract-fulltext",
        "biolinkbert-base", "biolinkbert-large", "bio-clinicalbert",
    ],
)  # fmt: skip
def test_masked_language_models_are_refused_by_name(identifier: str) -> None:
    model = entry(identifier)
    with pytest.raises(ModelError, match="must be fine-tuned before it retrieves") as caught:
        load_encoder(model.hub[0], model.encoding, device="cpu")
    assert model.hub[0] in caught.value.line()


def test_distances_are_scores_and_the_nearest_come_first(twins: Callable[[str], Path]) -> None:
    base = twins("bert")
    encoder = load_encoder(str(base), recipe_of("specter", {"allenai/specter": base}), device="cpu")
    documents, queries = plainly(encoder, "document"), plainly(encoder, "query")
    kept = encoder.encode_documents(DOCUMENTS).astype(np.float16).astype(np.float32)
    scores = encoder.encode_queries(QUERIES) @ kept.T
    distances = ((queries[:, None] - documents[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(scores, -distances, rtol=2e-3, atol=2e-2)


def test_vectors_of_many_lengths_are_ranked_by_distance() -> None:
    rng = np.random.default_rng(7)
    direction = rng.standard_normal(768) / 28
    documents = rng.uniform(5, 25, (400, 1)) * direction + rng.standard_normal((400, 768)) / 10
    documents = documents.astype(np.float32)
    queries = documents[:20] + rng.standard_normal((20, 768)).astype(np.float32) / 20
    kept = extended_documents(documents).astype(np.float16).astype(np.float32)
    scores = extended_queries(queries) @ kept.T
    halves = documents.astype(np.float16).astype(np.float64)
    exact = -((queries[:, None].astype(np.float64) - halves[None]) ** 2).sum(axis=2)
    # A squared length of 600 in half precision would be off by a quarter.
    np.testing.assert_allclose(scores, exact, atol=5e-3)
    assert (scores.argmax(axis=1) == np.arange(20)).all()
    by_product = (queries @ documents.T).argmax(axis=1)
    assert (by_product != np.arange(20)).any()
    itself = as_queries(kept) @ kept.T
    np.testing.assert_allclose(itself.diagonal(), 0, atol=5e-3)
    assert (itself.argmax(axis=1) == np.arange(400)).all()


def test_one_side_of_a_pair_is_enough_to_search(
    twins: Callable[[str], Path], tmp_path: Path
) -> None:
    recipe, _, _ = medcpt(twins)
    whole = load_encoder("medcpt", recipe, device="cpu")
    assert recipe.query is not None
    assert recipe.document is not None
    assert whole.revision.count("sha256:") == 2
    gone = msgspec.structs.replace(recipe.document, model=str(tmp_path / "gone"))
    alone = msgspec.structs.replace(recipe, document=gone)
    # Vectors that others computed, as NCBI's: no revision is asked for.
    asking = load_encoder("medcpt", alone, side="query")
    close(asking.encode_queries(QUERIES), whole.encode_queries(QUERIES))
    assert asking.revision.endswith("+absent")
    assert (asking.dimension, asking.similarity, asking.normalised) == (32, "dot", False)
    # Vectors of our own: the index says which two models it was built with.
    pinned = load_encoder("medcpt", alone, revision=whole.revision, side="query")
    assert pinned.revision == whole.revision
    with pytest.raises(ModelError, match="not on this machine"):
        asking.encode_documents(DOCUMENTS)
    with pytest.raises(ModelError, match="not on this machine"):
        load_encoder("medcpt", alone, device="cpu")
    other = "+".join(["sha256:" + "0" * 64, whole.revision.partition("+")[2]])
    with pytest.raises(ModelError, match="is here in revision"):
        load_encoder("medcpt", recipe, revision=other, side="query")
    with pytest.raises(ModelError, match="is here in revision"):
        load_encoder(
            "medcpt", recipe, revision=whole.revision.partition("+")[0] + "+x", device="cpu"
        )
    assert load_encoder("medcpt", recipe, revision=whole.revision, device="cpu").dimension == 32


def test_models_of_unlike_dimensions_are_refused(
    twins: Callable[[str], Path], tmp_path: Path
) -> None:
    recipe, _, _ = medcpt(twins)
    assert recipe.query is not None
    wide = save_wide(tmp_path / "wide")
    odd = msgspec.structs.replace(
        recipe, query=msgspec.structs.replace(recipe.query, model=str(wide))
    )
    encoder = load_encoder("odd", odd, device="cpu")
    with pytest.raises(ModelError, match="do not belong together: vectors of 64"):
        encoder.encode_queries(["x"])


def save_wide(folder: Path) -> Path:
    from tiny_models import save_bert

    return save_bert(folder, hidden_size=64)


# The twin of SPECTER2 has adapters of such wild weights that bfloat16 blurs it (torch's too, to a
# cosine of 0.998; the original's size stays above 0.9997): what the app chooses then is float32.
@pytest.mark.parametrize(
    ("identifier", "precision"),
    [
        ("medcpt", "float32"),
        ("medcpt", "bfloat16"),
        ("sapbert-mean-token", "float32"),
        ("coder-eng", "float32"),
        ("specter2", "float32"),
        ("specter2", "auto"),
    ],
)
def test_openvino_makes_the_same_vectors(
    identifier: str, precision: str, twins: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bioretrieval_tui.encoding.openvino_encoder import OpenVinoEngine, chip

    base = twins("bert")
    if identifier == "medcpt":
        recipe, _, _ = medcpt(twins)
    elif identifier != "specter2":
        recipe = recipe_of(identifier, dict.fromkeys(entry(identifier).hub, base))
    else:
        recipe = specter2(identifier, twins)
    exact = load_encoder(str(base), recipe, device="cpu")
    monkeypatch.setenv("BIORETRIEVAL_ENGINE", "auto")
    monkeypatch.setenv("BIORETRIEVAL_PRECISION", precision)
    quick = load_encoder(str(base), recipe, device="cpu")
    sides = [quick.engine(side) for side in ("query", "document")]
    assert {isinstance(one, OpenVinoEngine) for one in sides} == {chip() is not None}
    assert precision in ("auto", quick.dtype)
    least = 0.999999 if quick.dtype == "float32" else 0.999
    for side in ("query", "document"):
        ours, theirs = plainly(quick, side), plainly(exact, side)
        cosines = (
            (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
        )
        assert cosines.min() >= least
    assert quick.revision == exact.revision
