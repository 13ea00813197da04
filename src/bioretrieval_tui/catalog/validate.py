"""Read catalogue files from YAML, with every check: `python -m bioretrieval_tui.catalog.validate`.

Slow and thorough. The app starts from the compiled form that `store` keeps of its outcome.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bioretrieval_tui.catalog.assembly import Draft, add_file, content, header
from bioretrieval_tui.catalog.content import Content
from bioretrieval_tui.catalog.semantics import Checks
from bioretrieval_tui.catalog.typing_checks import shown
from bioretrieval_tui.errors import CatalogueError, NotFoundError, Problem

MAIN = "catalog.yaml"


@dataclass(frozen=True, slots=True)
class Files:
    """The bytes of a set of YAML files, by path, in reading order."""

    contents: Mapping[Path, bytes]


def read_folder(folder: Path) -> Files:
    """The YAML files of a catalogue folder, its entry file first.

    Raises:
        NotFoundError: there is no `catalog.yaml`.
        CatalogueError: a file cannot be read.
    """
    main = folder / MAIN
    if not main.is_file():
        raise NotFoundError(f"no {MAIN} in {folder}", remedy="reinstall bioretrieval-tui")
    paths = [main, *sorted(p for p in folder.glob("*.yaml") if p.name != MAIN)]
    contents: dict[Path, bytes] = {}
    problems: list[Problem] = []
    for path in paths:
        try:
            contents[path] = path.read_bytes()
        except OSError as error:
            problems.append(Problem(path, f"cannot be read: {error.strerror}"))
    if problems:
        raise CatalogueError(problems)
    return Files(contents)


def parse(files: Files) -> tuple[Draft, Content]:
    """Validate a catalogue.

    Raises:
        CatalogueError: with every problem of every file.
    """
    draft = Draft()
    (main, main_data), *rest = files.contents.items()
    top = header(main, main_data)
    add_file(draft, main, main_data, overlay=False, main=True)
    by_name = {path.name: (path, data) for path, data in rest}
    # Where the entry file itself is at fault, the others are checked all the same.
    wanted = top.get("include", list(by_name) if draft.problems else [])
    for name in wanted:
        if name in by_name:
            add_file(draft, *by_name[name], overlay=False)
        else:
            message = f"includes '{shown(name)}', which is not there"
            draft.problems.append(Problem(main, message, field="include"))
    for name in by_name:
        if name not in wanted:
            message = f"does not include '{shown(name)}', which is there"
            draft.problems.append(Problem(main, message, field="include"))
    problems = draft.problems + Checks(draft).run()
    if problems:
        order = {path: number for number, path in enumerate(files.contents)}
        raise CatalogueError(sorted(problems, key=lambda p: (order[Path(p.file)], p.line or 0)))
    return draft, content(draft, top.get("updated"))


def apply_overlays(draft: Draft, base: Content, files: Files) -> tuple[Content, list[Problem]]:
    """The catalogue with every overlay that is sound; the problems of those that are not.

    Overlays are taken in the order of their names. One with any problem is left out whole.
    """
    problems: list[Problem] = []
    result = base
    for path, data in files.contents.items():
        trial = draft.copy()
        add_file(trial, path, data, overlay=True)
        faults = trial.problems + Checks(trial).run()
        if faults:
            problems.extend(faults)
            continue
        draft, result = trial, content(trial, base.updated)
    return result, problems


def main(arguments: list[str]) -> int:
    """Print every problem of the catalogue folder given, or its counts."""
    folder = Path(arguments[0] if arguments else "data")
    try:
        _, whole = parse(read_folder(folder))
    except CatalogueError as error:
        print("\n".join(str(p) for p in error.problems), file=sys.stderr)
        print(f"{len(error.problems)} problems", file=sys.stderr)
        return error.exit_code
    except NotFoundError as error:
        print(error.line(), file=sys.stderr)
        return error.exit_code
    print(f"{len(whole.entries)} entries, {len(whole.results)} results: no problems")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
