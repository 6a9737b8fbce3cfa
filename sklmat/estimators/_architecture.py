"""`Architecture`: how the estimators make a graph network and its inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sklmat.elements import element_vectors
from sklmat.estimators._graph_input import is_one_hot
from sklmat.graphs import CrystalGraphs, ElementGraphs

if TYPE_CHECKING:
    from sklmat.estimators._graph_estimator import GraphEstimator


class Architecture(ABC):
    """Describes a graph network to the estimators: its class, its settings and its inputs.

    An estimator class has an instance in its class attribute ``architecture``. All estimators share
    the code for graphs, targets, ensembles, early stopping, resuming and files. Each method takes
    the estimator and reads its parameters; the architecture itself has no state.

    Attributes
    ----------
    network_class : type
        The torch module, made as ``network_class(element_vectors, n_outputs, cutoff=...,
        **settings)``, and as ``network_class(element_vectors, **config)`` when a file is loaded.
        Its attribute ``config`` therefore holds all keywords, ``"n_outputs"`` and ``"cutoff"``
        included, and ``"hidden_dim"``, the width of the vectors that its method ``embed`` returns.
        It has the buffers ``element_vectors`` of shape (Z, V) and ``known_elements`` of shape (Z,),
        for Z atomic numbers. Its method ``forward`` returns a Tensor of shape (C, n_outputs).
    default_cutoff : float
        Cutoff (Å) of the graphs when neither the parameters nor given graphs have one.
    default_max_neighbors : int or None
        Neighbours per atom when neither the parameters nor given graphs have a number.
    members_share_network : bool
        Whether one torch module holds all members of an ensemble, as the second axis of its
        outputs. `settings` then contains their number as ``"n_members"``. Otherwise each member is
        a separate module, trained from its own seed.
    additive_elements : bool
        Whether an output is a sum over the elements of a crystal. The method ``contributions`` of
        the module then returns the terms.
    transferable : bool
        Whether a network may start from the weights of another one. The estimators then have the
        parameters `warm_start_from` and `freeze`, and the module has the attributes ``embedding``
        and ``output``, its last layer, with one row of weights for each member and target.
    head : tuple of str
        Attributes of the module that belong to the targets and not to the crystals. They are never
        frozen, and start from random weights if the targets are others.
    """

    network_class: type[nn.Module]
    default_cutoff: float = 8.0
    default_max_neighbors: int | None = 12
    members_share_network: bool = False
    additive_elements: bool = False
    transferable: bool = False
    head: tuple[str, ...] = ()

    def check_parameters(self, estimator: GraphEstimator) -> None:  # noqa: B027
        """Raise if parameters contradict each other; called before any crystal is read."""

    def auto_values(
        self, estimator: GraphEstimator, n_rows: int, n_elements: int
    ) -> dict[str, Any]:
        """Values of the parameters that may be "auto", for training rows and their elements."""
        return {}

    @abstractmethod
    def settings(self, estimator: GraphEstimator) -> dict[str, Any]:
        """Keywords of the network that follow from the parameters and fix its weights' shapes."""

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
            Inputs built with the same settings as those on which the network will be run.
        **more
            Keywords of the network that depend on the inputs.
        """
        vectors = torch.from_numpy(element_vectors(estimator.atom_init)[0])
        if inputs.extra is not None:
            more["n_extra"] = inputs.extra.shape[1]
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
        """Return the inputs of the network, made from crystal graphs; by default the graphs.

        The result must have the edges of the graphs, or be `ElementGraphs`: attacks need the
        gradient of the network with respect to the distances of these edges.
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
        """Keywords of `make_net` that only some estimators have as parameters.

        An estimator without the parameters `optimizer` and `momentum` uses Adam, one without
        `precision` single precision.
        """
        names = ("optimizer", "momentum", "precision")
        return {name: getattr(estimator, name) for name in names if hasattr(estimator, name)}

    def learns_element_vectors(self, estimator: GraphEstimator) -> bool:
        """Whether the vector of an element is learned, so that unseen elements are an error.

        By default, it is if each element had a column of its own in the table `atom_init` of `fit`.
        """
        module = estimator.nets_[0].module_
        return is_one_hot(module.element_vectors[module.known_elements].cpu().numpy())
