"""Speed of the case memory as ratios, each to what it is compared with in the same run.

    python -m benchmarks.memory_speed [--parts search path write open rivals million]

Computation is timed in processor time of the process, which other work on the machine does not change; disk work in
wall time. The two sides of a ratio alternate, and medians are compared. The part `million` builds IVF over 10⁶ vectors
(6 GB of memory, minutes); `rivals` compares mem0 with FAISS (`pip install --group bench`) and LangGraph's
InMemoryStore.
"""

from __future__ import annotations

import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, Float, Integer, LargeBinary, MetaData, Table, Text, create_engine, event, insert

from agentkit.embedding import text_hash
from agentkit.memory import Case, CaseMemory, Filters
from agentkit.memory.flat import FlatView
from agentkit.models import load_embedder
from agentkit.store import Store
from benchmarks._results import Results, arguments

Vectors = NDArray[np.float32]
D, K = 384, 8
PARTS = ("search", "path", "write", "open", "rivals", "million")
SELECTIVITIES = (0.0005, 0.01, 0.1, 0.5, 0.9)


class Given:
    """An embedder whose vectors cost next to nothing, because embedding is not what is measured."""

    name, dimension = "given-384", D

    def embed_query(self, text: str) -> list[float]:
        found: list[float] = np.random.default_rng(abs(hash(text))).standard_normal(D).tolist()
        return found

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        rng = np.random.default_rng(len(texts))
        found: list[list[float]] = rng.standard_normal((len(texts), D)).tolist()
        return found


def units(n: int, *, seed: int = 0, clusters: int = 2000) -> Vectors:
    """Unit vectors around the same random centres for every seed, shape (n, D), generated in parts."""
    centres = np.random.default_rng(7).standard_normal((clusters, D), dtype=np.float32)
    rng = np.random.default_rng(seed)
    found = np.empty((n, D), dtype=np.float32)
    for start in range(0, n, 50_000):
        part = found[start : start + 50_000]
        part[:] = centres[rng.integers(0, clusters, len(part))]
        part += 0.7 * rng.standard_normal(part.shape, dtype=np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return found


def versus(ours: Callable[[int], Any], theirs: Callable[[int], Any], *, repeats: int, clock: Any) -> dict[str, Any]:
    """Median time of ours over theirs, alternating between the two, with the bootstrap interval of that ratio."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(-3, repeats):
        for side, work in enumerate((ours, theirs)):
            start = clock()
            work(number)
            if number >= 0:
                times[side].append(clock() - start)
    a, b = np.array(times[0]), np.array(times[1])
    draws = np.random.default_rng(0).integers(0, repeats, (1000, repeats))
    low, high = np.quantile(np.median(a[draws], axis=1) / np.median(b[draws], axis=1), [0.025, 0.975])
    middle = [statistics.median(side) for side in times]
    return {
        "value": middle[0] / middle[1],
        "low": float(low),
        "high": float(high),
        "n": repeats,
        "ours_ms": 1000 * middle[0],
        "theirs_ms": 1000 * middle[1],
    }


def searching(results: Results, n: int, *, repeats: int) -> None:
    """Search against FAISS flat on one thread, and filtered search against brute force."""
    import faiss

    vectors, queries = units(n), units(64, seed=1)
    view = FlatView(D)
    view.add(vectors)
    flat = faiss.IndexFlatIP(D)
    flat.add(vectors)
    found = versus(
        lambda i: view.search(queries[i % 64], K),
        lambda i: flat.search(queries[i % 64][None], K),
        repeats=repeats,
        clock=time.process_time,
    )
    results.add(arm=f"search, {n:,} vectors", metric="time / FAISS flat, one thread", **found, target="≤ 1.3")
    rng = np.random.default_rng(2)
    for share in SELECTIVITIES:
        mask = rng.random(n) < share
        mask[:K] = True
        hits = [len(set(view.search(q, K, mask)[0]) & set(_exact(vectors, q, mask))) for q in queries[:32]]
        wanted = 32 * K
        found = versus(
            lambda i, m=mask: view.search(queries[i % 64], K, m),  # type: ignore[misc]
            lambda i: flat.search(queries[i % 64][None], K),
            repeats=20,
            clock=time.process_time,
        )
        arm = f"filtered search, {n:,} vectors, {share:.2%} allowed"
        results.add(arm=arm, metric="recall", value=sum(hits) / wanted, n=wanted, target="1.000")
        results.add(arm=arm, metric="time / unfiltered FAISS flat", **found)


def _exact(vectors: Vectors, query: Vectors, mask: NDArray[np.bool_]) -> list[int]:
    allowed = np.flatnonzero(mask)
    return [int(i) for i in allowed[np.argsort(-(vectors[allowed] @ query), kind="stable")[:K]]]


def inverted(results: Results, n: int) -> None:
    """IVF with exact re-scoring against the flat scan of the same view."""
    vectors, queries = units(n), units(100, seed=1)
    view = FlatView(D)
    view.add(vectors)
    del vectors
    exact = [set(view._scan(query, K)[0]) for query in queries]
    start = time.process_time()
    view.build_ivf()
    built = time.process_time() - start
    hits = [len(set(view.search(query, K)[0]) & want) for query, want in zip(queries, exact, strict=True)]
    found = versus(
        lambda i: view.search(queries[i % 100], K),
        lambda i: view._scan(queries[i % 100], K),
        repeats=100,
        clock=time.process_time,
    )
    arm = f"IVF with exact re-scoring, {n:,} vectors"
    results.add(arm=arm, metric="time / flat scan", **found, target="≤ 0.10")
    asked = K * len(queries)
    results.add(arm=arm, metric=f"recall of the exact top {K}", value=sum(hits) / asked, n=asked, target="≥ 0.95")
    results.add(
        arm=arm, metric="building", value=built, unit="s of one core", lists=view.ivf.nlist, probes=view.ivf.nprobe
    )


def whole_path(results: Results, folder: Path, embedder: Any, n: int) -> None:
    """Search, filter and fetch for a query whose vector is known, compared with embedding one query."""
    memory = CaseMemory.open(Store.open(folder / "path.db"), embedder=Given(), home=folder)
    memory.add_many(cases(n, namespaces=2))
    filters = Filters(namespace="space-1", outcomes=("success",))
    texts = [f"where did the {i}th explorer of the western glaciers spend the first winter" for i in range(50)]
    for text in texts:
        memory.vectors.vector(text)
    found = versus(
        lambda i: memory.search(texts[i % 50], 4, filters=filters),
        lambda i: embedder.embed_query(texts[i % 50]),
        repeats=100,
        clock=time.process_time,
    )
    arm = f"search, filter and fetch, {n:,} cases"
    results.add(arm=arm, metric="time / embedding one query", **found, target="≤ 0.10")
    memory.store.close()


def cases(n: int, *, namespaces: int = 1) -> list[Case]:
    return [
        Case(
            id=f"c{i}",
            state=f"task {i} about matter {i % 97}",
            plan=f"1. look {i}\n2. tell",
            reward=float(i % 2),
            channel="check",
            namespace=f"space-{i % namespaces}",
        )
        for i in range(n)
    ]


RAW = Table(
    "raw",
    MetaData(),
    Column("seq", Integer, primary_key=True),
    *(
        Column(name, Text)
        for name in (
            "memory",
            "namespace",
            "id",
            "state",
            "plan",
            "channel",
            "source",
            "status",
            "tags",
            "masked",
            "state_hash",
            "masked_hash",
            "plan_hash",
            "created_at",
        )
    ),
    Column("reward", Float),
    Column("vector", LargeBinary),
)


def _raw_engine(path: Path) -> Any:
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    RAW.metadata.create_all(engine)
    return engine


def _raw_row(case: Case, vector: Vectors) -> dict[str, Any]:
    names = ("namespace", "id", "state", "plan", "channel", "source", "status", "reward")
    row = {name: getattr(case, name) for name in names}
    return row | {
        "memory": "m",
        "tags": "[]",
        "masked": case.state,
        "state_hash": case.id * 4,
        "plan_hash": "x" * 32,
        "masked_hash": "y" * 32,
        "created_at": str(case.created_at),
        "vector": vector.tobytes(),
    }


def writing(results: Results, folder: Path, n: int) -> None:
    """One durable write compared with a Core insert of the same content into one plain table; a bulk import."""
    memory = CaseMemory.open(Store.open(folder / "write.db"), embedder=Given())
    engine, vectors = _raw_engine(folder / "raw.db"), units(n, clusters=50)
    one = iter(cases(3000))

    def ours(number: int) -> None:
        memory.add(next(ours_cases))

    def theirs(number: int) -> None:
        with engine.begin() as connection:
            connection.execute(insert(RAW), _raw_row(next(one), vectors[0]))

    ours_cases = iter(cases(3000))
    warm = [case.state for case in cases(3000)]
    memory.vectors.vectors(warm)  # embedding is not counted
    for what, clock in (("processor time", time.process_time), ("time by the clock", time.perf_counter)):
        found = versus(ours, theirs, repeats=1000, clock=clock)
        results.add(arm="one durable write", metric=f"{what} / raw Core insert", **found, target="≤ 2")
    engine.dispose()
    bulk = [Case(id=f"b{i}", state=case.state, plan=case.plan, reward=case.reward) for i, case in enumerate(cases(n))]
    ratios = []
    for number in range(15):
        part = CaseMemory.open(memory.store, f"bulk{number}", embedder=memory.embedder)
        part.vectors = _Known(memory.vectors, vectors)  # type: ignore[assignment]
        gc.collect()  # so that garbage of the preparation is not counted
        start = time.process_time()
        part.add_many(bulk)
        mine = time.process_time() - start
        ratios.append(_raw_bulk(folder / f"raw{number}.db", bulk, vectors) / mine)
    draws = np.random.default_rng(0).choice(ratios, (1000, len(ratios)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    results.add(
        arm=f"bulk import of {n:,}",
        metric="rate / executemany of the same rows",
        value=statistics.median(ratios),
        low=float(low),
        high=float(high),
        n=len(ratios),
        target="≥ 0.7",
    )
    memory.store.close()


def _raw_bulk(path: Path, bulk: Sequence[Case], vectors: Vectors) -> float:
    """Seconds to insert finished rows of the same tables with two calls of executemany."""
    memory = CaseMemory.open(Store.open(path), embedder=Given())
    rows = [memory.rows._values(case, number) for number, case in enumerate(bulk, 1)]
    blobs = [("given-384", text_hash(case.state), v.tobytes()) for case, v in zip(bulk, vectors, strict=True)]
    gc.collect()
    start = time.process_time()
    with memory.store.write() as connection:
        connection.exec_driver_sql(memory.rows._insert, rows)
        connection.exec_driver_sql("INSERT INTO case_vectors (embedder, hash, vector) VALUES (?, ?, ?)", blobs)
    seconds = time.process_time() - start
    memory.store.close()
    return seconds


class _Known:
    """A vector cache that already has every vector."""

    def __init__(self, inner: Any, vectors: Vectors) -> None:
        self.inner, self.known, self.place = inner, vectors, 0

    def vectors(self, texts: Sequence[str]) -> Vectors:
        start, self.place = self.place, self.place + len(texts)
        return self.known[start : self.place]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def opening(results: Results, folder: Path, n: int) -> None:
    """From a fresh process to the first search, with and without the cached index."""
    path = folder / "open.db"
    memory = CaseMemory.open(Store.open(path), embedder=Given(), home=folder)
    memory.add_many(cases(n))
    memory.save()
    memory.store.close()
    for what in ("with the cached index", "from the rows alone"):
        home = folder if "index" in what else None
        wall, busy = time.perf_counter(), time.process_time()
        opened = CaseMemory.open(Store.open(path), embedder=Given(), home=home)
        opened.search("task 5 about matter 5", 4)
        wall, busy = time.perf_counter() - wall, time.process_time() - busy
        opened.store.close()
        target = "≤ 2 s" if "index" in what else ""
        results.add(
            arm=f"cold open of {n:,} cases, {what}",
            metric="processor time",
            value=busy,
            unit="s",
            n=1,
            target=target,
            wall_s=wall,
        )


def rivals(results: Results, folder: Path, n: int) -> None:
    """The same work in this memory, mem0 with FAISS, and LangGraph's InMemoryStore; a tenant owns one case in a
    hundred."""
    vectors, queries = units(n), units(50, seed=1)
    for name, make in (("this memory", _Ours), ("mem0 with FAISS", _Mem0), ("LangGraph InMemoryStore", _InMemory)):
        try:
            rival = make(folder / name.replace(" ", "_"), vectors, queries)
        except ImportError as error:
            results.note(f"{name}: not installed ({error.name})")
            continue
        arm = f"{name}, {n:,} items"
        for what, work, repeats in (
            ("search", rival.search, 30),
            ("insert one", rival.insert, 10),
            ("delete one", rival.delete, 10),
        ):
            results.add(arm=arm, metric=what, value=_median_ms(work, repeats)[0], unit="ms of one core", n=repeats)
        middle, found = _median_ms(rival.tenant, 30)
        results.add(arm=arm, metric="search one tenant of 100", value=middle, unit="ms of one core", n=30)
        wanted = "5" if name == "this memory" else ""
        results.add(arm=arm, metric="results of 5 asked for, one tenant", value=found / 30, n=30, target=wanted)


def _median_ms(work: Callable[[int], int | None], repeats: int) -> tuple[float, int]:
    """Median processor time in ms, and the sum of what the calls returned."""
    times, found = [], 0
    for number in range(repeats):
        start = time.process_time()
        found += work(number) or 0
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times), found


class _Ours:
    def __init__(self, folder: Path, vectors: Vectors, queries: Vectors) -> None:
        self.memory = CaseMemory.open(Store.open(folder / "a.db"), embedder=Given(), home=folder)
        self.memory.add_many(cases(len(vectors), namespaces=100))
        self.filters = Filters(namespace="space-1")
        self.texts = [f"query {i}" for i in range(50)]
        self.memory.vectors.vectors([*self.texts, *(f"new {i}" for i in range(10))])
        self.memory.search("warm", 5)

    def search(self, number: int) -> int:
        with self.memory.mirror.lock:
            self.memory.mirror.refresh()
            return len(self.memory.mirror.view("state").search(self.memory.vectors.vector(self.texts[number]), 5)[0])

    def insert(self, number: int) -> None:
        self.memory.add(Case(id=f"new{number}", state=f"new {number}", plan="p", namespace="other"))

    def delete(self, number: int) -> None:
        self.memory.delete([f"c{number}"], namespace=f"space-{number % 100}")

    def tenant(self, number: int) -> int:
        return len(self.memory.search(self.texts[number], 5, filters=self.filters))


class _Mem0:
    def __init__(self, folder: Path, vectors: Vectors, queries: Vectors) -> None:
        from mem0.vector_stores.faiss import FAISS  # type: ignore[import-not-found, unused-ignore]

        folder.mkdir(parents=True)
        self.store = FAISS("bench", str(folder), "inner_product", embedding_model_dims=D)
        self.vectors, self.queries = vectors, queries
        payloads = [{"data": f"memory {i}", "user_id": f"u{i % 100}"} for i in range(len(vectors))]
        self.store.insert(vectors.tolist(), payloads, [f"i{i}" for i in range(len(vectors))])

    def search(self, number: int) -> int:
        return len(self.store.search("", self.queries[number].tolist(), 5))

    def insert(self, number: int) -> None:
        self.store.insert([self.vectors[number].tolist()], [{"data": "new", "user_id": "x"}], [f"new{number}"])

    def delete(self, number: int) -> None:
        self.store.delete(f"i{number}")

    def tenant(self, number: int) -> int:
        return len(self.store.search("", self.queries[number].tolist(), 5, {"user_id": "u1"}))


class _InMemory:
    def __init__(self, folder: Path, vectors: Vectors, queries: Vectors) -> None:
        from langgraph.store.memory import InMemoryStore

        known = {f"i{i}": vector for i, vector in enumerate(vectors)} | {f"q{i}": q for i, q in enumerate(queries)}
        known |= {f"new{i}": vectors[i] for i in range(10)}
        self.store = InMemoryStore(
            index={"dims": D, "embed": lambda texts: [known[t].tolist() for t in texts], "fields": ["t"]}
        )
        for i in range(len(vectors)):
            self.store.put(("all", f"u{i % 100}"), f"i{i}", {"t": f"i{i}"})

    def search(self, number: int) -> int:
        return len(self.store.search(("all",), query=f"q{number}", limit=5))

    def insert(self, number: int) -> None:
        self.store.put(("all", "x"), f"new{number}", {"t": f"new{number}"})

    def delete(self, number: int) -> None:
        self.store.delete(("all", f"u{number % 100}"), f"i{number}")

    def tenant(self, number: int) -> int:
        return len(self.store.search(("all", "u1"), query=f"q{number}", limit=5))


def main() -> None:
    parser = arguments("memory_speed", __doc__ or "")
    parser.add_argument("--small", action="store_true", help="a tenth of every size, to try out the program")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS[:-1], help="what is measured")
    parser.add_argument("--embedder", default="local/all-minilm-l6-v2")
    args = parser.parse_args()
    results = Results("memory_speed", settings=vars(args), label=args.label)
    part = 10 if args.small else 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "search" in args.parts:
            searching(results, 10_000 // part, repeats=300)
            searching(results, 100_000 // part, repeats=100)
        if "path" in args.parts:
            whole_path(results, folder, load_embedder(args.embedder), 10_000 // part)
        if "write" in args.parts:
            writing(results, folder, 20_000 // part)
        if "open" in args.parts:
            opening(results, folder, 100_000 // part)
        if "rivals" in args.parts:
            rivals(results, folder, 10_000 // part)
        if "million" in args.parts:
            inverted(results, 1_000_000 // part)
    results.note(f"load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    results.finish(json_=args.json, folder=args.out)


if __name__ == "__main__":
    main()
