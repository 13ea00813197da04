"""Conditions of a filter on MeSH: with the headings of `fetch mesh`, `mesh:cancer` also finds the
heading that is called so, and all that are narrower. `mesh="Neoplasms"` stays exact."""

from __future__ import annotations

from collections.abc import Iterator

from bioretrieval_tui.documents.mesh import Mesh, kept_mesh
from bioretrieval_tui.query import Node, ast

FIELDS = frozenset({"mesh", "major"})


def exploded(node: Node) -> Node:
    """`node` with its conditions on MeSH exploded; itself if there are none, or MeSH was not
    fetched. Raises BioRetrievalError if the file of the headings is damaged."""
    mesh = kept_mesh() if any(_values(node)) else None
    return node if mesh is None else _exploded(node, mesh)


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
    match node:
        case ast.Not(inner):
            return ast.Not(_exploded(inner, mesh))
        case ast.All(nodes):
            return ast.All(tuple(_exploded(part, mesh) for part in nodes))
        case ast.Any(nodes):
            return ast.Any(tuple(_exploded(part, mesh) for part in nodes))
        case ast.Matches(field) if any(_values(node)):
            headings = filter(None, map(mesh.heading, node.values))
            names = dict.fromkeys(name for one in headings for name in mesh.narrower(one))
            if names:
                return ast.Any((node, ast.Matches(field, "=", tuple(names))))
    return node
