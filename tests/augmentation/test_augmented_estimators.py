"""Samplers keep their promises, estimators use them, and no held-out row is ever seen."""

import importlib
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import Pipeline as SamplingPipeline
from imblearn.under_sampling import RandomUnderSampler
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import Lasso, LogisticRegression, Ridge, RidgeClassifier, SGDRegressor
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from sklearn.utils.estimator_checks import parametrize_with_checks
from xgboost import XGBRegressor

import sklmat.augmentation
from sklmat.augmentation import (
    AugmentedClassifier,
    AugmentedRegressor,
    InfoGANAugmenter,
    MixupAugmenter,
    NoiseAugmenter,
)
from sklmat.augmentation._base_augmenter import BaseAugmenter
from sklmat.augmentation._codes import find_blocks, find_codes
from sklmat.estimator_checks import check_sampler, make_toy_table, sampler_checks


def leading_five(table):
    """Code columns of the toy table, by their places."""
    return range(5)


#: Instances that fit two dozen rows in no time, for the checks.
SAMPLERS = [
    NoiseAugmenter(),
    NoiseAugmenter(scale=0.5, code_features=leading_five),
    MixupAugmenter(),
    MixupAugmenter(alpha=0.4, label_bandwidth=0.5),
    InfoGANAugmenter(n_samples=1.0, max_epochs=5, n_ensemble=1, hidden_dim=8),
]
AUGMENTED = [
    AugmentedRegressor(Ridge(), NoiseAugmenter()),
    AugmentedRegressor(Ridge(), MixupAugmenter(), sample_weight=0.5),
    AugmentedRegressor(SGDRegressor(), NoiseAugmenter(), strategy="pretrain_finetune"),
    AugmentedRegressor(Ridge()),
    AugmentedClassifier(LogisticRegression(), NoiseAugmenter()),
    AugmentedClassifier(LogisticRegression(), MixupAugmenter(), sample_weight=0.5),
    AugmentedClassifier(LogisticRegression()),
]


class Fixed(BaseAugmenter):
    """Returns the first real rows again, with labels moved by `shift`."""

    _parameter_constraints = {"shift": "no_validation", **BaseAugmenter._parameter_constraints}

    def __init__(self, *, shift=0, n_samples=1.0, y_range=None, random_state=None):
        super().__init__(n_samples=n_samples, y_range=y_range, random_state=random_state)
        self.shift = shift

    def _learn(self, X, y):
        self._rows, self._labels = X, y

    def _generate(self, n, rng):
        rows = np.arange(n) % len(self._rows)
        return self._rows[rows], self._labels[rows] + self.shift


def random_table(n=60, n_columns=3, seed=0):
    """Normal columns and a target that is linear in them."""
    X = np.random.default_rng(seed).normal(size=(n, n_columns))
    return X, X @ np.arange(1.0, n_columns + 1)


def generated(sampler, X, y):
    """Only the rows that the sampler adds."""
    X_all, y_all = sampler.fit_resample(X, y)
    return X_all[len(X) :], y_all[len(X) :]


# -- conventions


def case_name(value):
    return value.__name__ if callable(value) else type(value).__name__


@pytest.mark.parametrize(
    ("sampler", "check"), [c for s in SAMPLERS for c in sampler_checks(s)], ids=case_name
)
def test_samplers(sampler, check):
    check(sampler)


def test_every_sampler_is_checked():
    names = {name for name in sklmat.augmentation.__all__ if name.endswith("Augmenter")}
    assert names == {type(sampler).__name__ for sampler in SAMPLERS}


@parametrize_with_checks([NoiseAugmenter(), MixupAugmenter(), *AUGMENTED])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_controls_need_no_torch():
    code = (
        "import sys; from sklmat.augmentation import AugmentedRegressor, MixupAugmenter; "
        "from sklmat.augmentation import NoiseAugmenter; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "xgboost", "matplotlib", "skorch"} & set(done.stdout.split())


def test_unknown_names_raise():
    with pytest.raises(AttributeError, match="no attribute 'SmoteAugmenter'"):
        sklmat.augmentation.SmoteAugmenter  # noqa: B018
    assert "NoiseAugmenter" in dir(importlib.reload(sklmat.augmentation))


# -- the checks catch what they are for


class Broken(NoiseAugmenter):
    """A sampler of which the tests below break one thing each."""


class Reversed(Broken):
    def fit_resample(self, X, y):
        X_all, y_all = super().fit_resample(X, y)
        return X_all[::-1], y_all[::-1]


class Wordy(Broken):
    def _learn(self, X, y):
        super()._learn(X, y)
        self.rows = X


class Global(Broken):
    def _generate(self, n, rng):
        X, y = super()._generate(n, rng)
        return X + 0.01 * np.random.normal(), y  # noqa: NPY002


class Clipping(Broken):
    def fit_resample(self, X, y):
        limits, self.y_range = self.y_range, None
        X_all, y_all = super().fit_resample(X, y)
        self.y_range = limits
        if limits is not None:
            y_all.iloc[len(X) :] = y_all.iloc[len(X) :].clip(*limits)
        return X_all, y_all


class Inventive(Broken):
    def fit_resample(self, X, y):
        X_all, y_all = super().fit_resample(X, y)
        if isinstance(y_all, pd.Series) and self.classes_ is not None:
            y_all = y_all.astype(object)
            y_all.iloc[-1] = "hcp"
        return X_all, y_all


class Careless(Broken):
    def _learn(self, X, y):
        super()._learn(X, y)
        self.noise_scale_ = np.full(X.shape[1], 0.1)


class Transforming(Broken):
    def transform(self, X):
        return X


class Mutating(Broken):
    def fit_resample(self, X, y):
        result = super().fit_resample(X, y)
        if isinstance(X, np.ndarray):
            X += 1.0
        return result


class Plain(Broken):
    def fit_resample(self, X, y):
        X_all, y_all = super().fit_resample(X, y)
        return np.asarray(X_all), np.asarray(y_all)


class Doubling(Broken):
    def _n_new(self, n_real):
        return 2 * super()._n_new(n_real)


class Silent(Broken):
    def _check_rows(self, X, *, reset=False):
        return super()._check_rows(np.nan_to_num(X), reset=reset)


@pytest.mark.parametrize(
    ("broken", "name", "message"),
    [
        (Reversed, "check_real_rows_first", "real rows"),
        (Wordy, "check_sampler_protocol", r"fit sets \['rows'\]"),
        (Global, "check_sampler_seed", "global random numbers moved on"),
        (Clipping, "check_y_range", "labels are clipped"),
        (Inventive, "check_class_targets", "new classes among strings"),
        (Careless, "check_rows_are_possible", "fraction is negative"),
        (Transforming, "check_sampler_protocol", "must have no transform"),
        (Mutating, "check_sampler_inputs_not_mutated", "X was changed"),
        (Plain, "check_table_types", "a DataFrame became ndarray"),
        (Doubling, "check_n_samples", "adds 10 rows"),
        (Silent, "check_sampler_bad_input", "a row with NaN: accepted"),
    ],
)
def test_checks_catch_broken_samplers(broken, name, message):
    check = {check.__name__: check for _, check in sampler_checks(broken())}[name]
    with pytest.raises(AssertionError, match=message):
        check(broken())


def test_check_sampler_reports():
    known = {"check_real_rows_first": "they come last"}
    results = check_sampler(Reversed(), on_fail=None, expected_failed_checks=known)
    status = {result["check_name"]: result["status"] for result in results}
    assert status["check_real_rows_first"] == "xfail"
    assert status["check_table_types"] == "failed"
    assert status["check_sampler_clone"] == "passed"
    with pytest.raises(AssertionError, match="real rows"):
        check_sampler(Reversed())


def test_check_sampler_takes_instances():
    with pytest.raises(TypeError, match="pass an instance"):
        check_sampler(NoiseAugmenter)


# -- which columns are codes


NAMES = ["volume", "x_Fe", "x_Ni", "lattice_fcc", "lattice_bcc", "lattice_constant", "Fe_0", "C_0"]
ROWS = np.array(
    [
        # volume, x_Fe, x_Ni, fcc, bcc, a (Å), Fe_0, C_0
        [11.8, 1.0, 0.0, 0.0, 1.0, 2.9, 0.4, 0.0],
        [10.9, 0.0, 1.0, 1.0, 0.0, 3.5, 0.0, 0.0],
        [11.2, 0.4, 0.6, 1.0, 0.0, 3.6, 0.7, 0.0],
    ]
)


def test_codes_by_name():
    codes = find_codes(NAMES, ROWS)
    assert codes.columns.tolist() == [1, 2, 3, 4]
    assert codes.fractions.tolist() == [1, 2]
    assert [group.tolist() for group in codes.groups] == [[3, 4]]
    assert find_blocks(NAMES, ROWS, codes).tolist() == [-1, -1, -1, -1, -1, -1, 1, -1]


def test_a_category_may_be_constant():
    rows = ROWS.copy()
    rows[:, 3:5] = [1.0, 0.0]
    codes = find_codes(NAMES, rows)
    assert [group.tolist() for group in codes.groups] == [[3, 4]]


def test_codes_of_a_plain_array_lead():
    order = [1, 2, 3, 4, 0, 5, 6]
    rows = ROWS[:, order]
    codes = find_codes(None, rows)
    assert codes.columns.tolist() == [0, 1, 2, 3]
    assert codes.fractions.tolist() == [0, 1]
    assert [group.tolist() for group in codes.groups] == [[2, 3]]
    assert find_blocks(None, rows, codes).tolist() == [-1, -1, -1, -1, -1, -1, 0]


def test_a_column_of_the_wrong_zeros_is_no_block():
    rows = np.array([[1.0, 0.0, 0.5, 0.0], [0.0, 1.0, 0.1, 0.3], [0.5, 0.5, 0.0, 0.0]])
    # The third column is not zero where the first fraction is; the fourth mostly is elsewhere too.
    codes = find_codes(None, rows)
    assert find_blocks(None, rows, codes).tolist() == [-1, -1, -1, -1]
    assert find_blocks(["x_Fe", "x_Ni", "Fe_0", "Ni_0"], rows, codes).tolist() == [-1, -1, -1, 1]


@pytest.mark.parametrize(
    ("asked", "columns"),
    [
        (["x_Ni", "volume"], [2, 0]),
        ([2, -8], [2, 0]),
        ("x_Ni", [2]),
        (lambda table: [name for name in table.columns if name.startswith("lattice")], [3, 4, 5]),
        ([False, True, True, False, False, False, False, False], [1, 2]),
    ],
)
def test_codes_that_are_asked_for(asked, columns):
    assert find_codes(NAMES, ROWS, asked).columns.tolist() == columns


@pytest.mark.parametrize(
    ("names", "asked", "message"),
    [
        (NAMES, ["x_Co"], "no column 'x_Co'"),
        (None, ["x_Fe"], "have no names"),
        (NAMES, [8], "not one of 8 columns"),
        (NAMES, [1, "x_Fe"], "more than once"),
        (NAMES, [True, False], "2 booleans for 8 columns"),
        (["a", "b", "c", "d", "e", "f", "g", "h"], None, "x_<element>"),
        (None, None, "no leading columns sum to one"),
    ],
)
def test_codes_that_do_not_exist(names, asked, message):
    with pytest.raises(ValueError, match=message):
        find_codes(names, ROWS, asked)


def test_columns_that_only_look_like_fractions_are_no_codes():
    rows = np.array([[0.2, 0.7], [0.4, 0.4]])
    with pytest.raises(ValueError, match="sum to one"):
        find_codes(["x_position", "x_velocity"], rows)
    assert len(find_codes(["x_position", "x_velocity"], rows, required=False).columns) == 0
    assert len(find_codes(None, np.column_stack([np.ones(2), rows]), required=False).columns) == 0


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([[0.3, 0.3, 1.0], [0.4, 0.6, 0.0]], r"row 0 has \[0.3, 0.3\]"),  # a column was dropped
        ([[40.0, 60.0, 1.0], [50.0, 50.0, 0.0]], r"row 0 has \[40.0, 60.0\]"),  # percent
        ([[0.5, 0.5, 1.0], [-1.2, 2.2, 0.0]], r"row 1 has \[-1.2, 2.2\]"),  # scaled
    ],
)
def test_columns_called_fractions_are_fractions(rows, named):
    names, rows = ["x_Fe", "x_Ni", "lattice_fcc"], np.column_stack([rows, 1 - np.array(rows)[:, 2]])
    names = [*names, "lattice_bcc"]
    # Lattice alone would be the code, and compositions would be generated like any descriptor.
    with pytest.raises(ValueError, match=f"are no fractions.*{named}"):
        find_codes(names, rows)
    with pytest.warns(UserWarning, match=f"are no fractions.*{named}"):
        assert find_codes(names, rows, required=False).columns.tolist() == [2, 3]
    assert find_codes(names, rows, ["x_Fe"]).columns.tolist() == [0]


def test_codes_are_found_behind_the_prefix_of_a_union():
    """FeatureUnion and ColumnTransformer put a name and two underscores before each column."""
    names = ["x_Fe", "x_Ni", "lattice_bcc", "lattice_fcc", "Fe_0", "Ni_0", "volume"]
    x = np.array([1.0, 0.5, 0.25, 0.0])
    rows = np.column_stack([x, 1 - x, [1, 0, 0, 1], [0, 1, 1, 0], x, 1 - x, 3 * x])
    prefixed = [f"union__{name}" for name in names]
    for these in (names, prefixed):
        codes = find_codes(these, rows)
        assert codes.columns.tolist() == [0, 1, 2, 3]
        assert codes.fractions.tolist() == [0, 1]
        assert [group.tolist() for group in codes.groups] == [[2, 3]]
        assert find_blocks(these, rows, codes).tolist() == [-1, -1, -1, -1, 0, 1, -1]


def test_names_for_other_modules_are_importable_and_not_public():
    assert sklmat.augmentation.BaseAugmenter is BaseAugmenter
    assert "BaseAugmenter" not in sklmat.augmentation.__all__


# -- the base class


def test_integers_stay_integers_only_where_they_can():
    X = pd.DataFrame({"x_Fe": [1, 0, 1], "x_Ni": [0, 1, 0], "sites": [4, 8, 2], "f": [1, 2, 4]})
    X = X.astype({"f": np.float32}).assign(flag=[True, False, True])
    X_all, _ = NoiseAugmenter(random_state=0).fit_resample(X, [0.1, 0.2, 0.3])
    assert X_all.dtypes.astype(str).tolist() == ["int64", "int64", "float64", "float32", "bool"]
    array, _ = NoiseAugmenter(random_state=0).fit_resample(np.array([[1, 4], [2, 9]]), [0.1, 0.2])
    assert array.dtype == np.float64
    assert_array_equal(array[:2], [[1, 4], [2, 9]])


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (pd.RangeIndex(3), [0, 1, 2, 3, 4]),
        (pd.Index([7, 2, 5], name="row"), [7, 2, 5, 8, 9]),
        (pd.Index(["Fe", "Ni", "FeNi"]), ["Fe", "Ni", "FeNi", 3, 4]),
        (pd.Index([1.5, 4.0, 3.0]), [1.5, 4.0, 3.0, 5, 6]),
        (pd.Index([0, 255, 7], dtype="uint8"), [0, 255, 7, 256, 257]),
    ],
)
def test_index_goes_on(index, expected):
    X = pd.DataFrame(ROWS, columns=NAMES, index=index)
    X_all, y_all = Fixed(n_samples=2).fit_resample(X, pd.Series([1.0, 2.0, 3.0], index=index))
    assert X_all.index.tolist() == y_all.index.tolist() == expected
    assert X_all.index.name == index.name


def test_a_target_with_an_index_of_its_own_keeps_it():
    X = pd.DataFrame(ROWS, columns=NAMES)
    y = pd.Series([1.0, 2.0, 3.0], index=[10, 20, 30], name="E")
    X_all, y_all = Fixed(n_samples=1).fit_resample(X, y)
    assert X_all.index.tolist() == [0, 1, 2, 3]
    assert y_all.index.tolist() == [10, 20, 30, 31]


def test_rejected_rows_are_drawn_again():
    X, y = random_table(20)
    limits = tuple(np.quantile(y, [0.4, 0.6]))
    X_new, y_new = generated(NoiseAugmenter(n_samples=50, y_range=limits, random_state=0), X, y)
    assert X_new.shape == (50, 3)
    inside = y[(y >= limits[0]) & (y <= limits[1])]
    assert set(y_new) == set(inside)


def test_ranges_of_two_targets():
    X, y = random_table(20)
    sampler = NoiseAugmenter(y_range=([-np.inf, 0], np.inf), random_state=0)
    _, y_new = generated(sampler, X, np.column_stack([y, -y]))
    assert (y_new[:, 1] >= 0).all()
    with pytest.raises(ValueError, match="does not suit a target of 2 columns"):
        sampler.set_params(y_range=([0, 0, 0], 1)).fit(X, np.column_stack([y, y]))


class Rare(Fixed):
    """Labels 1, 2, 3, ... of which `y_range` takes few."""

    def _learn(self, X, y):
        super()._learn(X, y)
        self._drawn = 0

    def _generate(self, n, rng):
        X, _ = super()._generate(n, rng)
        self._drawn += n
        return X, np.arange(self._drawn - n, self._drawn, dtype=float)


def test_too_few_inside_the_range_warn_and_none_raises():
    X, y = random_table(10)
    with pytest.warns(UserWarning, match="only 3 of 10 generated rows were accepted"):
        X_all, _ = Rare(y_range=(50, 52)).fit_resample(X, y)
    assert len(X_all) == 13
    with pytest.raises(ValueError, match="only 0 of 10"):
        Rare(y_range=(1e6, 1e7)).fit_resample(X, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (pd.Series([1, None, 2], dtype="Int64"), "y contains NaN.* row 1"),
        (pd.Series([1.0, 2.0, None], dtype="Float64"), "y contains NaN or infinity.* row 2"),
        (["a", None, "b"], "y contains NaN, first in row 1"),
        (np.array(["a", 1, "b"], dtype=object), "mixes strings and numbers"),
        (np.array([1, 2, 3], dtype="timedelta64[s]"), "neither numbers nor classes"),
        (np.zeros((3, 1, 1)), "one or two dimensions"),
    ],
)
def test_targets_that_cannot_be_used(y, message):
    with pytest.raises(ValueError, match=message):
        Fixed().fit_resample(ROWS, y)


def test_integers_that_are_hardly_classes_are_warned_of():
    X, y = random_table(30)
    with pytest.warns(UserWarning, match=r"has 30 different ones in 30 rows.*y.astype\(float\)"):
        Fixed().fit_resample(X, np.arange(30))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Fixed().fit_resample(X, np.arange(30) % 15)
        Fixed().fit_resample(X, y)


def test_nullable_targets_keep_their_type():
    for y in (pd.Series([1, 2, 2], dtype="Int64"), pd.Series([0.5, 1, 2], dtype="Float64")):
        _, y_all = Fixed().fit_resample(ROWS, y)
        assert y_all.dtype == y.dtype
        assert y_all.tolist() == [*y, *y]


def test_what_a_subclass_generates_is_checked():
    X, y = random_table(10)
    broken = Fixed(shift=np.nan)
    with pytest.raises(ValueError, match="generated NaN or infinity in 10 of 10 rows"):
        broken.fit_resample(X, y)
    with pytest.raises(ValueError, match=r"targets of shape \(10, 10\)"):
        Fixed(shift=np.zeros((10, 1))).fit_resample(X, y)
    for shift in (1, -1, 0.5):
        with pytest.raises(ValueError, match="is not a position in classes_"):
            Fixed(shift=shift).fit_resample(X, y > 0)


def test_fit_needs_no_target_where_none_is_used():
    X, _ = random_table(10)
    assert NoiseAugmenter().fit(X).n_features_in_ == 3
    with pytest.raises(ValueError, match="label_bandwidth compares labels"):
        MixupAugmenter(label_bandwidth=1.0).fit(X)


# -- noise


def test_noise_has_the_asked_size_and_keeps_what_a_row_is():
    X, y = make_toy_table(60)
    sampler = NoiseAugmenter(scale=0.2, n_samples=6000, random_state=0)
    X_new, y_new = generated(sampler, X, y)
    source = {label: row for row, label in enumerate(y)}
    rows = np.array([source[label] for label in y_new])
    assert (np.bincount(rows) == 100).all()
    real = X.to_numpy()[rows]
    difference = X_new.to_numpy() - real
    codes = [name.startswith(("x_", "lattice_")) for name in X.columns]
    assert_array_equal(difference[:, codes], 0)
    for name in ("Fe_0", "Pd_1", "volume per atom (Å³)"):
        column = X.columns.get_loc(name)
        present = np.ones(60, dtype=bool) if "volume" in name else X[name].to_numpy() != 0
        expected = 0.2 * X.loc[present, name].std(ddof=0)
        assert_allclose(sampler.noise_scale_[column], expected)
        assert_allclose(difference[present[rows], column].std(), expected, rtol=0.05)
        assert_allclose(difference[present[rows], column].mean(), 0, atol=0.05 * expected)
        assert_array_equal(difference[~present[rows], column], 0)


def test_noise_leaves_constants_and_flags_alone():
    X = np.array([[5.0, 0.0, 1.2], [5.0, 1.0, 3.4], [5.0, 1.0, 2.2]])
    X_new, _ = generated(NoiseAugmenter(random_state=0), X, [0.1, 0.2, 0.3])
    assert_array_equal(X_new[:, 0], 5.0)
    assert set(X_new[:, 1]) == {0.0, 1.0}
    assert not set(X_new[:, 2]) & set(X[:, 2])


def test_nothing_to_disturb():
    X = pd.DataFrame({"x_Fe": [1.0, 0.3], "x_Ni": [0.0, 0.7], "n": [2.0, 2.0]})
    with pytest.raises(ValueError, match="nothing to disturb"):
        NoiseAugmenter().fit(X)


# -- mix-up


def test_mixtures_lie_between_two_rows():
    X, y = random_table(40)
    X_new, y_new = generated(MixupAugmenter(n_samples=700, random_state=0), X, y)
    # y is linear in X, so mixing both with one weight keeps the relation.
    assert_allclose(y_new, X_new @ [1.0, 2.0, 3.0], atol=1e-12)
    assert ((X_new >= X.min(axis=0)) & (X_new <= X.max(axis=0))).all()
    apart = np.linalg.norm(X_new[:, None] - X, axis=2)
    between = np.linalg.norm(X[:, None] - X, axis=2)
    sums = apart[:, :, None] + apart[:, None, :] - between
    sums[:, np.arange(40), np.arange(40)] = np.inf
    assert_allclose(sums.min(axis=(1, 2)), 0, atol=1e-9)


@pytest.mark.parametrize("alpha", [0.4, 3.0])
def test_weights_follow_the_beta_distribution(alpha):
    X, y = np.array([[2.0], [4.0]]), np.array([0.0, 1.0])
    sampler = MixupAugmenter(alpha=alpha, n_samples=20000, random_state=0)
    X_new, y_new = generated(sampler, X, y)
    weight = (X_new[:, 0] - 2.0) / 2.0
    assert_allclose(weight, y_new, atol=1e-12)
    assert_allclose(weight.mean(), 0.5, atol=0.01)
    assert_allclose(weight.var(), 1 / (4 * (2 * alpha + 1)), rtol=0.03)


def test_partners_are_near_in_the_label():
    y = np.array([0.0, 1.0, 3.0])
    X = np.diag([1.0, 2.0, 4.0]) + 0.5  # which rows are mixed can be read off
    sampler = MixupAugmenter(label_bandwidth=0.8, n_samples=30000, random_state=0)
    X_new, _ = generated(sampler, X, y)
    mixed = X_new > 0.5 + 1e-9
    counts = [np.sum(mixed[:, a] & mixed[:, b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    odds = np.exp(-((np.array([1.0, 3.0, 2.0]) / y.std()) ** 2) / (2 * 0.8**2))
    # Each row is the first of a third of the pairs; its partner is one of two.
    share = [
        odds[0] / (odds[0] + odds[1]) + odds[0] / (odds[0] + odds[2]),
        odds[1] / (odds[0] + odds[1]) + odds[1] / (odds[1] + odds[2]),
        odds[2] / (odds[0] + odds[2]) + odds[2] / (odds[1] + odds[2]),
    ]
    assert_allclose(np.array(counts) / np.sum(counts), np.array(share) / 3, atol=0.01)


def test_a_narrow_bandwidth_takes_the_nearest():
    X, y = random_table(30)
    _, y_new = generated(MixupAugmenter(alpha=50.0, label_bandwidth=1e-6, random_state=0), X, y)
    gaps = np.sort(np.abs(y[:, None] - y), axis=1)[:, 1]
    nearest = np.sort(np.abs(y_new[:, None] - y), axis=1)[:, 0]
    assert (nearest <= gaps.max()).all()


def test_only_rows_of_one_phase_and_class_are_mixed():
    X, y = make_toy_table(30)
    two = (y > y.median()).to_numpy()
    X_new, y_new = generated(MixupAugmenter(n_samples=300, random_state=0), X, two)
    key = ["lattice_bcc", "lattice_fcc"]
    for phase in (0.0, 1.0):
        for label in (False, True):
            real = X[(X["lattice_fcc"] == phase) & (two == label)]
            new = X_new[(X_new["lattice_fcc"] == phase) & (y_new == label)]
            assert len(new)
            assert (new.max() <= real.max() + 1e-12).all()
            assert (new.min() >= real.min() - 1e-12).all()
    assert (X_new[key].sum(axis=1) == 1).all()


def test_flags_may_be_mixed_when_told_so():
    X = pd.DataFrame({"x_Fe": [1.0, 0.5], "x_Ni": [0.0, 0.5], "flag": [0.0, 1.0]})
    y = [0.1, 0.2]
    with pytest.raises(ValueError, match="no two rows to mix"):
        MixupAugmenter().fit_resample(X, y)
    X_new, _ = generated(MixupAugmenter(code_features=["x_Fe", "x_Ni"], random_state=0), X, y)
    assert ((X_new["flag"] > 0) & (X_new["flag"] < 1)).all()


# -- estimators that augment


def test_none_augments_nothing():
    X, y = random_table()
    model = AugmentedRegressor(Ridge()).fit(X, y)
    assert model.augmenter_ is None
    assert_array_equal(model.predict(X), Ridge().fit(X, y).predict(X))


def test_concat_is_fit_on_what_the_sampler_returns():
    X, y = random_table()
    sampler = NoiseAugmenter(scale=1.0, random_state=0)
    model = AugmentedRegressor(Ridge(), sampler).fit(X, y)
    by_hand = Ridge().fit(*clone(sampler).fit_resample(X, y))
    assert_array_equal(model.estimator_.coef_, by_hand.coef_)
    in_pipeline = SamplingPipeline([("noise", sampler), ("ridge", Ridge())]).fit(X, y)
    assert_array_equal(model.predict(X), in_pipeline.predict(X))
    assert model.score(X, y) == by_hand.score(X, y)


def test_weight_of_generated_rows():
    X, y = random_table()
    wrong = Fixed(shift=8.0)
    scaled = make_pipeline(StandardScaler(), Ridge(alpha=1e-9))
    for estimator in (Ridge(alpha=1e-9), scaled):
        for weight in (0.0, 0.5, 3.0):
            model = AugmentedRegressor(estimator, wrong, sample_weight=weight).fit(X, y)
            # Each row is there twice, with labels y and y + 8.
            expected = y + 8 * weight / (1 + weight)
            assert_allclose(model.predict(X), expected, atol=1e-6)


def test_weights_of_something_that_takes_none():
    with pytest.raises(TypeError, match="KNeighborsRegressor does not"):
        AugmentedRegressor(KNeighborsRegressor(), Fixed(), sample_weight=0.5).fit(*random_table())


def test_integer_targets_are_numbers():
    X, _ = random_table()
    y = np.arange(60)
    for target in (y, y.tolist(), pd.Series(y)):
        model = AugmentedRegressor(Ridge(), Fixed(shift=0.5), sample_weight=1).fit(X, target)
        assert model.augmenter_.classes_ is None
        shifted = Ridge().fit(X, y + 0.25)
        assert_allclose(model.estimator_.intercept_, shifted.intercept_, atol=0.3)


def test_classes_of_any_type():
    X, y = random_table()
    for low, high in (("a", "b"), (1.0, 2.0), (False, True), (-3, 7)):
        target = np.where(y > 0, high, low)
        model = AugmentedClassifier(LogisticRegression(), MixupAugmenter(random_state=0))
        model.fit(X, target)
        assert model.classes_.tolist() == [low, high]
        assert set(model.predict(X).tolist()) == {low, high}
        assert model.predict_proba(X).shape == (60, 2)
        assert model.decision_function(X).shape == (60,)
        assert model.score(X, target) > 0.9


def test_methods_are_those_of_the_estimator():
    X, y = random_table()
    assert not hasattr(AugmentedClassifier(RidgeClassifier()), "predict_proba")
    assert hasattr(AugmentedClassifier(RidgeClassifier()), "decision_function")
    _, spread = AugmentedRegressor(GaussianProcessRegressor()).fit(X, y).predict(X, return_std=True)
    assert spread.shape == (60,)
    model = AugmentedRegressor(Ridge(), NoiseAugmenter())
    assert not hasattr(model, "n_features_in_")
    with pytest.raises(NotFittedError):
        model.predict(X)
    table, target = make_toy_table()
    model.fit(table, target)
    assert model.n_features_in_ == 12
    assert model.feature_names_in_.tolist() == table.columns.tolist()
    assert model.predict(table).shape == (24,)


def test_estimators_of_the_wrong_kind():
    X, y = random_table()
    with pytest.raises(TypeError, match="was given a classifier"):
        AugmentedRegressor(LogisticRegression()).fit(X, y)
    with pytest.raises(TypeError, match="was given a regressor"):
        AugmentedClassifier(Ridge()).fit(X, y > 0)


def test_early_stopping_on_relatives_is_warned_of():
    X, y = random_table(40)
    stops = make_pipeline(StandardScaler(), SGDRegressor(early_stopping=True, random_state=0))
    with pytest.warns(UserWarning, match="early_stopping=True of SGDRegressor"):
        AugmentedRegressor(stops, NoiseAugmenter()).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AugmentedRegressor(stops).fit(X, y)
        AugmentedRegressor(SGDRegressor(), NoiseAugmenter()).fit(X, y)


def test_one_seed_for_everything():
    X, y = random_table()
    pipeline = make_pipeline(StandardScaler(), SGDRegressor(max_iter=5, tol=None))
    model = AugmentedRegressor(pipeline, NoiseAugmenter(), random_state=3)
    first, again = (clone(model).fit(X, y).predict(X) for _ in range(2))
    assert_array_equal(first, again)
    other = clone(model).set_params(random_state=4).fit(X, y)
    assert not np.array_equal(other.predict(X), first)
    assert other.estimator_[-1].random_state != other.augmenter_.random_state
    assert model.augmenter.random_state is None


def test_samplers_of_imbalanced_learn():
    X, y = random_table()
    rare = np.where(y > np.quantile(y, 0.8), "high", "low")
    logistic = LogisticRegression()
    for sampler in (RandomOverSampler(random_state=0), RandomUnderSampler(random_state=0)):
        model = AugmentedClassifier(logistic, sampler).fit(X, rare)
        by_hand = logistic.fit(*sampler.fit_resample(X, rare))
        assert_array_equal(model.predict_proba(X), by_hand.predict_proba(X))
    weighted = AugmentedClassifier(logistic, RandomOverSampler(random_state=0), sample_weight=0.0)
    alone = LogisticRegression().fit(X, rare)
    assert_allclose(weighted.fit(X, rare).predict_proba(X), alone.predict_proba(X), atol=1e-3)
    with pytest.raises(ValueError, match="cannot be told apart"):
        weighted.set_params(augmenter=RandomUnderSampler(random_state=0)).fit(X, rare)


# -- pre-training on generated rows, fine-tuning on real ones


def two_steps(estimator, **params):
    """Pre-trained on labels that are 10 too large."""
    sampler = Fixed(shift=10.0)
    return AugmentedRegressor(estimator, sampler, strategy="pretrain_finetune", **params)


@pytest.mark.parametrize(
    "estimator",
    [
        XGBRegressor(n_estimators=30),
        GradientBoostingRegressor(random_state=0),
        HistGradientBoostingRegressor(max_iter=60),
        MLPRegressor(max_iter=2000, learning_rate_init=0.01, random_state=0),
        MLPRegressor(max_iter=2000, learning_rate_init=0.01, random_state=0, early_stopping=True),
        SGDRegressor(random_state=0),
        make_pipeline(StandardScaler(), SGDRegressor(random_state=0)),
    ],
    ids=lambda e: type(e).__name__,
)
def test_real_rows_have_the_last_word(estimator):
    X, y = random_table()
    model = two_steps(estimator).fit(X, y)
    assert abs(np.mean(model.predict(X) - y)) < 0.3
    assert estimator.get_params(deep=False) == model.estimator.get_params(deep=False)


def test_xgboost_goes_on_from_its_first_trees():
    X, y = random_table()
    model = two_steps(XGBRegressor(n_estimators=10)).fit(X, y)
    first = XGBRegressor(n_estimators=10).fit(X, y + 10)
    assert model.estimator_.get_booster().num_boosted_rounds() == 20
    begun = model.estimator_.predict(X, iteration_range=(0, 10))
    assert_allclose(begun, first.predict(X), atol=1e-4)


def test_gradient_boosting_goes_on_from_its_first_trees():
    X, y = random_table()
    model = two_steps(GradientBoostingRegressor(n_estimators=10, random_state=0)).fit(X, y)
    first = GradientBoostingRegressor(n_estimators=10, random_state=0).fit(X, y + 10)
    assert model.estimator_.n_estimators_ == 20
    stages = list(model.estimator_.staged_predict(X))
    assert_allclose(stages[9], first.predict(X))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_perceptron_goes_on_from_its_first_weights(early_stopping):
    X, y = random_table(200)
    # A first fit that has converged must not stop the second in its first epoch.
    slow = MLPRegressor(
        learning_rate_init=0.005, max_iter=3000, random_state=0, early_stopping=early_stopping
    )
    model = two_steps(slow).fit(X, y)
    alone = clone(slow).fit(X, y + 10)
    assert alone.n_iter_ < 3000
    assert model.estimator_.loss_curve_[: alone.n_iter_] == alone.loss_curve_
    assert model.estimator_.n_iter_ > 20
    # What the first fit has learned is off by 10, so the second begins with a loss of 10² / 2; one
    # that starts anew begins with about half the variance of y.
    anew = clone(slow).fit(X, y).loss_curve_[0]
    assert_allclose(model.estimator_.loss_curve_[alone.n_iter_], 50, rtol=0.2)
    assert anew < 10


def test_batches_go_on_through_partial_fit():
    X, y = random_table()
    model = AugmentedClassifier(
        GaussianNB(), Fixed(n_samples=30), strategy="pretrain_finetune"
    ).fit(X, (y > 0).astype(float))
    expected = np.bincount((y > 0).astype(int)) + np.bincount((y[:30] > 0).astype(int))
    assert_array_equal(model.estimator_.class_count_, expected)


def test_transformers_are_fitted_on_the_real_rows():
    X, y = make_toy_table()
    sampler = NoiseAugmenter(scale=2.0, random_state=0)
    steps = [("scale", StandardScaler()), ("no", "passthrough"), ("pca", PCA(5))]
    pipeline = Pipeline([*steps, ("sgd", SGDRegressor())])
    model = AugmentedRegressor(pipeline, sampler, strategy="pretrain_finetune").fit(X, y)
    assert_allclose(model.estimator_["scale"].mean_, X.mean())
    assert model.predict(X).shape == (24,)
    assert model.feature_names_in_.tolist() == X.columns.tolist()


def test_without_generated_rows_there_is_one_step():
    X, y = random_table()
    sampler = NoiseAugmenter(n_samples=0)
    for estimator in (
        XGBRegressor(n_estimators=5),
        make_pipeline(StandardScaler(), MLPRegressor()),
    ):
        estimator.set_params(**{k: 0 for k in estimator.get_params() if k.endswith("random_state")})
        if "mlpregressor__max_iter" in estimator.get_params():
            estimator.set_params(mlpregressor__max_iter=400, mlpregressor__tol=0.1)
        model = AugmentedRegressor(estimator, sampler, strategy="pretrain_finetune").fit(X, y)
        assert_array_equal(model.predict(X), clone(estimator).fit(X, y).predict(X))


@pytest.mark.parametrize(
    "estimator",
    [
        Ridge(),
        Lasso(warm_start=True),
        RandomForestRegressor(),
        SVR(),
        TransformedTargetRegressor(MLPRegressor()),
        make_pipeline(StandardScaler(), KNeighborsRegressor()),
    ],
    ids=lambda e: type(e).__name__,
)
def test_what_cannot_go_on_is_refused(estimator):
    with pytest.raises(TypeError, match=r"cannot go on with \w+ after a first fit"):
        two_steps(estimator).fit(*random_table())


def test_weights_and_two_steps_exclude_each_other():
    with pytest.raises(ValueError, match="never in one"):
        two_steps(SGDRegressor(), sample_weight=0.5).fit(*random_table())


def test_both_steps_need_each_class():
    X, _ = random_table()
    labels = np.where(np.arange(60) < 50, "a", "b")
    model = AugmentedClassifier(
        MLPClassifier(max_iter=5), Fixed(n_samples=10), strategy="pretrain_finetune"
    )
    with pytest.raises(ValueError, match="no generated row is of class"):
        model.fit(X, labels)


# -- cross-validation sees no held-out row


class SpyAugmenter(NoiseAugmenter):
    """Notes which rows it learns from, by their identity in the column ``id``."""

    log = []

    def _learn(self, X, y):
        super()._learn(X, y)
        self.log.append(("learn", set(X[:, -1])))


class SpyRegressor(KNeighborsRegressor):
    """Notes which rows it is fitted on, and which it predicts."""

    def fit(self, X, y):
        SpyAugmenter.log.append(("fit", set(np.asarray(X)[:, -1])))
        return super().fit(X, y)

    def predict(self, X):
        SpyAugmenter.log.append(("predict", set(np.asarray(X)[:, -1])))
        return super().predict(X)


@pytest.fixture
def log():
    SpyAugmenter.log.clear()
    return SpyAugmenter.log


def table_with_ids(n=40):
    """Descriptors, a target that nothing can predict from them, and an identity."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    return X.assign(id=np.arange(n) + 0.5), pd.Series(rng.normal(size=n))


def both_pipelines(noise, regressor):
    return {
        "imblearn": SamplingPipeline([("augmenter", noise), ("regressor", regressor)]),
        "scikit-learn": Pipeline([("regressor", AugmentedRegressor(regressor, noise))]),
    }


def held_out_rows_seen(log):
    """Rows that a model predicts in a validation although it, or its sampler, has learned them."""
    learned, known, leaked = set(), set(), set()
    for event, rows in log:
        if event == "learn":
            learned = rows
        elif event == "fit":
            known, learned = rows | learned, set()
        else:
            leaked |= rows & known
    return leaked


@pytest.mark.parametrize("kind", ["imblearn", "scikit-learn"])
def test_cross_validation_sees_no_held_out_row(kind, log):
    X, y = table_with_ids()
    noise = SpyAugmenter(code_features=["id"], random_state=0)
    folds = KFold(5, shuffle=True, random_state=0)
    cross_validate(
        both_pipelines(noise, SpyRegressor(1))[kind], X, y, cv=folds, error_score="raise"
    )
    assert [event for event, _ in log] == ["learn", "fit", "predict"] * 5
    for (train, test), events in zip(folds.split(X), np.reshape(log, (5, 3, 2)), strict=True):
        learned, fitted, predicted = events[:, 1]
        assert learned == fitted == set(X["id"].iloc[train])
        assert predicted == set(X["id"].iloc[test])
    assert held_out_rows_seen(log) == set()


@pytest.mark.parametrize("kind", ["imblearn", "scikit-learn"])
def test_searches_see_no_held_out_row(kind, log):
    X, y = table_with_ids()
    noise = SpyAugmenter(code_features=["id"], random_state=0)
    pipeline = both_pipelines(noise, SpyRegressor(1))[kind]
    step = "augmenter" if kind == "imblearn" else "regressor__augmenter"
    none = "passthrough" if kind == "imblearn" else None
    grid = [{f"{step}__n_samples": [0.5, 2.0]}, {step: [none]}]
    search = GridSearchCV(pipeline, grid, cv=3, refit=False, error_score="raise").fit(
        X[:30], y[:30]
    )
    assert len(search.cv_results_["params"]) == 3
    assert held_out_rows_seen(log) == set()
    log.clear()
    search.set_params(refit=True).fit(X[:30], y[:30]).predict(X[30:])
    learned = set().union(*(rows for event, rows in log if event != "predict"))
    assert learned == set(X["id"][:30])


@pytest.mark.parametrize("kind", ["imblearn", "scikit-learn"])
def test_a_planted_leak_is_caught(kind, log):
    X, y = table_with_ids(60)
    noise = SpyAugmenter(scale=0.01, code_features=["id"], random_state=0)
    nearest = SpyRegressor(n_neighbors=1)
    folds = KFold(5, shuffle=True, random_state=0)
    descriptors = ["a", "b", "c"]

    honest = cross_val_score(both_pipelines(noise, nearest)[kind], X, y, cv=folds)
    assert held_out_rows_seen(log) == set()
    log.clear()

    X_all, y_all = noise.fit_resample(X, y)
    leaky = cross_val_score(nearest, X_all, y_all, cv=folds)
    assert held_out_rows_seen(log)

    # The same without the identity, which 1-NN could use: labels are noise, so R² above 0 is a lie.
    honest = cross_val_score(
        both_pipelines(NoiseAugmenter(scale=0.01, random_state=0), nearest)[kind],
        X[descriptors],
        y,
        cv=folds,
    )
    leaky = cross_val_score(nearest, X_all[descriptors], y_all, cv=folds)
    assert honest.mean() < 0
    assert leaky.mean() > 0.3


def test_search_may_choose_no_augmentation():
    X, y = random_table()
    wrong = Fixed(shift=100.0)
    pipeline = Pipeline([("scale", StandardScaler()), ("model", AugmentedRegressor(Ridge()))])
    search = GridSearchCV(pipeline, {"model__augmenter": [None, wrong]}, cv=3).fit(X, y)
    assert search.best_params_ == {"model__augmenter": None}
    assert search.best_estimator_["model"].augmenter_ is None


def test_search_over_two_strategies():
    X, y = random_table()
    model = AugmentedRegressor(SGDRegressor(random_state=0), Fixed(shift=10.0))
    search = GridSearchCV(model, {"strategy": ["concat", "pretrain_finetune"]}, cv=3).fit(X, y)
    assert search.best_params_ == {"strategy": "pretrain_finetune"}


# -- the example


def test_augmentation_in_cv(tmp_path, monkeypatch, capsys):
    path = Path(__file__).parents[2] / "examples" / "plot_augmentation_in_cv.py"
    code = path.read_text(encoding="utf-8")
    shorter = {"make_alloys(200": "make_alloys(60", "ShuffleSplit(6": "ShuffleSplit(2"}
    shorter |= {"train_size=40, test_size=100": "train_size=30, test_size=20"}
    shorter |= {"n_estimators=150": "n_estimators=20", "max_epochs=200": "max_epochs=5"}
    for text, replacement in shorter.items():
        assert code.count(text) == 1, f"{text!r} is no longer in the example: change it here too"
        code = code.replace(text, replacement)
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    exec(compile(code, path.name, "exec"), names)
    matplotlib.pyplot.close("all")
    assert names["same"]
    assert names["comparison"].shape[0] == 1 + len(names["samplers"])
    assert names["leaky"].mean() > 0.2 + names["honest"].mean()
    assert (tmp_path / "augmentation_in_cv.png").stat().st_size > 10_000
    assert "predict the same: True" in capsys.readouterr().out
