"""Crystal structures in, scikit-learn estimators out.

Every public name can be imported from here or from the module that defines it. Attributes are
loaded on first use, so that ``import sklmat`` costs neither torch nor xgboost.
"""

from sklmat.lazy_imports import attach

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = attach(__name__, __file__)
