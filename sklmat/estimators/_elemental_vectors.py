"""`ElementalVectors`, methods of ECNet estimators, and tables of the elements' contributions."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sklmat.compositions import fraction_column
from sklmat.deprecation import REMOVED_IN
from sklmat.elements import element_symbols
from sklmat.estimators._graph_model import GraphModel
from sklmat.estimators._targets import ClassTargets
from sklmat.features import output_table
from sklmat.recorded_warnings import frames_inside
from sklmat.unseen_elements import find_unseen_elements

if TYPE_CHECKING:
    from sklmat.graphs import CrystalGraphs, ElementGraphs
    from sklmat.typing import Structures


class ElementalVectors(TransformerMixin):
    """Methods of ECNet estimators that return the elemental vectors."""

    def elemental_vectors(
        self, X: Structures | CrystalGraphs | pd.DataFrame
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Compute the elemental vectors: one for each element in each crystal.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for `extra` a DataFrame
            The crystals.

        Returns
        -------
        vectors : ndarray of shape (P, n_ensemble * hidden_dim)
            The P elemental vectors of all crystals.
        crystal : ndarray of shape (P,)
            Row of `X` to which each vector belongs.
        atomic_numbers : ndarray of shape (P,)
            Element to which each vector belongs.
        fraction : ndarray of shape (P,)
            Fraction of the atoms of the crystal that are of this element.
        """
        model = GraphModel.of(self)
        graphs = model.read_graphs(X, with_extra=False)
        inputs = cast("ElementGraphs", model.inputs(graphs))
        vectors = model.run(inputs, "elements").swapaxes(0, 1)
        return (
            vectors.reshape(len(vectors), -1),
            inputs.crystal_of_node,
            inputs.atomic_numbers.astype(int),
            inputs.fraction,
        )

    def transform(self, X: Structures | CrystalGraphs | pd.DataFrame) -> Any:
        """Compute a table of composition and elemental vectors; use `ECNetFeaturizer` instead.

        .. deprecated:: 0.1
           Will be removed in 0.3, with `fit_transform`, `get_feature_names_out` and `set_output`.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or for `extra` a DataFrame
            The crystals.

        Returns
        -------
        pandas.DataFrame or ndarray of shape (C, E * (1 + n_ensemble * hidden_dim))
            Fractions of the E elements of the training rows, then the block of columns of each
            element, zero where a crystal lacks the element. See `get_feature_names_out`.

        Raises
        ------
        ValueError
            When a crystal has an element that no training row had.

        Warns
        -----
        FutureWarning
            Always.

        Notes
        -----
        The vectors of the training rows contain information about their targets, so a model that is
        trained and scored on them looks too accurate.
        """
        check_is_fitted(self, "nets_")
        warnings.warn(
            f"transform of {type(self).__name__} is removed in sklmat {REMOVED_IN}: use "
            "ECNetFeaturizer, or elemental_vectors for the vectors alone",
            FutureWarning,
            stacklevel=frames_inside(),
        )
        vectors, crystal, numbers, fraction = self.elemental_vectors(X)
        unseen = find_unseen_elements(crystal, numbers, self.elements_)
        if unseen:
            row = next(iter(unseen))
            raise ValueError(
                f"structure {row} holds {', '.join(unseen[row])}, which no training row had, so "
                "that there is no column for it"
            )
        column = np.searchsorted(self.elements_, numbers)
        n_crystals, n_elements = crystal[-1] + 1, len(self.elements_)
        fractions = np.zeros((n_crystals, n_elements))
        blocks = np.zeros((n_crystals, n_elements, vectors.shape[1]))
        fractions[crystal, column] = fraction
        blocks[crystal, column] = vectors
        values = np.hstack([fractions, blocks.reshape(n_crystals, -1)])
        return output_table(self, values, X)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return the names of the columns of `transform`: ``x_Fe``, ..., ``Fe_0``, ``Fe_1``, ...

        .. deprecated:: 0.1
           Will be removed in 0.3, with `transform`.

        Parameters
        ----------
        input_features : None
            Ignored: crystals have no columns.

        Returns
        -------
        ndarray of str
            One name for each column of `transform`.
        """
        check_is_fitted(self, "nets_")
        config = self.net_.module_.config
        width = config["n_members"] * config["hidden_dim"]
        symbols = element_symbols(self.elements_)
        names = [fraction_column(symbol) for symbol in symbols]
        names += [f"{symbol}_{k}" for symbol in symbols for k in range(width)]
        return np.array(names, dtype=object)


def element_contributions(
    model: GraphModel, graphs: CrystalGraphs
) -> tuple[ElementGraphs, np.ndarray]:
    """Contribution of each element to the scaled outputs of its crystal, mean over the members.

    Parameters
    ----------
    model : GraphModel
        Its attribute ``additive_elements`` is True.
    graphs : CrystalGraphs of C crystals

    Returns
    -------
    inputs : ElementGraphs of P nodes
    contributions : ndarray of shape (P, K)
        For K targets or classes.
    """
    inputs = cast("ElementGraphs", model.inputs(graphs))
    contributions = model.run(inputs, "contributions").swapaxes(0, 1)
    return inputs, contributions.astype(np.float64).mean(axis=1)


def contribution_table(
    estimator: ElementalVectors, X: Structures | CrystalGraphs | pd.DataFrame
) -> pd.DataFrame:
    """Contributions of the elements as a table with a column for each output and element.

    Parameters
    ----------
    estimator : fitted ECNetRegressor or ECNetClassifier
    X : sequence of C structures, CrystalGraphs, or for `extra` a DataFrame

    Returns
    -------
    DataFrame of C rows
        In the unit of `y` for a regressor, logits for a classifier. The columns are elements if `y`
        has one dimension; otherwise they have two levels, target or class, and element.
    """
    model = GraphModel.of(estimator)
    inputs, values = element_contributions(model, model.read_graphs(X))
    targets = model.targets
    if isinstance(targets, ClassTargets):
        outputs: Any = targets.classes
    else:
        values = values * targets.scale + inputs.fraction[:, None] * targets.mean
        outputs = None if estimator.target_ndim_ == 1 else range(values.shape[1])
    elements = np.unique(inputs.atomic_numbers)
    table = np.zeros((len(inputs), values.shape[1], len(elements)))
    column = np.searchsorted(elements, inputs.atomic_numbers)
    table[inputs.crystal_of_node, :, column] = values
    symbols = element_symbols(elements)
    if outputs is None:
        return pd.DataFrame(table[:, 0], columns=symbols)
    columns = pd.MultiIndex.from_product([outputs, symbols])
    return pd.DataFrame(table.reshape(len(inputs), -1), columns=columns)
