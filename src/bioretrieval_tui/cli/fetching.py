"""Where fetched records go: into an index, a file, or stdout; kept meanwhile, so that an
interrupted fetch goes on where it stood."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bioretrieval_tui.cli.narration import duration, narrated, rate, tell
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.progress import Progress, Reporter

if TYPE_CHECKING:
    from bioretrieval_tui.documents.document import Document
    from bioretrieval_tui.index.build import Outcome
    from bioretrieval_tui.index.intake import Feed
    from bioretrieval_tui.online.batches import Batch, Mark
    from bioretrieval_tui.online.door import Door
    from bioretrieval_tui.online.spool import Spool


@dataclass(frozen=True, slots=True)
class Fetch:
    """One fetch. name: of the service, for messages; asked: the request as a text, equal for equal
    requests; batches: the records behind a mark; ids: what the records' ids are; fault: the error
    of a fetch that finds nothing."""

    name: str
    asked: str
    batches: Callable[[Mark], Iterator[Batch]]
    fault: BioRetrievalError
    ids: Literal["pmid"] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where records go: the index `index`, else the file `output`, else stdout. model, device: for
    an index; anew: forget what an interrupted fetch left."""

    index: str | None = None
    output: Path | None = None
    model: str | None = None
    device: str = "auto"
    anew: bool = False
    quiet: bool = False
    json_progress: bool = False


Hear = Callable[["Document"], None]


def bring(door: Door, fetch: Fetch, place: Place, *, hear: Hear | None = None) -> int:
    """Fetch and put away; returns the number of records. `hear` is told of each document.

    Raises:
        OnlineError: the service fails; what had arrived is kept, but for stdout, which has it.
        UsageError, BioRetrievalError, IndexFault, ModelError: as the place demands.
    """
    check_place(place)
    with narrated(quiet=place.quiet, json_lines=place.json_progress) as reporter:
        if place.index is not None:
            return _into_index(door, fetch, place, place.index, reporter, hear)
        if place.output is not None:
            return _into_file(fetch, place, place.output, reporter, hear)
        return _onto_stdout(fetch, reporter, hear)


def check_place(place: Place) -> None:
    """Refuse what cannot work before anything is asked of the network.

    Raises:
        UsageError: two places, an impossible index, a file that is there, or a folder that is not.
    """
    if place.index is not None and place.output is not None:
        raise UsageError("--index and -o are two places", remedy="choose one of them")
    if place.index is None:
        if place.model is not None:
            raise UsageError("--model is for an index", remedy="say --index NAME")
        if place.output is not None and place.output.exists():
            raise UsageError(
                f"{place.output} is there already", remedy="name another file, or delete it"
            )
        if place.output is not None and not place.output.absolute().parent.is_dir():
            raise UsageError(f"the folder of {place.output} is not there", remedy="make it first")
        return
    from bioretrieval_tui.encoding.device import check_name as check_device
    from bioretrieval_tui.index.layout import CATALOGUE, check_name
    from bioretrieval_tui.index.registry import index_names

    check_device(place.device)
    if check_name(place.index) == CATALOGUE:
        raise UsageError(
            f"the index '{CATALOGUE}' is made from the catalogue itself",
            remedy="choose another name",
        )
    if place.model is not None and place.index in index_names():
        raise UsageError(
            f"the index {place.index} has its model already", remedy="leave --model out"
        )


# The three places -----------------------------------------------------------------------------


def _onto_stdout(fetch: Fetch, reporter: Reporter, hear: Hear | None) -> int:
    from bioretrieval_tui.cli.output import put
    from bioretrieval_tui.online.batches import Mark
    from bioretrieval_tui.online.spool import line_of

    teller, count = _Teller(fetch, reporter, 0), 0
    for batch in fetch.batches(Mark()):
        put(line_of(one).decode("utf-8") for one in batch.documents)
        count += len(batch.documents)
        _told(hear, batch.documents)
        teller.arrived(batch)
    if not count:
        raise fetch.fault
    return count


def _into_file(
    fetch: Fetch, place: Place, output: Path, reporter: Reporter, hear: Hear | None
) -> int:
    from bioretrieval_tui.online.spool import Spool, collected

    path = output.with_name(f"{output.name}.part")
    with Spool(path, fetch.asked, anew=place.anew) as spool, _kept(spool, fetch):
        _tell_resumed(spool, place)
        if hear is not None:
            _told(hear, spool.documents())
        teller = _Teller(fetch, reporter, spool.mark.done)
        if not spool.over:
            for batch, fresh in collected(spool, fetch.batches(spool.mark)):
                teller.arrived(batch)
                _told(hear, fresh)
        if not spool.records:
            spool.finish(None)
            raise fetch.fault
        spool.finish(output)
        count = spool.records
    if not place.quiet:
        tell(f"{count:,} records of {fetch.name} in {output}{teller.speed()}")
    return count


def _into_index(
    door: Door, fetch: Fetch, place: Place, name: str, reporter: Reporter, hear: Hear | None
) -> int:
    from bioretrieval_tui.online.spool import Spool
    from bioretrieval_tui.paths import places

    digest = hashlib.sha256(f"{name}\n{fetch.asked}".encode()).hexdigest()[:16]
    path = places().state / "fetch" / f"{name}-{digest}.jsonl"
    with Spool(path, fetch.asked, anew=place.anew) as spool, _kept(spool, fetch):
        _tell_resumed(spool, place)
        outcome = _fed(_feed(door, fetch, spool, hear), fetch, place, name, reporter)
        count = spool.records
        spool.finish(None)
    if not place.quiet:
        manifest = outcome.manifest
        done = "is as it was" if not outcome.changed else f"has {manifest.documents:,} documents"
        tell(f"{count:,} records of {fetch.name} fetched; the index {name} {done}")
        tell(f'search it, with or without a network: bioretrieval-tui search "..." -i {name}')
    return count


def _fed(feed: Feed, fetch: Fetch, place: Place, name: str, reporter: Reporter) -> Outcome:
    """The index, built or extended."""
    from bioretrieval_tui.cli.models import chosen_model
    from bioretrieval_tui.encoding.embedded import MODEL_ID
    from bioretrieval_tui.encoding.encoder import load_encoder, prepare_query_encoder
    from bioretrieval_tui.index.build import add_from, build_from
    from bioretrieval_tui.index.registry import index_names
    from bioretrieval_tui.search.encoders import encoder_factory_of

    if name in index_names():
        return add_from(name, feed, encoder_factory_of(place.device, reporter), reporter=reporter)
    chosen = chosen_model(place.model)
    hub, recipe = chosen if chosen is not None else (MODEL_ID, None)
    outcome = build_from(
        name,
        feed,
        lambda: load_encoder(hub, recipe, device=place.device, reporter=reporter),
        reporter=reporter,
        ids=fetch.ids,
    )
    prepare_query_encoder(hub, recipe, reporter=reporter)
    return outcome


def _feed(door: Door, fetch: Fetch, spool: Spool, hear: Hear | None) -> Feed:
    """What arrived before, then what arrives: encoding goes on meanwhile."""
    from bioretrieval_tui.documents.document import Place as Origin
    from bioretrieval_tui.documents.document import Record
    from bioretrieval_tui.index.intake import Intake
    from bioretrieval_tui.online.spool import collected

    def feed(intake: Intake) -> None:
        # Whoever stops the build stops the waiting for the service, too.
        door.step = intake.step
        intake.file = fetch.name
        number = 0

        def take(document: Document) -> None:
            nonlocal number
            number += 1
            if hear is not None:
                hear(document)
            intake.take(Record(document, Origin(fetch.name, line=number)))

        for document in spool.documents():
            take(document)
        if not spool.over:
            for batch, fresh in collected(spool, fetch.batches(spool.mark)):
                for rejected in batch.rejected:
                    intake.take(rejected)
                for document in fresh:
                    take(document)
                if batch.mark.total:
                    intake.share = min(1.0, batch.mark.done / batch.mark.total)
        if not spool.records:
            raise fetch.fault
        intake.share = 1.0

    return feed


def _told(hear: Hear | None, documents: Iterable[Document]) -> None:
    if hear is not None:
        for document in documents:
            hear(document)


# Telling --------------------------------------------------------------------------------------


class _Teller:
    """Makes progress of batches; the rate is that of this run alone."""

    def __init__(self, fetch: Fetch, reporter: Reporter, before: int) -> None:
        self._fetch = fetch
        self._reporter = reporter
        self._before = self._done = before
        self._began = time.perf_counter()

    def arrived(self, batch: Batch) -> None:
        """A batch is put away."""
        self._done = batch.mark.done
        elapsed = time.perf_counter() - self._began
        came = self._done - self._before
        self._reporter(
            Progress(
                "fetching",
                self._done,
                batch.mark.total,
                unit="records",
                rate=came / elapsed if came and elapsed > 0 else None,
                note=self._fetch.name,
            )
        )

    def speed(self) -> str:
        """How long it took, as the end of a sentence."""
        elapsed = time.perf_counter() - self._began
        came = self._done - self._before
        if elapsed < 1 or not came:
            return ""
        return f", in {duration(elapsed)} ({rate(came / elapsed)}/s)"


def _tell_resumed(spool: Spool, place: Place) -> None:
    if spool.records and not place.quiet:
        tell(f"{spool.records:,} records had arrived before; going on from there")


@contextlib.contextmanager
def _kept(spool: Spool, fetch: Fetch) -> Iterator[None]:
    """Say what is kept where a fetch ends early, however it does."""
    try:
        yield
    except BaseException as error:
        if spool.records and error is not fetch.fault:
            total = spool.mark.total
            of = f" of {total:,}" if total else ""
            tell(f"{spool.mark.done:,}{of} records have arrived; the same call goes on from there")
        raise
