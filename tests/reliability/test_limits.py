"""The tables and numbers of the page "Limits" are those of the code."""

import re
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from any_crystal import SAME
from ase.build import bulk, molecule
from crystals import displaced_alloy, random_alloys
from pymatgen.core import DummySpecies, Lattice, Structure
from pymatgen.core import Molecule as PymatgenMolecule
from sklearn.linear_model import Ridge

import sklmat
from sklmat import InvalidStructureError, check_structures
from sklmat.datasets import make_prototypes

PAGE = Path(__file__).parents[2] / "docs" / "user_guide" / "limits.md"
#: What other processors may round differently.
FACTOR = 10

if not PAGE.is_file():
    pytest.skip("the documentation is not part of this copy", allow_module_level=True)


def table(first_cell):
    """Rows of the table of the page whose header begins with a cell."""
    for lines in re.findall(r"(?:^\|.*\|\n)+", PAGE.read_text(encoding="utf-8"), re.M):
        header, _, *rows = [
            [cell.strip() for cell in line.split("|")[1:-1]] for line in lines.splitlines()
        ]
        if header[0] == first_cell:
            return header, rows
    raise AssertionError(f"there is no table of {first_cell!r}")


def cell(length, *sites, **params):
    species, coords = zip(*sites) if sites else ((), ())
    return Structure(Lattice.cubic(length), species, coords, **params)


def with_lattice(matrix):
    return Structure(Lattice(matrix), ["Cu"], [[0, 0, 0]])


ORIGIN = [0, 0, 0]
REFUSED = {
    "no atoms": lambda: cell(4),
    "partial occupancy": lambda: cell(3, ({"Cu": 0.5, "Au": 0.5}, ORIGIN)),
    "vacancies": lambda: cell(3, ({"Cu": 0.9}, ORIGIN)),
    "dummy species": lambda: cell(3, (DummySpecies("X"), ORIGIN)),
    "atoms too close": lambda: cell(3, ("Si", ORIGIN), ("Si", [0.36, 0, 0])),
    "an atom twice": lambda: cell(3, ("Si", ORIGIN), ("Si", ORIGIN)),
    "lengths in pm": lambda: cell(361, ("Cu", ORIGIN)),
    "lengths in nm": lambda: cell(0.361, ("Cu", ORIGIN)),
    "flat cells": lambda: with_lattice([[3, 0, 0], [0, 3, 0], [1, 1, 0]]),
    "very oblique cells": lambda: with_lattice([[4, 0, 0], [60, 4, 0], [0, 60, 4]]),
    "NaN": lambda: cell(3, ("Cu", [np.nan, 0, 0])),
    "coordinates far away": lambda: cell(3, ("Cu", [1e7, 0, 0])),
    "pymatgen molecules": lambda: PymatgenMolecule(["O"], [[0, 0, 0]]),
    "ASE molecules without a cell": lambda: molecule("H2O"),
    "formulas": lambda: "NaCl",
}


def test_all_of_the_refused_crystals_are_on_the_page():
    assert [row[0] for row in table("crystal")[1]] == list(REFUSED)


@pytest.mark.parametrize(("name", "message"), [row[:2] for row in table("crystal")[1]])
def test_refused(name, message):
    """The error names the row, and says what the page says."""
    with pytest.raises(InvalidStructureError) as caught:
        check_structures([bulk("Cu"), REFUSED[name]()])
    assert caught.value.index == 1
    pattern = ".*".join(map(re.escape, message.strip("`").split("...")))
    assert re.search(pattern, caught.value.reason), caught.value.reason


def train(estimator):
    crystals = [displaced_alloy(seed, displacement=0.1) for seed in range(10, 26)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(crystals, [crystal.volume / len(crystal) for crystal in crystals])


NET = {"max_epochs": 5, "batch_size": 8, "random_state": 0}
MODELS = {
    "`StructureToGraph`, distances": lambda: sklmat.StructureToGraph(max_neighbors=None, cutoff=5),
    "`CompositionFeaturizer`": lambda: train(sklmat.CompositionFeaturizer()),
    "`StructureFeaturizer`": lambda: train(sklmat.StructureFeaturizer()),
    "`DisorderFeaturizer`": lambda: train(sklmat.DisorderFeaturizer()),
    "CGCNN": lambda: train(sklmat.CGCNNRegressor(hidden_dim=16, **NET)),
    "ECNet": lambda: train(
        sklmat.ECNetRegressor(hidden_dim=8, n_filters=8, tower_dims=(8,), n_ensemble=1, **NET)
    ),
}


@cache
def model(name):
    return MODELS[name]()


def crystals_to_describe():
    """Alloys with displaced atoms, which have no symmetry."""
    return [displaced_alloy(seed, displacement=0.1) for seed in range(4)]


def values(name, crystals):
    if "distances" in name:
        graphs = model(name).transform(crystals)
        # Of all atoms, so that other cells have the same.
        distances = [graph.edge_distance.astype(float) for graph in graphs]
        return np.array([[d.min(), d.mean(), d.std(), d.max()] for d in distances])
    use = getattr(model(name), "predict", None) or model(name).transform
    return np.asarray(use(crystals), dtype=float).reshape(len(crystals), -1)


@cache
def largest_differences(name):
    """Description -> largest difference, relative to the largest number of the column."""
    crystals = crystals_to_describe()
    expected = values(name, crystals)
    # All crystals would be the same to a network that has learned nothing.
    assert np.ptp(expected, axis=0).max() > 1e-3
    scale = np.maximum(np.nan_to_num(np.abs(expected)).max(axis=0), 1e-6)
    found = {}
    for description, change in SAME.items():
        rng = np.random.default_rng(0)
        same = values(name, [change(crystal, rng) for crystal in crystals])
        found[description] = (np.nan_to_num(np.abs(same - expected)) / scale).max()
    return found


HEADER, INVARIANCE = table("result")


@pytest.mark.parametrize("row", INVARIANCE, ids=lambda row: row[0])
def test_the_same_crystal_described_otherwise(row):
    assert HEADER[1:] == list(SAME)
    found = largest_differences(row[0])
    print(f"\n{row[0]}", {name: f"{value:.1e}" for name, value in found.items()})
    for description, quoted in zip(SAME, row[1:]):
        assert found[description] <= (0 if quoted == "=" else FACTOR * float(quoted)), description


def test_all_models_are_on_the_page():
    assert [row[0] for row in INVARIANCE] == list(MODELS)


def test_distances():
    """Stored in single precision: the largest error below 8 Å is half of 2**-21 Å."""
    crystals = make_prototypes(10, random_state=0, cache=False).data
    graphs = sklmat.StructureToGraph(max_neighbors=None).transform(crystals)
    for graph, crystal in zip(graphs, crystals):
        expected = np.sort(crystal.get_neighbor_list(8.0)[3])
        np.testing.assert_allclose(np.sort(graph.edge_distance), expected, atol=2.5e-7)


def test_parent_lattice_depends_on_the_tolerance():
    """Br of CsSnBr3 is 0.29 Å off its site: the cubic parent is found at 1 Å, and not at 0.1 Å."""
    positions = [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0.05], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    crystal = Structure(Lattice.cubic(5.8), ["Cs", "Sn", "Br", "Br", "Br"], positions)
    name, found = "max displacement from the parent (Å)", {}
    for tolerance in (1.0, 0.1):
        featurizer = sklmat.DisorderFeaturizer(parent_symprec=tolerance).set_output(
            transform="pandas"
        )
        found[tolerance] = featurizer.fit_transform([crystal])[name].iloc[0]
    assert found[1.0] > 0.1
    assert found[0.1] == pytest.approx(0, abs=1e-6)


def test_classes_with_one_row():
    crystals = random_alloys(9, n_cells=1)
    y = ["one"] + ["many"] * 8
    params = {"hidden_dim": 4, "n_conv": 1, "max_epochs": 1, "random_state": 0}
    # With early stopping it stays in the training.
    classifier = sklmat.CGCNNClassifier(**params, early_stopping=True, validation_fraction=0.3)
    assert classifier.fit(crystals, y).classes_.tolist() == ["many", "one"]
    sampler = sklmat.StructureOverSampler(random_state=0)
    _, y_all = sampler.fit_resample(crystals, y)
    assert (y_all == "one").sum() == 8
    assert sampler.sample_indices_[9:].tolist() == [0] * 7
    table = sklmat.CompositionFeaturizer().set_output(transform="pandas").fit_transform(crystals)
    table["volume"] = [crystal.volume for crystal in crystals]
    gan = sklmat.InfoGANAugmenter(sampling_strategy="minority", max_epochs=1, n_ensemble=1)
    with pytest.raises(ValueError, match="class 'one' has a single row, and an InfoGAN needs"):
        gan.fit_resample(table, y)


def test_fewest_rows():
    crystals, y = random_alloys(2, n_cells=1), np.array([0.0, 1.0])
    params = {"hidden_dim": 4, "n_conv": 1, "max_epochs": 1, "random_state": 0}
    one = sklmat.CGCNNRegressor(**params).fit(crystals[:1], y[:1])
    assert np.isfinite(one.predict(crystals)).all()
    X = pd.DataFrame({"x_Fe": [0.5], "x_Ni": [0.5], "a": [1.0]})
    for sampler in (sklmat.NoiseAugmenter(), sklmat.InfoGANAugmenter(labeler=Ridge())):
        with pytest.raises(ValueError, match="minimum of 2 is required"):
            sampler.fit_resample(X, [0.0])
