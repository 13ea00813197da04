"""The table of entry fields: one row a field, for every place where fields are read or shown.

`TABLE` defines the filter language (`schema`), sorting, the columns of lists in the app and on the
command line, pages, `show`, the exports and docs/fields.md. Validation accepts the fields of the
structs in `models`, and the fields of this table that no struct has: a new field needs only a row
here and the key in the YAML. A test compares table and structs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.models import KINDS, SECTIONS, AnyEntry, Dataset, Model, Recipe
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.util.formatting import did_you_mean

if TYPE_CHECKING:
    from bioretrieval_tui.query import Filter, Schema
    from bioretrieval_tui.shelf import ShelfMark

FieldType = Literal["text", "number", "bool", "set", "date"]
"""How a field is compared: `set` is several texts (tags)."""
Form = Literal[
    "text", "number", "count", "size", "names", "code", "authors", "splits", "subsets",
    "loaders", "side", "vector", "pairs", "grade", "lines",
]  # fmt: skip
"""How a value is written: `number` unchanged, `count` with thousands separators, `size` in three
digits (109M), `names` as the names of the entries with these ids, `lines` one a line; the others
are types of `models`."""
LISTED = "docs/fields.md lists them"
Group = Literal[
    "", "Scores", "Recipe", "Training", "Encoding", "Licence and size", "Details", "Links"
]  # fmt: skip
"""Heading on a page; "" for a field shown elsewhere on it (name, links, notes)."""


class EntryField(Struct, frozen=True):
    """One field of entries.

    name: as it is written in filters, in YAML and as a CSV column.
    type: how filters compare it; None where it cannot be filtered.
    doc: what it holds, one line.
    kinds: kinds that have it.
    label: what readers see; default: the name.
    aliases: other names in filters.
    form: how its value is written.
    group: its heading on a page.
    path: attribute of the entry that holds it, with dots; default: the name.
    compute, in_list: compute a value that no attribute holds, or that differs in lists.
    address: address of each of its values, with {} for the value; by kind where kinds differ.
    marked: readers see that a value is not confirmed.
    heading, width, weight, priority: its column in lists: title (default: the label), least cells,
        share of the cells that are left, and which are omitted first (default: the last).
    listed: for a field outside `LISTS`: "shown" as a last column, "csv" in CSV alone.
    cite: its BibTeX field.
    """

    name: str
    type: FieldType | None
    doc: str
    kinds: tuple[str, ...] = KINDS
    label: str = ""
    aliases: tuple[str, ...] = ()
    form: Form = "text"
    group: Group = "Details"
    path: str = ""
    compute: Callable[[AnyEntry, Catalogue], Any] | None = None
    in_list: Callable[[AnyEntry, Catalogue], Any] | None = None
    address: str | Mapping[str, str] = ""
    marked: bool = True
    heading: str = ""
    width: int = 4
    weight: int = 1
    priority: int | None = None
    listed: Literal["", "shown", "csv"] = ""
    cite: str = ""

    @property
    def title(self) -> str:
        return self.label or self.name.replace("_", " ")

    def read(self, entry: AnyEntry, catalogue: Catalogue) -> Any:
        """The value; None where the entry has none."""
        if self.compute is not None:
            return self.compute(entry, catalogue)
        found: Any = entry
        for part in (self.path or self.name).split("."):
            found = getattr(found, part, None)
        return entry.extra.get(self.name) if found is None else found

    def cell(self, entry: AnyEntry, catalogue: Catalogue) -> Any:
        """The value that lists show, and sort by."""
        return (self.in_list or self.read)(entry, catalogue)

    def url(self, entry: AnyEntry, found: object) -> str | None:
        """The address of one of its values, if it has one; a folder of this machine has none."""
        if str(found).startswith("/"):
            return None
        template = self.address if isinstance(self.address, str) else self.address[kind_of(entry)]
        return template.format(found) if template else None

    def status(self, entry: AnyEntry) -> str:
        """How well the value is known: confirmed, secondary or unverified."""
        if not self.marked:
            return "confirmed"
        if self.group == "Encoding":
            encoding = entry.encoding if isinstance(entry, Model) else None
            unread = encoding is not None and self.path.partition(".")[2] in encoding.unverified
            return "unverified" if unread else "confirmed"
        if self.group == "Training":
            return entry.statuses.get("training", "confirmed")
        return entry.statuses.get(self.name, entry.status)


class FieldTable:
    """The fields, looked up by name and by kind."""

    def __init__(self, rows: Iterable[EntryField]) -> None:
        self.rows = tuple(rows)
        self.by_name = {name: row for row in self.rows for name in (row.name, *row.aliases)}
        self._of_kind: dict[str, tuple[EntryField, ...]] = {
            kind: tuple(row for row in self.rows if kind in row.kinds) for kind in KINDS
        }

    def of(self, kind: str) -> tuple[EntryField, ...]:
        """The fields of one kind, in the order of its page."""
        return self._of_kind.get(kind, ())

    @cache  # noqa: B019 - one table, which lives as long as the program
    def declared_only(self, kind: str) -> dict[str, FieldType]:
        """Name and type of the fields of a kind that entries keep in `extra`."""
        struct = next(one for one in SECTIONS.values() if one.__struct_config__.tag == kind)
        return {
            row.name: row.type or "text"
            for row in self.of(kind)
            if row.compute is None and not row.path and row.name not in struct.__struct_fields__
        }

    def listed(self, kind: str) -> tuple[tuple[EntryField, ...], tuple[EntryField, ...]]:
        """Columns of a kind's list ("" for several kinds): the shown, and of CSV alone."""

        def columns(names: Iterable[str], place: str) -> tuple[EntryField, ...]:
            more = (row for row in self.of(kind) if row.listed == place)
            return (*(self.by_name[name] for name in names), *more)

        shown, data = LISTS[kind]
        return columns(shown, "shown"), columns(data, "csv")

    @cached_property
    def schema(self) -> Schema:
        """The fields of the filter language."""
        from bioretrieval_tui.query import Field, Schema

        rows = (row for row in self.rows if row.type is not None)
        return Schema([Field(r.name, r.type, r.aliases) for r in rows], LISTED)  # type: ignore[arg-type]  # filtered above


_PAPER, _MODEL, _DATASET, _BENCHMARK = ("paper",), ("model",), ("dataset",), ("benchmark",)
_RECIPE, _STEP = ("recipe",), ("step",)
_HUB = "https://huggingface.co/"
_USE: Group = "Licence and size"


def _extent(entry: AnyEntry, _: Catalogue) -> str | int | None:
    """Size of a dataset in words, else its records."""
    if not isinstance(entry, Dataset):
        return None
    return (entry.size or entry.records) if entry.available else "never released"


def _type(entry: AnyEntry, catalogue: Catalogue) -> str | None:
    """Of a model the type of its recipe, else the declared one: how it scores a document."""
    if isinstance(entry, Model):
        declared = catalogue.declared.get(entry.id)
        return entry.encoding.type if entry.encoding else declared.type if declared else None
    return getattr(entry, "type", None)


def zero_shot_share(entry: AnyEntry, catalogue: Catalogue) -> int | None:
    """Percent of the benchmarks with a score of the model whose training data it has not seen; None
    where its training data are not known. Rounded down, so that 100 means all of them."""
    known: dict[str, bool] = {}
    for result in catalogue.results_of(entry.id) if isinstance(entry, Model) else ():
        if result.zero_shot is not None:
            known[result.benchmark] = known.get(result.benchmark, True) and result.zero_shot
    return 100 * sum(known.values()) // len(known) if known else None


def _zero_shot(entry: AnyEntry, catalogue: Catalogue) -> bool | None:
    share = zero_shot_share(entry, catalogue)
    return None if share is None else share == 100


_FREE = re.compile(
    r"apache|\bmit\b|\bbsd\b|cc[- ]?by(?:[- ]sa)?[- ]?\d|cc0|public[- ]domain|unlicense",
    re.IGNORECASE,
)
_BOUND = re.compile(r"\bnc\b|non[- ]?commercial|research only|\bnd\b", re.IGNORECASE)


def _free_licence(entry: AnyEntry, _: Catalogue) -> bool | None:
    """Whether the licence allows any use and changes, by its name; None without one."""
    licence = getattr(entry, "licence", None)
    if not licence:
        return None
    return bool(_FREE.search(licence)) and not _BOUND.search(licence)


def _here(entry: AnyEntry, catalogue: Catalogue) -> bool | None:
    probe = catalogue.here
    return probe(entry) if probe is not None and isinstance(entry, Model) else None


def _mark(entry: AnyEntry, catalogue: Catalogue) -> ShelfMark | None:
    """What the reader noted of an entry, where a face has given the catalogue a shelf."""
    return catalogue.shelf().entry(entry.id) if catalogue.shelf is not None else None


def _starred(entry: AnyEntry, catalogue: Catalogue) -> bool:
    mark = _mark(entry, catalogue)
    return mark is not None and mark.starred


def _status(entry: AnyEntry, catalogue: Catalogue) -> tuple[str, ...]:
    mark = _mark(entry, catalogue)
    return (entry.status, mark.status) if mark else (entry.status,)


def _tag(entry: AnyEntry, catalogue: Catalogue) -> tuple[str, ...]:
    mark = _mark(entry, catalogue)
    return (*entry.tags, *mark.tags) if mark else entry.tags


def _note(entry: AnyEntry, catalogue: Catalogue) -> str | None:
    mark = _mark(entry, catalogue)
    return mark.note if mark else None


def _tier(entry: AnyEntry, catalogue: Catalogue) -> str:
    if entry.id in catalogue.own:
        return "yours"
    return "listed" if entry.status == "declared" else "curated"


def _unverified_names(entry: AnyEntry, _: Catalogue) -> str:
    """The fields that no source could be read for."""
    if entry.status == "unverified":
        kept = [name for name, status in entry.statuses.items() if status != "unverified"]
        return f"all but {' '.join(kept)}" if kept else "all"
    return " ".join(name for name, status in entry.statuses.items() if status == "unverified")


def _recipe(name: str, doc: str, form: Form = "text", **more: Any) -> EntryField:
    """A field of the encoding recipe of a model."""
    path = f"encoding.{more.pop('part', name)}"
    kind: FieldType | None = more.pop("type", None)
    return EntryField(name, kind, doc, _MODEL, form=form, group="Encoding", path=path, **more)


def _training(name: str, doc: str, kind: FieldType = "text", **more: Any) -> EntryField:
    """A field of how a recipe trains."""
    form: Form = "number" if kind == "number" else "text"
    path = f"training.{more.pop('part', name)}"
    return EntryField(name, kind, doc, _RECIPE, form=form, group="Training", path=path, **more)


def _lora(entry: AnyEntry, _: Catalogue) -> str | None:
    training = entry.training if isinstance(entry, Recipe) else None
    return training.lora.words if training and training.lora else None


_ROWS = (
    EntryField("id", "text", "the entry's id", group="", marked=False),
    EntryField("kind", "text", ", ".join(KINDS), group="", compute=lambda entry, _: kind_of(entry),
               width=9, marked=False),
    EntryField("name", "text", "display name", group="", width=18, weight=3),
    EntryField("year", "number", "year of publication", group="", form="number"),
    EntryField("status", "set", "confirmed, secondary, unverified, declared; on your shelf to"
               " read, reading, read", group="", compute=_status,
               in_list=lambda entry, _: entry.status, marked=False),
    EntryField("starred", "bool", "it is starred on your shelf", group="", compute=_starred,
               marked=False),
    EntryField("tag", "set", "tags, and those of your shelf", group="", compute=_tag,
               marked=False),
    EntryField("note", "text", "your note on it", group="", compute=_note, marked=False),
    EntryField("tier", "text", "curated, yours, or listed: facts declared to mteb, not checked",
               _MODEL, group="", compute=_tier, marked=False),
    EntryField("unverified", None, "fields that no source could be read for", group="",
               compute=_unverified_names, marked=False),
    EntryField("summary", "text", "what it is, in a paragraph", group="", width=20, weight=6,
               marked=False),
    EntryField("added", "text", "day it came into the catalogue", group="", marked=False),
    EntryField("related", "set", "ids of related entries", aliases=("relations",), group="",
               compute=lambda entry, c: tuple(other.id for other in c.related(entry.id)),
               marked=False),
    EntryField("url", "set", "addresses of its links", aliases=("link", "links"), group="",
               compute=lambda entry, _: tuple(link.url for link in entry.links), marked=False),
    EntryField("title", "text", "full title", _PAPER),
    EntryField("authors", "set", "authors, as in BibTeX", _PAPER, aliases=("author",),
               form="authors"),
    EntryField("venue", "text", "venue", _PAPER, width=14, weight=2, priority=9),
    EntryField("arxiv", "text", "arXiv number", _PAPER, "arXiv", address="https://arxiv.org/abs/{}",
               width=10, group="Links"),
    EntryField("doi", "text", "DOI", _PAPER, "DOI", address="https://doi.org/{}", group="Links"),
    EntryField("acl", "text", "id in the ACL Anthology", _PAPER, "ACL Anthology",
               address="https://aclanthology.org/{}/", group="Links"),
    EntryField("pmid", "number", "PubMed id", _PAPER, "PubMed", form="number",
               address="https://pubmed.ncbi.nlm.nih.gov/{}/", group="Links"),
    EntryField("topic", "text", "topic", _PAPER),
    EntryField("repo", "text", "code repository", _PAPER),
    EntryField("role", "text", "retriever, reranker, lexical, entity-linking, ...", _MODEL,
               width=9),
    EntryField("family", "text", "family", _MODEL),
    EntryField("model", "text", "the model that came out", _RECIPE, form="names", width=12,
               weight=2),
    EntryField("method", "text", "training method", _RECIPE, width=14, weight=4, group="Recipe"),
    EntryField("params", "number", "parameters of one encoder", (*_MODEL, *_RECIPE), "parameters",
               aliases=("parameters",), form="size", heading="params", width=7, group=_USE),
    EntryField("encoders", "number", "encoders: 2 where query and document have their own", _MODEL,
               form="number", group=_USE),
    EntryField("dimension", "number", "vector dimension", _MODEL, aliases=("dim", "dims"),
               form="count", heading="dim", width=6, group=_USE),
    EntryField("max_tokens", "number", "longest input in tokens", _MODEL, "longest input",
               aliases=("tokens", "length"), form="count", heading="tokens", width=7, group=_USE),
    EntryField("architecture", "text", "architecture", _MODEL, aliases=("arch",)),
    EntryField("base", "text", "checkpoint that training started from", (*_MODEL, *_RECIPE),
               "trained from"),
    EntryField("use", "text", "what it is for", _DATASET, width=12, weight=2),
    EntryField("size", "text", "size in words", _DATASET, in_list=_extent, width=12, weight=2,
               group=_USE),
    EntryField("records", "number", "number of records", _DATASET, form="count", group=_USE),
    EntryField("available", "bool", "was it released", _DATASET, "released", group=_USE),
    EntryField("type", "text", "of a benchmark set or suite; of a model bi-encoder, "
               "cross-encoder, late-interaction, sparse, llm-reranker, static, lexical, none",
               (*_MODEL, *_BENCHMARK), aliases=("encoder",), compute=_type, marked=False),
    EntryField("task", "text", "task", _BENCHMARK, width=10, weight=2),
    EntryField("domain", "text", "domain", _BENCHMARK, width=10, weight=2),
    EntryField("metric", "text", "measure of its published results", _BENCHMARK, width=7),
    EntryField("queries", "number", "number of queries", _BENCHMARK, form="count", width=8,
               group=_USE),
    EntryField("documents", "number", "number of documents", _BENCHMARK, aliases=("docs",),
               form="count", heading="docs", width=10, group=_USE),
    EntryField("judgements", "number", "number of judgements", _BENCHMARK, aliases=("qrels",),
               form="count", group=_USE),
    EntryField("positives", "number", "judgements that are positive", _BENCHMARK, form="count",
               group=_USE),
    EntryField("pairs", "number", "number of pairs", _BENCHMARK, form="count", group=_USE),
    EntryField("scale", "text", "size in words where one number cannot say it", _BENCHMARK,
               group=_USE),
    EntryField("splits", None, "queries a split", _BENCHMARK, form="splits", group=_USE),
    EntryField("subsets", None, "parts, with their own sizes", _BENCHMARK, form="subsets"),
    EntryField("averaged", "bool", "its score is the mean over its subsets", _BENCHMARK, group=""),
    EntryField("members", "set", "benchmarks of a suite", _BENCHMARK, form="names"),
    EntryField("loaders", None, "names of its data in loaders, addresses", _BENCHMARK,
               form="loaders"),
    EntryField("hub", "set", "hub ids", (*_MODEL, *_DATASET), "on the hub",
               address={"model": f"{_HUB}{{}}", "dataset": f"{_HUB}datasets/{{}}"}, heading="hub",
               width=12, weight=2, group="Links"),
    EntryField("licence", "text", "licence", (*_MODEL, *_DATASET, *_BENCHMARK),
               aliases=("license",), width=6, group=_USE),
    EntryField("free_licence", "bool", "the licence allows any use and changes (Apache, MIT, BSD, "
               "CC BY, CC0, public domain)", (*_MODEL, *_DATASET, *_BENCHMARK), aliases=("free",),
               group="", compute=_free_licence, marked=False),
    EntryField("gated", "bool", "behind a gate", (*_MODEL, *_DATASET), group=_USE),
    EntryField("access", "text", "how the data are had", _BENCHMARK, group=_USE),
    EntryField("trained_on", "set", "benchmarks whose training data the model saw", _MODEL,
               "has seen the training data of", form="names"),
    EntryField("zero_shot", "bool", "it has seen the training data of no benchmark with a score",
               _MODEL, "zero-shot", group="", compute=_zero_shot, marked=False),
    EntryField("zero_shot_share", "number", "percent of its benchmarks that it was not trained on",
               _MODEL, "zero-shot share", group="", compute=zero_shot_share, marked=False),
    EntryField("here", "bool", "its weights are on this machine", _MODEL, group="", compute=_here,
               marked=False),
    EntryField("aliases", "set", "names under which others list it", _MODEL, "also named"),
    EntryField("languages", "set", "languages, by ISO 639 code", _MODEL,
               aliases=("language", "lang")),
    EntryField("released", "date", "day on which the weights were published", _MODEL,
               "release date"),
    EntryField("memory", "number", "weights in memory, megabytes", _MODEL, "memory (MB)",
               form="count", group=_USE),
    EntryField("open_weights", "bool", "weights can be downloaded", _MODEL, group=_USE),
    EntryField("training_data", "text", "where the training data are published", _MODEL),
    EntryField("instructed", "bool", "queries carry an instruction that the user may word", _MODEL,
               "takes instructions"),
    EntryField("revision", "text", "commit of the hub repository", _MODEL, form="code"),
    EntryField("data", "text", "training data", _RECIPE, group="Recipe"),
    EntryField("objective", "text", "training objective", _RECIPE, group="Recipe"),
    EntryField("negatives", "text", "where the negatives come from", _RECIPE, group="Recipe"),
    EntryField("best", "text", "best published result, in words", _RECIPE, "best result", width=14,
               weight=4, group="Scores"),
    EntryField("mean", "number", "published mean of NFCorpus, SciFact, SCIDOCS and TREC-COVID,"
               " where not all four scores are", _RECIPE, "four-set mean", group="Scores"),
    EntryField("paper", "text", "the paper that describes it", _RECIPE, form="names", width=10,
               weight=2),
    EntryField("era", "text", "era", ("milestone",)),
    EntryField("order", None, "place among the milestones of its year", ("milestone",), group=""),
    EntryField("number", "number", "number of the step", _STEP, "step", aliases=("step",),
               form="number", group="", width=5),
    EntryField("commands", "set", "commands to run", _STEP, form="code", width=30, weight=6),
    EntryField("expect", "text", "what the reader should see", _STEP),
    EntryField("results", "number", "published results", (*_MODEL, *_BENCHMARK), group="",
               aliases=("figures",), form="count", width=7,
               compute=lambda entry, c: len(c.results_of(entry.id)) or None, marked=False),
    EntryField("tags", "set", "tags", marked=False),
    _recipe("grade", "how well the recipe is known", "grade", label="evidence"),
    _recipe("library", "library that loads it", type="text"),
    _recipe("query", "how a query becomes input", "side"),
    _recipe("document", "how a document becomes input", "side"),
    _recipe("pooling", "pooling of the recipe", type="text"),
    _recipe("normalise", "vectors are scaled to length 1", type="bool"),
    _recipe("similarity", "similarity of the recipe", type="text"),
    _recipe("append", "token that is added to every sequence"),
    _recipe("padding_side", "side of the padding"),
    _recipe("pad_to_max_length", "every sequence is padded to its longest"),
    _recipe("attention_mask", "the model is given an attention mask"),
    _recipe("token_type_ids", "token type ids are given"),
    _recipe("instruction", "default instruction", "code"),
    _recipe("instructions", "instructions by benchmark", "pairs"),
    _recipe("precomputed", "published vectors", address="{}"),
    _recipe("check", "first components that a right set-up gives", "vector"),
    _recipe("requires", "version the authors insist on; own-code: its own code", type="text"),
    _recipe("recipe_note", "note on the recipe", part="note", label="note"),
    _recipe("traps", "common mistakes, each with its consequence", "lines", label="watch for"),
    _training("runnable", "it can be trained here: yes, needs (data have to be brought), no",
              label="runs here", heading="runs", width=5, marked=False),
    _training("because", "what has to be brought, or why it cannot be trained here",
              marked=False),
    _training("training_pairs", "where its pairs are from: judged, given, title-abstract,"
              " sentence, conclusion, mesh, citations", part="pairs", label="pairs"),
    _training("loss", "contrastive, triplet, margin-mse, kl, mesh, scores"),
    _training("teacher", "the model whose scores are distilled"),
    _training("training_negatives", "in-batch, mined, given or citations", part="negatives",
              label="negatives"),
    _training("negatives_each", "hard negatives of each pair", "number",
              label="hard negatives each"),
    _training("negatives_by", "the search that mines them", label="mined by"),
    _training("batch", "pairs of a step", "number"),
    _training("learning_rate", "learning rate at its height", "number"),
    _training("warmup", "share of the steps in which it rises", "number", label="warm-up"),
    _training("epochs", "times that the data are seen", "number"),
    _training("steps", "steps of the optimiser, in place of epochs", "number"),
    _training("temperature", "what similarities are divided by in the loss", "number"),
    _training("margin", "of the triplet loss", "number"),
    _training("mesh_weight", "weight of the contrastive term beside the regression", "number",
              label="weight of the contrastive term"),
    _training("mesh_threshold", "label similarity above which documents are positives", "number",
              label="positives above"),
    _training("query_length", "tokens of a query that are read", "number"),
    _training("document_length", "tokens of a document that are read", "number"),
    _training("weight_decay", "weight decay", "number"),
    _training("lora", "the adapter that is trained in place of all weights", label="LoRA",
              compute=_lora),
    _training("precision", "float32, bf16 or float16"),
    _training("seed", "seed", "number"),
)  # fmt: skip

TABLE = FieldTable(_ROWS)
"""The fields. `Entry.extra` holds those that no struct of `models` has."""

LISTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "paper": (("name", "year", "venue", "arxiv"), ("title", "doi", "pmid", "authors")),
    "model": (
        ("name", "role", "params", "dimension", "max_tokens", "licence", "hub"),
        ("encoders", "year"),
    ),
    "dataset": (("name", "use", "size", "licence"), ("records", "hub")),
    "benchmark": (
        ("name", "task", "domain", "queries", "documents", "metric", "results"),
        ("type",),
    ),
    "recipe": (("model", "params", "runnable", "method", "best", "paper"), ("name", "year")),
    "milestone": (("year", "name", "era", "summary"), ()),
    "step": (("number", "name", "commands"), ("expect",)),
    "": (("kind", "name", "year", "summary"), ()),
}
"""By kind ("" for several): the columns of its list in order, and those of CSV alone."""

APP_LISTS: dict[str, tuple[tuple[str, int, int], ...]] = {
    "model": (
        ("name", 25, 6), ("role", 9, 5), ("params", 7, 0), ("year", 5, 0), ("dimension", 6, 0),
        ("licence", 12, 3), ("max_tokens", 7, 0),
    ),
    "benchmark": (
        ("name", 18, 2), ("queries", 8, 0), ("documents", 10, 0), ("metric", 10, 1),
        ("task", 14, 2), ("results", 8, 0),
    ),
    "recipe": (
        ("name", 13, 2), ("params", 6, 0), ("method", 15, 3), ("best", 12, 3), ("runnable", 5, 0),
        ("paper", 11, 0),
    ),
    "dataset": (("name", 18, 1), ("use", 16, 2), ("size", 16, 4), ("licence", 8, 2)),
    "milestone": (("year", 5, 0), ("name", 22, 3), ("era", 12, 1)),
    "step": (("number", 5, 0), ("name", 43, 1), ("commands", 30, 6)),
}  # fmt: skip
"""By kind, where a narrow list in the app needs another order than `LISTS`: field, least cells,
share of the cells that are left; the last ones are omitted first."""


# Filtering and sorting ------------------------------------------------------------------------


def make_filter(entries: Iterable[AnyEntry], catalogue: Catalogue) -> Filter:
    """The filter over these entries, in their order; a value is read when a condition needs it."""
    from bioretrieval_tui.query import Filter, Row

    def row(entry: AnyEntry) -> Row:
        words = [entry.id, getattr(entry, "title", None) or "", entry.summary]
        text = " ".join([*words, *getattr(entry, "hub", ())])
        by_name = TABLE.by_name
        return Row(entry.id, entry.name, entry.tags, text,
                   lambda name: by_name[name].read(entry, catalogue))  # fmt: skip

    return Filter([row(entry) for entry in entries], TABLE.schema)


def filtered(entries: Sequence[AnyEntry], expression: str, catalogue: Catalogue) -> list[AnyEntry]:
    """The entries that match an expression, best first if it has bare words. Raises FilterError:
    the expression does not parse."""
    if not expression.strip():
        return list(entries)
    return [entries[i] for i in make_filter(entries, catalogue).apply(expression)]


def ordered(
    entries: Iterable[AnyEntry], field: str, catalogue: Catalogue, *, reverse: bool = False
) -> list[AnyEntry]:
    """Entries by the listed value of a field, ascending; those without a value are always last.
    Raises UsageError: there is no such field; the nearest is named."""
    row = TABLE.by_name[field_name(field)]
    keyed = [(_sort_key(row, row.cell(entry, catalogue), catalogue), entry) for entry in entries]
    known = [(key, entry) for key, entry in keyed if key is not None]
    known.sort(key=lambda pair: pair[0], reverse=reverse)
    return [entry for _, entry in known] + [entry for key, entry in keyed if key is None]


def _sort_key(row: EntryField, found: Any, catalogue: Catalogue) -> tuple[int, Any] | None:
    """Numbers by size, names by the name, everything else by its folded text."""
    if found in (None, "", ()):
        return None
    if isinstance(found, int | float):
        return (0, found)
    texts = [str(each) for each in (found if isinstance(found, tuple) else (found,))]
    if row.form == "names":
        texts = [catalogue.names.get(text, text) for text in texts]
    return (1, " ".join(texts).casefold())


def field_name(field: str) -> str:
    """The name of a field given by name or alias. Raises UsageError: there is none; the nearest is
    named."""
    row = TABLE.by_name.get(field.casefold())
    if row is not None:
        return row.name
    known = [row.name for row in TABLE.rows if row.type]
    hint = did_you_mean(field.casefold(), known, f"fields: {LISTED}", cutoff=0.4)
    raise UsageError(f"no field is called '{field}'", remedy=hint)


def reference() -> str:
    """docs/fields.md: every field as a Markdown table."""
    lines = [
        "# Fields",
        "",
        "The fields of catalogue entries; `scripts/references.py` writes this page from the table",
        "in `catalog/fields.py`. A field with a type can be filtered by, under its name or one of",
        "the others that it has: see [filter.md](filter.md).",
        "",
        "| field | label | type | also | of | what it holds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in TABLE.rows:
        kinds = "all" if row.kinds == KINDS else ", ".join(row.kinds)
        also = ", ".join(f"`{alias}`" for alias in row.aliases)
        cells = (f"`{row.name}`", row.title, row.type or "", also, kinds, row.doc)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
