"""`ECNetFeaturizer`: composition, lattice and elemental vectors of a trained ECNet as a table."""

from __future__ import annotations

import os
from numbers import Integral
from typing import TYPE_CHECKING, Self

import numpy as np
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_is_fitted

from sklmat.argument_checks import checked_arguments
from sklmat.elements import element_table
from sklmat.embeddings._ecnet_featurizer_file import load_featurizer, save_featurizer
from sklmat.embeddings._pca import fit_pca
from sklmat.estimators import (
    ECNetRegressor,
    GraphModel,
    fitted_source,
    is_fitted_source,
    read_input,
    training_graphs,
    unfitted_clone,
)
from sklmat.features import CompositionFeaturizer, TableFeaturizer, output_table
from sklmat.fitted_state import unchanged_by_failure
from sklmat.parallel import N_JOBS
from sklmat.parameter_constraints import Interval
from sklmat.structures import check_structures, is_graphs
from sklmat.unseen_elements import find_unseen_elements, unseen_element_errors

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.base import BaseEstimator

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, PathLike, RandomState, Structures


class ECNetFeaturizer(TableFeaturizer):
    """Transformer to a table of features that an element-convolution network (ECNet) learns.

    In each crystal, the network computes one vector for each element (see `ECNetRegressor`). The
    table has one row per crystal. Its columns are, in this order:

    - the atomic fraction of each element seen in `fit` (``x_Cr``, ``x_Fe``, ... by atomic number),
      as in `CompositionFeaturizer`;
    - with `lattice`, one 0/1 column for each lattice seen in `fit` (``lattice_bcc``,
      ``lattice_fcc``, ...), as in `CompositionFeaturizer`;
    - a block of columns for each element (``Cr_0``, ``Cr_1``, ..., ``Fe_0``, ...): the leading
      principal components of the vector of this element. The vector depends on the surroundings of
      the element's atoms in the crystal. Each element has its own principal component analysis
      (PCA).

    This transformer is supervised. **The vectors of its training rows contain information about
    their targets, so a model that is trained and scored on these rows looks too accurate**:
    evaluate the whole pipeline on held-out rows.

    Parameters
    ----------
    estimator : ECNetRegressor, ECNetClassifier, FrozenEstimator, path or None, default=None
        The network. An unfitted estimator is cloned and trained by `fit`; ``None`` means
        ``ECNetRegressor()``. A fitted estimator is given as
        ``sklearn.frozen.FrozenEstimator(fitted)`` or as the path of a file that its ``save`` wrote;
        `fit` then does not train a network and needs no `y`.
    n_components : int, default=5
        Number of columns for each element: the leading principal components of its vectors over the
        training rows that contain it. A small number suits trees and Gaussian processes, ten or
        more a linear model. An element in r training rows has at most r - 1 components, and at most
        the width of its vectors. A component whose standard deviation is below 1e-5 of the length
        of the vectors is a rounding error and is left out, so an element whose vector is the same
        in all training rows has no columns.
    lattice : bool, default=True
        Whether to add the lattice type of the crystal, from `infer_lattice`. `transform` then
        raises an error for a lattice type that no training row has.
    random_state : int, RandomState or None, default=None
        Seed of the network; ``None`` keeps the `random_state` of `estimator`.
    n_jobs : int, default=None
        Processes that build graphs, if `estimator` is None.
    verbose : bool, default=False
        Show a progress bar over the epochs, if `estimator` is None.

    Attributes
    ----------
    estimator_ : ECNetRegressor or ECNetClassifier
        The fitted network: trained on all rows of `fit`, or the given fitted one.
    elements_ : list of str
        Symbols seen in `fit`, by atomic number.
    lattices_ : list of str
        Lattices seen in `fit`, alphabetically; empty without `lattice`.
    composition_ : CompositionFeaturizer
        Transformer that makes the columns of fractions and lattices.
    pca_ : dict of str to PCA
        The PCA of each element; ``None`` for an element without columns.
    explained_variance_ratio_ : dict of str to ndarray
        Fraction of the variance of an element's vectors that each of its columns explains.
    feature_names_ : list of str
        Names of the columns.
    n_features_out_ : int
        Number of columns.

    See Also
    --------
    GraphEmbedding : One vector per crystal instead of one per element.
    CompositionFeaturizer : The columns of fractions and lattices alone.

    Notes
    -----
    The principal components are centred. If the fraction of an element is zero, a zero in its block
    means that the element is absent; otherwise, it means the mean over the training rows that
    contain the element. In a linear model, an absent element contributes zero. The sign of a
    component is such that its largest loading is positive.

    On the alloys of `sklmat.datasets.fetch_hea`, XGBoost was more accurate on this table than on
    the tables of `CompositionFeaturizer` and `StructureFeaturizer`, and less accurate than the
    network itself. Cross-fitting, as in `sklearn.preprocessing.TargetEncoder`, did not improve the
    accuracy and is not implemented. The errors are listed in the user guide
    (:ref:`benchmarks-descriptors`).

    `transform` returns a pandas DataFrame (with the index of `X` if it is a Series), or an array
    after ``set_output(transform="default")``.

    Where this differs from [1]_: the network computes the vectors for each crystal (the public code
    reads one vector per element from a table), and the principal components are fitted on the rows
    of `fit` only. The network is also trained on these rows only, unless a fitted one is given;
    keep test rows out of the training of a network that you give.

    References
    ----------
    .. [1] Y. Sun, C. Hou, N.-D. Tran, Y. Lu, Z. Li, Y. Chen, J. Ni, "EFTGAN: Elemental features and
       transferring corrected data augmentation for the study of high-entropy alloys", npj Comput.
       Mater. 11, 54 (2025).

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklmat import ECNetFeaturizer, ECNetRegressor
    >>> from sklmat.datasets import make_alloys
    >>> alloys = make_alloys(40, random_state=0)
    >>> network = ECNetRegressor(max_epochs=30, n_ensemble=2)
    >>> featurizer = ECNetFeaturizer(network, n_components=2, random_state=0)
    >>> model = make_pipeline(featurizer, Ridge()).fit(alloys.data[:30], alloys.target[:30])
    >>> round(model.score(alloys.data[30:], alloys.target[30:]), 1)
    0.9
    >>> model[0].get_feature_names_out().tolist()
    ['x_Ni', 'x_Cu', 'x_Pd', 'x_Pt', 'lattice_fcc', 'Ni_0', 'Ni_1', 'Cu_0', 'Cu_1',
     'Pd_0', 'Pd_1', 'Pt_0', 'Pt_1']
    """

    _parameter_constraints = {
        "estimator": [None, str, os.PathLike, HasMethods(["fit", "elemental_vectors"])],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "lattice": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": N_JOBS,
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: BaseEstimator | PathLike | None = None,
        *,
        n_components: int = 5,
        lattice: bool = True,
        random_state: RandomState = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.estimator = estimator
        self.n_components = n_components
        self.lattice = lattice
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @unchanged_by_failure
    def fit(self, X: Structures | CrystalGraphs | pd.DataFrame, y: ArrayLike | None = None) -> Self:
        """Train the network unless it is fitted, and fit the PCA of each element.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for an ECNet with `extra` a DataFrame
            See `check_structures`. For many fits on the same crystals, CrystalGraphs save time.
        y : array-like of shape (C,) or (C, n_targets), default=None
            Targets; needed unless the network is fitted already.

        Returns
        -------
        self : ECNetFeaturizer
            The fitted estimator.

        Raises
        ------
        InvalidStructureError
            When a crystal cannot be used.
        ValueError
            When `estimator` is fitted but neither a FrozenEstimator nor a path; when it is not an
            ECNet; or when its `fit` or `predict` would raise an error for `y` or for an element.
        """
        self._fit(X, y)
        return self

    @unchanged_by_failure
    def fit_transform(
        self, X: Structures | CrystalGraphs | pd.DataFrame, y: ArrayLike | None = None
    ) -> pd.DataFrame:
        """Fit, and compute the table of the training rows.

        The vectors of these rows contain information about their targets.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for an ECNet with `extra` a DataFrame
            Training crystals.
        y : array-like of shape (C,) or (C, n_targets), default=None
            Targets; needed unless the network is fitted already.

        Returns
        -------
        table : pandas.DataFrame or ndarray of shape (C, F)
            The result of ``fit(X, y).transform(X)``, computed faster.

        Raises
        ------
        InvalidStructureError
            As in `fit`.
        ValueError
            As in `fit`.
        """
        return output_table(self, self._fit(X, y), X)

    def transform(self, X: Structures | CrystalGraphs | pd.DataFrame) -> pd.DataFrame:
        """Compute the table of crystals with the fitted network and the fitted PCA.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for an ECNet with `extra` a DataFrame
            The crystals.

        Returns
        -------
        table : pandas.DataFrame or ndarray of shape (C, F)
            One row for each crystal, with the columns of ``get_feature_names_out``.

        Raises
        ------
        InvalidStructureError
            When a crystal is invalid, or has an element or a lattice that no row of `fit` has.
        """
        check_is_fitted(self)
        crystals = GraphModel.of(self.estimator_).read_input(X, with_extra=False)[1]
        structures = crystals.to_structures() if is_graphs(crystals) else check_structures(crystals)
        self._refuse_unseen_elements(structures)
        composition = self.composition_.transform(structures)
        vectors, crystal, numbers, _ = self.estimator_.elemental_vectors(
            crystals if is_graphs(crystals) else structures
        )
        return output_table(self, self._assemble(composition, vectors, crystal, numbers), X)

    @checked_arguments()
    def save(self, path: PathLike) -> None:
        """Write the fitted transformer to one file, which holds numbers and JSON and no code.

        Parameters
        ----------
        path : str or path-like
            A safetensors file. It contains the network, too.
        """
        check_is_fitted(self)
        save_featurizer(self, path)

    @classmethod
    @checked_arguments()
    def load(cls, path: PathLike) -> Self:
        """Read a transformer that `save` wrote.

        Parameters
        ----------
        path : str or path-like
            Path of a file that ``save`` has written.

        Returns
        -------
        featurizer : ECNetFeaturizer
            Fitted. Settings of ``set_output`` are not in the file.

        Raises
        ------
        ValueError
            When the file does not hold an ECNetFeaturizer.
        """
        return load_featurizer(cls, path)

    def _fit(self, X, y):
        """Fit network, composition and PCA, and return the table of the training rows."""
        self._validate_params()
        network = self._network(y)
        is_fitted = is_fitted_source(self.estimator)
        if is_fitted:
            crystals = GraphModel.of(network).read_input(X, with_extra=False)[1]
        else:
            crystals = read_input(network, X)[1]
        structures = crystals.to_structures() if is_graphs(crystals) else check_structures(crystals)
        composition = CompositionFeaturizer(lattice=self.lattice, fractions=True, properties=())
        leading = composition.fit_transform(structures)
        items = crystals if is_graphs(crystals) else structures
        if is_fitted:
            graphs = GraphModel.of(network).read_graphs(items, with_extra=False)
        elif getattr(network, "extra", None) is None:
            graphs = training_graphs(network, items)
            network.fit(graphs, y)
        else:
            network.fit(X, y)  # Graphs alone would lack the columns that `extra` reads.
            graphs = GraphModel.of(network).read_graphs(items, with_extra=False)
        vectors, crystal, numbers, _ = network.elemental_vectors(graphs)
        self.estimator_, self.composition_ = network, composition
        self._fit_components(vectors, numbers)
        return self._assemble(leading, vectors, crystal, numbers)

    def _refuse_unseen_elements(self, structures):
        """Raise for the first crystal with an element that has no block of columns."""
        rows = np.repeat(np.arange(len(structures)), [len(crystal) for crystal in structures])
        numbers = np.array([z for crystal in structures for z in crystal.atomic_numbers], dtype=int)
        unseen = find_unseen_elements(rows, numbers, _atomic_numbers(self.elements_))
        if unseen:
            raise unseen_element_errors(
                unseen,
                lambda row: structures[row].formula.replace(" ", ""),
                self.elements_,
                "because each element has columns of its own, or use GraphEmbedding with "
                "atom_init='physical'",
            )[0]

    def _network(self, y):
        """Return the fitted network, or the one to train."""
        if is_fitted_source(self.estimator):
            network = fitted_source(self.estimator)
        else:
            default = ECNetRegressor(n_jobs=self.n_jobs, verbose=self.verbose)
            estimator = default if self.estimator is None else self.estimator
            network = unfitted_clone(estimator, y, "ECNetFeaturizer")
            if self.random_state is not None:
                network.set_params(random_state=self.random_state)
        if not hasattr(network, "elemental_vectors"):
            raise ValueError(
                f"estimator holds a {type(network).__name__}, which has no elemental vectors; "
                "ECNetRegressor and ECNetClassifier have"
            )
        return network

    def _fit_components(self, vectors, numbers):
        """Fit the PCA of each element, and name the columns."""
        self.elements_ = self.composition_.elements_
        self.lattices_ = self.composition_.lattices_
        self.pca_ = {}
        for symbol, z in zip(self.elements_, _atomic_numbers(self.elements_)):
            self.pca_[symbol] = fit_pca(vectors[numbers == z], self.n_components)
        self.explained_variance_ratio_ = {
            symbol: np.zeros(0) if pca is None else pca.explained_variance_ratio_
            for symbol, pca in self.pca_.items()
        }
        self.feature_names_ = [
            *self.composition_.feature_names_[:-1],
            *(f"{e}_{k}" for e, v in self.explained_variance_ratio_.items() for k in range(len(v))),
        ]
        self.n_features_out_ = len(self.feature_names_)

    def _assemble(self, composition, vectors, crystal, numbers):
        """Join fractions, lattice and the blocks of the elements to one array."""
        # The last column of the composition is its mixing entropy.
        columns = [np.asarray(composition)[:, :-1]]
        for symbol, z in zip(self.elements_, _atomic_numbers(self.elements_)):
            pca, rows = self.pca_[symbol], numbers == z
            if pca is None:
                continue
            block = np.zeros((len(composition), pca.n_components_))
            if rows.any():
                block[crystal[rows]] = pca.transform(vectors[rows].astype(np.float64))
            columns.append(block)
        return np.hstack(columns)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = not is_fitted_source(self.estimator)
        return tags


def _atomic_numbers(symbols):
    return element_table(symbols)["atomic number"].to_numpy(int)
