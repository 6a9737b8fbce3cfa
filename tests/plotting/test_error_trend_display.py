"""Means of errors over groups of crystals, with intervals that can be computed by hand."""

import numpy as np
import pandas as pd
import pytest
from crystals import b2_cscl, b2_nial, bcc_fe, fcc_cu, perovskite, random_alloys, rocksalt_nacl
from scipy.stats import t
from sklearn.dummy import DummyRegressor

from sklmat import (
    ApplicabilityDomain,
    ErrorTrendDisplay,
    StructureFeaturizer,
    StructureToGraph,
    compare_estimators,
)

CELLS = [bcc_fe(), fcc_cu(), b2_cscl(), b2_nial(), rocksalt_nacl(), perovskite()]
TRUE = np.zeros(6)
ERRORS = np.array([0.1, -0.3, 0.2, 0.4, -0.6, 0.5])


def texts(panel):
    return [tick.get_text() for tick in panel.get_xticklabels()]


def test_means_by_number_of_elements():
    display = ErrorTrendDisplay.from_predictions(
        CELLS, TRUE, ERRORS, against="n_elements", unit="eV"
    )
    table = display.table_
    assert table["group"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(table["mean"], [0.2, 0.4, 0.5])
    assert table["n"].tolist() == [2, 3, 1]
    # Of 0.2, 0.4 and 0.6: standard deviation 0.2.
    half = t.ppf(0.975, 2) * 0.2 / np.sqrt(3)
    np.testing.assert_allclose(table.loc[1, ["low", "high"]].astype(float), [0, 0.4 + half])
    assert np.isnan(table.loc[2, "high"])
    assert texts(display.ax_) == ["1\nn=2", "2\nn=3", "3\nn=1"]
    assert display.ax_.get_ylabel() == "absolute error (eV)"
    assert display.ax_.get_xlabel() == "number of elements"
    assert display.ax_.get_ylim()[0] == 0
    np.testing.assert_allclose(
        np.sort(display.ax_.collections[0].get_offsets()[:, 1]), np.sort(np.abs(ERRORS))
    )
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["mean", "one crystal", "95 % interval"]


def test_panels_of_all_kinds():
    cells = random_alloys(30)
    distance = pd.Series(np.linspace(0, 2, 30), name="distance to the training rows")
    display = ErrorTrendDisplay.from_predictions(
        cells, np.zeros(30), np.linspace(0, 1, 30), against=["lattice", "Ni", distance]
    )
    assert [panel.get_xlabel() for panel in display.axes_] == [
        "lattice",
        "fraction of Ni",
        "distance to the training rows",
    ]
    last = display.table_[display.table_["property"] == distance.name]
    # Six bins of five rows; errors are half the distance.
    assert last["n"].tolist() == [5] * 6
    np.testing.assert_allclose(last["mean"], (np.arange(30) / 29).reshape(6, 5).mean(axis=1))
    assert display.axes_[1].get_ylim() == display.axes_[0].get_ylim()


def test_models_side_by_side():
    models = {"mean": DummyRegressor(), "zero": DummyRegressor(strategy="constant", constant=0)}
    cells = CELLS * 2
    y = np.arange(12.0)
    table = compare_estimators(models, cells, y, cv=3)
    display = ErrorTrendDisplay.from_comparison(table, cells, against="n_atoms", limits=(0, 20))
    zero = display.table_[display.table_["model"] == "zero"].set_index("group")
    assert zero.loc[4, "mean"] == pytest.approx((1 + 7) / 2)  # fcc copper
    assert zero.loc[5, "mean"] == pytest.approx((5 + 11) / 2)  # the perovskite
    left, right = display.ax_.collections[0], display.ax_.collections[2]
    assert (left.get_offsets()[:, 0] < right.get_offsets()[:, 0]).all()
    assert display.ax_.get_ylim() == (0, 20)


def test_wrong_arguments():
    for options, message in [
        ({"against": "size"}, "against has 'size'; it takes n_elements, n_atoms, lattice, "),
        ({"against": []}, "against is empty"),
        ({"against": pd.Series([1, 2])}, "color_by has 2 entries for 6 crystals"),
        ({"against": pd.Series([1, 2, np.nan, 4, 5, 6])}, "the property is missing in row 2"),
        ({"y_pred": ERRORS[:3]}, r"shape \(3,\); X has 6 rows"),
        ({"y_pred": [np.nan, *ERRORS[1:]]}, "not finite in row 0"),
        ({"limits": (1, 0)}, "two increasing numbers"),
    ]:
        arguments = {"y_true": TRUE, "y_pred": ERRORS, **options}
        with pytest.raises(ValueError, match=message):
            ErrorTrendDisplay.from_predictions(CELLS, **arguments)


def test_distance_is_that_of_the_applicability_domain():
    train, X = random_alloys(8, n_cells=1), random_alloys(3, seed=1, n_cells=1)
    graphs = StructureToGraph(cutoff=4.0).fit_transform(X)
    display = ErrorTrendDisplay.from_predictions(
        graphs, [0.0, 0, 0], [1.0, 2, 3], against="distance", X_train=train, quantity="gap"
    )
    expected = ApplicabilityDomain(StructureFeaturizer()).fit(train).transform(X)
    found = display.properties["distance to the training rows (above 1: outside)"]
    np.testing.assert_allclose(found, expected.iloc[:, 0], rtol=1e-4)
    assert "above 1: outside" in display.ax_.get_xlabel().replace("\n", " ")
    assert display.ax_.get_ylabel() == "absolute error of gap"
    with pytest.raises(ValueError, match="which is not in against"):
        ErrorTrendDisplay.from_predictions(X, [0.0, 0, 0], [1.0, 2, 3], X_train=train)
    with pytest.raises(ValueError, match="pass X_train"):
        ErrorTrendDisplay.from_predictions(X, [0.0, 0, 0], [1.0, 2, 3], against="distance")


def test_errors_far_above_the_others_are_counted_at_the_edge():
    X, predicted = [bcc_fe()] * 100, np.r_[np.full(99, 0.1), 1e3]
    kinds = pd.Series(np.arange(100) % 2, name="parity")
    display = ErrorTrendDisplay.from_predictions(X, np.zeros(100), predicted, against=kinds)
    high = display.ax_.get_ylim()[1]
    assert 0.1 < high < 100
    assert [text.get_text() for text in display.ax_.texts] == ["1 above"]
    triangles = display.ax_.collections[-1].get_offsets()
    np.testing.assert_allclose(triangles, [[1, 0.98 * high]], atol=0.21)
    assert display.table_["mean"].iloc[1] == pytest.approx((49 * 0.1 + 1e3) / 50)


def test_long_names_are_at_an_angle():
    kinds = pd.Series(["bcc", "fcc", "hcp", "diamond", "sc", "other"], name="phase")
    display = ErrorTrendDisplay.from_predictions(CELLS, TRUE, ERRORS, against=kinds)
    assert texts(display.ax_)[0] == "bcc (n=1)"
    assert display.ax_.get_xticklabels()[0].get_rotation() == 35
