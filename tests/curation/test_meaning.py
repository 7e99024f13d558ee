"""What markup means survives reading: powers, fractions, footnote marks, formulas; and numbers keep it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from agentkit.curation.documents import read_document
from agentkit.curation.documents.latex import latex_text
from agentkit.curation.documents.markup import plain_html
from agentkit.curation.evidence import find_quote
from agentkit.curation.language.numbers import missing_number

JATS = '<article xmlns:mml="m"><front><article-meta/></front><body><p>{}</p></body></article>'
PUBMED = (
    "<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>1</PMID><Article><ArticleTitle>T</ArticleTitle><Abstract>"
    "<AbstractText>{}</AbstractText></Abstract></Article></MedlineCitation></PubmedArticle></PubmedArticleSet>"
)
MARKED = {
    "from 10<sup>7</sup> to 10<sup>5</sup> CFU": "from 10^7 to 10^5 CFU",
    "2.5 × 10<sup>−3</sup>/h": "2.5 × 10^−3/h",
    "0.032<sup>b</sup> and 5.1<sup>*</sup>": "0.032^b and 5.1*",
    "H<sub>2</sub>O, FEV<sub>1</sub>, log<sub>10</sub>10<sup>6</sup>": "H2O, FEV1, log10 10^6",
    "the 5<sup>th</sup> of 90 cm<sup>2</sup>": "the 5th of 90 cm2",
    "<sup>14</sup>C and Ca<sup>2+</sup>": "14C and Ca^2+",
    "1<sup>1</sup>/<sub>2</sub> mg": "1 1/2 mg",
    "5 mg kg<sup>−1</sup> day<sup>−1</sup>": "5 mg kg^−1 day^−1",
    "10<sup><i>5</i></sup>CFU": "10^5 CFU",
    "R<sup>2</sup>": "R^2",
}


@pytest.mark.parametrize("name", ["a.nxml", "a.xml"])
@pytest.mark.parametrize(("markup", "text"), MARKED.items())
def test_raised_and_lowered_text_keeps_its_meaning(tmp_path: Path, name: str, markup: str, text: str) -> None:
    file = tmp_path / name
    file.write_text((JATS if name.endswith("nxml") else PUBMED).format(markup), encoding="utf-8")
    paper = read_document(file)
    assert paper.text.endswith(text)
    assert find_quote(paper, text) is not None


FORMULAS = {
    "<msup><mn>10</mn><mn>5</mn></msup>": "10^5",
    "<mn>10</mn><msup><mrow/><mrow><mo>−</mo><mn>5</mn></mrow></msup>": "10^−5",
    "<mn>2</mn><mfrac><mn>1</mn><mn>2</mn></mfrac>": "2 1/2",
    "<mi>p</mi><mo>&lt;</mo><mn>0.05</mn>": "p < 0.05",
    "<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>": "x_i^2",
    "<mover><mi>x</mi><mo>¯</mo></mover>": "x\u0304",
    "<msqrt><mi>n</mi></msqrt>": "sqrt(n)",
    "<mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mi>c</mi></mfrac>": "(a + b)/c",
    "<mi>r</mi><mo>=</mo><mo>−</mo><mn>0.4</mn>": "r = −0.4",
}


@pytest.mark.parametrize(("markup", "text"), FORMULAS.items())
def test_formulas_are_one_line_of_text(tmp_path: Path, markup: str, text: str) -> None:
    forms = f"<tex-math>x</tex-math><math>{markup}</math>"
    whole = f"<inline-formula><alternatives>{forms}</alternatives></inline-formula>"
    (tmp_path / "a.nxml").write_text(JATS.format(f"It was {whole} here."), encoding="utf-8")
    assert f"It was {text} here." in read_document(tmp_path / "a.nxml").text


def test_formulas_in_tex_alone_and_in_pictures_leave_a_trace(tmp_path: Path) -> None:
    tex = r"<tex-math>\documentclass{a}\begin{document}$$5 \times 10^{-3}$$\end{document}</tex-math>"
    picture = "<inline-formula><inline-graphic/></inline-formula>"
    (tmp_path / "a.nxml").write_text(
        JATS.format(f"k = <inline-formula>{tex}</inline-formula>, {picture}."), encoding="utf-8"
    )
    assert "k = 5 × 10^-3, [formula]." in read_document(tmp_path / "a.nxml").text


def test_raised_references_are_no_numbers(tmp_path: Path) -> None:
    cited = 'Tremor rose.<sup><xref ref-type="bibr">12</xref>,<xref ref-type="bibr">13</xref></sup> Next.'
    (tmp_path / "a.nxml").write_text(JATS.format(cited), encoding="utf-8")
    text = read_document(tmp_path / "a.nxml").text
    assert text == "Tremor rose.[12,13] Next."
    assert missing_number("12", text) == "12"


@pytest.mark.parametrize(
    ("wanted", "text", "held"),
    [
        ("105", "10⁵ CFU", False),
        ("105", "10^5 CFU", False),
        ("100,000", "10^5 CFU", True),
        ("10", "10^5", False),
        ("1e5", "10<sup>5</sup>", True),
        ("0.0025", "2.5 × 10−3", True),
        ("10 mg", "10-5 mg", True),
        ("2.5 mg", "2½ mg", True),
        ("2 mg", "½ mg", False),
        ("1/2 mg", "½ mg", True),
        ("2 mg", "1/2 mg", False),
        ("1", "1/2 patients", True),
        ("1000", "1\u202f000 mg", True),
        ("0.05", "p = 0,05", True),
        ("5 mg", "5 mg/kg", False),
        ("5 mg/kg", "5 mg", False),
        ("5 mg/kg", "5 mg·kg−1·d−1", True),
        ("5 mg/kg", "5 mg per kilogram of body weight", True),
        ("5 mg", "5 mg/day", True),
        ("5 mg/day", "5 mg/h", False),
        ("75 mg/m2", "75 mg m−2", True),
        ("75 mg/m²", "75 mg/m^2", True),
        ("75 mg", "75 mg/m2", False),
        ("5 mg/dL", "5 mg/L", False),
        ("3 g/l", "3 g", False),
        ("5 mM", "5 mm", False),
        ("5 µM", "5 μmol/L", True),
        ("5 μg", "5 µg", True),
        ("5 μg", "5 mg", False),
        ("5 mg", "a 5-mg tablet", True),
        ("4 mg/kg", "4 to 8 mg/kg", True),
        ("1 day", "5 mg kg−1 day−1", False),
        ("5 mg/kg", "5 mg/(kg·d)", True),
        ("3 mg", "3 mg/100 mL", False),
        ("5-10 mg", "5 to 10 mg", True),
        ("5–10 mg", "between 5 and 10 mg", True),
        ("5 mg to 10 mg", "5–10 mg", True),
        ("5-10 mg", "5 mg and 10 mg", False),
        ("1.2-3.4", "95% CI 1.2–4.3, median 3.4", False),
        ("1.2 to 3.4", "95% CI, 1.2–3.4", True),
        ("p < 0.05", "p > 0.05", False),
        ("p < 0.05", "P < 0.05", True),
        ("≥ 65 years", "at least 65 years", True),
        ("≥ 65 years", "≤65 years", False),
        ("0.05", "p < 0.05", True),
        ("5 mg/kg/day", "5 mg/kg daily", True),
        ("5 mg/day", "5 mg weekly", False),
        ("5 mg/day", "5 mg twice daily", False),
    ],
)
def test_a_number_is_held_by_the_same_power_fraction_and_unit(wanted: str, text: str, held: bool) -> None:
    assert (missing_number(wanted, f"It was {text} there.") == "") is held


def test_a_quote_does_not_cut_a_power_short(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Counts fell to 10⁵ CFU and 10^6 CFU, 5 m² each.", encoding="utf-8")
    paper = read_document(tmp_path / "a.txt")
    assert all(find_quote(paper, quote) for quote in ("10⁵ CFU", "10^5 CFU", "10^6 CFU", "10⁶ CFU", "5 m2", "5 m^2"))
    assert not any(find_quote(paper, quote) for quote in ("105 CFU", "fell to 10", "5 CFU", "6 CFU", "106 CFU"))


LATEX = {
    r"G{\"o}del, {\O}rsted, \v{S}ik\'{\i}k and Fran\c{c}ois": "Gödel, Ørsted, Šikík and François",
    r"{\textgreater}50 mg, {$\geq$}3, {$\pm$}2, 5 {\textmu}g, {\textless}0.05, 5\%": ">50 mg, ≥3, ±2, 5 μg, <0.05, 5%",
    r"$10^5$, $2 \times 10^{-3}$, H$_2$O, \textsuperscript{14}C": "10^5, 2 × 10^-3, H2O, 14C",
    r"TNF-$\alpha$, \alpha-blocker, $\beta_1$, $\frac{1}{2}$": "TNF-α, α-blocker, β1, 1/2",
    r"\emph{in vitro} {\it E. coli} ``said'' 1--2---3~mg": "in vitro E. coli “said” 1–2—3 mg",
    r"\SI{5}{\milli\gram\per\kilogram} at 37$^\circ$C": "5 mg/kg at 37°C",
    r"$5 and $6, \$7": "$5 and $6, $7",
}


@pytest.mark.parametrize(("latex", "text"), LATEX.items())
def test_latex_is_read_as_it_prints(latex: str, text: str) -> None:
    assert latex_text(latex) == text


def test_an_unknown_command_is_named_and_its_content_kept(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert latex_text(r"a \foo{good} thing") == "a good thing"
    assert r"\foo" in caplog.text


def test_html_of_reference_managers_is_read_and_a_bare_sign_stays() -> None:
    assert plain_html("<p>10<sup>5</sup> &amp; <i>E. coli</i>, p &lt; 0.05 and x <5</p>").strip() == (
        "10^5 & E. coli, p < 0.05 and x <5"
    )
