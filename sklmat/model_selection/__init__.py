"""Splits that respect composition, and a fair comparison of estimators on shared folds."""

from sklmat.model_selection._compare_estimators import compare_estimators, corrected_resampled_ttest
from sklmat.model_selection._comparison_table import Comparison
from sklmat.model_selection._splitters import (
    ComponentSplit,
    CompositionGroupKFold,
    composition_groups,
)

__all__ = [
    "Comparison",
    "ComponentSplit",
    "CompositionGroupKFold",
    "compare_estimators",
    "composition_groups",
    "corrected_resampled_ttest",
]
