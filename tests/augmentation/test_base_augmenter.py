"""What all samplers share: types, indices, ranges, and rows drawn again."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from tables import Fixed, generated, random_table

from sklmat.augmentation import MixupAugmenter, NoiseAugmenter

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


@pytest.mark.parametrize("y_range", [(1,), (0, 1, 2), (2, 1), (np.nan, 1), ([0, 2], [1, 1])])
def test_ranges_that_are_none(y_range):
    X, y = random_table(20)
    with pytest.raises(ValueError, match=r"y_range must be \(low, high\).*, got"):
        NoiseAugmenter(y_range=y_range).fit(X, np.column_stack([y, y]))


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
        (np.array([1, 2, 3], dtype="timedelta64[s]"), "y holds durations, first in row 0"),
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


class Wider(Fixed):
    """Generates twice as many columns as there are."""

    def _generate(self, n, rng):
        X, y = super()._generate(n, rng)
        return np.hstack([X, X]), y


def test_what_a_subclass_generates_is_checked():
    X, y = random_table(10)
    with pytest.raises(ValueError, match=r"rows of shape \(10, 6\) .* beside 3 columns"):
        Wider().fit_resample(X, y)
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
