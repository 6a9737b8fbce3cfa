"""What went wrong in other projects or here before, in code; their files: structures/test_cases."""

import numpy as np
import pandas as pd
import pytest
from crystals import rocksalt_nacl
from pymatgen.core import Lattice, Structure
from sklearn.ensemble import BaggingRegressor
from sklearn.linear_model import Ridge
from sklearn.multioutput import RegressorChain
from sklearn.pipeline import make_pipeline

import sklmat
from sklmat.estimator_checks import make_toy_crystals


def rocksalt(cation, anion):
    salt = rocksalt_nacl()
    salt.replace_species({"Na": cation, "Cl": anion})
    return salt


def test_new_elements_where_no_column_belongs_to_one():
    """matgl#611, scikit-learn#3800."""
    groups = ["volume", "distances", "coordination", "symmetry"]
    training = [rocksalt("Na", "Cl"), rocksalt("Mg", "O"), rocksalt("K", "Cl")]
    featurizer = sklmat.StructureFeaturizer(groups=groups).fit(training)
    table = np.asarray(featurizer.transform([rocksalt("Li", "Cl")]))
    # The cell of the salts is the same.
    np.testing.assert_allclose(table, np.asarray(featurizer.transform(training[:1])))


def test_cells_of_equal_size_in_estimators_of_scikit_learn():
    """scikit-learn#14056: numpy makes a table of sites of them."""
    X, y = make_toy_crystals(8, equal_size=True)
    model = make_pipeline(sklmat.CompositionFeaturizer(), Ridge())
    array = sklmat.check_structures(X)
    for estimator, target in (
        (BaggingRegressor(model, 2, random_state=0), y),
        (RegressorChain(model), np.column_stack([y, y])),
    ):
        with pytest.raises(ValueError, match=r"equal-sized|structures|2-D|dimension"):
            estimator.fit(X, target)
        with pytest.raises(ValueError, match=r"structures|2-D|2D|dimension"):
            estimator.fit(array, target)


def test_columns_of_structures():
    """imbalanced-learn#395: a DataFrame with one column of crystals."""
    X, _ = make_toy_crystals()
    frame = pd.DataFrame({"structure": sklmat.check_structures(X)})
    expected = sklmat.PerturbationSampler(random_state=0).fit_resample(X, np.arange(8.0))[0]
    found = sklmat.PerturbationSampler(random_state=0).fit_resample(frame, np.arange(8.0))[0]
    assert len(found) == len(expected) == 16
    crystals = found["structure"].tolist() if isinstance(found, pd.DataFrame) else list(found)
    assert [s.composition for s in crystals] == [s.composition for s in expected]


def test_species_on_dummy_lattices_keep_their_cell():
    assert rocksalt("Li", "Cl").lattice == Lattice.cubic(5.64)
    assert isinstance(rocksalt("Li", "Cl"), Structure)
