"""What is asked of a training run, and its settings: the user's, else the recipe's, else defaults;
each with where it is from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from bioretrieval_tui.catalog.models import Encoding, Lora, Recipe, TrainingSettings
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.util.formatting import did_you_mean, plural, size, time_left

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.catalogue import Catalogue

Origin = Literal["set", "recipe", "default"]


class RunSettings(TrainingSettings, frozen=True, kw_only=True):
    """The settings of a recipe, and guards of mining, of which no paper says all."""

    negatives_first: Annotated[int, Meta(ge=1)] | None = None
    negatives_last: Annotated[int, Meta(ge=1, le=1000)] | None = None
    """Ranks from which and to which they are taken, without the positives."""
    negatives_margin: Annotated[float, Meta(ge=0, lt=1)] | None = None
    """Share of the positive's score by which a negative's has to be lower."""


DEFAULTS = RunSettings(
    pairs="judged",
    loss="contrastive",
    negatives="mined",
    negatives_each=1,
    negatives_by="dense",
    negatives_first=1,
    negatives_last=50,
    negatives_margin=0.05,
    batch=32,
    learning_rate=3e-5,
    warmup=0.1,
    epochs=2.0,
    temperature=0.05,
    margin=1.0,
    mesh_weight=0.1,
    mesh_threshold=0.3,
    query_length=64,
    document_length=256,
    weight_decay=0.01,
    precision="bf16",
    seed=13,
)
"""What holds where neither user nor recipe says anything."""
LORA = Lora(rank=16, alpha=32.0, dropout=0.05)
"""An adapter of which a recipe or the user says only that there is one."""
_LORA_PREFIX = "lora."
_OF_LOSSES = {
    "temperature": ("contrastive", "kl", "mesh"), "margin": ("triplet",),
    "mesh_weight": ("mesh",), "mesh_threshold": ("mesh",), "teacher": ("margin-mse", "kl"),
}  # fmt: skip
"""Losses by the settings that only they use."""


class ChosenSettings(NamedTuple):
    """Settings in force, and where each is from, by its name."""

    settings: RunSettings
    origins: Mapping[str, Origin]

    def lines(self) -> list[tuple[str, str, Origin]]:
        """Name, value and origin of each setting that this training uses, for people."""
        shown = []
        for name, origin in self.origins.items():
            value = getattr(self.settings, name)
            if not _is_used(name, self.settings):
                continue
            if isinstance(value, Lora):
                value = value.words
            if value is not None:
                shown.append(
                    (name, f"{value:g}" if isinstance(value, float) else str(value), origin)
                )
        return shown


class TrainingRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What to train, on what.

    name: of the model; base, encoding: hub id or folder, and how it encodes (None: its own way);
    base_entry, licence: the catalogue's of it; recipe: id of the catalogue's, "" for none; on: an
    index, a benchmark's folder, or files of documents; pairs: a file of pairs in their place;
    split: of the judgements to train on; settings, origins: as `settings.choose` gives them;
    benchmarks: folders to evaluate on before and after.
    """

    name: str
    base: str
    settings: RunSettings
    encoding: Encoding | None = None
    origins: dict[str, Origin] = {}
    base_entry: str = ""
    licence: str = ""
    recipe: str = ""
    on: str = ""
    pairs: str = ""
    split: str = "train"
    benchmarks: tuple[str, ...] = ()
    device: str = "auto"


def check_runnable(recipe: Recipe) -> None:
    """Raise UsageError where a recipe cannot be run here."""
    training = recipe.training
    if training is None or training.runnable == "no":
        why = training.because if training is not None else "its paper says too little"
        said = f"{recipe.id} cannot be run here: {why}"
        raise UsageError(said, remedy="see: bioretrieval-tui list recipes -w runnable:yes")


def request_of(
    catalogue: Catalogue,
    recipe: Recipe | None,
    base: tuple[str, Encoding | None],
    chosen: ChosenSettings,
    *,
    name: str,
    **fields: Any,
) -> TrainingRequest:
    """The request of a training, with what the catalogue knows of its base.

    base: hub id or folder, and recipe; fields: `on`, `pairs`, `split`, `benchmarks`, `device`.
    Raises UsageError: an entry of the catalogue has the name."""
    taken = catalogue.by_id.get(name)
    if taken is not None and name not in catalogue.own:
        said = f"{name} is an entry of the catalogue: {taken.name}"
        raise UsageError(said, remedy="choose another name")
    hub, encoding = base
    entry = catalogue.model_of_hub(hub)
    return TrainingRequest(
        name=name,
        base=hub,
        encoding=encoding,
        settings=chosen.settings,
        origins=dict(chosen.origins),
        base_entry=entry.id if entry is not None else "",
        licence=entry.licence or "" if entry is not None else "",
        recipe=recipe.id if recipe is not None else "",
        **fields,
    )


class TrainingPlan(msgspec.Struct, frozen=True, tag="training_plan"):
    """What a training would do, as it was measured.

    data: a sentence about the pairs; pairs, held: trained on and held out; skipped: records left
    out, by reason; examples: query, positive and number of given negatives of some; steps;
    step_seconds, seconds: of a step, and of all with the looks at what is held out; memory, disk:
    bytes; device.
    """

    data: str
    pairs: int
    held: int
    skipped: dict[str, int]
    examples: tuple[tuple[str, str, int], ...]
    steps: int
    step_seconds: float
    seconds: float
    memory: int
    disk: int
    device: str

    def line(self) -> str:
        """The plan in one sentence."""
        return (
            f"{plural(self.pairs, 'pair')}, {self.held:,} held out, {plural(self.steps, 'step')},"
            f" about {time_left(self.seconds).removesuffix(' left')} on {self.device}"
            f" ({self.step_seconds:.2g} s a step), {size(self.memory)} of memory,"
            f" {size(self.disk)} of disk"
        )


def _is_used(name: str, settings: RunSettings) -> bool:
    """Whether a setting makes a difference to a training with these."""
    if name == "negatives_each":
        return settings.negatives != "in-batch" or settings.pairs in ("mesh", "citations")
    if name.startswith("negatives_"):
        return settings.negatives == "mined"
    return settings.loss in _OF_LOSSES.get(name, (settings.loss,))


def choose(recipe: Recipe | None, given: Mapping[str, str]) -> ChosenSettings:
    """The settings of a run. given: of `--set key=value`, as written. Raises UsageError: an unknown
    key, or a value that does not fit it."""
    of_recipe = _values(recipe.training) if recipe is not None and recipe.training else {}
    of_user = parse(given)
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for name in RunSettings.__struct_fields__:
        layers = (("set", of_user), ("recipe", of_recipe), ("default", _values(DEFAULTS)))
        for origin, known in layers:
            if name in known:
                values[name], origins[name] = known[name], origin  # type: ignore[assignment]  # a literal
                break
    if values.get("lora") is not None:
        values["lora"] = _merged(values["lora"])
    if "steps" in values and not (origins["steps"] == "recipe" and origins["epochs"] == "set"):
        values.pop("epochs", None)
        origins.pop("epochs", None)
    else:
        values.pop("steps", None)
        origins.pop("steps", None)
    return ChosenSettings(RunSettings(**values), origins)


def parse(given: Mapping[str, str]) -> dict[str, Any]:
    """Values of `key=value` by the names of the settings; `lora=no` trains all weights, `lora=yes`
    or `lora.rank=8` an adapter. Raises UsageError."""
    found: dict[str, Any] = {}
    adapter: dict[str, Any] = {}
    for key, text in given.items():
        of_adapter = key.startswith(_LORA_PREFIX)
        kind: type[msgspec.Struct] = Lora if of_adapter else RunSettings
        name = key.removeprefix(_LORA_PREFIX)
        if key == "lora":
            if text.casefold() not in ("yes", "no"):
                raise UsageError(
                    f"lora is yes or no, not {text}", remedy="lora.rank=16 sets its rank"
                )
            found["lora"] = Lora() if text.casefold() == "yes" else None
            continue
        if name not in kind.__struct_fields__:
            names = (
                *RunSettings.__struct_fields__,
                *(f"lora.{n}" for n in Lora.__struct_fields__),
            )
            near = did_you_mean(key, names, f"settings: {', '.join(names)}")
            raise UsageError(f"there is no setting {key}", remedy=near)
        (adapter if of_adapter else found)[name] = _value(kind, name, text, key)
    if adapter:
        found["lora"] = msgspec.convert(adapter, Lora)
    return found


def _value(kind: type[msgspec.Struct], name: str, text: str, key: str) -> Any:
    given: Any = text.split(",") if name == "targets" else text
    try:
        return getattr(msgspec.convert({name: given}, kind, strict=False), name)
    except msgspec.ValidationError as error:
        said = str(error).partition(" - at ")[0].replace("`", "")
        raise UsageError(f"{key}={text}: {said}", remedy="bioretrieval-tui train --help") from error


def _values(settings: TrainingSettings) -> dict[str, Any]:
    """What is said, by name."""
    names = RunSettings.__struct_fields__
    return {name: one for name in names if (one := getattr(settings, name, None)) is not None}


def _merged(given: Lora) -> Lora:
    """An adapter with the usual values where nothing is said."""
    said = {name: value for name in Lora.__struct_fields__ if (value := getattr(given, name))}
    return msgspec.structs.replace(LORA, **said)
