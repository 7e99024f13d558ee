"""The company of `make learn`: a small database that this file creates, and questions in the company's own terms.

Nobody can guess from the schema what the company means by its terms: which sales count as revenue, when its year
begins, who counts as a client. HOUSE explains it for readers; no model sees that.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from agentkit import Task

HOUSE = """\
revenue: fulfilled sales alone, state 'F'; price times quantity, less the rebate in percent
client: not closed, and not one of the tier 'T', which are tests; a key client is of the tier 'A'
house year 2024: from October 2023 to September 2024
open sale: in the state 'P' or 'B'; a lost one: 'X'
big item: of 24 pieces and more; a rebate that is zero was not given
north, south, east, west: areas whose codes begin with N, S, E, W
"""

SCHEMA = """\
CREATE TABLE rep (rep_id INTEGER PRIMARY KEY, name TEXT, team TEXT);
CREATE TABLE client (client_id INTEGER PRIMARY KEY, name TEXT, area TEXT, tier TEXT, closed_on TEXT);
CREATE TABLE product (sku INTEGER PRIMARY KEY, name TEXT, line TEXT, price REAL);
CREATE TABLE sale (sale_id INTEGER PRIMARY KEY, client_id INTEGER, rep_id INTEGER, placed_on TEXT, state TEXT);
CREATE TABLE item (sale_id INTEGER, sku INTEGER, qty INTEGER, price REAL, rebate REAL);"""

INSTRUCTIONS = f"Write one SQLite query that answers the question. Reply with the SQL alone.\n\n{SCHEMA}"

AREAS = {"north": "N", "south": "S", "east": "E", "west": "W"}
LINES = {"city": "C", "touring": "T", "racing": "R", "kids": "K", "cargo": "G"}
TEAMS = {"dawn": "D", "dusk": "U", "noon": "N"}
YEARS = (2022, 2023, 2024)
REPS = ("Abel", "Bruna", "Cyril", "Doreen", "Edda", "Fabio", "Greta", "Hauke")
CLIENTS = ("Altmann", "Birkhof", "Castell", "Dornau", "Eichler", "Falkner", "Gruber", "Hollis", "Imhof", "Jansen")
_ADJECTIVES = ("Swift", "Quiet", "Amber", "Cobalt", "Alpine", "Harbour")


def make_database(path: Path, *, seed: int = 7) -> Path:
    """Write the company's database; the same one for the same seed."""
    rng = random.Random(seed)
    with closing(sqlite3.connect(path)) as made:
        made.executescript(SCHEMA)
        made.executemany("INSERT INTO rep VALUES (?, ?, ?)",
                         [(n, name, rng.choice(list(TEAMS.values()))) for n, name in enumerate(REPS, 1)])  # fmt: skip
        made.executemany("INSERT INTO client VALUES (?, ?, ?, ?, ?)", list(_clients(rng)))
        prices = {}
        for sku in range(1, 41):
            prices[sku] = round(rng.uniform(180, 4200), 2)
            line = rng.choice(list(LINES.values()))
            made.execute("INSERT INTO product VALUES (?, ?, ?, ?)",
                         (sku, f"{rng.choice(_ADJECTIVES)} {sku}", line, prices[sku]))  # fmt: skip
        for sale in range(1, 901):
            day = f"{rng.choice((2021, 2022, 2023, 2024))}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
            made.execute("INSERT INTO sale VALUES (?, ?, ?, ?, ?)",
                         (sale, rng.randint(1, 60), rng.randint(1, len(REPS)), day, rng.choice("FFFFPBX")))  # fmt: skip
            for sku in rng.sample(range(1, 41), rng.randint(1, 3)):
                row = (sale, sku, rng.randint(1, 40), prices[sku], rng.choice((0, 0, 5, 10, 15)))
                made.execute("INSERT INTO item VALUES (?, ?, ?, ?, ?)", row)
        made.commit()
    return path


def _clients(rng: random.Random) -> Iterator[tuple[int, str, str, str, str | None]]:
    for number in range(1, 61):
        name = CLIENTS[number - 1] if number <= len(CLIENTS) else f"{CLIENTS[number % len(CLIENTS)]} {number}"
        closed = f"2023-{rng.randint(1, 12):02}-15" if rng.random() < 0.2 else None
        yield number, name, rng.choice("NSEW") + str(rng.randint(1, 3)), rng.choice("AABBCCT"), closed


@dataclass(frozen=True)
class _Question:
    """One kind of question: several wordings and the query, with gaps that `fillers` fill."""

    asked: tuple[str, ...]
    sql: str
    fillers: tuple[str, ...] = ()


_VALUE = "SUM(i.qty * i.price * (100 - i.rebate)) / 100"
_REVENUE = f"SELECT {_VALUE} FROM sale s JOIN item i USING (sale_id)"
_TRADING = "closed_on IS NULL AND tier <> 'T'"

_QUESTIONS = (
    _Question(("how many clients do we have in the {area}", "number of clients in the {area}"),
              f"SELECT COUNT(*) FROM client WHERE {_TRADING} AND area LIKE '{{area_code}}%'", ("area",)),
    _Question(("name our key clients in the {area}", "who are the key clients of the {area}"),
              "SELECT name FROM client WHERE closed_on IS NULL AND tier = 'A' AND area LIKE '{area_code}%'", ("area",)),
    _Question(("what was the revenue of house year {year}", "revenue in house year {year}"),
              _REVENUE + " WHERE s.state = 'F' AND s.placed_on >= '{before}-10-01' AND s.placed_on < '{year}-10-01'",
              ("year",)),
    _Question(("how much revenue came from {line} bikes", "revenue of the {line} line"),
              _REVENUE + " JOIN product p USING (sku) WHERE s.state = 'F' AND p.line = '{line_code}'", ("line",)),
    _Question(("what revenue did {rep} bring in", "revenue of {rep}"),
              _REVENUE + " JOIN rep r USING (rep_id) WHERE s.state = 'F' AND r.name = '{rep}'", ("rep",)),
    _Question(("how many open sales does {rep} have", "number of {rep}'s open sales"),
              "SELECT COUNT(*) FROM sale JOIN rep USING (rep_id) WHERE state IN ('P', 'B') AND name = '{rep}'",
              ("rep",)),
    _Question(("how many sales did {rep} lose", "number of lost sales of {rep}"),
              "SELECT COUNT(*) FROM sale JOIN rep USING (rep_id) WHERE state = 'X' AND name = '{rep}'", ("rep",)),
    _Question(("how many sales did we lose in house year {year}", "number of lost sales in house year {year}"),
              "SELECT COUNT(*) FROM sale WHERE state = 'X' AND placed_on >= '{before}-10-01' "
              "AND placed_on < '{year}-10-01'", ("year",)),
    _Question(("who is in team {team}", "name the reps of team {team}"),
              "SELECT name FROM rep WHERE team = '{team_code}'", ("team",)),
    _Question(("how many {line} bikes are in the range", "number of {line} products"),
              "SELECT COUNT(*) FROM product WHERE line = '{line_code}'", ("line",)),
    _Question(("what is the dearest {line} bike", "name of the most expensive {line} bike"),
              "SELECT name FROM product WHERE line = '{line_code}' ORDER BY price DESC LIMIT 1", ("line",)),
    _Question(("how many big items went to {client}", "number of big items for {client}"),
              "SELECT COUNT(*) FROM item JOIN sale USING (sale_id) JOIN client c USING (client_id) "
              "WHERE qty >= 24 AND c.name = '{client}'", ("client",)),
    _Question(("what revenue do we have from {client}", "revenue with {client}"),
              _REVENUE + " JOIN client c USING (client_id) WHERE s.state = 'F' AND c.name = '{client}'",
              ("client",)),
    _Question(("how many open sales does team {team} have", "open sales of team {team}"),
              "SELECT COUNT(*) FROM sale JOIN rep USING (rep_id) WHERE state IN ('P', 'B') AND team = '{team_code}'",
              ("team",)),
    _Question(("how much revenue did the {area} bring", "revenue of the {area}"),
              _REVENUE + " JOIN client c USING (client_id) WHERE s.state = 'F' AND c.area LIKE '{area_code}%'",
              ("area",)),
    _Question(("which clients of the {area} have left", "name the clients of the {area} that are closed"),
              "SELECT name FROM client WHERE closed_on IS NOT NULL AND area LIKE '{area_code}%'", ("area",)),
    _Question(("what rebate do we give on {line} bikes on average", "average rebate on {line} bikes"),
              "SELECT AVG(rebate) FROM item JOIN product USING (sku) WHERE rebate > 0 AND line = '{line_code}'",
              ("line",)),
    _Question(("how many big items were there in house year {year}", "number of big items in house year {year}"),
              "SELECT COUNT(*) FROM item JOIN sale USING (sale_id) WHERE qty >= 24 AND placed_on >= '{before}-10-01' "
              "AND placed_on < '{year}-10-01'", ("year",)),
    _Question(("how many {tier} clients are there in all", "number of {tier} clients"),
              "SELECT COUNT(*) FROM client WHERE {tier_code}", ("tier",)),
)  # fmt: skip

_TIERS = {"key": "closed_on IS NULL AND tier = 'A'", "test": "tier = 'T'", "closed": "closed_on IS NOT NULL"}


def _fillings(names: tuple[str, ...]) -> list[dict[str, str]]:
    (name,) = names
    coded = {"area": AREAS, "line": LINES, "team": TEAMS, "tier": _TIERS}
    if name in coded:
        return [{name: word, f"{name}_code": code} for word, code in coded[name].items()]
    if name == "year":
        return [{"year": str(year), "before": str(year - 1)} for year in YEARS]
    return [{name: word} for word in (REPS if name == "rep" else CLIENTS)]


def questions(database: Path, *, seed: int = 7, kinds: int | None = None) -> list[Task]:
    """Every question in every wording, in an order determined by the seed; only some kinds of questions, if `kinds` is
    given."""
    rng = random.Random(seed)
    taken = rng.sample(range(len(_QUESTIONS)), kinds or len(_QUESTIONS))
    checker = {"name": "sql", "database": str(database)}
    tasks = [
        Task(id=f"{kind}-{way}-{'-'.join(filling.values())}", input=asked.format(**filling),
             target=question.sql.format(**filling), checker=checker, metadata={"category": str(kind)})
        for kind, question in enumerate(_QUESTIONS)
        if kind in taken
        for filling in _fillings(question.fillers)
        for way, asked in enumerate(question.asked)
    ]  # fmt: skip
    rng.shuffle(tasks)
    return tasks
