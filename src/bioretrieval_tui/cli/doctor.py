"""`doctor`: what this machine has and lacks, or whether one model does as its recipe says."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.catalogue import complete_model
from bioretrieval_tui.cli.narration import narrated
from bioretrieval_tui.cli.output import format_option, put_sheet
from bioretrieval_tui.errors import EXIT_FAILED, ModelError, UsageError
from bioretrieval_tui.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bioretrieval_tui.catalog.models import Encoding
    from bioretrieval_tui.cli.checks import Finding
    from bioretrieval_tui.progress import Reporter
    from bioretrieval_tui.render.formats import Format
    from bioretrieval_tui.render.sheet import Sheet


@click.command()
@click.option(
    "--model",
    metavar="ID",
    shell_complete=complete_model,
    help="Check this model of the catalogue (its id or hub id) instead: its files, its dimension,"
    " what it makes of a text.",
)
@click.option(
    "--download", is_flag=True, help="Fetch what the model lacks first; its licence is told."
)
@click.option("--offline", is_flag=True, help="Ask nothing of the network.")
@format_option(without=("bibtex",))
def doctor(model: str | None, download: bool, offline: bool, format_: Format) -> None:
    """Check what this machine has and lacks.

    Exit code 1 if something is missing that the program cannot do without. Takes the seconds
    that torch needs to load. With --model, exit code 1 if the model is not here or does not do as
    its recipe says, 3 if the catalogue does not know it.
    """
    from bioretrieval_tui.cli.downloads import keep_offline

    if offline:
        keep_offline()
    if download and (model is None or offline):
        said = "--offline" if offline else "no --model"
        raise UsageError(f"--download with {said} fetches nothing", remedy="see doctor --help")
    findings = []
    with narrated(quiet=not sys.stderr.isatty() and not download) as reporter:
        found = _machine() if model is None else _model(model, reporter, download=download)
        for finding in found:
            findings.append(finding)
            reporter(Progress(f"checked {finding.name}", 0))
    put_sheet(finding_sheet(findings), format_)
    if any(finding.state == "missing" for finding in findings):
        click.get_current_context().exit(EXIT_FAILED)


def _machine() -> Iterator[Finding]:
    from bioretrieval_tui.cli.checks import all_checks

    return all_checks()


def _model(model: str, reporter: Reporter, *, download: bool) -> Iterator[Finding]:
    """Findings about one model. Raises NotFoundError where the catalogue does not know it."""
    from bioretrieval_tui.cli.checks import Finding
    from bioretrieval_tui.cli.downloads import fetch_missing
    from bioretrieval_tui.encoding.checking import check_model

    hub, recipe, dimension = _known(model)
    if download:
        fetch_missing(hub, recipe, reporter, download=True)
    for check in check_model(hub, recipe, dimension=dimension):
        yield Finding(model, check.name, check.state, check.value, check.remedy)


def _known(model: str) -> tuple[str, Encoding, int | None]:
    """Hub id, recipe and dimension of a model that the catalogue knows by id or hub id.

    Raises:
        NotFoundError: it knows none of that name. ModelError: how it encodes is not known.
    """
    from bioretrieval_tui.catalog.models import Model
    from bioretrieval_tui.cli.catalogue import catalogue, entry_of_kind

    found = catalogue()
    entry = next((one for one in found.of_type(Model) if model in one.hub), None)
    named = entry if entry is not None else entry_of_kind(found, model, "models")
    recipe = named.encoding if isinstance(named, Model) else None
    sides = recipe and (recipe.document or recipe.query)
    if not isinstance(named, Model) or recipe is None:
        raise ModelError(
            f"how '{model}' encodes is not known", remedy="add its encoding in an overlay"
        )
    hub = (sides.model if sides else None) or next(iter(named.hub), None)
    if hub is None:
        raise ModelError(
            f"where the files of '{named.id}' are is not known",
            remedy="add `model` to its encoding in an overlay: a hub id or a folder",
        )
    return hub, recipe, named.dimension


def finding_sheet(findings: Sequence[Finding]) -> Sheet:
    """Findings as rows; readers see the state first."""
    from bioretrieval_tui.render.sheet import Column, Sheet

    return Sheet(
        title="Doctor",
        columns=(
            Column("state", "state", min_width=7),
            Column("area", "area", min_width=9),
            Column("name", "what", min_width=12),
            Column("value", "found", weight=4, min_width=20),
            Column("remedy", "remedy", weight=4, min_width=12),
        ),
        rows=tuple((f.state, f.area, f.name, f.value, f.remedy) for f in findings),
        records=tuple(asdict(finding) for finding in findings),
    )
