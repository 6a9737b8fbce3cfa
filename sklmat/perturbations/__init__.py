"""Displaced atoms and strained lattices: random perturbations, and the bounds they respect."""

from sklmat.perturbations._perturb_structures import apply_perturbation as apply_perturbation
from sklmat.perturbations._perturb_structures import perturb_structures
from sklmat.perturbations._perturbation_bounds import (
    LARGEST_MIN_DISTANCE as LARGEST_MIN_DISTANCE,
)
from sklmat.perturbations._perturbation_bounds import PerturbationBounds as PerturbationBounds
from sklmat.perturbations._perturbation_bounds import (
    perturbation_gradient as perturbation_gradient,
)
from sklmat.perturbations._random_directions import CrystalDirections as CrystalDirections
from sklmat.perturbations._random_directions import IndependentDirections as IndependentDirections
from sklmat.perturbations._random_directions import RandomDirections as RandomDirections
from sklmat.perturbations._random_directions import fixed_directions as fixed_directions

__all__ = ["perturb_structures"]
