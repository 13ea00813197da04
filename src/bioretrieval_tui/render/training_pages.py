"""Models that were trained here, as rows and pages; trainings that are not finished; settings and
examples as rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from bioretrieval_tui.render.page import Fact, Group, Inline, Page, Prose, Text, fact, facts, text
from bioretrieval_tui.render.sheet import (
    ColumnOf,
    Sheet,
    column,
    counted,
    sheet_of,
    shortened,
)
from bioretrieval_tui.training.contamination import Overlap
from bioretrieval_tui.training.hyperparameters import ChosenSettings
from bioretrieval_tui.training.own_models import (
    BenchmarkChange,
    Lineage,
    TrainingCurve,
    UnfinishedTraining,
    models_folder,
    unfinished,
)
from bioretrieval_tui.util.formatting import curve_line

CURVE_WIDTH = 32
"""Cells of a curve."""
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
    column("kind", make=lambda one: one.kind, min_width=9),
    column("base", make=lambda one: one.base_entry or one.base, min_width=12),
    column("recipe", make=lambda one: one.recipe or None),
    column("data", "trained on", min_width=16, weight=2),
    column("pairs", make=lambda one: counted(one.pairs), align="right"),
    column("scores", make=lambda one: _best(one) or None, min_width=16, weight=2),
    column("date", make=lambda one: one.date[:10], min_width=10),
)


def model_page(lineage: Lineage) -> Page:
    """Where a model comes from, what it was trained on and how, and what that changed."""
    fitted = lineage.fitted
    trained, weights = fitted.trained
    curve = TrainingCurve(fitted.steps, fitted.losses, fitted.watched)
    of = f" of {fitted.planned:,} planned: it was finished early" if fitted.planned else ""
    chosen = ChosenSettings(lineage.settings, lineage.origins)
    settings = [
        fact(name.replace("_", " "), f"{value} ({origin})")
        for name, value, origin in chosen.lines()
    ]
    about = [
        ("Base", f"{lineage.base} ({lineage.revision[:12]})"),
        ("Recipe", lineage.recipe),
        ("Licence of the base", lineage.licence),
        ("Trained on", lineage.data),
        ("Pairs", f"{lineage.pairs:,}, {lineage.held:,} held out"),
        ("Left out", ", ".join(f"{count:,} {why}" for why, count in lineage.skipped.items())),
        ("Negatives", lineage.negatives),
        ("Teacher", lineage.teacher),
        ("Folder", str(models_folder() / lineage.name)),
    ]
    ran = [
        ("Steps", f"{fitted.steps:,}{of}, kept after {fitted.best:,}"),
        ("Pairs a step", f"{fitted.batch:,}" if fitted.batch else ""),
        ("Pairs at a time", f"{fitted.at_once:,}: memory was short" if fitted.at_once else ""),
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
        badges=(lineage.caution,) if lineage.caution else (),
        byline=(text(f"your {lineage.kind}"), text(f"from {lineage.base_entry or lineage.base}")),
        sections=(
            Group("Benchmarks", tuple(map(_outcome, lineage.outcomes))),
            Prose("Overlap with the training data", tuple(map(_overlap, lineage.overlaps))),
            Group("Lineage", facts(about)),
            Group("Training", (*curve_facts(curve), *facts(ran))),
            Group("Settings", tuple(settings)),
            Group("Inputs", facts(inputs)),
        ),
    )


def own_page(own: Lineage | UnfinishedTraining) -> Page:
    """The page of a model of the user's; of a training that is not finished as it is now."""
    if isinstance(own, Lineage):
        return model_page(own)
    return unfinished_page(unfinished(own.request.name) or own)


def unfinished_page(begun: UnfinishedTraining) -> Page:
    """What a training that is not finished was asked to do, and how far it is."""
    request, curve = begun.request, begun.curve
    settings = [
        fact(name.replace("_", " "), f"{value} ({origin})")
        for name, value, origin in ChosenSettings(request.settings, request.origins).lines()
    ]
    about = [
        ("Base", request.base),
        ("Recipe", request.recipe),
        ("Trains on", request.on or request.pairs),
        ("Benchmarks", ", ".join(request.benchmarks)),
        ("Steps", begun.far),
        ("Best", f"after {curve.best.step:,} steps" if curve.best else ""),
    ]
    return Page(
        request.name,
        kind="own",
        byline=(text("training of a model"), text(begun.state)),
        sections=(
            Group("Training", (*curve_facts(curve), *facts(about))),
            Group("Settings", tuple(settings)),
        ),
    )


def curve_facts(curve: TrainingCurve) -> Iterator[Fact]:
    """The loss and the score of the held-out queries, drawn and as numbers."""
    losses = [loss for _, loss in curve.losses]
    if losses:
        said = f"{losses[0]:.4f} -> {losses[-1]:.4f}"
        yield fact("Loss", text(Inline(f"{curve_line(losses, CURVE_WIDTH)}  ", "gauge"), said))
    if curve.watched and curve.best is not None:
        scores = [one.score for one in curve.watched]
        said = f"{scores[0]:.4f} -> {curve.best.score:.4f}"
        yield fact(
            "Held-out nDCG@10", text(Inline(f"{curve_line(scores, CURVE_WIDTH)}  ", "gauge"), said)
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


def example_sheet(examples: Sequence[tuple[str, str, int]]) -> Sheet:
    """Examples as they are trained on, the beginnings of their texts."""
    columns: tuple[ColumnOf[tuple[str, str, int]], ...] = (
        column("query", make=lambda one: shortened(one[0], _LONGEST), min_width=20, weight=2),
        column("positive", make=lambda one: shortened(one[1], _LONGEST), min_width=20, weight=3),
        column("negatives", make=lambda one: one[2] or None, align="right"),
    )
    return sheet_of("Examples", columns, examples, _example)


def _example(one: tuple[str, str, int]) -> dict[str, object]:
    return {"query": one[0], "positive": one[1], "negatives": one[2]}
