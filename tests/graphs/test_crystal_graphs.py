"""The container of graphs: selections, files, and what it refuses."""

import numpy as np
import pytest
from crystals import fcc_cu, isolated_ne, random_alloys
from pymatgen.core import Lattice, Structure
from same_graphs import assert_same
from sklearn.utils import _safe_indexing

from sklmat import CrystalGraphs, StructureToGraph
from sklmat.graphs import ElementGraphs, gather_ranges, pointer_from_counts, rank_within_group


def build(structures, **params):
    return StructureToGraph(**params).fit_transform(structures)


@pytest.fixture(scope="module")
def alloys():
    return random_alloys(12)


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


@pytest.mark.parametrize("mmap", [False, True])
def test_an_index_of_two_dimensions_is_an_error(mmap, tmp_path):
    StructureToGraph().transform([fcc_cu(), fcc_cu()]).save(tmp_path / "graphs")
    graphs = CrystalGraphs.load(tmp_path / "graphs", mmap=mmap)
    with pytest.raises(IndexError, match=r"one-dimensional, got an index of shape \(2, 2\)"):
        graphs[[[0, 1], [1, 0]]]
