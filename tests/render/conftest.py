"""A small fixed catalogue for the export tests, hostile entries included, and the golden files.

The golden files hold the bytes that each format must give. After a change that is meant, write
them anew and read the difference before it is committed:

    BIORETRIEVAL_GOLDEN=write pytest tests/render && git diff tests/render/golden
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.loader import Content
from bioretrieval_tui.catalog.models import (
    AnyEntry,
    Benchmark,
    CheckVector,
    Claim,
    Dataset,
    Encoding,
    Link,
    Loaders,
    Lora,
    Milestone,
    Model,
    Note,
    Paper,
    Recipe,
    Result,
    Side,
    Source,
    Step,
    Subset,
    Training,
)

GOLDEN = Path(__file__).parent / "golden"

ESCAPES = "\x1b[31mred\x1b[0m \x1b]0;title\x07bell\x07 \x9b2Jerased"
HOSTILE = (
    "first | second\nthird\r\n# no heading\n- no item <script>alert(1)</script> "
    "[text](javascript:alert(1)) ![i](https://evil.example/p.png) <https://evil.example> "
    "https://evil.example `code` *stars* __under__ ~~gone~~ &lt;b&gt; a\\|b $x$ 100% & {braces} "
    f"^_~# \"double\" 'single' {ESCAPES} \u202ereversed\u202c zero\u200bwidth \ud800 \u2028 end"
)

PAPERS: list[AnyEntry] = [
    Paper(
        id="alpha-paper",
        name="AlphaBERT",
        year=2020,
        title="AlphaBERT: a pre-trained RNA & protein model for Chinese text",
        venue="Bioinformatics 36(4)",
        authors=("Jinhyuk Lee", "Wonjin Yoon", "others"),
        arxiv="1901.08740",
        doi="10.1093/bioinformatics/btz682",
        pmid=31501885,
        summary="A fixed paper. It has everything that a paper can have.",
        links=(
            Link(label="arXiv", url="https://arxiv.org/abs/1901.08740", type="arxiv"),
            Link(label="code", url="https://github.com/alpha/bert_(x)?a=1&lt;=2", type="code"),
        ),
        tags=("pubmed", "encoder-only"),
        relations=("alpha",),
        sources=("alpha-repo",),
        facts=(
            Claim(label="corpus", value="21B words", source="alpha-repo"),
            Claim(label="steps", value="1M", source="elsewhere", status="unverified"),
        ),
        notes=(
            Note(text="Often dated 2019.", source="alpha-repo", corrects=True),
            Note(text="A plain note.", source="elsewhere"),
        ),
    ),
    Paper(
        id="meeting-paper",
        name="Meeting",
        year=2021,
        title="On the Retrieval of Medical Abstracts",
        venue="EMNLP 2022",
        authors=("Øystein Ærø-Müller", "{WHO Solidarity Consortium}", "Smith and Sons"),
        acl="2022.emnlp-main.1",
        summary="A meeting paper whose venue was recalled.",
        sources=("alpha-repo",),
        statuses={"venue": "unverified"},
    ),
    Paper(
        id="hostile-paper",
        name="=cmd|' /C calc'!A0",
        title=HOSTILE,
        venue=HOSTILE,
        authors=(f"Eve {HOSTILE}",),
        summary=HOSTILE,
        links=(Link(label="click [me](x)", url="javascript:alert(1)", type="site"),),
        tags=("a|b",),
        sources=("hostile-source",),
        status="unverified",
        notes=(Note(text=HOSTILE, source="hostile-source", corrects=True),),
    ),
    Paper(
        id="bare-paper",
        name="Bare",
        title="Bare",
        summary="Nothing but what must be.",
        sources=("alpha-repo",),
    ),
]
MODELS: list[AnyEntry] = [
    Model(
        id="alpha",
        name="Alpha (two encoders)",
        year=2023,
        role="retriever",
        params=109_482_240,
        encoders=2,
        dimension=768,
        max_tokens=512,
        base="microsoft/BiomedBERT",
        hub=("alpha/Query-Encoder", "alpha/Article-Encoder"),
        licence="public-domain",
        gated=False,
        trained_on=("small-set",),
        summary="Two encoders, one for queries and one for articles.",
        links=(Link(label="model", url="https://huggingface.co/alpha/Query", type="model"),),
        relations=("small-set", "train-alpha"),
        sources=("alpha-repo",),
        statuses={"dimension": "secondary"},
        encoding=Encoding(
            type="bi-encoder",
            grade="A",
            library="transformers",
            query=Side(model="alpha/Query-Encoder", template="{query}", max_length=64),
            document=Side(
                model="alpha/Article-Encoder", pair=("{title}", "{text}"), max_length=512
            ),
            pooling="cls",
            normalise=False,
            similarity="dot",
            instructions={"small-set": "Given a claim | find `evidence`"},
            precomputed="https://example.org/vectors/",
            check=CheckVector(
                text="diabetes `treatment`",
                side="query",
                starts=(0.0413, -0.0491),
                source="alpha-repo",
            ),
            traps=("Mean pooling gives other vectors.", HOSTILE),
            unverified=("pooling", "query.max_length"),
            note="Read from the card.",
        ),
    ),
    Model(
        id="large",
        name="Large | 7B",
        year=2024,
        role="reranker",
        params=7_241_732_096,
        licence="MIT",
        hub=("large/Large_7B_v0",),
        summary=HOSTILE,
        links=(Link(label="model", url="https://hf.co/large/a|b(c)<d>&lt;", type="model"),),
        sources=("hostile-source",),
        statuses={"params": "unverified", "licence": "unverified", "hub": "unverified"},
    ),
    Model(
        id="words",
        name="BM25",
        role="lexical",
        params=0,
        summary="No weights.",
        sources=("alpha-repo",),
        encoding=Encoding(type="lexical", grade="C"),
    ),
]
DATASETS: list[AnyEntry] = [
    Dataset(
        id="pairs",
        name="Pairs/all",
        use="contrastive pairs",
        size="about 1.4M pairs",
        records=1_429_010,
        hub=("pairs/all",),
        licence="NLM terms",
        summary="Many pairs.",
        links=(Link(label="dataset", url="https://hf.co/datasets/pairs/all", type="dataset"),),
        sources=("alpha-repo",),
        statuses={"licence": "unverified", "size": "unverified"},
    ),
    Dataset(
        id="counted",
        name="-1+1",
        use="+counted\tonly",
        records=20_000,
        gated=True,
        summary="A size that is a number alone.",
        sources=("alpha-repo",),
        statuses={"records": "unverified"},
    ),
    Dataset(
        id="logs",
        name="@logs",
        use=HOSTILE,
        available=False,
        summary=HOSTILE,
        sources=("hostile-source",),
    ),
]
BENCHMARKS: list[AnyEntry] = [
    Benchmark(
        id="small-set",
        name="Small set",
        year=2016,
        task="ad-hoc search",
        domain="nutrition and medicine",
        metric="nDCG@10",
        queries=323,
        documents=3633,
        splits={"train": 2590, "test": 323},
        subsets=(Subset(name="titles", queries=325, note="short | ones"), Subset(name="rest")),
        loaders=Loaders(
            mteb="NFCorpus", ir_datasets="beir/nfcorpus/test", zip="https://example.org/nf.zip"
        ),
        summary="Plain questions, few abstracts.",
        links=(Link(label="dataset", url="https://hf.co/datasets/small/set", type="dataset"),),
        sources=("alpha-repo",),
    ),
    Benchmark(
        id="suite",
        name="Suite",
        type="suite",
        task=HOSTILE,
        documents=14_913_939,
        members=("small-set", "a set without a page"),
        summary=HOSTILE,
        sources=("hostile-source",),
        statuses={"documents": "unverified"},
    ),
]
RECIPES: list[AnyEntry] = [
    Recipe(
        id="train-alpha",
        name="Alpha recipe",
        year=2023,
        model="alpha",
        params=2_506_172_416,
        method="contrastive training on click logs",
        best="0.340 on the small set",
        paper="alpha-paper",
        summary="Train on clicks.",
        links=(Link(label="arXiv", url="https://arxiv.org/abs/2307.00589", type="arxiv"),),
        sources=("alpha-repo",),
        statuses={"best": "unverified"},
        training=Training(
            runnable="needs",
            because="Bring clicks.",
            pairs="given",
            batch=1024,
            learning_rate=0.001,
            epochs=2.0,
            lora=Lora(rank=8, targets=("query",)),
            evidence={
                "pairs": "alpha-repo: README",
                "batch": "hostile-source: table 2",
                "learning_rate": "hostile-source: table 2",
                "epochs": "alpha-repo: train.py: EPOCHS",
                "lora": "alpha-repo: train.py",
            },
        ),
    ),
    Recipe(
        id="train-gone",
        name="Gone recipe",
        model="gone|model",
        method=HOSTILE,
        summary=HOSTILE,
        status="unverified",
        statuses={"method": "confirmed"},
        sources=("hostile-source",),
    ),
]
MILESTONES: list[AnyEntry] = [
    Milestone(
        id="evolution-alpha",
        name="Alpha",
        year=2019,
        order=1,
        era="encoders",
        summary="BERT went on reading.",
        links=(Link(label="arXiv", url="https://arxiv.org/abs/1901.08740", type="arxiv"),),
        sources=("alpha-repo",),
    ),
    Milestone(
        id="evolution-hostile",
        name="\u202eedih",
        order=2,
        summary=HOSTILE,
        sources=("hostile-source",),
        statuses={"summary": "unverified"},
    ),
]
STEPS: list[AnyEntry] = [
    Step(
        id="step-1",
        number=1,
        name="Set the floor",
        commands=("bioretrieval-tui show nfcorpus", 'bioretrieval-tui search "a `b`" -m lexical'),
        expect="nDCG@10 of 0.32.",
        summary="Begin with words.",
        links=(Link(label="paper", url="https://arxiv.org/abs/2104.08663", type="arxiv"),),
        sources=("alpha-repo",),
    ),
    Step(
        id="step-2",
        number=2,
        name="Nothing to run",
        summary=HOSTILE,
        sources=("hostile-source",),
    ),
]
KINDS: dict[str, list[AnyEntry]] = {
    "paper": PAPERS,
    "model": MODELS,
    "dataset": DATASETS,
    "benchmark": BENCHMARKS,
    "recipe": RECIPES,
    "milestone": MILESTONES,
    "step": STEPS,
}
EVERYTHING = [entry for entries in KINDS.values() for entry in entries]
RESULTS = [
    Result(model="alpha", benchmark="small-set", value=0.34, source="alpha-repo", zero_shot=True),
    Result(
        model="alpha",
        benchmark="small-set",
        value=0.3254,
        subset="titles",
        source="elsewhere",
        zero_shot=False,
        status="secondary",
    ),
    Result(
        model="alpha",
        benchmark="suite",
        metric="mean | of all",
        value=-0.125,
        source="hostile-source",
        status="unverified",
        comparable=False,
        note=HOSTILE,
    ),
    Result(model="gone", benchmark="small-set", value=1.0, source="alpha-repo"),
]
SOURCES = (
    Source(id="alpha-repo", text="alpha/alpha @11e129b: README", url="https://github.com/a/a"),
    Source(id="hostile-source", text=HOSTILE, url="https://evil.example/a(b)|c"),
)


@pytest.fixture(scope="session")
def kinds() -> dict[str, list[AnyEntry]]:
    """Entries by kind; the order within a kind is fixed."""
    return KINDS


@pytest.fixture(scope="session")
def results() -> list[Result]:
    return RESULTS


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The fixture as the catalogue that the program itself would hold."""
    return Catalogue(Content(entries=tuple(EVERYTHING), results=tuple(RESULTS), sources=SOURCES))


@pytest.fixture(scope="session")
def hostile() -> str:
    return HOSTILE


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """`golden(name, text)`: the text must be the bytes of that golden file."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        data = text.encode()
        if os.environ.get("BIORETRIEVAL_GOLDEN") == "write":
            path.write_bytes(data)
            pytest.skip(f"wrote {path.name}")
        assert data == path.read_bytes()

    return check
