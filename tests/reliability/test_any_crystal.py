"""Any valid crystal: finite output, the same for all descriptions of the crystal."""

import tempfile
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from any_crystal import SAME, SYMBOLS, any_crystal
from any_examples import run_on_examples
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from same_graphs import assert_same

import sklmat
from sklmat import CrystalGraphs, StructureToGraph, check_structures, perturb_structures

GRAPHS = StructureToGraph(cutoff=5.0, max_neighbors=None)


def examples(quick, slow, max_atoms=(30, 200), pbc=None):
    """Run a test on a few crystals and, as a slow test, on many larger ones."""
    few, many = (any_crystal(largest, pbc) for largest in max_atoms)
    return run_on_examples((quick, few), (slow, many))


def descriptions(crystal, seed):
    rng = np.random.default_rng(seed)
    return {"itself": crystal} | {name: change(crystal, rng) for name, change in SAME.items()}


@examples(60, 500)
def test_all_descriptions_are_valid(crystal, seed):
    same = descriptions(crystal, seed)
    assert len(check_structures(list(same.values()))) == len(same)


@examples(60, 500)
def test_dicts_and_atoms_are_the_same_crystal(crystal, seed):
    given = [crystal, crystal.as_dict(), AseAtomsAdaptor.get_atoms(crystal)]
    structures = check_structures(given)
    for structure in structures:
        assert structure.formula == crystal.formula
        assert structure.lattice.pbc == crystal.lattice.pbc
        np.testing.assert_allclose(structure.cart_coords, crystal.cart_coords, atol=1e-6)


def shells(graphs, c):
    """Sorted (atomic number of the atom, that of the neighbour, distance) per atom of a crystal."""
    graph = graphs[c]
    numbers = graph.atomic_numbers.astype(int)
    table = np.column_stack(
        [numbers[graph.edge_target], numbers[graph.edge_source], graph.edge_distance]
    )
    return table[np.lexsort(table.T[::-1].round(5))]


@examples(40, 400)
def test_graphs(crystal, seed):
    """The distances are those of pymatgen, and those of the same crystal described otherwise."""
    same = descriptions(crystal, seed)
    graphs = GRAPHS.transform(list(same.values()))
    for array in (graphs.positions, graphs.lattices, graphs.edge_distance):
        assert np.isfinite(array).all()
    assert (graphs.edge_distance <= 5.0 + 1e-4).all()
    expected = np.sort(crystal.get_neighbor_list(5.0)[3])
    for c, name in enumerate(same):
        distances = np.sort(graphs[c].edge_distance)
        copies = len(same[name]) // len(crystal)
        np.testing.assert_allclose(distances, np.repeat(expected, copies), atol=1e-4, err_msg=name)
    np.testing.assert_allclose(shells(graphs, 0), shells(graphs, 2), atol=1e-4)


@examples(20, 300, max_atoms=(20, 60))
def test_slices_and_concatenation_are_inverse(crystal, seed):
    rng = np.random.default_rng(seed)
    graphs = GRAPHS.transform(list(descriptions(crystal, seed).values()))
    cut = rng.integers(len(graphs) + 1)
    assert_same(CrystalGraphs.concatenate([graphs[:cut], graphs[cut:]]), graphs)
    assert_same(CrystalGraphs.concatenate(list(graphs)), graphs)
    order = rng.permutation(len(graphs))
    assert_same(graphs[order][np.argsort(order)], graphs)


@examples(10, 200, max_atoms=(20, 60))
def test_saved_graphs_are_the_same(crystal, seed):
    graphs = GRAPHS.transform([crystal, crystal * (1, 1, 1)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graphs.safetensors"
        graphs.save(path)
        assert_same(CrystalGraphs.load(path), graphs)
        assert_same(CrystalGraphs.load(path, mmap=True).in_memory(), graphs)


def single_atoms():
    """One crystal for each of the 94 elements."""
    return [Structure(Lattice.cubic(3.6), [symbol], [[0, 0, 0]]) for symbol in SYMBOLS]


def fitted(estimator):
    crystals = single_atoms()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(crystals, np.linspace(-1, 1, len(crystals)))


SMALL = {"cutoff": 5.0, "max_epochs": 2, "batch_size": 47, "n_conv": 2, "random_state": 0}
MODELS = {
    "composition": sklmat.CompositionFeaturizer(),
    "structure": sklmat.StructureFeaturizer(),
    # Where a crystal is far from symmetric, its symmetric parent depends on the description.
    "disorder": sklmat.DisorderFeaturizer(symprec=1e-3, parent_symprec=None),
    "CGCNN": sklmat.CGCNNRegressor(hidden_dim=8, max_neighbors=None, **SMALL),
    "ECNet": sklmat.ECNetRegressor(
        hidden_dim=4, n_filters=4, tower_dims=(4,), n_ensemble=1, max_neighbors=None, **SMALL
    ),
}


@cache
def model(name):
    return fitted(MODELS[name])


def output(model, crystals):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = (model.predict if hasattr(model, "predict") else model.transform)(crystals)
    return np.asarray(values, dtype=float).reshape(len(crystals), -1)


@examples(12, 60)
def test_models(crystal, seed):
    """Featurizers and networks: finite where volumes are defined, the same for all descriptions."""
    same = descriptions(crystal, seed)
    for name in MODELS:
        values = output(model(name), list(same.values()))
        if all(crystal.lattice.pbc):
            assert np.isfinite(values).all(), name
        scale = np.maximum(1, np.nan_to_num(np.abs(values)).max(axis=0))
        for description, row in zip(same, values / scale):
            np.testing.assert_allclose(
                row, values[0] / scale, atol=2e-4, err_msg=name + description
            )


@examples(4, 100, max_atoms=(12, 60))
def test_attacks(crystal, seed):
    """Attacked crystals are valid, and their atoms stay within the budget."""
    cgcnn = model("CGCNN")
    for method in ("pgd", "random"):
        attack = sklmat.StructureAttack(cgcnn, method=method, budget=0.1, n_steps=2, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (attacked,) = check_structures(attack.generate([crystal]))
        moved = np.linalg.norm(attacked.cart_coords - crystal.cart_coords, axis=1)
        assert moved.max() <= 0.1 + 1e-6
        assert attacked.species == crystal.species
        assert np.isfinite(output(cgcnn, [attacked])).all()


@examples(10, 300)
def test_perturbed_crystals_are_valid(crystal, seed):
    noisy = perturb_structures([crystal] * 2, 0.1, strain=0.02, random_state=seed)
    for structure in check_structures(noisy):
        assert structure.species == crystal.species
        assert structure.lattice.pbc == crystal.lattice.pbc
