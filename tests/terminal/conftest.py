"""Programs that stand in for a desktop's: real scripts in a folder that is the whole PATH."""

from __future__ import annotations

from pathlib import Path

import pytest


class Programs:
    """A folder of scripts. `calls` tells what was run, `inputs` what came on stdin."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "bin"
        self.folder.mkdir()
        self.log = folder / "log"

    def add(self, name: str, then: str = "exit 0") -> None:
        """A script that writes down its words, keeps its input and goes on with `then`."""
        script = self.folder / name
        script.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "${{0##*/}}" "$@" END >>"{self.log}"\n{then}\n'
        )
        script.chmod(0o755)

    def keeping_input(self) -> str:
        return f'/bin/cat >"{self.log}.in"'

    @property
    def calls(self) -> list[list[str]]:
        """The words of each call, in order."""
        if not self.log.exists():
            return []
        calls = self.log.read_text().split("\nEND\n")
        return [call.split("\n") for call in calls if call]

    @property
    def input(self) -> bytes:
        return Path(f"{self.log}.in").read_bytes()

    @property
    def path(self) -> str:
        return str(self.folder)


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)
