"""The transformer from structures to graphs: errors, caches and processes."""

import copy
import os
import pickle

import joblib
import numpy as np
import pytest
from cif_text import cif
from crystals import random_alloys
from joblib import parallel_config
from pymatgen.analysis.local_env import MinimumDistanceNN
from pymatgen.core import Lattice, Structure
from same_graphs import assert_same
from sklearn.base import clone

from sklmat import (
    CrystalGraphs,
    InvalidStructureError,
    InvalidStructureWarning,
    StructureToGraph,
)
from sklmat.graphs import _build_graphs, _neighbor_search


def build(structures, **params):
    return StructureToGraph(**params).fit_transform(structures)


@pytest.fixture(scope="module")
def alloys():
    return random_alloys(12)


def use_several_chunks(monkeypatch):
    """A dozen crystals are divided and given to several processes, as thousands are."""
    monkeypatch.setattr(_build_graphs, "_CHUNK_ATOMS", 40)
    monkeypatch.setattr(_build_graphs, "_ATOMS_FOR_PROCESSES", 40)
    monkeypatch.setattr(_build_graphs, "_N_FIRST", 3)


@pytest.fixture
def sent(monkeypatch):
    """Where joblib would start processes, tasks run here; a list of what was sent and read."""
    events = []
    read_chunk = _build_graphs._read_chunk

    class Here:
        def __init__(self, **params):
            assert params["pre_dispatch"] == "all", "joblib's thread would read the others"

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def __call__(self, tasks):
            results = []
            for function, args, kwargs in tasks:
                events.append(args[1][1])
                results.append(function(*args, **kwargs))
            return results

    def reading(rows, items):
        events.append("read")
        return read_chunk(rows, items)

    monkeypatch.setattr(joblib, "Parallel", Here)
    monkeypatch.setattr(_build_graphs, "_read_chunk", reading)
    return events


def test_processes_start_while_crystals_are_read_and_get_arrays(alloys, monkeypatch, sent):
    expected = build(alloys)
    sent.clear()
    use_several_chunks(monkeypatch)
    assert_same(build(alloys, n_jobs=2), expected)
    chunks = [event for event in sent if event != "read"]
    assert len(chunks) > 2
    assert {type(chunk) for chunk in chunks} == {CrystalGraphs}
    assert sum(map(len, chunks)) == sent.count("read") == 12
    assert sent.index(chunks[0]) < 11, "the first chunk waited for the last crystal"


def test_little_work_starts_no_process(alloys, monkeypatch, sent):
    build(alloys, n_jobs=2)
    assert sent == ["read"] * 12
    # The strategies of pymatgen are slow enough for processes.
    monkeypatch.setattr(_build_graphs, "_ATOMS_FOR_PROCESSES", 100 * 40)
    build(alloys[:4], n_jobs=2, neighbors=MinimumDistanceNN(), cutoff=4.0)
    assert len(sent) > 12 + 4


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_error_in_reading_comes_before_those_in_building(alloys, monkeypatch, n_jobs):
    use_several_chunks(monkeypatch)
    clash = Structure(Lattice.cubic(4), ["Fe", "Fe"], [[0, 0, 0], [0, 0, 0.05]])
    mixed = Structure(Lattice.cubic(3), [{"Fe": 0.5, "Ni": 0.5}], [[0, 0, 0]])
    with pytest.raises(InvalidStructureError, match=r"structure 13 .*partial occupancy"):
        StructureToGraph(n_jobs=n_jobs).transform([clash, *alloys, mixed])


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("folder", [False, True])
def test_cache_reads_each_file_once(tmp_path, monkeypatch, n_jobs, folder):
    read, convert = [], _build_graphs.convert_items

    def counting(rows, items):
        read.extend(items)
        return convert(rows, items)

    monkeypatch.setattr(_build_graphs, "convert_items", counting)
    paths = [tmp_path / f"{k}.cif" for k in range(3)]
    for k, path in enumerate(paths):
        path.write_text(cif(cell=(4.1 + 0.1 * k,) * 3 + (90,) * 3))
    paths[1].write_text(cif(sites=("Cs Cs1 0 0 0 0.9995", "Cl Cl1 0.5 0.5 0.5 1")))
    for path in paths:
        os.utime(path, (1e9, 1e9))
    transformer = StructureToGraph(cache=tmp_path / "cache" if folder else 193, n_jobs=n_jobs)
    first = []
    for rows in ([0, 1, 2], [2, 1]):
        message = rf"structure {rows.index(1)} \(Cs1Cl1\): the occupancy 0.9995 of site Cs1"
        with pytest.warns(InvalidStructureWarning, match=message):
            first.append(clone(transformer).transform([str(paths[row]) for row in rows]))
    assert_same(first[0][[2, 1]], first[1])
    assert sorted(read) == sorted(map(str, paths))
    # A file that was changed is read again, and often as long as it is so new.
    paths[0].write_text(cif(cell=(5.0,) * 3 + (90,) * 3))
    for _ in range(2):
        graphs = transformer.transform(paths[:1])
        assert graphs.lattices[0, 0, 0] == pytest.approx(5.0)
    assert read[3:] == [paths[0]] * 2
    paths[0].unlink()
    with pytest.raises(InvalidStructureError, match="no such file"):
        transformer.transform(paths)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("cache", [None, 191])
def test_errors_name_the_row(alloys, tmp_path, monkeypatch, n_jobs, cache):
    use_several_chunks(monkeypatch)
    monkeypatch.setattr(_build_graphs, "_CHUNK_FILES", 2)
    clash = Structure(Lattice.cubic(4), ["Fe", "Fe"], [[0, 0, 0], [0, 0, 0.05]])
    transformer = StructureToGraph(n_jobs=n_jobs, cache=cache)
    alloys[0].to(filename=str(tmp_path / "POSCAR_good"), fmt="poscar")
    paths = [tmp_path / "POSCAR_good"] * 7 + [tmp_path / "missing.cif"]
    # An error ends joblib's processes, and to start new ones takes long.
    with parallel_config(backend="loky" if cache is None else "threading"):
        transformer.transform(alloys[:5])
        with pytest.raises(InvalidStructureError, match=r"structure 12 \(Fe2\).*0\.200 Å"):
            transformer.transform([*alloys, clash, *alloys])
    with parallel_config(backend="threading"):
        message = r"structure 7 \(missing\.cif\).*no such file"
        with pytest.raises(InvalidStructureError, match=message):
            transformer.transform(paths)


def test_input_is_what_check_structures_takes(alloys):
    assert len(StructureToGraph().transform(s for s in alloys)) == 12
    for single in (alloys[0].as_dict(), 5):
        with pytest.raises(TypeError, match="sequence of structures"):
            StructureToGraph(n_jobs=2).transform(single)


def test_built_graphs_that_cannot_suit_are_refused(alloys):
    graphs = build(alloys)
    for params in ({"symmetrize": True}, {"ties": "truncate"}, {"max_neighbors": None}):
        with pytest.raises(ValueError, match=f"asks for.*{next(iter(params))}"):
            StructureToGraph(**params).transform(graphs)
    assert StructureToGraph().transform(graphs) is graphs


def test_numpy_integers_and_other_backends(alloys, tmp_path, monkeypatch):
    plain = build(alloys)
    graphs = build(alloys, max_neighbors=np.int64(12), cache=tmp_path / "cache")
    graphs.save(tmp_path / "graphs.safetensors")
    assert_same(CrystalGraphs.load(tmp_path / "graphs.safetensors"), plain)
    use_several_chunks(monkeypatch)
    with parallel_config(backend="threading", n_jobs=2):
        assert_same(build(alloys), plain)


def test_inputs_are_not_mutated(alloys):
    before = copy.deepcopy(alloys)
    build(alloys)
    assert alloys == before


def test_parallel_equals_serial(alloys, tmp_path, monkeypatch, processes):
    paths = []
    for k, s in enumerate(alloys[:4]):
        paths.append(tmp_path / f"POSCAR_{k}")
        s.to(filename=str(paths[-1]), fmt="poscar")
    items = [*paths, *alloys]
    serial = build(items)
    use_several_chunks(monkeypatch)
    monkeypatch.setattr(_build_graphs, "_CHUNK_FILES", 2)
    assert_same(build(items, n_jobs=2), serial)
    assert_same(build(items), serial)


def test_cache_builds_each_crystal_once(alloys, tmp_path, monkeypatch):
    built = []
    original = _neighbor_search.build_edges

    def counting(crystal, **settings):
        built.append(1)
        return original(crystal, **settings)

    monkeypatch.setattr(_neighbor_search, "build_edges", counting)
    for cache in (137, tmp_path):
        built.clear()
        transformer = StructureToGraph(cache=cache)
        first = transformer.transform(alloys[:8])
        assert len(built) == 8
        again = clone(transformer).transform([alloys[3].copy(), *alloys[6:10]])
        assert len(built) == 10
        assert_same(again[:3], first[[3, 6, 7]])
        clone(transformer).set_params(cutoff=5.0).transform(alloys[:1])
        assert len(built) == 11


def test_repeated_calls_and_pickle(alloys):
    transformer = StructureToGraph(n_jobs=2)
    first = transformer.transform(alloys)
    assert_same(transformer.transform(alloys), first)
    assert_same(pickle.loads(pickle.dumps(transformer)).transform(alloys), first)
    assert_same(pickle.loads(pickle.dumps(first)), first)


def test_progress_bar_only_on_verbose(alloys, capsys):
    StructureToGraph(verbose=True).transform(alloys)
    assert "12/12" in capsys.readouterr().err
    StructureToGraph().transform(alloys)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "params", [{"cutoff": -1.0}, {"max_neighbors": 0}, {"ties": "cut"}, {"neighbors": 3}]
)
def test_bad_parameters(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        StructureToGraph(**params).fit([])


def test_real_cells(data_home):
    from sklmat.datasets import fetch_hea

    structures = fetch_hea(data_home=data_home).data[:40]
    graphs = build(structures)
    assert graphs.n_atoms.tolist() == [len(s) for s in structures]
    assert graphs.neighbor_counts.min() >= 12
    assert graphs.neighbor_counts.max() <= 18
