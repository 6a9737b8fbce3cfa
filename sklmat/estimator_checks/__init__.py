"""Checks for estimators that take crystals, similar to scikit-learn's checks for tables."""

from sklmat.estimator_checks._runner import (
    all_structure_estimators,
    check_sampler,
    check_structure_estimator,
    parametrize_with_structure_checks,
    structure_estimator_checks,
)
from sklmat.estimator_checks._sampler_checks import sampler_checks
from sklmat.estimator_checks._toy_data import make_toy_crystals, make_toy_table

__all__ = [
    "all_structure_estimators",
    "check_sampler",
    "check_structure_estimator",
    "make_toy_crystals",
    "make_toy_table",
    "parametrize_with_structure_checks",
    "sampler_checks",
    "structure_estimator_checks",
]
