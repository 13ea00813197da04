"""Examples a second of `train` against a plain script of sentence-transformers.

The same model, pairs, batch, loss and number of steps: the library's trainer as its documentation
has it, then ours in float32 and in bf16, in turn, each in a process of its own, as ours changes how
memory is kept. Bars: 1.0 and, where the processor has bf16, 1.8.

    python -m benchmarks.training [--keep] [--steps 4] [--batch 32] [--rounds 2]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring import Report, interleaved, median
from benchmarks.training_pairs import DATA, documents_of
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.progress import silent
from bioretrieval_tui.training.examples import Example, title_pairs
from bioretrieval_tui.training.hyperparameters import choose
from bioretrieval_tui.training.trainable_models import trainable_model
from bioretrieval_tui.training.trainer import fit, precision_of

LENGTH = 256
CORPUS = DATA / "scifact/corpus.jsonl"


def plain(examples: list[Example], steps: int, batch: int, folder: Path) -> float:
    """Seconds of the library's trainer alone."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    model = SentenceTransformer(str(embedded.locate()), device="cpu")
    model.max_seq_length = LENGTH
    columns = {
        "anchor": [one.query for one in examples],
        "positive": [one.positive.text for one in examples],
    }
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder), max_steps=steps, per_device_train_batch_size=batch,
        report_to="none", disable_tqdm=True, save_strategy="no", use_cpu=True,
        batch_sampler="no_duplicates",
    )  # fmt: skip
    trainer = SentenceTransformerTrainer(
        model, arguments, train_dataset=Dataset.from_dict(columns),
        loss=MultipleNegativesRankingLoss(model),
    )  # fmt: skip
    started = time.perf_counter()
    trainer.train()
    return time.perf_counter() - started


def ours(examples: list[Example], steps: int, batch: int, folder: Path, precision: str) -> float:
    """Seconds of our trainer, without the files of the model."""
    settings = choose(None, {
        "steps": str(steps), "batch": str(batch), "precision": precision,
        "document_length": str(LENGTH), "negatives": "in-batch",
    }).settings  # fmt: skip
    model: Any = trainable_model(embedded.MODEL_ID, embedded.RECIPE)
    return fit(model, embedded.RECIPE, settings, examples, [], folder, silent).seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="write the report to results/")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    given = parser.parse_args()
    count = given.steps * given.batch
    if given.side:
        pairs = title_pairs(documents_of(CORPUS, 2 * count), "SciFact", []).examples
        size = (list(pairs)[:count], given.steps, given.batch)
        with tempfile.TemporaryDirectory() as folder:
            side = given.side
            took = (
                plain(*size, Path(folder)) if side == "plain" else ours(*size, Path(folder), side)
            )
        print(f"seconds {took}")
        return

    def timed(side: str) -> Callable[[], float]:
        words = [sys.executable, "-m", "benchmarks.training", "--side", side]
        words += ["--steps", str(given.steps), "--batch", str(given.batch)]

        def once() -> float:
            done = subprocess.run(words, check=True, capture_output=True, text=True)
            return float(done.stdout.rpartition("seconds ")[2])

        return once

    sides = {"plain": timed("plain"), "float32": timed("float32")}
    if precision_of("bf16", "cpu") == "bf16":
        sides["bf16"] = timed("bf16")
    times = {name: median(found) for name, found in interleaved(sides, given.rounds, 0).items()}
    report = Report("Training: examples a second")
    report.say(
        f"{given.steps} steps of {given.batch} pairs of title and text, {LENGTH} tokens;"
        f" all-MiniLM-L6-v2. Bars: float32 1.0, bf16 1.8 of the plain script."
    )
    report.say()
    report.table(
        ["trainer", "examples/s", "of plain"],
        [[name, f"{count / took:.1f}", f"{times['plain'] / took:.2f}"]
         for name, took in times.items()],
    )  # fmt: skip
    report.keep("training")


if __name__ == "__main__":
    main()
