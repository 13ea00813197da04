"""The board's data: `python scripts/board.py` writes data/board.jsonl, for `make board`.

The source is two local clones, of mteb's results and of mteb itself, read with git plumbing at one
commit each; or an extraction of them, a folder with scores.csv.gz (one row a score), models.jsonl
(what mteb declares of a model) and README.md (which names the two commits). The same input gives
the same bytes. Where the input is faulty, each fault is one line and data/board.jsonl stays as it
was. `catalog/board.py` reads the file and describes its lines.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from langcodes import standardize_tag

from bioretrieval_tui.paths import write_atomically
from mteb_models import read_models

BOARD = Path(__file__).resolve().parent.parent / "data" / "board.jsonl"
FORMAT = 1
RESULTS, MTEB = "embeddings-benchmark/results", "embeddings-benchmark/mteb"
LICENCES = {RESULTS: "CC0-1.0", MTEB: "Apache-2.0"}

KINDS = ("run", "no-revision", "self-reported")
"""Kinds of score, best first; a score's line has the position."""
FOLDERS = {"no-revision": "no_revision_available", "self-reported": "external"}
"""Folder of a kind in the results repository; that of a run is named after the revision."""

TASKS = {
    "nDCG@10": """BrightBiologyRetrieval BrightProBiologyRetrieval BrightRetrieval CUREv1
        ChatDoctorRetrieval CmedqaRetrieval CovidRetrieval EnglishHealthcare1Retrieval
        GermanHealthcare1Retrieval LitSearchRetrieval MedicalQARetrieval MedicalRetrieval NFCorpus
        NanoNFCorpusRetrieval NanoSCIDOCSRetrieval NanoSciFactRetrieval PublicHealthQA
        R2MEDBioinformaticsRetrieval R2MEDBiologyRetrieval R2MEDIIYiClinicalRetrieval
        R2MEDMedQADiagRetrieval R2MEDMedXpertQAExamRetrieval R2MEDMedicalSciencesRetrieval
        R2MEDPMCClinicalRetrieval R2MEDPMCTreatmentRetrieval SCIDOCS SciFact SciFact-PL TRECCOVID
        TRECCOVID-PL""".split(),
    "nDCG@20": ["IFIRCds", "IFIRNFCorpus", "IFIRPm", "IFIRScifact"],
    "Recall@1": ["BrightBiologyLongRetrieval"],
    "MAP": ["CMedQAv1-reranking", "CMedQAv2-reranking", "SciDocsRR"],
    "V-measure": """BiorxivClusteringP2P.v2 MedrxivClusteringP2P.v2
        MedrxivClusteringS2S.v2""".split(),
    "Spearman": ["BIOSSES"],
}
"""The tasks of the board, by their main measure in mteb."""
METRICS = {task: metric for metric, tasks in TASKS.items() for task in tasks}
SIGNED = ("Spearman",)
"""Measures that go down to -1; the others to 0."""
RESULT_PATH = re.compile(
    r"results/[^/]+__[^/]+/[^/]+/(?:experiments/model_kwargs_\{\}/)?[^/]+\.json"
)
"""A result file; other experiments than that without arguments are no published scores."""
SUBSETS = {"BrightRetrieval": ("biology",)}
"""The biomedical subsets of a task that has others as well."""

SAME_SET = {
    "bright": "brightbiology",
    "brightbiologylong": "brightbiology",
    "brightlong": "brightbiology",
    "brightprobiology": "brightbiology",
    "r2medbiology": "brightbiology",  # the same queries and documents
    "cmedqa": "cmedqav2",  # CmedqaRetrieval is made from it
    "healthcaremagic": "chatdoctor",
    "ifirnfcorpus": "nfcorpus",
    "ifirscifact": "scifact",
    "medquad": "medicalqa",
    "medrixvclusteringp2p": "medrxivclusteringp2p",
    "medrixvclusterings2s": "medrxivclusterings2s",
    "multicprmedical": "medical",
    "scidocsreranking": "scidocsrr",
}
"""Sets that hold the same data under another name; the names are those of `set_name`."""

LANGUAGES = {"fil": "tl"}
"""What langcodes does not reduce to ISO 639-1."""
TYPES = {
    "dense": "bi-encoder",
    **{one: one for one in ("late-interaction", "sparse", "cross-encoder")},
}
"""Types of models by mteb's names; its routers and hybrids have none here."""
SIMILARITIES = {
    **dict.fromkeys(("cosine", "COSINE"), "cosine"),
    **dict.fromkeys(("dot", "DOT_PRODUCT"), "dot"),
    **dict.fromkeys(("MaxSim", "MAX_SIM"), "max-sim"),
}

Line = Mapping[str, Any]


class BoardFault(Exception):
    """Why there is no board: lines that each name a place and a remedy."""


@dataclass(frozen=True, slots=True)
class Published:
    """A published score. place: the file, and the line where there is one, for messages."""

    model: str
    revision: str
    kind: str
    task: str
    split: str
    subset: str
    value: float
    dataset_revision: str
    path: str
    place: str

    @property
    def usual_path(self) -> str:
        """Where a score of this model, revision, kind and task usually is."""
        folder = FOLDERS.get(self.kind, self.revision)
        name = self.model.replace("/", "__").replace(" ", "_")
        return f"results/{name}/{folder}/{self.task}.json"


@dataclass(frozen=True, slots=True)
class Source:
    """What a board is made of. commits: by repository; models: what mteb declares, by name; notes:
    what of that could not be read."""

    commits: Mapping[str, str]
    scores: list[Published]
    models: Mapping[str, Line]
    notes: tuple[str, ...] = ()


def read_extraction(folder: Path) -> Source:
    """Read an extraction.

    Raises:
        BoardFault: a file is missing, or a line of it cannot be used.
    """
    try:
        text = (folder / "README.md").read_text("utf-8")
        with gzip.open(folder / "scores.csv.gz", "rt", encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        declared = (folder / "models.jsonl").read_text("utf-8").splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        message = f"{folder}: is no extraction: {error}; name a folder with README.md, "
        raise BoardFault(message + "scores.csv.gz and models.jsonl") from error
    commits = {}
    for name in LICENCES:
        found = re.search(f"`{name}` at ([0-9a-f]{{40}})", text)
        if found is None:
            raise BoardFault(f"{folder / 'README.md'}: names no commit of {name}; add `{name}` at")
        commits[name] = found[1]
    scores, models, faults = [], {}, []
    for number, row in enumerate(rows, 2):
        place = f"{folder / 'scores.csv.gz'}:{number}"
        try:
            scores.append(_row(row, place))
        except (KeyError, TypeError, ValueError) as error:
            faults.append(f"{place}: is no score: {error!r}; extract it again")
    for number, line in enumerate(declared, 1):
        try:
            one = json.loads(line)
            models[str(one["name"])] = one
        except (ValueError, KeyError, TypeError) as error:
            place = f"{folder / 'models.jsonl'}:{number}"
            faults.append(f"{place}: describes no model: {error!r}; extract it again")
    if faults:
        raise BoardFault("\n".join(faults))
    return Source(commits, scores, models)


def _row(row: Mapping[str, str], place: str) -> Published:
    kind = KINDS[KINDS.index(row["kind"])]
    revision = "" if kind in FOLDERS else row["revision"]
    keys = ("task", "split", "subset", "dataset_revision", "path")
    texts = {key: row[key] for key in keys}
    value = float(row["main_score"])
    return Published(row["model"], revision, kind, value=value, place=place, **texts)


class Clone:
    """A commit of a local clone. Only git's object database is read, never the working tree."""

    def __init__(self, folder: Path, repository: str, commit: str) -> None:
        """Raises BoardFault: the folder is no clone, or has no such commit."""
        self.folder = folder
        self._command = ("git", "-C", str(folder))
        # A folder within another repository is no clone of its own.
        self._environment = {key: os.environ[key] for key in os.environ if key[:4] != "GIT_"}
        self._environment["GIT_CEILING_DIRECTORIES"] = str(folder.resolve().parent)
        if not self._git("rev-parse", "--git-dir"):
            raise BoardFault(f"{folder}: is no git clone; name a clone of {repository}")
        found = self._git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
        if not found:
            message = f"{folder}: has no commit {commit}; fetch it, or name one that is there"
            raise BoardFault(message)
        self.commit = found.decode().strip()

    def _git(self, *words: str) -> bytes:
        """What git prints; nothing where it fails."""
        command = [*self._command, *words]
        try:
            ended = subprocess.run(command, env=self._environment, check=False, capture_output=True)
        except FileNotFoundError as error:
            raise BoardFault("git is not installed; install it") from error
        return b"" if ended.returncode else ended.stdout

    def files(self, folder: str, pattern: re.Pattern[str]) -> dict[str, str]:
        """The object id of each file below a folder whose path matches, by path."""
        found = {}
        listing = self._git("ls-tree", "-r", "-z", "--full-tree", self.commit, "--", folder)
        for entry in listing.decode(errors="surrogateescape").split("\0")[:-1]:
            facts, _, path = entry.partition("\t")
            _, kind, name = facts.split(" ")
            if kind == "blob" and pattern.fullmatch(path):
                found[path] = name
        return found

    def contents(self, files: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
        """The path and the bytes of each file.

        Raises:
            BoardFault: the clone is partial and lacks one.
        """
        command = [*self._command, "cat-file", "--batch"]
        with tempfile.TemporaryFile() as names, tempfile.TemporaryFile() as found:
            names.write("".join(f"{name}\n" for name in files.values()).encode())
            names.seek(0)
            subprocess.run(command, env=self._environment, check=False, stdin=names, stdout=found)
            found.seek(0)
            for path in files:
                size = found.readline().rpartition(b" ")[2].strip()
                if not size.isdigit():
                    message = f"{self.folder}: lacks the content of {path}; fetch it whole"
                    raise BoardFault(message)
                yield path, found.read(int(size) + 1)[:-1]


class Cell(msgspec.Struct):
    """The scores of one split and subset in a result file."""

    main_score: float
    hf_subset: str


class Result(msgspec.Struct):
    """A result file. scores: by split."""

    scores: dict[str, list[Cell]]
    dataset_revision: str | None = None


def read_clones(results: Clone, mteb: Clone) -> Source:
    """Read the scores from one clone and the models from the other.

    Raises:
        BoardFault: a file cannot be used, or there is none.
    """
    files = {
        path: name
        for path, name in results.files("results", RESULT_PATH).items()
        if path.rpartition("/")[2].removesuffix(".json") in METRICS
    }
    modules = mteb.files("mteb/models", re.compile(r".*\.py"))
    for clone, found, name in ((results, files, RESULTS), (mteb, modules, MTEB)):
        if not found:
            message = f"{clone.folder}: holds nothing of {name} at {clone.commit}"
            raise BoardFault(f"{message}; name a clone of it")
    scores, faults = [], []
    for path, data in results.contents(files):
        try:
            scores += result_scores(path, data)
        except BoardFault as fault:
            faults.append(f"{fault}; correct it, or name another commit by --results-commit")
    sources = {path: data.decode(errors="replace") for path, data in mteb.contents(modules)}
    try:
        models, notes = read_models(sources)
    except SyntaxError as error:
        place = f"{error.filename}:{error.lineno}: is no Python: {error.msg}"
        faults.append(f"{place}; correct it, or name another commit by --mteb-commit")
    if faults:
        raise BoardFault("\n".join(faults))
    return Source({RESULTS: results.commit, MTEB: mteb.commit}, scores, models, tuple(notes))


def result_scores(path: str, data: bytes) -> list[Published]:
    """The scores of a result file.

    Raises:
        BoardFault: it is not JSON, or lacks a field.
    """
    try:
        result = msgspec.convert(json.loads(data), Result)
    except json.JSONDecodeError as error:
        raise BoardFault(f"{path}:{error.lineno}: is not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise BoardFault(f"{path}: is no result file: {error}") from error
    _, model, folder, *_, file = path.split("/")
    kind = next((kind for kind, name in FOLDERS.items() if name == folder), "run")
    return [
        Published(
            model=model.replace("__", "/", 1),
            revision="" if kind in FOLDERS else folder,
            kind=kind,
            task=file.removesuffix(".json"),
            split=split,
            subset=cell.hf_subset,
            value=cell.main_score,
            dataset_revision=result.dataset_revision or "",
            path=path,
            place=path,
        )
        for split, cells in result.scores.items()
        for cell in cells
    ]


def board(source: Source) -> bytes:
    """The bytes of data/board.jsonl.

    Raises:
        BoardFault: a score is out of its measure's range.
    """
    scores = [
        one
        for one in source.scores
        if one.task in METRICS and one.subset in SUBSETS.get(one.task, (one.subset,))
    ]
    check_ranges(scores)
    names = sorted({one.model for one in scores})
    models = [model_line(name, source.models) for name in names]
    chosen = list(choose(scores, source.models))
    revisions = sorted({one.revision for one, _ in chosen})
    datasets = sorted({_dataset_revision(one) for one, _ in chosen})
    place = {name: position for position, name in enumerate(names)}
    lines: list[Any] = list(models)
    for one, others in sorted(
        chosen, key=lambda pair: (pair[0].task, pair[0].subset, pair[0].split, place[pair[0].model])
    ):
        model = models[place[one.model]]
        unseen = one.task not in model.get("trained_on", ())
        lines.append(
            [
                *(one.task, one.subset, one.split, place[one.model], round(one.value, 5)),
                *(METRICS[one.task], KINDS.index(one.kind), revisions.index(one.revision)),
                *(unseen if model["training_declared"] else None, others),
                datasets.index(_dataset_revision(one)),
                "" if one.path == one.usual_path else one.path,
            ]
        )
    body = b"".join(map(_json_line, lines))
    header: dict[str, Any] = {"format": FORMAT}
    for key, name in (("results", RESULTS), ("mteb", MTEB)):
        facts = {"repository": name, "commit": source.commits[name], "licence": LICENCES[name]}
        header[key] = facts
    header |= {"models": len(models), "scores": len(chosen), "revisions": revisions}
    header |= {"dataset_revisions": datasets, "sha256": hashlib.sha256(body).hexdigest()}
    return _json_line(header) + body


def check_ranges(scores: Iterable[Published]) -> None:
    """Raises BoardFault: with a line for each score that its measure cannot have."""
    faults = []
    for one in scores:
        metric = METRICS[one.task]
        least = -1 if metric in SIGNED else 0
        if not least <= one.value <= 1:
            value = f"{metric} of {one.split}, {one.subset} is {one.value:g}"
            remedy = f"between {least} and 1: correct the file or leave it out"
            faults.append(f"{one.place}: {value}, which must be {remedy}")
    if faults:
        raise BoardFault("\n".join(faults))


def choose(
    scores: Iterable[Published], models: Mapping[str, Line]
) -> Iterator[tuple[Published, int]]:
    """The value to show for each model, task, split and subset, and how many others there are: a
    run of the revision that mteb names comes first, then another run, then the other kinds."""
    cells: dict[tuple[str, ...], list[Published]] = {}
    for one in scores:
        cells.setdefault((one.model, one.task, one.split, one.subset), []).append(one)
    for cell in cells.values():
        named = models.get(cell[0].model, {}).get("revision")
        first = min(cell, key=lambda one: _preference(one, named))
        yield first, len(cell) - 1


def _preference(one: Published, named: str | None) -> tuple[int, bool, bool, str, str]:
    usual = one.path == one.usual_path
    return (KINDS.index(one.kind), one.revision != named, not usual, one.revision, one.path)


def _dataset_revision(one: Published) -> str:
    return "" if one.dataset_revision == "None" else one.dataset_revision


def model_line(name: str, models: Mapping[str, Line]) -> dict[str, Any]:
    """What the board says of a model: what mteb declares of it, in the catalogue's words."""
    if name not in models:
        return {"name": name, "training_declared": False}
    declared = models[name]
    sets = training_sets(name, models)
    line = {
        "name": name,
        "revision": declared.get("revision"),
        "params": _whole(declared.get("n_parameters")),
        "embedding_params": _whole(declared.get("n_embedding_parameters")),
        "dimension": _whole(declared.get("embed_dim")),
        "max_tokens": _whole(declared.get("max_tokens")),
        "licence": _licence(declared.get("license")),
        "released": _date(declared.get("release_date")),
        "languages": languages(declared.get("languages") or ()),
        "type": _type(declared.get("model_type")),
        "similarity": SIMILARITIES.get(str(declared.get("similarity_fn_name"))),
        "memory": _whole(declared.get("memory_usage_mb")),
        "open_weights": declared.get("open_weights"),
        "instructed": declared.get("use_instructions"),
        "training_data": _address(declared.get("public_training_data")),
        "training_code": _address(declared.get("public_training_code")),
        "base": declared.get("adapted_from"),
        "superseded_by": _other(declared.get("superseded_by"), name),
        "trained_on": tasks_of(sets or ()),
        "training_declared": sets is not None,
    }
    return {key: value for key, value in line.items() if value not in (None, "", [])}


def _whole(value: object) -> int | None:
    """A count; the largest of several (dimensions that the vector can be cut to); None if it is
    not a finite number."""
    if isinstance(value, (list, tuple)):
        return max(filter(None, map(_whole, value)), default=None)
    try:
        return round(float(value))  # type: ignore[arg-type]  # what is no number raises
    except (TypeError, ValueError, OverflowError):
        return None


def _licence(text: str | None) -> str | None:
    return None if text == "not specified" else text


def _type(kinds: Sequence[str] | None) -> str | None:
    """The type; mteb's default is dense."""
    return TYPES.get((kinds or ("dense",))[0])


def _date(text: str | None) -> str | None:
    return text if text and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else None


def _address(value: str | bool | None) -> str | None:
    return "public, no address given" if value is True else value or None


def _other(successor: str | None, name: str) -> str | None:
    return None if successor == name else successor


def languages(codes: Iterable[str]) -> list[str]:
    """Languages, English first, from codes such as eng-Latn; programming languages are left out."""
    found = set()
    for code in codes:
        language, _, script = code.partition("-")
        if script != "Code":
            tag = standardize_tag(language, macro=True).partition("-")[0]
            found.add(LANGUAGES.get(tag, tag))
    return sorted(found, key=lambda tag: (tag != "en", tag))


def training_sets(name: str, models: Mapping[str, Line]) -> set[str] | None:
    """The sets that a model saw, and those of the models it was adapted from, as mteb counts them;
    None where nothing is declared of the model itself."""
    if models[name].get("training_datasets") is None:
        return None
    found: set[str] = set()
    passed: set[str] = set()
    while name in models and name not in passed:
        passed.add(name)
        found.update(models[name].get("training_datasets") or ())
        name = models[name].get("adapted_from") or ""
    return found


def tasks_of(sets: Iterable[str]) -> list[str]:
    """The board's tasks that data sets hold: by themselves, by a set that contains them or by a
    part or translation of it."""
    known = {set_name(one) for one in sets}
    return sorted(task for task in METRICS if set_name(task) in known)


def set_name(name: str) -> str:
    """The set behind a name: without marks of cuts, translations, versions and kinds of task."""
    marks = r"^nano|retrieval|hardnegatives|-reranking|-(?:pl|nl|fa|vn)\b|\.v\d+$"
    short = re.sub(marks, "", name.casefold())
    return SAME_SET.get(short, short)


def _json_line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def main(arguments: list[str]) -> int:
    """Write the board; 1 where the source is faulty."""
    parser = argparse.ArgumentParser(prog="board.py", description="Write data/board.jsonl.")
    parser.add_argument("--results", type=Path, help=f"a clone of {RESULTS}")
    parser.add_argument("--results-commit", default="HEAD", help="its commit (default: HEAD)")
    parser.add_argument("--mteb", type=Path, help=f"a clone of {MTEB}")
    parser.add_argument("--mteb-commit", default="HEAD", help="its commit (default: HEAD)")
    parser.add_argument("--extraction", type=Path, help="an extraction, in place of the clones")
    parser.add_argument("--out", type=Path, default=BOARD, help="file to write")
    options = parser.parse_args(arguments)
    if not options.extraction and not (options.results and options.mteb):
        parser.error("name two clones (--results, --mteb) or an extraction (--extraction)")
    try:
        if options.extraction:
            source = read_extraction(options.extraction)
        else:
            source = read_clones(
                Clone(options.results, RESULTS, options.results_commit),
                Clone(options.mteb, MTEB, options.mteb_commit),
            )
        data = board(source)
    except BoardFault as fault:
        sys.stderr.write(f"{fault}\n{options.out} was not changed\n")
        return 1
    write_atomically(options.out, data)
    sys.stderr.writelines(f"{note}\n" for note in source.notes)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
