"""One training, from a request to a model: examples, negatives, base scores, weights, scores.

The `train` verb and jobs both call `train`. Everything that a run has done is kept in the folder of
the model, so that a run that was killed goes on where it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from bioretrieval_tui.catalog.models import Encoding, PairKind
from bioretrieval_tui.documents.checksum import remembered_sha256
from bioretrieval_tui.documents.detect import resolve
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.device import pick
from bioretrieval_tui.encoding.encoder_registry import recipe_of
from bioretrieval_tui.encoding.model_files import files_of
from bioretrieval_tui.encoding.recipe import parts_of
from bioretrieval_tui.errors import (
    BioRetrievalError,
    CorpusError,
    ModelError,
    NotFoundError,
    UsageError,
)
from bioretrieval_tui.evaluation import metrics, records
from bioretrieval_tui.evaluation.benchmark import find_parts, read_benchmark
from bioretrieval_tui.evaluation.runner import (
    RERANK,
    EvaluationReport,
    EvaluationRequest,
    ensure_index,
    evaluate_folder,
)
from bioretrieval_tui.index import layout
from bioretrieval_tui.index.build import build_for_model
from bioretrieval_tui.index.registry import OpenIndex, index_names, manifest_of, open_index
from bioretrieval_tui.paths import file_errors, save_file
from bioretrieval_tui.progress import Progress, Reporter, silent
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.federated import Federation
from bioretrieval_tui.training import examples as made
from bioretrieval_tui.training import own_models
from bioretrieval_tui.training.citation_examples import citation_pairs
from bioretrieval_tui.training.contamination import Overlap, TrainedTexts
from bioretrieval_tui.training.examples import Example, ExampleSet, InputSum
from bioretrieval_tui.training.losses import check_negatives
from bioretrieval_tui.training.mesh_examples import THRESHOLD, mesh_pairs
from bioretrieval_tui.training.negatives import mine
from bioretrieval_tui.training.own_models import BenchmarkChange, Fitted, Lineage
from bioretrieval_tui.training.reranker_training import (
    check_reranker,
    reranking_task,
    starting_recipe,
    trainable_reranker,
)
from bioretrieval_tui.training.several_devices import even_batch
from bioretrieval_tui.training.teachers import (
    DISTILLED,
    SEARCHES,
    check_teacher,
    has_scores,
    model_teacher,
    search_teacher,
    teach,
)
from bioretrieval_tui.training.trainable_models import kind_of_base, trainable_model
from bioretrieval_tui.training.trainer import (
    MEASURED_STEPS,
    Task,
    finish_early,
    fit,
    measure,
    mix,
    retrieval_task,
    steps_of,
    weights_of,
)
from bioretrieval_tui.training.training_request import TrainingPlan, TrainingRequest
from bioretrieval_tui.training.training_watch import MOST_WATCHED, between_looks, clear
from bioretrieval_tui.util.formatting import install_command, size

DISTRACTORS = 6
"""Hard negatives of a held-out query, half of them by BM25."""
SHOWN = 10
"""Examples that are shown before anything starts."""
HYBRID = "hybrid"
MODES: tuple[str, ...] = ("dense", HYBRID)
"""What benchmarks are run in, before and after."""
_FITTED = "fitted.json"
_BACKWARD = 3.0
"""Time of a training step in that of encoding the same texts."""
_LIBRARIES = ("accelerate", "datasets", "peft")
_FULL, _ADAPTER = 16, 5
"""Bytes that a weight takes in training: itself, gradient and two moments in float32; with an
adapter, the frozen weight and some."""

Remark = Callable[[str], None]


class Prepared(NamedTuple):
    """What a run would train on: the examples, those trained on and those held out, the index that
    negatives are mined from (or ""), and its cost."""

    data: ExampleSet
    train: list[Example]
    held: list[Example]
    mined_from: str
    steps: int
    memory: int
    weights: int


# Before ---------------------------------------------------------------------------------------


def prepare(
    request: TrainingRequest,
    reporter: Reporter = silent,
    remark: Remark = lambda _: None,
    *,
    mines: bool = True,
) -> Prepared:
    """Read what is trained on and check that the run can begin; no model is loaded unless an index
    has to be built. mines: an index that has to be built gets the vectors that mining takes.

    Raises UsageError: nothing to train on is named, or there is no such kind of pairs, or the loss
    needs negatives or a teacher's scores; CorpusError: no pair is left; NotFoundError; ModelError:
    the base or the teacher is not here, or the base is too large for the memory."""
    settings = request.settings
    weights, need = check_request(request)
    data, index = _examples(request, reporter, remark, mines=mines)
    if settings.negatives != "mined" or not index:
        check_negatives(settings, data.examples)
    encoding = request.teacher_encoding
    check_teacher(settings, request.teacher, encoding, data.examples, index)
    if len(data.examples) == 1 and not data.examples[0].negatives and not index:
        remedy = "give more pairs, or pairs with negatives"
        raise CorpusError("one pair teaches nothing: there is no other to tell it from",
                          remedy=remedy)  # fmt: skip
    train, held = made.held_out(data.examples, settings.held_out or 0.0, settings.seed or 0)
    steps = steps_of(settings, len(train))
    if (seen := steps * (settings.batch or 32)) < len(train):  # of the rest nothing is mined
        train = random.Random(settings.seed or 0).sample(train, seen)  # noqa: S311 - no secret
    return Prepared(data, train, held, index, steps, need, weights)


def check_request(request: TrainingRequest) -> tuple[int, int]:
    """The number of the base's weights, and the bytes of memory that training them takes. Raises as
    `prepare` does where no text has to be read for it."""
    require_libraries()
    settings, recipe = request.settings, encoding_of(request)
    if reranks(request):
        check_reranker(settings, fresh=_is_new(request), mixed=settings.mix is not None)
    query, _ = parts_of(request.base, recipe)
    files = files_of(query)
    _judged_folder(request)
    weights = sum(path.stat().st_size for path in files.folder.glob("*.safetensors")) // 4
    need = weights * (_FULL if settings.lora is None else _ADAPTER)
    if (have := _memory()) and need > have:
        raise ModelError(
            f"training {request.base} takes some {need / 2**30:.1f} GiB of memory,"
            f" and {have / 2**30:.1f} GiB are there",
            remedy="--set lora=yes, or a smaller base",
        )
    return weights, need


def encoding_of(request: TrainingRequest) -> Encoding:
    """How the model will encode. Raises ModelError: it is not known, or the base cannot become what
    the settings say."""
    if reranks(request):
        return starting_recipe(request.base, request.encoding)
    return recipe_of(request.base, request.encoding)


def reranks(request: TrainingRequest) -> bool:
    """Whether a cross-encoder is trained."""
    return request.settings.kind == "reranker"


def _is_new(request: TrainingRequest) -> bool:
    """Whether a reranker is trained from a model that is none."""
    return reranks(request) and kind_of_base(request.base, request.encoding) == "retriever"


def _to_train(request: TrainingRequest, recipe: Encoding) -> tuple[Any, Callable[..., Task]]:
    """The model to train, and how."""
    if not reranks(request):
        return trainable_model(request.base, recipe), retrieval_task
    fresh = _is_new(request)
    model = trainable_reranker(request.base, recipe, request.settings, fresh=fresh)
    return model, partial(reranking_task, fresh=fresh)


def _model_to_train(request: TrainingRequest, recipe: Encoding) -> Any:
    """The model alone, for a process of another device."""
    return _to_train(request, recipe)[0]


def _retriever(request: TrainingRequest) -> tuple[str, Encoding]:
    """The model whose index is mined, and searched before anything is reranked: the base, or for a
    reranker the embedded model."""
    if reranks(request):
        return embedded.MODEL_ID, embedded.RECIPE
    return request.base, request.base_encoding or encoding_of(request)


def _memory() -> int:
    """Bytes of memory that can be had, what caches hold too; 0 where that cannot be told."""
    with contextlib.suppress(OSError):  # not Linux
        told = Path("/proc/meminfo").read_text("ascii")
        if found := re.search(r"^MemAvailable:\s*(\d+) kB$", told, re.MULTILINE):
            return int(found[1]) * 1024
    return 0


def _examples(
    request: TrainingRequest, reporter: Reporter, remark: Remark, *, mines: bool
) -> tuple[ExampleSet, str]:
    """The examples, and the index that holds the documents."""
    folder = _judged_folder(request)
    if request.pairs:
        return made.file_pairs(Path(request.pairs)), ""
    kind, judged = request.settings.pairs or "judged", folder is not None
    folder = folder or Path(request.on).expanduser()
    index = _index_of(request, folder, judged, reporter, remark, mines=mines)
    opened = open_index(index, vectors=False)
    with contextlib.closing(opened):
        documents, named = opened.documents, request.on
        manifest = layout.index_folder(index) / layout.MANIFEST
        sums = [InputSum(index, remembered_sha256(manifest))]
        if kind == "judged":
            found = read_benchmark(folder, request.split)
            labels = documents.labels(found.judged())
            corpus = dict(zip(labels, documents.get([*labels.values()]), strict=True))
            return made.judged_pairs(folder, corpus, request.split), index
        seed, texts = request.settings.seed or 0, _live(opened, reporter)
        if kind == "title-abstract":
            return made.title_pairs(texts, named, sums), index
        if kind == "sentence":
            return made.sentence_pairs(texts, named, sums, seed=seed), index
        if kind == "conclusion":
            return made.conclusion_pairs(texts, named, sums), index
        each = request.settings.negatives_each or 1
        if kind == "mesh":
            threshold = request.settings.mesh_threshold or THRESHOLD
            alike = mesh_pairs(texts, named, sums, negatives=each, threshold=threshold, seed=seed)
            return alike, index
        if kind == "citations":
            return citation_pairs(texts, named, sums, negatives=each, seed=seed), index
    raise UsageError(
        f"pairs of the kind {kind} are not made from {request.on}",
        remedy=f"--set pairs={', '.join(get_args(PairKind))}; --pairs FILE for given ones",
    )


def _judged_folder(request: TrainingRequest) -> Path | None:
    """The folder of the benchmark that is trained on, None for anything else. Raises UsageError and
    NotFoundError: there is nothing to train on, or it has no such judgements."""
    if request.pairs:
        if request.on:
            raise UsageError("--on and --pairs are two sources", remedy="leave one out")
        if not Path(request.pairs).is_file():
            raise NotFoundError(f"there is no file {request.pairs}")
        return None
    if not request.on:
        remedy = "--on INDEX, a benchmark's folder or a file, or --pairs FILE"
        raise UsageError("nothing to train on is named", remedy=remedy)
    folder = Path(request.on).expanduser()
    judged = folder.is_dir() and _is_benchmark(folder)
    if not (judged or folder.exists() or request.on in index_names()):
        names = ", ".join(index_names()) or "none yet"
        what = f"{request.on} is no index, folder or file"
        raise NotFoundError(what, remedy=f"indexes: {names}")
    if (request.settings.pairs or "judged") == "judged":
        if not judged:
            remedy = "pairs that texts hold: --set pairs=title-abstract, sentence or conclusion"
            raise UsageError(f"{request.on} has no judgements to train on", remedy=remedy)
        _check_split(folder, request.split)
    return folder if judged else None


def _check_split(folder: Path, split: str) -> None:
    """Raise NotFoundError where a benchmark has no such judgements, with what it has."""
    try:
        find_parts(folder, split)
    except NotFoundError as error:
        if error.remedy is None or not error.remedy.startswith("its splits: "):
            raise
        there = error.remedy.removeprefix("its splits: ").replace(", ", " or ")
        remedy = f"--split {there}; or pairs of its texts: --set pairs=title-abstract"
        raise NotFoundError(error.message, remedy=remedy) from error


def _is_benchmark(folder: Path) -> bool:
    try:
        return bool(find_parts(folder, None).splits)
    except NotFoundError as error:
        return "its splits" in (error.remedy or "")
    except BioRetrievalError:
        return False


def _index_of(
    request: TrainingRequest,
    place: Path,
    judged: bool,
    reporter: Reporter,
    remark: Remark,
    *,
    mines: bool,
) -> str:
    """The index of what is trained on, built if there is none."""
    settings = request.settings
    dense = settings.negatives == "mined" and settings.negatives_by != "lexical"
    dense = dense or (settings.loss in DISTILLED and settings.teacher in ("hybrid", "dense"))
    dense = dense and mines
    if request.on in index_names():
        return request.on
    model, recipe = _retriever(request)
    if judged:
        benchmark = read_benchmark(place, request.split)
        return ensure_index(
            benchmark, model, recipe, vectors=dense, device=request.device, reporter=reporter
        )
    inputs = resolve([str(place)])
    sums = made.sums_of(path for path in inputs.files if path is not None)
    digest = hashlib.sha256("".join(one.sha256 for one in sums).encode()).hexdigest()[:8]
    name = f"eval-{records.slug(place.stem, 40) or 'texts'}-{digest}"
    # A plan that was only looked at left one without vectors.
    if name not in index_names() or (dense and not manifest_of(name).encoded):
        remark(f"an index of {request.on} is built once: {name}")
        build_for_model(
            name, [str(place)], model, recipe, lexical=not dense, device=request.device,
            reporter=reporter,
        )  # fmt: skip
    return name


def _live(index: OpenIndex, reporter: Reporter) -> Iterator[Document]:
    for done, document in enumerate(index.living()):
        if done % 512 == 0:
            reporter(Progress("reading documents", done, index.manifest.documents))
        yield document


def plan(
    request: TrainingRequest, reporter: Reporter = silent, remark: Remark = lambda _: None
) -> TrainingPlan:
    """What a training would do; its speed and memory are measured on some steps, with other
    documents in the place of negatives that are mined, and without asking a teacher. Raises as
    `prepare` and `trainer.fit`."""
    own_models.check_new_name(request.name)
    require_libraries()
    settings, recipe = request.settings, encoding_of(request)
    names = pick(request.device).split(",")
    prepared = prepare(request, reporter, remark, mines=False)
    train = prepared.train
    if settings.negatives == "mined":
        others = [one.positive for one in train]
        train = [one._replace(negatives=(others[at - 1],)) for at, one in enumerate(train)]
    if settings.loss in DISTILLED:
        train = [one._replace(scores=(1.0, *[0.0] * len(one.negatives))) for one in train]
    reporter(Progress("measuring the speed", 0, MEASURED_STEPS, unit="steps"))
    model, task = _to_train(request, recipe)
    share = even_batch(settings.batch or 32, len(names), len(train)) // len(names)
    part = msgspec.structs.replace(settings, batch=share)
    measured = measure(model, recipe, part, train, reporter, device=names[0], task_of=task)
    texts = share * (2 + (settings.negatives_each or 0 if train[0].negatives else 0))
    ranked = min(MOST_WATCHED, len(prepared.held) * (1 + DISTRACTORS)) + len(prepared.held)
    look = measured.seconds / texts / _BACKWARD * ranked
    looks = prepared.steps // between_looks(prepared.steps) + 2 if prepared.held else 0
    return TrainingPlan(
        data=prepared.data.description,
        pairs=len(train),
        held=len(prepared.held),
        skipped=dict(prepared.data.skipped),
        examples=tuple(
            (one.query, made.text_of(one.positive), len(one.negatives))
            for one in prepared.train[:SHOWN]
        ),
        steps=prepared.steps,
        step_seconds=measured.seconds,
        look_seconds=look * looks,
        seconds=measured.seconds * prepared.steps + look * looks,
        memory=measured.memory,
        disk=prepared.weights * _FULL * 2,
        device=",".join(names),
    )


def require_libraries() -> None:
    """Raises BioRetrievalError: what the extra `train` installs is not there."""
    lacking = [name for name in _LIBRARIES if find_spec(name) is None]
    if lacking:
        said = f"training needs {', '.join(lacking)}"
        raise BioRetrievalError(said, remedy=f"run: {install_command('train')}")


# Training ---------------------------------------------------------------------------------------


def train(
    request: TrainingRequest,
    reporter: Reporter = silent,
    remark: Remark = lambda _: None,
    *,
    finish: bool = False,
) -> Lineage:
    """Train a model and evaluate it before and after. A run of the same request that was ended goes
    on; finish: it takes the weights that did best so far.

    Raises as `prepare`, `evaluate_folder` and `fit` do, and what `reporter` raises; UsageError:
    the name is taken, or by an unfinished run of another request; BioRetrievalError: the disk has
    too little space, or another process trains it."""
    folder = own_models.check_new_name(request.name)
    require_libraries()
    with own_models.training_lock(request.name, f"{request.name} cannot be trained"):
        return _train(request, folder, reporter, remark, finish=finish)


def _train(
    request: TrainingRequest, folder: Path, reporter: Reporter, remark: Remark, *, finish: bool
) -> Lineage:
    work = folder / own_models.WORK
    goes_on = _goes_on(request, work)
    if goes_on and not finish:
        remark(f"the training of {request.name} goes on")
    prepared = prepare(request, reporter, remark)
    place = next(one for one in (work, *work.parents) if one.exists())
    space, needed = shutil.disk_usage(place).free, prepared.weights * _FULL * 2
    if space < needed:
        said = f"checkpoints take some {size(needed)}, and {size(space)} are free in {place}"
        raise BioRetrievalError(said, remedy="free space")
    if not goes_on:
        clear(work)
        save_file(work / own_models.REQUEST, msgspec.json.encode(request), "the request")
    recipe = encoding_of(request)
    examples, held, negatives = prepared.train, prepared.held, ""
    if prepared.mined_from and request.settings.negatives == "mined":
        examples, held, negatives = _mined(request, prepared, reporter, remark)
    examples, taught = _taught(request, examples, prepared.mined_from, reporter, remark)
    overlaps = _overlaps(request, [*examples, *held], reporter)
    for one in overlaps:
        remark(one.line())
    before = _evaluated(request, request.base, reporter, remark, base=True)
    kept = work / _FITTED
    if kept.is_file():
        fitted = msgspec.json.decode(kept.read_bytes(), type=Fitted)
    else:
        remark(
            f"{len(examples):,} pairs, {len(prepared.held):,} held out, {prepared.steps:,} steps"
        )
        model, task = _to_train(request, recipe)
        share = request.settings.mix or 1.0
        base = weights_of(model) if share < 1.0 else {}
        fitted = finish_early(model, request.settings, work) if finish else fit(
            model, recipe, request.settings, examples, held, work, reporter,
            device=pick(request.device), task_of=task,
            load=partial(_model_to_train, request, recipe),
        )  # fmt: skip
        if base:
            mix(model, base, share)
        _save(model, folder)
        save_file(kept, msgspec.json.encode(fitted), "the outcome of the training")
    after = _evaluated(request, str(folder), reporter, remark)
    query, _ = parts_of(request.base, recipe)
    lineage = Lineage(
        format=own_models.FORMAT,
        name=request.name,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        base=request.base,
        revision=files_of(query).revision,
        encoding=own_models.nameless(recipe),
        settings=request.settings,
        origins=request.origins,
        data=prepared.data.description,
        inputs=prepared.data.inputs,
        pairs=len(examples),
        held=len(prepared.held),
        fitted=fitted,
        hardware=records.hardware(pick(request.device)).replace("queries on", "trained on"),
        versions=records.versions(),
        base_entry=request.base_entry,
        recipe=request.recipe,
        licence=request.licence,
        skipped=dict(prepared.data.skipped),
        negatives=negatives,
        teacher=taught,
        outcomes=tuple(_outcomes(before, after)),
        overlaps=tuple(overlaps),
    )
    own_models.keep_lineage(folder, lineage)
    with contextlib.suppress(OSError):
        shutil.rmtree(work)
    return lineage


def _goes_on(request: TrainingRequest, work: Path) -> bool:
    """Whether an unfinished training of the same request is there. Raises UsageError: it is of
    another one."""
    path = work / own_models.REQUEST
    if not path.is_file():
        return False
    if path.read_bytes() != msgspec.json.encode(request):
        raise UsageError(
            f"an unfinished training of {request.name} had other settings",
            remedy=f"use another --name, or: bioretrieval-tui train remove {request.name}",
        )
    return True


def _mined(
    request: TrainingRequest, prepared: Prepared, reporter: Reporter, remark: Remark
) -> tuple[list[Example], list[Example], str]:
    """The examples to train on and those held out, with negatives, and a sentence about them.

    What is held out is ranked among documents that BM25 and the base find, whatever their scores.
    Without those of the base nothing is seen of what the training teaches; those alone that it
    ranks below the answer would make it look better than any model trained from it."""
    settings = request.settings
    encoded = manifest_of(prepared.mined_from).encoded
    if settings.negatives_by != "lexical" and not encoded:
        remark(f"{prepared.mined_from} has no vectors: negatives are mined by BM25")
        settings = msgspec.structs.replace(settings, negatives_by="lexical")
    watching: list[tuple[Literal["lexical", "dense"], int]] = [("lexical", DISTRACTORS)]
    if encoded:
        watching = [("lexical", DISTRACTORS // 2), ("dense", DISTRACTORS)]
    held: Sequence[Example] = prepared.held
    with _searching(prepared.mined_from, request, reporter) as index:
        found = mine(prepared.train, index, settings, reporter)
        for by, each in watching if held else ():
            how = msgspec.structs.replace(
                settings, negatives_each=each, negatives_by=by, negatives_margin=None
            )
            held = mine(held, index, how, reporter).examples
    remark(found.line())
    said = f"{found.line()}, mined by {settings.negatives_by} search."
    return list(found.examples), list(held), said


@contextlib.contextmanager
def _searching(name: str, request: TrainingRequest, reporter: Reporter) -> Iterator[Federation]:
    def opened(name: str) -> SearchEngine:
        return SearchEngine.open(name, device=request.device, reporter=reporter, ready=False)

    index = Federation([name], opened)
    try:
        yield index
    finally:
        for engine in index.engines.values():
            engine.close()


def _taught(
    request: TrainingRequest,
    examples: Sequence[Example],
    index: str,
    reporter: Reporter,
    remark: Remark,
) -> tuple[list[Example], str]:
    """The examples with the scores of the teacher, where the loss needs them, and a sentence."""
    loss, teacher = request.settings.loss, request.settings.teacher
    if loss not in DISTILLED:
        return list(examples), ""
    if teacher is None or (request.pairs and all(map(has_scores, examples))):
        said = "The scores are those of the pairs; no teacher was asked."
        return list(examples), said
    with contextlib.ExitStack() as held:
        if teacher in SEARCHES:
            asked = search_teacher(
                held.enter_context(_searching(index, request, reporter)), teacher
            )
        else:
            encoding, device = request.teacher_encoding, request.device
            asked = model_teacher(request.teacher, encoding, device, teacher)
        found = teach(examples, asked, reporter)
    remark(found.line())
    return found.examples, f"{found.scores:,} scores by {found.teacher}."


def _save(model: Any, folder: Path) -> None:
    """Write the model's files beside those of the run."""
    beside = folder / "model.part"
    shutil.rmtree(beside, ignore_errors=True)
    with file_errors(f"the model cannot be saved in {folder}", remedy="free space, and repeat"):
        model.save(str(beside), create_model_card=False, safe_serialization=True)
        for path in beside.iterdir():
            target = folder / path.name
            if target.is_dir():
                shutil.rmtree(target)
            path.replace(target)
        beside.rmdir()


# Benchmarks -------------------------------------------------------------------------------------


def _evaluated(
    request: TrainingRequest,
    model: str,
    reporter: Reporter,
    remark: Remark,
    *,
    base: bool = False,
) -> list[EvaluationReport]:
    """The scores on each benchmark of the base, or of what was trained. A reranker reads what
    hybrid search finds: before, that search alone counts, and the base, if it is a reranker."""
    modes, reranker, reads = MODES, None, None
    if reranks(request):
        reranker, reads = model, encoding_of(request)
        whole = not base or not _is_new(request)
        modes = ((HYBRID,) if base else ()) + ((RERANK,) if whole else ())
        model, recipe = _retriever(request)
    else:
        recipe = (request.base_encoding if base else None) or encoding_of(request)
    reports = []
    for folder in request.benchmarks:
        asked = EvaluationRequest(
            folder=folder, modes=modes, model=model, device=request.device,
            recipe=None if model == embedded.MODEL_ID else recipe,
            reranker=reranker, reranker_recipe=reads,
        )  # fmt: skip
        report = evaluate_folder(asked, reporter)
        scores = ", ".join(f"{one.mode} {one.metrics[metrics.MAIN]:.4f}" for one in report.runs)
        named = Path(reranker or model).name
        remark(f"{report.benchmark} {report.split}, {named}: {metrics.MAIN} {scores}")
        reports.append(report)
    return reports


def _outcomes(
    before: Sequence[EvaluationReport], after: Sequence[EvaluationReport]
) -> Iterator[BenchmarkChange]:
    """Each run before beside that of the same mode after; for a reranker, all beside the one."""
    for one, other in zip(before, after, strict=True):
        runs = {run.mode: run for run in other.runs}
        for first in one.runs:
            second = runs.get(first.mode) or other.runs[0]
            same = first.mode == second.mode
            mode = first.mode if same else f"{first.mode}, then {second.mode}"
            pair = records.find(first.record), records.find(second.record)
            values = pair[0].per_query, pair[1].per_query
            compared = metrics.compare("before", "after", values)
            yield BenchmarkChange(
                one.benchmark, one.split, mode, first.metrics[metrics.MAIN],
                second.metrics[metrics.MAIN], compared.p, one.queries, (pair[0].id, pair[1].id),
            )  # fmt: skip


def _overlaps(
    request: TrainingRequest, examples: Sequence[Example], reporter: Reporter
) -> list[Overlap]:
    """What each benchmark shares with the training data, negatives and held-out examples too."""
    if not request.benchmarks:
        return []
    trained, found = TrainedTexts(examples), []
    for folder in request.benchmarks:
        benchmark = read_benchmark(Path(folder))
        model, recipe = _retriever(request)
        name = ensure_index(benchmark, model, recipe, device=request.device, reporter=reporter)
        opened = open_index(name, vectors=False)
        with contextlib.closing(opened):
            title = f"{benchmark.parts.name} {benchmark.parts.split}"
            texts = opened.living()
            found.append(trained.overlap(title, benchmark.queries, benchmark.judgements, texts))
    return found
