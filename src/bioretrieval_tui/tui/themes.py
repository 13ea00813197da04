"""Three looks: dark, light, and the terminal's own colours.

A look maps roles (text, dim, paper, model, ...) to Rich styles; widgets know only roles. Every
style includes the background, so that a line needs no compositor.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.style import Style
from textual.theme import Theme

KIND_ROLES = ("paper", "model", "dataset", "benchmark", "recipe", "milestone", "step")


@dataclass(frozen=True)
class Look:
    """One theme. `styles` by role; `theme` is what Textual itself needs to know."""

    name: str
    theme: Theme
    styles: dict[str, Style] = field(repr=False)

    def style(self, role: str) -> Style:
        """The style of a role; an unknown role is plain text."""
        return self.styles.get(role) or self.styles["text"]


def _look(
    name: str,
    *,
    dark: bool,
    background: str,
    surface: str,
    raised: str,
    blurred: str,
    border: str,
    text: str,
    dim: str,
    faint: str,
    kinds: dict[str, str],
    match: str,
) -> Look:
    def on(color: str, *, bg: str = background, bold: bool = False, under: bool = False) -> Style:
        return Style(color=color, bgcolor=bg, bold=bold or None, underline=under or None)

    styles = {
        "text": on(text),
        "strong": on(text, bold=True),
        "dim": on(dim),
        "faint": on(faint),
        "rule": on(border),
        "link": on(kinds["dataset"], under=True),
        "match": on(background, bg=match),
        "passage": on(text, bg=raised),
        "ok": on(kinds["model"]),
        "warn": on(kinds["recipe"]),
        "error": on(kinds["paper"], bold=True),
        "command": on(kinds["model"], bg=raised),
        "key": on(text, bg=raised, bold=True),
        "bar": on(dim, bg=surface),
        "bar.strong": on(text, bg=surface, bold=True),
        "bar.active": on(background, bg=kinds["model"], bold=True),
        "header": on(faint, bold=True),
        "header.active": on(text, bold=True, under=True),
        "cursor": on(text, bg=raised, bold=True),
        "cursor.blurred": on(text, bg=blurred),
        "gauge": on(kinds["model"]),
        "own": on(kinds["benchmark"]),
        "own.strong": on(kinds["benchmark"], bold=True),
    }
    for kind, color in kinds.items():
        styles[kind] = on(color)
        styles[f"{kind}.strong"] = on(color, bold=True)
    theme = Theme(
        name=name, primary=kinds["model"], secondary=kinds["dataset"], accent=kinds["model"],
        foreground=text, background=background, surface=surface, panel=raised, dark=dark,
        warning=kinds["recipe"], error=kinds["paper"], success=kinds["model"],
    )  # fmt: skip
    return Look(name, theme, styles)


def _terminal() -> Look:
    """Named colours only, on the terminal's own background; the cursor is reversed."""
    kinds = {
        "paper": "red", "model": "green", "dataset": "cyan", "benchmark": "magenta",
        "recipe": "yellow", "milestone": "green", "step": "yellow",
    }  # fmt: skip
    plain, bold = Style(color="default"), Style(color="default", bold=True)
    faint, underlined = Style(color="default", dim=True), Style(color="default", underline=True)
    reverse = Style(color="default", reverse=True)
    styles = {
        "text": plain, "dim": plain, "bar": plain,
        "strong": bold, "command": bold, "key": bold, "bar.strong": bold,
        "faint": faint, "rule": faint, "header": faint + Style(bold=True),
        "link": Style(color="cyan", underline=True),
        "match": reverse, "bar.active": reverse + bold, "cursor": reverse + bold,
        "passage": underlined, "cursor.blurred": underlined, "header.active": underlined + bold,
        "ok": Style(color="green"), "gauge": Style(color="green"), "warn": Style(color="yellow"),
        "error": Style(color="red", bold=True),
        "own": Style(color="magenta"), "own.strong": Style(color="magenta", bold=True),
    }  # fmt: skip
    for kind, color in kinds.items():
        styles[kind] = Style(color=color)
        styles[f"{kind}.strong"] = Style(color=color, bold=True)
    theme = Theme(
        name="terminal", ansi=True, primary="ansi_green", secondary="ansi_cyan",
        accent="ansi_green", foreground="ansi_default", background="ansi_default",
        surface="ansi_default", panel="ansi_default", boost="ansi_default",
        warning="ansi_yellow", error="ansi_red", success="ansi_green",
        # Textual's own style sheets use these two, which its ANSI palette lacks.
        variables={"ansi-background": "ansi_default", "ansi-foreground": "ansi_default"},
    )  # fmt: skip
    return Look("terminal", theme, styles)


DARK = _look(
    "dark", dark=True, background="#0a0a0b", surface="#111113", raised="#27272a",
    blurred="#1c1c1f", border="#27272a", text="#fafafa", dim="#a1a1aa", faint="#8f8f99",
    match="#fcd34d",
    kinds={
        "model": "#6ee7b7", "dataset": "#67e8f9", "benchmark": "#c4b5fd", "paper": "#fda4af",
        "recipe": "#fcd34d", "milestone": "#6ee7b7", "step": "#fcd34d",
    },
)  # fmt: skip
LIGHT = _look(
    "light", dark=False, background="#fbfbfa", surface="#f0f0ee", raised="#dcdcd8",
    blurred="#e8e8e5", border="#d4d4cf", text="#18181b", dim="#45454d", faint="#5b5b63",
    match="#b45309",
    kinds={
        "model": "#036b4d", "dataset": "#0c667f", "benchmark": "#6d28d9", "paper": "#be123c",
        "recipe": "#92400e", "milestone": "#036b4d", "step": "#92400e",
    },
)  # fmt: skip
TERMINAL = _terminal()

LOOKS: dict[str, Look] = {look.name: look for look in (DARK, LIGHT, TERMINAL)}
