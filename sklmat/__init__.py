"""Estimators for crystal structures with the interface of scikit-learn.

Every public name can be imported from here or from the module that defines it. Modules are imported
at the first use of their names, so that ``import sklmat`` imports neither torch nor xgboost.
"""

from sklmat.lazy_imports import attach

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = attach(__name__, __file__)
