"""Samplers that add rows to tables and crystals, and estimators that fit on what they add.

Only `InfoGANAugmenter` needs torch: the others are loaded without it.
"""

from sklmat.lazy_imports import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
