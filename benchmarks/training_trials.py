"""Trainings on real collections: what each changes on benchmarks that it was not tuned on.

    python -m benchmarks.training_trials supervised|adapter|reranker [--home FOLDER] [--keep]

Each trial is one `train` command, in a home of its own that is kept between calls: a trial that was
finished is not run again, and one that was ended goes on. Bars stand in the report.

- supervised: all-MiniLM-L6-v2 on SciFact's claims for training, all weights, an adapter, and that
  mixed with the base; nDCG@10 of SciFact's test (bars 0.735 dense, 0.768 hybrid) and of the others
  (at most 0.01 less).
- adapter: an adapter of at most 2 MB for the embedded model, from texts of no benchmark: OHSUMED's
  abstracts. It would be shipped only if the mean of SciFact, MED and PubMedQA rises by 0.01, dense
  and hybrid, and none falls by more than 0.002.
- reranker: a small cross-encoder from the embedded model, from the same texts, taught by hybrid
  search. It would be offered only if it lifts hybrid's best 50 on SciFact's train split by 0.02.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import Report
from bioretrieval_tui.training.own_models import Lineage, own_model

DATA = Path("../shared/data").absolute()
TESTS = ("scifact", "med-1033", "pubmedqa-pqal")
_EPOCHS = ["epochs=3", "negatives_margin=0"]
_SMALL = ["lora.rank=8", "steps=60", "batch=24"]

TRIALS: dict[str, dict[str, tuple[str, list[str]]]] = {
    "supervised": {
        "full": ("scifact", [*_EPOCHS, "held_out=0"]),
        "lora": ("scifact", [*_EPOCHS, "held_out=0", "lora=yes", "learning_rate=0.001"]),
        "lora-mix": (
            "scifact",
            [*_EPOCHS, "held_out=0", "lora=yes", "learning_rate=0.001", "mix=0.6"],
        ),
        "full-held-out": ("scifact", _EPOCHS),
        "defaults": ("scifact", []),
    },
    "adapter": {
        "cloze": ("ohsumed", [*_SMALL, "pairs=sentence", "learning_rate=0.0003"]),
        "titles-hybrid": (
            "ohsumed",
            [*_SMALL, "pairs=title-abstract", "teacher=hybrid", "negatives_each=2",
             "learning_rate=0.0003"],
        ),
        "cloze-hybrid-kl": (
            "ohsumed",
            [*_SMALL, "pairs=sentence", "teacher=hybrid", "loss=kl", "negatives_each=2",
             "learning_rate=0.0003"],
        ),
        "conclusions": ("ohsumed", [*_SMALL, "pairs=conclusion", "learning_rate=0.0001"]),
    },
    "reranker": {
        "titles": (
            "ohsumed",
            ["kind=reranker", "pairs=title-abstract", "teacher=hybrid", "steps=150",
             "document_length=160"],
        ),
    },
}  # fmt: skip
"""By group and name: what is trained on, and the settings."""


def run(group: str, name: str, home: Path) -> Lineage:
    """The lineage of a trial, run unless it was."""
    on, settings = TRIALS[group][name]
    os.environ["BIORETRIEVAL_HOME"] = str(home)
    found = own_model(f"{group}-{name}")
    if found is None:
        place = DATA / "scifact" if on == "scifact" else DATA / "ohsumed-7400/corpus.jsonl"
        tests = (*TESTS, "evidence-inference") if group == "supervised" else TESTS
        words = ["train", "run", "--on", str(place), "--name", f"{group}-{name}"]
        words += [word for one in settings for word in ("--set", one)]
        words += [word for one in tests for word in ("--eval", str(DATA / one))]
        command = [sys.executable, "-P", "-m", "bioretrieval_tui", *words, "-f", "json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = own_model(f"{group}-{name}")
        assert found is not None
    return found[1]


def rows(name: str, lineage: Lineage) -> Iterator[list[str]]:
    """Each benchmark before and after."""
    for one in lineage.outcomes:
        yield [name, one.benchmark, one.mode, f"{one.before:.4f}", f"{one.after:.4f}",
               f"{one.after - one.before:+.4f}", f"{one.p:.2g}"]  # fmt: skip


def verdict(lineage: Lineage) -> str:
    """The mean change of each mode, and the largest loss."""
    said = []
    for mode in dict.fromkeys(one.mode for one in lineage.outcomes):
        changes = [one.after - one.before for one in lineage.outcomes if one.mode == mode]
        mean = sum(changes) / len(changes)
        said.append(f"{mode} {mean:+.4f} on the mean, at worst {min(changes):+.4f}")
    return "; ".join(said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("group", choices=list(TRIALS))
    parser.add_argument("--home", type=Path, default=Path("build/trials"))
    parser.add_argument("--only", nargs="*", help="names of trials")
    parser.add_argument("--keep", action="store_true", help="write the report to results/")
    given = parser.parse_args()
    names = given.only or list(TRIALS[given.group])
    report = Report(f"Trainings, {given.group}")
    report.say((__doc__ or "").partition(f"- {given.group}: ")[2].partition("\n-")[0].strip())
    report.say()
    done = {name: run(given.group, name, given.home.absolute()) for name in names}
    report.table(
        ["trial", "benchmark", "mode", "before", "after", "difference", "p"],
        [row for name, lineage in done.items() for row in rows(name, lineage)],
    )
    report.say()
    for name, lineage in done.items():
        on, settings = TRIALS[given.group][name]
        minutes = lineage.fitted.seconds / 60
        trained, weights = lineage.fitted.trained
        report.say(
            f"- {name}: {verdict(lineage)}. `train --on {on}"
            f" {' '.join(f'--set {one}' for one in settings)}`, {lineage.pairs:,} pairs,"
            f" {lineage.fitted.steps} steps, {minutes:.0f} minutes, {trained:,} of {weights:,}"
            " weights."
        )
    report.keep(f"training_{given.group}")


if __name__ == "__main__":
    main()
