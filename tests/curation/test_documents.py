"""Papers are read from every format into one canonical text; what can't be read says so in one line."""

from __future__ import annotations

import gzip
import io
import json
import random
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from agentkit.curation.documents import Document, Failure, Metadata, read_document, read_documents, read_folder
from agentkit.curation.documents.document import section_label
from agentkit.errors import DataError, MissingExtra
from tests.curation import formats


def the(path: Path, data: str | bytes) -> Document:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_document(path)


def test_jats_keeps_sections_and_leaves_references_out(tmp_path: Path) -> None:
    paper = the(tmp_path / "a.nxml", formats.JATS)
    assert paper.title == "Growth hormone in adults"
    labels = {s.label for s in paper.sections}
    assert {"TITLE", "ABSTRACT", "METHODS", "RESULTS", "TABLE"} <= labels
    assert "Fat declined by 23.9 cm2." in paper.text
    assert "8 μg/kg α-blocker1" in paper.text
    assert "GH | 8" in paper.text
    assert "Not text" not in paper.text
    assert paper.section_at(paper.text.index("Sixty-two")) == "METHODS"
    assert paper.section_at(paper.text.index("Fat declined")) == "ABSTRACT"


def test_jats_metadata_and_source_lines_are_kept(tmp_path: Path) -> None:
    paper = the(tmp_path / "a.nxml", formats.JATS)
    assert paper.metadata == Metadata(
        pmid="1234", pmcid="PMC99", doi="10.1000/abc", year=2019, authors=("Ida Gödel",), journal="Trials"
    )
    assert paper.metadata.publication == "PMID:1234"
    segment = paper.locate(paper.text.index("It worked"))
    assert segment is not None and segment.where.startswith("line ")


def test_pubmed_gives_a_document_a_record_and_names_the_empty_one(tmp_path: Path) -> None:
    (tmp_path / "p.xml.gz").write_bytes(gzip.compress(formats.PUBMED.encode()))
    first, failure, last = list(read_documents(tmp_path / "p.xml.gz"))
    assert isinstance(first, Document) and isinstance(last, Document)
    assert first.text == "Naloxone and clonidine.\n\nMETHODS: Rats.\n\nRESULTS: It fell."
    assert [s.label for s in first.sections] == ["TITLE", "METHODS", "RESULTS"]
    assert first.metadata.year == 1998 and first.metadata.extra == {"retracted": "true"}
    assert failure == Failure(source="p.xml.gz record 2", reason="neither title nor abstract")
    assert last.text == "Only a title"


def test_bioc_keeps_the_corpus_offsets_and_its_gold_apart(tmp_path: Path) -> None:
    paper = the(tmp_path / "b.xml", formats.BIOC)
    for mention in paper.mentions:
        start, end = mention.spans[0]
        assert paper.text[start:end] == mention.text
    assert [m.curies for m in paper.mentions] == [("MESH:D009270",), ("MESH:D007022", "MESH:D010146"), ()]
    assert paper.relations[0].predicate == "CID"
    assert paper.relations[0].roles == {"Chemical": "MESH:D009270", "Disease": "MESH:D007022"}
    assert paper.source_offset(35) == 35


def test_bioc_json_reads_like_the_xml(tmp_path: Path) -> None:
    record = {
        "id": "7",
        "passages": [
            {"infons": {"type": "title"}, "offset": 0, "text": "A title"},
            {
                "infons": {"section_type": "METHODS"},
                "offset": 8,
                "text": "We did.",
                "annotations": [
                    {
                        "text": "We",
                        "infons": {"type": "Species", "identifier": "9606"},
                        "locations": [{"offset": 8, "length": 2}],
                    }
                ],
            },
        ],
    }
    paper = the(tmp_path / "b.json", json.dumps({"documents": [record]}))
    assert paper.text == "A title\nWe did."
    assert paper.mentions[0].spans == ((8, 10),) and paper.metadata.pmid == "7"
    assert paper.section_at(9) == "METHODS"


def test_an_absurd_offset_does_not_make_an_absurd_text(tmp_path: Path) -> None:
    paper = the(tmp_path / "b.xml", formats.BIOC.replace("31", "2000000000", 1).replace('"31"', '"2000000000"'))
    assert len(paper.text) < 100
    start, end = paper.mentions[1].spans[0]
    assert paper.text[start:end] == "Hypotension"


def test_pubtator_holds_several_papers_with_offsets(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text(formats.PUBTATOR)
    first, second = list(read_documents(tmp_path / "p.txt"))
    assert isinstance(first, Document) and isinstance(second, Document)
    assert [first.text[m.spans[0][0] : m.spans[0][1]] for m in first.mentions] == ["Naloxone", "Hypotension"]
    assert first.relations[0].roles == {"subject": "MESH:D009270", "object": "MESH:D007022"}
    assert second.title == "A second paper."


def test_a_broken_pubtator_line_fails_its_paper_alone(tmp_path: Path) -> None:
    (tmp_path / "p.pubtator").write_text(
        formats.PUBTATOR.replace("Chemical\tD009270", "").replace("\t0\t8\tNaloxone\t", "\t0")
    )
    failure, second = list(read_documents(tmp_path / "p.pubtator"))
    assert isinstance(failure, Failure) and failure.source.endswith(":3")
    assert isinstance(second, Document)


def test_text_and_markdown_keep_the_files_own_offsets(tmp_path: Path) -> None:
    text = "BODY.RESULTS:\r\nFat fell.\r\n"
    plain = the(tmp_path / "PMC42.txt", text)
    assert plain.text == text and plain.metadata.pmcid == "PMC42"
    assert plain.section_at(20) == "RESULTS"
    marked = the(tmp_path / "a.md", "# A paper\n\n## Methods\nWe did.\n```\n# no heading\n```\n")
    assert marked.title == "A paper"
    assert [s.label for s in marked.sections] == ["TITLE", "METHODS"]


def test_pdf_pages_are_segments_and_two_hundred_of_them_are_read(tmp_path: Path) -> None:
    paper = the(tmp_path / "a.pdf", formats.pdf([f"Page {n} says {n} things." for n in range(1, 201)]))
    assert len(paper.segments) == 200
    segment = paper.locate(paper.text.index("says 150 things"))
    assert segment is not None and segment.where == "page 150"


BAD = {
    "a.pdf truncated": (formats.pdf(["Text."])[:-40], "truncated"),
    "a.pdf encrypted": (formats.encrypted(formats.pdf(["Text."])), "encrypted"),
    "a.pdf no PDF": (b"hello", "not a PDF"),
    "a.pdf lies": (b"%PDF-1.4\nnonsense\n%%EOF\n", "damaged"),
    "a.pdf pictures": (formats.pdf([""]), "no text layer on 1 pages"),
    "a.xml malformed": ("<article><front></article>", "malformed XML"),
    "a.xml laughs": (formats.LAUGHS, "declares XML entities"),
    "a.xml wide laughs": (
        formats.LAUGHS.replace('<?xml version="1.0"?>', "").encode("utf-16"),
        "declares XML entities",
    ),
    "a.xml odd": ("<?xml version='1.0' encoding='utf-7'?><article/>", "convert it to UTF-8"),
    "a.xml other": ("<html/>", "unknown root <html>"),
    "a.xml nothing": ("<article></article>", "no title and no text"),
    "a.txt empty": ("", "empty"),
    "a.txt koi8": ("Гёдель".encode("koi8-r"), "not UTF-8 text (byte 0)"),
    "a.txt binary": (b"a\0b", "binary"),
    "a.json malformed": ('{"documents": [', "malformed JSON"),
    "a.json other": ('{"a": 1}', "not BioC"),
    "a.xml.gz torn": (gzip.compress(formats.JATS.encode())[:-20], "damaged or truncated"),
    "a.docx unknown": ("x", "no reader for .docx"),
    "a.bib open": ("@article{k, title = {Never closed", "never closed"),
    "a.ris open": ("TY  - JOUR\nTI  - T\n", "truncated"),
    "a.zip torn": (b"PK\x03\x04nope", "damaged or truncated"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line_and_the_rest_goes_on(tmp_path: Path, case: str) -> None:
    data, reason = BAD[case]
    name = case.partition(" ")[0]
    formats.save(tmp_path, **{name.replace(".", "__"): data, "z__txt": "A good paper."})
    failure, good = list(read_folder(tmp_path))
    assert isinstance(failure, Failure) and isinstance(good, Document)
    assert reason in failure.reason and "\n" not in failure.reason
    assert failure.source.startswith(name)
    with pytest.raises(DataError, match=r"^a\."):
        read_document(tmp_path / name)


def test_external_entities_are_never_read(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("SECRET")
    attack = formats.LAUGHS.replace('<!ENTITY a "ha">', f'<!ENTITY a SYSTEM "file://{tmp_path}/secret.txt">')
    (tmp_path / "a.xml").write_text(attack)
    with pytest.raises(DataError, match="declares XML entities"):
        read_document(tmp_path / "a.xml")


def test_the_same_bytes_are_the_same_document_once(tmp_path: Path) -> None:
    formats.save(tmp_path, a__txt="One paper.", b__txt="One paper.", c__md="Another.")
    (tmp_path / "d.txt.gz").write_bytes(gzip.compress(b"One paper."))
    (tmp_path / ".hidden").write_text("no")
    first, second = list(read_folder(tmp_path))
    assert isinstance(first, Document) and first.source == "a.txt"
    assert read_document(tmp_path / "b.txt").id == first.id != getattr(second, "id", None)


def test_archives_are_read_like_folders(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for name, data in (("one.txt", b"First."), ("two.nxml", formats.JATS.encode()), ("bad.xml", b"<")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as packed:
        packed.writestr("three.md", "# Third")
    found = list(read_folder(tmp_path))
    assert [d.source for d in found] == ["a.tar.gz!one.txt", "a.tar.gz!two.nxml", "a.tar.gz!bad.xml", "b.zip!three.md"]
    assert isinstance(found[2], Failure)


BIB = r"""@string{jt = "J. Tests"}
@article{one, title = {A {Title} on G{\"o}del}, author = {Doe, Jo and {\O}rsted, Hans}, year = 2001,
  doi = {10.1000/ABC},
  journal = jt # " B", abstract = "With {\ss} and 5\% more"}
@comment{ignored}
@book{lone, title = "A lone book", year = {1999}}"""


def test_references_fill_gaps_by_doi_and_the_rest_stand_alone(tmp_path: Path) -> None:
    formats.save(tmp_path, refs__bib=BIB, a__nxml=formats.JATS.replace("<year>2019</year>", ""))
    paper, lone = list(read_folder(tmp_path))
    assert isinstance(paper, Document) and isinstance(lone, Document)
    assert paper.metadata.year == 2001 and paper.metadata.journal == "Trials"
    assert lone.title == "A lone book" and lone.format == "reference"


def test_bibtex_values_are_read_as_a_person_reads_them(tmp_path: Path) -> None:
    formats.save(tmp_path, refs__bib=BIB)
    one, _ = (d for d in read_folder(tmp_path) if isinstance(d, Document))
    assert one.title == "A Title on Gödel"
    assert one.metadata.authors == ("Jo Doe", "Hans Ørsted") and one.metadata.journal == "J. Tests B"
    assert one.text.endswith("With ß and 5% more")


def test_ris_is_attached_by_file_name(tmp_path: Path) -> None:
    ris = "TY  - JOUR\nTI  - T\nAU  - Doe, Jo\nPY  - 2003/01\nDO  - 10.5555/q\nL1  - papers/a.txt\nER  - \n"
    formats.save(tmp_path, refs__ris=ris, a__txt="A paper without metadata.")
    (paper,) = list(read_folder(tmp_path))
    assert isinstance(paper, Document)
    assert paper.metadata.doi == "10.5555/q" and paper.metadata.year == 2003 and paper.metadata.authors == ("Jo Doe",)


def test_failures_can_be_handed_to_a_callback(tmp_path: Path) -> None:
    formats.save(tmp_path, a__pdf=b"no", b__txt="Fine.")
    seen: list[Failure] = []
    assert len(list(read_folder(tmp_path, on_error=seen.append))) == 1
    assert [f.source for f in seen] == ["a.pdf"]


def test_asking_for_one_paper_of_a_file_with_many_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text(formats.PUBTATOR)
    with pytest.raises(DataError, match="several papers"):
        read_document(tmp_path / "p.txt")
    with pytest.raises(DataError, match="no such file"):
        read_document(tmp_path / "missing.txt")


def test_a_document_survives_a_store(tmp_path: Path) -> None:
    paper = the(tmp_path / "b.xml", formats.BIOC)
    assert Document.from_json(json.loads(json.dumps(paper.to_json()))) == paper
    with pytest.raises(DataError, match="not a document"):
        Document.from_json({"id": "x"})


def test_headings_are_known_by_their_usual_words() -> None:
    headings = ["2. Materials and Methods", "RESULTS AND DISCUSSION", "Background", "Conclusion:", "Ethics"]
    assert [section_label(h) for h in headings] == ["METHODS", "RESULTS", "INTRODUCTION", "CONCLUSIONS", "ETHICS"]


@pytest.mark.data
def test_bc5cdr_offsets_reproduce_every_mention_but_the_one_known_to_be_wrong(data_dir: Path) -> None:
    wrong, papers_read = [], 0
    for path in sorted((data_dir / "bc5cdr").glob("*.xml.gz")):
        for paper in read_documents(path):
            assert isinstance(paper, Document)
            papers_read += 1
            one_span = [m for m in paper.mentions if len(m.spans) == 1]
            wrong += [m.text for m in one_span if paper.text[slice(*m.spans[0])] != m.text]
    assert papers_read == 1000 and wrong == ["midline (MD) defects"]


@pytest.mark.data
def test_every_article_of_evidence_inference_is_read_with_its_sections(data_dir: Path) -> None:
    found = list(read_folder(data_dir / "evidence_inference" / "articles.nxml.tar.gz"))
    assert len(found) == 60
    assert all(isinstance(d, Document) and d.title and d.metadata.pmcid and len(d.sections) > 1 for d in found)


def test_deep_nesting_is_a_failure_or_a_paper_but_never_a_crash(tmp_path: Path) -> None:
    deep = "<sec>" * 240 + "<p>Deep.</p>" + "</sec>" * 240
    formats.save(tmp_path, a__xml=f"<article><body>{deep}</body></article>", b__json="[" * 100_000, c__txt="Fine.")
    first, second, last = list(read_folder(tmp_path))
    assert isinstance(first, Failure) or "Deep." in first.text
    assert isinstance(second, Failure) and isinstance(last, Document)


SAMPLES = {
    "a.nxml": formats.JATS.encode(),
    "b.xml": formats.PUBMED.encode(),
    "c.xml": formats.BIOC.encode(),
    "d.txt": formats.PUBTATOR.encode(),
    "e.pdf": formats.pdf(["One page.", "Two pages."]),
    "f.bib": BIB.encode(),
    "g.json": b'{"documents": [{"id": "1", "passages": [{"offset": 0, "text": "A text.", "infons": {}}]}]}',
    "h.xml.gz": gzip.compress(formats.JATS.encode()),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_damaged_file_is_a_failure_or_a_paper_but_never_a_crash(tmp_path: Path, name: str) -> None:
    data, chance = SAMPLES[name], random.Random(name)
    for _ in range(60):
        broken = bytearray(data[: chance.randrange(1, len(data) + 1)] if chance.random() < 0.4 else data)
        for _ in range(chance.randrange(1, 6)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        (tmp_path / name).write_bytes(bytes(broken))
        for item in read_folder(tmp_path):
            assert isinstance(item, Document) or "\n" not in item.reason


@pytest.mark.parametrize(("name", "package"), [("a.nxml", "lxml"), ("a.pdf", "pypdf")])
def test_a_missing_reader_names_the_extra_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    (tmp_path / name).write_bytes(SAMPLES["e.pdf"] if package == "pypdf" else SAMPLES["a.nxml"])
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"{package} is not installed: .*curate"):
        list(read_folder(tmp_path))


def test_reading_a_text_file_loads_no_optional_package() -> None:
    code = (
        "import sys, agentkit.curation.documents, agentkit.curation.evidence, agentkit.curation.grounding.tables, "
        "agentkit.curation.export; sys.exit(bool({'lxml', 'pypdf', 'rdflib', 'rapidfuzz'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
