"""Which benchmark holds which task of mteb: published scores are joined by these names."""

from __future__ import annotations

import pytest

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Benchmark

TASKS = """
BIOSSES BiorxivClusteringP2P.v2 BrightBiologyLongRetrieval BrightBiologyRetrieval
BrightProBiologyRetrieval BrightRetrieval CMedQAv1-reranking CMedQAv2-reranking CUREv1
ChatDoctorRetrieval CmedqaRetrieval CovidRetrieval EnglishHealthcare1Retrieval
GermanHealthcare1Retrieval IFIRCds IFIRNFCorpus IFIRPm IFIRScifact LitSearchRetrieval
MedicalQARetrieval MedicalRetrieval MedrxivClusteringP2P.v2 MedrxivClusteringS2S.v2 NFCorpus
NanoNFCorpusRetrieval NanoSCIDOCSRetrieval NanoSciFactRetrieval PublicHealthQA
R2MEDBioinformaticsRetrieval R2MEDBiologyRetrieval R2MEDIIYiClinicalRetrieval
R2MEDMedQADiagRetrieval R2MEDMedXpertQAExamRetrieval R2MEDMedicalSciencesRetrieval
R2MEDPMCClinicalRetrieval R2MEDPMCTreatmentRetrieval SCIDOCS SciDocsRR SciFact SciFact-PL
TRECCOVID TRECCOVID-PL
""".split()

LANGUAGES = {
    "curev1": "en es fr",
    "publichealthqa": "arabic chinese english french korean russian spanish vietnamese",
}
"""Benchmarks whose subsets are those of mteb, one a language."""

MEASURES = {
    "biosses": "Spearman",
    "biorxiv-clustering": "V-measure",
    "medrxiv-clustering": "V-measure",
    "cmedqa-reranking": "MAP",
    "scidocs-rr": "MAP",
    "ifir": "nDCG@20",
}
"""Main scores in mteb other than nDCG@10."""


def tasks(entry: Benchmark) -> list[str]:
    return [name.strip() for name in (entry.loaders.mteb or "").split(",") if name.strip()]


def holders(catalogue: Catalogue) -> dict[str, list[Benchmark]]:
    """The sets that name a task, by task."""
    held: dict[str, list[Benchmark]] = {}
    for entry in catalogue.of_type(Benchmark):
        for name in tasks(entry) if entry.type == "set" else ():
            held.setdefault(name, []).append(entry)
    return held


@pytest.mark.parametrize("task", TASKS)
def test_a_task_belongs_to_one_benchmark(catalogue: Catalogue, task: str) -> None:
    (entry,) = holders(catalogue)[task]
    assert entry.metric == MEASURES.get(entry.id, "nDCG@10")


def test_the_tasks_are_counted() -> None:
    assert len(TASKS) == len(set(TASKS)) == 42


def test_a_benchmark_of_several_tasks_has_a_subset_for_each(catalogue: Catalogue) -> None:
    for entry in catalogue.of_type(Benchmark):
        named = [subset.task for subset in entry.subsets if subset.task]
        if entry.type == "set" and (named or len(tasks(entry)) > 1):
            assert sorted(named) == sorted(tasks(entry)), entry.id
        names = [subset.name for subset in entry.subsets]
        assert len(names) == len(set(names)), entry.id


@pytest.mark.parametrize("identifier", LANGUAGES)
def test_languages_are_named_as_in_mteb(catalogue: Catalogue, identifier: str) -> None:
    entry = catalogue.entry(identifier)
    assert isinstance(entry, Benchmark)
    assert [subset.name for subset in entry.subsets] == LANGUAGES[identifier].split()


def test_the_subset_of_a_result_is_one_of_its_benchmark(catalogue: Catalogue) -> None:
    for result in catalogue.results:
        entry = catalogue.entry(result.benchmark)
        assert isinstance(entry, Benchmark)
        assert result.subset in {None, *(subset.name for subset in entry.subsets)}, result
