"""`DeltaRegressor`: learn what a baseline leaves of the target."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import r2_score
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.validation import (
    _num_samples,
    check_is_fitted,
    has_fit_parameter,
)

from sklmat.argument_checks import checked_arguments
from sklmat.element_references import fit_references
from sklmat.exceptions import rows_of_input
from sklmat.fitted_state import unchanged_by_failure
from sklmat.inner_estimator import ColumnsOfInner, last_step, weights_for_fit, with_tags_of_inner
from sklmat.known_labels import score_known_labels
from sklmat.model_selection._delta_baseline import baseline_values, fit_baseline, gives_numbers
from sklmat.model_selection._delta_file import load_delta, save_delta
from sklmat.model_selection._element_references import (
    named_references,
    numbered_references,
    read_fractions,
    reference_values,
)
from sklmat.nested_parameters import NestedParameters
from sklmat.reference_links import ReferenceLink
from sklmat.tables import explain_refused_values
from sklmat.targets import (
    as_numbers,
    explain_missing_labels,
    refuse_missing_rows,
    refuse_out_of_range,
    weight_column,
)

if TYPE_CHECKING:
    from sklmat.graphs import CrystalGraphs
    from sklmat.reports import Report
    from sklmat.typing import ArrayLike, PathLike, Structures, Table


class DeltaRegressor(
    ReferenceLink,
    ColumnsOfInner,
    NestedParameters,
    MetaEstimatorMixin,
    RegressorMixin,
    BaseEstimator,
):
    """Regressor of the difference between the target and a baseline.

    The baseline is something cheap that is close to the target: the energy of a pre-trained
    potential, a model of other data, an empirical formula, or the same quantity from a cheaper
    calculation. `fit` trains a clone of `estimator` on ``y - baseline(X) - references(X)``;
    `predict` adds what was subtracted. If the difference is a simpler function of the crystal than
    the target, few training rows suffice [1]_.

    Parameters
    ----------
    estimator : regressor
        The model of the difference, which may be a Pipeline; it is cloned.
    baseline : transformer, FrozenEstimator, path or callable
        It gives one number for each row and target, in the unit of the target:

        - a transformer (or Pipeline, ColumnTransformer, ...) with one column for each target; it is
          cloned, and fitted by `fit` on the training rows only;
        - a fitted regressor or transformer, as ``sklearn.frozen.FrozenEstimator(fitted)`` or as the
          path of a file written by ``save``. It must have been fitted on other rows: on the rows of
          its own training, it leaves too little;
        - a function from `X` to an array of shape (n,) or (n, T), such as an empirical formula, or
          one that reads a cheap label from ``structure.properties``.

        A regressor that is not frozen raises an error.
    references : {"elements", None}, default="elements"
        "elements" fits one number for each element, so that the sum over the elements of a crystal,
        weighted by their atomic fractions, is close to what the baseline leaves. For energies, this
        removes that baseline and target refer to different energies of the elements; other targets,
        such as magnetic moments, lose the part that is linear in the composition. None fits none.
    handle_unknown : {"error", "warn", "ignore"}, default="error"
        What `predict` does with a row that holds an element without a reference, because no
        training row had it. "error" raises an error that names the row; "warn" counts its reference
        as zero and gives one `ExtrapolationWarning`; "ignore" does the same without the warning.

    Attributes
    ----------
    estimator_ : regressor
        The fitted model of the difference.
    baseline_ : transformer, regressor or callable
        The fitted baseline.
    references_ : dict, DataFrame or None
        Symbol of the element -> its reference, in the unit of the target. For `y` of shape (n, T) a
        DataFrame with a row for each element and a column for each target, NaN where no row with
        this target has the element. None without references.
    n_features_in_ : int
        Number of columns of `X`, if `estimator` counts them.
    feature_names_in_ : ndarray
        Names of the columns of `X`, if `estimator` keeps them.

    See Also
    --------
    AugmentedRegressor : Fits on generated rows as well.

    Notes
    -----
    The references are the coefficients of a ridge regression without intercept on the atomic
    fractions. Leave-one-out on the training rows chooses its strength from 10⁻⁶, 10⁻⁵, ..., 10²,
    for each target by itself. The fractions are read from structures, `CrystalGraphs`, compositions
    or formulas, or from the columns ``x_Fe``, ``x_Ni``, ... of a table.

    A transformer is given the crystals as structures if `X` is a `CrystalGraphs`; the estimator
    always is given `X` itself, so that a network builds the graphs once. Structures that are made
    from graphs have no ``properties``: pass structures to a function that reads these.

    If the baseline was pre-trained on other data, these may contain crystals of `X`. No split of
    `X` repairs this: the scores of such crystals are too good.

    With a target that is missing in some rows (NaN), `estimator` must allow it, as graph networks
    do; references are fitted on the rows that have the target. The standard deviation of
    ``return_std`` is the one of the difference: the baseline is taken to be exact.

    References
    ----------
    .. [1] R. Ramakrishnan, P. O. Dral, M. Rupp, O. A. von Lilienfeld, J. Chem. Theory Comput. 11,
       2087 (2015). :doi:`10.1021/acs.jctc.5b00099`

    Examples
    --------
    The energy of alloys after relaxation, from that of the ideal cells, which is cheap:

    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklmat import DeltaRegressor, StructureFeaturizer
    >>> from sklmat.datasets import make_alloys
    >>> alloys = make_alloys(40, target=["formation_energy", "relaxation_energy"])
    >>> X, (y, relaxation) = alloys.data, alloys.target.T
    >>> for structure, energy in zip(X, y - relaxation):
    ...     structure.properties["energy of the ideal cell (eV/atom)"] = energy
    >>> def cheap(structures):
    ...     return [s.properties["energy of the ideal cell (eV/atom)"] for s in structures]
    >>> volume = make_pipeline(StructureFeaturizer(groups=["volume"]), LinearRegression())
    >>> model = DeltaRegressor(volume, cheap).fit(X[:30], y[:30])
    >>> list(model.references_)
    ['Ni', 'Cu', 'Pd', 'Pt']
    >>> for fitted in (model, volume.fit(X[:30], y[:30])):
    ...     print(np.abs(fitted.predict(X[30:]) - y[30:]).mean().round(2))
    0.01
    0.02
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "baseline": [
            str,
            os.PathLike,
            HasMethods(["transform"]),
            HasMethods(["predict"]),
            callable,
        ],
        "references": [StrOptions({"elements"}), None],
        "handle_unknown": [StrOptions({"error", "warn", "ignore"})],
    }

    def __init__(
        self,
        estimator: BaseEstimator,
        baseline: BaseEstimator | PathLike | Callable[[Any], ArrayLike],
        references: Literal["elements"] | None = "elements",
        *,
        handle_unknown: Literal["error", "warn", "ignore"] = "error",
    ) -> None:
        self.estimator = estimator
        self.baseline = baseline
        self.references = references
        self.handle_unknown = handle_unknown

    @unchanged_by_failure
    def fit(
        self,
        X: Structures | CrystalGraphs | Table,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit baseline and references, and train the estimator on what they leave.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs, compositions or table
            Whatever `estimator` and `baseline` take.
        y : array-like of shape (n,) or (n, T)
            Targets.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows, for the references and for `estimator`. Rows of weight zero are
            left out. A transformer as baseline is fitted on all other rows, without weights.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        InvalidStructureError
            When a crystal cannot be used.
        TypeError
            When `estimator` or `baseline` is of the wrong kind, or `estimator` does not accept
            weights.
        ValueError
            When `baseline` is a regressor that is not frozen, does not give one column for each
            target, or gives NaN or infinity (the message names the rows); when the compositions
            cannot be read from `X`; or when `y` does not fit to `X`.
        """
        self._validate_params()
        if isinstance(self.estimator, type) or not gives_numbers(self.estimator):
            is_class = isinstance(self.estimator, type)
            given = self.estimator if is_class else type(last_step(self.estimator)).__name__
            raise TypeError(f"estimator must be a regressor, got {given}")
        values = self._checked_target(X, y)
        weight = None
        if sample_weight is not None:
            weight = weight_column(sample_weight, len(values))
        rows = np.arange(len(values)) if weight is None else np.flatnonzero(weight)
        refuse_missing_rows(values, rows)
        with explain_missing_labels(values, rows):
            if weight is None or weight.all():
                return self._fit_rows(X, y, values, weight)
            with rows_of_input(rows):
                return self._fit_rows(_safe_indexing(X, rows), y, values[rows], weight[rows])

    def _fit_rows(self, X, y, values, weight):
        """Fit on rows with a weight; `y` gives only the names of the targets."""
        if weight is not None:
            _check_takes_weights(self.estimator)
        # Before the baseline, which may take long.
        fractions = None if self.references is None else read_fractions(X, complete=True)
        baseline, offset = fit_baseline(self.baseline, X, values)
        rest = values.reshape(len(values), -1) - offset
        named = None
        if fractions is not None:
            references = fit_references(fractions, rest, weight)
            # Elements without a reference are only in rows without label.
            rest = rest - reference_values(fractions, references, "ignore")
            named = named_references(references, _target_names(y, values))
        with explain_refused_values(X):
            estimator = clone(self.estimator).fit(
                X, rest.reshape(values.shape), **weights_for_fit(self.estimator, weight)
            )
        self.estimator_, self.baseline_, self.references_ = estimator, baseline, named
        return self

    @checked_arguments()
    def predict(
        self, X: Structures | CrystalGraphs | Table, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the target: baseline, references and predicted difference.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs, compositions or table
            Rows to predict.
        return_std : bool, default=False
            Also return the standard deviation that `estimator` gives for the difference.

        Returns
        -------
        y : ndarray of shape (n,) or (n, T)
            Predicted targets, in their units.
        std : ndarray like `y`
            Only with `return_std`.

        Raises
        ------
        InvalidStructureError
            When a crystal cannot be used, or holds an element without a reference and
            `handle_unknown` is "error".
        TypeError
            When `return_std` is True and `estimator` gives no standard deviation.
        ValueError
            When the baseline gives NaN or infinity (the message names the rows), or `return_std` is
            True and a network has only one member.
        """
        check_is_fitted(self)
        options = {}
        if return_std:
            _check_gives_std(self.estimator_)
            options["return_std"] = True
        of_elements = 0.0
        if self.references_ is not None:
            fractions = read_fractions(X, complete=self.handle_unknown == "error")
            references = numbered_references(self.references_)
            of_elements = reference_values(fractions, references, self.handle_unknown)
        with explain_refused_values(X):
            predicted = self.estimator_.predict(X, **options)
        difference, *std = predicted if return_std else (predicted,)
        difference = np.asarray(difference)
        shape = len(difference), 1 if difference.ndim == 1 else difference.shape[1]
        offset = baseline_values(self.baseline_, X, shape) + of_elements
        total = difference + offset.reshape(difference.shape)
        return (total, std[0]) if return_std else total

    def score(
        self,
        X: Structures | CrystalGraphs | Table,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Compute the coefficient of determination R² of the predictions.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs, compositions or table
            Test rows.
        y : array-like of shape (n,) or (n, T)
            True values; NaN where a label is missing.
        sample_weight : array-like of shape (n,), default=None
            Weight of each row.

        Returns
        -------
        float
            R² of the known labels of each target, averaged over the targets.

        Raises
        ------
        ValueError
            When labels are missing and a target has fewer than two known labels.
        """
        return score_known_labels(r2_score, y, self.predict(X), sample_weight)

    @checked_arguments()
    def save(self, path: PathLike, *, report: Report | None = None) -> None:
        """Write the fitted model to one file, which holds numbers and JSON and no code.

        Parameters
        ----------
        path : str or path-like
            A safetensors file.
        report : Report or None, default=None
            From `report`: its short form is written too, and `saved_report` reads it.

        Raises
        ------
        ValueError
            When a part cannot be written without code: `estimator` must have ``save`` as graph
            networks do, and the baseline must have it too, be a transformer of sklmat whose
            parameters are plain values, or be a function, which is left out (see `load`). Write
            other models with ``joblib.dump``.
        """
        check_is_fitted(self)
        save_delta(self, path, report)

    @classmethod
    @checked_arguments()
    def load(
        cls, path: PathLike, *, baseline: Callable[[Any], ArrayLike] | None = None
    ) -> DeltaRegressor:
        """Read a model that `save` wrote.

        Parameters
        ----------
        path : str or path-like
            Path of a file that ``save`` has written.
        baseline : callable, default=None
            The baseline, if it is a function: functions are code and are not in the file.

        Returns
        -------
        model : DeltaRegressor
            Fitted. A fitted model as baseline is its parameter `baseline` as a FrozenEstimator.

        Raises
        ------
        ValueError
            When the file does not hold a DeltaRegressor, is damaged, or holds an estimator that
            cannot be read; or when `baseline` is missing or not needed.
        TypeError
            When `baseline` is no function.
        """
        return load_delta(cls, path, baseline)

    def _checked_target(self, X, y):
        """Return the targets as numbers, of the length of `X` and not infinite."""
        if y is None:
            raise ValueError("DeltaRegressor needs y, the target")
        try:
            values = as_numbers(y)
        except (TypeError, ValueError) as error:
            raise ValueError(f"y must be numeric for DeltaRegressor: {error}") from error
        if values.ndim not in (1, 2):
            raise ValueError(f"y must have the shape (n,) or (n, T), got {values.shape}")
        n_rows = _num_samples(X)
        if len(values) != n_rows:
            raise ValueError(f"X has {n_rows} rows and y has {len(values)}")
        refuse_out_of_range(values)
        if not n_rows:
            raise ValueError("X is empty (0 rows); there is nothing to fit")
        infinite = np.flatnonzero(np.isinf(values).reshape(n_rows, -1).any(axis=1))
        if len(infinite):
            raise ValueError(f"y is infinite in row {infinite[0]}; correct it or drop the row")
        return values

    def __sklearn_tags__(self):
        return with_tags_of_inner(super().__sklearn_tags__(), self.estimator)


def _target_names(y, values):
    """Names of the targets, their numbers if they have none; None for a flat y."""
    if values.ndim == 1:
        return None
    return list(getattr(y, "columns", range(values.shape[1])))


def _takes(method, name):
    """Whether a method has a parameter, or takes any by name."""
    parameters = inspect.signature(method).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _check_takes_weights(estimator):
    last = last_step(estimator)
    if not (has_fit_parameter(last, "sample_weight") or _takes(last.fit, "sample_weight")):
        raise TypeError(
            "fit(..., sample_weight=...) needs an estimator whose fit takes weights, and "
            f"{type(last).__name__} does not"
        )


def _check_gives_std(estimator):
    last = last_step(estimator)
    # TransformedTargetRegressor passes on what it is given, and then fails.
    if isinstance(last, TransformedTargetRegressor) or not _takes(last.predict, "return_std"):
        raise TypeError(
            "return_std=True needs an estimator that gives a standard deviation, and "
            f"{type(last).__name__} does not; graph networks with n_ensemble of 2 or more, "
            "Gaussian processes and BayesianRidge do"
        )
