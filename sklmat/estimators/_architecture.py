"""`Architecture`: what a kind of graph network adds to the estimators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sklmat.elements import element_vectors
from sklmat.graphs import CrystalGraphs, ElementGraphs

if TYPE_CHECKING:
    from sklmat.estimators._graph_estimator import GraphEstimator


class Architecture(ABC):
    """A kind of graph network, as the estimators need to know it.

    An estimator class names its architecture in the class attribute ``architecture``; reading
    graphs, targets, ensembles, early stopping, resuming and files are shared by all of them. Each
    method is given the estimator, whose parameters it reads, and keeps nothing itself.

    Attributes
    ----------
    network_class : type
        The torch module, made as ``network_class(element_vectors, n_outputs, cutoff=...,
        **settings)`` and made again, when it is loaded, as ``network_class(element_vectors,
        **config)``. So its attribute ``config`` holds all keywords, ``"n_outputs"`` and
        ``"cutoff"`` included, and ``"hidden_dim"``, the width of what its method ``embed`` gives.
        It has the buffers
        ``element_vectors`` of shape (Z, V) and ``known_elements`` of shape (Z,), and ``forward``
        gives a Tensor of shape (C, n_outputs) for a batch.
    default_cutoff : float
        Cutoff (Å) of the graphs where neither the parameters nor the graphs say one.
    default_max_neighbors : int or None
        Neighbours per atom, likewise.
    members_share_network : bool
        Whether one torch module holds all members of an ensemble and puts them on a second axis of
        its outputs; ``config["n_members"]`` is then their number, which `settings` gives.
        Otherwise each member is a module of its own, trained from its own seed.
    additive_elements : bool
        Whether an output is a sum over the elements of a crystal, whose terms the method
        ``contributions`` of the module gives.
    transferable : bool
        Whether a network may start from the weights of another one. The estimators then have the
        parameters `warm_start_from` and `freeze`, and the module the parts that these name.
    """

    network_class: type[nn.Module]
    default_cutoff: float = 8.0
    default_max_neighbors: int | None = 12
    members_share_network: bool = False
    additive_elements: bool = False
    transferable: bool = False

    def check_parameters(self, estimator: GraphEstimator) -> None:  # noqa: B027
        """Raise where parameters do not go together, before anything is read or built."""

    @abstractmethod
    def settings(self, estimator: GraphEstimator) -> dict[str, Any]:
        """Keywords of the network that the parameters decide: they fix the shape of its weights."""

    def make_network(
        self,
        estimator: GraphEstimator,
        n_outputs: int,
        inputs: CrystalGraphs | ElementGraphs,
        **more: Any,
    ) -> nn.Module:
        """Return a new network.

        Parameters
        ----------
        estimator : GraphEstimator
        n_outputs : int
            Number of targets, or of classes.
        inputs : CrystalGraphs or ElementGraphs
            Graphs like those that it will read.
        **more
            Keywords of the network that depend on the inputs.
        """
        vectors = torch.from_numpy(element_vectors(estimator.atom_init)[0])
        settings = {**self.settings(estimator), **more}
        network = self.network_class(vectors, n_outputs, cutoff=inputs.cutoff, **settings)
        config: Any = network.config
        missing = {"n_outputs", "cutoff", "hidden_dim"} - set(config)
        if missing:
            raise TypeError(
                f"the config of {self.network_class.__name__} lacks {sorted(missing)}; keep all "
                "keywords of the network in it"
            )
        return network

    def make_inputs(
        self, estimator: GraphEstimator, graphs: CrystalGraphs
    ) -> CrystalGraphs | ElementGraphs:
        """Return what the network reads of crystal graphs: by default these graphs.

        What is returned has the edges of the graphs, or is `ElementGraphs`: attacks follow the
        gradient of the network back to the distances.
        """
        return graphs

    def net_settings(self, estimator: GraphEstimator) -> dict:
        """Keywords of `make_net` that the parameters decide, all but the loss."""
        return {
            "lr": estimator.lr,
            "weight_decay": estimator.weight_decay,
            "batch_size": estimator.batch_size,
            "device": estimator.device,
            **self.optimizer_settings(estimator),
        }

    def optimizer_settings(self, estimator: GraphEstimator) -> dict[str, Any]:
        """Keywords of `make_net` beside those that all estimators have as parameters.

        Adam where the estimator has no parameters `optimizer` and `momentum`.
        """
        names = ("optimizer", "momentum")
        return {name: getattr(estimator, name) for name in names if hasattr(estimator, name)}

    def learns_element_vectors(self, estimator: GraphEstimator) -> bool:
        """Whether nothing is known of an element that no training row had."""
        return False
