"""Partial radial distributions: textbook shells, brute-force sums, symmetries, indexing."""

from functools import cache

import numpy as np
import pytest
from crystals import b2_cscl, bcc_fe, fcc_cu, isolated_ne, random_alloys
from pymatgen.core import Element, Lattice, Structure
from pymatgen.core.operations import SymmOp

from sklmat import StructureToGraph
from sklmat.graphs import ElementGraphs, _element_graphs, grid_points

CUTOFF = 5.0
ARRAYS = ("atomic_numbers", "fraction", "target", "source", "radial", "node_ptr", "pair_ptr")


#: Drawing them costs more than everything that is done with them.
alloys = cache(random_alloys)


def crystal_graphs(structures, cutoff=CUTOFF):
    return StructureToGraph(cutoff=cutoff, max_neighbors=None).fit_transform(structures)


def element_graphs(structures, cutoff=CUTOFF, **params):
    return ElementGraphs.from_graphs(crystal_graphs(structures, cutoff), **params)


def linear(d):
    return 0.7 - 0.3 * d


def cubic(d):
    return 0.2 - 0.5 * (d - 3) + 0.3 * (d - 3) ** 2 - 0.1 * (d - 3) ** 3


def brute_force(structure, f, cutoff=CUTOFF):
    """Mean over atoms of element a of the sum of f over neighbours b, and the counts."""
    symbols = sorted({site.specie for site in structure}, key=lambda e: e.Z)
    total = {(a, b): [] for a in symbols for b in symbols}
    for site, neighbors in zip(structure, structure.get_all_neighbors(cutoff)):
        for b in symbols:
            values = [f(n.nn_distance) for n in neighbors if n.specie == b]
            total[site.specie, b].append((sum(values), len(values)))
    return np.array([np.mean(total[a, b], axis=0) for a in symbols for b in symbols])


def assert_same(first, second, **tolerance):
    for name in ARRAYS:
        np.testing.assert_allclose(
            getattr(first, name), getattr(second, name), err_msg=name, **tolerance
        )
    assert (first.cutoff, first.step, first.order) == (second.cutoff, second.step, second.order)


# -- textbook crystals


def test_bcc_shells_are_shared_by_linear_interpolation():
    elements = element_graphs([bcc_fe()], cutoff=3.0, step=0.5)
    near, far = 2.87 * 3**0.5 / 2, 2.87
    expected = np.zeros(7)
    expected[[4, 5]] = [8 * (2.5 - near) / 0.5, 8 * (near - 2.0) / 0.5]
    expected[[5, 6]] += [6 * (3.0 - far) / 0.5, 6 * (far - 2.5) / 0.5]
    np.testing.assert_allclose(elements.radial, expected[None], atol=1e-5)
    assert elements.atomic_numbers.tolist() == [26]
    assert elements.fraction.tolist() == [1.0]


def test_b2_has_eight_unlike_and_six_like_neighbours():
    elements = element_graphs([b2_cscl()], cutoff=4.2, step=0.1)
    assert elements.atomic_numbers.tolist() == [17, 55]
    np.testing.assert_array_equal(elements.fraction, [0.5, 0.5])
    pairs = list(zip(elements.target.tolist(), elements.source.tolist()))
    assert pairs == [(0, 0), (0, 1), (1, 0), (1, 1)]
    np.testing.assert_allclose(elements.radial.sum(axis=1), [6, 8, 8, 6], rtol=1e-6)
    grid = grid_points(4.2, 0.1, 1)
    np.testing.assert_allclose(
        elements.radial @ grid, [6 * 4.12, *[8 * 4.12 * 3**0.5 / 2] * 2, 6 * 4.12], rtol=1e-5
    )


@pytest.mark.parametrize("order", [1, 3])
def test_fcc_shells(order):
    elements = element_graphs([fcc_cu()], cutoff=3.61, step=0.2, order=order)
    np.testing.assert_allclose(elements.radial.sum(), 12 + 6, rtol=1e-6)
    grid = grid_points(3.61, 0.2, order)
    total = 12 * 3.61 / 2**0.5 + 6 * 3.61
    np.testing.assert_allclose((elements.radial @ grid).item(), total, rtol=1e-6)


def test_ordered_compound_has_the_counts_of_its_sublattices():
    cu3au = Structure(
        Lattice.cubic(3.75),
        ["Au", "Cu", "Cu", "Cu"],
        [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
    )
    elements = element_graphs([cu3au], cutoff=3.0, step=0.3)
    assert elements.atomic_numbers.tolist() == [29, 79]
    np.testing.assert_array_equal(elements.fraction, [0.75, 0.25])
    np.testing.assert_allclose(elements.radial.sum(axis=1), [8, 4, 12, 0], atol=1e-6)


def test_a_lone_atom_is_a_node_that_sees_nobody():
    elements = element_graphs([isolated_ne(), bcc_fe()], cutoff=3.0)
    assert elements.atomic_numbers.tolist() == [10, 26]
    assert elements.n_nodes.tolist() == elements.n_edges.tolist() == [1, 1]
    assert not elements.radial[0].any()
    np.testing.assert_allclose(elements.radial[1].sum(), 14, rtol=1e-6)


def test_an_element_without_neighbours_beside_one_with():
    far_away = Structure(
        Lattice.orthorhombic(20, 20, 30),
        ["Ni", "Ni", "Ar"],
        [[0, 0, 0], [0, 0, 0.08], [0.5, 0.5, 0.5]],
    )
    elements = element_graphs([far_away], cutoff=3.0, step=0.2)
    assert elements.atomic_numbers.tolist() == [18, 28]
    np.testing.assert_allclose(elements.fraction, [1 / 3, 2 / 3], rtol=1e-6)
    expected = np.zeros((4, 16))
    expected[3, 12] = 1.0  # Ni sees the other Ni at 2.4 Å
    np.testing.assert_allclose(elements.radial, expected, atol=1e-5)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("step", [0.25, 0.4, 3.0, 7.0])
def test_neighbours_exactly_at_the_cutoff_count(order, step):
    po = Structure(Lattice.cubic(3.0), ["Po"], [[0, 0, 0]])
    elements = element_graphs([po], cutoff=3.0, step=step, order=order)
    grid = grid_points(3.0, step, order)
    assert elements.radial.shape == (1, len(grid))
    np.testing.assert_allclose(elements.radial.sum(), 6, rtol=1e-6)
    np.testing.assert_allclose((elements.radial @ grid).item(), 18, rtol=1e-6)
    if step != 7.0 and step != 0.4:
        at_cutoff = np.isclose(grid, 3.0)
        np.testing.assert_allclose(elements.radial[0, at_cutoff], 6, atol=1e-5)


# -- against a loop over neighbours


@pytest.mark.parametrize(
    ("order", "f"), [(1, linear), (3, linear), (3, cubic), (3, lambda d: 1 / 3 + 0 * d)]
)
@pytest.mark.parametrize("step", [0.2, 0.37, 5 / 1024])
def test_sums_over_neighbours_are_exact(order, f, step):
    structures = [*alloys(5)[:4], b2_cscl(), isolated_ne()]
    elements = element_graphs(structures, step=step, order=order)
    on_grid = f(grid_points(CUTOFF, step, order))
    for row, structure in enumerate(structures):
        expected = brute_force(structure, f)
        radial = elements[row].radial.astype(np.float64)
        np.testing.assert_allclose(radial @ on_grid, expected[:, 0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(radial.sum(axis=1), expected[:, 1], rtol=1e-6, atol=1e-6)


def test_the_linear_order_is_exact_for_no_more_than_it_says():
    alloy = alloys(5)[0]
    elements = element_graphs([alloy], step=0.4, order=1)
    missed = elements.radial @ cubic(grid_points(CUTOFF, 0.4, 1)) - brute_force(alloy, cubic)[:, 0]
    assert np.abs(missed).max() > 0.02


@pytest.mark.parametrize(("order", "rate"), [(1, 2), (3, 4)])
def test_error_falls_with_a_power_of_the_step(order, rate):
    alloy = alloys(5)[0]
    expected = brute_force(alloy, lambda d: np.sin(3 * d))[:, 0]
    errors = []
    for step in (0.2, 0.1):
        elements = element_graphs([alloy], step=step, order=order)
        grid = grid_points(CUTOFF, step, order)
        errors.append(np.abs(elements.radial @ np.sin(3 * grid) - expected).mean())
    assert 0.5 * 2**rate < errors[0] / errors[1] < 2 * 2**rate


def test_distributions_agree_with_the_fast_neighbour_list():
    alloy = alloys(5)[4]
    target, source, _, distance = alloy.get_neighbor_list(CUTOFF)
    numbers = np.array(alloy.atomic_numbers)
    elements = element_graphs([alloy], step=0.5)
    grid = grid_points(CUTOFF, 0.5, 1)
    hats = np.clip(1 - np.abs(distance[:, None] - grid) / 0.5, 0, None)
    present = np.unique(numbers)
    expected = [
        hats[(numbers[target] == a) & (numbers[source] == b)].sum(axis=0) / (numbers == a).sum()
        for a in present
        for b in present
    ]
    np.testing.assert_allclose(elements.radial, expected, atol=1e-5)


@pytest.mark.parametrize("order", [1, 3])
def test_spread_is_the_standard_deviation_over_atoms(order):
    structures = [*alloys(5)[:3], b2_cscl(), isolated_ne()]
    grid = grid_points(CUTOFF, 0.5, order)
    spread = element_graphs(structures, step=0.5, order=order, spread=True)
    plain = element_graphs(structures, step=0.5, order=order)
    np.testing.assert_array_equal(spread.radial[:, : len(grid)], plain.radial)
    deviations = spread.radial[:, len(grid) :]
    assert deviations.shape == plain.radial.shape
    assert spread[1:].spread
    for row, structure in enumerate(structures):
        # Every atom as a crystal of its own kind: no two of an element are averaged.
        own = structure.copy()
        for k in range(len(own)):
            own[k] = Element.from_Z(21 + k)
        n = len(own)
        of_atoms = element_graphs([own], step=0.5, order=order).radial.reshape(n, n, -1)
        numbers = np.array(structure.atomic_numbers)
        present = np.unique(numbers)
        expected = [
            of_atoms[numbers == a][:, numbers == b].sum(axis=1).std(axis=0)
            for a in present
            for b in present
        ]
        pairs = slice(*spread.pair_ptr[row : row + 2])
        np.testing.assert_allclose(deviations[pairs], expected, atol=1e-4)
    assert not deviations[spread.pair_ptr[3] :].any(), "all atoms of B2 and of Ne are alike"


# -- symmetries


@pytest.mark.parametrize("order", [1, 3])
def test_invariances(order):
    rng = np.random.default_rng(0)
    structures = alloys(5)[:3]
    moved = []
    for k, structure in enumerate(structures):
        sites = rng.permutation(len(structure))
        other = Structure.from_sites([structure[i] for i in sites])
        other.translate_sites(list(range(len(other))), rng.uniform(size=3), frac_coords=True)
        other.apply_operation(SymmOp.from_axis_angle_and_translation([1, 2, 3], 40 + k))
        moved.append(other * (2, 1, 1))
    before = element_graphs(structures, step=0.25, order=order)
    after = element_graphs(moved, step=0.25, order=order)
    assert_same(after, before, rtol=1e-4, atol=2e-4)


def test_pairs_see_each_other_equally_often():
    structures = alloys(5)
    elements = element_graphs(structures, step=0.3)
    for row in range(len(structures)):
        one = elements[row]
        n = one.n_nodes[0]
        shared = one.fraction[:, None, None] * one.radial.reshape(n, n, -1)
        np.testing.assert_allclose(shared, shared.swapaxes(0, 1), atol=1e-5)


# -- the container


@pytest.fixture(scope="module")
def mixed():
    return element_graphs([*alloys(5), isolated_ne(), b2_cscl(), bcc_fe()], step=0.5)


@pytest.mark.parametrize(
    "key",
    [
        slice(2, 6),
        slice(None, None, -2),
        np.array([6, 0, 6, -1]),
        [7, 5],
        np.arange(8) % 3 == 0,
        np.zeros(0, dtype=int),
        3,
        -1,
    ],
    ids=str,
)
def test_a_selection_is_what_its_crystals_give(mixed, key):
    structures = [*alloys(5), isolated_ne(), b2_cscl(), bcc_fe()]
    rows = np.atleast_1d(np.arange(8)[key])
    selected = mixed[key]
    assert len(selected) == len(rows)
    if len(rows):
        assert_same(selected, element_graphs([structures[row] for row in rows], step=0.5))
    assert selected.radial.shape[1] == mixed.radial.shape[1]
    assert_same(selected[:], selected)


def test_an_index_out_of_range_is_an_error(mixed):
    with pytest.raises(IndexError):
        mixed[[8]]
    with pytest.raises(IndexError):
        mixed[np.ones(3, dtype=bool)]


@pytest.mark.parametrize("chunk", [1, 3, 8])
@pytest.mark.parametrize("params", [{"order": 1}, {"order": 3}, {"spread": True}], ids=str)
def test_chunks_leave_no_seam(monkeypatch, chunk, params):
    structures = [*alloys(5), isolated_ne(), b2_cscl(), *alloys(5)[1:3]]
    whole = element_graphs(structures, **params)
    monkeypatch.setattr(_element_graphs, "_CHUNK_EDGES", chunk)
    assert_same(element_graphs(structures, **params), whole, rtol=0, atol=0)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("spread", [False, True])
def test_no_crystals(order, spread):
    graphs = crystal_graphs([bcc_fe()])[:0]
    elements = ElementGraphs.from_graphs(graphs, step=0.5, order=order, spread=spread)
    assert len(elements) == 0
    assert elements.radial.shape == (0, (1 + spread) * len(grid_points(CUTOFF, 0.5, order)))
    assert elements.node_ptr.tolist() == elements.pair_ptr.tolist() == [0]
    assert len(elements[[]]) == 0


def test_crystal_graphs_are_left_alone():
    graphs = crystal_graphs(alloys(5)[:2])
    before = {k: v.copy() for k, v in vars(graphs).items() if isinstance(v, np.ndarray)}
    elements = ElementGraphs.from_graphs(graphs)
    elements.radial[:] = 0
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(graphs, name), value)


def test_restricted_graphs_give_what_a_smaller_cutoff_gives():
    structures = alloys(5)[:3]
    small = ElementGraphs.from_graphs(crystal_graphs(structures).restrict(cutoff=3.5))
    assert_same(small, element_graphs(structures, cutoff=3.5), rtol=1e-6)


def test_size_does_not_depend_on_the_number_of_atoms():
    small, large = (element_graphs([fcc_cu() * (n, n, n)]) for n in (1, 3))
    assert small.radial.nbytes == large.radial.nbytes
    np.testing.assert_allclose(small.radial, large.radial, atol=1e-4)


def test_grids():
    np.testing.assert_allclose(grid_points(6.0, 0.25, 1), np.arange(25) * 0.25)
    np.testing.assert_allclose(grid_points(1.0, 0.4, 1), [0, 0.4, 0.8, 1.2])
    # 1.1 / 0.1 is a rounding above 11, and 0.3 / 0.1 one below 3: no interval is added or lost.
    assert len(grid_points(1.1, 0.1, 1)) == 12
    assert len(grid_points(0.3, 0.1, 3)) == 6
    assert len(grid_points(6.0, 6.0 / 1024, 3)) == 1027
