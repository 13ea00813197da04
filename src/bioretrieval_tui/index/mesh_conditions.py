"""Conditions of a filter on MeSH: with the headings of `fetch mesh`, `mesh:cancer` also finds the
heading that is called so, and all that are narrower. `mesh="Neoplasms"` stays exact."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from bioretrieval_tui.documents.mesh import Heading, Mesh, kept_mesh
from bioretrieval_tui.query import Node, ast

FIELDS = frozenset({"mesh", "major"})


def exploded(node: Node) -> Node:
    """`node` with its conditions on MeSH exploded; itself if there are none, or MeSH was not
    fetched. Raises BioRetrievalError if the file of the headings is damaged."""
    mesh = kept_mesh() if any(_values(node)) else None
    return node if mesh is None else ast.mapped(node, lambda one: _exploded(one, mesh))


def _values(node: Node) -> Iterator[str]:
    """The values of all conditions on MeSH that are not exact."""
    match node:
        case ast.Not(inner):
            yield from _values(inner)
        case ast.All(nodes) | ast.Any(nodes):
            for part in nodes:
                yield from _values(part)
        case ast.Matches(field, ":", values) if field in FIELDS:
            yield from values


def _exploded(node: Node, mesh: Mesh) -> Node:
    """One condition with the headings that its values name, and all that are narrower."""
    if isinstance(node, ast.Matches) and any(_values(node)):
        headings = filter(None, map(mesh.heading, node.values))
        names = dict.fromkeys(name for one in headings for name in mesh.narrower(one))
        if names:
            return ast.Any((node, ast.Matches(node.field, "=", tuple(names))))
    return node


# Completion -----------------------------------------------------------------------------------

_LAST = re.compile(
    r"(?:^|[\s(])-?(?:mesh|major|topic|mesh_major)[:=]"
    r'(?:(?:[^\s"(),]+|"[^"]*"),)*(?:"(?P<quoted>[^"]*)|(?P<bare>[^\s"(),]+))$',
    re.IGNORECASE,
)
_BARE = re.compile(r"[\w/+.-]+")
_MOST_OFFERED = 20


class Offer(NamedTuple):
    """A way to go on with a filter. text: the whole filter; heading: what the condition then means;
    term: the name of it that was begun."""

    text: str
    heading: Heading
    term: str

    @property
    def described(self) -> str:
        """The heading with its places in the tree, and the synonym."""
        known = f"{self.term}: {self.heading.name}" if self.is_synonym else self.heading.name
        return f"{known} {', '.join(self.heading.trees)}".rstrip()

    @property
    def is_synonym(self) -> bool:
        return self.term != self.heading.name


def offers(expression: str, most: int = _MOST_OFFERED) -> list[Offer]:
    """What a filter that ends within a condition on MeSH may go on with: headings and synonyms that
    begin so; none where MeSH was not fetched."""
    match = _LAST.search(expression)
    mesh = kept_mesh() if match else None
    if match is None or mesh is None:
        return []
    quoted = match["quoted"] is not None
    begun = match["quoted"] if quoted else match["bare"]
    start = expression[: match.start("quoted") - 1 if quoted else match.start("bare")]
    return [
        Offer(start + _written(term, quoted=quoted), heading, term)
        for heading, term in mesh.begun(begun, most)
    ]


def _written(term: str, *, quoted: bool) -> str:
    """A term as a value: with hyphens for blanks, which mean the same and need no quotes."""
    hyphened = "-".join(term.split())
    return hyphened if not quoted and _BARE.fullmatch(hyphened) else ast.quoted(term)
