"""Names of the tree: one name for one thing, whole classes, and words that readers know."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "bioretrieval_tui"
RIDDLES = re.compile(
    r"\b(rooms?|doors?|house|whoever|nobody|in vain|before one's eyes|of ours|lane|farewell"
    r"|(?<![\[\"-])anew)\b",
    re.IGNORECASE,
)


@cache
def modules() -> dict[Path, ast.Module]:
    """Every module of the program; parsed in the process that runs these tests, and no other."""
    return {
        path.relative_to(SOURCE): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(SOURCE.rglob("*.py"))
        if "_bundle" not in path.parts
    }


def classes() -> Iterator[tuple[Path, ast.ClassDef]]:
    """The classes of all modules, those within functions and classes too."""
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                yield path, node


def twice(names: Counter[str]) -> list[str]:
    return sorted(name for name, count in names.items() if count > 1)


def test_module_names_are_unique() -> None:
    names = Counter(
        path.name for path in modules() if path.name not in ("__init__.py", "__main__.py")
    )
    assert twice(names) == []


def test_class_names_are_unique() -> None:
    """Messages too, which are classes within widgets."""
    assert twice(Counter(node.name for _, node in classes())) == []


def test_own_classes_form_no_long_chains() -> None:
    """At most two below a class of Textual; a pane of entries may be a third."""
    bases = {node.name: [base for base in map(named, node.bases) if base] for _, node in classes()}

    def depth(name: str) -> int:
        return 1 + max((depth(base) for base in bases[name] if base in bases), default=0)

    long = [
        f"{path}: {node.name}"
        for path, node in classes()
        if path.parts[0] == "tui" and depth(node.name) > 2 + ("EntryPane" in bases[node.name])
    ]
    assert long == []


def named(base: ast.expr) -> str | None:
    """The name of a base class, without its type arguments."""
    base = base.value if isinstance(base, ast.Subscript) else base
    return base.id if isinstance(base, ast.Name) else None


def test_classes_are_whole() -> None:
    """No stub waits for another slice of a class, and no parameter takes anything at all."""
    found = []
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and "NotImplementedError" in ast.dump(node):
                found.append(f"{path}:{node.lineno}: NotImplementedError")
            kwarg = node.kwarg if isinstance(node, ast.arguments) else None
            if kwarg and kwarg.annotation and ast.unparse(kwarg.annotation) == "object":
                found.append(f"{path}:{kwarg.lineno}: **{kwarg.arg}: object")
    assert found == []


def test_prose_is_in_words_of_the_field() -> None:
    places = [*SOURCE.rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    places += [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "Makefile"]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in places
        if "_bundle" not in path.parts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := RIDDLES.search(line))
    ]
    assert found == []
