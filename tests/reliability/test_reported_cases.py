"""What went wrong in other projects or here before, in code; their files: structures/test_cases."""

import numpy as np
import pandas as pd
import pytest
from crystals import rocksalt_nacl
from sklearn.ensemble import BaggingRegressor
from sklearn.linear_model import Ridge
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
    table = featurizer.set_output(transform="pandas").transform([rocksalt("Li", "Cl")])
    assert np.isfinite(table.to_numpy(dtype=float)).all()
    # The cell of the training rows: 5.64 Å, eight atoms.
    assert table["volume per atom (Å³)"].iloc[0] == pytest.approx(5.64**3 / 8)


def test_cells_of_equal_size_in_estimators_of_scikit_learn():
    """scikit-learn#14056: numpy makes a table of sites of them."""
    X, y = make_toy_crystals(8, equal_size=True)
    model = make_pipeline(sklmat.CompositionFeaturizer(), Ridge())
    with pytest.raises(ValueError, match=r"equal-sized|structures"):
        BaggingRegressor(model, 2, random_state=0).fit(X, y)


def test_columns_of_structures():
    """imbalanced-learn#395: a DataFrame with one column of crystals."""
    X, _ = make_toy_crystals()
    frame = pd.DataFrame({"structure": sklmat.check_structures(X)})
    expected = sklmat.PerturbationSampler(random_state=0).fit_resample(X, np.arange(8.0))[0]
    found = sklmat.PerturbationSampler(random_state=0).fit_resample(frame, np.arange(8.0))[0]
    assert len(found) == len(expected) == 16
    crystals = found["structure"].tolist() if isinstance(found, pd.DataFrame) else list(found)
    assert [s.composition for s in crystals] == [s.composition for s in expected]
