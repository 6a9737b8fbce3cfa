"""The runner of the checks: reports, refusals, and which checks apply."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, column_or_1d
from toy_estimators import Classifier, Featurizer, NoisyJobs, Regressor, SortsRows, describe

from sklmat.estimator_checks import (
    check_structure_estimator,
    make_toy_crystals,
    parametrize_with_structure_checks,
    structure_estimator_checks,
)
from sklmat.structures import check_structures


def test_runner_reports_and_raises():
    results = check_structure_estimator(Regressor())
    assert {result["status"] for result in results} == {"passed"}
    with pytest.raises(AssertionError, match="permuted rows") as info:
        check_structure_estimator(SortsRows())
    assert "check_order_invariance(SortsRows())" in info.value.__notes__[0]
    results = check_structure_estimator(
        SortsRows(), expected_failed_checks={"check_order_invariance": "it sorts"}, on_fail=None
    )
    status = {result["check_name"]: result["status"] for result in results}
    assert status["check_order_invariance"] == "xfail"
    assert status["check_refit"] == "passed"
    assert status["check_subset_invariance"] == "failed"


def test_runner_refuses_classes_and_unknown_modes():
    with pytest.raises(TypeError, match=r"pass an instance, Regressor\(...\)"):
        check_structure_estimator(Regressor)
    with pytest.raises(ValueError, match="on_fail"):
        check_structure_estimator(Regressor(), on_fail="warn")


def test_only_checks_that_apply():
    def names(estimator):
        return {check.__name__ for _, check in structure_estimator_checks(estimator)}

    assert "check_regressor_shapes" in names(Regressor()) - names(Classifier())
    assert "check_classifier_labels" in names(Classifier()) - names(Featurizer())
    assert "check_column_names" in names(Featurizer()) - names(Regressor())
    assert "check_n_jobs" in names(NoisyJobs()) - names(Regressor())
    assert "check_target_refused" not in names(Featurizer())


def test_parametrize_marks_expected_failures():
    decorator = parametrize_with_structure_checks(
        [Regressor()], expected_failed_checks=lambda estimator: {"check_seed": "because"}
    )
    cases = {case.id: case for case in decorator.args[1]}
    assert cases["Regressor-check_seed"].marks[0].kwargs == {"reason": "because"}
    assert not cases["Regressor-check_refit"].marks


def test_toy_crystals():
    X, y = make_toy_crystals()
    assert [len(s) for s in X] == [4, 4, 8, 8] * 2
    assert all(len(s.composition) == 3 for s in X)
    np.testing.assert_allclose(y, [s.volume / len(s) for s in X])
    # Atomic volumes of the three metals lie between 10.9 (Ni) and 14.7 (Pd) Å³.
    assert ((y > 10) & (y < 16)).all()
    assert min(s.distance_matrix[np.triu_indices(len(s), 1)].min() for s in X) > 2.3
    same, _ = make_toy_crystals()
    assert same == X
    other, _ = make_toy_crystals(random_state=1)
    assert other != X
    assert {len(s) for s in make_toy_crystals(equal_size=True)[0]} == {4}
    X, labels = make_toy_crystals(4, task="classification")
    assert labels.tolist() == ["bcc", "fcc", "bcc", "fcc"]
    # Eight nearest neighbours in bcc, twelve in fcc, with a gap of 15 % to the next.
    counts = [len(s.get_neighbors(s[0], 1.08 * s.get_neighbors(s[0], 3.2)[0].nn_distance))
              for s in X]  # fmt: skip
    assert counts == [8, 12, 8, 12]


class WithoutInit(RegressorMixin, BaseEstimator):
    """Estimator without parameters, and therefore without a constructor: the nearest volume."""

    def fit(self, X, y):
        table, y = describe(check_structures(X)), column_or_1d(y)
        if len(table) != len(y) or not len(y) or not np.isfinite(y).all():
            raise ValueError("X or y is empty, or y has another length, or holds NaN or infinity")
        self.table_, self.y_ = table, y
        return self

    def predict(self, X):
        check_is_fitted(self)
        table = describe(check_structures(X))
        return self.y_[np.abs(table[:, None] - self.table_).sum(axis=2).argmin(axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


def test_estimator_without_init():
    results = check_structure_estimator(WithoutInit(), on_fail=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert not failed
