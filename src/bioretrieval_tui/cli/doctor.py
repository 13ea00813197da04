"""`doctor`: what this machine has and lacks, each lack with its remedy."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.narration import narrated
from bioretrieval_tui.cli.output import format_option, put_sheet
from bioretrieval_tui.errors import EXIT_FAILED
from bioretrieval_tui.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bioretrieval_tui.cli.checks import Finding
    from bioretrieval_tui.export.formats import Format
    from bioretrieval_tui.export.sheet import Sheet


@click.command()
@format_option(without=("bibtex",))
def doctor(format_: Format) -> None:
    """Check what this machine has and lacks.

    Exit code 1 if something is missing that the program cannot do without. Takes the seconds
    that torch needs to load.
    """
    from bioretrieval_tui.cli.checks import all_checks

    findings = []
    with narrated(quiet=not sys.stderr.isatty()) as reporter:
        for finding in all_checks():
            findings.append(finding)
            reporter(Progress(f"checked {finding.name}", 0))
    put_sheet(finding_sheet(findings), format_)
    if any(finding.state == "missing" for finding in findings):
        click.get_current_context().exit(EXIT_FAILED)


def finding_sheet(findings: Sequence[Finding]) -> Sheet:
    """Findings as rows; readers see the state first."""
    from bioretrieval_tui.export.sheet import Column, Sheet

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
