"""Adversarial examples: attacks on structures, what sets them apart, and features made of that."""

from sklmat.adversarial._attack import StructureAttack
from sklmat.adversarial._perturb import perturb_structures

__all__ = ["StructureAttack", "perturb_structures"]
