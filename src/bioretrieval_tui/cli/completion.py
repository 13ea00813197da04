"""`completion`: scripts for bash, zsh and fish, and the answers that they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli import COMPLETION_VARIABLE, PROGRAM
from bioretrieval_tui.cli.output import put
from bioretrieval_tui.errors import BioRetrievalError

if TYPE_CHECKING:
    from click.shell_completion import ShellComplete

SHELLS = ("bash", "zsh", "fish")

HOW = {
    "bash": 'Put this into ~/.bashrc:  eval "$(bioretrieval-tui completion bash)"',
    "zsh": 'Put this into ~/.zshrc, after compinit:  eval "$(bioretrieval-tui completion zsh)"',
    "fish": "Run once:  bioretrieval-tui completion fish"
    " > ~/.config/fish/completions/bioretrieval-tui.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a completion script for your shell.

    Its first line says where to put it. Kinds, ids, fields, formats and index names complete.
    """
    made = _completer(shell)
    # `source()` would first start a bash to ask its version.
    script = made.source_template % made.source_vars()
    put([f"# {HOW[shell]}\n", script.strip("\n") + "\n"])


def answer(instruction: str) -> int:
    """Answer the completion function of a shell; `instruction` as `bash_complete`.

    What goes wrong is not told: the user is in the middle of a line.
    """
    shell, _, what = instruction.partition("_")
    if shell not in SHELLS or what != "complete":
        return 1
    try:
        completed = _completer(shell).complete()
    except (KeyError, ValueError, BioRetrievalError):  # called by hand, or half an input
        return 1
    put([completed + "\n"])
    return 0


def _completer(shell: str) -> ShellComplete:
    from click.shell_completion import get_completion_class

    from bioretrieval_tui.cli.root import root

    found = get_completion_class(shell)
    if found is None:
        raise LookupError(f"click completes no {shell}")
    return found(root, {}, PROGRAM, COMPLETION_VARIABLE)
