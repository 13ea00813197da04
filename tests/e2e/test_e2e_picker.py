"""A shell that takes what is chosen in the app, and pipes identifiers into it."""

from __future__ import annotations

from collections.abc import Callable

from terminal import APP, Session

Start = Callable[..., Session]


def test_a_shell_takes_what_is_chosen(start: Start) -> None:
    script = 'found=$("$@" --select --pane models --filter medcpt); echo "got $found, $?"'
    session = start(command=["sh", "-c", script, "sh", *APP])
    session.wait("filter medcpt")
    session.settle()
    session.send("\r")
    session.wait("got medcpt, 0")
    assert session.ended() == 0
    assert not session.screen.alternate


def test_nothing_chosen_is_an_exit_code(start: Start) -> None:
    session = start(command=["sh", "-c", '"$@" --fresh --select | cat; exit 0', "sh", *APP])
    session.wait("Biomedical text retrieval")
    session.send("q")
    assert session.ended() == 0


def test_identifiers_without_an_app_to_show_them(start: Start) -> None:
    script = 'echo medcpt | "$@" | cat; echo done'
    session = start(command=["sh", "-c", script, "sh", *APP])
    session.wait("identifiers on stdin are shown in the app")
    assert session.ended() == 0


def test_identifiers_are_piped_in(start: Start) -> None:
    script = 'printf "medcpt\\nbge-m3 no-such\\n" | "$@"'
    session = start(command=["sh", "-c", script, "sh", *APP])
    session.wait("2 of 3 given identifiers")
    session.wait("In no index: 1 identifier (no-such)")
    session.send("j")
    session.wait("bge-m3")
    session.send("q")
    assert session.ended() == 0
