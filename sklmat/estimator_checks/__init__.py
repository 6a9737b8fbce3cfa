"""Public checks for estimators that take crystals, as scikit-learn has them for tables."""

from sklmat.estimator_checks._run import (
    all_structure_estimators,
    check_structure_estimator,
    parametrize_with_structure_checks,
    structure_estimator_checks,
)
from sklmat.estimator_checks._toys import make_toy_crystals

__all__ = [
    "all_structure_estimators",
    "check_structure_estimator",
    "make_toy_crystals",
    "parametrize_with_structure_checks",
    "structure_estimator_checks",
]
