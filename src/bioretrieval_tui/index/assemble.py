"""One new state of an index: a segment, the graph and lexical index over all segments, a manifest.

Everything is written in a folder of its own and moved into place; the manifest comes last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np

from bioretrieval_tui import __version__
from bioretrieval_tui.corpus.checksum import sha256_of
from bioretrieval_tui.corpus.store import DocumentStore
from bioretrieval_tui.corpus.writer import StoreWriter
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.fields.building import FieldsBase, build_fields
from bioretrieval_tui.index.fields.facts import FieldsFacts
from bioretrieval_tui.index.graph import GraphBuilder, load_graph, probe
from bioretrieval_tui.index.intake import Feed, Intake, empty_fault
from bioretrieval_tui.index.layout import (
    BUILDING_PREFIX,
    DEAD,
    DOCUMENTS,
    FIELDS,
    GRAPH,
    LEXICAL,
    MANIFEST,
    SEGMENT_FILES,
    VECTORS,
    index_folder,
    new_token,
    sync_file,
    sync_folder,
)
from bioretrieval_tui.index.lexical.analysis import ANALYSER
from bioretrieval_tui.index.lexical.merge import write_index
from bioretrieval_tui.index.lexical.runs import RunWriter
from bioretrieval_tui.index.manifest import (
    FORMAT,
    FileFacts,
    GraphSettings,
    IdKind,
    Manifest,
    SegmentFacts,
    encode_manifest,
    seal,
)
from bioretrieval_tui.index.matrix import Halves, Labels, Matrix
from bioretrieval_tui.index.pipeline import WINDOW, Filled, fill
from bioretrieval_tui.index.report import Report
from bioretrieval_tui.index.vectorise import ModelFacts, Vectoriser
from bioretrieval_tui.paths import write_atomically
from bioretrieval_tui.progress import Progress, Reporter

_RUNS = "runs"
_FIELD_RUNS = "field-runs"


@dataclass(frozen=True, slots=True)
class Base:
    """An index to build upon: its manifest and folder, its documents and vectors, and the labels
    that are dead."""

    manifest: Manifest
    folder: Path
    store: DocumentStore
    matrix: Matrix
    dead: frozenset[int]


@dataclass(frozen=True, slots=True)
class Settings:
    """base: the index that is extended, None for a whole new one; history: a manifest whose
    inputs and figures stay true of the new index (compacting)."""

    base: Base | None = None
    ids: IdKind | None = None
    fingerprint: str | None = None
    history: Manifest | None = None


def assemble(
    name: str,
    feed: Feed,
    vectoriser: Vectoriser,
    settings: Settings,
    report: Report,
    reporter: Reporter,
    *,
    started: float,
) -> Manifest | None:
    """Build and put in force; None where an extension turned out to change nothing.

    The caller holds the index for writing and sweeps. `started`: perf_counter() at the beginning.

    Raises:
        CorpusError: nothing that could be found would be left. OSError, sqlite3.Error: the disk.
        Whatever reading, encoding and `reporter` raise.
    """
    folder = index_folder(name)
    base = settings.base
    if base is not None and base.manifest.lexical.analyser != ANALYSER:
        raise IndexFault(
            f"the words of index {name} were cut by {base.manifest.lexical.analyser}, this version"
            f" cuts them by {ANALYSER}",
            remedy=f"bring it up to date first: bioretrieval-tui index compact {name}",
        )
    work = folder / f"{BUILDING_PREFIX}{new_token()}"
    work.mkdir(parents=True)
    graph_settings = GraphSettings()
    if base is not None:
        graph_settings = base.manifest.graph
    with StoreWriter(
        work / DOCUMENTS,
        base.store if base is not None else None,
        base.dead if base is not None else frozenset(),
    ) as writer:
        intake = Intake(writer, report)
        runs = RunWriter(work / _RUNS)
        filled = fill(
            work,
            writer,
            feed,
            intake,
            vectoriser,
            runs,
            lambda facts: _start_graph(facts, graph_settings, base),
            reporter,
        )
        if base is not None and writer.changes == 0:
            return None
        writer.finish()
    dead = np.array(sorted((base.dead if base else frozenset()) | writer.died), dtype=np.int64)
    alive = writer.next - len(dead)
    if alive <= 0:
        raise empty_fault(report)
    generation = work / "generation"
    generation.mkdir()
    matrix = _matrix(work / VECTORS, writer.rows, filled.facts, base)
    reporter(Progress("linking", 0, 4, unit="steps", note="lexical index"))
    lexical = write_index(
        generation / LEXICAL,
        runs.finish(),
        base=base.folder / base.manifest.path(LEXICAL) if base is not None else None,
        dead=dead,
        total=writer.next,
    )
    reporter(Progress("linking", 1, 4, unit="steps", note="fields"))
    fields = _build_fields(work, generation / FIELDS, base, dead, reporter)
    reporter(Progress("linking", 2, 4, unit="steps", note="measuring recall"))
    graph_settings = _finish_graph(filled, graph_settings, matrix, dead, writer.died)
    reporter(Progress("linking", 3, 4, unit="steps", note="saving the graph"))
    if filled.graph is None:
        (generation / GRAPH).touch()
    else:
        filled.graph.save(generation / GRAPH)
    np.save(generation / DEAD, dead)
    reporter(Progress("linking", 4, 4, unit="steps"))

    segment, token = SegmentFacts(new_token(), writer.rows), new_token()
    files = dict(base.manifest.files) if base is not None else {}
    if base is not None:
        files = {
            path: facts
            for path, facts in files.items()
            if not path.startswith(f"{base.manifest.generation}/")
        }
    files |= _move(work, folder, segment.id, token, reporter)
    source = settings.history or (base.manifest if base is not None else None)
    rate = vectoriser.encoded / vectoriser.seconds if vectoriser.seconds else 0.0
    if not rate and source is not None:
        rate = source.docs_per_second  # nothing was encoded: the figure of before stays true
    manifest = seal(
        Manifest(
            format=FORMAT,
            name=name,
            generation=token,
            model=filled.facts.model,
            revision=filled.facts.revision,
            recipe=filled.facts.recipe,
            recipe_hash=filled.facts.recipe_hash,
            dimension=filled.facts.dimension,
            dtype="float16",
            similarity=filled.facts.similarity,
            normalised=filled.facts.normalised,
            documents=alive,
            segments=(*(base.manifest.segments if base is not None else ()), segment),
            files=files,
            graph=graph_settings,
            lexical=lexical,
            fields=fields,
            built=datetime.now(UTC).isoformat(timespec="seconds"),
            device=vectoriser.device or (source.device if source is not None else ""),
            seconds=round(perf_counter() - started, 3),
            docs_per_second=round(rate, 2),
            app=__version__,
            aliases=writer.aliases + (base.manifest.aliases if base is not None else 0),
            inputs=(*(source.inputs if source is not None else ()), *intake.inputs),
            ids=settings.ids or (base.manifest.ids if base is not None else None),
            fingerprint=settings.fingerprint,
        )
    )
    # The swap: from here on the new index is the index.
    write_atomically(folder / MANIFEST, encode_manifest(manifest))
    sync_folder(folder)
    return manifest


def _start_graph(
    facts: ModelFacts, settings: GraphSettings, base: Base | None
) -> GraphBuilder | None:
    if not facts.dimension:
        return None
    if base is None:
        return GraphBuilder(facts.dimension, settings, WINDOW)
    return GraphBuilder.grown_from(load_graph(base.manifest, base.folder), settings)


def _finish_graph(
    filled: Filled, settings: GraphSettings, matrix: Matrix, dead: Labels, died: set[int]
) -> GraphSettings:
    """Bury what died, and choose the `ef` that reaches the target recall."""
    if filled.graph is None:
        return settings
    filled.graph.bury(np.array(sorted(died), dtype=np.int64))
    return filled.graph.tuned(settings, probe(matrix, dead, filled.facts.similarity))


def _build_fields(
    work: Path, out: Path, base: Base | None, dead: Labels, reporter: Reporter
) -> FieldsFacts:
    """Columns over the old segments and the new one, which is complete but not in its place."""
    old, paths = None, []
    if base is not None:
        old = FieldsBase(
            base.folder / base.manifest.path(FIELDS), base.manifest.fields, base.manifest.rows
        )
        paths = [base.folder / path for path in base.manifest.stores()]
    store = DocumentStore([*paths, work / DOCUMENTS])
    try:
        return build_fields(out, work / _FIELD_RUNS, store, base=old, dead=dead, reporter=reporter)
    finally:
        store.close()


def _matrix(path: Path, rows: int, facts: ModelFacts, base: Base | None) -> Matrix:
    """The vectors of the old segments and of the new one."""
    parts: list[Halves] = list(base.matrix.parts) if base is not None else []
    if rows and facts.dimension:
        parts.append(np.memmap(path, dtype="<f2", mode="r", shape=(rows, facts.dimension)))
    return Matrix(parts, facts.dimension)


def _move(
    work: Path, folder: Path, segment: str, generation: str, reporter: Reporter
) -> dict[str, FileFacts]:
    """Flush every new file, take its size and checksum, and move both folders into place."""
    facts: dict[str, FileFacts] = {}
    made = sorted(path for path in (work / "generation").rglob("*") if path.is_file())
    new = [(work / name, f"{segment}/{name}") for name in SEGMENT_FILES]
    new += [
        (path, f"{generation}/{path.relative_to(work / 'generation').as_posix()}") for path in made
    ]
    for number, (path, name) in enumerate(new, start=1):
        sync_file(path)
        facts[name] = FileFacts(path.stat().st_size, sha256_of(path))
        reporter(Progress("saving", number, len(new), unit="files"))
    (work / "segment").mkdir()
    for name in SEGMENT_FILES:
        (work / name).rename(work / "segment" / name)
    for part, token in (("segment", segment), ("generation", generation)):
        for inner in {path.parent for path in (work / part).rglob("*")} | {work / part}:
            sync_folder(inner)
        (work / part).rename(folder / token)
    sync_folder(folder)
    return facts
