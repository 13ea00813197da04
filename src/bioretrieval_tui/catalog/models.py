"""The shapes of the catalogue: one frozen struct a kind, and the values that they share.

Nothing here reads a file or prints. `loader` derives the editors' JSON Schema from these
types, and the checks and `compiled` the form that is kept. How a field is filtered, listed
and shown, and what it means, stands in `fields`.
"""

# Annotations are objects here, not strings: msgspec would evaluate each string at start-up.
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

Kind = Literal["paper", "model", "dataset", "benchmark", "recipe", "milestone", "step"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Status = Literal["confirmed", "secondary", "unverified", "declared"]
"""How well a value is known: read in a primary source, read in a secondary one, not read, or (of
listed models) declared to mteb and not checked."""

LinkType = Literal[
    "paper", "arxiv", "doi", "acl", "pubmed", "model", "dataset", "code", "site", "download"
]
Role = Literal["retriever", "reranker", "lexical", "entity-linking", "similarity", "encoder"]
SIGNED = ("Spearman", "Pearson")
"""Measures that go below 0."""
ScoreKind = Literal["run", "no-revision", "self-reported"]
"""How mteb came to a score: its own run of a named revision, a run of an unknown revision, or the
authors' model card."""
Pooling = Literal["cls", "mean", "last"]
Similarity = Literal["dot", "cosine", "l2"]

Id = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$",
        description="an id (lower-case letters, digits and single hyphens)",
    ),
]
Url = Annotated[str, Meta(pattern=r"^https?://[^\s]+$", description="an http or https address")]
Day = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", description="a date (YYYY-MM-DD)")]
ArxivId = Annotated[str, Meta(pattern=r"^\d{4}\.\d{4,5}$", description="an arXiv number")]
Doi = Annotated[str, Meta(pattern=r"^10\.\d{4,9}/\S+$", description="a DOI (10.1234/...)")]
Md5 = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$", description="an MD5 in hexadecimal digits")]
Language = Annotated[
    str,
    Meta(
        pattern=r"^[a-z]{2,3}$", description="a language code of ISO 639 (two letters, else three)"
    ),
]
Revision = Annotated[str, Meta(pattern=r"^[0-9a-f]{7,40}$", description="a commit in hexadecimal")]
Count = Annotated[int, Meta(ge=0)]
Year = Annotated[int, Meta(ge=1990, le=2100)]
Text = Annotated[str, Meta(min_length=1)]


class Link(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One address of an entry. `label` is what `open --link` takes."""

    label: Text
    url: Url
    type: LinkType


class Note(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A caution or a correction of a common belief, with where it was read."""

    text: Text
    source: Text
    corrects: bool = False
    """True where common belief (or the page this grew from) says something else."""


class Claim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A value or claim that has no field of its own."""

    label: Text
    value: Text
    source: Text
    status: Status = "confirmed"


class Side(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one side (query or document) becomes the encoder's input."""

    model: str | None = None
    template: str | None = None
    """One text, e.g. "query: {text}". Fields: {query}, {text}, {title}, {instruction}, {sep}."""
    pair: tuple[str, str] | None = None
    """Two segments for tokenizer(first, second), e.g. ["{title}", "{text}"]."""
    max_length: Count | None = None
    """Tokens, special tokens included."""
    adapter: str | None = None
    """Hub id of an adapter that is loaded on top of `model`."""


class CheckVector(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Published first components that a correct set-up reproduces."""

    text: Text
    side: Literal["query", "document"]
    starts: tuple[float, ...]
    source: Text


class Encoding(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The recipe that turns text into vectors (or scores) as the model's authors do."""

    type: Literal[
        "bi-encoder", "cross-encoder", "late-interaction", "sparse", "llm-reranker", "static",
        "lexical", "none",
    ]  # fmt: skip
    """llm-reranker: a language model that is asked whether a document answers the query."""
    grade: Literal["A", "B", "C"]
    """A: the authors' own code or card was read; B: third-party code; C: inferred."""
    library: Literal["transformers", "sentence-transformers", "adapters", "model2vec"] | None = None
    query: Side | None = None
    document: Side | None = None
    pooling: Pooling | None = None
    normalise: bool | None = None
    similarity: Similarity | None = None
    append: Literal["eos"] | None = None
    """A token that is added after truncation to every sequence, and pooled by `last`."""
    padding_side: Literal["left", "right"] | None = None
    pad_to_max_length: bool = False
    attention_mask: bool | None = None
    """False: the model reads padding as if it were text."""
    token_type_ids: bool | None = None
    instruction: str | None = None
    """The default that fills {instruction}."""
    instructions: dict[str, str] = {}
    precomputed: Url | None = None
    check: CheckVector | None = None
    requires: str | None = None
    traps: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    """Names of fields of this recipe that no source could be read for."""
    note: str | None = None


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What every kind has. `kind` is set by the section of the file that holds the entry."""

    id: Id
    name: Text
    summary: Text
    sources: Annotated[tuple[Text, ...], Meta(min_length=1)]
    year: Year | None = None
    links: tuple[Link, ...] = ()
    tags: tuple[Text, ...] = ()
    relations: tuple[Id, ...] = ()
    status: Status = "confirmed"
    statuses: dict[str, Status] = {}
    """Fields of this entry that are less (or better) known than `status` says."""
    facts: tuple[Claim, ...] = ()
    notes: tuple[Note, ...] = ()
    added: Day | None = None
    extra: dict[str, str | int | float | bool | tuple[str, ...]] = {}
    """Values of fields that `fields.TABLE` alone declares, by name; no key of YAML files."""


class Paper(Entry, frozen=True, kw_only=True, tag_field="kind", tag="paper"):
    title: Text
    venue: str | None = None
    authors: tuple[Text, ...] = ()
    """As in BibTeX; a last item "others" says that the list is not complete."""
    arxiv: ArxivId | None = None
    doi: Doi | None = None
    acl: str | None = None
    pmid: Count | None = None
    topic: str | None = None
    repo: str | None = None


class Model(Entry, frozen=True, kw_only=True, tag_field="kind", tag="model"):
    role: Role
    family: str | None = None
    params: Count | None = None
    encoders: Annotated[int, Meta(ge=1)] = 1
    dimension: Count | None = None
    max_tokens: Count | None = None
    architecture: str | None = None
    base: str | None = None
    hub: tuple[str, ...] = ()
    licence: str | None = None
    gated: bool | None = None
    aliases: tuple[Text, ...] = ()
    """Names under which others list it."""
    trained_on: tuple[str, ...] = ()
    languages: tuple[Language, ...] = ()
    released: Day | None = None
    revision: Revision | None = None
    """Commit of the hub repository that the facts are of."""
    memory: Count | None = None
    """Weights in memory as published, in megabytes."""
    open_weights: bool | None = None
    training_data: str | None = None
    """Address of the public training data, or what is known of them."""
    instructed: bool | None = None
    """True where queries carry an instruction that the user may word."""
    encoding: Encoding | None = None

    @property
    def weights(self) -> str | None:
        """Hub id or folder of the model that encodes documents, None where it is not known."""
        side = self.encoding and (self.encoding.document or self.encoding.query)
        return (side.model if side else None) or next(iter(self.hub), None)


class Subset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a benchmark, with its own size."""

    name: Text
    task: str | None = None
    """Name of its task in mteb, where the parts of a benchmark are tasks of their own."""
    queries: Count | None = None
    documents: Count | None = None
    note: str | None = None


class Loaders(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the data is found, by loader."""

    mteb: str | None = None
    ir_datasets: str | None = None
    hub: str | None = None
    zip: Url | None = None
    md5: Md5 | None = None


class Benchmark(Entry, frozen=True, kw_only=True, tag_field="kind", tag="benchmark"):
    type: Literal["set", "suite"] = "set"
    task: str | None = None
    domain: str | None = None
    metric: str | None = None
    """The measure that its published results use, spelt as ir-measures does where it can."""
    queries: Count | None = None
    documents: Count | None = None
    judgements: Count | None = None
    positives: Count | None = None
    pairs: Count | None = None
    scale: str | None = None
    splits: dict[str, Count] = {}
    subsets: tuple[Subset, ...] = ()
    averaged: bool = False
    """Its score is the mean over its subsets."""
    members: tuple[Text, ...] = ()
    """Of a suite: ids of catalogue entries, or names of sets that have none."""
    loaders: Loaders = Loaders()
    licence: str | None = None
    access: str | None = None


class Dataset(Entry, frozen=True, kw_only=True, tag_field="kind", tag="dataset"):
    use: Text
    size: str | None = None
    records: Count | None = None
    hub: tuple[str, ...] = ()
    licence: str | None = None
    gated: bool | None = None
    available: bool = True


PairKind = Literal[
    "judged", "given", "title-abstract", "sentence", "conclusion", "mesh", "citations"
]
"""Where pairs of a query and a positive come from: judgements of a benchmark, a file of pairs, the
title and the text of a document, a sentence and the rest of its text (inverse cloze), the
conclusion of a structured abstract and the rest, documents that share MeSH headings, or works that
one work cites."""
Loss = Literal["contrastive", "triplet", "margin-mse", "kl", "mesh", "scores"]
"""contrastive: softmax over positive, in-batch and hard negatives (InfoNCE); triplet: a margin
between distances; margin-mse, kl: the differences, or the distribution, of a teacher's scores;
mesh: cosine regressed on label similarity, and a weighted contrastive term (BioHiCL); scores: a
cross-encoder on 1 for the positive and 0 for negatives."""


class Lora(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A low-rank adapter; only its weights are trained. None: the paper does not say."""

    rank: Annotated[int, Meta(ge=1)] | None = None
    alpha: Annotated[float, Meta(gt=0)] | None = None
    dropout: Annotated[float, Meta(ge=0, lt=1)] | None = None
    targets: tuple[Text, ...] = ()
    """Names of layers, such as `query`; none: every linear layer."""

    @property
    def words(self) -> str:
        """Its size and layers, for people."""
        sizes = (("rank", self.rank), ("alpha", self.alpha), ("dropout", self.dropout))
        said = [f"{name} {size:g}" for name, size in sizes if size is not None]
        return ", ".join((*said, *self.targets)) or "an adapter of unknown size"


class TrainingSettings(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """How a model is trained. None: not said, so that the program's default holds."""

    pairs: PairKind | None = None
    loss: Loss | None = None
    negatives: Literal["in-batch", "mined", "given", "citations"] | None = None
    negatives_each: Annotated[int, Meta(ge=0, le=64)] | None = None
    """Hard negatives of each pair."""
    negatives_by: Literal["lexical", "dense", "hybrid"] | None = None
    """The search that mines them."""
    teacher: Text | None = None
    """The model whose scores are distilled, or `hybrid`."""
    batch: Annotated[int, Meta(ge=2, le=65_536)] | None = None
    """Pairs of a step."""
    learning_rate: Annotated[float, Meta(gt=0, lt=1)] | None = None
    warmup: Annotated[float, Meta(ge=0, lt=1)] | None = None
    """Share of the steps in which the learning rate rises."""
    epochs: Annotated[float, Meta(gt=0, le=1000)] | None = None
    steps: Annotated[int, Meta(ge=1)] | None = None
    """Steps of the optimiser, in place of epochs."""
    temperature: Annotated[float, Meta(gt=0)] | None = None
    margin: Annotated[float, Meta(gt=0)] | None = None
    """Of the triplet loss."""
    mesh_weight: Annotated[float, Meta(ge=0)] | None = None
    """Of the contrastive term beside the regression: lambda of BioHiCL."""
    mesh_threshold: Annotated[float, Meta(ge=0, lt=1)] | None = None
    """Label similarity above which two documents are positives of that term (those without a common
    label are its negatives): beta of BioHiCL."""
    query_length: Annotated[int, Meta(ge=8, le=32_768)] | None = None
    document_length: Annotated[int, Meta(ge=8, le=32_768)] | None = None
    """Tokens that are read in training."""
    weight_decay: Annotated[float, Meta(ge=0, lt=1)] | None = None
    lora: Lora | None = None
    """None: all weights are trained."""
    precision: Literal["float32", "bf16", "float16"] | None = None
    seed: Count | None = None


class Training(TrainingSettings, frozen=True, kw_only=True):
    """What a recipe's paper and code say of its training, and whether it can be run here."""

    runnable: Literal["yes", "needs", "no"]
    """needs: its data, or data like it, have to be brought."""
    because: Text | None = None
    """What has to be brought and where it is; or why it cannot be run."""
    evidence: dict[str, Text] = {}
    """Where each value was read, by its field: the id of a source and the place in it, such as
    "card: Training"."""


class Recipe(Entry, frozen=True, kw_only=True, tag_field="kind", tag="recipe"):
    """A way to train a retriever, as published."""

    model: Id
    method: Text
    params: Count | None = None
    base: str | None = None
    data: str | None = None
    objective: str | None = None
    negatives: str | None = None
    best: str | None = None
    """Best published result, in words; the scores themselves are result records."""
    mean: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None
    """Published mean nDCG@10 over NFCorpus, SciFact, SCIDOCS and TREC-COVID, where not all four
    scores are published."""
    paper: Id | None = None
    training: Training | None = None


class Milestone(Entry, frozen=True, kw_only=True, tag_field="kind", tag="milestone"):
    order: Count
    """Place on the timeline among the milestones of its year."""
    era: str | None = None


class Step(Entry, frozen=True, kw_only=True, tag_field="kind", tag="step"):
    number: Annotated[int, Meta(ge=1)]
    commands: tuple[Text, ...] = ()
    expect: str | None = None


class Result(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False
):
    """One published result."""

    model: Id
    benchmark: Id
    value: Annotated[float, Meta(ge=-1.0, le=1.0)]
    """A fraction: scores that are published as percentages are divided by 100."""
    source: Text
    metric: Text = "nDCG@10"
    subset: str | None = None
    zero_shot: bool | None = None
    """None where it is not known whether the model has seen the benchmark's training data."""
    status: Status = "confirmed"
    reranked: bool = False
    """True for a reranker's score over the documents of a first stage."""
    comparable: bool = True
    """False where the score must not be ranked against others; `note` says why."""
    note: str | None = None
    kind: ScoreKind | None = None
    """None for a score that was read in a paper or a repository of authors."""
    split: str | None = None
    revision: str | None = None
    """Commit of the weights that were measured."""
    dataset_revision: str | None = None
    path: str | None = None
    """File of the source that holds the score."""
    others: Count = 0
    """Other published values of the same model, benchmark, split and subset."""


AnyEntry = Paper | Model | Dataset | Benchmark | Recipe | Milestone | Step

SECTIONS: dict[str, type[AnyEntry]] = {
    "papers": Paper,
    "models": Model,
    "datasets": Dataset,
    "benchmarks": Benchmark,
    "recipes": Recipe,
    "timeline": Milestone,
    "path": Step,
}
"""Name of a section of a catalogue file (and of KIND on the command line) -> its type."""


class Source(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a value was read. Entries, facts, notes and results name it by `id`."""

    id: Id
    text: Text
    url: Url | None = None


class Change(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of the catalogue's own history, shown on Home."""

    date: Day
    text: Text


LISTS: dict[str, type[Struct]] = {"sources": Source, "results": Result, "changes": Change}
"""Sections of a catalogue file that hold records without a page of their own."""

FORMAT_VERSION = 1
"""The `version` of the catalogue files that this program reads."""

MAX_BYTES = 16 * 1024 * 1024
"""Largest catalogue file read. The shipped catalogue is a third of a megabyte."""


class Content(Struct, frozen=True, kw_only=True):
    """A whole catalogue as typed values: the compiled form is this, as JSON."""

    entries: tuple[AnyEntry, ...]
    results: tuple[Result, ...]
    sources: tuple[Source, ...]
    changes: tuple[Change, ...] = ()
    updated: str | None = None
