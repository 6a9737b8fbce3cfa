"""`GraphModel`: what other modules may ask of a graph estimator.

Attribution, embeddings and attacks read crystals as the estimator does and evaluate its networks,
also with gradients. They do so through this class, and know nothing else of the estimator.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeGuard

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklmat.batches import EvenBatches, pad_neighbors
from sklmat.estimators._architecture import Architecture
from sklmat.estimators._graph_input import check_trained_elements, graphs_like_fit
from sklmat.estimators._targets import ClassTargets, RegressionTargets, fitted_targets
from sklmat.estimators._warm_start import thawed
from sklmat.graphs import CrystalGraphs, ElementGraphs
from sklmat.training import run_network

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.batches import CrystalBatch, ElementBatch
    from sklmat.estimators._graph_estimator import GraphEstimator
    from sklmat.typing import Structures


def is_graph_estimator(estimator: object) -> TypeGuard[GraphEstimator]:
    """Whether this is a CGCNN, an ECNet, or another estimator with an `Architecture`."""
    return isinstance(getattr(type(estimator), "architecture", None), Architecture)


class GraphModel:
    """The networks of a graph estimator, fitted or in training, as a function of crystal graphs.

    Parameters
    ----------
    estimator : GraphEstimator
    modules : list of torch modules
        Its networks; members of an ensemble share one or have one each.
    targets : RegressionTargets or ClassTargets
        Between `y` and the outputs of the networks.
    padded : bool
        Whether the networks know missing neighbours as the original CGCNN does, see
        `pad_neighbors`.

    Attributes
    ----------
    batch_size : int
        Crystals that are evaluated at a time.
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
        self.is_classifier = isinstance(targets, ClassTargets)
        self.additive_elements: bool = estimator.architecture.additive_elements
        self.members_share_network: bool = estimator.architecture.members_share_network

    @classmethod
    def of(cls, estimator: BaseEstimator, purpose: str = "predictions of networks") -> GraphModel:
        """The model of a fitted estimator.

        Parameters
        ----------
        estimator : fitted graph estimator, or FrozenEstimator of one
        purpose : str
            What needs it, for messages.

        Raises
        ------
        TypeError
            When it is no graph estimator.
        NotFittedError
            When it is not fitted.
        """
        estimator = thawed(estimator)
        if not is_graph_estimator(estimator):
            raise TypeError(
                f"{purpose} need a fitted graph estimator (CGCNN or ECNet, as a classifier or a "
                f"regressor), got {type(estimator).__name__}"
            )
        if not hasattr(estimator, "nets_"):
            check_is_fitted(estimator, "nets_")  # raises, with scikit-learn's message
        modules = [net.module_ for net in estimator.nets_]
        return cls(estimator, modules, fitted_targets(estimator), estimator.padded_)

    def read_graphs(self, X: Structures | CrystalGraphs) -> CrystalGraphs:
        """Graphs of crystals, built and checked as for `predict`, without padding.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs
        """
        graphs = graphs_like_fit(self.estimator, X)
        if self.estimator.architecture.learns_element_vectors(self.estimator):
            check_trained_elements(
                graphs.crystal_of_atom, graphs.atomic_numbers, self.estimator.elements_
            )
        if len(graphs) == 0:
            raise ValueError("X is empty (0 structures); there is nothing to predict")
        return graphs

    def pad(self, graphs: CrystalGraphs) -> CrystalGraphs:
        """Graphs with all the neighbours that the networks expect."""
        return pad_neighbors(graphs) if self.padded else graphs

    def inputs(self, graphs: CrystalGraphs) -> CrystalGraphs | ElementGraphs:
        """What the networks read of graphs, padded where they expect it; for `make_batch`."""
        return self.estimator.architecture.make_inputs(self.estimator, self.pad(graphs))

    def batches(self, graphs: CrystalGraphs | ElementGraphs) -> Iterator[np.ndarray]:
        """Rows of graphs or inputs, a batch at a time."""
        return iter(EvenBatches(len(graphs), self.batch_size))

    def outputs(self, batch: CrystalBatch | ElementBatch) -> torch.Tensor:
        """Outputs of all members for one batch, with gradients.

        Parameters
        ----------
        batch : CrystalBatch or ElementBatch of C crystals

        Returns
        -------
        Tensor of shape (C, M, K)
            K logits, or scaled targets, of M members; on the device of the networks.
        """
        outputs = [module(batch) for module in self.modules]
        if self.members_share_network:
            return outputs[0]
        return torch.stack(outputs, dim=1)

    def run(self, inputs: CrystalGraphs | ElementGraphs, method: str = "forward") -> np.ndarray:
        """Outputs of a method of the networks for all crystals, without gradients.

        Parameters
        ----------
        inputs : CrystalGraphs or ElementGraphs of C crystals and P elements
            From `inputs`.
        method : {"forward", "embed", "elements", "contributions"}

        Returns
        -------
        ndarray of shape (M, C, ...)
            Of M members; (M, P, ...) for the methods that have a row for each element.
        """
        parts = [run_network(module, inputs, self.batch_size, method) for module in self.modules]
        if self.members_share_network:
            return parts[0].swapaxes(0, 1)
        return np.stack(parts)

    def predict_outputs(self, X: Structures | CrystalGraphs, method: str = "forward") -> np.ndarray:
        """Read crystals and run a method of the networks on them: `read_graphs` and `run`."""
        return self.run(self.inputs(self.read_graphs(X)), method)
