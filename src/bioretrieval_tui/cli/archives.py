"""`fetch benchmark` and `fetch baseline`: whole files from archives, compared with their MD5."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from bioretrieval_tui.cli.catalogue import catalogue, complete_benchmark, entry_of_kind
from bioretrieval_tui.cli.freshness import offline_option, opened, quiet_option
from bioretrieval_tui.cli.narration import narrated, size, tell
from bioretrieval_tui.cli.output import put
from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser, NotFoundError, UsageError

_SPARE = 2**30
"""Bytes that a disk should keep when a large fetch is over."""


@click.command()
@click.argument("name", metavar="ID", shell_complete=complete_benchmark)
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Where it goes; if not said, a folder called ID in the data folder.",
)
@offline_option
@quiet_option
def benchmark(name: str, output: Path | None, offline: bool, quiet: bool) -> None:
    """Fetch the benchmark ID from where its catalogue entry says, into a folder for `eval`.

    The archive is resumed where it broke off, compared with its MD5 and unpacked with care. The
    folder's path is written to stdout.

    \b
    bioretrieval-tui eval "$(bioretrieval-tui fetch benchmark nfcorpus)"
    """
    from bioretrieval_tui.catalog.models import Benchmark
    from bioretrieval_tui.online.benchmarks import fetch_benchmark, fetchable
    from bioretrieval_tui.paths import places

    found = catalogue()
    entry = entry_of_kind(found, name, "benchmarks")
    if not isinstance(entry, Benchmark) or entry.id not in fetchable(found):
        raise NotFoundError(
            f"the catalogue names no archive of {name}",
            remedy=f"those that it has: {', '.join(fetchable(found))}",
        )
    folder = output if output is not None else places().data / "benchmarks" / entry.id
    if output is None and folder.is_dir():
        if not quiet:
            tell(f"{entry.id} is here already; delete the folder to fetch it again")
        put([f"{folder}\n"])
        return
    with opened(offline) as door, narrated(quiet=quiet) as reporter:
        licence = getattr(entry, "licence", None)
        if licence and not quiet:
            tell(f"licence of {entry.id}: {licence}")
        fetch_benchmark(door, entry, folder, reporter=reporter)
    put([f"{folder}\n"])


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("-n", "most", type=click.IntRange(min=1), metavar="N", help="At most N files now.")
@click.option("--updates", is_flag=True, help="Only the daily files, which follow the baseline.")
@offline_option
@quiet_option
def baseline(
    folder: Path, yes: bool, most: int | None, updates: bool, offline: bool, quiet: bool
) -> None:
    """Fetch the PubMed baseline and the daily files after it into FOLDER.

    How much it is is said first. Files are resumed where they broke off and compared with their
    MD5; those that are complete are not fetched again, so the same call brings it up to date.

    \b
    bioretrieval-tui fetch baseline pubmed/
    bioretrieval-tui index build pubmed pubmed/
    """
    from bioretrieval_tui.online import baseline as archive

    with opened(offline) as door:
        folders = archive.FOLDERS[1:] if updates else archive.FOLDERS
        listed = archive.listed(door, folders)
        wanted = archive.missing(listed, folder)[:most]
        if not wanted:
            tell(f"all {len(listed):,} files are in {folder}")
            return
        unknown = any(one.bytes is None for one in wanted)
        total = sum(one.bytes or 0 for one in wanted)
        about = "an amount that the archive does not say" if unknown else f"about {size(total)}"
        tell(f"{len(wanted):,} of {len(listed):,} files to fetch into {folder}: {about}")
        _check_room(folder, total)
        if not yes:
            _ask()
        with narrated(quiet=quiet) as reporter:
            archive.fetch_files(door, wanted, folder, reporter=reporter)
    if not quiet:
        tell(f"{len(wanted):,} files fetched; next: bioretrieval-tui index build NAME {folder}")


def _ask() -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("nobody is there to be asked", remedy="say --yes to fetch it")
    if not click.confirm("Fetch it?", default=False, err=True):
        raise InterruptedByUser("nothing is fetched")


def _check_room(folder: Path, needed: int) -> None:
    """Raises BioRetrievalError where the disk will not hold it."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < needed + _SPARE:
        raise BioRetrievalError(
            f"{folder} has room for {size(free)}, and {size(needed)} are to come",
            remedy="make room, name another folder, or fetch fewer files with -n",
        )
