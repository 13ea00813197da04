"""One query of a benchmark run again in every mode, to see where its judged documents went."""

from __future__ import annotations

from dataclasses import replace

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.evaluation.evaluate import Asked, instruction_of, opened
from bioretrieval_tui.evaluation.explore import QueryView, judgements_of, query_view, titles_in
from bioretrieval_tui.evaluation.running import run_mode
from bioretrieval_tui.progress import Reporter, silent


def view_query(
    asked: Asked, query: str, catalogue: Catalogue | None = None, reporter: Reporter = silent
) -> QueryView:
    """Rank for `query` alone in the modes of `asked`, and put the judgements beside it.

    Raises: as `evaluate` does; NotFoundError also where the split judges no such query.
    """
    with opened(asked, reporter, query=query) as ready:
        whole = ready.benchmark
        one = replace(
            whole,
            queries={query: whole.queries[query]},
            judgements={query: judgements_of(whole, query)},
        )
        instruction = instruction_of(asked, ready.manifest, ready.match(catalogue))
        rankings = {
            mode: run_mode(
                ready.ranker(mode),
                one,
                mode,
                depth=asked.depth,
                aliases=ready.aliases,
                keep_own=asked.keep_own,
                instruction=instruction,
                reporter=reporter,
            ).rankings
            for mode in asked.modes
        }
        return query_view(one, rankings, query, titles_in(ready.store))
