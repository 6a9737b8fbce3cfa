"""Data sets, generated or downloaded, and checks of their labels."""

from sklmat.lazy_imports import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
