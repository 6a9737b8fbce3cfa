"""Graphs of moved atoms are those that building anew gives; gradients are derivatives."""

from dataclasses import replace

import numpy as np
import pytest
from crystals import b2_cscl, fcc_cu, isolated_ne, random_alloys, rocksalt_nacl
from pymatgen.analysis.local_env import MinimumDistanceNN
from pymatgen.core import Lattice, Structure

from sklmat import StructureToGraph
from sklmat.graphs import (
    ElementGraphs,
    grid_points,
    move_atoms,
    nearby_pairs,
    radial_gradient_to_edges,
)

BUDGET = 0.15


@pytest.fixture(scope="module")
def alloys():
    return random_alloys(4)


def moves(graphs, budget, strain, seed=0):
    """Displacements of length `budget`, symmetric strains of that Frobenius norm."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=(len(graphs.atomic_numbers), 3))
    e = rng.normal(size=(len(graphs), 3, 3))
    e = e + e.swapaxes(1, 2)
    return (
        budget * u / np.linalg.norm(u, axis=1, keepdims=True),
        strain * e / np.linalg.norm(e, axis=(1, 2), keepdims=True),
    )


def moved_structures(structures, graphs, u, e):
    """By pymatgen alone."""
    return [
        Structure(
            Lattice(s.lattice.matrix @ (np.eye(3) + e[c]), pbc=s.lattice.pbc),
            s.species,
            (s.cart_coords + u[graphs.atom_ptr[c] : graphs.atom_ptr[c + 1]]) @ (np.eye(3) + e[c]),
            coords_are_cartesian=True,
        )
        for c, s in enumerate(structures)
    ]


def edge_rows(graphs):
    """Edges of all crystals in an order of their own, distances beside them."""
    crystal = np.repeat(np.arange(len(graphs)), graphs.n_edges)
    table = np.column_stack([crystal, graphs.edge_target, graphs.edge_source, graphs.edge_image])
    order = np.lexsort(table.T)
    return table[order], graphs.edge_distance[order]


def assert_same_graphs(ours, anew):
    np.testing.assert_array_equal(ours.n_edges, anew.n_edges)
    ours_edges, ours_distance = edge_rows(ours)
    anew_edges, anew_distance = edge_rows(anew)
    np.testing.assert_array_equal(ours_edges, anew_edges)
    np.testing.assert_array_equal(ours_distance, anew_distance)
    assert ours.edge_distance.dtype == np.float32
    assert ours.settings == anew.settings
    np.testing.assert_allclose(ours.positions, anew.positions, atol=1e-12)
    np.testing.assert_allclose(ours.lattices, anew.lattices, atol=1e-12)
    # Each centre's edges stand together, the nearest first.
    offset = np.repeat(ours.atom_ptr[:-1], ours.n_edges)
    order = np.lexsort((ours.edge_distance, ours.edge_target + offset))
    np.testing.assert_array_equal(order, np.arange(len(order)))


@pytest.mark.parametrize("strain", [0.0, 0.04])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"cutoff": 5.0, "max_neighbors": None},
        {"symmetrize": True},
        {"ties": "truncate"},
        {"max_neighbors": 30, "cutoff": 4.2, "tie_tolerance": 0.0},
    ],
    ids=["default", "cutoff only", "symmetrize", "truncate", "few inside the cutoff"],
)
def test_moved_graphs_are_those_built_anew(settings, strain, alloys):
    structures = [*alloys, rocksalt_nacl()]
    if "ties" not in settings:
        # Small cells: the images of an atom on either side of it stay equally far.
        structures += [b2_cscl() * (2, 1, 1), fcc_cu()]
    make = StructureToGraph(**settings)
    graphs = make.transform(structures)
    u, e = moves(graphs, BUDGET, strain)
    # By hand: two atoms move apart by 2 budgets, the strain changes d by strain * d / (1 - strain).
    pairs = nearby_pairs(graphs, 2 * BUDGET + graphs.cutoff * strain / (1 - strain))
    ours = move_atoms(graphs, u, e if strain else None, pairs)
    anew = make.transform(moved_structures(structures, graphs, u, e))
    assert_same_graphs(ours, anew)
    before, after = ({tuple(row) for row in edge_rows(g)[0].tolist()} for g in (graphs, anew))
    assert before ^ after  # the neighbours did change


def test_moved_graphs_without_periodicity():
    rng = np.random.default_rng(0)
    box = Lattice(np.diag([20.0, 20.0, 20.0]), pbc=(False, False, False))
    slab = Lattice(np.diag([6.0, 6.0, 20.0]), pbc=(True, True, False))
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3), axis=-1).reshape(-1, 3) * 2.4
    structures = [
        Structure(box, ["Si"] * 27, grid + rng.normal(0, 0.05, grid.shape), coords_are_cartesian=1),
        Structure(slab, ["C", "O"], [[0, 0, 9], [1.2, 0, 9.4]], coords_are_cartesian=True),
    ]
    make = StructureToGraph(cutoff=5.0)
    graphs = make.transform(structures)
    u, e = moves(graphs, BUDGET, 0.03)
    pairs = nearby_pairs(graphs, 2 * BUDGET + 5.0 * 0.03 / 0.97)
    ours = move_atoms(graphs, u, e, pairs)
    assert_same_graphs(ours, make.transform(moved_structures(structures, graphs, u, e)))
    # An atom in the vacuum sees nobody across it.
    assert (ours[1].edge_image[:, 2] == 0).all()


def test_without_pairs_the_edges_stay_and_only_lengths_change(alloys):
    graphs = StructureToGraph().transform(alloys)
    u, e = moves(graphs, BUDGET, 0.02)
    ours = move_atoms(graphs, u, e)
    for name in ("edge_source", "edge_target", "edge_image", "edge_ptr"):
        assert getattr(ours, name) is getattr(graphs, name)
    k = 7  # any edge, by hand
    i, j, image = graphs.edge_target[k], graphs.edge_source[k], graphs.edge_image[k]
    across = graphs.positions[j] + u[j] + image @ graphs.lattices[0] - graphs.positions[i] - u[i]
    assert ours.edge_distance[k] == np.float32(np.linalg.norm(across @ (np.eye(3) + e[0])))
    np.testing.assert_allclose(
        np.linalg.norm(graphs.edge_vectors, axis=1), graphs.edge_distance, rtol=1e-6
    )


def test_moving_leaves_the_graphs_alone(alloys):
    graphs = StructureToGraph().transform(alloys)
    before = {k: v.copy() for k, v in vars(graphs).items() if isinstance(v, np.ndarray)}
    pairs = nearby_pairs(graphs, 0.5)
    move_atoms(graphs, *moves(graphs, 0.1, 0.02), pairs)
    for name, array in before.items():
        np.testing.assert_array_equal(getattr(graphs, name), array)


@pytest.mark.parametrize("tie_tolerance", [0.0, 1e-3])
def test_no_move_is_no_change(tie_tolerance, alloys):
    make = StructureToGraph(tie_tolerance=tie_tolerance)
    graphs = make.transform(alloys)
    pairs = nearby_pairs(graphs, 0.0)
    assert_same_graphs(move_atoms(graphs, np.zeros_like(graphs.positions), None, pairs), graphs)


def test_atoms_without_neighbours_stay_without():
    graphs = StructureToGraph().transform([isolated_ne(), fcc_cu()])
    u, _ = moves(graphs, 0.1, 0)
    moved = move_atoms(graphs, u, None, nearby_pairs(graphs, 0.2))
    assert moved.n_edges[0] == 0
    assert moved.n_edges[1] > 0


def test_pairs_up_to_a_distance_are_there_in_any_case():
    graphs = StructureToGraph(max_neighbors=1).transform([rocksalt_nacl()])
    # Na and Cl: 6 at 2.82 and 12 at 3.988 Å; 8 unlike ones at 4.885 Å.
    assert nearby_pairs(graphs, None, at_least=4.0).n_edges.tolist() == [8 * 18]
    assert nearby_pairs(graphs, None, at_least=4.9).n_edges.tolist() == [8 * 26]
    assert nearby_pairs(graphs, 0.1).n_edges.tolist() == [8 * 6]


def test_the_choice_of_a_strategy_cannot_be_repeated():
    graphs = StructureToGraph(neighbors=MinimumDistanceNN()).transform([rocksalt_nacl()])
    with pytest.raises(ValueError, match=r"MinimumDistanceNN.*neighbor_list='fixed'"):
        nearby_pairs(graphs, 0.1)
    assert nearby_pairs(graphs, None, at_least=3.0).n_edges.tolist() == [8 * 6]


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize("order", [1, 3])
def test_gradients_of_the_edges_are_finite_differences(order, spread, alloys):
    graphs = StructureToGraph(cutoff=6.0).transform(alloys[:2])
    step, h = 0.25, 2e-3
    distance = graphs.edge_distance.astype(np.float64)

    def elements(d):
        return ElementGraphs.from_graphs(
            replace(graphs, edge_distance=d), step=step, order=order, spread=spread
        )

    here = elements(distance)
    gradient = np.random.default_rng(0).normal(size=here.radial.shape)
    if not spread:
        assert here.radial.shape[1] == len(grid_points(6.0, step, order))
    gradients = radial_gradient_to_edges(graphs, here, gradient)
    # Across a grid point the interpolation has a kink.
    smooth = np.floor((distance - h) / step) == np.floor((distance + h) / step)
    rows = np.random.default_rng(1).permutation(np.flatnonzero(smooth))[:60]
    for k in rows:
        up, down = distance.copy(), distance.copy()
        up[k] += h
        down[k] -= h
        expected = ((elements(up).radial - elements(down).radial).astype(float) * gradient).sum()
        assert gradients[k] == pytest.approx(expected / (2 * h), abs=2e-2, rel=2e-2)
    assert np.abs(gradients).max() > 0.5


@pytest.mark.parametrize("strain", [0.0, 0.03])
@pytest.mark.parametrize("settings", [{}, {"max_neighbors": None, "cutoff": 5.0}], ids=str)
def test_triclinic_cells_move_like_others(settings, strain):
    """No two axes are alike and no angle is right, so a transposed matrix would be noticed."""
    lattice = Lattice.from_parameters(3.1, 4.2, 5.3, 71, 83, 104)
    coords = np.random.default_rng(2).random((4, 3)) * 0.15 + [
        [0.0, 0.0, 0.0],
        [0.5, 0.5, 0.1],
        [0.5, 0.0, 0.5],
        [0.0, 0.5, 0.6],
    ]
    structures = [Structure(lattice, ["Na", "Cl", "K", "Br"], coords)]
    builder = StructureToGraph(**settings)
    graphs = builder.fit_transform(structures)
    u, e = moves(graphs, BUDGET, strain)
    reach = 2 * BUDGET + graphs.cutoff * strain / (1 - strain)
    moved = move_atoms(graphs, u, e, nearby_pairs(graphs, reach))
    anew = builder.transform(moved_structures(structures, graphs, u, e))
    assert_same_graphs(moved, anew)
    lengths = np.linalg.norm(moved.edge_vectors, axis=1)
    np.testing.assert_allclose(lengths, moved.edge_distance, rtol=1e-6)
