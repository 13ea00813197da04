"""`train`: train a model on what is here, evaluate it before and after; list, show, export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from bioretrieval_tui.catalog.models import Benchmark, Model, Recipe
from bioretrieval_tui.cli import options
from bioretrieval_tui.cli.lookups import catalogue, chosen_model, fetch_missing, needs_extra
from bioretrieval_tui.cli.options import option
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.cli.streams import narrated, put_object, put_page, put_sheet, tell
from bioretrieval_tui.errors import InterruptedByUser, NotFoundError, UsageError
from bioretrieval_tui.util.formatting import plural

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.models import Encoding
    from bioretrieval_tui.render.formats import Format
    from bioretrieval_tui.training.hyperparameters import RunSettings
    from bioretrieval_tui.training.training_run import TrainingRequest

_RUN = "run"
_PACKAGES = "datasets, accelerate and peft"


class TrainGroup(NamedGroup):
    """A group that takes what is no command of it for the arguments of a training."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self.completed(args))

    def completed(self, args: list[str]) -> list[str]:
        """The words of a call with the command that may be left out."""
        named = not args or args[0] in self.commands or args[0] in ("-h", "--help")
        return args if named else [_RUN, *args]


@click.group(cls=TrainGroup, no_args_is_help=True)
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
@option("--dry-run", "Show settings, examples and cost, and stop.")
@options.download
@options.device
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
    quiet: bool,
    progress: str,
    format_: Format,
) -> None:
    """Train a model: by a RECIPE of the catalogue, or by settings of your own.

    What is trained on is one of --on and --pairs. A tenth of the queries is held out; the weights
    that rank them best are kept. The same call goes on with a training that was ended. The model is
    used as any other: --model NAME, a cross-encoder --reranker NAME.
    """
    from bioretrieval_tui.training.hyperparameters import choose
    from bioretrieval_tui.training.reranker_training import kind_of_base
    from bioretrieval_tui.training.training_run import prepare

    values = dict(_setting(one) for one in given)
    if pairs is not None:
        values = {"pairs": "given", "negatives": "given", **values}
    found = _recipe(recipe) if recipe is not None else None
    begins = _base(found, base)
    chosen = choose(found, values, kind_of_base(*begins[1:]))
    if name is None and not dry_run:
        raise UsageError("the new model needs a name", remedy="add --name NAME")
    for folder in benchmarks:
        if not Path(folder).expanduser().is_dir():
            raise NotFoundError(f"the benchmark {folder} is not there", remedy=_fetchable(folder))
    with narrated(quiet, progress) as reporter:
        request = _request(
            found, begins, name or "dry-run", chosen.settings, named=base is not None
        )
        request = msgspec.structs.replace(
            request, origins=dict(chosen.origins), on=on or "", pairs=pairs or "", split=split,
            benchmarks=tuple(benchmarks), device=device,
        )  # fmt: skip
        fetch_missing(request.base, request.encoding, reporter, download=download)
        if request.teacher:
            fetch_missing(request.teacher, request.teacher_encoding, reporter, download=download)
        prepared = prepare(request, reporter, tell) if dry_run else None
        if prepared is None:
            with needs_extra("train", _PACKAGES):
                import accelerate  # noqa: F401
                import datasets  # noqa: F401
                import peft  # noqa: F401

            from bioretrieval_tui.training import training_run
            from bioretrieval_tui.training.own_models import models_folder

            try:
                lineage = training_run.train(request, reporter, tell)
            except KeyboardInterrupt as stop:
                remedy = "the same call goes on from the last checkpoint"
                raise InterruptedByUser(f"stopped; {name} is not finished", remedy=remedy) from stop
    from bioretrieval_tui.render.training_pages import example_sheet, model_page, settings_sheet

    if prepared is not None:
        from bioretrieval_tui.training.training_run import SHOWN

        put_sheet(settings_sheet(chosen), format_)
        put_sheet(example_sheet(prepared.train[:SHOWN]), format_)
        skipped = ", ".join(f"{n:,} {why}" for why, n in prepared.data.skipped.items())
        tell(f"{prepared.data.description}: {plural(len(prepared.train), 'pair')},"
             f" {len(prepared.held):,} held out, {plural(prepared.steps, 'step')},"
             f" some {prepared.memory / 2**30:.1f} GiB of memory"
             + (f"; left out: {skipped}" if skipped else ""))  # fmt: skip
        return
    if format_ == "json":
        put_object(msgspec.to_builtins(lineage))
        return
    put_page(model_page(lineage, str(models_folder() / lineage.name)), format_)


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {text} is no KEY=VALUE", remedy="such as --set epochs=3")
    return key.strip(), value.strip()


def _recipe(name: str) -> Recipe:
    """The recipe of the catalogue. Raises UsageError: it cannot be run; NotFoundError."""
    found = catalogue()
    entry = found.by_id.get(name.casefold())
    if entry is None and f"train-{name.casefold()}" in found.by_id:
        entry = found.by_id[f"train-{name.casefold()}"]
    entry = entry if isinstance(entry, Recipe) else found.entry_of(name, Recipe)
    training = entry.training
    if training is None or training.runnable == "no":
        why = training.because if training is not None else "its paper says too little"
        raise UsageError(f"{entry.id} cannot be run here: {why}", remedy="list recipes")
    if training.because:
        tell(f"{entry.id} needs {training.because}")
    return entry


def _base(recipe: Recipe | None, named: str | None) -> tuple[str, str, Encoding | None]:
    """The base as it is named, its hub id or folder, and its encoding: the one that is named, else
    the recipe's, else the embedded."""
    from bioretrieval_tui.encoding.embedded import MODEL_ID

    wanted = named or (recipe.base if recipe is not None else None) or MODEL_ID
    try:
        return wanted, *chosen_model(wanted)
    except NotFoundError:
        if named is not None or "/" not in wanted:
            raise
        return wanted, wanted, None  # a recipe's base without an entry: its files are looked for


def _request(
    recipe: Recipe | None,
    base: tuple[str, str, Encoding | None],
    name: str,
    settings: RunSettings,
    *,
    named: bool,
) -> TrainingRequest:
    """The request with its base, and with its teacher, if that is a model. base: of `_base`; named:
    by the user."""
    from bioretrieval_tui.encoding.recipe import recipe_hash
    from bioretrieval_tui.training.teachers import DISTILLED, SEARCHES
    from bioretrieval_tui.training.trainable_models import encoding_to_train
    from bioretrieval_tui.training.training_run import TrainingRequest

    wanted, hub, own = base
    found = catalogue()
    encoding, own_way = own, None
    if settings.kind != "reranker":
        made = found.by_id.get(recipe.model) if recipe is not None else None
        published = made.encoding if isinstance(made, Model) else None
        encoding = encoding_to_train(hub, own, published, named=named)
        same = own is None or encoding is None or recipe_hash(own) == recipe_hash(encoding)
        own_way = None if same or own is None or own.type != "bi-encoder" else own
    entry = found.model_of_hub(hub)
    licence = entry.licence or "" if isinstance(entry, Model) else ""
    if "nd" in licence.casefold().split("-"):
        tell(f"the licence of {wanted}, {licence}, forbids derivatives: keep the model to yourself")
    teacher, taught_by = "", None
    if settings.loss in DISTILLED and settings.teacher not in (None, *SEARCHES):
        teacher, taught_by = chosen_model(settings.teacher)
    return TrainingRequest(
        name=name,
        teacher=teacher,
        teacher_encoding=taught_by,
        base=hub,
        encoding=encoding,
        base_encoding=own_way,
        settings=settings,
        base_entry=entry.id if entry is not None else "",
        licence=licence,
        recipe=recipe.id if recipe is not None else "",
    )


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
    from bioretrieval_tui.training.own_models import own_models

    found = own_models(tell)
    put_sheet(model_sheet(found), format_)
    if not found:
        tell("no model was trained yet; start with: bioretrieval-tui train --help")


@train.command("show")
@click.argument("name")
@options.format_
def show_model(name: str, format_: Format) -> None:
    """Show where a model comes from, and what was measured."""
    from bioretrieval_tui.render.training_pages import model_page
    from bioretrieval_tui.training.own_models import find_model

    folder, lineage = find_model(name)
    if format_ in ("json", "jsonl"):
        put_object(msgspec.to_builtins(lineage))
        return
    put_page(model_page(lineage, str(folder)), format_)


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
