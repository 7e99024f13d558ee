"""Search over vectors: exact under every filter, and an inverted file that loses next to nothing."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from agentkit.memory import flat
from agentkit.memory.flat import FlatView

N, D, K = 6000, 32, 8


def units(n: int, *, seed: int) -> np.ndarray:
    centres, rng = np.random.default_rng(7).standard_normal((60, D)), np.random.default_rng(seed)
    found = centres[rng.integers(0, 60, n)] + 0.7 * rng.standard_normal((n, D))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def exact(matrix: np.ndarray, query: np.ndarray, mask: np.ndarray | None = None) -> list[int]:
    allowed = np.arange(len(matrix)) if mask is None else np.flatnonzero(mask)
    return [int(i) for i in allowed[np.argsort(-(matrix[allowed] @ query), kind="stable")[:K]]]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.3, 0.7, 1.0])
def test_a_filtered_search_finds_exactly_the_best_that_the_filter_allows(share: float) -> None:
    matrix, view = units(N, seed=0), FlatView(D)
    view.add(matrix)
    mask = np.random.default_rng(1).random(N) < share
    for query in units(20, seed=2):
        positions, scores = view.search(query, K, mask)
        wanted = exact(matrix, query, mask)
        assert len(positions) == len(wanted)
        assert np.allclose(scores, matrix[wanted] @ query, atol=1e-5)
        assert mask[positions].all()


def test_filters_that_come_again_that_change_and_that_grow_find_the_best_of_their_own() -> None:
    matrix, view, rng = units(N, seed=0), FlatView(D), np.random.default_rng(3)
    view.add(matrix[: N // 2])
    masks = [rng.random(N) < 0.5 for _ in range(2)]
    for step, query in enumerate(units(40, seed=2)):
        if step == 20:
            view.add(matrix[N // 2 :])
        if step % 10 == 9:  # one case more is allowed, as when a case is put to use
            masks[0][rng.integers(N // 2)] = True
        mask = masks[step // 5 % 2][: len(view)].copy()
        positions, _ = view.search(query, K, mask)
        assert positions.tolist() == exact(matrix[: len(view)], query, mask)


def test_filters_of_two_threads_are_never_mixed_up() -> None:
    matrix, view = units(N, seed=0), FlatView(D)
    view.add(matrix)
    halves = [np.arange(N) % 2 == side for side in (0, 1)]
    wrong = list[int]()

    def work(side: int) -> None:
        for query in units(300, seed=side):
            positions, _ = view.search(query, K, halves[side])
            wrong.extend(int(found) for found in positions if found % 2 != side)

    threads = [threading.Thread(target=work, args=(side,)) for side in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_inverted_file_finds_nearly_all_and_scores_them_exactly() -> None:
    matrix, view = units(N, seed=0), FlatView(D)
    view.add(matrix)
    view.build_ivf()
    assert view.ivf.nprobe < view.ivf.nlist
    hits = 0
    for query in units(50, seed=2):
        positions, scores = view.search(query, K)
        assert np.allclose(scores, matrix[positions] @ query, atol=1e-5)
        assert list(scores) == sorted(scores, reverse=True)
        hits += len(set(positions.tolist()) & set(exact(matrix, query)))
    assert hits / (50 * K) >= 0.95


def test_vectors_added_after_and_during_the_building_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat, "IVF_FROM", 1000)
    matrix, view, lock = units(N, seed=0), FlatView(D), threading.RLock()
    view.add(matrix[:4000])
    assert view.wants_ivf()
    with lock:
        thread = view.build_in_background(lock)
        view.add(matrix[4000:5000])
        assert not view.wants_ivf()
    thread.join()
    view.add(matrix[5000:])
    assert view.ivf.ntotal == N
    for position in (10, 4500, 5500):
        assert view.search(matrix[position], 1)[0].tolist() == [position]


def test_a_batch_of_queries_finds_what_each_finds_alone() -> None:
    matrix, view = units(N, seed=0), FlatView(D)
    view.add(matrix)
    queries = units(5, seed=2)
    positions, _ = view.search_batch(queries, K)
    assert positions.tolist() == [view.search(query, K)[0].tolist() for query in queries]
