"""Cells of any shape, slabs, isolated atoms, attacks and saved networks, on any valid crystal."""

import tempfile
import warnings
from pathlib import Path

import numpy as np
from any_crystal import thickness, with_basis
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation
from test_any_crystal import GRAPHS, examples, model, output, shells

import sklmat
from sklmat import StructureToGraph, perturb_structures
from sklmat.perturbations import apply_perturbation

NETWORKS = ["CGCNN", "ECNet"]
#: Å.
CUTOFF = 5.0


def relative_difference(rows):
    """Largest difference of rows from the first, where numbers below one count as one."""
    return (np.abs(rows - rows[0]) / np.maximum(1, np.abs(rows[0]))).max()


def skewed(crystal, rng):
    """Vectors that are many times longer than they need be: very skew cells."""
    for _ in range(20):
        row, other = rng.permutation(3)[:2]
        matrix = np.eye(3, dtype=int)
        matrix[row, other] = rng.integers(3, 12) * rng.choice([-1, 1])
        skew = with_basis(crystal, matrix)
        if thickness(skew) > 0.35:
            return skew, matrix
    return crystal, np.eye(3, dtype=int)


@examples(20, 500, max_atoms=(12, 60), pbc=(True,) * 3)
def test_skew_cells(crystal, seed):
    """Neighbours and predictions do not depend on the vectors of the lattice."""
    skew, matrix = skewed(crystal, np.random.default_rng(seed))
    assert round(np.linalg.det(matrix)) == 1
    graphs = GRAPHS.transform([crystal, skew])
    np.testing.assert_allclose(shells(graphs, 0), shells(graphs, 1), atol=1e-4)
    for name in NETWORKS:
        assert relative_difference(output(model(name), [crystal, skew])) < 2e-4


@examples(20, 500, max_atoms=(12, 60), pbc=(True, True, False))
def test_slabs(crystal, seed):
    """The vector that is not periodic does not matter, and vacuum beyond the cutoff is as good."""
    rng = np.random.default_rng(seed)
    a, b, c = crystal.lattice.matrix
    normal = np.cross(a, b) / np.linalg.norm(np.cross(a, b))
    height = np.ptp(crystal.cart_coords @ normal)
    vectors = {
        "longer": ((a, b, c * rng.uniform(1.5, 4)), (True, True, False)),
        "skew": ((a, b, 4 * c + a + 2 * b), (True, True, False)),
        "vacuum": ((a, b, normal * (height + CUTOFF + 1)), (True,) * 3),
    }
    same = [crystal] + [
        Structure(
            Lattice(matrix, pbc=pbc), crystal.species, crystal.cart_coords,
            coords_are_cartesian=True,
        )
        for matrix, pbc in vectors.values()
    ]  # fmt: skip
    graphs = GRAPHS.transform(same)
    for c in range(1, len(same)):
        np.testing.assert_allclose(shells(graphs, 0), shells(graphs, c), atol=1e-4)
    for name in NETWORKS:
        assert relative_difference(output(model(name), same)) < 2e-4


@examples(20, 500, max_atoms=(10, 40))
def test_isolated_atoms(crystal, seed):
    """An atom far from all others has no edges, and is not attacked; its place does not matter."""
    rng = np.random.default_rng(seed)
    points = crystal.cart_coords
    box = np.ptp(points, axis=0).max() + 40
    molecules = [
        Structure(
            Lattice.cubic(box, pbc=(False,) * 3),
            [*crystal.species, "Xe"],
            [*points - points.mean(axis=0), place],
            coords_are_cartesian=True,
        )
        for place in Rotation.random(2, rng).apply([box, 0, 0])
    ]
    # Atoms that were images of each other can now be alone, too.
    graphs = StructureToGraph(cutoff=CUTOFF).transform(molecules)
    assert graphs[0].neighbor_counts[-1] == graphs[1].neighbor_counts[-1] == 0
    for name in NETWORKS:
        values = output(model(name), molecules)
        assert np.isfinite(values).all()
        assert relative_difference(values) < 2e-4
    attack = sklmat.StructureAttack(model("CGCNN"), method="fgsm", budget=0.05)
    with quiet():
        (attacked,) = attack.generate(molecules[:1])
    moved = attacked.cart_coords - molecules[0].cart_coords
    # Without a gradient, it moves with the others only, whose mean displacement is removed.
    assert np.linalg.norm(moved[-1]) <= 0.05 + 1e-6


class quiet(warnings.catch_warnings):
    def __enter__(self):
        super().__enter__()
        warnings.simplefilter("ignore")


def turned(crystal, rotation):
    lattice = Lattice(crystal.lattice.matrix @ rotation, pbc=crystal.lattice.pbc)
    return Structure(lattice, crystal.species, crystal.frac_coords)


@examples(6, 200, max_atoms=(12, 40))
def test_attacks_turn_with_the_crystal(crystal, seed):
    """The displacements of a rotated crystal are rotated, and the prediction is the same."""
    rotation = Rotation.random(random_state=seed % 2**31).as_matrix()
    pair = [crystal, turned(crystal, rotation)]
    cgcnn = model("CGCNN")
    attack = sklmat.StructureAttack(cgcnn, method="fgsm", budget=0.05, neighbor_list="fixed")
    with quiet():
        attacked = attack.generate(pair, np.full(2, 10.0))
    here, there = (after.cart_coords - before.cart_coords for after, before in zip(attacked, pair))
    np.testing.assert_allclose(here @ rotation, there, atol=2e-3)
    assert relative_difference(output(cgcnn, attacked)) < 2e-4


@examples(20, 500, max_atoms=(12, 60))
def test_perturbations_turn_with_the_crystal(crystal, seed):
    """A rotated displacement and strain of a rotated crystal give the rotated result."""
    rng = np.random.default_rng(seed)
    rotation = Rotation.random(random_state=seed % 2**31).as_matrix()
    displacement = rng.normal(scale=0.05, size=(len(crystal), 3))
    strain = rng.normal(scale=0.01, size=(3, 3))
    strain = strain + strain.T
    graphs = GRAPHS.transform([crystal])
    (moved,) = apply_perturbation([crystal], graphs, displacement, strain[None])
    (other,) = apply_perturbation(
        [turned(crystal, rotation)],
        graphs,
        displacement @ rotation,
        (rotation.T @ strain @ rotation)[None],
    )
    expected = turned(moved, rotation)
    np.testing.assert_allclose(other.cart_coords, expected.cart_coords, atol=1e-8)
    np.testing.assert_allclose(other.lattice.matrix, expected.lattice.matrix, atol=1e-8)
    moved_graphs = apply_perturbation(None, graphs, displacement, strain[None])
    np.testing.assert_allclose(moved_graphs.positions, moved.cart_coords, atol=1e-8)


@examples(20, 500, max_atoms=(12, 60))
def test_perturbations_do_not_depend_on_the_origin(crystal, seed):
    shift = np.random.default_rng(seed).uniform(-1, 1, 3)
    other = Structure(crystal.lattice, crystal.species, crystal.frac_coords + shift)
    moved = []
    for each in (crystal, other):
        (noisy,) = perturb_structures([each], 0.03, random_state=seed % 2**31)
        moved.append(noisy.cart_coords - each.cart_coords)
    np.testing.assert_allclose(moved[0], moved[1], atol=1e-6)


def test_perturbations_have_no_direction():
    """The mean of u uᵀ of many displacements is a multiple of the unit matrix."""
    pair = Structure(Lattice.orthorhombic(4, 7, 9), ["Cu", "Ni"], [[0, 0, 0], [0.5] * 3])
    copies = perturb_structures([pair] * 2000, distribution="uniform", budget=0.1, random_state=0)
    moved = np.array([copy.cart_coords[0] - pair.cart_coords[0] for copy in copies])
    covariance = moved.T @ moved / len(moved)
    # The standard error of an element is about 0.03 times the variance.
    np.testing.assert_allclose(covariance / (np.trace(covariance) / 3), np.eye(3), atol=0.12)


@examples(10, 200, max_atoms=(20, 60))
def test_saved_networks_predict_the_same(crystal, seed):
    for name in NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            model(name).save(Path(folder) / "model")
            loaded = type(model(name)).load(Path(folder) / "model")
        np.testing.assert_array_equal(
            output(loaded, [crystal]), output(model(name), [crystal]), err_msg=name
        )


@examples(20, 500, max_atoms=(12, 60))
def test_samplers_of_crystals_keep_the_real_rows(crystal, seed):
    """They come first and are the same objects; copies have their elements and stay close."""
    rng = np.random.default_rng(seed)
    others = [crystal.copy(), crystal * (1, 1, 1), crystal]
    before = [other.copy() for other in others]
    y = rng.normal(size=3)
    sampler = sklmat.PerturbationSampler(n_samples=4, budget=0.1, random_state=seed % 2**31)
    X_all, y_all = sampler.fit_resample(others, y)
    assert all(one is other for one, other in zip(X_all[:3], others))
    assert before == others
    np.testing.assert_array_equal(y_all, y[sampler.sample_indices_])
    for copy, row in zip(X_all[3:], sampler.sample_indices_[3:]):
        assert copy.species == others[row].species
        moved = np.linalg.norm(copy.cart_coords - others[row].cart_coords, axis=1)
        assert moved.max() <= 0.1 + 1e-6
        np.testing.assert_array_equal(copy.lattice.matrix, crystal.lattice.matrix)
