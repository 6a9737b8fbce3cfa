"""Displays in scikit-learn's manner: computed once, drawn with ``plot``, kept as attributes."""

from sklmat.plotting._augmentation_report import AugmentationReportDisplay
from sklmat.plotting._composition_map import CompositionMapDisplay
from sklmat.plotting._contrast_display import ContrastDisplay
from sklmat.plotting._element_map import ElementMapDisplay
from sklmat.plotting._parity import ParityDisplay
from sklmat.plotting._robustness_display import RobustnessDisplay

__all__ = [
    "AugmentationReportDisplay",
    "CompositionMapDisplay",
    "ContrastDisplay",
    "ElementMapDisplay",
    "ParityDisplay",
    "RobustnessDisplay",
]
