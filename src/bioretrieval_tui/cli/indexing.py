"""`index build`, `add` and `import-vectors`: what makes indexes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click

from bioretrieval_tui.cli.catalogue import complete_index, complete_model
from bioretrieval_tui.cli.intake import (
    device_option,
    files_argument,
    ids_option,
    reading_options,
    reported,
    settings_of,
    tell_outcome,
    telling_options,
    told,
)
from bioretrieval_tui.cli.models import chosen_model, whose_vectors


@click.command()
@click.argument("name", shell_complete=complete_index)
@files_argument
@click.option(
    "--model",
    metavar="ID",
    shell_complete=complete_model,
    help="Encode with this model of the catalogue (its id or hub id); the embedded one if not"
    " said.",
)
@click.option("--download", is_flag=True, help="Fetch what the model lacks; its licence is told.")
@device_option
@reading_options
@ids_option
@telling_options
def build(
    name: str,
    files: Sequence[Path],
    model: str | None,
    download: bool,
    device: str,
    reader: str,
    mapping: str | None,
    strict: bool,
    report: Path | None,
    ids: Literal["pmid"] | None,
    quiet: bool,
    progress: str,
) -> None:
    """Build the index NAME over corpus files.

    FILE is a file of any format that --format lists, packed with gzip or not, a folder of such
    files, a glob, or - for stdin; what a file is written in is seen from its content. An index of
    that name answers until the new one is complete. A build that is cut short goes on where its
    vectors end when it is started again, and what was encoded once is not encoded again.

    \b
    bioretrieval-tui index build mine pubmed26n0001.xml.gz
    bioretrieval-tui index build scifact datasets/scifact
    bioretrieval-tui index build notes export.csv --map title=Title,text=Abstract,id=PMID
    """
    from bioretrieval_tui.encoding.device import check_name

    check_name(device)
    settings = settings_of(reader, mapping, strict)
    chosen = chosen_model(model)
    from bioretrieval_tui.cli.downloads import fetch_missing
    from bioretrieval_tui.encoding.embedded import MODEL_ID
    from bioretrieval_tui.encoding.encoder import load_encoder, prepare_query_encoder
    from bioretrieval_tui.index.build import build_index

    hub, recipe = chosen if chosen is not None else (MODEL_ID, None)
    with told(quiet, progress) as reporter, reported(report) as reading:
        if chosen is not None:
            fetch_missing(hub, recipe, reporter, download=download)
        outcome = build_index(
            name,
            [str(path) for path in files],
            lambda: load_encoder(hub, recipe, device=device, reporter=reporter),
            settings=settings,
            reporter=reporter,
            ids=ids,
            reading=reading,
        )
        prepare_query_encoder(hub, recipe, reporter=reporter)
    if not quiet:
        tell_outcome("built", outcome)


@click.command()
@click.argument("name", shell_complete=complete_index)
@files_argument
@device_option
@reading_options
@telling_options
def add(
    name: str,
    files: Sequence[Path],
    device: str,
    reader: str,
    mapping: str | None,
    strict: bool,
    report: Path | None,
    quiet: bool,
    progress: str,
) -> None:
    """Add corpus files to the index NAME.

    New records come in, changed ones replace what had their id, and deletions that a file names
    are followed. Only what is new or changed is encoded. The index answers as it was until the
    addition is complete.
    """
    from bioretrieval_tui.encoding.device import check_name

    check_name(device)
    settings = settings_of(reader, mapping, strict)
    from bioretrieval_tui.index.build import add_to_index, encoder_factory_of

    with told(quiet, progress) as reporter, reported(report) as reading:
        outcome = add_to_index(
            name,
            [str(path) for path in files],
            encoder_factory_of(device, reporter),
            settings=settings,
            reporter=reporter,
            reading=reading,
        )
    if not quiet:
        tell_outcome("extended", outcome)


@click.command("import-vectors")
@click.argument("name", shell_complete=complete_index)
@click.option(
    "--vectors",
    multiple=True,
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A matrix of vectors (.npy), one row a document; give it again for more chunks.",
)
@click.option(
    "--ids",
    "rows",
    multiple=True,
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The ids of its rows, as a JSON list or one a line; one for each --vectors.",
)
@click.option(
    "--documents",
    multiple=True,
    required=True,
    metavar="FILE",
    help="The documents, in any format that `index build` reads.",
)
@click.option(
    "--model",
    required=True,
    metavar="ID",
    shell_complete=complete_model,
    help="The model of the catalogue that made the vectors.",
)
@reading_options
@telling_options
def import_vectors(
    name: str,
    vectors: Sequence[Path],
    rows: Sequence[Path],
    documents: Sequence[str],
    model: str,
    reader: str,
    mapping: str | None,
    strict: bool,
    report: Path | None,
    quiet: bool,
    progress: str,
) -> None:
    """Build the index NAME from vectors that others have computed.

    NCBI publishes those of MedCPT for all of PubMed; nothing is encoded here and no card is
    needed.

    \b
    bioretrieval-tui index import-vectors pubmed36 --model medcpt \\
      --vectors embeds_chunk_36.npy --ids pmids_chunk_36.json --documents pubmed_chunk_36.json
    """
    settings = settings_of(reader, mapping, strict)
    hub, recipe, dimension = whose_vectors(model)
    from bioretrieval_tui.index import importing

    with told(quiet, progress) as reporter, reported(report) as reading:
        outcome = importing.import_vectors(
            name,
            vectors,
            rows,
            documents,
            hub,
            recipe,
            dimension=dimension,
            settings=settings,
            reporter=reporter,
            reading=reading,
        )
    if not quiet:
        tell_outcome("imported", outcome)
