"""`check_structure_estimator`, `check_sampler`: run the checks that apply to an estimator."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.utils import get_tags

from sklmat.argument_checks import checked_arguments
from sklmat.estimator_checks import (
    _convention_checks,
    _crystal_checks,
    _predictor_checks,
    _transformer_checks,
)
from sklmat.estimator_checks._fit_and_compare import check_is_estimator
from sklmat.estimator_checks._sampler_checks import sampler_checks

#: Modules whose estimators take tables: scikit-learn's checks or `check_sampler` apply to them.
_TABLE_MODULES = {"augmentation", "gaussian_processes"}

_ALL = [
    _convention_checks.check_init_stores_only,
    _convention_checks.check_parameter_constraints,
    _convention_checks.check_get_set_params,
    _convention_checks.check_clone,
    _convention_checks.check_fit_returns_self,
    _convention_checks.check_unfitted,
    _convention_checks.check_pickle,
    _convention_checks.check_refit,
    _convention_checks.check_refit_forgets,
    _convention_checks.check_seed,
    _convention_checks.check_torch_settings,
    _convention_checks.check_silent,
    _crystal_checks.check_order_invariance,
    _crystal_checks.check_subset_invariance,
    _crystal_checks.check_containers,
    _crystal_checks.check_equal_sizes,
    _crystal_checks.check_inputs_not_mutated,
    _crystal_checks.check_invalid_crystals,
    _crystal_checks.check_invalid_input,
    _crystal_checks.check_isolated_atom,
    _crystal_checks.check_physical_invariance,
    _predictor_checks.check_in_scikit_learn,
]
_REGRESSOR = [
    _predictor_checks.check_regressor_shapes,
    _predictor_checks.check_regressor_targets,
    _predictor_checks.check_constant_target,
    _predictor_checks.check_target_units,
]
_CLASSIFIER = [
    _predictor_checks.check_classifier_labels,
    _predictor_checks.check_classifier_refuses,
]
_TRANSFORMER = [_transformer_checks.check_transformer, _transformer_checks.check_column_names]


def structure_estimator_checks(
    estimator: BaseEstimator,
) -> Iterator[tuple[BaseEstimator, Callable]]:
    """Yield the checks that apply to an estimator.

    Parameters
    ----------
    estimator : estimator
        An instance whose parameters allow a fast fit of eight small crystals. It is cloned; the
        object itself is not fitted.

    Yields
    ------
    estimator : estimator
        The estimator that was passed.
    check : callable
        ``check(estimator)`` raises an ``AssertionError`` that describes the failure.

    Examples
    --------
    >>> from sklmat import StructureToGraph
    >>> from sklmat.estimator_checks import structure_estimator_checks
    >>> checks = [check for _, check in structure_estimator_checks(StructureToGraph())]
    >>> checks[0].__name__
    'check_init_stores_only'
    """
    check_is_estimator(estimator)
    checks = list(_ALL)
    params = estimator.get_params(deep=False)
    if "n_jobs" in params:
        checks.append(_crystal_checks.check_n_jobs)
    if "on_invalid" in params:
        checks.append(_crystal_checks.check_on_invalid_warn)
    if get_tags(estimator).target_tags.required:
        checks.append(_predictor_checks.check_target_refused)
    if is_regressor(estimator):
        checks += _REGRESSOR
    if is_classifier(estimator):
        checks += _CLASSIFIER
    # ECNet estimators also predict; their `transform` is deprecated.
    if hasattr(estimator, "transform") and not hasattr(estimator, "predict"):
        checks += _TRANSFORMER
    for check in checks:
        yield estimator, check


@checked_arguments()
def check_structure_estimator(
    estimator: BaseEstimator,
    *,
    expected_failed_checks: Mapping[str, str] | None = None,
    on_fail: Literal["raise"] | None = "raise",
) -> list[dict[str, Any]]:
    """Check that an estimator follows the conventions of sklmat for crystals as input.

    scikit-learn's ``check_estimator`` passes tables to the estimator, and therefore skips nearly
    all checks for an estimator that takes crystals. These checks pass crystals.

    Parameters
    ----------
    estimator : estimator
        An instance whose parameters allow a fast fit of eight small crystals: few epochs, small
        networks.
    expected_failed_checks : dict of str to str, default=None
        Names of checks that may fail, with the reasons.
    on_fail : {"raise", None}, default="raise"
        "raise" stops at the first check that fails; None only reports failures.

    Returns
    -------
    results : list of dict
        ``check_name``, ``status`` ("passed", "failed" or "xfail") and ``exception``.

    Raises
    ------
    AssertionError
        For the first check that fails, unless `on_fail` is None.
    TypeError
        When a class is given instead of an instance.

    Examples
    --------
    >>> from sklmat import StructureToGraph
    >>> from sklmat.estimator_checks import check_structure_estimator
    >>> results = check_structure_estimator(StructureToGraph(cutoff=4.0))
    >>> {result["status"] for result in results}
    {'passed'}
    """
    return run_checks(structure_estimator_checks, estimator, expected_failed_checks, on_fail)


@checked_arguments()
def check_sampler(
    sampler: BaseEstimator,
    *,
    expected_failed_checks: Mapping[str, str] | None = None,
    on_fail: Literal["raise"] | None = "raise",
) -> list[dict[str, Any]]:
    """Check that a sampler of tables or crystals follows the conventions of sklmat.

    Parameters
    ----------
    sampler : sampler
        An instance with `fit_resample`, whose parameters allow a fast fit of two dozen rows. It is
        given tables, or crystals if ``input_tags.two_d_array`` of its tags is False.
    expected_failed_checks : dict of str to str, default=None
        Names of checks that may fail, with the reasons.
    on_fail : {"raise", None}, default="raise"
        "raise" stops at the first check that fails; None only reports failures.

    Returns
    -------
    results : list of dict
        ``check_name``, ``status`` ("passed", "failed" or "xfail") and ``exception``.

    Raises
    ------
    AssertionError
        For the first check that fails, unless `on_fail` is None.
    TypeError
        When a class is given instead of an instance.

    Examples
    --------
    >>> from sklmat.augmentation import NoiseAugmenter
    >>> from sklmat.estimator_checks import check_sampler
    >>> {result["status"] for result in check_sampler(NoiseAugmenter())}
    {'passed'}
    """
    return run_checks(sampler_checks, sampler, expected_failed_checks, on_fail)


def run_checks(checks_of, estimator, expected_failed_checks, on_fail):
    """Run the checks that `checks_of` yields for an estimator; return one result for each."""
    check_is_estimator(estimator)
    if on_fail not in ("raise", None):
        raise ValueError(f"on_fail must be 'raise' or None, got {on_fail!r}")
    expected_failed_checks = expected_failed_checks or {}
    results = []
    for _, check in checks_of(estimator):
        result = {"check_name": check.__name__, "status": "passed", "exception": None}
        try:
            check(estimator)
        except Exception as error:
            is_expected = check.__name__ in expected_failed_checks
            if on_fail == "raise" and not is_expected:
                error.add_note(f"in {check.__name__}({estimator})")
                raise
            result |= {"status": "xfail" if is_expected else "failed", "exception": error}
        results.append(result)
    return results


def parametrize_with_structure_checks(
    estimators: Sequence[BaseEstimator],
    *,
    expected_failed_checks: Callable[[BaseEstimator], Mapping[str, str]] | None = None,
) -> Callable:
    """Create one pytest case for each pair of estimator and check.

    Parameters
    ----------
    estimators : list of estimators
        Instances, as for `check_structure_estimator`.
    expected_failed_checks : callable, default=None
        Takes an estimator and returns a dict of the checks to mark as xfail, with the reasons.

    Returns
    -------
    decorator : pytest.mark.parametrize
        For a test function with the arguments ``estimator`` and ``check``.

    Examples
    --------
    >>> from sklmat import StructureToGraph
    >>> from sklmat.estimator_checks import parametrize_with_structure_checks
    >>> @parametrize_with_structure_checks([StructureToGraph()])
    ... def test_conventions(estimator, check):
    ...     check(estimator)
    """
    import pytest

    if not isinstance(estimators, list | tuple):
        raise TypeError(f"estimators must be a list of estimators, got {estimators!r}")
    if expected_failed_checks is not None and not callable(expected_failed_checks):
        raise TypeError(f"expected_failed_checks must be callable, got {expected_failed_checks!r}")
    cases = []
    for estimator in estimators:
        failing = {} if expected_failed_checks is None else expected_failed_checks(estimator)
        for _, check in structure_estimator_checks(estimator):
            reason = failing.get(check.__name__)
            marks = [] if reason is None else [pytest.mark.xfail(reason=reason)]
            name = f"{type(estimator).__name__}-{check.__name__}"
            cases.append(pytest.param(estimator, check, id=name, marks=marks))
    return pytest.mark.parametrize(("estimator", "check"), cases)


def all_structure_estimators() -> list[tuple[str, type]]:
    """Find every public estimator of sklmat that takes crystals.

    Returns
    -------
    estimators : list of (str, type)
        Sorted by name.

    Examples
    --------
    >>> from sklmat.estimator_checks import all_structure_estimators
    >>> [name for name, cls in all_structure_estimators() if name.startswith("ECNet")]
    ['ECNetClassifier', 'ECNetFeaturizer', 'ECNetRegressor']
    """
    import sklmat

    public = {name: getattr(sklmat, name) for name in sklmat.__all__}
    return sorted(
        (name, value)
        for name, value in public.items()
        if inspect.isclass(value)
        and issubclass(value, BaseEstimator)
        and not inspect.isabstract(value)
        and hasattr(value, "fit")
        and value.__module__.split(".")[1] not in _TABLE_MODULES
    )
