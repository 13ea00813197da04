"""Three looks: dark, light, and the terminal's own colours; and those of the user's themes.

A look maps roles (text, dim, paper, model, ...) to Rich styles; widgets know only roles. Every
style includes the background, so that a line needs no compositor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rich.style import Style
from textual.theme import Theme

from bioretrieval_tui.theme_files import COLOURS

KIND_ROLES = ("paper", "model", "dataset", "benchmark", "recipe", "milestone", "step")

_ROLES = """
text | {text} | default
strong | bold {text} | bold default
dim | {dim} | default
faint | {faint} | dim default
rule | {border} | dim default
behind | {behind} | dim default
link | underline {dataset} | underline {dataset}
match | {on_match} on {match} | reverse default
passage | {text} on {raised} | underline default
ok | {model} | {model}
warn | {recipe} | {recipe}
error | bold {paper} | bold {paper}
command | {model} on {raised} | bold default
key | bold {text} on {raised} | bold default
bar | {dim} on {surface} | default
button | {dim} on {surface} | underline default
bar.strong | bold {text} on {surface} | bold default
bar.active | bold {background} on {model} | bold reverse default
header | bold {faint} | bold dim default
header.active | bold underline {text} | bold underline default
cursor | bold {text} on {raised} | bold reverse default
cursor.blurred | {text} on {blurred} | underline default
heat.1 | bold reverse {model} | bold reverse default
heat.2 | bold {model} | bold default
heat.3 | {text} | default
heat.4 | {faint} | dim default
gauge | {model} | {model}
own | {benchmark} | {benchmark}
own.strong | bold {benchmark} | bold {benchmark}
"""
"""Role, its style with our colours (on {background} unless it says so), and with the terminal's."""


@dataclass(frozen=True)
class Look:
    """One theme. theme: what Textual itself needs to know; colours: by their names in `_ROLES`."""

    name: str
    theme: Theme
    colours: dict[str, str]

    @cached_property
    def styles(self) -> dict[str, Style]:
        rows = [row.split(" | ") for row in _ROLES.strip().split("\n")]
        rows += [[kind, f"{{{kind}}}", f"{{{kind}}}"] for kind in KIND_ROLES]
        rows += [[f"{k}.strong", f"bold {{{k}}}", f"bold {{{k}}}"] for k in KIND_ROLES]
        styles = {}
        for role, painted, named in rows:
            spec = painted if " on " in painted else f"{painted} on {{background}}"
            spec = named if self.theme.ansi else spec
            styles[role] = Style.parse(spec.format_map(self.colours))
        return styles

    def style(self, role: str) -> Style:
        """The style of a role; an unknown role is plain text."""
        return self.styles.get(role) or self.styles["text"]


def _look(name: str, *, dark: bool, **colours: str) -> Look:
    theme = Theme(
        name=name, primary=colours["model"], secondary=colours["dataset"],
        accent=colours["model"], foreground=colours["text"], background=colours["background"],
        surface=colours["surface"], panel=colours["raised"], dark=dark,
        warning=colours["recipe"], error=colours["paper"], success=colours["model"],
    )  # fmt: skip
    return Look(name, theme, {"on_match": colours["background"], **colours})


DARK = _look(
    "dark", dark=True, background="#0a0a0b", surface="#111113", raised="#27272a",
    blurred="#1c1c1f", border="#27272a", behind="#4a4a52", text="#fafafa", dim="#a1a1aa",
    faint="#8f8f99", match="#fcd34d", model="#6ee7b7", dataset="#67e8f9", benchmark="#c4b5fd",
    paper="#fda4af", recipe="#fcd34d", milestone="#6ee7b7", step="#fcd34d",
)  # fmt: skip
LIGHT = _look(
    "light", dark=False, background="#fbfbfa", surface="#f0f0ee", raised="#dcdcd8",
    blurred="#e8e8e5", border="#d4d4cf", behind="#b0b0aa", text="#18181b", dim="#45454d",
    faint="#5b5b63", match="#fcd34d", on_match="#18181b", model="#036b4d", dataset="#0c667f",
    benchmark="#6d28d9", paper="#be123c", recipe="#92400e", milestone="#036b4d", step="#92400e",
)  # fmt: skip
TERMINAL = Look(
    "terminal",
    Theme(
        name="terminal", ansi=True, primary="ansi_green", secondary="ansi_cyan",
        accent="ansi_green", foreground="ansi_default", background="ansi_default",
        surface="ansi_default", panel="ansi_default", boost="ansi_default",
        warning="ansi_yellow", error="ansi_red", success="ansi_green",
        # Textual's own style sheets use these two, which its ANSI palette lacks.
        variables={"ansi-background": "ansi_default", "ansi-foreground": "ansi_default"},
    ),
    {"paper": "red", "model": "green", "dataset": "cyan", "benchmark": "magenta",
     "recipe": "yellow", "milestone": "green", "step": "yellow"},
)  # fmt: skip
"""Named colours only, on the terminal's own background; the cursor is reversed."""


def own_looks(themes: Mapping[str, Mapping[str, Any]]) -> dict[str, Look]:
    """The looks of the user's themes."""
    known = ("dark", *COLOURS)
    return {
        name: _look(name, **{one: value for one, value in theme.items() if one in known})
        for name, theme in themes.items()
    }


LOOKS: dict[str, Look] = {look.name: look for look in (DARK, LIGHT, TERMINAL)}
