"""`train`: train a model on what is here, evaluate it before and after; list, show, export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from bioretrieval_tui.catalog.models import Benchmark, Recipe
from bioretrieval_tui.cli import options
from bioretrieval_tui.cli.job_verbs import submit
from bioretrieval_tui.cli.lookups import catalogue, chosen_model, fetch_missing
from bioretrieval_tui.cli.options import option
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.cli.streams import narrated, put_object, put_page, put_sheet, tell
from bioretrieval_tui.errors import InterruptedByUser, NotFoundError, UsageError
from bioretrieval_tui.util.formatting import did_you_mean

if TYPE_CHECKING:
    from bioretrieval_tui.backend.protocol import TrainJob
    from bioretrieval_tui.catalog.catalogue import Catalogue
    from bioretrieval_tui.progress import Reporter
    from bioretrieval_tui.render.formats import Format
    from bioretrieval_tui.training.training_request import TrainingRequest

_RUN = "run"


def _unfinished() -> Iterator[str]:
    from bioretrieval_tui.training.own_models import all_unfinished

    yield from (one.request.name for one in all_unfinished())


class TrainGroup(NamedGroup):
    """A group that takes what is no command of it for the arguments of a training."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self.completed(args))

    def completed(self, args: list[str]) -> list[str]:
        """The words of a call with the command that may be left out."""
        named = not args or args[0] in self.commands or args[0] in ("-h", "--help")
        return args if named else [_RUN, *args]


@click.group(cls=TrainGroup, no_args_is_help=False)
def train() -> None:
    """Train a model of your own, evaluated before and after.

    \b
    bioretrieval-tui train --on datasets/scifact --name mine --eval datasets/scifact
    bioretrieval-tui train --pairs pairs.jsonl --base all-minilm-l6-v2 --name mine
    bioretrieval-tui train --on my-index --set pairs=title-abstract --name mine --dry-run
    bioretrieval-tui train train-biohicl --on my-index --name mine
    bioretrieval-tui train --on datasets/scifact --set kind=reranker --name mine

    `train run --help` lists the options.
    """


@train.command(_RUN)
@click.argument("recipe", required=False, shell_complete=options.complete_id)
@option("--on PLACE", "An index, a benchmark's folder, or a file of documents to train on.")
@option("--pairs FILE", "JSON lines, CSV, TSV or Parquet: query, positive, negative, score.")
@options.model("--base", "Model to begin with; default: the recipe's, else the embedded one.")
@option("--name NAME", "Name of the new model.")
@option("--split NAME", "Judgements to train on.", default="train")
@option(
    "--set KEY=VALUE",
    "A setting in place of the recipe's, as batch=64, epochs=3, lora=yes. Repeatable.",
    name="given",
    multiple=True,
)
@option(
    "--eval FOLDER",
    "Benchmark to evaluate on before and after. Repeatable.",
    name="benchmarks",
    multiple=True,
)
@option("--dry-run", "Show settings, examples and cost, measured on some steps, and stop.")
@options.download
@options.device
@options.background
@options.progress
@options.format_
def run(
    recipe: str | None,
    on: str | None,
    pairs: str | None,
    base: str | None,
    name: str | None,
    split: str,
    given: Sequence[str],
    benchmarks: Sequence[str],
    dry_run: bool,
    download: bool,
    device: str,
    background: bool,
    quiet: bool,
    progress: str,
    format_: Format,
) -> None:
    """Train a model: by a RECIPE of the catalogue, or by settings of your own.

    What is trained on is one of --on and --pairs. A tenth of the queries is held out; the weights
    that rank them best are kept. The same call goes on with a training that was ended. The model is
    used as any other: --model NAME, a cross-encoder --reranker NAME.
    """
    from bioretrieval_tui.backend.protocol import TrainJob
    from bioretrieval_tui.training.hyperparameters import choose
    from bioretrieval_tui.training.training_request import base_of, request_of

    values = dict(_setting(one) for one in given)
    if pairs is not None:
        values = {"pairs": "given", "negatives": "given", **values}
    found = catalogue()
    entry = _recipe(recipe, found) if recipe is not None else None
    *_, kind = base_of(entry, base, chosen_model)
    chosen = choose(entry, values, kind)
    if name is None and not dry_run:
        raise UsageError("the new model needs a name", remedy="add --name NAME")
    for folder in benchmarks:
        if not Path(folder).expanduser().is_dir():
            raise NotFoundError(f"the benchmark {folder} is not there", remedy=_fetchable(folder))
    request = request_of(
        found, entry, base, chosen, chosen_model, name=name or "dry-run", on=on or "",
        pairs=pairs or "", split=split, benchmarks=tuple(benchmarks), device=device,
    )  # fmt: skip
    if request.caution:
        tell(request.caution)
    if not dry_run:
        job = TrainJob(request, download=download)
        _carry_out(job, quiet, progress, format_, background=background)
        return
    from bioretrieval_tui.render.training_pages import example_sheet, settings_sheet
    from bioretrieval_tui.training.training_run import plan

    with narrated(quiet, progress) as reporter:
        _fetch_models(request, reporter, download=download)
        planned = plan(request, reporter, tell)
    put_sheet(settings_sheet(chosen), format_)
    put_sheet(example_sheet(planned.examples), format_)
    skipped = ", ".join(f"{count:,} {why}" for why, count in planned.skipped.items())
    tell(f"{planned.data}: {planned.line()}" + (f"; left out: {skipped}" if skipped else ""))


def _carry_out(
    job: TrainJob, quiet: bool, progress: str, format_: Format, *, background: bool
) -> None:
    """Train here, or submit the job."""
    from bioretrieval_tui.training.own_models import check_new_name

    name, request = job.request.name, job.request
    if background:
        check_new_name(name)
        if not job.download:  # what the job would find out first is told now
            from bioretrieval_tui.training.training_run import check_request

            check_request(request)
        submit(job, request.device)
        return
    from bioretrieval_tui.training import training_run

    try:
        with narrated(quiet, progress) as reporter:
            _fetch_models(request, reporter, download=job.download)
            lineage = training_run.train(request, reporter, tell, finish=job.finish)
    except KeyboardInterrupt as stop:
        remedy = f"train resume {name} goes on, train finish {name} takes the best weights so far"
        raise InterruptedByUser(f"stopped; {name} is not finished", remedy=remedy) from stop
    if format_ == "json":
        put_object(msgspec.to_builtins(lineage))
        return
    from bioretrieval_tui.render.training_pages import model_page

    put_page(model_page(lineage), format_)


def _fetch_models(request: TrainingRequest, reporter: Reporter, *, download: bool) -> None:
    """Download the base and the teacher where they are not here; see `fetch_missing`."""
    fetch_missing(request.base, request.encoding, reporter, download=download)
    if request.teacher:
        fetch_missing(request.teacher, request.teacher_encoding, reporter, download=download)


@train.command("resume")
@click.argument("name", shell_complete=options.completes(_unfinished))
@options.background
@options.progress
@options.format_
def resume(name: str, background: bool, quiet: bool, progress: str, format_: Format) -> None:
    """Go on with a training that was ended, from its last checkpoint."""
    _carry_out(_job_of(name), quiet, progress, format_, background=background)


@train.command("finish")
@click.argument("name", shell_complete=options.completes(_unfinished))
@options.background
@options.progress
@options.format_
def finish(name: str, background: bool, quiet: bool, progress: str, format_: Format) -> None:
    """Make a model of a training that was ended, from the weights that did best so far."""
    job = msgspec.structs.replace(_job_of(name), finish=True)
    _carry_out(job, quiet, progress, format_, background=background)


def _job_of(name: str) -> TrainJob:
    """The job of an unfinished training. Raises NotFoundError."""
    from bioretrieval_tui.backend.protocol import TrainJob
    from bioretrieval_tui.training.own_models import all_unfinished, unfinished

    found = unfinished(name)
    if found is None:
        names = [one.request.name for one in all_unfinished()]
        said = did_you_mean(name, names, f"unfinished: {', '.join(names) or 'none'}")
        raise NotFoundError(f"no unfinished training is named {name}", remedy=said)
    return TrainJob(found.request)


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {text} is no KEY=VALUE", remedy="such as --set epochs=3")
    return key.strip(), value.strip()


def _recipe(name: str, found: Catalogue) -> Recipe:
    """The recipe of the catalogue. Raises UsageError: it cannot be run; NotFoundError."""
    from bioretrieval_tui.training.training_request import check_runnable

    entry = found.by_id.get(f"train-{name.casefold()}", found.by_id.get(name.casefold()))
    entry = entry if isinstance(entry, Recipe) else found.entry_of(name, Recipe)
    check_runnable(entry)
    if entry.training is not None and entry.training.because:
        tell(f"{entry.id} needs {entry.training.because}")
    return entry


def _fetchable(name: str) -> str | None:
    entry = catalogue().by_id.get(name.casefold())
    if isinstance(entry, Benchmark) and entry.loaders.zip:
        return f"bioretrieval-tui fetch benchmark {entry.id}"
    return None


@train.command("list")
@options.format_
def list_(format_: Format) -> None:
    """List the models that were trained here, newest first."""
    from bioretrieval_tui.render.training_pages import model_sheet
    from bioretrieval_tui.training.own_models import all_unfinished, own_models

    found = own_models(tell)
    put_sheet(model_sheet(found), format_)
    begun = all_unfinished(tell)
    for one in begun:
        then = "train resume goes on, train finish ends it"
        then = f"train show {one.request.name} tells more" if one.runs else then
        tell(f"{one.state}: {one.line()}; {then}")
    if not (found or begun):
        tell("no model was trained yet; start with: bioretrieval-tui train --help")


@train.command("show")
@click.argument("name")
@options.format_
def show_model(name: str, format_: Format) -> None:
    """Show where a model comes from and what was measured, or how far its training is."""
    from bioretrieval_tui.render.training_pages import model_page, unfinished_page
    from bioretrieval_tui.training.own_models import find_model, unfinished

    begun = unfinished(name)
    if begun is not None:
        put_page(unfinished_page(begun), format_)
        return
    _, lineage = find_model(name)
    if format_ in ("json", "jsonl"):
        put_object(msgspec.to_builtins(lineage))
        return
    put_page(model_page(lineage), format_)


@train.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Remove a model, or a training that was not finished."""
    from bioretrieval_tui.training.own_models import remove_model

    remove_model(name)
    tell(f"removed {name}")


@train.command("export")
@click.argument("name")
@click.argument("folder", type=options.PATH)
def export(name: str, folder: Path) -> None:
    """Copy a model as a sentence-transformers folder, with a model card."""
    from bioretrieval_tui.training.own_models import export_model

    tell(f"wrote {export_model(name, folder)}")
