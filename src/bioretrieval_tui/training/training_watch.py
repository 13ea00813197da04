"""What is watched while a model is trained: its loss, how it ranks the held-out queries, its best
weights, and the checkpoints from which a run that was ended goes on."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.interrupts import HeldInterrupts
from bioretrieval_tui.paths import save_file
from bioretrieval_tui.progress import Progress, Reporter
from bioretrieval_tui.training.examples import Example
from bioretrieval_tui.training.losses import Texts
from bioretrieval_tui.training.own_models import (
    CHECKPOINTS,
    CURVE,
    HeldOutScore,
    TrainingCurve,
    curve_of,
)
from bioretrieval_tui.training.several_devices import WHOLE, Share

SAVED_EVERY = 180.0
"""Seconds between checkpoints."""
WATCHES = 6
"""Times that the held-out examples are scored in a run."""
MOST_WATCHED = 600
"""Documents among which they are ranked."""
_LEAST_BETWEEN = 8
"""Steps between two looks: a look may take as long as some steps."""
_MOST_POINTS = 1_000
"""Losses that are kept of a training; of more, every second one."""
BEST = "best.safetensors"
_TOLD_EVERY = 2.0
"""Seconds between two writings of the curve."""


class DivergedError(BioRetrievalError):
    """The loss is no number any more."""


def evaluator_of(
    held: Sequence[Example], texts: Texts, batch: int, *, bf16: bool = False
) -> Any | None:
    """Ranks the held-out documents for the held-out queries; nDCG@10, and as `each` that of every
    query. None without examples. bf16: the model computes in it; vectors are compared in float32,
    where fewer are equal."""
    if not held:
        return None
    import torch
    from sentence_transformers.sentence_transformer.evaluation import (
        InformationRetrievalEvaluator,
    )

    class HeldOutEvaluator(InformationRetrievalEvaluator):  # type: ignore[misc]  # untyped there
        each: Sequence[float] = ()

        def compute_metrics(self, results: Any) -> Any:
            self.each = [
                self._ndcg(hits, self.relevant_docs[query])
                for query, hits in zip(self.queries_ids, results, strict=True)
            ]
            return super().compute_metrics(results)

        def _ndcg(self, hits: Any, relevant: set[str]) -> float:
            best = sorted(hits, key=lambda hit: (-hit["score"], hit["corpus_id"]))[:10]
            gains = [int(hit["corpus_id"] in relevant) for hit in best]
            ideal = self.compute_dcg_at_k([1] * len(relevant), 10)
            return float(self.compute_dcg_at_k(gains, 10) / ideal)

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
        for wrong in one.negatives if len(corpus) < MOST_WATCHED else ():
            text = texts.document(wrong)
            corpus.setdefault(numbers.setdefault(text, str(len(numbers))), text)
        relevant.setdefault(one.query, set()).add(number)
        queries[one.query] = texts.query(one.query)
    return HeldOutEvaluator(
        queries, corpus, relevant, ndcg_at_k=[10], mrr_at_k=[10], map_at_k=[10],
        accuracy_at_k=[10], precision_recall_at_k=[10], batch_size=batch, write_csv=False,
        name="held", show_progress_bar=False,
    )  # fmt: skip


def between_looks(steps: int) -> int:
    """Steps between two looks at the held-out queries in a training of so many."""
    return max(_LEAST_BETWEEN, steps // WATCHES)


class TrainingWatch:
    """Tells progress, scores held-out examples, keeps the best weights, saves by the clock.

    The best are the last that rank the held-out examples better than the base does and no worse
    than the highest look, by one standard error of the difference: some dozen queries tell looks
    apart no better, and the first of two that are alike has learned less."""

    def __init__(
        self,
        folder: Path,
        reporter: Reporter,
        evaluator: Any | None,
        steps: int,
        batch: int,
        device: str,
        share: Share = WHOLE,
    ) -> None:
        self._folder, self._reporter, self._evaluator = folder, reporter, evaluator
        self._steps, self._batch, self._device = steps, batch, device
        self._share = share
        self._every = between_looks(steps)
        self._saved_at = self._told_at = time.monotonic()
        self._seconds, self._begun_at = 0.0, 0.0
        self._random: Any = None
        self._held = HeldInterrupts()
        """States of the generators after the last step; None while weights change."""
        self._remark = ""
        self.losses: list[tuple[int, float]] = []
        self.watched: list[HeldOutScore] = []
        self.best: HeldOutScore | None = None
        self._peak: tuple[float, tuple[float, ...]] = (-math.inf, ())
        """The highest look, and that of each query."""
        self.resumed = 0
        self.begun = False
        """Whether a step of this process has begun."""
        self.counts = (0, 0)

    def begin(self, model: Any, *, resumed: bool) -> None:
        weights = list(model.parameters())
        trained = sum(one.numel() for one in weights if one.requires_grad)
        self.counts = (trained, sum(one.numel() for one in weights))
        kept = curve_of(self._folder) if resumed else None
        if kept is not None:
            self.watched, self.losses = list(kept.watched), list(kept.losses)
            self.best = kept.best
            highest = max((one.score for one in kept.watched), default=-math.inf)
            self._peak = (highest, kept.peak)
        else:
            self._keep()  # in the place of one that was killed before its first checkpoint
            self._look(model, 0)

    def callback(self) -> Any:
        from transformers import TrainerCallback

        watch = self

        class Following(TrainerCallback):  # type: ignore[misc]  # untyped there
            def on_train_begin(self, *given: Any, **_: Any) -> None:
                watch.resumed = step = given[1].global_step
                watch.losses = [one for one in watch.losses if one[0] <= step]
                watch.watched = [one for one in watch.watched if one.step <= step]

            def on_step_begin(self, *_: Any, **__: Any) -> None:
                watch.step_begins()

            def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
                watch.weights_change()

            def on_log(self, *given: Any, logs: Any = None, **_: Any) -> None:
                watch.logged(given[1].global_step, logs or {})

            def on_step_end(self, *given: Any, model: Any = None, **_: Any) -> None:
                watch.stepped(given[1].global_step, model, given[2])

        return Following()

    def step_begins(self) -> None:
        self.begun = True
        self._begun_at = time.monotonic()

    def weights_change(self) -> None:
        self._held.hold()  # an interrupt would leave some weights before the step, others after it
        self._random = None

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
        if len(self.losses) > _MOST_POINTS:  # it is written and read every few seconds
            self.losses = self.losses[::-2][::-1]  # with the last
        rate = (step - self.resumed) / self._seconds if self._seconds else None
        note = [f"loss {loss:.4f}"]
        note += [f"{rate * self._batch:.1f} examples/s"] if rate else []
        note += [self._remark] if self._remark else []
        note += [f"held-out nDCG@10 {self.watched[-1].score:.4f}"] if self.watched else []
        self._tell("training", step, ", ".join(note), rate)
        if time.monotonic() - self._told_at >= _TOLD_EVERY:
            self._keep()

    def remark(self, said: str) -> None:
        """Tell something that holds from now on."""
        self._remark = said
        self._tell("training", self.losses[-1][0] if self.losses else 0, said)

    def _tell(self, stage: str, step: int, note: str, rate: float | None = None) -> None:
        self._reporter(
            Progress(stage, step, self._steps, unit="steps", note=note, rate=rate,
                     device=self._device)
        )  # fmt: skip

    def stepped(self, step: int, model: Any, control: Any) -> None:
        self._seconds += time.monotonic() - self._begun_at
        self._random = _generators()  # before the next batch is drawn
        self._held.release()
        if step % self._every == 0 and step < self._steps:
            self._look(model, step)
        if self._share.agreed(time.monotonic() - self._saved_at >= SAVED_EVERY):
            self._saved_at = time.monotonic()
            self._told_at = -math.inf  # with the loss of this step, which is logged before it
            control.should_save = True

    def _look(self, model: Any, step: int) -> None:
        if self._evaluator is None:
            return
        import torch

        self._tell("ranking held-out queries", step, "")
        training = model.training
        model.eval()
        with torch.no_grad():
            scores = self._evaluator(model)
        model.train(training)
        name = next(name for name in scores if name.endswith("ndcg@10"))
        score, each = round(float(scores[name]), 6), tuple(getattr(self._evaluator, "each", ()))
        seen = HeldOutScore(step, score, kept=self._is_best(score, each))
        self.watched.append(seen)
        self._tell("ranking held-out queries", step, f"nDCG@10 {seen.score:.4f}")
        if score > self._peak[0]:
            self._peak = (score, each)
        if seen.kept:
            self.best = seen
            self._folder.mkdir(parents=True, exist_ok=True)
            keep(model, self._folder / BEST)
        self._keep()

    def _is_best(self, score: float, each: Sequence[float]) -> bool:
        """Whether weights that were seen now are to be kept."""
        highest, others = self._peak
        if score > highest:
            return True
        if score <= self.watched[0].score or len(each) != len(others) or len(each) < 2:
            return False
        lost = [other - own for own, other in zip(each, others, strict=True)]
        return statistics.fmean(lost) <= statistics.stdev(lost) / math.sqrt(len(lost))

    def _keep(self) -> None:
        if self._share.rank:
            return  # the first process does
        self._told_at = time.monotonic()
        kept = TrainingCurve(
            self._steps, tuple(self.losses), tuple(self.watched), self.counts, self._peak[1]
        )
        save_file(self._folder / CURVE, msgspec.json.encode(kept), "the state of the training")

    def ended(self) -> None:
        """Let interrupts be raised where they come."""
        self._held.restore()

    def save_step(self, trainer: Any) -> None:
        """Save the last whole step of a training that was interrupted."""
        done = trainer.state.global_step
        if self._random is None or done in (0, self.resumed):
            return  # weights were changing, or there is no new step
        self._tell("saving", done, "")
        _generators(self._random)
        trainer._save_checkpoint(trainer.model, trial=None)
        self._keep()

    def finish(self, model: Any) -> None:
        """Score the last weights, and put back the best ones."""
        self._look(model, self._steps)
        if self.best is None or self.best.step == self._steps:
            return
        put_back(model, self._folder / BEST)


def _generators(states: Any = None) -> Any:
    """The states of all random generators, or put these back."""
    import random

    import numpy as np
    import torch

    found = (random.getstate(), np.random.get_state(), torch.random.get_rng_state(),
             torch.cuda.random.get_rng_state_all())  # fmt: skip
    if states is not None:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.random.set_rng_state(states[2])
        torch.cuda.random.set_rng_state_all(states[3])
    return found


def keep(model: Any, path: Path) -> None:
    """Save the weights that are trained."""
    trained = {name: one for name, one in model.named_parameters() if one.requires_grad}
    save_weights(trained, path)


def save_weights(weights: Mapping[str, Any], path: Path) -> None:
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


def clear(folder: Path, names: Iterable[str] = (CHECKPOINTS, BEST, CURVE)) -> None:
    """Remove what `fit` kept to go on from."""
    import shutil

    for name in names:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
