"""Training itself: a model, its recipe and examples in, better weights out.

The loop, the losses and the checkpoints are those of sentence-transformers and transformers. What
stands here is the input of the model (texts filled as the recipe says), the choice of loss, what is
watched while it runs, and how a run that was killed goes on. torch and the libraries are imported
within functions.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bioretrieval_tui.catalog.models import Encoding, Lora, TrainingSettings
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import device as devices
from bioretrieval_tui.encoding.recipe import SideRecipe, side_recipe
from bioretrieval_tui.errors import BioRetrievalError, ModelError, UsageError
from bioretrieval_tui.paths import save_file
from bioretrieval_tui.progress import Progress, Reporter
from bioretrieval_tui.training.examples import Example
from bioretrieval_tui.training.own_models import Fitted, HeldOutScore
from bioretrieval_tui.training.several_devices import WHOLE, Share, fit_together, needs_processes
from bioretrieval_tui.training.teachers import DISTILLED, has_scores, rescale, score_factor
from bioretrieval_tui.training.trainable_models import prepare_tokenizer

SAVED_EVERY = 180.0
"""Seconds between checkpoints."""
WATCHES = 6
"""Times that the held-out examples are scored in a run."""
_MOST_WATCHED = 600
"""Documents among which they are ranked."""
BEST = "best.safetensors"
_STATE = "watched.json"
_MICRO = 64
"""Texts of a forward pass where gradients of a larger batch are cached."""
_CHECKPOINTS = "checkpoints"


class DivergedError(BioRetrievalError):
    """The loss is no number any more."""


def precision_of(wanted: str | None, device: str) -> str:
    """The precision that holds on a device: `wanted` where the hardware has it, else float32."""
    if wanted not in ("bf16", "float16") or (device == "cpu" and wanted == "float16"):
        return "float32"
    import torch

    if device == "cpu":
        # Emulated bf16 is slower than float32.
        native = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        return "bf16" if any(getattr(torch.cpu, one, bool)() for one in native) else "float32"
    return "bf16" if wanted == "bf16" and torch.cuda.is_bf16_supported() else "float16"


_MMAP_MAX, _TRIM_THRESHOLD = -4, -1
"""Options of glibc's mallopt(3)."""


def _speed_up(model: Any) -> None:
    """Make training on the CPU two to three times as fast, in place.

    Freed memory stays with the process: else the pages of every activation are given back and
    cleared again. Attention computes without dropout, for which torch's fused kernel on the CPU has
    no code; the dropout of the other layers stays."""
    import ctypes

    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        keep = ctypes.CDLL(None).mallopt
        keep(_MMAP_MAX, 0)
        keep(_TRIM_THRESHOLD, -1)
    for name, module in model.named_modules():
        if name.endswith("attention.self.dropout"):
            module.p = 0.0


class Texts:
    """Examples as the texts that a model reads, by its recipe."""

    def __init__(self, recipe: Encoding, settings: TrainingSettings, tokenizer: Any) -> None:
        self._query: SideRecipe = side_recipe(recipe, "query")
        self._document: SideRecipe = side_recipe(recipe, "document")
        self._separator = str(tokenizer.sep_token or "")
        self._tokenizer, self._longest = tokenizer, settings.query_length

    def query(self, text: str) -> str:
        """A query as the model reads it, cut to the length that is set for queries."""
        filled = self._query.query(text, separator=self._separator).first
        longest = self._longest
        if longest is None or len(filled) <= 2 * longest:
            return filled
        offsets = self._tokenizer(
            filled, truncation=True, max_length=longest, return_offsets_mapping=True
        )["offset_mapping"]
        return filled[: max(end for _, end in offsets)] if offsets else filled

    def document(self, document: Document) -> str:
        """A document as the model reads it."""
        return self._document.document(document, separator=self._separator).first


def columns_of(
    examples: Sequence[Example], texts: Texts, settings: TrainingSettings
) -> dict[str, list[Any]]:
    """The columns of a training set: anchor, positive, negatives, and the label that the loss
    takes. Every row has as many negatives as the settings say, or none; where an example has fewer,
    its own are repeated, and those of its neighbour are used where it has none; where a teacher's
    scores are learnt (the label holds them, positive first), it is left out then. Raises
    UsageError: the loss needs scores, or negatives, and no example has them."""
    distils = settings.loss in DISTILLED
    wanted = settings.negatives_each or 0
    if distils:
        if not any(one.negatives for one in examples):
            remedy = "set negatives=mined, or give pairs with negatives"
            raise UsageError(f"the loss {settings.loss} needs negatives", remedy=remedy)
        examples = [one for one in examples if one.negatives and has_scores(one)]
        wanted = max(1, wanted)
        if not examples:
            said = f"the loss {settings.loss} needs the scores of a teacher, which these pairs lack"
            raise UsageError(said, remedy="--set teacher=hybrid, or the name of a model")
    wanted = wanted if any(one.negatives for one in examples) else 0
    columns: dict[str, list[Any]] = {"anchor": [], "positive": []}
    for number in range(wanted):
        columns[f"negative_{number + 1}"] = []
    labels: list[Any] = []
    lent: tuple[Document, ...] = next((one.negatives for one in examples if one.negatives), ())
    for one in examples:
        columns["anchor"].append(texts.query(one.query))
        columns["positive"].append(texts.document(one.positive))
        lent = one.negatives or lent
        for number in range(wanted):
            negative = lent[number % len(lent)]
            columns[f"negative_{number + 1}"].append(texts.document(negative))
        if distils:
            first, *others = one.scores
            labels.append([first, *(others[number % len(others)] for number in range(wanted))])
        elif settings.loss == "mesh":
            labels.append(one.weight)
    if labels:
        columns["label"] = labels
    return columns


def loss_of(model: Any, settings: TrainingSettings, *, negatives: bool) -> Any:
    """The loss of sentence-transformers that the settings name, by the similarity of the model's
    vectors. Raises UsageError: it needs negatives, and there are none, or it is not of such a
    model."""
    from sentence_transformers.sentence_transformer import losses
    from sentence_transformers.util import SimilarityFunction

    named = model.similarity_fn_name
    temperature, batch = settings.temperature or 0.05, settings.batch or 32
    if settings.loss == "contrastive":
        alike = SimilarityFunction.to_similarity_fn(named)
        how = {"scale": 1 / temperature, "similarity_fct": alike}
        if batch > _MICRO:
            return losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=_MICRO, **how)
        return losses.MultipleNegativesRankingLoss(model, **how)
    if settings.loss == "mesh":
        return mesh_loss(model, settings)
    if settings.loss == "scores":
        raise UsageError("this loss trains a cross-encoder", remedy="loss=contrastive")
    if settings.loss == "triplet":
        if not negatives:
            remedy = "set negatives=mined, or give pairs with negatives"
            raise UsageError("the loss triplet needs negatives", remedy=remedy)
        metric = losses.TripletDistanceMetric
        far = metric.COSINE if named == "cosine" else metric.EUCLIDEAN
        return losses.TripletLoss(model, distance_metric=far, triplet_margin=settings.margin or 1.0)
    pairwise = SimilarityFunction.to_similarity_pairwise_fn(named)
    if settings.loss == "margin-mse":
        return losses.MarginMSELoss(model, similarity_fct=pairwise)
    return losses.DistillKLDivLoss(model, similarity_fct=pairwise, temperature=temperature)


def _similarities(
    model: Any, recipe: Encoding, queries: Sequence[str], documents: Sequence[str]
) -> Any:
    """The similarity of each query to the document at its place, float32 (n,)."""
    from sentence_transformers.util import pairwise_cos_sim, pairwise_dot_score

    both = [model.encode(list(one), show_progress_bar=False) for one in (queries, documents)]
    return (pairwise_dot_score if recipe.similarity == "dot" else pairwise_cos_sim)(*both)


def mesh_loss(model: Any, settings: TrainingSettings) -> Any:
    """The loss of BioHiCL (arXiv 2604.15591): the squared difference of cosine and label
    similarity, plus `mesh_weight` times a contrastive term over the positive and the document's own
    negatives, weighted by the label similarity."""
    import torch
    from sentence_transformers.util import pairwise_cos_sim

    temperature, weight = settings.temperature or 1.0, settings.mesh_weight or 0.0

    class MeshLoss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(
            self, sentence_features: Iterable[dict[str, torch.Tensor]], labels: torch.Tensor
        ) -> torch.Tensor:
            vectors = [self.model(one)["sentence_embedding"] for one in sentence_features]
            first, *others = vectors
            cosines = torch.stack([pairwise_cos_sim(first, one) for one in others], dim=1)
            wanted = torch.zeros_like(cosines)
            wanted[:, 0] = labels
            regression = torch.nn.functional.mse_loss(cosines, wanted)
            if len(others) < 2 or not weight:
                return regression
            ranked = torch.log_softmax(cosines / temperature, dim=1)[:, 0]
            contrast: torch.Tensor = -(labels * ranked).mean()
            return regression + weight * contrast

    return MeshLoss()


def add_lora(model: Any, lora: Lora) -> None:
    """Freeze the weights and add low-rank adapters to the linear layers, in place. Raises
    UsageError: no layer has such a name."""
    from peft import LoraConfig

    config = LoraConfig(
        r=lora.rank or 16,
        lora_alpha=lora.alpha or 32.0,
        lora_dropout=lora.dropout or 0.0,
        target_modules=list(lora.targets) or "all-linear",
    )
    try:
        model.add_adapter(config)
    except ValueError as error:
        names = sorted({name.rpartition(".")[2] for name, part in model.named_modules()
                        if type(part).__name__ == "Linear"})  # fmt: skip
        remedy = f"its linear layers: {', '.join(names)}"
        raise UsageError(f"no layer is named {', '.join(lora.targets)}", remedy=remedy) from error


def merge_lora(model: Any) -> None:
    """Add the adapters to the weights that they stand beside, and remove them, in place."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    inner = model[0].model
    for name, layer in list(inner.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            layer.merge()
            above, _, own = name.rpartition(".")
            setattr(inner.get_submodule(above), own, layer.get_base_layer())
    inner._hf_peft_config_loaded = False
    if hasattr(inner, "peft_config"):
        del inner.peft_config


def evaluator_of(
    held: Sequence[Example], texts: Texts, batch: int, *, bf16: bool = False
) -> Any | None:
    """Ranks the held-out documents for the held-out queries; nDCG@10. None without examples. bf16:
    the model computes in it; vectors are compared in float32, where fewer are equal."""
    if not held:
        return None
    import torch
    from sentence_transformers.sentence_transformer.evaluation import (
        InformationRetrievalEvaluator,
    )

    class HeldOutEvaluator(InformationRetrievalEvaluator):  # type: ignore[misc]  # untyped there
        def embed_inputs(self, model: Any, sentences: Any, *given: Any, **how: Any) -> torch.Tensor:
            with torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
                found: torch.Tensor = super().embed_inputs(model, sentences, *given, **how)
            return found.float()

    queries: dict[str, str] = {}
    numbers: dict[str, str] = {}
    corpus: dict[str, str] = {}
    relevant: dict[str, set[str]] = {}
    for one in held:
        text = texts.document(one.positive)
        number = numbers.setdefault(text, str(len(numbers)))
        corpus[number] = text
        for wrong in one.negatives if len(corpus) < _MOST_WATCHED else ():
            text = texts.document(wrong)
            corpus.setdefault(numbers.setdefault(text, str(len(numbers))), text)
        relevant.setdefault(one.query, set()).add(number)
        queries[one.query] = texts.query(one.query)
    return HeldOutEvaluator(
        queries, corpus, relevant, ndcg_at_k=[10], mrr_at_k=[10], map_at_k=[10],
        accuracy_at_k=[10], precision_recall_at_k=[10], batch_size=batch, write_csv=False,
        name="held", show_progress_bar=False,
    )  # fmt: skip


def steps_of(settings: TrainingSettings, pairs: int) -> int:
    """Steps of the optimiser for this many pairs."""
    each = math.ceil(pairs / (settings.batch or 32))
    return settings.steps or max(1, math.ceil(each * (settings.epochs or 1.0)))


class Task(NamedTuple):
    """What training takes that differs between kinds of models.

    trainer: the class of sentence-transformers; columns: of the training set; loss; evaluator: of
    the held-out examples, or None; undo: what was done to the model for training only; sampler: of
    batches; rows: of the training set, of each pair.
    """

    trainer: Any
    columns: dict[str, list[Any]]
    loss: Any
    evaluator: Any | None
    undo: Callable[[], None]
    sampler: str = "no_duplicates"
    rows: int = 1


def retrieval_task(
    model: Any,
    recipe: Encoding,
    settings: TrainingSettings,
    examples: Sequence[Example],
    held: Sequence[Example],
    *,
    bf16: bool,
) -> Task:
    """The training of a bi-encoder. Raises as `columns_of` and `loss_of` do."""
    from sentence_transformers import SentenceTransformerTrainer

    undo = prepare_tokenizer(model, recipe, settings.document_length or 10**6)
    texts = Texts(recipe, settings, model.tokenizer)
    columns = columns_of(examples, texts, settings)
    if settings.loss in DISTILLED:
        rescale(columns, score_factor(partial(_similarities, model, recipe), columns))
    loss = loss_of(model, settings, negatives="negative_1" in columns)
    evaluator = evaluator_of(held, texts, settings.batch or 32, bf16=bf16)
    return Task(SentenceTransformerTrainer, columns, loss, evaluator, undo)


def fit(
    model: Any,
    recipe: Encoding,
    settings: TrainingSettings,
    examples: Sequence[Example],
    held: Sequence[Example],
    folder: Path,
    reporter: Reporter,
    *,
    device: str = "cpu",
    task_of: Callable[..., Task] = retrieval_task,
    load: Callable[[], Any] | None = None,
    share: Share = WHOLE,
) -> Fitted:
    """Train `model` in place; it ends with the weights that did best on the held-out examples.

    folder: for checkpoints; if it holds some of the same run, training goes on from the last one
    with the same order of examples. device: `cpu` or of torch, or several; task_of:
    `retrieval_task`, or that of another kind of model; load: makes a model like this one, for the
    processes of other devices; share: of this process in such a training. Raises as `task_of`,
    `add_lora` and `fit_together` do; DivergedError: the loss is no number, the last checkpoint is
    kept; ModelError: memory is short even for the smallest batch;
    what `reporter` raises."""
    if load is not None and needs_processes(device):
        return fit_together(
            model, load, recipe, settings, examples, held, folder, reporter, device=device,
            task_of=task_of,
        )  # fmt: skip
    devices.prepare_environment()
    import transformers
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    transformers.logging.set_verbosity_error()
    if device == "cpu":
        _speed_up(model)
    model.model_card_data.local_files_only = True  # else it asks the hub about the base
    model.model_card_data.widget = ["none"]  # else it makes some, under a bar of its own
    transformers.set_seed(settings.seed or 0)  # an adapter begins with random weights
    if settings.lora is not None:
        add_lora(model, settings.lora)
    precision = precision_of(settings.precision, device)
    task = task_of(model, recipe, settings, examples, held, bf16=precision == "bf16")
    steps = steps_of(settings, len(examples))
    checkpoints = folder / _CHECKPOINTS
    arguments = task.trainer.training_args_class(
        output_dir=str(checkpoints),
        max_steps=steps,
        per_device_train_batch_size=(settings.batch or 32) * task.rows // share.count,
        per_device_eval_batch_size=settings.batch or 32,
        learning_rate=settings.learning_rate or 2e-5,
        warmup_steps=settings.warmup or 0.0,  # a share, below 1
        weight_decay=settings.weight_decay or 0.0,
        bf16=precision == "bf16",
        fp16=precision == "float16",
        seed=settings.seed or 0,
        data_seed=settings.seed or 0,
        batch_sampler=task.sampler,
        use_cpu=device == "cpu",
        save_strategy="steps",
        save_steps=10**9,  # by the clock: `_Watch`
        save_total_limit=2,
        eval_strategy="no",  # by `_Watch`
        logging_steps=1,
        logging_nan_inf_filter=False,
        auto_find_batch_size=True,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=device != "cpu",
        dataloader_drop_last=share.count > 1,  # shares of a step are of one size
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # else one process takes all cards
    if share.count > 1 and hasattr(task.loss, "gather_across_devices"):
        task.loss.gather_across_devices = True
    watch = _Watch(folder, reporter, task.evaluator if share.rank == 0 else None, steps, share)
    trainer = task.trainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(task.columns),
        loss=task.loss,
        callbacks=[watch.callback()],
    )
    trainer.pop_callback(transformers.PrinterCallback)
    last = last_checkpoint(checkpoints)
    watch.begin(model, resumed=last is not None)
    started = time.perf_counter()
    try:
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    except RuntimeError as error:
        if "executable batch size" not in str(error):
            raise
        message = "a batch of one pair does not fit into memory"
        raise ModelError(message, remedy="set document_length=128, or a smaller base") from error
    watch.finish(model)
    if settings.lora is not None:
        merge_lora(model)
    task.undo()
    model.eval()
    return Fitted(
        steps=steps,
        seconds=time.perf_counter() - started,
        losses=tuple(watch.losses),
        watched=tuple(watch.watched),
        best=watch.best.step if watch.best else steps,
        resumed=watch.resumed,
        trained=watch.counts,
    )


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written whole."""
    found = []
    for path in folder.glob("checkpoint-*"):
        number = path.name.rpartition("-")[2]
        # The trainer's state is written last.
        if number.isdigit() and (path / "trainer_state.json").is_file():
            found.append((int(number), path))
    return max(found)[1] if found else None


class _Watch:
    """Tells progress, scores held-out examples, keeps the best weights, saves by the clock."""

    def __init__(
        self,
        folder: Path,
        reporter: Reporter,
        evaluator: Any | None,
        steps: int,
        share: Share,
    ) -> None:
        self._folder, self._reporter, self._evaluator = folder, reporter, evaluator
        self._share = share
        self._steps = steps
        self._every = max(1, steps // WATCHES)
        self._saved_at = time.monotonic()
        self.losses: list[tuple[int, float]] = []
        self.watched: list[HeldOutScore] = []
        self.best: HeldOutScore | None = None
        self.resumed = 0
        self.counts = (0, 0)

    def begin(self, model: Any, *, resumed: bool) -> None:
        weights = list(model.parameters())
        trained = sum(one.numel() for one in weights if one.requires_grad)
        self.counts = (trained, sum(one.numel() for one in weights))
        if resumed and (self._folder / _STATE).is_file():
            kept = json.loads((self._folder / _STATE).read_text("utf-8"))
            self.watched = [HeldOutScore(**one) for one in kept["watched"]]
            self.losses = [(int(step), float(loss)) for step, loss in kept["losses"]]
            self.best = max(self.watched, key=lambda one: one.score, default=None)
        else:
            self._look(model, 0)

    def callback(self) -> Any:
        from transformers import TrainerCallback

        watch = self

        class Following(TrainerCallback):  # type: ignore[misc]  # untyped there
            def on_train_begin(self, *given: Any, **_: Any) -> None:
                watch.resumed = step = given[1].global_step
                watch.losses = [one for one in watch.losses if one[0] <= step]
                watch.watched = [one for one in watch.watched if one.step <= step]

            def on_log(self, *given: Any, logs: Any = None, **_: Any) -> None:
                watch.logged(given[1].global_step, logs or {})

            def on_step_end(self, *given: Any, model: Any = None, **_: Any) -> None:
                watch.stepped(given[1].global_step, model, given[2])

        return Following()

    def logged(self, step: int, logs: dict[str, Any]) -> None:
        if "loss" not in logs:
            return
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise DivergedError(
                f"the loss is no number after {step:,} steps; the last checkpoint is kept",
                remedy="set a lower learning_rate, or precision=float32",
            )
        self.losses.append((step, loss))
        self._reporter(
            Progress("training", step, self._steps, unit="steps", note=f"loss {loss:.4f}")
        )

    def stepped(self, step: int, model: Any, control: Any) -> None:
        if step % self._every == 0 and step < self._steps:
            self._look(model, step)
        if self._share.agreed(time.monotonic() - self._saved_at >= SAVED_EVERY):
            self._saved_at = time.monotonic()
            self._keep()
            control.should_save = True

    def _look(self, model: Any, step: int) -> None:
        if self._evaluator is None:
            return
        import torch

        training = model.training
        model.eval()
        with torch.no_grad():
            scores = self._evaluator(model)
        model.train(training)
        name = next(name for name in scores if name.endswith("ndcg@10"))
        seen = HeldOutScore(step, round(float(scores[name]), 6))
        self.watched.append(seen)
        self._reporter(
            Progress("held-out queries", step, self._steps, unit="steps",
                     note=f"nDCG@10 {seen.score:.4f}")
        )  # fmt: skip
        if self.best is None or seen.score > self.best.score:
            self.best = seen
            self._folder.mkdir(parents=True, exist_ok=True)
            keep(model, self._folder / BEST)
        self._keep()

    def _keep(self) -> None:
        if self._share.rank:
            return
        kept = {"watched": [msgspec.structs.asdict(one) for one in self.watched],
                "losses": self.losses}  # fmt: skip
        save_file(self._folder / _STATE, json.dumps(kept).encode(), "the state of the training")

    def finish(self, model: Any) -> None:
        """Score the last weights, and put back the best ones."""
        self._look(model, self._steps)
        if self.best is None or self.best.step == self._steps:
            return
        put_back(model, self._folder / BEST)


def keep(model: Any, path: Path) -> None:
    """Save the weights that are trained."""
    trained = {name: one for name, one in model.named_parameters() if one.requires_grad}
    save_weights(trained, path)


def save_weights(weights: dict[str, Any], path: Path) -> None:
    """Write tensors, each whole, to a file that is there when all are in it."""
    from safetensors.torch import save_file as save_tensors

    found = {name: one.detach().cpu().contiguous().clone() for name, one in weights.items()}
    beside = path.with_name(f"{path.name}.part")
    save_tensors(found, beside)
    beside.replace(path)


def put_back(model: Any, path: Path) -> None:
    """Load weights that `keep` saved."""
    from safetensors.torch import load_file

    model.load_state_dict(load_file(path), strict=False)


def clear(folder: Path, names: Iterable[str] = (_CHECKPOINTS, BEST, _STATE)) -> None:
    """Remove what `fit` kept to go on from."""
    import shutil

    for name in names:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
