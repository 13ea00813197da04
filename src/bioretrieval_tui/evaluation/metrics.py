"""The measures of a run, computed by ir-measures (by trec_eval's code, except RR).

ir-measures is imported within a function: it takes a third of a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

MAIN = "nDCG@10"
MEASURES = (MAIN, "AP@100", "R@100", "RR@10", "P@10")
"""In the spelling of ir-measures."""
DEPTH = 100
"""Documents per query that these measures need."""

Ranking = Sequence[tuple[str, float]]
"""Document ids with their scores, best first."""


@dataclass(frozen=True, slots=True)
class Measured:
    """metrics: the mean over all judged queries; by_query: value by query and measure."""

    metrics: Mapping[str, float]
    by_query: Mapping[str, Mapping[str, float]]


def measure(
    judgements: Mapping[str, Mapping[str, int]], rankings: Mapping[str, Ranking]
) -> Measured:
    """Measure rankings by query id against judgements by query id and document id.

    Every query of `judgements` counts: one without a ranking, or without a relevant document, as 0.
    A judged document that was not found, or is not in the corpus, counts in recall and in the ideal
    ranking. Grade 1 and above is relevant; nDCG uses the grade as the gain, a grade below 0 as 0.
    Documents without a judgement are not relevant.
    """
    import ir_measures

    parsed = {name: ir_measures.parse_measure(name) for name in MEASURES}
    # Ranks instead of scores: trec_eval would sort ties by descending id and the code of RR by
    # ascending id, while the ranker decides the order.
    places = {
        query: {name: float(-place) for place, (name, _) in enumerate(rankings.get(query, ()))}
        for query in judgements
    }
    # trec_eval treats grades below 0 differently.
    grades = {
        query: {name: max(0, grade) for name, grade in graded.items()}
        for query, graded in judgements.items()
    }
    found: dict[str, dict[str, float]] = {
        query: dict.fromkeys(MEASURES, 0.0) for query in judgements
    }
    names = {str(one): name for name, one in parsed.items()}
    for one in ir_measures.iter_calc(list(parsed.values()), grades, places):
        found[one.query_id][names[str(one.measure)]] = float(one.value)
    means = {name: fmean([one[name] for one in found.values()] or [0.0]) for name in MEASURES}
    return Measured(means, found)
