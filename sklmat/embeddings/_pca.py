"""`fit_pca`: principal components of vectors in single precision, without rounding errors."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA

#: Relative error of vectors in single precision, with a margin.
_ROUNDING = 1e-5


def fit_pca(vectors: np.ndarray, n_components: int) -> PCA | None:
    """Fit a PCA, in double precision; return None if all vectors are equal.

    Parameters
    ----------
    vectors : ndarray of shape (n, F)
        Vectors that were computed in single precision.
    n_components : int
        Largest number of components. There are at most n - 1 and at most F, and components whose
        standard deviation is below 1e-5 of the length of the vectors are left out.
    """
    n_rows, width = vectors.shape
    noise = _ROUNDING * np.linalg.norm(vectors) / np.sqrt(n_rows)
    if np.sqrt(vectors.var(axis=0).sum()) <= noise:
        return None
    vectors = vectors.astype(np.float64)
    # Both solvers are exact and use no random numbers; the first is faster for many rows.
    solver = "covariance_eigh" if n_rows > width else "full"
    pca = PCA(min(n_components, width, n_rows - 1), svd_solver=solver).fit(vectors)
    n_kept = int((np.sqrt(pca.explained_variance_) > noise).sum())
    if n_kept < pca.n_components_:
        pca = PCA(n_kept, svd_solver=solver).fit(vectors)
    # Files hold arrays row by row; products with the transposed array round differently.
    pca.components_ = np.ascontiguousarray(pca.components_)
    return pca
