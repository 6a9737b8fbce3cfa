"""The process against that of scikit-learn, explicit refits, and planted outliers."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_limits

from sklmat import RobustGaussianProcessRegressor
from sklmat.gaussian_processes._likelihood import covariance_factor
from sklmat.gaussian_processes._product_kernel import ProductKernel
from sklmat.gaussian_processes._robust_process import _leave_one_out_noise

NAMES = ["x_Fe", "x_Ni", "volume"]
PRECISION = "check_sample_weight_equivalence_on_dense_data"


def make_rows(n, seed=0):
    return np.random.default_rng(seed).uniform(size=(n, 3))


def smooth(X):
    """A function that does not depend on the last column."""
    return np.sin(4 * X[:, 0]) + 2 * X[:, 1] ** 2


X = make_rows(60)
Y = smooth(X) + 0.01 * np.random.default_rng(1).normal(size=60)
X_NEW = make_rows(40, seed=2)
OUTLIERS = [3, 17, 40]
Y_WITH_OUTLIERS = Y.copy()
Y_WITH_OUTLIERS[OUTLIERS] += [2.0, -1.0, 5.0]


def error(model):
    return np.abs(model.predict(X_NEW) - smooth(X_NEW)).mean()


@parametrize_with_checks(
    [
        # Few rows, for the time; all of them for normal noise.
        RobustGaussianProcessRegressor(n_optimizer_rows=40, random_state=0),
        RobustGaussianProcessRegressor(length_scales="group", degrees_of_freedom=np.inf),
    ],
    expected_failed_checks=lambda model: {
        PRECISION: "sample_weight is the precision of a label; zero is refused"
    },
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# -- against independent formulas


@pytest.mark.parametrize("degrees_of_freedom", [3.0, np.inf])
def test_posterior_is_that_of_scikit_learn_with_the_same_kernel(degrees_of_freedom):
    """The noise of each row, from its weight, is the `alpha` of scikit-learn."""
    given = np.random.default_rng(3).uniform(0.5, 2, size=60)
    model = RobustGaussianProcessRegressor(degrees_of_freedom=degrees_of_freedom)
    model.fit(X, Y_WITH_OUTLIERS, sample_weight=given)
    (process,) = model._processes
    noise = np.exp(process.parameters[-1]) * process.scale**2
    kernel = ConstantKernel(model.signal_std_**2) * Matern(model.length_scales_, nu=2.5)
    precision = given / given.mean() * model.label_weights_
    # The jitter of the kernel matters where labels have next to no noise.
    alpha = noise / precision + 1e-9 * model.signal_std_**2
    reference = GaussianProcessRegressor(kernel, alpha=alpha, optimizer=None)
    reference.fit(X, Y_WITH_OUTLIERS - process.centre)
    mean, deviation = reference.predict(X_NEW, return_std=True)
    found, found_deviation = model.predict(X_NEW, return_std=True)
    np.testing.assert_allclose(found, mean + process.centre, rtol=1e-5)
    np.testing.assert_allclose(found_deviation, deviation, rtol=1e-5)
    with_noise = model.predict(X_NEW, return_std=True, include_noise=True)[1]
    np.testing.assert_allclose(with_noise**2 - found_deviation**2, model.noise_std_**2)
    if np.isinf(degrees_of_freedom):
        assert (model.label_weights_ == 1).all()
        assert model.noise_std_ == pytest.approx(np.sqrt(noise))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_normal_noise_maximises_the_marginal_likelihood():
    """As scikit-learn does; the weak prior of the parameters changes little."""
    model = RobustGaussianProcessRegressor(degrees_of_freedom=np.inf).fit(X, Y)
    (process,) = model._processes
    noise = np.exp(process.parameters[-1]) * process.scale**2
    kernel = ConstantKernel(model.signal_std_**2) * Matern(model.length_scales_, nu=2.5)
    Y_centred = Y - process.centre
    ours = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None).fit(X, Y_centred)
    # It ends at the upper bound of the length scale of the column without influence.
    best = GaussianProcessRegressor(kernel, alpha=noise).fit(X, Y_centred)
    assert best.log_marginal_likelihood_value_ - ours.log_marginal_likelihood_value_ < 5


def test_leave_one_out_noise_is_that_of_explicit_refits():
    kernel = ProductKernel([np.arange(3)], [False])
    parameters, precision = np.log([0.5, 1.0, 2.0, 3.0, 0.1]), np.arange(1.0, 7.0)
    rows, y = X[:6], Y[:6]
    values = kernel.covariance(rows, rows, parameters[:3])
    factor, noise = covariance_factor(values, precision, parameters)
    np.testing.assert_allclose(noise, 0.1 / precision)
    solution = np.linalg.solve(factor @ factor.T, y)
    found = _leave_one_out_noise(factor, solution, noise)
    matern = ConstantKernel(3.0) * Matern([0.5, 1.0, 2.0], nu=2.5)
    for row in range(6):
        rest = np.delete(np.arange(6), row)
        process = GaussianProcessRegressor(matern, alpha=noise[rest], optimizer=None)
        mean, deviation = process.fit(rows[rest], y[rest]).predict(rows[[row]], return_std=True)
        assert found[row] == pytest.approx((y[row] - mean[0]) ** 2 - deviation[0] ** 2)


def test_weights_are_the_expected_precisions_of_student_t_noise():
    """The expected square of the noise of a label is that of its residual plus the variance."""
    model = RobustGaussianProcessRegressor().fit(X, Y_WITH_OUTLIERS)
    mean, deviation = model.predict(X, return_std=True)
    squares = (Y_WITH_OUTLIERS - mean) ** 2 + deviation**2
    (process,) = model._processes
    noise = np.exp(process.parameters[-1]) * process.scale**2
    np.testing.assert_allclose(model.label_weights_, 1 / (1 + squares / noise / 4), atol=0.01)
    assert noise == pytest.approx((model.label_weights_ * squares).mean(), rel=0.05)


# -- robustness


@pytest.mark.parametrize("frequency", [4, 25], ids=["smooth", "rough"])
def test_outliers_far_off(frequency):
    """They do not make a kernel that follows them, and a rough function is not taken for noise."""
    rows, new = make_rows(150)[:, :2], make_rows(100, seed=5)[:, :2]

    def function(rows):
        return np.sin(frequency * rows[:, 0]) + rows[:, 1]

    y = function(rows)
    y[[3, 50]] += [30.0, -20.0]
    model = RobustGaussianProcessRegressor().fit(rows, y)
    assert model.label_weights_[[3, 50]].max() < 1e-3
    assert np.abs(model.predict(new) - function(new)).mean() < 0.05


@pytest.mark.parametrize("value", [9999.0, -1e10])
def test_labels_in_place_of_missing_ones(value):
    """However far off they are, the other labels keep their scale."""
    y = Y.copy()
    y[OUTLIERS] = value
    model = RobustGaussianProcessRegressor().fit(X, y)
    assert error(model) < 1.2 * error(RobustGaussianProcessRegressor().fit(X, Y))
    assert model.label_weights_[OUTLIERS].max() < 1e-9
    assert np.median(model.label_weights_) > 0.7


def test_most_labels_are_nearly_equal():
    """As the moments of crystals of which a fifth is magnetic."""
    rows, new = make_rows(100)[:, :2], make_rows(50, seed=5)[:, :2]

    def moment(rows):
        return np.maximum(4 * (rows[:, 0] - 0.8), 0)

    y = moment(rows) + 1e-4 * np.random.default_rng(0).normal(size=100)
    for wrong in (None, 3):
        if wrong is not None:
            y[wrong] = 1e7
        model = RobustGaussianProcessRegressor().fit(rows, y)
        assert np.abs(model.predict(new) - moment(new)).mean() < 0.02


def test_outliers_get_small_weights_and_do_not_change_the_fit():
    clean = RobustGaussianProcessRegressor().fit(X, Y)
    robust = RobustGaussianProcessRegressor().fit(X, Y_WITH_OUTLIERS)
    plain = RobustGaussianProcessRegressor(degrees_of_freedom=np.inf).fit(X, Y_WITH_OUTLIERS)
    assert sorted(robust.label_weights_.argsort()[:3]) == OUTLIERS
    assert robust.label_weights_[OUTLIERS].max() < 1e-3
    assert np.median(robust.label_weights_) > 0.7
    assert clean.noise_std_ == pytest.approx(0.01, rel=0.5)
    # The noise of all labels: three of 60 are 2, 1 and 5 off.
    assert robust.noise_std_ == pytest.approx(np.sqrt(30 / 60), rel=0.05)
    assert error(robust) < 1.2 * error(clean) < 0.1 * error(plain)


def test_known_precision_of_labels():
    """Labels that are known to be bad count as little as labels that the others contradict."""
    weights = np.ones(60)
    weights[OUTLIERS] = 1e-6
    model = RobustGaussianProcessRegressor(degrees_of_freedom=np.inf)
    unweighted = error(model.fit(X, Y_WITH_OUTLIERS))
    assert error(model.fit(X, Y_WITH_OUTLIERS, sample_weight=weights)) < 0.1 * unweighted
    same = clone(model).fit(X, Y_WITH_OUTLIERS, sample_weight=16 * weights)
    assert np.array_equal(same.predict(X_NEW), model.predict(X_NEW))
    weights[5] = 0
    with pytest.raises(ValueError, match=r"must be positive .* is 0 in row 5"):
        model.fit(X, Y, sample_weight=weights)


def test_a_column_without_influence_has_a_large_length_scale():
    model = RobustGaussianProcessRegressor().fit(X, Y)
    assert model.length_scales_[2] > 5 * model.length_scales_[:2].max()


# -- shapes, order and groups


def test_targets_are_independent():
    y = np.column_stack([Y_WITH_OUTLIERS, X[:, 2] * X[:, 0]])
    model = RobustGaussianProcessRegressor().fit(X, y)
    mean, deviation = model.predict(X_NEW, return_std=True, include_noise=True)
    assert model.label_weights_.shape == (60, 2)
    assert model.length_scales_.shape == (2, 3)
    assert model.noise_std_.shape == model.signal_std_.shape == (2,)
    for target in range(2):
        single = clone(model).fit(X, y[:, target])
        expected = single.predict(X_NEW, return_std=True, include_noise=True)
        assert np.array_equal(mean[:, target], expected[0])
        assert np.array_equal(deviation[:, target], expected[1])
        assert np.array_equal(model.label_weights_[:, target], single.label_weights_)
    assert clone(model).fit(X, y[:, :1]).predict(X_NEW).shape == (40, 1)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_order_of_rows_and_columns_does_not_matter(frame):
    groups = {"composition": ["x_*"], "structure": ["volume"]}
    model = RobustGaussianProcessRegressor(groups)
    table = {name: X[:, k] for k, name in enumerate(NAMES)}
    new = {name: X_NEW[:, k] for k, name in enumerate(NAMES)}
    expected = clone(model).fit(frame(table), Y_WITH_OUTLIERS).predict(frame(new))
    order, columns = np.random.default_rng(0).permutation(60), [2, 0, 1]
    shuffled = {NAMES[k]: X[order, k] for k in columns}
    model.fit(frame(shuffled), Y_WITH_OUTLIERS[order])
    found = model.predict(frame({NAMES[k]: X_NEW[:, k] for k in columns}))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert {k: v.tolist() for k, v in model.column_groups_.items()} == {
        "composition": [1, 2],
        "structure": [0],
    }


def test_prefixes_of_a_column_transformer_are_seen_through():
    table = pd.DataFrame(X, columns=NAMES)
    groups = [["x_*"], ["volume"]]
    same = FunctionTransformer(feature_names_out="one-to-one")
    columns = make_column_transformer((same, NAMES), verbose_feature_names_out=True)
    columns.set_output(transform="pandas")
    pipeline = make_pipeline(columns, RobustGaussianProcessRegressor(groups)).fit(table, Y)
    assert pipeline[-1].feature_names_in_[0] == "functiontransformer__x_Fe"
    direct = RobustGaussianProcessRegressor(groups).fit(table, Y)
    assert np.array_equal(pipeline.predict(table), direct.predict(table))


def test_one_length_scale_in_wide_groups():
    wide = np.random.default_rng(0).normal(size=(40, 34))
    model = RobustGaussianProcessRegressor([list(range(31)), "*"]).fit(wide, wide[:, 0])
    in_deviations = model.length_scales_ / wide.std(axis=0)
    np.testing.assert_allclose(in_deviations[:31], in_deviations[0])
    assert len(np.unique(in_deviations[31:].round(6))) == 3
    model.set_params(length_scales="group").fit(wide, wide[:, 0])
    assert len(np.unique((model.length_scales_ / wide.std(axis=0)).round(6))) == 2


# -- the same bits


def test_predictions_do_not_depend_on_the_other_rows():
    """Nor on the number of threads."""
    model = RobustGaussianProcessRegressor().fit(X, Y)
    many = make_rows(700, seed=4)
    mean, deviation = model.predict(many, return_std=True)
    for rows in (slice(0, 1), slice(255, 257), slice(300, 700)):
        part, part_deviation = model.predict(many[rows], return_std=True)
        assert np.array_equal(part, mean[rows])
        assert np.array_equal(part_deviation, deviation[rows])
    with threadpool_limits(2):
        assert np.array_equal(clone(model).fit(X, Y).predict(many), mean)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(many), mean)


def test_tables_of_any_kind():
    """Their columns lie one after the other in memory, those of an array of numpy do not."""
    expected = RobustGaussianProcessRegressor().fit(X, Y).predict(X_NEW)
    for table in (np.asfortranarray, lambda X: pd.DataFrame(X, columns=NAMES), pl.DataFrame):
        found = RobustGaussianProcessRegressor().fit(table(X), Y).predict(table(X_NEW))
        assert np.array_equal(found, expected)


@pytest.mark.slow
def test_folds_in_parallel(processes):
    model = RobustGaussianProcessRegressor()
    serial = cross_val_predict(model, X, Y, cv=2)
    assert np.array_equal(cross_val_predict(model, X, Y, cv=2, n_jobs=2), serial)


def test_length_scales_from_a_part_of_the_rows():
    """Parameters are those of the part, the posterior is that of all rows."""
    many = make_rows(150)
    y = smooth(many)
    model = RobustGaussianProcessRegressor(n_optimizer_rows=40, random_state=0).fit(many, y)
    part = np.sort(np.random.RandomState(0).choice(150, 40, replace=False))
    assert error(model) < 0.2 * error(clone(model).fit(many[part], y[part]))
    assert np.array_equal(clone(model).fit(many, y).predict(many), model.predict(many))
    assert model.label_weights_.shape == (150,)
    other = clone(model).set_params(random_state=1).fit(many, y)
    assert not np.array_equal(other.length_scales_, model.length_scales_)


# -- small and odd input


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_rows(n):
    model = RobustGaussianProcessRegressor().fit(X[:n], Y[:n])
    mean, deviation = model.predict(X_NEW, return_std=True)
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()
    np.testing.assert_allclose(model.predict(X[:n]), Y[:n], atol=0.3)


def test_constant_labels_and_constant_columns():
    model = RobustGaussianProcessRegressor().fit(X, np.full(60, 0.1))
    mean, deviation = model.predict(X_NEW, return_std=True, include_noise=True)
    assert (mean == 0.1).all()
    assert (deviation == 0).all()
    with_constant = np.column_stack([X, np.full(60, 0.1)])
    found = RobustGaussianProcessRegressor().fit(with_constant, Y)
    expected = RobustGaussianProcessRegressor().fit(X, Y)
    np.testing.assert_allclose(found.predict(with_constant), expected.predict(X), atol=1e-4)
    # Of a row that differs in this column, less is known.
    other = np.column_stack([X, np.full(60, 1.1)])
    deviation = expected.predict(X, return_std=True)[1]
    assert (found.predict(other, return_std=True)[1] > 2 * deviation).all()


def test_repeated_rows_and_labels_without_noise():
    twice, y = np.vstack([X, X]), np.tile(smooth(X), 2)
    model = RobustGaussianProcessRegressor().fit(twice, y)
    np.testing.assert_allclose(model.predict(X), smooth(X), atol=1e-3)
    contradicting = y + np.repeat([0.0, 0.2], 60)
    mean = RobustGaussianProcessRegressor().fit(twice, contradicting).predict(X)
    assert np.abs(mean - smooth(X) - 0.1).mean() < 0.05


def test_errors_and_warnings_say_what_to_do():
    model = RobustGaussianProcessRegressor()
    broken = pd.DataFrame(X.copy(), columns=NAMES)
    broken.loc[7, "volume"] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity, first in row 7, column 'volume'"):
        model.fit(broken, Y)
    y = Y.copy()
    y[4] = np.inf
    with pytest.raises(ValueError, match="Input y contains NaN or infinity, first in row 4"):
        model.fit(X, y)
    with pytest.raises(ValueError, match=r"has 10001 rows, .* fit a random part"):
        model.fit(np.zeros((10_001, 1)), np.zeros(10_001))
    with pytest.warns(ConvergenceWarning, match="after max_iter=1 iterations; increase max_iter"):
        clone(model).set_params(max_iter=1).fit(X, Y)
    with pytest.raises(ValueError, match="y contains NaN or infinity, first in row 4, target 1"):
        model.fit(X, np.column_stack([Y, y]))
    for value in (np.nan, np.inf):
        weights = np.ones(60)
        weights[9] = value
        with pytest.raises(ValueError, match=r"sample_weight contains NaN or infinity, .* row 9"):
            model.fit(X, Y, sample_weight=weights)


@pytest.mark.parametrize("factor", [1e-300, 1e200])
def test_units_whose_squares_are_no_numbers(factor):
    """They would be zero or infinite, and the predictions wrong or NaN."""
    model = RobustGaussianProcessRegressor()
    with pytest.raises(ValueError, match=r"in column 1, whose variance .* choose another unit"):
        model.fit(X * [1, factor, 1], Y)
    with pytest.raises(ValueError, match=r"y has values from .*, whose variance .* another unit"):
        model.fit(X, factor * Y)
    weights = np.ones(60)
    weights[3] = factor
    with pytest.raises(ValueError, match=r"sample_weight .*in row 3.*leave"):
        model.fit(X, Y, sample_weight=weights)


@pytest.mark.parametrize("value", [1e4, 1e154, -1e308])
def test_far_from_all_rows_the_prediction_is_the_prior(value):
    model = RobustGaussianProcessRegressor().fit(X, Y)
    mean, deviation = model.predict(np.full((1, 3), value), return_std=True)
    assert mean[0] == np.median(Y)
    assert deviation[0] == pytest.approx(model.signal_std_, rel=1e-12)
