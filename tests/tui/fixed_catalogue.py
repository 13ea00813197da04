"""A small catalogue that never changes: what the screens of the snapshots show.

Every kind has a handful of entries; one of each is hostile (escape sequences, Rich markup,
reordering characters, words without an end) or wide (CJK, emoji). The shipped catalogue may be
edited freely: no screen here depends on it.
"""

from __future__ import annotations

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import (
    AnyEntry,
    Benchmark,
    Change,
    CheckVector,
    Claim,
    Content,
    Dataset,
    Encoding,
    Link,
    Loaders,
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

HOSTILE = (
    "Evil \x1b]0;owned\x07\x1b[31m[bold]markup[/bold] [@click=app.quit]x[/] \u202egnp.exe\u202c "
    "\x9b2J\x90q\x9c\x07\x00\x08 "
)
"""Sets a title, a colour, a click, an order of reading, clears the screen, rings the bell."""
LONG = "pneumonoultramicroscopicsilicovolcanoconiosis" * 4
CJK = "生物医学检索模型"
EMOJI = "🧬👩‍🔬"  # with a joiner inside

PROSE = (
    "A retriever for biomedical abstracts that was trained with contrastive pairs. Use it where a "
    "question is short and the collection is large; see https://example.org/guide. Watch for "
    "long documents, of which it reads the beginning only. "
)


def _link(label: str, path: str) -> Link:
    return Link(label=label, url=f"https://example.org/{path}", type="site")


def _papers() -> list[Paper]:
    return [
        Paper(
            id="alpha-paper", name="Alpha", title="Alpha: dense retrieval for abstracts",
            year=2019, venue="Journal of Examples", authors=("Ada Early", "Ben Late", "others"),
            arxiv="1901.00001", doi="10.1000/alpha", pmid=1234567, summary=PROSE * 2,
            tags=("bi-encoder", "contrastive"), sources=("card",), relations=("alpha-110m",),
            links=(_link("arXiv", "alpha"), _link("code", "alpha-code")),
            notes=(Note(text="Often cited as 2020; see [the page](https://example.org/page).",
                        source="card", corrects=True),),
            added="2026-01-05",
        ),
        Paper(
            id="beta-paper", name="Beta", title="Beta", year=2021, venue="Proc. of Examples",
            authors=("Cy Middle",), arxiv="2101.00002", summary=PROSE, tags=("distillation",),
            sources=("card", "table"), relations=("beta-dual", "alpha-paper"),
            links=(_link("arXiv", "beta"),), status="secondary", added="2026-02-05",
        ),
        Paper(
            id="gamma-paper", name="Gamma", title="Gamma: bigger is other", year=2024,
            arxiv="2401.00003", summary=PROSE, tags=("decoder",), sources=("table",),
            links=(_link("arXiv", "gamma"),), status="unverified",
        ),
        Paper(
            id="wide-paper", name=f"{CJK} {EMOJI} survey", title=f"{CJK}: a survey", year=2023,
            venue="医学情報学会誌", authors=("山田 太郎",), summary=f"{CJK * 12} {EMOJI} {PROSE}",
            sources=("card",), links=(_link("site", "wide"),),
        ),
        Paper(
            id="hostile-paper", name=HOSTILE + "paper", title=HOSTILE + LONG, year=2022,
            venue=HOSTILE, authors=(HOSTILE, LONG), summary=HOSTILE + LONG + " " + PROSE,
            tags=(HOSTILE,), sources=("evil",), facts=(Claim(label=HOSTILE, value=HOSTILE + LONG,
                                                          source="evil"),),
            notes=(Note(text=HOSTILE, source="evil"), Note(text="no source", source=HOSTILE)),
            links=(
                Link(label=HOSTILE, url="https://example.org/evil\x1b]0;x\x07", type="site"),
                Link(label="scheme", url="javascript:alert(1)", type="site"),
                Link(label="user", url="https://example.org@evil.example/", type="site"),
            ),
        ),
        *(
            Paper(
                id=f"filler-{n:02}", name=f"Filler {n:02}", title=f"A paper to scroll past, {n}",
                year=2000 + n, summary=PROSE, sources=("card",), tags=("filler",),
            )
            for n in range(1, 21)
        ),
    ]  # fmt: skip


def _recipe_of_alpha() -> Encoding:
    return Encoding(
        type="bi-encoder", grade="A", library="transformers",
        query=Side(model="lab/alpha", template="query: {query}", max_length=64),
        document=Side(model="lab/alpha", pair=("{title}", "{text}"), max_length=512),
        pooling="cls", normalise=True, similarity="cosine", unverified=("pooling",),
        instructions={"facts-set": "Find what answers the question"}, requires="transformers>=4",
        check=CheckVector(text="a word", side="query", starts=(0.5, -0.25), source="card"),
        traps=("Mean pooling loses three points.", HOSTILE), note="See https://example.org/n.",
    )  # fmt: skip


def _models() -> list[Model]:
    return [
        Model(
            id="alpha-110m", name="Alpha 110M", role="retriever", params=109_000_000,
            dimension=768, max_tokens=512, year=2019, licence="mit", base="lab/base",
            hub=("lab/alpha",), summary=PROSE, sources=("card",), relations=("alpha-paper",),
            links=(_link("model", "alpha-model"), _link("code", "alpha-code")),
            tags=("bi-encoder",), trained_on=("facts-set",), encoding=_recipe_of_alpha(),
        ),
        Model(
            id="alpha-340m", name="Alpha 340M", role="retriever", params=340_000_000,
            dimension=1024, year=2019, licence="mit", summary=PROSE, sources=("card",),
            statuses={"params": "unverified"}, relations=("alpha-paper",),
        ),
        Model(
            id="beta-dual", name="Beta dual", role="retriever", params=66_000_000, encoders=2,
            dimension=768, year=2021, licence="apache-2.0", summary=PROSE, sources=("card",),
            base="lab/alpha", relations=("beta-paper",), links=(_link("model", "beta-model"),),
        ),
        Model(
            id="gamma-2b", name="Gamma 2B", role="retriever", params=2_510_000_000,
            dimension=2304, max_tokens=8192, year=2024, licence="research only", gated=True,
            base="lab/alpha", hub=("lab/gamma",),
            summary=PROSE, sources=("table",), status="unverified", relations=("gamma-paper",),
        ),
        Model(id="delta-rerank", name="Delta", role="reranker", params=22_000_000, year=2022,
              summary=PROSE, sources=("card",)),
        Model(id="words", name="Words", role="lexical", params=0, year=1994,
              summary="Counts words; a baseline that is hard to beat.", sources=("card",)),
        Model(id="wide-model", name=f"{CJK}{EMOJI}", role="encoder", year=2025,
              base="lab/gamma", summary=PROSE, sources=("card",), params=7_000_000_000),
        Model(id="hostile-model", name=HOSTILE + LONG, role="similarity", licence=HOSTILE,
              architecture=HOSTILE, base=LONG, hub=(HOSTILE,), summary=HOSTILE,
              sources=("evil",)),
    ]  # fmt: skip


def _datasets() -> list[Dataset]:
    return [
        Dataset(id="pairs", name="Pairs", use="training pairs", size="1.2 million pairs",
                records=1_200_000, licence="cc-by-4.0", summary=PROSE, sources=("card",),
                links=(_link("dataset", "pairs"),), relations=("alpha-paper",)),
        Dataset(id="logs", name="Search logs", use="clicks", size="255 million pairs",
                available=False, summary=PROSE, sources=("card",)),
        Dataset(id="synthetic", name="Synthetic questions", use="questions made by a model",
                gated=True, summary=PROSE, sources=("card",), hub=("lab/synthetic",)),
        Dataset(id="hostile-data", name=HOSTILE, use=HOSTILE, size=HOSTILE, summary=HOSTILE,
                sources=("evil",)),
    ]  # fmt: skip


BENCHMARKS = (
    "Facts", "Covid", "Nutrition", "Questions", "Citations", "Consumers", "Trials", "Patents",
)  # fmt: skip


def _benchmarks() -> list[Benchmark]:
    sets = [
        Benchmark(
            id=f"{name.lower()}-set", name=name, task="retrieval", domain="biomedicine",
            metric="nDCG@10", queries=50 * n, documents=5_000 * n, judgements=300 * n,
            year=2015 + n, summary=PROSE, sources=("table",), splits={"test": 50 * n},
            subsets=(Subset(name="small", queries=10), Subset(name=HOSTILE, documents=20)),
            loaders=Loaders(mteb=name, ir_datasets=f"beir/{name.lower()}"),
            links=(_link("site", name.lower()),),
        )
        for n, name in enumerate(BENCHMARKS, 1)
    ]  # fmt: skip
    suite = Benchmark(id="suite", name="Suite", type="suite", summary=PROSE, sources=("table",),
                      members=("facts-set", "covid-set", "Another set"))  # fmt: skip
    evil = Benchmark(id="hostile-set", name=HOSTILE, metric=HOSTILE, task=LONG, summary=HOSTILE,
                     sources=("evil",), scale=HOSTILE, access=HOSTILE)  # fmt: skip
    return [*sets, suite, evil]


def _recipes() -> list[Recipe]:
    return [
        Recipe(id="train-alpha", name="Alpha", model="alpha-110m", paper="alpha-paper",
               params=109_000_000, method="contrastive pairs, then hard negatives",
               best="0.712 on Facts", base="lab/base", data="Pairs", objective="InfoNCE",
               negatives="in the batch", summary=PROSE, sources=("card",),
               training=Training(runnable="yes", pairs="title-abstract", loss="contrastive",
                                 batch=64, learning_rate=2e-5,
                                 evidence={"pairs": "card: Training", "loss": "card: Training",
                                           "batch": "table: row 2",
                                           "learning_rate": "table: row 2"})),
        Recipe(id="train-beta", name="Beta", model="beta-dual", paper="beta-paper",
               params=66_000_000, method="distillation from a reranker",
               best="0.69 on Facts", summary=PROSE, sources=("card",),
               statuses={"best": "unverified", "training": "secondary"},
               training=Training(runnable="needs", because="The scores of a reranker",
                                 batch=32, evidence={"batch": "card: Training"})),
        Recipe(id="train-gamma", name="Gamma", model="gamma-2b", paper="gamma-paper",
               method="instructions", summary=PROSE, sources=("table",)),
        Recipe(id="train-evil", name=HOSTILE, model="hostile-model", method=HOSTILE + LONG,
               best=HOSTILE, summary=HOSTILE, sources=("evil",)),
    ]  # fmt: skip


def _timeline() -> list[Milestone]:
    return [
        Milestone(id=f"milestone-{n}", name=name, year=year, order=n, era=era, summary=PROSE,
                  sources=("card",), relations=relations)
        for n, (year, name, era, relations) in enumerate(
            (
                (1994, "Counting words", "lexical", ("words",)),
                (2019, "Pairs of texts", "contrastive", ("alpha-paper", "alpha-110m")),
                (2021, "Smaller students", "distillation", ("beta-paper",)),
                (2023, f"{CJK} {EMOJI}", "survey", ("wide-paper",)),
                (2024, HOSTILE + "milestone", "decoder", ("gamma-paper",)),
            )
        )
    ]  # fmt: skip


def _path() -> list[Step]:
    return [
        Step(id="step-baseline", name="Run a baseline", number=1, summary=PROSE,
             commands=("bioretrieval-tui search 'heart failure'", "bioretrieval-tui doctor"),
             expect="Ten hits within a second.", sources=("card",), relations=("words",)),
        Step(id="step-index", name="Index your own abstracts", number=2, summary=PROSE,
             commands=("bioretrieval-tui index build mine corpus.jsonl",), sources=("card",),
             links=(_link("site", "step-index"),)),
        Step(id="step-measure", name="Measure it", number=3, summary=PROSE, sources=("card",),
             relations=("facts-set",)),
        Step(id="step-train", name="Train a retriever", number=4, summary=PROSE,
             sources=("card",), relations=("train-alpha",)),
        Step(id="step-evil", name=HOSTILE + "step", number=5, summary=HOSTILE,
             commands=(HOSTILE + "rm",), expect=HOSTILE, sources=("evil",)),
    ]  # fmt: skip


def _results() -> list[Result]:
    figures: list[Result] = []
    bases = {"alpha-110m": 0.712, "beta-dual": 0.69, "gamma-2b": 0.7405, "words": 0.6}
    for step, (model, base) in enumerate(bases.items()):
        for n, name in enumerate(BENCHMARKS):
            if step == 3 and n > 4:
                continue  # the lexical baseline was not run everywhere
            figures.append(
                Result(
                    model=model, benchmark=f"{name.lower()}-set",
                    value=round(base - 0.031 * n + 0.007 * ((step + n) % 3), 4),
                    source="table",
                    zero_shot=None if model == "gamma-2b" else (model, n) != ("alpha-110m", 0),
                    status=("confirmed", "secondary", "unverified")[(step + n) % 3],
                )
            )  # fmt: skip
    return [
        *figures,
        Result(model="beta-dual", benchmark="facts-set", subset="small", value=0.5, source="card"),
        Result(model="delta-rerank", benchmark="facts-set", value=0.75, source="card",
               comparable=False, note="reranks what another model found"),
        Result(model="alpha-340m", benchmark="questions-set", metric="R@100", value=0.91,
               source="card", zero_shot=True),
        Result(model="hostile-model", benchmark="hostile-set", metric=HOSTILE, value=0.1,
               source="evil"),
    ]  # fmt: skip


def _everything() -> list[AnyEntry]:
    return [*_papers(), *_models(), *_datasets(), *_benchmarks(), *_recipes(), *_timeline(),
            *_path()]  # fmt: skip


def fixed_catalogue() -> Catalogue:
    """The small catalogue."""
    sources = (
        Source(id="card", text="The model card: a page", url="https://example.org/card"),
        Source(id="table", text="Table 2 of the paper"),
        Source(id="evil", text=HOSTILE, url="https://example.org/\x1b[31m"),
    )
    changes = (
        Change(date="2026-01-05", text="The catalogue began."),
        Change(date="2026-02-05", text="Beta came in; see https://example.org/beta."),
        Change(date="2025-12-01", text=HOSTILE + "changed"),
    )
    return Catalogue(
        Content(entries=tuple(_everything()), results=tuple(_results()), sources=sources,
                changes=changes, updated="2026-02-05")
    )  # fmt: skip
