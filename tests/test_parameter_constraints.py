from numbers import Integral, Real

import numpy as np
import pytest
from sklearn.utils._param_validation import InvalidParameterError

from sklmat import CGCNNRegressor, ECNetRegressor, InfoGANAugmenter
from sklmat.parameter_constraints import Interval


@pytest.mark.parametrize("kind", [Integral, Real])
def test_true_is_no_number(kind):
    interval = Interval(kind, 0, 2, closed="both")
    allowed = [interval.is_satisfied_by(value) for value in (0, 1, 2, 3, -1)]
    assert allowed == [True, True, True, False, False]
    assert not interval.is_satisfied_by(True)
    assert not interval.is_satisfied_by(np.True_)


@pytest.mark.parametrize(
    "estimator",
    [CGCNNRegressor(n_conv=True), ECNetRegressor(n_ensemble=True), InfoGANAugmenter(n_layers=True)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_true_is_no_number_of_layers(estimator):
    with pytest.raises(InvalidParameterError, match=r"must be an int in the range.* Got True"):
        estimator.fit([[0.0]], [0.0])
