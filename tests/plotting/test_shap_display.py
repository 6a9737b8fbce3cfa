"""SHAP values of all rows."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from numpy.testing import assert_allclose
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from sklmat.inspection import shap_table
from sklmat.plotting import ShapDisplay

NAMES = ["x_Fe", "volume per atom (Å³)", "melting point (K)", "density (g/cm³)"]


def explanation(**changes):
    values = np.array([[0.1, -1.0, 0.01, 0.2], [0.1, 3.0, -0.02, 0.0], [0.4, -1.0, 0.0, 0.1]])
    data = np.array([[0.1, 10.0, 1.0, 5.0], [0.2, np.nan, 1.0, 6.0], [0.3, 30.0, 1.0, 7.0]])
    given = {"values": values, "base_values": 0.0, "data": data, "feature_names": NAMES} | changes
    return SimpleNamespace(**given)


def test_features_are_sorted_and_the_rest_is_summed():
    display = ShapDisplay.from_explanation(explanation(), max_features=2, unit="eV")
    assert_allclose(display.importance_, [5 / 3, 0.2, 0.1, 0.01])
    assert list(display.importance_.index) == [NAMES[k] for k in (1, 0, 3, 2)]
    assert list(display.points_) == [NAMES[1], NAMES[0], "sum of the other 2"]
    summed = display.points_["sum of the other 2"].get_offsets()
    assert_allclose(summed[:, 0], [0.21, -0.02, 0.1])
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == [NAMES[1], NAMES[0], "sum of the other 2"]
    assert display.ax_.get_ylim() == (2.6, -0.6)  # the first feature is at the top
    assert display.ax_.get_xlabel() == "SHAP value (eV)"
    whole = ShapDisplay.from_explanation(explanation(), max_features=3)
    assert list(whole.points_)[-1] == NAMES[2]  # no sum of a single feature


def test_colours_are_the_values_of_the_feature():
    display = ShapDisplay.from_explanation(explanation())
    assert_allclose(display.points_["x_Fe"].get_array(), [0, 0.5, 1])
    display.figure_.canvas.draw()
    missing = display.points_[NAMES[1]].get_facecolors()[1]
    assert_allclose(missing, to_rgba("0.55"))
    assert_allclose(display.points_[NAMES[2]].get_facecolors(), [to_rgba("0.55")] * 3)
    words = [label.get_text() for label in display.colorbar_.ax.get_yticklabels()]
    assert words == ["low", "high"]
    assert display.colorbar_.ax.get_ylabel() == "value of the feature"


def test_equal_values_are_stacked_and_always_in_the_same_way():
    values = np.zeros((5, 1))
    values[4] = 1
    changes = {"values": values, "data": values, "feature_names": ["a"]}
    y = ShapDisplay.from_explanation(explanation(**changes)).points_["a"].get_offsets()[:, 1]
    assert_allclose(y, [0, 0.12, -0.12, 0.24, 0])
    again = ShapDisplay.from_explanation(explanation(**changes)).points_["a"].get_offsets()[:, 1]
    assert_allclose(y, again)


def test_several_targets_need_a_choice():
    values = np.stack([explanation().values, 2 * explanation().values], axis=2)
    display = ShapDisplay.from_explanation(explanation(values=values), target=1, limits=(-1, 9))
    assert_allclose(display.shap_values, 2 * explanation().values)
    assert display.ax_.get_xlim() == (-1, 9)
    with pytest.raises(ValueError, match="target must be a number from 0 to 1, got None"):
        ShapDisplay.from_explanation(explanation(values=values))


def test_units_of_classifiers():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(30, 2)), columns=["a", "b"])
    y = np.where(X["a"] + 0.5 * X["b"] > 0, "bcc", "fcc")
    linear = LogisticRegression().fit(X, y)
    display = ShapDisplay.from_estimator(linear, X)
    assert display.ax_.get_xlabel() == "SHAP value (log-odds)"
    assert_allclose(display.shap_values, shap_table(linear, X).values)
    forest = RandomForestClassifier(3, max_depth=2, random_state=0).fit(X, y)
    display = ShapDisplay.from_estimator(forest, X)
    assert display.ax_.get_xlabel() == "SHAP value (probability)"
    assert_allclose(display.shap_values, shap_table(forest, X).values[:, :, 1])


def test_given_axes_are_used():
    import matplotlib.pyplot as plt

    _, (first, second) = plt.subplots(1, 2)
    display = ShapDisplay.from_explanation(explanation(), ax=second, s=3)
    assert display.ax_ is second
    assert display.points_["x_Fe"].get_sizes() == [3]
    assert display.plot(ax=first).ax_ is first


def test_explanations_that_cannot_be_drawn():
    with pytest.raises(TypeError, match="must be from shap_table"):
        ShapDisplay.from_explanation(np.eye(3))
    with pytest.raises(TypeError, match=r"the shapes \(3,\) and \(3,\)"):
        ShapDisplay.from_explanation(explanation(values=np.ones(3), data=np.ones(3)))
    values = explanation().values.copy()
    values[1, 0] = np.nan
    with pytest.raises(ValueError, match="not finite in row 1"):
        ShapDisplay.from_explanation(explanation(values=values))
