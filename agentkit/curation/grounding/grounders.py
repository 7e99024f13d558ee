"""From names to identifiers: the user's lexicon, then tables; by exact names only, and all candidates are kept."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from agentkit.curation.claims import Entity
from agentkit.curation.documents.document import Document
from agentkit.curation.language.names import abbreviations, grammatical_numbers
from agentkit.curation.language.spelling import folded
from agentkit.errors import DataError, MissingExtra
from agentkit.text import read_table

_CURIE = re.compile(r"[A-Za-z][\w.-]*:\S+$")
_PARENTHESIS = re.compile(r"^(.+?)\s*[(\[]([^()\[\]]+)[)\]]\s*(.*)$")


@dataclass(frozen=True, kw_only=True)
class Match:
    """One identifier that a name may stand for, its preferred label, and the grounder that knows it."""

    curie: str
    label: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Grounding:
    """The result of looking up a name.

    Attributes:
        name: the name that was looked up.
        candidates: all equally good matches; none means "not groundable", several mean ambiguous.
        matched: the form of the name that was found.
        how: `exact`, `number` (singular or plural), `parenthesis`, `abbreviation` (defined in the document), `compact`.
    """

    name: str
    candidates: tuple[Match, ...] = ()
    matched: str = ""
    how: str = ""

    @property
    def curies(self) -> tuple[str, ...]:
        return tuple(c.curie for c in self.candidates)


class Grounder(Protocol):
    """Looks up exact names; variants of a name are handled by `Grounders`."""

    @property
    def name(self) -> str: ...

    def lookup(self, key: str, kind: str = "") -> tuple[Match, ...]:
        """The candidates stored under a key (see `name_key`), of one ontology class if the grounder knows classes."""
        ...

    def known(self, keys: Iterable[str]) -> set[str]:
        """The keys under which anything is stored; checks many at once, before they are looked up."""
        ...

    def suggest(self, name: str, limit: int = 5) -> list[tuple[str, str]]:
        """Similar names and their identifiers, for reviewers; never used for grounding."""
        ...


def name_key(name: str) -> str:
    """The form under which names are stored: folded, without possessives.

    >>> name_key("Parkinson’s  Disease"), name_key("TNF-α")
    ('parkinson disease', 'tnf alpha')
    """
    return re.sub(r"'s?(?=\s|$)", "", folded(name))


def compact_key(name: str) -> str:
    """The letters and digits of the key only: `beta-blocker` and `betablocker` are the same."""
    return re.sub(r"[\W_]+", "", name_key(name))


class Lexicon:
    """Names and identifiers from a user's file, or from gold mentions."""

    def __init__(self, entries: Iterable[tuple[str, str, str, str]] = (), *, name: str = "lexicon") -> None:
        """`entries` are (name, CURIE, class, label); an empty class fits every class, an empty label is the name."""
        self.name = name
        self._by: dict[str, dict[tuple[str, str], Match]] = defaultdict(dict)
        self._names: dict[str, str] = {}
        for text, curie, kind, label in entries:
            self._add(text, curie, kind, label)

    def _add(self, text: str, curie: str, kind: str, label: str) -> None:
        candidate = Match(curie=curie, label=label or text, source=self.name)
        self._names.setdefault(text, curie)
        for key in {name_key(text), f"={compact_key(text)}"}:
            self._by[key].setdefault((curie, kind.lower()), candidate)

    def __len__(self) -> int:
        return len(self._names)

    def lookup(self, key: str, kind: str = "") -> tuple[Match, ...]:
        found = self._by.get(key, {})
        fitting = {curie: c for (curie, cls), c in found.items() if not cls or not kind or cls == kind.lower()}
        return tuple(fitting[curie] for curie in sorted(fitting))

    def known(self, keys: Iterable[str]) -> set[str]:
        return {key for key in keys if key in self._by}

    def suggest(self, name: str, limit: int = 5) -> list[tuple[str, str]]:
        return similar(name, self._names, limit)

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Read a TSV or CSV file: name, CURIE, and optionally class and label; the header line is optional.

        Raises DataError, with the line, for a missing file, an identifier that is not a CURIE, or an empty name.
        """
        path = Path(path)
        return cls(_entries(read_table(path), path), name=path.stem)

    @classmethod
    def from_mentions(cls, documents: Iterable[Document], *, name: str = "mentions", share: float = 0.3) -> Self:
        """Make a lexicon from gold annotations: each name with the identifiers of at least `share` of its mentions.

        Composite annotations (several identifiers for one mention) are left out.
        """
        counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        shown: dict[tuple[str, str], str] = {}
        for mention in (m for d in documents for m in d.mentions if len(m.curies) == 1):
            key = (name_key(mention.text), mention.cls)
            counts[key][mention.curies[0]] += 1
            shown.setdefault(key, mention.text)
        return cls(
            (
                (shown[key], curie, key[1], "")
                for key, found in counts.items()
                for curie, count in sorted(found.items())
                if count >= share * found.total()
            ),
            name=name,
        )


def _entries(rows: Iterable[tuple[int, list[str]]], path: Path) -> Iterator[tuple[str, str, str, str]]:
    for number, row in rows:
        cells = [cell.strip() for cell in row] + [""] * 4
        if (
            not any(cells)
            or cells[0].startswith("#")
            or (number == 1 and cells[1].lower() in {"curie", "id", "identifier"})
        ):
            continue
        if not cells[0]:
            raise DataError("a name is missing", path=path, line=number)
        if not _CURIE.match(cells[1]):
            raise DataError(f"{cells[1]!r} is not a CURIE such as MESH:D003000", path=path, line=number)
        yield cells[0], cells[1], cells[2], cells[3]


def similar(name: str, names: Mapping[str, str], limit: int) -> list[tuple[str, str]]:
    """The most similar of `names`, by rapidfuzz; raises MissingExtra if it is not installed."""
    try:
        from rapidfuzz import fuzz, process
    except ImportError as error:
        raise MissingExtra("curate", "rapidfuzz") from error
    found = process.extract(name, list(names), scorer=fuzz.WRatio, processor=folded, limit=limit)
    return [(text, names[text]) for text, _, _ in found]


@dataclass(frozen=True, kw_only=True)
class Grounders:
    """Several grounders in order; the first that knows a name decides.

    Attributes:
        grounders: the user's lexicon first, then tables.
        prefixes: by ontology class, the identifier prefixes that it allows; a missing class allows all.
    """

    grounders: tuple[Grounder, ...] = ()
    prefixes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def ground(self, name: str, kind: str = "", document: Document | None = None) -> Grounding:
        """Look up a name, as it is and in equivalent forms.

        An abbreviation that the document defines is looked up by its long form first: `TCA` in a paper on
        antidepressants is not trichloroacetic acid.
        """
        variants = list(_variants(name, document))
        for grounder in self.grounders:
            for how, form in variants:
                found = self.allowed(grounder.lookup(form, kind), kind)
                if found:
                    return Grounding(name=name, candidates=found, matched=form.removeprefix("="), how=how)
        return Grounding(name=name)

    def entity(self, name: str, kind: str, document: Document | None = None) -> Entity:
        """The entity of class `kind` with this name: grounded, ambiguous, or marked as not groundable."""
        found = self.ground(name, kind, document)
        return Entity.named(name, kind, found.curies)

    def names(self, name: str, kind: str, document: Document | None = None) -> tuple[str, ...]:
        """The name and the preferred labels of its candidates, as surface forms for evidence."""
        labels = (c.label for c in self.ground(name, kind, document).candidates)
        return tuple(dict.fromkeys((name, *labels)))

    def suggest(self, name: str, limit: int = 5) -> list[tuple[str, str]]:
        """Similar known names with their identifiers, for reviewers; never used for grounding."""
        return [pair for grounder in self.grounders for pair in grounder.suggest(name, limit)][:limit]

    def allowed(self, found: tuple[Match, ...], kind: str) -> tuple[Match, ...]:
        """The matches whose identifiers the class allows."""
        prefixes = {p.lower() for p in self.prefixes.get(kind, ())}
        return tuple(c for c in found if not prefixes or c.curie.partition(":")[0].lower() in prefixes)


def _variants(name: str, document: Document | None) -> Iterator[tuple[str, str]]:
    long = abbreviations(document.text).get(name.strip(), "") if document is not None else ""
    if long:
        yield from (("abbreviation", key) for key in _keys(long))
    exact, *numbers = _keys(name)
    yield "exact", exact
    yield from (("number", key) for key in numbers)
    inside = _PARENTHESIS.match(name)
    if inside:
        for part in (f"{inside[1]} {inside[3]}", inside[2]):
            yield from (("parenthesis", key) for key in _keys(part))
    compact = compact_key(name)
    if len(compact) > 4:
        yield "compact", f"={compact}"


def _keys(name: str) -> list[str]:
    key = name_key(name)
    return [key, *grammatical_numbers(key)]
