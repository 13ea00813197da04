"""Training itself: a model, its recipe and examples in, better weights out.

The loop and the checkpoints are those of sentence-transformers and transformers. What stands here
is which models can be trained, precision, adapters, and how a run goes on that was ended. torch and
the libraries are imported within functions.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bioretrieval_tui.catalog.models import Encoding, Lora, TrainingSettings
from bioretrieval_tui.encoding import device as devices
from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser, ModelError, UsageError
from bioretrieval_tui.progress import Progress, Reporter
from bioretrieval_tui.training.examples import Example
from bioretrieval_tui.training.losses import Texts, columns_of, loss_of
from bioretrieval_tui.training.own_models import (
    CHECKPOINTS,
    Fitted,
    curve_of,
    last_checkpoint,
)
from bioretrieval_tui.training.several_devices import WHOLE, Share, fit_together, needs_processes
from bioretrieval_tui.training.step_parts import in_parts, is_out_of_memory
from bioretrieval_tui.training.teachers import DISTILLED, rescale, score_factor
from bioretrieval_tui.training.trainable_models import prepare_tokenizer
from bioretrieval_tui.training.training_watch import (
    BEST,
    TrainingWatch,
    evaluator_of,
    put_back,
)

MEASURED_STEPS, MEASURED_SECONDS, _LEAST_STEPS = 10, 15.0, 3


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


def weights_of(model: Any) -> dict[str, Any]:
    """A copy of all weights, by name."""
    return {name: one.detach().clone() for name, one in model.state_dict().items()}


def mix(model: Any, before: Mapping[str, Any], share: float) -> None:
    """Set the weights, in place, between those of `before` (share 0) and their own (1).

    A model between the base and what was trained on one collection often keeps most of what was
    learned and of what the base could do elsewhere: WiSE-FT (arXiv:2109.01903), for embeddings
    LM-Cocktail (arXiv:2311.13534)."""
    import torch

    with torch.no_grad():
        for name, own in model.state_dict().items():
            if own.is_floating_point():
                base = before[name].to(own.device, torch.float32)
                own.copy_(torch.lerp(base, own.float(), share))


def steps_of(settings: TrainingSettings, pairs: int) -> int:
    """Steps of the optimiser for this many pairs."""
    each = math.ceil(pairs / (settings.batch or 32))
    return settings.steps or max(1, math.ceil(each * (settings.epochs or 1.0)))


def _similarities(model: Any, queries: Sequence[str], documents: Sequence[str]) -> Any:
    """The similarity of each query to the document at its place, float32 (n,)."""
    return model.similarity_pairwise(
        *(model.encode(list(one), show_progress_bar=False) for one in (queries, documents))
    )


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
        rescale(columns, score_factor(partial(_similarities, model), columns))
    loss = loss_of(model, settings)
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
    most: int | None = None,
) -> Fitted:
    """Train `model` in place; it ends with the weights that did best on the held-out examples.

    folder: for checkpoints; if it holds some of the same run, training goes on from the last one
    with the same order of examples. One that is interrupted keeps its last step. device: `cpu` or
    of torch, or several; task_of: `retrieval_task`, or that of another kind of model; load: makes a
    model like this one, for the processes of other devices; share: of this process in such a
    training; most: pairs that are computed at a time, None for those of a step; it is halved where
    memory runs out. Raises as `task_of`, `add_lora` and `fit_together` do; DivergedError: the loss
    is no number, the last checkpoint is kept; ModelError: memory is short even for one pair; what
    `reporter` raises."""
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
    checkpoints = folder / CHECKPOINTS
    arguments = task.trainer.training_args_class(
        output_dir=str(checkpoints),
        max_steps=steps,
        per_device_train_batch_size=(settings.batch or 32) * task.rows // share.processes,
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
        save_steps=10**9,  # by the clock: `TrainingWatch`
        save_total_limit=2,
        eval_strategy="no",  # by `TrainingWatch`
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=device != "cpu",
        dataloader_drop_last=share.processes > 1,  # shares of a step are of one size
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # else one process takes all cards
    if share.processes > 1 and hasattr(task.loss, "gather_across_devices"):
        task.loss.gather_across_devices = True
    watch = TrainingWatch(
        folder, reporter, task.evaluator if share.rank == 0 else None, steps, settings.batch or 32,
        device, share,
    )  # fmt: skip
    trainer = in_parts(task.trainer, most, watch.remark, alone=share.processes == 1)(
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
    except (KeyboardInterrupt, InterruptedByUser):
        watch.save_step(trainer)
        raise
    except BioRetrievalError:
        raise
    except Exception as error:
        if last is not None and not watch.begun and not is_out_of_memory(error):
            said = f"the checkpoint {last} cannot be read: {type(error).__name__}"
            remedy = "remove that folder: the one before is taken, else it begins at the first step"
            raise ModelError(said, remedy=remedy) from error
        if not is_out_of_memory(error):
            raise
        message = f"the weights, their gradients and moments do not fit into the memory of {device}"
        raise ModelError(message, remedy="--set lora=yes, or a smaller base") from error
    finally:
        watch.ended()
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
        at_once=trainer.at_once or 0,
    )


class StepCost(NamedTuple):
    """Of a few steps: seconds a step, and the most memory that was used, in bytes."""

    seconds: float
    memory: int


class _EnoughError(Exception):
    """Enough steps were measured."""


def measure(
    model: Any,
    recipe: Encoding,
    settings: TrainingSettings,
    examples: Sequence[Example],
    reporter: Reporter,
    *,
    device: str = "cpu",
    task_of: Callable[..., Task] = retrieval_task,
) -> StepCost:
    """Train `model`, in place, for ten steps or MEASURED_SECONDS, at least three steps; nothing is
    kept. The first step is not counted. Raises as `fit`."""
    import resource

    import torch

    ends: list[float] = []

    def hear(step: Progress) -> None:
        if step.stage == "training":
            ends.append(time.monotonic())
            reporter(Progress("measuring the speed", len(ends), MEASURED_STEPS, unit="steps"))
            if len(ends) >= _LEAST_STEPS and ends[-1] - started >= MEASURED_SECONDS:
                raise _EnoughError

    some = msgspec.structs.replace(settings, steps=MEASURED_STEPS, epochs=None)
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(_EnoughError):
        started = time.monotonic()
        work = Path(folder)
        fit(model, recipe, some, examples, [], work, hear, device=device, task_of=task_of)
    if device.startswith("cuda"):
        memory = torch.cuda.max_memory_allocated(device)
    else:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return StepCost((ends[-1] - ends[0]) / (len(ends) - 1), memory)


def finish_early(model: Any, settings: TrainingSettings, folder: Path) -> Fitted:
    """Give `model`, in place, the weights that did best so far in a training that was stopped.
    Raises BioRetrievalError: none did better than those it began with."""
    curve = curve_of(folder)
    best = curve.best if curve else None
    if curve is None or best is None or best.step == 0:
        said = "no step ranked the held-out queries better than the base does yet"
        remedy = "let it go on: bioretrieval-tui train resume, or p in Models"
        raise BioRetrievalError(said, remedy=remedy)
    if settings.lora is not None:
        add_lora(model, settings.lora)
    put_back(model, folder / BEST)
    if settings.lora is not None:
        merge_lora(model)
    return Fitted(
        steps=curve.done,
        seconds=0.0,
        losses=curve.losses,
        watched=curve.watched,
        best=best.step,
        resumed=best.step,
        trained=curve.weights,
        planned=curve.steps,
    )
