"""`GraphModel`: the interface of a graph estimator for other modules.

Attribution, embeddings and attacks need the graphs and the outputs of an estimator's networks, also
with gradients. They use this class only, and no other attributes of the estimator.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklmat.batches import EvenBatches, pad_neighbors
from sklmat.estimators._architecture import Architecture
from sklmat.estimators._extra_columns import add_extra, read_input
from sklmat.estimators._graph_input import check_seen_elements, graphs_like_fit
from sklmat.estimators._targets import ClassTargets, RegressionTargets, fitted_targets
from sklmat.estimators._warm_start import thawed
from sklmat.graphs import CrystalGraphs, ElementGraphs
from sklmat.training import run_network

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.batches import CrystalBatch, ElementBatch
    from sklmat.estimators._graph_estimator import GraphEstimator


def is_graph_estimator(estimator: object) -> TypeGuard[GraphEstimator]:
    """Whether `estimator` is a CGCNN, an ECNet, or another estimator with an `Architecture`."""
    return isinstance(getattr(type(estimator), "architecture", None), Architecture)


def name_of_other(estimator: object) -> str:
    """Name of the class of an estimator that is none, and the attribute that has a network."""
    name = type(estimator).__name__
    for attribute in ("estimator_", "estimators_"):
        inside = getattr(estimator, attribute, None)
        if any(map(is_graph_estimator, inside if isinstance(inside, list) else [inside])):
            one = "its network" if attribute == "estimator_" else "one of its networks"
            return f"{name}; pass {one}, {attribute}"
    return name


class GraphModel:
    """The networks of a graph estimator, fitted or in training, as a function of crystal graphs.

    Parameters
    ----------
    estimator : GraphEstimator
    modules : list of torch modules
        Networks of the estimator: one for all members of an ensemble, or one for each member.
    targets : RegressionTargets or ClassTargets
        Converts between `y` and the outputs of the networks.
    padded : bool
        Whether missing neighbours are replaced as in the original CGCNN, see `pad_neighbors`.

    Attributes
    ----------
    batch_size : int
        Number of crystals in a batch.
    precision : {"float32", "bfloat16"}
        Precision of the matrix products in the method `run`; all other methods use "float32".
    is_classifier : bool
        Whether the outputs are logits of classes.
    additive_elements, members_share_network : bool
        See `Architecture`.
    """

    def __init__(
        self,
        estimator: GraphEstimator,
        modules: list[nn.Module],
        targets: RegressionTargets | ClassTargets,
        padded: bool,
    ) -> None:
        self.estimator = estimator
        self.modules = modules
        self.targets = targets
        self.padded = padded
        self.batch_size: int = estimator.batch_size
        # Estimators of users may lack the parameter.
        self.precision: str = getattr(estimator, "precision", "float32")
        self.is_classifier = isinstance(targets, ClassTargets)
        self.additive_elements: bool = estimator.architecture.additive_elements
        self.members_share_network: bool = estimator.architecture.members_share_network

    @classmethod
    def of(cls, estimator: BaseEstimator, purpose: str = "predictions of networks") -> GraphModel:
        """Make the model of a fitted estimator.

        Parameters
        ----------
        estimator : fitted graph estimator, or FrozenEstimator of one
        purpose : str
            Beginning of the message of the TypeError: what needs the estimator.

        Raises
        ------
        TypeError
            When `estimator` is not a graph estimator.
        NotFittedError
            When `estimator` is not fitted.
        """
        estimator = thawed(estimator)
        if not is_graph_estimator(estimator):
            raise TypeError(
                f"{purpose} need a fitted graph estimator (CGCNN or ECNet, as a classifier or a "
                f"regressor), got {name_of_other(estimator)}"
            )
        if not hasattr(estimator, "nets_"):
            check_is_fitted(estimator, "nets_")  # raises, with scikit-learn's message
        modules = [net.module_ for net in estimator.nets_]
        return cls(estimator, modules, fitted_targets(estimator), estimator.padded_)

    def read_input(self, X: Any, *, with_extra: bool = True) -> tuple[Any, Any]:
        """Return what the columns of `extra` and the graphs are made from, for `read_graphs`.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or DataFrame
        with_extra : bool, default=True
            Whether a DataFrame needs the columns that `extra` names.

        Returns
        -------
        X
        crystals : sequence of C structures, or CrystalGraphs
        """
        # Estimators that were saved by earlier versions have no such attribute.
        column = getattr(self.estimator, "structure_column_", None)
        return read_input(self.estimator, X, column, with_extra=with_extra)[:2]

    def read_graphs(
        self, X: Any, crystals: Any = None, *, with_extra: bool = True
    ) -> CrystalGraphs:
        """Return the graphs of crystals, built and checked as in `predict`, without padding.

        Parameters
        ----------
        X : sequence of C structures, CrystalGraphs, or DataFrame
        crystals : sequence of C structures, or CrystalGraphs, default=None
            The crystals, if `X` is a result of `read_input`.
        with_extra : bool, default=True
            Whether the graphs have the columns of `extra`, which only some methods of the networks
            read.
        """
        if crystals is None:
            X, crystals = self.read_input(X, with_extra=with_extra)
        graphs = graphs_like_fit(self.estimator, crystals)
        check_seen_elements(self.estimator, graphs)
        if len(graphs) == 0:
            raise ValueError("X is empty (0 structures); there is nothing to predict")
        return add_extra(self.estimator, X, graphs) if with_extra else graphs

    def pad(self, graphs: CrystalGraphs) -> CrystalGraphs:
        """Add the missing neighbours to graphs if the networks expect them."""
        return pad_neighbors(graphs) if self.padded else graphs

    def inputs(self, graphs: CrystalGraphs) -> CrystalGraphs | ElementGraphs:
        """Return the inputs of the networks for `make_batch`, made from graphs."""
        return self.estimator.architecture.make_inputs(self.estimator, self.pad(graphs))

    def batches(self, graphs: CrystalGraphs | ElementGraphs) -> Iterator[np.ndarray]:
        """Iterate over the rows of the batches of graphs or inputs."""
        return iter(EvenBatches(len(graphs), self.batch_size))

    def outputs(self, batch: CrystalBatch | ElementBatch) -> torch.Tensor:
        """Compute the outputs of all members for one batch, with gradients.

        Parameters
        ----------
        batch : CrystalBatch or ElementBatch of C crystals

        Returns
        -------
        Tensor of shape (C, M, K)
            K logits or scaled targets of M members, on the device of the networks.
        """
        outputs = [module(batch) for module in self.modules]
        if self.members_share_network:
            return outputs[0]
        return torch.stack(outputs, dim=1)

    def run(self, inputs: CrystalGraphs | ElementGraphs, method: str = "forward") -> np.ndarray:
        """Run a method of the networks for all crystals, without gradients.

        Parameters
        ----------
        inputs : CrystalGraphs or ElementGraphs of C crystals and P elements
            Result of the method `inputs`.
        method : {"forward", "embed", "elements", "contributions"}

        Returns
        -------
        ndarray of shape (M, C, ...)
            Outputs of M members; (M, P, ...) for the methods with a row for each element.
        """
        parts = [
            run_network(module, inputs, self.batch_size, method, self.precision)
            for module in self.modules
        ]
        if self.members_share_network:
            return parts[0].swapaxes(0, 1)
        return np.stack(parts)

    def predict_outputs(self, X: Any, method: str = "forward") -> np.ndarray:
        """Build the graphs of crystals and run a method of the networks: `read_graphs`, `run`."""
        graphs = self.read_graphs(X, with_extra=method in ("forward", "contributions"))
        return self.run(self.inputs(graphs), method)
