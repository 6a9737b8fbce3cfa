"""Which neighbours a graph has: shells, ties, cutoffs, boundaries and symmetry."""

import numpy as np
import pytest
from crystals import b2_cscl, bcc_fe, fcc_cu, isolated_ne, random_alloys, rocksalt_nacl
from pymatgen.core import Lattice, Structure

from sklmat import StructureToGraph


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


@pytest.mark.parametrize(("stretch", "expected"), [(1e-4, 14), (1e-3, 12)])
@pytest.mark.parametrize("max_neighbors", [9, 12])
def test_shells_within_the_tolerance_are_one(stretch, expected, max_neighbors):
    """bcc with c longer than a by 0.3 or 3 mÅ: the second shell is 4 + 2 in one or in two parts."""
    lattice = Lattice.tetragonal(2.87, 2.87 * (1 + stretch))
    cell = Structure(lattice, ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    graphs = StructureToGraph(max_neighbors=max_neighbors, tie_tolerance=1e-3).fit_transform([cell])
    assert graphs.neighbor_counts.tolist() == [expected, expected]
