"""Pictures of robustness curves."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.dummy import DummyRegressor

from sklmat.plotting import RobustnessDisplay


def make_curve(score="accuracy"):
    table = pd.DataFrame(
        {
            "method": ["pgd", "pgd", "pgd", "random", "random", "random"],
            "budget": [0.1, 0.0, 0.05, 0.0, 0.05, 0.1],
            "score": [0.2, 0.9, 0.5, 0.9, 0.85, 0.8],
            "n": 100,
        }
    )
    table["lower"], table["upper"] = table["score"] - 0.05, table["score"] + 0.06
    table.attrs["score"] = score
    return table


def test_one_line_and_band_per_method():
    display = RobustnessDisplay.from_curve(make_curve())
    panel = display.ax_
    assert list(display.lines_) == ["pgd", "random"]
    assert_allclose(display.lines_["pgd"].get_xydata(), [[0, 0.9], [0.05, 0.5], [0.1, 0.2]])
    assert_allclose(display.lines_["random"].get_ydata(), [0.9, 0.85, 0.8])
    band = panel.collections[0].get_paths()[0].vertices
    assert {(0.1, 0.15), (0.1, 0.26), (0.05, 0.56)} <= set(map(tuple, band.round(6)))
    texts = [text.get_text() for text in panel.get_legend().get_texts()]
    assert texts == ["PGD", "random", "95 % interval"]
    assert panel.get_xlabel() == "largest displacement of an atom (Å)"
    assert panel.get_ylabel() == "accuracy"
    assert panel.get_ylim() == (0, 1.02)


def test_errors_have_a_unit_and_no_upper_bound():
    table = make_curve("mean absolute error")
    table[["score", "lower", "upper"]] *= 100
    display = RobustnessDisplay.from_curve(table, unit="meV/atom")
    assert display.ax_.get_ylabel() == "mean absolute error (meV/atom)"
    low, high = display.ax_.get_ylim()
    assert low == 0
    assert high > 96


def test_two_estimators_on_one_picture_share_the_colours_of_methods():
    table = make_curve()
    one = RobustnessDisplay.from_curve(table, name="CGCNN")
    two = RobustnessDisplay.from_curve(
        table[table["method"] == "random"], name="other", ax=one.ax_, linestyle="--"
    )
    assert two.ax_ is one.ax_
    assert two.lines_["random"].get_color() == one.lines_["random"].get_color()
    assert one.lines_["pgd"].get_color() != one.lines_["random"].get_color()
    assert two.lines_["random"].get_linestyle() == "--"
    texts = [text.get_text() for text in one.ax_.get_legend().get_texts()]
    assert texts == ["CGCNN PGD", "CGCNN random", "other random", "95 % interval"]


def test_from_estimator_attacks(monkeypatch):
    asked, net = {}, DummyRegressor()

    def curve(estimator, X, y, **options):
        asked.update(options, arguments=(estimator, X, y))
        return make_curve()

    monkeypatch.setattr("sklmat.adversarial.robustness_curve", curve)
    display = RobustnessDisplay.from_estimator(
        net, "X", "y", methods=("pgd",), budgets=(0, 0.1), random_state=3, name="net", marker="x"
    )
    assert asked == {
        "arguments": (net, "X", "y"),
        "methods": ("pgd",),
        "budgets": (0, 0.1),
        "random_state": 3,
    }
    assert display.lines_["pgd"].get_marker() == "x"


def test_real_network(two_phases):
    from sklmat import CGCNNClassifier, robustness_curve

    X, y = two_phases
    model = CGCNNClassifier(hidden_dim=8, max_epochs=3, random_state=0).fit(X, y)
    display = RobustnessDisplay.from_estimator(model, X, y, budgets=(0.0, 0.1), random_state=0)
    expected = robustness_curve(model, X, y, budgets=(0.0, 0.1), random_state=0)
    assert list(display.lines_) == ["random", "fgsm", "pgd"]
    for method, rows in expected.groupby("method"):
        assert_allclose(display.lines_[method].get_ydata(), rows["score"])


@pytest.fixture
def two_phases():
    from pymatgen.core import Lattice, Structure

    sizes = np.linspace(2.8, 3.2, 10)
    cells = [Structure(Lattice.cubic(a), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3]) for a in sizes]
    return cells, np.where(sizes > 3, "loose", "dense")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="upper"), "no column 'upper'"),
        (lambda t: t.iloc[:0], "empty, or lacks budgets or scores"),
        (lambda t: t.assign(score=np.nan), "empty, or lacks budgets or scores"),
    ],
)
def test_curves_that_cannot_be_drawn(change, message):
    with pytest.raises(ValueError, match=message):
        RobustnessDisplay.from_curve(change(make_curve()))
