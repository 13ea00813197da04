"""`index export`, `copy` and `connect`: an index as files for others, elsewhere, or in a store."""

from __future__ import annotations

from pathlib import Path

import click

from bioretrieval_tui.cli import options
from bioretrieval_tui.cli.options import option
from bioretrieval_tui.cli.streams import duration, narrated, tell, tell_notes
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.util.formatting import plural, size

_name = click.argument("name", shell_complete=options.complete_index)


@click.command()
@_name
@option(
    "-o --out FILE|FOLDER",
    "A file that ends in .parquet, or a new folder for several.",
    type=options.PATH,
    required=True,
)
@option("--rows ROWS", "Documents a file of a folder; default: 200,000.", type=options.POSITIVE)
@options.progress
def export(name: str, out: Path, rows: int | None, quiet: bool, progress: str) -> None:
    """Write the index NAME as Parquet: documents, fields and vectors.

    datasets, pandas, polars and Milvus' bulk import read it, and `index import` makes the index
    again. Documents that were deleted or replaced are left out.

    \b
    bioretrieval-tui index export mine --out mine.parquet
    bioretrieval-tui index export pubmed36 --out pubmed36/ --rows 500000
    """
    from bioretrieval_tui.index.parquet_export import export_index

    with narrated(quiet, progress) as reporter:
        written = export_index(name, out, rows=rows, reporter=reporter)
    files = "" if written.files == 1 else f" in {plural(written.files, 'file')}"
    tell(f"wrote {plural(written.documents, 'document')} to {out}{files}, {size(written.bytes)}")


@click.command()
@_name
@option(
    "--to FOLDER|ADDRESS",
    "Another home (BIORETRIEVAL_HOME), any folder, or a store: milvus+http://HOST:PORT,"
    " milvus+https://HOST:PORT, milvus+file:PATH.db, lance+file:FOLDER or lance+s3://BUCKET/PATH.",
    required=True,
)
@option(
    "--as NAME", "Name of the copy in a store; default: NAME-milvus or NAME-lance.", name="to_name"
)
@option(
    "--text PLACE",
    "Where BM25 and filters of a copy in a store are: here, in files, or in the store; default:"
    " in the store where that is Milvus 2.5 or newer.",
    type=click.Choice(["here", "store"]),
)
@options.progress
def copy(
    name: str, to: str, to_name: str | None, text: str | None, quiet: bool, progress: str
) -> None:
    """Copy the index NAME to another home or folder, or into a store.

    To a folder its files are linked on the same file system, else copied, and compared with their
    checksums. Into a store its documents and vectors are sent, nothing is encoded, and the copy is
    an index of its own here; `--as NAME` with the same name moves the index. A copy that was
    stopped goes on with the same call.

    \b
    bioretrieval-tui index copy mine --to /mnt/shared/indexes
    bioretrieval-tui index copy mine --to milvus+http://localhost:19530 --as mine-there
    """
    from bioretrieval_tui.index.copying import copy_index
    from bioretrieval_tui.index.stores import is_address, parse_address

    if is_address(to):
        from bioretrieval_tui.index.store_index import copy_to_store

        address, here = parse_address(to), None if text is None else text == "here"
        try:
            with narrated(quiet, progress) as reporter:
                there = copy_to_store(name, address, to=to_name, beside=here, reporter=reporter)
        except BaseException as error:
            tell_notes(error)
            raise
        sent = f"{plural(there.documents, 'document')} in {duration(there.seconds)}"
        before = f", {there.before:,} of them sent before" if there.before else ""
        tell(f"copied {name} to {address} as {there.name}: {sent}{before}")
        return
    if to_name is not None or text is not None:
        remedy = "leave them out, or give --to the address of a store"
        raise UsageError("--as and --text are for a store", remedy=remedy)
    with narrated(quiet, progress) as reporter:
        copied = copy_index(name, Path(to), reporter=reporter)
    linked = f", {size(copied.linked)} of them shared by links" if copied.linked else ""
    tell(f"copied {name} to {copied.folder}: {size(copied.bytes)}{linked}")


@click.command()
@click.argument("name")
@click.argument("address")
@option("--as NAME", "Name of the index here; default: NAME.", name="to_name")
def connect(name: str, address: str, to_name: str | None) -> None:
    """Use the index NAME of a store that was copied there from another machine.

    BM25 and filters must be in the store too. The model of the index has to be on this machine.

    \b
    bioretrieval-tui index connect pubmed milvus+https://milvus.example.org:19530
    """
    from bioretrieval_tui.index.store_index import connect_index
    from bioretrieval_tui.index.stores import parse_address

    manifest = connect_index(name, parse_address(address), to=to_name)
    held = f"{plural(manifest.documents, 'document')}, {manifest.model}"
    tell(f"connected {manifest.name} in {manifest.store}: {held}")
