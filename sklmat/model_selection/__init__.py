"""Splits by composition and those of matbench, and the comparison of estimators on one split."""

from sklmat.model_selection._compare_estimators import compare_estimators
from sklmat.model_selection._comparison_table import Comparison
from sklmat.model_selection._corrected_ttest import corrected_resampled_ttest
from sklmat.model_selection._matbench_split import MatbenchSplit
from sklmat.model_selection._splitters import (
    ComponentSplit,
    CompositionGroupKFold,
    composition_groups,
)

__all__ = [
    "Comparison",
    "ComponentSplit",
    "CompositionGroupKFold",
    "MatbenchSplit",
    "compare_estimators",
    "composition_groups",
    "corrected_resampled_ttest",
]
