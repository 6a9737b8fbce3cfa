"""Plots in the style of scikit-learn's displays: created from an estimator or a table."""

from sklmat.plotting._attribution_agreement_display import AttributionAgreementDisplay
from sklmat.plotting._augmentation_report_display import AugmentationReportDisplay
from sklmat.plotting._comparison_display import ComparisonDisplay
from sklmat.plotting._composition_map_display import CompositionMapDisplay
from sklmat.plotting._contrast_display import ContrastDisplay
from sklmat.plotting._coverage_display import CoverageDisplay
from sklmat.plotting._crystal_display import CrystalDisplay
from sklmat.plotting._element_map_display import ElementMapDisplay
from sklmat.plotting._error_trend_display import ErrorTrendDisplay
from sklmat.plotting._learning_curve_display import LearningCurveDisplay
from sklmat.plotting._parity_display import ParityDisplay
from sklmat.plotting._periodic_table_display import PeriodicTableDisplay
from sklmat.plotting._robustness_display import RobustnessDisplay
from sklmat.plotting._shap_display import ShapDisplay
from sklmat.plotting._training_curve_display import TrainingCurveDisplay

__all__ = [
    "AttributionAgreementDisplay",
    "AugmentationReportDisplay",
    "ComparisonDisplay",
    "CompositionMapDisplay",
    "ContrastDisplay",
    "CoverageDisplay",
    "CrystalDisplay",
    "ElementMapDisplay",
    "ErrorTrendDisplay",
    "LearningCurveDisplay",
    "ParityDisplay",
    "PeriodicTableDisplay",
    "RobustnessDisplay",
    "ShapDisplay",
    "TrainingCurveDisplay",
]
