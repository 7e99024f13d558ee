"""What reference managers and services write: BibTeX, RIS, .nbib, names and identifiers, BioC in its wrappers."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from agentkit.curation.documents import Document, Failure, read_document, read_documents
from agentkit.curation.documents.identifiers import doi_of, pmcid_of, pmid_of, year_of

BIBTEX = r"""
Notes of jane@example.org before the first entry.
@STRING{jt = "Journal of " # {Tests}}
@comment{ @article{hidden, title={Commented}} }
% @article{old, title={Commented out}}
@article{one, title={{A} \emph{first} one}, year=2021, journal=jt, month=jan, doi={https://doi.org/10.1000/ABC\_1},
  author={G{\"o}del, Kurt and {The X Study Group} and van der Berg, Jan and Smith, Jr, Ann and others}} @misc(two,
  title = "A {second} with {"}quotes{"} and a {)} bracket", note={doi: 10.1000/two.})
@inproceedings{child, title={A child}, crossref={parent}}
@article{, title={No key}, abstract={10<sup>5</sup> of {$10^{6}$}}}
@article{stray, title={With a stray field}, oops, year={1999}}
@proceedings{parent, title={The Proceedings}, year={2018}, doi={10.1000/book}}
@article{open, title={Never closed, year={2020}
@article{last, title={Last}}
"""


def papers(tmp_path: Path, name: str, text: str) -> tuple[dict[str, Document], list[Failure]]:
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = list(read_documents(tmp_path / name))
    read = {item.title: item for item in found if isinstance(item, Document)}
    return read, [item for item in found if isinstance(item, Failure)]


def test_bibtex_is_read_by_its_braces(tmp_path: Path) -> None:
    found, _ = papers(tmp_path, "a.bib", BIBTEX)
    assert set(found) == {
        "A first one",
        'A second with "quotes" and a ) bracket',
        "A child",
        "No key",
        "With a stray field",
        "The Proceedings",
        "Last",
    }
    meta = found["A first one"].metadata
    assert (meta.doi, meta.year, meta.journal) == ("10.1000/abc_1", 2021, "Journal of Tests")
    assert meta.authors == ("Kurt Gödel", "The X Study Group", "Jan van der Berg", "Ann Smith Jr")
    assert found['A second with "quotes" and a ) bracket'].metadata.doi == "10.1000/two"
    child = found["A child"].metadata
    assert (child.journal, child.year, child.doi) == ("The Proceedings", 2018, "")
    assert found["No key"].text.endswith("10^5 of 10^6")
    assert found["With a stray field"].metadata.year == 1999


def test_an_entry_that_never_closes_costs_that_entry_alone(tmp_path: Path) -> None:
    found, failures = papers(tmp_path, "a.bib", BIBTEX)
    assert [(f.source, f.reason) for f in failures] == [("a.bib:13", "the BibTeX entry @article is never closed")]
    assert "Last" in found


RIS = """1.
TY  - JOUR
TI  - A title over
  two lines
AU  - Silva, Ana
AU  - Tanaka, Yui
AB  - First part.
Second part: 10<sup>5</sup> CFU.
SP  -
UR  - https://doi.org/10.1000/XYZ
PY  - 2019/05/01/
ER  -

A search: C1
C1  - Database
TY  - JOUR
TI  - Without an end
AB  - Read.
TY - JOUR
T1 - With single spaces
N2 - Read too.
AN  - 31234567
"""


def test_ris_lines_go_on_and_records_end_where_the_next_begins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found, failures = papers(tmp_path, "a.ris", "\ufeff" + RIS.replace("\n", "\r\n"))
    assert not failures and set(found) == {"A title over two lines", "Without an end", "With single spaces"}
    first = found["A title over two lines"]
    assert first.text.endswith("First part. Second part: 10^5 CFU.")
    assert (first.metadata.doi, first.metadata.year) == ("10.1000/xyz", 2019)
    assert first.metadata.authors == ("Ana Silva", "Yui Tanaka")
    assert found["With single spaces"].metadata.pmid == "31234567"
    assert "a.ris:1: 3 lines between records belong to none" in caplog.text and "no ER line" in caplog.text


def test_a_list_saved_from_pubmed_is_read(tmp_path: Path) -> None:
    text = (
        "PMID- 123\nOWN - NLM\nTI  - A long\n      title\nAB  - Tremor rose.\nFAU - Silva, Ana\nDP  - 2020 Dec\n"
        "LID - 10.1000/nb [doi]\nLID - S1 [pii]\nPMC - PMC77\nJT  - J Tests\n\nPMID- 124\nTI  - Another\n"
    )
    found, _ = papers(tmp_path, "a.nbib", text)
    meta = found["A long title"].metadata
    assert (meta.pmid, meta.doi, meta.pmcid, meta.year) == ("123", "10.1000/nb", "PMC77", 2020)
    assert meta.authors == ("Ana Silva",) and "Another" in found


@pytest.mark.parametrize(
    "written",
    [
        "10.1000/abc(1)2",
        "https://doi.org/10.1000/ABC(1)2",
        "doi: 10.1000/abc(1)2.",
        "DOI:10.1000%2Fabc(1)2",
        "http://dx.doi.org/10.1000/abc(1)2",
        "info:doi/10.1000/abc(1)2",
        "(10.1000/abc(1)2)",
        "urn:doi:10.1000/abc(1)2;",
        "https://doi.org/10.1000/abc(1)2?nosfx=y",
    ],
)
def test_a_doi_is_the_same_however_it_is_written(written: str) -> None:
    assert doi_of(written) == "10.1000/abc(1)2"


def test_old_dois_and_other_identifiers() -> None:
    sici = "10.1002/(SICI)1097-0258(19980815)17:15<1661::AID-SIM968>3.0.CO;2-2"
    assert doi_of(sici) == sici.lower() and doi_of("none") == ""
    assert [pmid_of(v) for v in ("PMID: 12", "https://pubmed.ncbi.nlm.nih.gov/12/", "12 [pmid]", "AB12")] == [
        "12",
        "12",
        "12",
        "",
    ]
    assert [pmcid_of(v) for v in ("PMC12.1", "pmc 12", "12")] == ["PMC12", "PMC12", ""]
    assert [year_of(v) for v in ("2019/05", "2020Dec15", "12345", "")] == [2019, 2020, None, None]


NAMES = {
    "<name><surname>Silva</surname><given-names>Ana</given-names></name>": ("Ana Silva",),
    "<name><surname>Silva</surname><given-names>Ana</given-names><suffix>Jr</suffix></name>": ("Ana Silva Jr",),
    "<name><prefix>Dr.</prefix><surname>Silva</surname><given-names>Ana</given-names></name>": ("Ana Silva",),
    "<name><prefix>van</prefix><surname>Berg</surname><given-names>Jan</given-names></name>": ("Jan van Berg",),
    '<name name-style="eastern"><surname>田中</surname><given-names>結衣</given-names></name>': ("田中 結衣",),
    "<string-name>Silva, Ana</string-name>": ("Ana Silva",),
    "<string-name>Ana <surname>Silva</surname>, <given-names>Ana</given-names></string-name>": ("Ana Silva",),
    "<name><surname>Silva<sup>1</sup></surname><given-names>Ana</given-names></name><xref>1</xref>": ("Ana Silva",),
    "<collab>The X Group<contrib-group><contrib contrib-type='author'><name><surname>Member</surname></name></contrib>"
    "</contrib-group></collab>": ("The X Group",),
    '<collab-alternatives><collab xml:lang="en">The X Group</collab><collab>X 研究会</collab></collab-alternatives>': (
        "The X Group",
    ),
    "<anonymous/>": ("Anonymous",),
}


@pytest.mark.parametrize(("written", "authors"), NAMES.items())
def test_authors_in_every_form_of_jats(tmp_path: Path, written: str, authors: tuple[str, ...]) -> None:
    editor = '<contrib contrib-type="editor"><name><surname>Editor</surname></name></contrib>'
    (tmp_path / "a.nxml").write_text(
        f'<article><front><article-meta><contrib-group><contrib contrib-type="author">{written}</contrib>{editor}'
        "</contrib-group></article-meta></front><body><p>Text.</p></body></article>",
        encoding="utf-8",
    )
    assert read_document(tmp_path / "a.nxml").metadata.authors == authors


def test_pubmed_citations_without_white_space_and_in_the_old_set(tmp_path: Path) -> None:
    citation = (
        "<MedlineCitation><PMID>7</PMID><Article><Journal><JournalIssue><PubDate><Year>2020</Year><Month>Dec</Month>"
        "</PubDate></JournalIssue></Journal><ArticleTitle>T</ArticleTitle><ELocationID EIdType='doi'>10.1000/E"
        "</ELocationID><AuthorList><Author><LastName>Silva</LastName><Initials>A</Initials><Suffix>Jr</Suffix></Author>"
        "</AuthorList></Article></MedlineCitation>"
    )
    whole = f"<PubmedArticleSet><PubmedArticle>{citation}</PubmedArticle></PubmedArticleSet>"
    for text in (whole, f"<MedlineCitationSet>{citation}</MedlineCitationSet>"):
        (tmp_path / "a.xml").write_text(text, encoding="utf-8")
        meta = read_document(tmp_path / "a.xml").metadata
        assert (meta.pmid, meta.year, meta.doi, meta.authors) == ("7", 2020, "10.1000/e", ("A Silva Jr",))


def passage(text: str, offset: int, **infons: Any) -> dict[str, Any]:
    return {"offset": offset, "infons": infons, "text": text, "annotations": [], "relations": []}


DOCUMENT = {
    "id": "5",
    "pmid": 5,
    "journal": "J",
    "date": "2020-01-01T00:00:00Z",
    "passages": [
        passage("A title.", 0, type="title", section_type=None),
        {
            **passage("", 9, type="abstract"),
            "text": None,
            "sentences": [
                {"text": "Lithium rose.", "offset": 9, "annotations": []},
                {
                    "text": "Tremor rose.",
                    "offset": 24,
                    "annotations": [
                        {
                            "infons": {"type": "Gene", "identifier": "55"},
                            "text": "Tremor",
                            "locations": [{"offset": 24, "length": 6}],
                        }
                    ],
                },
            ],
        },
        passage("Nurses fell ill in another paper.", 40, section_type="REF", type="ref"),
        passage("We thank all.", 80, section_type="ACK_FUND"),
    ],
    "relations": [
        {
            "infons": {"type": "Association", "role1": {"identifier": "MESH:D1"}, "role2": {"identifier": "55"}},
            "nodes": [{"refid": "0", "role": "0,1"}, {"refid": "1", "role": "0,1"}],
        }
    ],
}


@pytest.mark.parametrize(
    "wrapped",
    [{"PubTator3": [DOCUMENT]}, [{"documents": [DOCUMENT]}], DOCUMENT, {"data": {"documents": [DOCUMENT]}}],
)
def test_bioc_is_read_in_every_wrapper_and_without_its_references(tmp_path: Path, wrapped: Any) -> None:
    (tmp_path / "a.json").write_text(json.dumps(wrapped), encoding="utf-8")
    paper = read_document(tmp_path / "a.json")
    assert (paper.metadata.pmid, paper.metadata.year, paper.metadata.journal) == ("5", 2020, "J")
    assert "Nurses" not in paper.text and "thank" not in paper.text
    (mention,) = paper.mentions
    assert [paper.text[a:b] for a, b in mention.spans] == ["Tremor"] and mention.curies == ("NCBIGene:55",)
    assert paper.relations[0].roles["role1"] == "MESH:D1"
