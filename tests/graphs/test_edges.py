"""Graphs: hand-known neighbours, symmetry, the container, the cache."""

import copy
import pickle

import numpy as np
import pytest
from crystals import b2_cscl, bcc_fe, fcc_cu, isolated_ne, random_alloys, rocksalt_nacl
from pymatgen.core import Lattice, Structure
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from sklmat import CrystalGraphs, InvalidStructureError, StructureToGraph
from sklmat.graphs import (
    ElementGraphs,
    _build_graphs,
    _neighbor_search,
    gather_ranges,
    pointer_from_counts,
    rank_within_group,
)

ARRAYS = [
    "atomic_numbers",
    "positions",
    "lattices",
    "pbc",
    "edge_source",
    "edge_target",
    "edge_image",
    "edge_distance",
    "atom_ptr",
    "edge_ptr",
]


def assert_same(a, b):
    assert a.settings == b.settings
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
        assert getattr(a, name).dtype == getattr(b, name).dtype, name


def build(structures, **params):
    return StructureToGraph(**params).fit_transform(structures)


@pytest.fixture(scope="module")
def alloys():
    return random_alloys(12)


def test_textbook_shells():
    graphs = build([bcc_fe(), fcc_cu(), rocksalt_nacl(), b2_cscl()], max_neighbors=6)
    a = 2.87
    bcc = graphs[0]
    assert bcc.neighbor_counts.tolist() == [8, 8]  # the shell of 8 is not cut at 6
    assert np.allclose(bcc.edge_distance, a * 3**0.5 / 2)
    fcc = graphs[1]
    assert fcc.neighbor_counts.tolist() == [12] * 4
    assert np.allclose(fcc.edge_distance, 3.61 / 2**0.5)
    nacl = graphs[2]
    assert nacl.neighbor_counts.tolist() == [6] * 8
    assert (nacl.atomic_numbers[nacl.edge_source] != nacl.atomic_numbers[nacl.edge_target]).all()
    assert graphs[3].neighbor_counts.tolist() == [8, 8]


def test_default_completes_the_second_shell_of_bcc():
    (graph,) = build([bcc_fe()])
    assert graph.neighbor_counts.tolist() == [14, 14]
    d = np.sort(graph.edge_distance[graph.edge_target == 0])
    assert np.allclose(d, [2.87 * 3**0.5 / 2] * 8 + [2.87] * 6)
    (cut,) = build([bcc_fe()], ties="truncate")
    assert cut.neighbor_counts.tolist() == [12, 12]


def test_distance_equal_to_the_cutoff_counts():
    assert build([fcc_cu()], cutoff=3.61 / 2**0.5).neighbor_counts.tolist() == [12] * 4
    assert build([fcc_cu()], cutoff=3.61 / 2**0.5 - 1e-4).neighbor_counts.tolist() == [0] * 4


def test_edges_equal_pymatgens_neighbor_list(alloys):
    graphs = build(alloys, cutoff=5.0, max_neighbors=None)
    for c, structure in enumerate(alloys):
        center, point, image, distance = structure.get_neighbor_list(5.0)
        theirs = {(i, j, *t) for i, j, t in zip(center, point, image.astype(int).tolist())}
        one = graphs[c]
        ours = set(
            zip(one.edge_target.tolist(), one.edge_source.tolist(), *one.edge_image.T.tolist())
        )
        assert ours == theirs
        assert np.allclose(np.sort(one.edge_distance), np.sort(distance), atol=1e-6)


def test_distances_follow_from_positions_images_and_lattice(alloys):
    one = build(alloys)[3]
    vector = (
        one.positions[one.edge_source]
        + one.edge_image @ one.lattices[0]
        - one.positions[one.edge_target]
    )
    assert np.allclose(np.linalg.norm(vector, axis=1), one.edge_distance, atol=1e-5)


def test_small_radius_search_finds_what_the_full_one_finds(alloys):
    loose = Structure(Lattice.cubic(9), ["Fe", "Fe"], [[0, 0, 0], [0.3, 0, 0]])
    structures = [*alloys, loose, bcc_fe(), isolated_ne()]
    found = build(structures)
    full = build(structures, max_neighbors=None).restrict(max_neighbors=12)
    np.testing.assert_array_equal(found.edge_ptr, full.edge_ptr)
    np.testing.assert_array_equal(found.edge_distance, full.edge_distance)


def test_pbc_is_honoured():
    lattice = Lattice.cubic(3.0, pbc=(True, True, False))
    slab = Structure(lattice, ["Cu"], [[0, 0, 0]])
    graph = build([slab], cutoff=3.1)
    assert sorted(map(tuple, graph.edge_image.tolist())) == [
        (-1, 0, 0),
        (0, -1, 0),
        (0, 1, 0),
        (1, 0, 0),
    ]


def test_isolated_atom_has_no_edges():
    graphs = build([isolated_ne(), fcc_cu()])
    assert graphs.n_edges.tolist() == [0, 48]
    assert build([isolated_ne()]).edge_image.shape == (0, 3)


def test_invariances(alloys):
    rng = np.random.default_rng(1)
    s = alloys[0]
    reference = np.sort(build([s]).edge_distance)
    order = rng.permutation(len(s))
    permuted = Structure.from_sites([s[i] for i in order])
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    rotated = Structure(Lattice(s.lattice.matrix @ q), s.species, s.frac_coords)
    moved = Structure(s.lattice, s.species, s.frac_coords + np.array([0.3, 1.7, -2.2]))
    for other in (permuted, rotated, moved):
        assert np.allclose(np.sort(build([other]).edge_distance), reference, atol=1e-5)
    double = build([s * (2, 1, 1)])
    assert np.allclose(np.sort(double.edge_distance), np.repeat(reference, 2), atol=1e-5)


def test_symmetrize_adds_the_missing_reverse(alloys):
    def edges(graph):
        return {
            (i, j, *t)
            for i, j, t in zip(
                graph.edge_target.tolist(), graph.edge_source.tolist(), graph.edge_image.tolist()
            )
        }

    plain, both = (
        edges(build(alloys[:1], max_neighbors=8, symmetrize=symmetrize))
        for symmetrize in (False, True)
    )
    reverse = {(j, i, -a, -b, -c) for i, j, a, b, c in plain}
    assert reverse != plain
    assert both == plain | reverse


def test_strategies_that_differ_make_graphs_that_differ():
    from pymatgen.analysis.local_env import CutOffDictNN

    narrow = CutOffDictNN({("Cs", "Cl"): 2.0, ("Cs", "Cs"): 4.5})
    wide = CutOffDictNN({("Cs", "Cl"): 4.0, ("Cs", "Cs"): 4.5})
    few, many = (build([b2_cscl()], neighbors=nn, cache=173) for nn in (narrow, wide))
    assert few.n_edges[0] < many.n_edges[0]
    assert few.settings != many.settings


def test_pymatgen_strategies_are_accepted():
    from pymatgen.analysis.local_env import MinimumDistanceNN

    graph = build([bcc_fe()], neighbors=MinimumDistanceNN(tol=0.05))
    assert graph.neighbor_counts.tolist() == [8, 8]
    assert graph.neighbors.startswith("MinimumDistanceNN(")


# -- the container


def test_selections_agree_with_building_the_selection(alloys):
    graphs = build(alloys)
    mask = np.arange(len(alloys)) % 3 == 0
    rows = [5, 1, 1, 8]
    for key, chosen in [
        (slice(2, 9), alloys[2:9]),
        (slice(None, None, 4), alloys[::4]),
        (slice(5, 2), []),
        (mask, [s for s, m in zip(alloys, mask) if m]),
        (np.array(rows), [alloys[i] for i in rows]),
        (rows, [alloys[i] for i in rows]),
        (-1, alloys[-1:]),
        ((np.array(rows), ...), [alloys[i] for i in rows]),
        ((slice(1, 3), Ellipsis), alloys[1:3]),
    ]:
        assert_same(graphs[key], build(chosen))
    assert_same(CrystalGraphs.concatenate(list(graphs)), graphs)
    with pytest.raises(IndexError):
        graphs[0, 1]
    with pytest.raises(IndexError):
        graphs[99]


def test_scikit_learn_sees_a_1d_array(alloys):
    graphs = build(alloys)
    assert graphs.shape == (12,)
    assert len(_safe_indexing(graphs, np.array([3, 4]))) == 2
    assert len(_safe_indexing(graphs, np.arange(12) > 9)) == 2


def test_becoming_an_array_is_refused_in_words(alloys):
    from sklearn.ensemble import BaggingRegressor
    from sklearn.linear_model import Ridge

    graphs = build(alloys)
    with pytest.raises(TypeError, match="n_ensemble for bagging"):
        np.asarray(graphs)
    with pytest.raises(TypeError, match="not supported on crystals"):
        BaggingRegressor(Ridge()).fit(graphs, np.arange(12.0))


def test_concatenate_refuses_unlike_parts():
    with pytest.raises(ValueError, match="part 1 was built with"):
        CrystalGraphs.concatenate([build([fcc_cu()]), build([fcc_cu()], cutoff=5.0)])
    with pytest.raises(ValueError, match="nothing"):
        CrystalGraphs.concatenate([])


def test_restrict_gives_what_building_gives(alloys):
    wide = build(alloys, cutoff=6.0, max_neighbors=None)
    for cutoff, k in [(4.0, None), (6.0, 12), (3.0, 8), (6.0, 5)]:
        narrow = wide.restrict(cutoff, k)
        direct = build(alloys, cutoff=cutoff, max_neighbors=k)
        np.testing.assert_array_equal(narrow.edge_distance, direct.edge_distance)
        np.testing.assert_array_equal(narrow.edge_ptr, direct.edge_ptr)
        assert narrow.settings == direct.settings
    assert wide.restrict() is wide
    with pytest.raises(ValueError, match=r"larger than the 6\.0 Å"):
        wide.restrict(cutoff=7.0)
    with pytest.raises(ValueError, match="larger than the 5"):
        wide.restrict(max_neighbors=5).restrict(max_neighbors=6)
    assert StructureToGraph(cutoff=6.0, max_neighbors=5).transform(wide).max_neighbors == 5


@pytest.mark.parametrize("mmap", [False, True])
def test_save_and_load(alloys, tmp_path, mmap):
    graphs = build(alloys)
    graphs.save(tmp_path / "g.safetensors")
    again = CrystalGraphs.load(tmp_path / "g.safetensors", mmap=mmap)
    assert_same(again, graphs)
    assert isinstance(again.edge_distance, np.memmap) == mmap
    assert_same(again[[2, 0]], graphs[[2, 0]])


def test_load_refuses_other_files(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="does not hold crystal graphs"):
        CrystalGraphs.load(tmp_path / "other.safetensors")


def test_bytes_per_atom_at_twelve_neighbours(alloys):
    graphs = build(alloys)
    assert graphs.nbytes / len(graphs.atomic_numbers) < 256


def test_to_pyg(alloys):
    data = build(alloys).to_pyg(1)
    structure = alloys[1]
    assert data.z.tolist() == list(structure.atomic_numbers)
    assert data.edge_index.shape == (2, 12 * len(structure))
    i = int(data.edge_index[1, 5])
    assert i == 0  # sorted by central atom
    j, image = int(data.edge_index[0, 5]), data.edge_image[5].numpy()
    d = structure.get_distance(i, j, jimage=image)
    assert float(data.edge_weight[5]) == pytest.approx(d, abs=1e-5)


def test_indices_count_through_the_whole_container(alloys):
    graphs = build([alloys[0], isolated_ne(), *alloys[1:3]])
    assert graphs.flat_source.dtype == graphs.flat_target.dtype == np.int64
    atoms, edges = 0, 0
    for c, one in enumerate(graphs):
        of_atoms = slice(atoms, atoms + len(one.atomic_numbers))
        of_edges = slice(edges, edges + len(one.edge_source))
        assert (graphs.crystal_of_atom[of_atoms] == c).all()
        assert (graphs.crystal_of_edge[of_edges] == c).all()
        np.testing.assert_array_equal(graphs.flat_source[of_edges], one.edge_source + atoms)
        np.testing.assert_array_equal(graphs.flat_target[of_edges], one.edge_target + atoms)
        atoms, edges = of_atoms.stop, of_edges.stop
    assert (len(graphs.crystal_of_atom), len(graphs.crystal_of_edge)) == (atoms, edges)
    elements = ElementGraphs.from_graphs(graphs)
    for c in range(len(elements)):
        nodes = np.flatnonzero(elements.crystal_of_node == c)
        pairs = slice(elements.pair_ptr[c], elements.pair_ptr[c + 1])
        assert nodes.tolist() == list(range(elements.node_ptr[c], elements.node_ptr[c + 1]))
        np.testing.assert_array_equal(elements.flat_source[pairs], np.tile(nodes, len(nodes)))
        np.testing.assert_array_equal(elements.flat_target[pairs], np.repeat(nodes, len(nodes)))


def test_what_is_computed_is_not_kept(alloys):
    graphs = build(alloys[:2])
    names = list(vars(graphs))
    for name in ("flat_source", "flat_target", "crystal_of_atom", "crystal_of_edge"):
        getattr(graphs, name)
    # Checkpoints of a training are found again by a digest of these arrays.
    assert list(vars(graphs)) == names


def test_select_edges(alloys):
    graphs = build([*alloys[:2], isolated_ne(), alloys[2]])
    keep = graphs.edge_distance < 2.7
    kept = graphs.select_edges(keep)
    assert 0 < keep.sum() < len(keep)
    np.testing.assert_array_equal(kept.n_edges, np.bincount(graphs.crystal_of_edge[keep], None, 4))
    last = slice(graphs.edge_ptr[3], None)
    expected = graphs.edge_distance[last][keep[last]]
    np.testing.assert_array_equal(kept[3].edge_distance, expected)
    np.testing.assert_array_equal(kept.edge_image, graphs.edge_image[keep])
    assert kept.settings == graphs.settings
    assert_same(graphs.select_edges(np.ones(len(keep), dtype=bool)), graphs)


def test_graphs_and_structures_hold_the_same_crystals(alloys):
    slab = Structure(Lattice(np.diag([4.0, 4, 20]), pbc=(True, True, False)), ["C"], [[0, 0, 0.5]])
    structures = [*alloys[:3], slab]
    again = build(structures).to_structures()
    assert [s.species for s in again] == [s.species for s in structures]
    assert [s.lattice for s in again] == [s.lattice for s in structures]
    assert again[3].lattice.pbc == (True, True, False)
    for ours, theirs in zip(again, structures):
        np.testing.assert_allclose(ours.cart_coords, theirs.cart_coords, atol=1e-12)
    anew, graphs = build(again), build(structures)
    np.testing.assert_array_equal(anew.n_edges, graphs.n_edges)
    np.testing.assert_allclose(anew.edge_distance, graphs.edge_distance, atol=1e-6)


def test_consecutive_groups_by_hand():
    counts = np.array([2, 0, 3])
    assert pointer_from_counts(counts).tolist() == [0, 2, 2, 5]
    assert pointer_from_counts([]).dtype == np.int64
    assert rank_within_group(counts).tolist() == [0, 1, 0, 1, 2]
    pointer, positions = gather_ranges(pointer_from_counts(counts), np.array([2, 1, 0, 2]))
    assert pointer.tolist() == [0, 3, 3, 5, 8]
    assert positions.tolist() == [2, 3, 4, 0, 1, 2, 3, 4]


# -- the transformer


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("cache", [None, 191])
def test_errors_name_the_row(alloys, tmp_path, monkeypatch, n_jobs, cache):
    monkeypatch.setattr(_build_graphs, "_CHUNK_ATOMS", 40)
    monkeypatch.setattr(_build_graphs, "_CHUNK_FILES", 2)
    clash = Structure(Lattice.cubic(4), ["Fe", "Fe"], [[0, 0, 0], [0, 0, 0.05]])
    transformer = StructureToGraph(n_jobs=n_jobs, cache=cache)
    transformer.transform(alloys[:5])
    with pytest.raises(InvalidStructureError, match=r"structure 12 \(Fe2\).*0\.200 Å"):
        transformer.transform([*alloys, clash, *alloys])
    alloys[0].to(filename=str(tmp_path / "POSCAR_good"), fmt="poscar")
    paths = [tmp_path / "POSCAR_good"] * 7 + [tmp_path / "missing.cif"]
    with pytest.raises(InvalidStructureError, match=r"structure 7 \(missing\.cif\).*no such file"):
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
    from joblib import parallel_config

    plain = build(alloys)
    graphs = build(alloys, max_neighbors=np.int64(12), cache=tmp_path / "cache")
    graphs.save(tmp_path / "graphs.safetensors")
    assert_same(CrystalGraphs.load(tmp_path / "graphs.safetensors"), plain)
    monkeypatch.setattr(_build_graphs, "_CHUNK_ATOMS", 40)
    with parallel_config(backend="threading", n_jobs=2):
        assert_same(build(alloys), plain)


def test_inputs_are_not_mutated(alloys):
    before = copy.deepcopy(alloys)
    build(alloys)
    assert alloys == before


def test_parallel_equals_serial(alloys, tmp_path, monkeypatch):
    paths = []
    for k, s in enumerate(alloys[:4]):
        paths.append(tmp_path / f"POSCAR_{k}")
        s.to(filename=str(paths[-1]), fmt="poscar")
    items = [*paths, *alloys]
    serial = build(items)
    monkeypatch.setattr(_build_graphs, "_CHUNK_ATOMS", 40)
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
        StructureToGraph(cache=cache, cutoff=5.0).transform(alloys[:1])
        assert len(built) == 11


def test_memory_cache_drops_the_least_recently_used(alloys, monkeypatch):
    from sklmat.graphs import _cache

    monkeypatch.setattr(_cache, "_MEMORY", {})
    StructureToGraph(cache=3).transform(alloys)
    assert len(_cache._MEMORY[3].graphs) == 3


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


@pytest.mark.parametrize(("stretch", "expected"), [(1e-4, 14), (1e-3, 12)])
@pytest.mark.parametrize("max_neighbors", [9, 12])
def test_shells_within_the_tolerance_are_one(stretch, expected, max_neighbors):
    """bcc with c longer than a by 0.3 or 3 mÅ: the second shell is 4 + 2 in one or in two parts."""
    lattice = Lattice.tetragonal(2.87, 2.87 * (1 + stretch))
    cell = Structure(lattice, ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    graphs = StructureToGraph(max_neighbors=max_neighbors, tie_tolerance=1e-3).fit_transform([cell])
    assert graphs.neighbor_counts.tolist() == [expected, expected]
