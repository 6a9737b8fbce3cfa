"""Crystal graphs: containers with flat arrays, and the transformer that builds them.

The containers and the search for neighbours are loaded without scikit-learn, so that the processes
that build graphs start fast.
"""

from sklmat.lazy_imports import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
