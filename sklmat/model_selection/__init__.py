"""Splitters, baselines, and the comparison of estimators on one split."""

from sklmat.model_selection._applicability_domain import ApplicabilityDomain
from sklmat.model_selection._baselines import baselines
from sklmat.model_selection._calibrated_std import CalibratedStdRegressor
from sklmat.model_selection._compare_estimators import compare_estimators
from sklmat.model_selection._comparison_table import Comparison
from sklmat.model_selection._conformal_classifier import ConformalClassifier
from sklmat.model_selection._conformal_regressor import ConformalRegressor
from sklmat.model_selection._corrected_ttest import corrected_resampled_ttest
from sklmat.model_selection._delta_regressor import DeltaRegressor
from sklmat.model_selection._early_stopping import (
    EarlyStoppingClassifier,
    EarlyStoppingRegressor,
)
from sklmat.model_selection._group_labels import amounts_of_elements as amounts_of_elements
from sklmat.model_selection._group_labels import chemical_systems, composition_groups
from sklmat.model_selection._interval_scorers import coverage_scorer, width_scorer
from sklmat.model_selection._label_noise import LabelNoise, label_noise
from sklmat.model_selection._learning_curve_table import LearningCurves
from sklmat.model_selection._learning_curves import learning_curves
from sklmat.model_selection._masked_scorer import masked_scorer
from sklmat.model_selection._matbench_split import MatbenchSplit
from sklmat.model_selection._prototype_labels import prototype_labels
from sklmat.model_selection._search_space import search_space
from sklmat.model_selection._splitters import (
    ChemicalSystemGroupKFold,
    ComponentSplit,
    CompositionGroupKFold,
    LeaveOneElementOut,
    PrototypeGroupKFold,
)

__all__ = [
    "ApplicabilityDomain",
    "CalibratedStdRegressor",
    "ChemicalSystemGroupKFold",
    "Comparison",
    "ComponentSplit",
    "CompositionGroupKFold",
    "ConformalClassifier",
    "ConformalRegressor",
    "DeltaRegressor",
    "EarlyStoppingClassifier",
    "EarlyStoppingRegressor",
    "LabelNoise",
    "LearningCurves",
    "LeaveOneElementOut",
    "MatbenchSplit",
    "PrototypeGroupKFold",
    "baselines",
    "chemical_systems",
    "compare_estimators",
    "composition_groups",
    "corrected_resampled_ttest",
    "coverage_scorer",
    "label_noise",
    "learning_curves",
    "masked_scorer",
    "prototype_labels",
    "search_space",
    "width_scorer",
]
