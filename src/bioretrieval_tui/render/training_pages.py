"""Models that were trained here, as rows and pages; settings and examples as rows."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bioretrieval_tui.render.page import Fact, Group, Page, Prose, Text, fact, facts, text
from bioretrieval_tui.render.sheet import (
    ColumnOf,
    Sheet,
    column,
    counted,
    one_line,
    sheet_of,
    shortened,
)
from bioretrieval_tui.training.contamination import Overlap
from bioretrieval_tui.training.examples import Example, text_of
from bioretrieval_tui.training.hyperparameters import ChosenSettings
from bioretrieval_tui.training.own_models import BenchmarkChange, Lineage

_LONGEST = 200
"""Characters of a text of an example that are shown."""


def model_sheet(found: Sequence[Lineage]) -> Sheet:
    """The models, a row each; whole lineages for json and jsonl."""
    return sheet_of("Your models", _COLUMNS, found, msgspec.to_builtins)


def _best(lineage: Lineage) -> str:
    """The largest difference that chance would not make, in words."""
    told = [one for one in lineage.outcomes if one.p < 0.05]
    if not told:
        return ""
    one = max(told, key=lambda one: abs(one.after - one.before))
    return f"{one.benchmark} {one.mode} {one.before:.4f} -> {one.after:.4f}"


_COLUMNS: tuple[ColumnOf[Lineage], ...] = (
    column("name", min_width=12),
    column("base", make=lambda one: one.base_entry or one.base, min_width=12),
    column("recipe", make=lambda one: one.recipe or None),
    column("data", "trained on", min_width=16, weight=2),
    column("pairs", make=lambda one: counted(one.pairs), align="right"),
    column("scores", make=lambda one: _best(one) or None, min_width=16, weight=2),
    column("date", make=lambda one: one.date[:10], min_width=10),
)


def model_page(lineage: Lineage, folder: str) -> Page:
    """Where a model comes from, what it was trained on and how, and what that changed."""
    fitted = lineage.fitted
    trained, weights = fitted.trained
    kept = {one.step: one.score for one in fitted.watched}
    start = next(iter(fitted.watched), None)
    held = f"{start.score:.4f} -> {kept[fitted.best]:.4f}" if start and fitted.best in kept else ""
    chosen = ChosenSettings(lineage.settings, lineage.origins)
    settings = [
        fact(name.replace("_", " "), f"{value} ({origin})")
        for name, value, origin in chosen.lines()
    ]
    losses = [loss for _, loss in fitted.losses]
    fell = f"{losses[0]:.4f} -> {losses[-1]:.4f}" if losses else ""
    about = [
        ("Base", f"{lineage.base} ({lineage.revision[:12]})"),
        ("Recipe", lineage.recipe),
        ("Licence of the base", lineage.licence),
        ("Trained on", lineage.data),
        ("Pairs", f"{lineage.pairs:,}, {lineage.held:,} held out"),
        ("Left out", ", ".join(f"{count:,} {why}" for why, count in lineage.skipped.items())),
        ("Negatives", lineage.negatives),
        ("Teacher", lineage.teacher),
        ("Folder", folder),
    ]
    ran = [
        ("Steps", f"{fitted.steps:,}, the best after {fitted.best:,}"),
        ("Pairs a step", f"{fitted.batch:,}" if fitted.batch else ""),
        ("Held-out nDCG@10", held),
        ("Loss", fell),
        ("Weights trained", f"{trained:,} of {weights:,}"),
        ("Time", f"{fitted.seconds / 60:.1f} minutes"),
        ("Machine", lineage.hardware),
        ("Versions", ", ".join(f"{name} {one}" for name, one in lineage.versions.items())),
        ("Date", lineage.date),
    ]
    inputs = [(one.path, f"SHA-256 {one.sha256[:16]}") for one in lineage.inputs]
    return Page(
        lineage.name,
        kind="own",
        byline=(text("your model"), text(f"from {lineage.base_entry or lineage.base}")),
        sections=(
            Group("Benchmarks", tuple(map(_outcome, lineage.outcomes))),
            Prose("Overlap with the training data", tuple(map(_overlap, lineage.overlaps))),
            Group("Lineage", facts(about)),
            Group("Training", facts(ran)),
            Group("Settings", tuple(settings)),
            Group("Inputs", facts(inputs)),
        ),
    )


def _outcome(one: BenchmarkChange) -> Fact:
    said = f"{one.before:.4f} -> {one.after:.4f}, p = {one.p:.3g}: {one.verdict}"
    return fact(f"{one.benchmark} {one.split}, {one.mode}", said)


def _overlap(one: Overlap) -> Text:
    return text(one.line())


def settings_sheet(chosen: ChosenSettings) -> Sheet:
    """The settings in force, and where each is from."""
    columns: tuple[ColumnOf[tuple[str, str, str]], ...] = (
        column("setting", make=lambda one: one[0]),
        column("value", make=lambda one: one[1]),
        column("from", make=lambda one: one[2]),
    )
    return sheet_of("Settings", columns, chosen.lines(), _row)


def _row(one: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(("setting", "value", "from"), one, strict=True))


def example_sheet(examples: Sequence[Example]) -> Sheet:
    """Examples as they are trained on, the beginnings of their texts."""
    columns: tuple[ColumnOf[Example], ...] = (
        column("query", make=lambda one: shortened(one.query, _LONGEST), min_width=20, weight=2),
        column("positive", make=lambda one: shortened(text_of(one.positive), _LONGEST),
               min_width=20, weight=3),
        column("negatives", make=lambda one: len(one.negatives) or None, align="right"),
    )  # fmt: skip
    return sheet_of("Examples", columns, examples, _example)


def _example(one: Example) -> dict[str, object]:
    negatives = [one_line(text_of(document)) for document in one.negatives]
    return {"query": one.query, "positive": text_of(one.positive), "negatives": negatives}
