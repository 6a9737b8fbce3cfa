"""Distances to the training rows, and the rows outside of their domain."""

import warnings

import numpy as np
import pandas as pd
import pytest
from crystals import random_alloys
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklmat import (
    ApplicabilityDomain,
    CGCNNRegressor,
    ECNetRegressor,
    PotentialFeaturizer,
    StructureFeaturizer,
)
from sklmat.estimator_checks import make_toy_table
from sklmat.exceptions import ExtrapolationWarning

#: Scaled to unit variance: the standard deviation of 0, 1, 2, 3 and 14 is 5.099.
LINE = np.array([[0.0], [1.0], [2.0], [3.0], [14.0]])
UNIT = LINE.std()


def test_distances_by_hand():
    domain = ApplicabilityDomain(n_neighbors=2, quantile=0.8).fit(LINE)
    own = np.array([1.5, 1.0, 1.0, 1.5, 11.5]) / UNIT
    np.testing.assert_allclose(domain.training_distances_, own)
    # The smallest value below or at which 80 % of the rows are.
    assert domain.threshold_ == pytest.approx(11.5 / UNIT)
    domain.set_params(quantile=0.75).fit(LINE)
    assert domain.threshold_ == pytest.approx(1.5 / UNIT)
    # Row 2 itself is a training row: its distances are 0 and 1.
    table = domain.transform(np.array([[2.0], [5.0]]))
    assert table.columns.tolist() == ["distance to training rows"]
    np.testing.assert_allclose(table.to_numpy()[:, 0], [0.5 / 1.5, 2.5 / 1.5])
    message = r"1 of 2 rows .* 1 \(1.67\); predictions"
    with pytest.warns(ExtrapolationWarning, match=message) as found:
        assert domain.is_inside(np.array([[2.0], [5.0]])).tolist() == [True, False]
    assert found[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert domain.is_inside(LINE[:2]).all()


def test_rows_of_a_group_are_not_compared():
    twins = np.repeat(LINE, 2, axis=0)
    domain = ApplicabilityDomain(n_neighbors=2, quantile=1.0).fit(twins, groups=np.arange(10) // 2)
    # Both nearest rows are the twins of the neighbour.
    np.testing.assert_allclose(domain.training_distances_[::2], np.array([1, 1, 1, 1, 11]) / UNIT)
    single = ApplicabilityDomain(n_neighbors=2, quantile=1.0).fit(twins)
    np.testing.assert_allclose(single.training_distances_[0], 0.5 / UNIT)
    with pytest.raises(ValueError, match="one row has only 2; lower n_neighbors"):
        ApplicabilityDomain(n_neighbors=3).fit(LINE[:4], groups=[0, 0, 1, 1])


def test_unusable_vectors():
    table = LINE.copy()
    table[3] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity in 1 rows, such as row 3"):
        ApplicabilityDomain(n_neighbors=1).fit(table)
    filled = ApplicabilityDomain(make_pipeline(SimpleImputer()), n_neighbors=1).fit(table)
    assert filled.transform(table).shape == (5, 1)
    with pytest.raises(ValueError, match="same vector for most rows"):
        ApplicabilityDomain(n_neighbors=1).fit(np.ones((6, 2)))
    flat = FunctionTransformer(lambda X: np.zeros(len(X)))
    with pytest.raises(ValueError, match=r"the shape \(5,\) for 5 rows"):
        ApplicabilityDomain(flat).fit(LINE)


CELLS = random_alloys(24, n_cells=1)
VOLUMES = np.array([cell.volume / len(cell) for cell in CELLS])


def expanded(cell):
    return cell.copy().scale_lattice(2 * cell.volume)


def number_of_atoms_and_volume(structure):
    return {"energy": structure.volume / len(structure)}


TINY = {"cutoff": 4.0, "hidden_dim": 4, "max_epochs": 1, "random_state": 0}


@pytest.mark.parametrize(
    "embedding",
    [
        StructureFeaturizer(groups=["volume"]),
        PotentialFeaturizer(number_of_atoms_and_volume, columns="energy"),
        CGCNNRegressor(**TINY, n_conv=1, readout_dim=4),
        FrozenEstimator(
            ECNetRegressor(**TINY, n_filters=4, tower_dims=(4,)).fit(CELLS, VOLUMES),
        ),
    ],
    ids=lambda each: type(each).__name__,
)
def test_embeddings_of_crystals(embedding):
    domain = ApplicabilityDomain(clone(embedding), quantile=1.0)
    series = pd.Series(CELLS, index=[f"cell {k}" for k in range(24)])
    domain.fit(series, VOLUMES)
    table = domain.transform(series)
    assert table.index.tolist() == series.index.tolist()
    assert (table.to_numpy() <= 1).all()
    alone = domain.transform(CELLS[:1]).to_numpy()
    far = domain.transform([expanded(CELLS[0])]).to_numpy()
    assert far > alone
    if not isinstance(embedding, FrozenEstimator):  # a network that has hardly learned
        assert far > 1
    np.testing.assert_allclose(alone, table.to_numpy()[:1], rtol=1e-4)


def test_fitted_networks_must_be_frozen():
    with pytest.raises(ValueError, match="FrozenEstimator"):
        ApplicabilityDomain(CGCNNRegressor(**TINY).fit(CELLS, VOLUMES)).fit(CELLS, VOLUMES)


def test_columns_of_a_table_have_the_order_of_fit():
    """By position, they would be compared with other columns."""
    table, _ = make_toy_table(24)
    domain = ApplicabilityDomain(n_neighbors=2).fit(table, groups=np.arange(24))
    assert domain.feature_names_in_.tolist() == list(table)
    assert np.isfinite(np.asarray(domain.transform(table))).all()
    for other, message in (
        (table[table.columns[::-1]], "same order"),
        (table.rename(columns={"x_Fe": "Fe"}), "unseen at fit time"),
        (table.iloc[:, 1:], "missing"),
    ):
        with pytest.raises(ValueError, match=message):
            domain.transform(other)
    structures = random_alloys(12, n_cells=1)
    domain.set_params(embedding=StructureFeaturizer(groups=["volume"])).fit(structures)
    assert not hasattr(domain, "feature_names_in_")
