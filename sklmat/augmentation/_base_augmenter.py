"""`BaseAugmenter`: the base class of samplers, with checks, `y_range` and `fit_resample`."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin
from sklearn.utils._param_validation import RealNotInt
from sklearn.utils.validation import check_consistent_length, validate_data

from sklmat.augmentation._dataframes import append_rows, append_target, encode_target, is_polars
from sklmat.augmentation._shared_docstrings import SAMPLER_PARAGRAPHS
from sklmat.augmentation._structure_rows import holds_crystals
from sklmat.docstrings import insert_paragraphs
from sklmat.fitted_state import unchanged_by_failure
from sklmat.memory import BYTES_PER_NUMBER, refuse_beyond_memory
from sklmat.nested_parameters import NestedParameters
from sklmat.parameter_constraints import Interval
from sklmat.random_state import make_generator
from sklmat.recorded_warnings import frames_inside
from sklmat.reference_links import ReferenceLink
from sklmat.tables import refuse_not_finite, refuse_unusable_columns
from sklmat.targets import number_array

if TYPE_CHECKING:
    from sklmat.typing import ArrayLike, RandomState, Table

#: Largest number of rounds in which rows are drawn, until enough of them are inside `y_range`.
_MAX_DRAWS = 50
#: Arrays of all generated rows that are in memory at the same time, at least.
_N_COPIES = 3


@insert_paragraphs(SAMPLER_PARAGRAPHS)
class BaseAugmenter(ReferenceLink, NestedParameters, OneToOneFeatureMixin, BaseEstimator, ABC):
    """Base of samplers that add generated rows to a table.

    A concrete augmenter implements two methods, whose input is already validated:

    ``_learn(X, y)``
        Learn from the real rows. `X` is a finite float64 array (n, F). `y` is None, a float64 array
        (n,) or (n, T), or, where the target is a class, an int array (n,) of positions in
        ``self.classes_``, which is None for a numeric target. ``self.feature_names_in_`` holds the
        names of the columns where they have names.
    ``_generate(n, rng)``
        Return ``(X_new, y_new)`` with n rows in the same encoding, or ``(X_new, y_new, origin)``
        with the iteration (1, 2, ...) that each row comes from. `rng` is a
        `numpy.random.Generator`. This method is called only when `y` was given.

    Parameters
    ----------
    {n_samples}
    {y_range}
    random_state : int, RandomState or None, default=None
        Seed of the random numbers.

    Attributes
    ----------
    {classes_}
    sample_origin_ : ndarray of int, shape (n + n_generated,)
        For each row that `fit_resample` returned: 0 for a real row, k >= 1 for a row generated in
        iteration k.
    {n_features_in_}
    {feature_names_in_}

    Notes
    -----
    Samplers have no ``transform``, so that `imblearn.pipeline.Pipeline` calls them on the rows of
    `fit` only, and never when it predicts.
    """

    _parameter_constraints: dict = {
        "n_samples": [
            Interval(Integral, 0, None, closed="left"),
            Interval(RealNotInt, 0, None, closed="left"),
        ],
        "y_range": ["array-like", None],
        "random_state": ["random_state"],
    }

    #: Whether some of several numeric targets of a row may be missing (NaN).
    _labels_may_be_missing = False

    # imbalanced-learn reads this attribute before it reads the tags.
    _estimator_type = "sampler"

    def __init__(
        self,
        *,
        n_samples: int | float = 1.0,
        y_range: tuple[ArrayLike | float | None, ArrayLike | float | None] | None = None,
        random_state: RandomState = None,
    ) -> None:
        self.n_samples = n_samples
        self.y_range = y_range
        self.random_state = random_state

    @abstractmethod
    def _learn(self, X, y):
        """Learn from the real rows."""

    @abstractmethod
    def _generate(self, n, rng):
        """Return n generated rows and their targets."""

    @unchanged_by_failure
    def fit(self, X: Table, y: ArrayLike | None = None) -> Self:
        """Fit the sampler to the real rows, without generating rows.

        Parameters
        ----------
        X : DataFrame of pandas or polars, or array, of shape (n, F)
            The real rows, finite numbers.
        y : Series, DataFrame (of pandas or polars) or array, shape (n,) or (n, T), default=None
            Their targets. Floats are a numeric target; strings, booleans and integers are classes.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._fit(X, y)
        return self

    @unchanged_by_failure
    def fit_resample(self, X: Table, y: ArrayLike) -> tuple[Any, Any]:
        """Fit, then return the real rows with generated ones below them.

        Parameters
        ----------
        X : DataFrame of pandas or polars, or array, of shape (n, F)
            The real rows, finite numbers.
        y : Series, DataFrame (of pandas or polars) or array of shape (n,) or (n, T)
            Their targets. Floats are a numeric target; strings, booleans and integers are classes.

        Returns
        -------
        X_resampled : DataFrame or ndarray of shape (n + n_generated, F)
            The real rows, unchanged and in their order, followed by the generated ones, in a table
            of the type of `X`: pandas, polars, or array. A DataFrame keeps its columns, and one of
            pandas also its index. If the index holds integers, generated rows get the integers
            after the largest one. With any other index (strings, floats, mixed) they get the row
            numbers n, n + 1, ...; if the index contains a number of at least n, they get the
            integers after the largest number instead, so that no label is repeated. A MultiIndex
            becomes an Index of tuples. An integer column stays integer only if all generated
            values in it are integers.
        y_resampled : Series, DataFrame or ndarray of shape (n + n_generated,) or (..., T)
            Targets of these rows, with the type, name, dtype and dimensions of `y`.

        Raises
        ------
        ValueError
            When `X` or `y` cannot be used, or when no generated row has a label inside `y_range`.

        Warns
        -----
        UserWarning
            When fewer than `n_samples` rows have a label inside `y_range`, when an integer `y` has
            so many values that they are probably not classes, or when columns called ``x_Fe``, ...
            are no fractions.
        """
        if y is None:
            raise ValueError(
                f"{type(self).__name__}.fit_resample requires y to be passed, but the target y is "
                "None"
            )
        rows, target = self._fit(X, y)
        rng = self._generator()
        X_new, y_new, origin = self._draw(self._n_new(len(rows)), target, rng)
        self.sample_origin_ = np.concatenate([np.zeros(len(rows), dtype=int), origin])
        X_resampled = append_rows(X, X_new)
        y_resampled = append_target(y, y_new, self.classes_, X=X, X_resampled=X_resampled)
        return X_resampled, y_resampled

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "sampler"
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags

    def _fit(self, X, y):
        """Validate the input, call `_learn`, and return the rows and the encoded target."""
        self._validate_params()
        self._fitted_on_polars = is_polars(X)
        X = self._check_rows(X, reset=True)
        self._refuse_beyond_memory(number_of_rows(self.n_samples, len(X)), "n_samples")
        self.classes_ = None
        if y is not None:
            check_consistent_length(X, y)
            y, self.classes_ = encode_target(y, may_be_missing=self._labels_may_be_missing)
        self._check_range(y)
        self._learn(X, y)
        return X, y

    def _check_rows(self, X, *, reset=False):
        """Return `X` as a finite float64 array with the columns of `fit`."""
        if holds_crystals(X):
            raise TypeError(
                f"{type(self).__name__} takes tables of numbers, and X holds crystals: put a "
                "featurizer before it, or use a sampler of crystals, such as PerturbationSampler"
            )
        refuse_unusable_columns(X)
        X = validate_data(
            self,
            X,
            reset=reset,
            dtype=np.float64,
            copy=True,
            ensure_all_finite=False,
            ensure_min_samples=2 if reset else 1,
        )
        names = getattr(self, "feature_names_in_", range(X.shape[1]))
        refuse_not_finite(X, names, type(self).__name__)
        return X

    def _check_range(self, y):
        """Refuse a `y_range` that does not fit the target."""
        if self.y_range is None:
            return
        if self.classes_ is not None:
            raise ValueError(
                "y_range needs a numeric target, and this one is a class (strings, booleans and "
                "integers are): pass y as floats, or leave y_range out"
            )
        low, high = self._limits()
        n_targets = 1 if y is None or y.ndim == 1 else y.shape[1]
        if any(limit.size not in (1, n_targets) for limit in (low, high)):
            raise ValueError(
                f"y_range={self.y_range!r} does not suit a target of {n_targets} columns"
            )

    def _limits(self):
        """Return low and high as arrays."""
        if not np.iterable(self.y_range) or len(self.y_range) != 2:
            raise ValueError(f"y_range must be (low, high), got {self.y_range!r}")
        low, high = (number_array(limit, "y_range") for limit in self.y_range)
        if not np.all(low <= high):  # NaN is refused as well
            raise ValueError(f"y_range must be (low, high) with low <= high, got {self.y_range!r}")
        return low, high

    def _generator(self):
        """Return a generator that depends on `random_state` alone."""
        return make_generator(self.random_state)

    def _refuse_beyond_memory(self, n, name):
        refuse_beyond_memory(
            f"{name}={n}: rows with {self.n_features_in_} columns",
            _N_COPIES * n * self.n_features_in_ * BYTES_PER_NUMBER,
        )

    def _n_new(self, n_real):
        return number_of_rows(self.n_samples, n_real)

    def _draw(self, n, target, rng):
        """Generate n rows with labels inside `y_range`; return them, labels and origins."""
        no_rows = np.empty((0, self.n_features_in_)), target[:0], np.empty(0, dtype=int)
        batches, n_accepted = [no_rows], 0
        for _ in range(_MAX_DRAWS):
            if n_accepted >= n:
                break
            batches.append(self._within_range(*self._generate_batch(n, target, rng)))
            n_accepted += len(batches[-1][0])
        if n_accepted < n:
            self._report_shortage(n_accepted, n)
        return tuple(np.concatenate(arrays)[:n] for arrays in zip(*batches))

    def _generate_batch(self, n, target, rng):
        """Generate up to n rows, and check that they can be appended to the real ones."""
        X_new, y_new, *origin = self._generate(n, rng)
        origin = np.asarray(origin[0], dtype=int) if origin else np.ones(len(X_new), dtype=int)
        target_shape = (len(X_new), *target.shape[1:])
        if X_new.shape != (len(X_new), self.n_features_in_) or y_new.shape != target_shape:
            raise ValueError(
                f"{type(self).__name__} generated rows of shape {X_new.shape} with targets of "
                f"shape {y_new.shape}, beside {self.n_features_in_} columns and real targets of "
                f"shape {target.shape}"
            )
        finite = np.isfinite(X_new).all(axis=1) & np.isfinite(_as_columns(y_new)).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"{type(self).__name__} generated NaN or infinity in {(~finite).sum()} of "
                f"{len(finite)} rows"
            )
        if self.classes_ is not None and not np.isin(y_new, np.arange(len(self.classes_))).all():
            raise ValueError(
                f"{type(self).__name__} generated a class that is not a position in classes_"
            )
        return X_new, y_new.astype(target.dtype), origin

    def _within_range(self, X_new, y_new, origin):
        """Keep the rows with a label inside `y_range`."""
        if self.y_range is None:
            return X_new, y_new, origin
        low, high = self._limits()
        labels = _as_columns(y_new)
        accepted = ((labels >= low) & (labels <= high)).all(axis=1)
        return X_new[accepted], y_new[accepted], origin[accepted]

    def _report_shortage(self, n_accepted, n):
        """Warn that too few rows were accepted; none at all is an error."""
        message = (
            f"{type(self).__name__}: only {n_accepted} of {n} generated rows were accepted after "
            f"{_MAX_DRAWS} rounds (y_range={self.y_range!r}); widen y_range or lower n_samples"
        )
        if not n_accepted:
            raise ValueError(message)
        warnings.warn(message, UserWarning, stacklevel=frames_inside())


def _as_columns(y):
    """Return targets of shape (n,) or (n, T) as (n, T); n may be 0."""
    return y[:, np.newaxis] if y.ndim == 1 else y


def number_of_rows(n_samples, n_real):
    """Number of rows to generate: an int is this number, a float a multiple of the real rows."""
    if isinstance(n_samples, Integral):
        return int(n_samples)
    return round(n_samples * n_real)


def draw_evenly(n_rows, n, rng):
    """Draw n row numbers, each row equally often up to a difference of one."""
    rounds = [rng.permutation(n_rows) for _ in range(-(-n // n_rows))]
    return np.concatenate([np.empty(0, dtype=int), *rounds])[:n]
