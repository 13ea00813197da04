"""A benchmark of a few claims: documents, queries and judgements."""

from __future__ import annotations

CORPUS = {
    "d1": ("Statins", "Simvastatin and other statins often cause muscle pain.", 2019),
    "d2": ("p53", "The p53 gene suppresses the growth of tumours.", 1999),
    "d3": ("Asthma", "Inhaled steroids help children who have asthma.", 2021),
    "d4": ("Aspirin", "Aspirin prevents strokes in patients at risk.", 2005),
    "d6": ("", "Triptans end attacks of migraine.", 2011),
}
QUERIES = {
    "1": "Which drugs cause pain in muscles?",
    "2": "tumour suppressor gene",
    "3": "asthma in children",
}
QRELS = "query-id\tcorpus-id\tscore\n1\td1\t2\n2\td2\t1\n3\td3\t1\n3\td4\t0\n"
