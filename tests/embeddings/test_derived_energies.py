"""Columns of a potential from its energies: relative to the elements, pressure, bulk modulus."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from pymatgen.core import Lattice, Structure
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeRegressor

from sklmat import GraphCache, InvalidStructureError, PotentialFeaturizer

#: GPa in 1 eV/Å³.
GPA = 160.21766


def spring(structure):
    """Energy per atom of a harmonic crystal: 50 GPa, and 10 Å³ per atom without pressure."""
    volume = structure.volume / len(structure)
    return {"energy": 50 / GPA * (volume - 10) ** 2 / 20}


def ideal_mixture(structure):
    """Energy without any interaction: 1 eV for Cu, 5 eV for Al."""
    energies = {"Cu": 1.0, "Al": 5.0, "Ni": 2.0}
    return {"energy": np.mean([energies[site.species_string] for site in structure])}


def cubic(*symbols, volume_per_atom=10.0):
    length = (volume_per_atom * len(symbols)) ** (1 / 3)
    positions = [[k / len(symbols)] * 3 for k in range(len(symbols))]
    return Structure(Lattice.cubic(length), symbols, positions)


def test_pressure_and_modulus_of_a_harmonic_crystal():
    crystals = [cubic("Cu"), cubic("Cu", volume_per_atom=12.0), cubic("Cu", "Al")]
    featurizer = PotentialFeaturizer(spring, columns=["pressure", "energy", "bulk modulus"])
    table = featurizer.fit_transform(crystals)
    assert list(table) == [
        "spring pressure (GPa)",
        "spring energy (eV/atom)",
        "spring bulk modulus (GPa)",
    ]
    # -dE/dV = -50 GPa (V - 10) / 10, and V d²E/dV² = 50 GPa V / 10.
    np.testing.assert_allclose(table["spring pressure (GPa)"], [0, -10, 0], atol=1e-9)
    np.testing.assert_allclose(table["spring bulk modulus (GPa)"], [50, 60, 50], rtol=1e-9)
    alone = PotentialFeaturizer(spring, columns="bulk modulus").fit_transform(crystals)
    assert alone.iloc[:, 0].tolist() == table["spring bulk modulus (GPa)"].tolist()


def test_modulus_is_that_of_smaller_changes():
    copper = bulk("Cu")
    modulus = PotentialFeaturizer(EMT, columns="bulk modulus").fit_transform([copper])
    energies = []
    for factor in (0.99, 1, 1.01):
        changed = copper.copy()
        changed.set_cell(copper.cell * factor ** (1 / 3), scale_atoms=True)
        changed.calc = EMT()
        energies.append(changed.get_potential_energy())
    expected = np.diff(energies, 2)[0] / 0.01**2 / copper.get_volume() * GPA
    np.testing.assert_allclose(modulus.iloc[0, 0], expected, rtol=0.02)


def test_each_volume_is_evaluated_once():
    volumes = []

    def counted(structure):
        volumes.append(structure.volume)
        return spring(structure)

    featurizer = PotentialFeaturizer(counted, columns="bulk modulus", cache=GraphCache(1e6))
    crystals = [cubic("Cu"), cubic("Al")]
    first = featurizer.fit_transform(crystals)
    assert len(volumes) == 6
    np.testing.assert_allclose(sorted(volumes), [9.4, 9.4, 10, 10, 10.6, 10.6])
    assert featurizer.transform(crystals).equals(first)
    assert len(volumes) == 6
    assert [crystal.volume for crystal in crystals] == pytest.approx([10, 10])


def test_relative_energy_is_what_the_elements_leave():
    crystals = [cubic("Cu"), cubic("Al"), cubic("Cu", "Al"), cubic("Cu", "Cu", "Al")]
    featurizer = PotentialFeaturizer(ideal_mixture, columns="relative energy")
    table = featurizer.fit_transform(crystals)
    assert list(table) == ["ideal_mixture relative energy (eV/atom)"]
    assert featurizer.energy_references_ == pytest.approx({"Al": 5.0, "Cu": 1.0}, abs=1e-4)
    np.testing.assert_allclose(table, 0, atol=1e-4)


def test_references_are_those_of_the_rows_of_fit():
    def unlike(structure):
        n_kinds = len(set(structure.species))
        return {"energy": ideal_mixture(structure)["energy"] - (n_kinds > 1)}

    training = [cubic("Cu"), cubic("Al")] * 3
    featurizer = PotentialFeaturizer(unlike, columns="relative energy").fit(training)
    mixed = [cubic("Cu", "Al")]
    np.testing.assert_allclose(featurizer.transform(mixed), -1, atol=1e-4)
    # If the references saw it, they would share the difference among the elements.
    assert (
        PotentialFeaturizer(unlike, columns="relative energy")
        .fit_transform([*training, *mixed])
        .iloc[-1, 0]
        > -0.95
    )
    # Within a cross-validation, they see the training rows of the fold.
    model = make_pipeline(
        PotentialFeaturizer(unlike, columns="relative energy"),
        FunctionTransformer(np.round),
        DecisionTreeRegressor(),
    )
    folds = [(list(range(6)), [6]), ([6], list(range(6)))]
    predicted = cross_val_predict(model, [*training, *mixed], np.r_[np.zeros(6), 1], cv=folds)
    assert predicted.tolist()[-1] == 0


def test_elements_without_a_reference():
    featurizer = PotentialFeaturizer(ideal_mixture, columns=["energy", "relative energy"])
    featurizer.fit([cubic("Cu"), cubic("Al")])
    with pytest.raises(InvalidStructureError, match="'energy' in columns") as error:
        featurizer.transform([cubic("Cu"), cubic("Cu", "Ni")])
    assert error.value.index == 1
    # The energy alone needs no reference.
    plain = PotentialFeaturizer(ideal_mixture, columns="energy").fit([cubic("Cu")])
    assert plain.energy_references_ is None
    assert plain.transform([cubic("Ni")]).iloc[0, 0] == 2.0


@pytest.mark.parametrize("column", ["pressure", "bulk modulus"])
def test_a_slab_has_no_volume(column):
    slab = Atoms("Cu", positions=[[0, 0, 5]], cell=[2.5, 2.5, 10], pbc=[True, True, False])
    with pytest.raises(InvalidStructureError, match="not periodic in three directions") as error:
        PotentialFeaturizer(spring, columns=column).fit([bulk("Cu"), slab])
    assert error.value.index == 1
