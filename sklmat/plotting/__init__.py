"""Displays in scikit-learn's manner: computed once, drawn with ``plot``, kept as attributes."""

from sklmat.plotting._augmentation import AugmentationReportDisplay
from sklmat.plotting._composition_maps import CompositionMapDisplay
from sklmat.plotting._contrast import ContrastDisplay
from sklmat.plotting._elements import ElementMapDisplay
from sklmat.plotting._parity import ParityDisplay
from sklmat.plotting._robustness import RobustnessDisplay

__all__ = [
    "AugmentationReportDisplay",
    "CompositionMapDisplay",
    "ContrastDisplay",
    "ElementMapDisplay",
    "ParityDisplay",
    "RobustnessDisplay",
]
