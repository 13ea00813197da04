"""What is asked of a training, and what it would do: for the command line, the app and jobs.

Imports neither numpy nor torch: the app's end of the protocol reads this too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Encoding, Model, Recipe
from bioretrieval_tui.errors import NotFoundError, UsageError
from bioretrieval_tui.training.hyperparameters import ChosenSettings, Kind, Origin, RunSettings
from bioretrieval_tui.util.formatting import plural, size, time_left

Find = Callable[[str], tuple[str, Encoding | None]]
"""Hub id or folder, and recipe, of a model by its name; see `api.model_recipe`."""


class TrainingRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What to train, on what.

    name: of the model; base, encoding: hub id or folder, and how it encodes (None: its own way);
    base_encoding: how the base encodes, where the new model does it in another way;
    base_entry, licence: the catalogue's of it; teacher, teacher_encoding: hub id or folder and
    recipe of a teacher that is a model, "" for none; recipe: id of the catalogue's, "" for none;
    on: an index, a benchmark's folder, or files of documents; pairs: a file of pairs in their
    place; split: of the judgements to train on; settings, origins: as `settings.choose` gives them;
    benchmarks: folders to evaluate on before and after.
    """

    name: str
    base: str
    settings: RunSettings
    encoding: Encoding | None = None
    base_encoding: Encoding | None = None
    origins: dict[str, Origin] = {}
    base_entry: str = ""
    licence: str = ""
    teacher: str = ""
    teacher_encoding: Encoding | None = None
    recipe: str = ""
    on: str = ""
    pairs: str = ""
    split: str = "train"
    benchmarks: tuple[str, ...] = ()
    device: str = "auto"

    @property
    def caution(self) -> str:
        """That the licence of the base forbids derivatives, or ""."""
        if "nd" not in self.licence.casefold().split("-"):
            return ""
        forbids = f"the licence of {self.base}, {self.licence}, forbids derivatives"
        return f"{forbids}: keep the model to yourself"


def check_runnable(recipe: Recipe) -> None:
    """Raise UsageError where a recipe cannot be run here."""
    training = recipe.training
    if training is None or training.runnable == "no":
        why = training.because if training is not None else "its paper says too little"
        said = f"{recipe.id} cannot be run here: {(why or '').rstrip('.')}"
        raise UsageError(said, remedy="see: bioretrieval-tui list recipes -w runnable:yes")


def base_of(
    recipe: Recipe | None, base: str | None, find: Find
) -> tuple[str, Encoding | None, Kind]:
    """Hub id or folder of the base, its recipe, and what it is: the base that is named, else the
    recipe's, else the embedded model. Raises what `find` raises."""
    from bioretrieval_tui.encoding.embedded import MODEL_ID
    from bioretrieval_tui.training.trainable_models import kind_of_base

    wanted = base or (recipe.base if recipe is not None else None) or MODEL_ID
    try:
        hub, own = find(wanted)
    except NotFoundError:
        if base is not None or "/" not in wanted:
            raise
        hub, own = wanted, None  # a recipe's base without an entry: its files are looked for
    return hub, own, kind_of_base(hub, own)


def request_of(
    catalogue: Catalogue,
    recipe: Recipe | None,
    base: str | None,
    chosen: ChosenSettings,
    find: Find,
    *,
    name: str,
    **fields: Any,
) -> TrainingRequest:
    """The request of a training: its base is that of `base_of`; its teacher may be a model.

    fields: `on`, `pairs`, `split`, `benchmarks`, `device`. Raises UsageError: an entry of the
    catalogue has the name; what `find` raises."""
    from bioretrieval_tui.encoding.recipe import recipe_hash
    from bioretrieval_tui.training.teachers import DISTILLED, SEARCHES
    from bioretrieval_tui.training.trainable_models import encoding_to_train

    taken, settings = catalogue.by_id.get(name), chosen.settings
    if taken is not None and name not in catalogue.own:
        said = f"{name} is an entry of the catalogue: {taken.name}"
        raise UsageError(said, remedy="choose another name")
    hub, own, _ = base_of(recipe, base, find)
    encoding, of_base = own, None
    if settings.kind != "reranker":
        made = catalogue.by_id.get(recipe.model) if recipe is not None else None
        published = made.encoding if isinstance(made, Model) else None
        encoding = encoding_to_train(hub, own, published, named=base is not None)
        same = own is None or encoding is None or recipe_hash(own) == recipe_hash(encoding)
        of_base = None if same or own is None or own.type != "bi-encoder" else own
    teacher: tuple[str, Encoding | None] = "", None
    if settings.loss in DISTILLED and settings.teacher not in (None, *SEARCHES):
        teacher = find(settings.teacher)
    entry = catalogue.model_of_hub(hub)
    return TrainingRequest(
        name=name,
        base=hub,
        encoding=encoding,
        base_encoding=of_base,
        settings=settings,
        origins=dict(chosen.origins),
        base_entry=entry.id if entry is not None else "",
        licence=entry.licence or "" if entry is not None else "",
        teacher=teacher[0],
        teacher_encoding=teacher[1],
        recipe=recipe.id if recipe is not None else "",
        **fields,
    )


class TrainingPlan(msgspec.Struct, frozen=True, tag="training_plan"):
    """What a training would do, as it was measured.

    data: a sentence about the pairs; pairs, held: trained on and held out; skipped: records left
    out, by reason; examples: query, positive and number of given negatives of some; steps;
    step_seconds, look_seconds, seconds: of a step, of all looks at what is held out, and of all;
    memory, disk: bytes; device.
    """

    data: str
    pairs: int
    held: int
    skipped: dict[str, int]
    examples: tuple[tuple[str, str, int], ...]
    steps: int
    step_seconds: float
    look_seconds: float
    seconds: float
    memory: int
    disk: int
    device: str

    def line(self) -> str:
        """The plan in one sentence."""
        return (
            f"{plural(self.pairs, 'pair')}, {self.held:,} held out, {plural(self.steps, 'step')},"
            f" about {time_left(self.seconds).removesuffix(' left')} on {self.device}"
            f" ({self.step_seconds:.2g} s a step, {self.look_seconds / 60:.1f} min of looks at what"
            f" is held out), {size(self.memory)} of memory,"
            f" {size(self.disk)} of disk"
        )
