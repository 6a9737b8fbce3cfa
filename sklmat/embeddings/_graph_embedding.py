"""`GraphEmbedding`: crystals as the pooled vectors of a trained graph network."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_is_fitted

from sklmat.estimators import (
    CGCNNRegressor,
    fitted_source,
    is_fitted_source,
    is_graph_estimator,
    published_name,
    training_graphs,
    unfitted_clone,
)
from sklmat.features import TableFeaturizer, output_table
from sklmat.fitted_state import unchanged_by_failure

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from sklearn.base import BaseEstimator

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, PathLike, Structures


class GraphEmbedding(TableFeaturizer):
    """Transformer to the vectors that a trained graph network computes for crystals.

    Parameters
    ----------
    estimator : graph estimator, FrozenEstimator, path, str or None, default=None
        The network: CGCNN, ECNet or a network of your own. An unfitted estimator is cloned and
        trained by `fit`; ``None`` means ``CGCNNRegressor()``. With any of these, `fit` does not
        train a network:

        - ``sklearn.frozen.FrozenEstimator(fitted)`` is a fitted estimator.
        - A path is that of a file that ``save`` of an estimator wrote, or that the original CGCNN
          wrote (``.pth.tar``; its element table is the ``atom_init.json`` in the same folder or, if
          there is none, that of the published networks).
        - ``"cgcnn:formation-energy-per-atom"`` is a network that the authors of CGCNN trained on
          crystals of the Materials Project and published [1]_;
          `sklmat.datasets.fetch_cgcnn_checkpoint` lists the names. It is downloaded on first use,
          unless it is in the folder of data files (see `sklmat.datasets.get_data_home`), and its
          sha256 is verified.

    Attributes
    ----------
    estimator_ : graph estimator
        The fitted network.
    feature_names_ : list of str
        Names of the columns: name of the network and a number, ``CGCNN_0``, ``CGCNN_1``, ...; for a
        published network with its name, ``CGCNN_formation-energy-per-atom_0``, ...
    n_features_out_ : int
        Number of columns.

    Notes
    -----
    This transformer is supervised. The vectors of its training rows contain information about their
    targets, so a model that is trained and scored on these rows looks too accurate. Evaluate the
    whole pipeline on held-out rows. With a network that was trained before, it needs no targets; if
    crystals of your test rows, or alike ones, were among the rows of this network, their scores are
    too good, and no split repairs this.

    `transform` returns a pandas DataFrame (with the index of `X` if it is a Series), or an array
    after ``set_output(transform="default")``.

    References
    ----------
    .. [1] T. Xie, J. C. Grossman, Phys. Rev. Lett. 120, 145301 (2018),
       :doi:`10.1103/PhysRevLett.120.145301`

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import CGCNNRegressor, GraphEmbedding
    >>> cells = [Structure(Lattice.cubic(a), ["Fe"], [[0, 0, 0]]) for a in np.linspace(2, 3, 8)]
    >>> network = CGCNNRegressor(hidden_dim=4, max_epochs=2, random_state=0)
    >>> GraphEmbedding(network).fit_transform(cells, np.linspace(0, 1, 8)).columns.tolist()
    ['CGCNN_0', 'CGCNN_1', 'CGCNN_2', 'CGCNN_3']
    """

    _parameter_constraints = {"estimator": [None, str, os.PathLike, HasMethods(["fit", "embed"])]}

    def __init__(self, estimator: BaseEstimator | PathLike | None = None) -> None:
        self.estimator = estimator

    @unchanged_by_failure
    def fit(self, X: Structures | CrystalGraphs | pd.DataFrame, y: ArrayLike | None = None) -> Self:
        """Train the network unless it is fitted.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for a network with `extra` a DataFrame
            Training crystals.
        y : array-like of shape (C,) or (C, n_targets), default=None
            Targets; needed unless the network is fitted already.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        OSError
            When a published network is missing and cannot be downloaded. The message says where
            from and where to its files must be copied.
        ValueError
            When there is no published network of this name, a file holds no network, `estimator`
            is fitted and not frozen, or `y` is missing.
        """
        self._fit(X, y)
        return self

    @unchanged_by_failure
    def fit_transform(
        self, X: Structures | CrystalGraphs | pd.DataFrame, y: ArrayLike | None = None
    ) -> np.ndarray:
        """Fit, and compute the vectors of the training rows.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for a network with `extra` a DataFrame
            Training crystals.
        y : array-like of shape (C,) or (C, n_targets), default=None
            Targets; needed unless the network is fitted already.

        Returns
        -------
        table : pandas.DataFrame or ndarray of shape (C, F)
            F is ``n_features_out_``.
        """
        crystals = self._fit(X, y)
        return output_table(self, self.estimator_.embed(crystals), X)

    def _fit(self, X, y):
        """Fit; return the graphs of the training rows, or `X` if no network was trained."""
        # The parameter constraints require the method embed; a FrozenEstimator has the methods of
        # the estimator that it holds.
        self._validate_params()
        if is_fitted_source(self.estimator):
            self.estimator_ = fitted_source(self.estimator)
        else:
            estimator = CGCNNRegressor() if self.estimator is None else self.estimator
            network = unfitted_clone(estimator, y, "GraphEmbedding")
            # Graphs alone would lack the columns that `extra` reads.
            if is_graph_estimator(network) and getattr(network, "extra", None) is None:
                X = training_graphs(network, X)
            self.estimator_ = network.fit(X, y)
        configs = [net.module_.config for net in self.estimator_.nets_]
        self.n_features_out_ = sum(c["hidden_dim"] * c.get("n_members", 1) for c in configs)
        prefix = type(self.estimator_).__name__.removesuffix("Regressor").removesuffix("Classifier")
        published = published_name(self.estimator)
        if published is not None:
            prefix += f"_{published}"
        self.feature_names_ = [f"{prefix}_{k}" for k in range(self.n_features_out_)]
        return X

    def transform(self, X: Structures | CrystalGraphs | pd.DataFrame) -> np.ndarray:
        """Compute the vectors of crystals.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for a network with `extra` a DataFrame
            The crystals.

        Returns
        -------
        table : pandas.DataFrame or ndarray of shape (C, F)
            F is ``n_features_out_``.
        """
        check_is_fitted(self)
        return output_table(self, self.estimator_.embed(X), X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = not is_fitted_source(self.estimator)
        return tags
