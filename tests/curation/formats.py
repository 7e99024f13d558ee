"""Small papers that the tests make themselves."""

from __future__ import annotations

import io
from pathlib import Path

JATS = """<?xml version="1.0"?>
<!DOCTYPE article PUBLIC "-//NLM//DTD JATS v1.0//EN" "JATS-archivearticle1.dtd">
<article><front><journal-meta><journal-title>Trials</journal-title></journal-meta><article-meta>
<article-id pub-id-type="pmid">1234</article-id><article-id pub-id-type="pmc">99</article-id>
<article-id pub-id-type="doi">10.1000/ABC</article-id>
<title-group><article-title>Growth hormone in <italic>adults</italic></article-title></title-group>
<contrib-group><contrib contrib-type="author"><name><surname>Gödel</surname><given-names>Ida</given-names></name>
</contrib></contrib-group><pub-date><year>2019</year></pub-date>
<abstract><sec><title>Results:</title><p>Fat declined by
   23.9 cm<sup>2</sup>.</p></sec></abstract></article-meta></front>
<body><sec><title>Methods</title><p>We gave 8 &#x003bc;g/kg &alpha;-blocker<xref>1</xref>.</p>
<sec><title>Sample size</title><p>Sixty-two adults.</p></sec></sec>
<sec><title>3. Results</title><p>It worked.</p>
<table-wrap><label>Table 1</label><table><tr><td>GH</td><td>8</td></tr></table></table-wrap></sec></body>
<back><ref-list><ref>Not text.</ref></ref-list></back></article>"""

PUBMED = """<?xml version="1.0"?><PubmedArticleSet>
<PubmedArticle><MedlineCitation><PMID>11</PMID><Article><Journal><Title>J</Title><JournalIssue><PubDate>
<MedlineDate>1998 Dec-1999 Jan</MedlineDate></PubDate></JournalIssue></Journal>
<ArticleTitle>Naloxone and <i>clonidine</i>.</ArticleTitle>
<Abstract><AbstractText Label="METHODS">Rats.</AbstractText>
<AbstractText Label="RESULTS">It fell.</AbstractText></Abstract>
<AuthorList><Author><LastName>Doe</LastName><ForeName>Jo</ForeName></Author></AuthorList>
<PublicationTypeList><PublicationType>Retracted Publication</PublicationType></PublicationTypeList>
</Article></MedlineCitation>
<PubmedData><ArticleIdList><ArticleId IdType="doi">10.1/X</ArticleId></ArticleIdList></PubmedData>
</PubmedArticle>
<PubmedArticle><MedlineCitation><PMID>12</PMID><Article><ArticleTitle/></Article></MedlineCitation></PubmedArticle>
<PubmedArticle><MedlineCitation><PMID>13</PMID><Article><ArticleTitle>Only a title</ArticleTitle>
</Article></MedlineCitation>
</PubmedArticle></PubmedArticleSet>"""

BIOC = """<?xml version="1.0"?><!DOCTYPE collection SYSTEM 'BioC.dtd'><collection><source>x</source>
<document><id>227508</id>
<passage><infon key="type">title</infon><offset>0</offset><text>Naloxone reverses clonidine.</text>
<annotation id="0"><infon key="type">Chemical</infon><infon key="MESH">D009270</infon>
<location offset="0" length="8"/><text>Naloxone</text></annotation></passage>
<passage><infon key="type">abstract</infon><offset>31</offset><text>Hypotension and pain.</text>
<annotation id="1"><infon key="type">Disease</infon><infon key="MESH">D007022|D010146</infon>
<location offset="31" length="11"/><text>Hypotension</text></annotation>
<annotation id="2"><infon key="type">Disease</infon><infon key="MESH">-1</infon>
<location offset="47" length="4"/><text>pain</text></annotation></passage>
<relation id="R0"><infon key="relation">CID</infon><infon key="Chemical">D009270</infon>
<infon key="Disease">D007022</infon>
</relation></document></collection>"""

PUBTATOR = """1|t|Naloxone reverses clonidine.
1|a|Hypotension followed.
1\t0\t8\tNaloxone\tChemical\tD009270
1\t29\t40\tHypotension\tDisease\tD007022
1\tCID\tD009270\tD007022

2|t|A second paper.
2|a|With text.
"""

LAUGHS = """<?xml version="1.0"?><!DOCTYPE article [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>
<article><front><article-meta><title-group><article-title>&b;</article-title></title-group></article-meta></front></article>"""


def pdf(pages: list[str]) -> bytes:
    """A PDF with these pages, one line of text for each line, made of nothing but its own syntax."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for page in pages:
        shown = " ".join(f"({_escaped(line)}) Tj T*" for line in page.split("\n"))
        stream = f"BT /F1 12 Tf 14 TL 72 720 Td {shown} ET".encode("latin-1")
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        kids.append(b"%d 0 R" % (len(objects) + 1))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(pages))
    return _file(objects)


def _escaped(line: str) -> str:
    return line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _file(objects: list[bytes]) -> bytes:
    out, offsets = io.BytesIO(), []
    out.write(b"%PDF-1.4\n")
    for number, body in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.writelines(b"%010d 00000 n \n" % offset for offset in offsets)
    out.write(b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))
    return out.getvalue()


def encrypted(data: bytes) -> bytes:
    """The same PDF behind a password."""
    import pypdf

    writer = pypdf.PdfWriter(clone_from=io.BytesIO(data))
    writer.encrypt("secret", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def save(folder: Path, **files: str | bytes) -> Path:
    """Write files by name (`a__xml` is `a.xml`) and return the folder."""
    for name, data in files.items():
        raw = data.encode() if isinstance(data, str) else data
        (folder / name.replace("__", ".")).write_bytes(raw)
    return folder
