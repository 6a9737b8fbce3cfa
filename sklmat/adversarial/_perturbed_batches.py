"""`PerturbedBatches`: perturbs crystals in the batches of adversarial training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from sklmat.adversarial._attack_methods import METHODS, SearchOptions
from sklmat.adversarial._attack_state import AttackState
from sklmat.adversarial._attacked_network import AttackedNetwork
from sklmat.adversarial._prediction_error import Reference
from sklmat.batches import BatchTransform, GraphDataset
from sklmat.estimators import GraphModel
from sklmat.perturbations import IndependentDirections, PerturbationBounds

if TYPE_CHECKING:
    from sklmat.adversarial import StructureAttack
    from sklmat.graphs import CrystalGraphs, ElementGraphs

#: Probability that a crystal of a batch is perturbed.
_PERTURBED_FRACTION = 0.5


class PerturbedBatches:
    """Bounds of all training crystals; `bind` makes the batch transform of one network.

    Parameters
    ----------
    attack : StructureAttack
        With valid parameters.
    bounds : PerturbationBounds of all training crystals
    """

    def __init__(self, attack: StructureAttack, bounds: PerturbationBounds) -> None:
        self.attack = attack
        self.bounds = bounds

    def bind(self, model: GraphModel, dataset: GraphDataset) -> BatchTransform:
        """Make the batch transform that attacks one network during its training.

        Parameters
        ----------
        model : GraphModel
            Holds this network only.
        dataset : GraphDataset
            The training rows.

        Returns
        -------
        BoundPerturbedBatches
        """
        reference = training_reference(dataset, model.is_classifier)
        # During training, outputs and targets are both scaled.
        n_targets = 0 if reference.has_classes else reference.values.shape[1]
        network = AttackedNetwork(model, np.ones(n_targets), np.zeros(n_targets))
        return BoundPerturbedBatches(self.attack, self.bounds, network, reference)


class BoundPerturbedBatches:
    """Replaces the crystals of a batch by perturbed ones, each with a probability of one half.

    Parameters
    ----------
    attack : StructureAttack
    bounds : PerturbationBounds of all training crystals
    network : AttackedNetwork
        The network in training. Each batch is made with its weights at that time.
    reference : Reference of all training crystals
        In the units of the network's outputs.
    """

    def __init__(self, attack, bounds, network, reference):
        self.attack = attack
        self.bounds = bounds
        self.network = network
        self.reference = reference

    def __call__(
        self, rows: np.ndarray, generator: torch.Generator
    ) -> CrystalGraphs | ElementGraphs:
        """Make the inputs of one batch, some of them perturbed.

        Parameters
        ----------
        rows : ndarray of int
            Rows of the data set.
        generator : torch.Generator

        Returns
        -------
        CrystalGraphs or ElementGraphs
            The inputs of the network for these rows.
        """
        seed = torch.randint(2**31, (2,), generator=generator).tolist()
        random = np.random.default_rng(seed)
        bounds = self.bounds.select(rows)
        chosen = random.random(len(rows)) < _PERTURBED_FRACTION
        state = AttackState.unperturbed(bounds, self.reference.select(rows))
        if chosen.any():
            found = self._search(state.select(chosen), IndependentDirections(random))
            state = state.update(chosen, found)
        return self.network.model.inputs(bounds.perturb(state.displacement, state.strain))

    def _search(self, state, directions):
        options = SearchOptions(directions, self.attack.n_steps, self.attack.n_draws)
        return METHODS[self.attack.method].search(self.network, state, options)


def training_reference(dataset: GraphDataset, has_classes: bool) -> Reference:
    """True values of the training rows. A prediction for a missing target is never wrong."""
    if has_classes:
        return Reference(dataset.y.numpy())
    weight = dataset.weight.numpy().reshape(len(dataset.y), -1)
    threshold = np.where(weight > 0, 1.0, np.inf) * np.ones_like(dataset.y.numpy())
    return Reference(dataset.y.numpy().astype(float), threshold)
