"""`ApplicabilityDomain`: which crystals are unlike the training rows of a model."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags, indexable
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import _num_samples, check_is_fitted, validate_data

from sklmat.exceptions import ExtrapolationWarning
from sklmat.features import output_table
from sklmat.fitted_state import unchanged_by_failure
from sklmat.model_selection._group_labels import row_labels
from sklmat.nested_parameters import NestedParameters
from sklmat.parameter_constraints import Interval
from sklmat.recorded_warnings import frames_inside
from sklmat.reference_links import ReferenceLink
from sklmat.targets import number_array

if TYPE_CHECKING:
    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, Structures, Table

#: Rows that a warning names.
_MAX_NAMED = 10
#: Standard deviation over mean below which a column is constant.
_ROUNDING = 1e-8


class ApplicabilityDomain(ReferenceLink, NestedParameters, TransformerMixin, BaseEstimator):
    """Distance of crystals to the training rows, and which crystals are outside of their domain.

    The distance of a crystal is the mean distance to its nearest training rows, in the columns of
    an embedding that are scaled to unit variance. It is compared with the distances that the
    training rows have to each other: `transform` gives the ratio to their quantile, so that values
    above 1 are outside; `is_inside` warns of these. There a model extrapolates, and neither a
    standard deviation nor the coverage of an interval is to be trusted.

    Parameters
    ----------
    embedding : transformer, graph estimator, FrozenEstimator or None, default=None
        What describes a crystal by a vector:

        - a transformer to a table, such as `StructureFeaturizer`, `CompositionFeaturizer`,
          `PotentialFeaturizer` or a Pipeline of transformers; it is cloned and fitted by `fit`;
        - ``sklearn.frozen.FrozenEstimator(fitted)`` of a graph network (CGCNN, ECNet), whose
          ``embed`` gives the vectors, or of a transformer. A graph network that is not fitted is
          cloned and trained by `fit`, which then needs `y`;
        - None if `X` is itself a table of such vectors.
    n_neighbors : int, default=5
        Number of nearest training rows over which the distance is averaged.
    quantile : float, default=0.95
        Fraction of the training rows that are inside, judged by their distance to the others.

    Attributes
    ----------
    embedding_ : transformer or None
        The fitted transformer.
    training_distances_ : ndarray of shape (n,)
        Distance of each training row to the nearest training rows of other groups.
    threshold_ : float
        Their quantile.
    scaler_ : StandardScaler
        Scales the vectors.
    neighbors_ : NearestNeighbors
        Holds the scaled vectors of the training rows.
    n_features_in_ : int
        Number of columns of a table, without an embedding.
    feature_names_in_ : ndarray of str
        Names of the columns, if `X` had any, without an embedding.

    See Also
    --------
    GraphEmbedding : The vectors of a graph network as a table.
    ConformalRegressor : Intervals, which are valid inside.

    Notes
    -----
    A training row is not compared with rows of its own group: with itself, and with cells of the
    same composition (or of the label that `fit` is given as `groups`). New rows usually have no
    such twin, and with them the training rows would be too close to each other. A new row is
    compared with all training rows.

    Distances are Euclidean. Columns that say the same thing count several times: where a table has
    many of these, put a PCA behind the featurizer in a Pipeline.

    The vectors of a network depend on the labels of its training rows, and for new rows they are
    somewhat farther apart than for these: more than a fraction of ``1 - quantile`` of alike new
    rows may be outside.

    `transform` returns a pandas DataFrame (with the index of `X` if it is a Series), or an array
    after ``set_output(transform="default")``.

    References
    ----------
    .. [1] R. P. Sheridan, B. P. Feuston, V. N. Maiorov, S. K. Kearsley, J. Chem. Inf. Comput. Sci.
       44, 1912 (2004). :doi:`10.1021/ci049782w`
    .. [2] J. P. Janet, C. Duan, T. Yang, A. Nandy, H. J. Kulik, Chem. Sci. 10, 7913 (2019).
       :doi:`10.1039/C9SC02298H`

    Examples
    --------
    >>> from sklmat import ApplicabilityDomain, StructureFeaturizer
    >>> from sklmat.datasets import make_alloys
    >>> alloys = make_alloys(60).data
    >>> domain = ApplicabilityDomain(StructureFeaturizer(groups=["volume"])).fit(alloys[:40])
    >>> expanded = alloys[40].copy()
    >>> _ = expanded.scale_lattice(2 * expanded.volume)
    >>> domain.is_inside(alloys[40:42]).tolist()
    [True, True]
    >>> domain.transform([alloys[40], expanded]).round()
       distance to training rows
    0                        1.0
    1                       59.0
    """

    _parameter_constraints: dict = {
        "embedding": [None, HasMethods(["transform"]), HasMethods(["embed"])],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "quantile": [Interval(Real, 0, 1, closed="right")],
    }

    def __init__(
        self,
        embedding: BaseEstimator | None = None,
        *,
        n_neighbors: int = 5,
        quantile: float = 0.95,
    ) -> None:
        self.embedding = embedding
        self.n_neighbors = n_neighbors
        self.quantile = quantile

    @unchanged_by_failure
    def fit(
        self,
        X: Structures | CrystalGraphs | Table,
        y: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Store the vectors of the training rows, and compute their distances to each other.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs or table
            Training rows of the model.
        y : array-like of shape (n,) or (n, T), default=None
            Targets, for an embedding that is trained.
        groups : array-like of shape (n,), default=None
            A row is not compared with rows of the same label. None takes the compositions, where
            `X` tells them.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        InvalidStructureError
            When a crystal cannot be used.
        ValueError
            When a row has fewer than `n_neighbors` rows of other groups, vectors are missing or
            infinite, or most rows have the same vector.
        """
        self._validate_params()
        if isinstance(self.embedding, type):
            raise TypeError(f"embedding must be an instance, got {self.embedding!r}")
        X, groups = indexable(X, groups)
        labels = row_labels(X, groups)
        embedding = None
        if self.embedding is not None:
            embedding = _as_transformer(self.embedding)
            if embedding is self.embedding:
                embedding = clone(embedding)
            embedding.fit(X, y)
        vectors = _vectors(embedding, X)
        sizes = np.bincount(labels)
        n_others = len(labels) - int(sizes.max())
        if n_others < self.n_neighbors:
            raise ValueError(
                f"n_neighbors={self.n_neighbors} needs as many rows of other groups (compositions, "
                f"unless fit is given groups) for each row, and one row has only {n_others}; lower "
                "n_neighbors"
            )
        scaler = StandardScaler().fit(vectors)
        # The rounding errors of a constant column must not be scaled up.
        scaler.scale_[scaler.scale_ < _ROUNDING * np.abs(scaler.mean_)] = 1.0
        neighbors = NearestNeighbors().fit(scaler.transform(vectors))
        n_nearest = self.n_neighbors + int(sizes.max())
        distances, rows = neighbors.kneighbors(
            scaler.transform(vectors), n_neighbors=min(n_nearest, len(labels))
        )
        distances[labels[rows] == labels[:, None]] = np.inf
        nearest = np.sort(distances, axis=1)[:, : self.n_neighbors]
        own = nearest.mean(axis=1)
        threshold = float(np.quantile(own, self.quantile, method="higher"))
        if not threshold > 0:
            raise ValueError(
                "the embedding has the same vector for most rows, so that there are no distances "
                "to compare with; choose another embedding"
            )
        for name in ("n_features_in_", "feature_names_in_"):
            if name in vars(self):
                delattr(self, name)
        if embedding is None:
            validate_data(self, X, skip_check_array=True)
        self.embedding_, self.scaler_, self.neighbors_ = embedding, scaler, neighbors
        self.training_distances_, self.threshold_ = own, threshold
        self.n_features_out_ = 1
        return self

    def transform(self, X: Structures | CrystalGraphs | Table) -> Any:
        """Compute the distances to the training rows, in units of the largest one inside.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs or table
            The rows.

        Returns
        -------
        table : DataFrame or ndarray of shape (n, 1)
            Above 1 outside of the domain.

        Raises
        ------
        InvalidStructureError
            When a crystal cannot be used.
        ValueError
            When vectors are missing or infinite.
        """
        return output_table(self, self._ratios(X)[:, None], X)

    def is_inside(self, X: Structures | CrystalGraphs | Table) -> np.ndarray:
        """Tell which crystals are inside of the domain of the training rows.

        Parameters
        ----------
        X : sequence of n crystals, CrystalGraphs or table
            The rows.

        Returns
        -------
        inside : ndarray of bool, shape (n,)
            Whether each row is inside.

        Warns
        -----
        ExtrapolationWarning
            Names the rows that are outside.
        """
        ratios = self._ratios(X)
        outside = np.flatnonzero(ratios > 1)
        if len(outside):
            named = ", ".join(f"{row} ({ratios[row]:.3g})" for row in outside[:_MAX_NAMED])
            n_more = len(outside) - _MAX_NAMED
            warnings.warn(
                f"{len(outside)} of {len(ratios)} rows are outside of the domain of the training "
                f"rows; row (distance over the largest one inside): {named}"
                f"{f' and {n_more} more' if n_more > 0 else ''}; predictions extrapolate",
                ExtrapolationWarning,
                stacklevel=frames_inside(),
            )
        return ratios <= 1

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Name of the column.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        names : ndarray of str, shape (1,)
            One name for each column of ``transform``.
        """
        check_is_fitted(self)
        return np.array(["distance to training rows"], dtype=object)

    def _ratios(self, X):
        """Distances in units of the threshold, shape (n,)."""
        check_is_fitted(self)
        if self.embedding_ is None:
            validate_data(self, X, skip_check_array=True, reset=False)
        vectors = self.scaler_.transform(_vectors(self.embedding_, X))
        distances, _ = self.neighbors_.kneighbors(vectors, n_neighbors=self.n_neighbors)
        return distances.mean(axis=1) / self.threshold_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.embedding is not None:
            inner = get_tags(_as_transformer(self.embedding))
            tags.input_tags, tags.target_tags = inner.input_tags, inner.target_tags
        return tags


def _as_transformer(embedding):
    """A graph network as a transformer; any other embedding as it is."""
    if not hasattr(embedding, "embed"):
        return embedding
    from sklmat.embeddings import GraphEmbedding  # loads torch

    return GraphEmbedding(embedding)


def _vectors(embedding, X):
    """Vectors of the rows, shape (n, F): finite numbers."""
    table = X if embedding is None else embedding.transform(X)
    if hasattr(table, "toarray"):
        table = table.toarray()
    vectors = number_array(table, "X" if embedding is None else "the embedding")
    if vectors.ndim != 2 or len(vectors) != _num_samples(X):
        raise ValueError(
            f"the embedding has the shape {vectors.shape} for {_num_samples(X)} rows; expected one "
            "row of numbers for each crystal"
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise ValueError(
            f"the embedding holds NaN or infinity in {len(bad)} rows, such as row {bad[0]}; drop "
            "these rows, or fill the values in a Pipeline with SimpleImputer"
        )
    return vectors
