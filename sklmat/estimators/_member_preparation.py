"""`MemberPreparation` makes the net and the training set of each member of an ensemble."""

import copy
from dataclasses import dataclass
from typing import Any, Protocol

from sklmat.batches import BatchTransform, GraphDataset
from sklmat.estimators._graph_model import GraphModel
from sklmat.estimators._targets import ClassTargets, RegressionTargets
from sklmat.estimators._warm_start import (
    fit_output,
    freeze_parts,
    transfer_source,
    transfer_weights,
)
from sklmat.graphs import ElementGraphs
from sklmat.training import GraphNet, make_net


class TrainingAttack(Protocol):
    """Protocol of an attack that is prepared for the training rows, before a network exists."""

    def bind(self, model: GraphModel, dataset: GraphDataset) -> BatchTransform:
        """Return the transform that perturbs the batches of one network."""


@dataclass
class MemberPreparation:
    """Makes the net of a member, or updates a fitted one, and its training set.

    It is a class, because a nested function cannot be sent to other processes.

    Parameters
    ----------
    estimator : GraphEstimator
    targets : RegressionTargets or ClassTargets
        Fitted targets.
    attack : TrainingAttack or None
        Perturbs the training rows.
    padded : bool
        Whether missing neighbours are replaced, see `GraphModel`.
    rescaled : list of int
        Targets whose scaling differs from that of fitted nets.
    """

    estimator: Any
    targets: RegressionTargets | ClassTargets
    attack: TrainingAttack | None
    padded: bool
    rescaled: list[int]

    def __call__(
        self, net: GraphNet | None, train_set: GraphDataset, member: int
    ) -> tuple[GraphNet, GraphDataset]:
        """Return the net to train and its training set, see `train_ensemble`."""
        architecture = self.estimator.architecture
        if net is None:
            net = self._new_net(architecture, train_set, member)
        else:
            self._update_settings(net)
            if self.rescaled and architecture.transferable:
                fit_output(net, train_set, self.rescaled)
        if architecture.transferable:
            freeze_parts(net.module_, self.estimator.freeze, architecture.head)
        if self.attack is None:
            return net, train_set
        model = GraphModel(self.estimator, [net.module_], self.targets, self.padded)
        train_set = copy.copy(train_set)
        train_set.transform = self.attack.bind(model, train_set)
        return net, train_set

    def _new_net(self, architecture, train_set, member):
        estimator = self.estimator
        settings = architecture.net_settings(estimator)
        # Element graphs of the training rows only would be a copy.
        all_graphs = train_set.all_graphs
        inputs = all_graphs if isinstance(all_graphs, ElementGraphs) else train_set.graphs
        network = architecture.make_network(estimator, self.targets.n_outputs, inputs)
        net = make_net(network, loss=self.targets.loss, **settings)
        # Reading the source from a file uses random numbers. It must therefore be read here, after
        # the initial weights and before the training: elsewhere the same seed would give other
        # results.
        if architecture.transferable and estimator.warm_start_from is not None:
            source = transfer_source(estimator)
            transfer_weights(net, estimator, source, member, self.targets, train_set)
        return net

    def _update_settings(self, net):
        """Set the current parameters of the estimator in a fitted net; keep its optimizer."""
        estimator = self.estimator
        net.lr, net.batch_size = estimator.lr, estimator.batch_size
        net.precision = getattr(estimator, "precision", net.precision)
        net.criterion_.name = self.targets.loss
        for group in net.optimizer_.param_groups:
            group["weight_decay"] = estimator.weight_decay
            if "momentum" in group:  # of "sgd"
                group["momentum"] = getattr(estimator, "momentum", group["momentum"])
