"""`GraphCache`: its limits, who shares it, when it is freed, and several processes."""

import copy
import gc
import os
import pickle
import time
import weakref
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from crystals import random_alloys
from same_graphs import assert_same
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklmat import CrystalGraphs, GraphCache, StructureToGraph
from sklmat.graphs import _build_graphs, _cache
from sklmat.graphs._cache import open_cache


@pytest.fixture(scope="module")
def alloys():
    return random_alloys(12)


@pytest.fixture
def built(monkeypatch):
    """Number of atoms of each crystal whose graph was built."""
    numbers = []
    find_edges = _build_graphs.find_edges

    def counting(crystals, *args, **kwargs):
        numbers.extend(len(crystal.atomic_numbers) for crystal in crystals)
        return find_edges(crystals, *args, **kwargs)

    monkeypatch.setattr(_build_graphs, "find_edges", counting)
    return numbers


class MeanSize(RegressorMixin, BaseEstimator):
    def __init__(self, shift=0.0):
        self.shift = shift

    def fit(self, X, y):
        self.mean_ = np.mean(y)
        return self

    def predict(self, X):
        return self.mean_ + self.shift * X.n_atoms


def make_cache(kind, folder):
    return {
        "int": 100,
        "bytes": GraphCache(max_bytes=1e8),
        "folder": str(folder),
        "limited folder": GraphCache(max_bytes=1e8, folder=folder),
    }[kind]


@pytest.mark.parametrize("kind", ["int", "bytes", "folder", "limited folder"])
def test_a_search_builds_each_graph_once(alloys, built, tmp_path, kind):
    model = make_pipeline(StructureToGraph(cache=make_cache(kind, tmp_path)), MeanSize())
    search = GridSearchCV(model, {"meansize__shift": [0.0, 0.1, 0.2]}, cv=3)
    search.fit(alloys, np.arange(12.0)).predict(alloys)
    assert len(built) == 12


def test_two_transformers_have_two_caches(alloys, built):
    first, second = StructureToGraph(cache=100), StructureToGraph(cache=100)
    for transformer in (first, second, clone(first), clone(clone(second))):
        transformer.transform(alloys)
    assert len(built) == 24
    shared = GraphCache(max_bytes=1e8)
    for transformer in (StructureToGraph(cache=shared), StructureToGraph(cache=shared)):
        transformer.transform(alloys)
    assert len(built) == 36


@pytest.mark.parametrize("folder", [False, True])
def test_clones_and_copies_have_the_same_cache(tmp_path, folder):
    cache = GraphCache(max_bytes=1e8, folder=tmp_path if folder else None)
    transformer = StructureToGraph(cache=cache)
    assert clone(transformer).cache is cache
    assert copy.deepcopy(transformer).cache is cache
    assert copy.copy(cache) is cache


def test_graphs_are_freed_with_the_last_transformer(alloys):
    transformer = StructureToGraph(cache=100)
    another = clone(transformer)
    another.transform(alloys)
    graphs = [
        weakref.ref(graph) for graph, _ in another._opened_cache._store.results.values.values()
    ]
    del another
    gc.collect()
    assert all(ref() is not None for ref in graphs)
    assert len(graphs) == 12
    del transformer
    gc.collect()
    assert all(ref() is None for ref in graphs)


def test_a_pickle_has_no_graphs(alloys, built):
    transformer = StructureToGraph(cache=GraphCache(max_bytes=1e8))
    numbered = StructureToGraph(cache=100)
    before = [len(pickle.dumps(clone(t))) for t in (transformer, numbered)]
    transformer.transform(alloys)
    numbered.transform(alloys)
    assert [len(pickle.dumps(clone(t))) for t in (transformer, numbered)] == before
    again = pickle.loads(pickle.dumps(transformer))
    assert (again.cache.max_bytes, len(again.cache)) == (1e8, 0)
    # Tasks that a process gets one after the other find the graphs of those before.
    task = pickle.loads(pickle.dumps(transformer))
    assert task.cache is again.cache


def test_the_least_recently_used_graphs_are_dropped(alloys, built):
    transformer = StructureToGraph(cache=3)
    transformer.transform(alloys[:3])
    transformer.transform(alloys[:1])
    transformer.transform(alloys[3:4])
    assert len(built) == 4
    transformer.transform([alloys[0], alloys[2], alloys[3]])
    assert len(built) == 4
    transformer.transform([alloys[1]])
    assert len(built) == 5


def test_memory_stays_below_the_limit(alloys):
    sizes = [graph.nbytes + _cache._OVERHEAD for graph in StructureToGraph().transform(alloys)]
    cache = GraphCache(max_bytes=sum(sizes[-4:]))
    StructureToGraph(cache=cache).transform(alloys)
    assert len(cache) == 4
    assert cache.nbytes == cache.max_bytes
    StructureToGraph(cache=cache).transform(alloys[:1])
    assert len(cache) < 5
    assert cache.nbytes <= cache.max_bytes
    cache.clear()
    assert (len(cache), cache.nbytes) == (0, 0)


def test_atoms_of_files_count_too(alloys, tmp_path):
    for k, alloy in enumerate(alloys):
        alloy.to(filename=str(tmp_path / f"POSCAR_{k}"), fmt="poscar")
        os.utime(tmp_path / f"POSCAR_{k}", (1e9, 1e9))
    paths = sorted(tmp_path.glob("POSCAR*"))
    cache = GraphCache(max_bytes=60_000)
    plain = StructureToGraph().transform(paths)
    assert_same(StructureToGraph(cache=cache).transform(paths), plain)
    assert len(cache._store.files.values) == 12
    assert 0 < len(cache) < 12
    assert cache.nbytes <= 60_000
    # Smaller than one crystal.
    assert_same(StructureToGraph(cache=GraphCache(max_bytes=10)).transform(paths), plain)


def test_the_overhead_is_about_what_python_takes(alloys):
    import tracemalloc

    graphs = StructureToGraph().transform(alloys)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    copies = [graphs[[k % 12]] for k in range(240)]
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    overhead = taken / 240 - np.mean([graph.nbytes for graph in copies])
    assert 0.5 < overhead / _cache._OVERHEAD < 1.5


def folder_bytes(folder):
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))


def test_a_folder_keeps_its_limit_and_the_files_used_last(alloys, built, tmp_path):
    unlimited = StructureToGraph(cache=tmp_path)
    unlimited.transform(alloys)
    everything = folder_bytes(tmp_path)
    for age, path in enumerate(tmp_path.rglob("*.safetensors")):
        os.utime(path, (1e9 - age, 1e9 - age))
    # They are used, so that the others are older.
    limit = 0.6 * everything
    cache = GraphCache(max_bytes=limit, folder=tmp_path)
    StructureToGraph(cache=cache).transform(alloys[:2])
    built.clear()
    StructureToGraph(cache=cache, cutoff=5.0).transform(alloys[2:3])
    assert len(built) == 1
    assert folder_bytes(tmp_path) == cache.nbytes <= limit
    assert 2 < len(cache) < 12
    StructureToGraph(cache=cache).transform(alloys[:2])
    assert len(built) == 1
    assert_same(unlimited.transform(alloys), StructureToGraph().transform(alloys))
    cache.clear()
    assert len(cache) == 0


def test_abandoned_files_are_removed(alloys, tmp_path):
    (tmp_path / "00").mkdir()
    for name, age in (("old", 10_000), ("new", 0)):
        path = tmp_path / "00" / f".{name}.part"
        path.write_bytes(bytes(1000))
        os.utime(path, (time.time() - age,) * 2)
    StructureToGraph(cache=GraphCache(max_bytes=900, folder=tmp_path)).transform(alloys[:1])
    assert [path.name for path in tmp_path.glob("*/*")] == [".new.part"]


def test_a_file_that_another_process_removes_is_missing(alloys, built, tmp_path, monkeypatch):
    transformer = StructureToGraph(cache=GraphCache(max_bytes=1e8, folder=tmp_path))
    first = transformer.transform(alloys[:3])
    load = CrystalGraphs.load

    def removed_before(path):
        path.unlink()
        return load(path)

    monkeypatch.setattr(CrystalGraphs, "load", removed_before)
    assert_same(transformer.transform(alloys[:3]), first)
    assert len(built) == 6
    # Between listing and counting.
    monkeypatch.undo()
    stat = type(tmp_path).stat

    def gone(path, **kwargs):
        if path.suffix == ".safetensors":
            path.unlink(missing_ok=True)
        return stat(path, **kwargs)

    monkeypatch.setattr(type(tmp_path), "stat", gone)
    assert transformer.cache.nbytes == 0


def fill(folder, seed):
    rows = np.random.default_rng(seed).integers(0, 12, 60)
    cells = random_alloys(12)
    transformer = StructureToGraph(cache=GraphCache(max_bytes=30_000, folder=folder))
    return [transformer.transform([cells[row]]).atomic_numbers.tolist() for row in rows]


@pytest.mark.slow
def test_processes_share_a_small_folder(alloys, tmp_path):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(fill, [tmp_path] * 2, [0, 1]))
    for seed, result in enumerate(results):
        rows = np.random.default_rng(seed).integers(0, 12, 60)
        assert result == [list(alloys[row].atomic_numbers) for row in rows]
    # Each process can write a twentieth of the limit, or one file, before it counts again.
    assert folder_bytes(tmp_path) < 2 * 30_000
    assert not list(tmp_path.rglob("*.part"))


def known_before(transformer, cells):
    cache = open_cache(transformer.cache, vars(transformer).get("_opened_cache"))
    known = len(cache)
    transformer.transform(cells)
    return known


@pytest.mark.slow
def test_a_process_keeps_its_graphs_between_tasks(alloys):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for cache in (100, GraphCache(max_bytes=1e8)):
            transformer = StructureToGraph(cache=cache)
            tasks = [pool.submit(known_before, clone(transformer), alloys) for _ in range(3)]
            assert [task.result() for task in tasks] == [0, 12, 12]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "needs a limit"),
        ({"max_bytes": 0}, "max_bytes must be a positive number"),
        ({"max_bytes": "1GB"}, "got '1GB'"),
        ({"max_crystals": 1.5}, "max_crystals must be"),
        ({"max_crystals": 3, "folder": "x"}, "use max_bytes for a folder"),
    ],
)
def test_limits_that_make_no_sense_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        GraphCache(**params)


def test_a_wrong_cache_is_refused_by_fit_and_not_by_clone(alloys):
    for cache in (-3, 2.5, "", []):
        transformer = clone(StructureToGraph(cache=cache))
        if cache != "":
            with pytest.raises(ValueError, match="'cache' parameter"):
                transformer.fit(alloys)


def test_a_damaged_file_is_built_again(alloys, built, tmp_path):
    transformer = StructureToGraph(cache=tmp_path)
    expected = transformer.transform(alloys[:1])
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:200])
    assert_same(transformer.transform(alloys[:1]), expected)
    assert len(built) == 2
