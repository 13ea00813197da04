"""The settings of a training run: the user's, else the recipe's, else defaults; each with where it
is from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from bioretrieval_tui.catalog.models import Lora, Recipe, TrainingSettings
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.util.formatting import did_you_mean

Origin = Literal["set", "recipe", "default"]
Kind = Literal["retriever", "reranker"]


class RunSettings(TrainingSettings, frozen=True, kw_only=True):
    """The settings of a recipe, and what no paper says: the kind, and guards of mining and of the
    held-out queries."""

    kind: Kind | None = None
    """What the base becomes: a bi-encoder, or a cross-encoder. None: what it is."""
    negatives_first: Annotated[int, Meta(ge=1)] | None = None
    negatives_last: Annotated[int, Meta(ge=1, le=1000)] | None = None
    """Ranks from which and to which they are taken, without the positives."""
    negatives_margin: Annotated[float, Meta(ge=0, lt=1)] | None = None
    """Share of the positive's score by which a negative's has to be lower."""
    held_out: Annotated[float, Meta(ge=0, le=0.5)] | None = None
    """Share of the queries that are not trained on; 0: none, and the last weights are kept."""
    mix: Annotated[float, Meta(gt=0, le=1)] | None = None
    """Share of each weight's change that the result keeps; None: all of it."""


DEFAULTS = RunSettings(
    pairs="judged",
    loss="contrastive",
    negatives="mined",
    negatives_each=1,
    negatives_by="dense",
    negatives_first=1,
    negatives_last=50,
    negatives_margin=0.05,
    held_out=0.1,
    batch=32,
    learning_rate=3e-5,
    warmup=0.1,
    epochs=3.0,
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
OF_RERANKERS = msgspec.structs.replace(
    DEFAULTS, loss="scores", negatives_each=4, negatives_by="hybrid", batch=8, learning_rate=2e-5
)
"""The same for cross-encoders, which read each negative with its query: those that hybrid search
finds, since they will rerank its hits."""
LORA = Lora(rank=16, alpha=32.0, dropout=0.0)
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


def _is_used(name: str, settings: RunSettings) -> bool:
    """Whether a setting makes a difference to a training with these."""
    if name == "temperature" and settings.kind == "reranker":
        return False
    if name == "negatives_each":
        return settings.negatives != "in-batch" or settings.pairs in ("mesh", "citations")
    if name.startswith("negatives_"):
        return settings.negatives == "mined"
    return settings.loss in _OF_LOSSES.get(name, (settings.loss,))


def choose(
    recipe: Recipe | None, given: Mapping[str, str], base: Kind = "retriever"
) -> ChosenSettings:
    """The settings of a run. given: of `--set key=value`, as written; base: what the base is.
    Raises UsageError: an unknown key, or a value that does not fit it."""
    of_recipe = _values(recipe.training) if recipe is not None and recipe.training else {}
    of_user = parse(given)
    kind: Kind = of_user.get("kind", base)
    of_kind = _values(OF_RERANKERS if kind == "reranker" else DEFAULTS) | {"kind": kind}
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for name in RunSettings.__struct_fields__:
        layers = (("set", of_user), ("recipe", of_recipe), ("default", of_kind))
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
    if origins.get("teacher") == "set" and values["loss"] not in _OF_LOSSES["teacher"]:
        if origins["loss"] == "set":
            said = f"the loss {values['loss']} asks no teacher"
            raise UsageError(said, remedy="--set loss=margin-mse, or kl")
        values["loss"], origins["loss"] = "margin-mse", "default"
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
        raise UsageError(
            f"{key}={text} cannot be", remedy=f"{key} is {_allowed(kind, name)}"
        ) from error


def _allowed(kind: type[msgspec.Struct], name: str) -> str:
    """What a setting may be, in words."""
    info: Any = msgspec.inspect.type_info(kind)
    found = next(field.type for field in info.fields if field.name == name)
    parts = found.types if isinstance(found, msgspec.inspect.UnionType) else (found,)
    for one in parts:
        if isinstance(one, msgspec.inspect.LiteralType):
            return ", ".join(map(str, one.values[:-1])) + f" or {one.values[-1]}"
        if isinstance(one, msgspec.inspect.IntType | msgspec.inspect.FloatType):
            number = "a whole number" if isinstance(one, msgspec.inspect.IntType) else "a number"
            bounds = (("of at least", one.ge), ("above", one.gt), ("of at most", one.le),
                      ("below", one.lt))  # fmt: skip
            said = " and ".join(f"{word} {value:g}" for word, value in bounds if value is not None)
            return f"{number} {said}".strip()
    return "a text"


def _values(settings: TrainingSettings) -> dict[str, Any]:
    """What is said, by name."""
    names = RunSettings.__struct_fields__
    return {name: one for name in names if (one := getattr(settings, name, None)) is not None}


def _merged(given: Lora) -> Lora:
    """An adapter with the usual values where nothing is said."""
    names = Lora.__struct_fields__  # a dropout of 0 is said
    said = {name: value for name in names if (value := getattr(given, name)) not in (None, ())}
    return msgspec.structs.replace(LORA, **said)
