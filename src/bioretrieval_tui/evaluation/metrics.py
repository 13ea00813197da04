"""The measures of a run, computed by ir-measures (trec_eval's code but for RR).

Imported when there is something to measure: ir-measures takes a third of a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

MAIN = "nDCG@10"
MEASURES = (MAIN, "AP@100", "R@100", "RR@10", "P@10")
"""As ir-measures spells them."""
DEPTH = 100
"""How deep a ranking must go for all of them."""

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

    Every query of `judgements` counts: one without a ranking, or without a relevant document,
    with 0. A judged document that was not found, or is in no corpus, counts in recall and in the
    ideal ranking. Grade 1 and above is relevant; nDCG takes the grade itself as the gain, and
    a grade below 0 as 0. Documents without a judgement are not relevant.
    """
    import ir_measures

    parsed = {name: ir_measures.parse_measure(name) for name in MEASURES}
    # Places instead of scores: trec_eval would sort ties by id downwards and the code behind RR
    # upwards, while the order is the ranker's to decide.
    places = {
        query: {name: float(-place) for place, (name, _) in enumerate(rankings.get(query, ()))}
        for query in judgements
    }
    # trec_eval has meanings of its own for grades below 0.
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
    metrics = {
        name: fmean(values[name] for values in found.values()) if found else 0.0
        for name in MEASURES
    }
    return Measured(metrics, found)
