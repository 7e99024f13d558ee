"""PDF by its layout. Docling itself is a large extra: what it hands over is made by hand here, in its shapes."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from agentkit.curation.documents import read_folder
from agentkit.curation.documents.document import Document, Failure
from agentkit.errors import MissingExtra


def item(label: str, text: str = "", page: int = 1, grid: list[list[str]] | None = None) -> Any:
    cells = [[SimpleNamespace(text=cell) for cell in row] for row in grid or []]
    return SimpleNamespace(
        label=SimpleNamespace(value=label),
        text=text,
        prov=[SimpleNamespace(page_no=page)],
        data=SimpleNamespace(grid=cells),
    )


PAPER = [
    item("page_header", "Journal of Pain, page 1"),
    item("title", "Lithium and tremor"),
    item("section_header", "2. Results"),
    item("text", "Lithium caused tremor\nin 12 of 80 patients."),
    item("table", page=2, grid=[["", "Lithium", "Placebo"], ["tremor", "12", "3"], ["nausea", "", "1"]]),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7 columns and tables %%EOF")
    return tmp_path


@pytest.fixture
def docling(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the converter hands over; a test may change it."""
    found = SimpleNamespace(items=PAPER, status=SimpleNamespace(value="success"), errors=[])

    class Converter:
        def convert(self, stream: Any, *, raises_on_error: bool) -> Any:
            assert stream["stream"].read().startswith(b"%PDF-") and not raises_on_error
            document = SimpleNamespace(iterate_items=lambda: ((one, 0) for one in found.items))
            return SimpleNamespace(status=found.status, errors=found.errors, document=document)

    base, converter = ModuleType("docling.datamodel.base_models"), ModuleType("docling.document_converter")
    vars(base)["DocumentStream"], vars(converter)["DocumentConverter"] = dict, Converter
    for name in ("docling", "docling.datamodel"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, base.__name__, base)
    monkeypatch.setitem(sys.modules, converter.__name__, converter)
    return found


def test_a_table_is_read_row_by_row_with_its_columns_names(folder: Path, docling: SimpleNamespace) -> None:
    (paper,) = read_folder(folder, pdf="docling")
    assert isinstance(paper, Document) and paper.title == "Lithium and tremor" and "Journal" not in paper.text
    assert paper.text.split("\n\n")[2:] == [
        "Lithium caused tremor in 12 of 80 patients.",
        "tremor; Lithium: 12; Placebo: 3",
        "nausea; Placebo: 1",
    ]
    assert [section.label for section in paper.sections] == ["TEXT", "RESULTS"] and paper.segments[-1].where == "page 2"


def test_a_file_that_is_not_read_whole_is_a_failure_and_never_a_shorter_paper(
    folder: Path, docling: SimpleNamespace
) -> None:
    docling.status = SimpleNamespace(value="partial_success")
    docling.errors = [SimpleNamespace(error_message="page 7: bad_alloc")]
    (failure,) = read_folder(folder, pdf="docling")
    assert isinstance(failure, Failure) and failure.reason == (
        "Docling did not read all of it (partial_success): page 7: bad_alloc"
    )
    docling.status, docling.items = SimpleNamespace(value="success"), []
    (empty,) = read_folder(folder, pdf="docling")
    assert isinstance(empty, Failure) and "no text" in empty.reason


def test_without_docling_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docling.datamodel.base_models", None)
    with pytest.raises(MissingExtra, match=r"agentkit-evolve\[docling\]"):
        list(read_folder(folder, pdf="docling"))
