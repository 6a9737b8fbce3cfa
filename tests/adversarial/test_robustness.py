"""Robustness curves: the fraction of predictions that stay right under an attack."""

import numpy as np
import pandas as pd
import pytest
from crystals import isolated_ne
from pymatgen.core import Lattice, Structure
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklmat import StructureAttack, robustness_curve
from sklmat.adversarial._attack_methods import METHODS


def wilson(k, n, z=1.959964):
    """Newcombe, Stat. Med. 17, 857 (1998), method 3."""
    p = k / n
    root = z * np.sqrt(z**2 + 4 * n * p * (1 - p))
    return (2 * n * p + z**2 - root) / (2 * (n + z**2)), (2 * n * p + z**2 + root) / (
        2 * (n + z**2)
    )


@pytest.mark.parametrize("name", ["classifier", "ecnet"])
def test_curve_of_a_classifier_counts_rows_that_stay_right(name, request, cells, labels):
    model = request.getfixturevalue(name)
    small, large = (0.05, 0.1) if name == "classifier" else (0.15, 0.4)
    budgets = (large, 0.0, small)
    curve = robustness_curve(model, cells, labels, budgets=budgets, n_draws=3, random_state=0)
    assert list(curve.columns) == ["method", "budget", "score", "lower", "upper", "n"]
    assert curve.attrs["score"] == "accuracy"
    assert (curve["n"] == 40).all()
    for method in METHODS:
        part = curve[curve["method"] == method].set_index("budget")
        assert part.index.tolist() == [0.0, small, large]
        assert part.loc[0.0, "score"] == pytest.approx(model.score(cells, labels))
        for _, row in part.iterrows():
            low, high = wilson(row["score"] * 40, 40)
            assert row["lower"] == pytest.approx(low, abs=1e-6)
            assert row["upper"] == pytest.approx(high, abs=1e-6)
    scores = curve.pivot(index="budget", columns="method", values="score")
    assert scores["pgd"].is_monotonic_decreasing
    assert (scores["pgd"] <= scores["fgsm"] + 1e-12).all()
    assert (scores["pgd"] <= scores["random"] + 1e-12).all()
    assert scores.loc[large, "pgd"] < scores.loc[0.0, "pgd"]
    moved = StructureAttack(model, method="fgsm", budget=large).generate(cells, labels)
    assert scores.loc[large, "fgsm"] == pytest.approx(model.score(moved, labels))


def test_curve_of_a_regressor_is_its_error(regressor, cells, a):
    curve = robustness_curve(regressor, cells, a, budgets=(0, 0.05, 0.1), random_state=0)
    assert curve.attrs["score"] == "mean absolute error"
    errors = np.abs(regressor.predict(cells) - a)
    for method in METHODS:
        row = curve[(curve["method"] == method) & (curve["budget"] == 0)].iloc[0]
        assert row["score"] == pytest.approx(errors.mean(), rel=1e-5)
        half = 1.96 * errors.std(ddof=1) / np.sqrt(40)
        assert row["upper"] - row["score"] == pytest.approx(half, rel=1e-3)
        assert row["score"] - row["lower"] == pytest.approx(half, rel=1e-3)
    pgd = curve[curve["method"] == "pgd"]["score"]
    assert pgd.is_monotonic_increasing
    fgsm = curve[curve["method"] == "fgsm"]["score"]
    assert (pgd.to_numpy() >= fgsm.to_numpy() - 1e-9).all()
    assert pgd.iloc[-1] > 1.5 * pgd.iloc[0]


def test_curve_says_what_it_cannot_do(classifier, cells, labels):
    with pytest.raises(ValueError, match="methods must be"):
        robustness_curve(classifier, cells, labels, methods=("pgd", "cw"))
    with pytest.raises(ValueError, match="methods must be"):
        robustness_curve(classifier, cells, labels, methods=())
    with pytest.raises(ValueError, match="budget"):
        robustness_curve(classifier, cells, labels, budgets=(-0.1, 0.1))
    with pytest.raises(ValueError, match="budget"):
        robustness_curve(classifier, cells, labels, budgets=())
    with pytest.raises(TypeError, match="graph estimator"):
        robustness_curve(LogisticRegression(), cells, labels)


def test_isolated_atoms_have_curves(regressor):
    cells = [isolated_ne(), Structure(Lattice.cubic(30.0), ["Fe"], [[0, 0, 0]])]
    curve = robustness_curve(regressor, cells, [1.0, 2.0], budgets=(0, 0.1), random_state=0)
    assert curve["score"].nunique() == 1


def shortest_distances(structures):
    return np.array([[cell.distance_matrix[0, 1:].min()] for cell in structures])


def test_random_displacements_of_structures_in_a_dataframe(cells, a):
    """A pipeline that reads a column of structures gets displaced ones in the same column."""
    table = pd.DataFrame({"number": np.arange(40.0), "crystal": cells})
    of_structures = make_pipeline(FunctionTransformer(shortest_distances), LinearRegression())
    of_table = make_pipeline(FunctionTransformer(lambda X: X["crystal"]), *of_structures)
    options = {"budgets": (0, 0.1), "methods": ["random"], "n_draws": 2, "random_state": 0}
    expected = robustness_curve(of_structures.fit(cells, a), cells, a, **options)["score"]
    found = robustness_curve(of_table.fit(table, a), table, a, **options)["score"]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert expected[0] == pytest.approx(np.abs(of_structures.predict(cells) - a).mean())
    assert expected[1] != expected[0]


def test_curve_of_a_classifier_with_another_threshold(classifier, cells, labels):
    loose = np.sort(classifier.predict_proba(cells)[:, 1])
    # Between two probabilities, so that twelve rows and no others are predicted as loose.
    model = FixedThresholdClassifier(
        FrozenEstimator(classifier), threshold=loose[-13:-11].mean(), pos_label="loose"
    ).fit(cells, labels)
    predictions = model.predict(cells)
    assert (predictions == "loose").sum() == 12
    curve = robustness_curve(model, cells, labels, budgets=(0, 0.05), methods=["pgd"])
    assert curve["score"][0] == pytest.approx((predictions == labels).mean())
