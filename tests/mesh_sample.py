"""A small descriptor file in the form of NLM's (desc2026.xml), written by hand: seven headings."""

from __future__ import annotations

from collections.abc import Sequence

_HEAD = """<?xml version="1.0"?>
<!DOCTYPE DescriptorRecordSet SYSTEM "https://www.nlm.nih.gov/databases/dtd/nlmdescriptorrecordset_20260101.dtd">
<DescriptorRecordSet LanguageCode = "eng">
"""


def _record(number: int, name: str, trees: Sequence[str], terms: Sequence[str]) -> str:
    places = "".join(f"    <TreeNumber>{tree}</TreeNumber>\n" for tree in trees)
    places = f"  <TreeNumberList>\n{places}  </TreeNumberList>\n" if trees else ""
    named = "".join(
        f'      <Term  ConceptPreferredTermYN="N" IsPermutedTermYN="{"Y" if "," in term else "N"}"'
        f' LexicalTag="NON" RecordPreferredTermYN="N">\n        <TermUI>T0{number}</TermUI>\n'
        f"        <String>{term}</String>\n      </Term>\n"
        for term in (name, *terms)
    )
    return f"""<DescriptorRecord DescriptorClass = "1">
  <DescriptorUI>D00{number}</DescriptorUI>
  <DescriptorName>
   <String>{name}</String>
  </DescriptorName>
  <DateCreated><Year>1999</Year><Month>01</Month><Day>01</Day></DateCreated>
  <AllowableQualifiersList><AllowableQualifier><QualifierReferredTo>
    <QualifierUI>Q000628</QualifierUI><QualifierName><String>therapy</String></QualifierName>
  </QualifierReferredTo><Abbreviation>TH</Abbreviation></AllowableQualifier>
  </AllowableQualifiersList>
  <SeeRelatedList><SeeRelatedDescriptor><DescriptorReferredTo>
    <DescriptorUI>D000912</DescriptorUI><DescriptorName><String>Antibodies, Neoplasm</String>
    </DescriptorName></DescriptorReferredTo></SeeRelatedDescriptor></SeeRelatedList>
{places}  <ConceptList>
   <Concept PreferredConceptYN="Y">
    <ConceptUI>M00{number}</ConceptUI>
    <ConceptName><String>{name}</String></ConceptName>
    <ConceptRelationList><ConceptRelation RelationName="NRW"><Concept1UI>M1</Concept1UI>
    <Concept2UI>M2</Concept2UI></ConceptRelation></ConceptRelationList>
    <TermList>
{named}    </TermList>
   </Concept>
  </ConceptList>
</DescriptorRecord>
"""


HEADINGS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("Neoplasms", ("C04",), ("Neoplasm", "Cancer", "Tumors", "Malignant Neoplasm")),
    ("Neoplasms by Site", ("C04.588",), ("Site, Neoplasms by",)),
    ("Lung Neoplasms", ("C04.588.894.797.520", "C08.381.540", "C08.785.520"),
     ("Lung Cancer", "Cancer of Lung", "Neoplasms, Lung")),
    ("Lung Diseases", ("C08.381",), ("Pulmonary Diseases", "Disease, Lung")),
    ("Small Cell Lung Carcinoma", ("C04.588.894.797.520.867", "C08.381.540.750"),
     ("Oat Cell Cancer",)),
    ("Cysts", ("C04.182",), ("Cyst",)),
    ("Male", (), ("Males",)),
)  # fmt: skip
DESCRIPTORS = "".join(
    [_HEAD, *(_record(n, *one) for n, one in enumerate(HEADINGS)), "</DescriptorRecordSet>\n"]
)
