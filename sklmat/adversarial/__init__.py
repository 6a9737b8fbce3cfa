"""Adversarial examples: attacks on structures, comparison of descriptors, and features."""

from sklmat.adversarial._attack import StructureAttack
from sklmat.adversarial._contrast import contrast
from sklmat.adversarial._examples import find_adversarial_examples
from sklmat.adversarial._feature_builder import AdversarialFeatureBuilder
from sklmat.adversarial._robustness import robustness_curve
from sklmat.perturbations import perturb_structures

__all__ = [
    "AdversarialFeatureBuilder",
    "StructureAttack",
    "contrast",
    "find_adversarial_examples",
    "perturb_structures",
    "robustness_curve",
]
