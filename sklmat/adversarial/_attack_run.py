"""`AttackRun`: an attack on the predictions of an estimator, one chunk of crystals at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sklmat.adversarial._attack_methods import METHODS, SearchOptions
from sklmat.adversarial._attack_state import AttackState
from sklmat.adversarial._attacked_network import AttackedNetwork
from sklmat.adversarial._prediction_error import Reference
from sklmat.graphs import CrystalGraphs
from sklmat.model_inside import find_model
from sklmat.perturbations import PerturbationBounds, RandomDirections, apply_perturbation
from sklmat.readers import find_structures
from sklmat.structures import check_structures

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from sklmat.typing import ArrayLike

#: Crystals attacked at a time: enough for full batches, few enough to limit memory.
CHUNK = 512


def in_chunks(rows: np.ndarray, verbose: bool) -> Iterator[np.ndarray]:
    """Yield rows of crystals in chunks of at most `CHUNK`, with a progress bar if `verbose`."""
    from tqdm.auto import tqdm

    with tqdm(total=len(rows), unit="crystal", desc="attack", disable=not verbose) as bar:
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            yield chunk
            bar.update(len(chunk))


class AttackRun:
    """An attack on a fitted estimator and crystals.

    Parameters
    ----------
    attack : StructureAttack
        With valid parameters. Its budgets are the largest that will be used.
    estimator : fitted graph estimator, or fitted estimator with one inside
    X : sequence of C structures, CrystalGraphs, or for an estimator with `extra` a DataFrame
    """

    def __init__(self, attack, estimator, X):
        self.attack = attack
        self.network = AttackedNetwork.fitted(estimator)
        model, inside = self.network.model, find_model(estimator)
        before = X
        X, crystals = model.read_input(inside.transform(X))
        is_graphs = isinstance(crystals, CrystalGraphs)
        self.given = crystals if is_graphs else check_structures(crystals)
        self.structures = None if is_graphs else self.given
        self.graphs = model.read_graphs(X, self.given)
        self._n_crystals = len(self.graphs)
        if inside.steps and not isinstance(before, CrystalGraphs):
            # The result has the form of what the first step takes.
            self.structures = _structures(before)
            _check_same_crystals(self.structures, self.graphs)

    def __len__(self):
        return self._n_crystals

    @cached_property
    def outputs(self) -> np.ndarray:
        """Outputs of the network for the unperturbed crystals, ndarray of shape (C, K)."""
        return self.network.outputs(self.graphs)

    def reference(
        self, y: ArrayLike | None = None, threshold: float | np.ndarray | None = None
    ) -> Reference:
        """What predictions are compared with: `y`, or the predictions for unperturbed crystals.

        Parameters
        ----------
        y : array-like of shape (C,) or (C, T), default=None
        threshold : float or ndarray of shape () or (T,), default=None
            For regressors: a prediction with a larger absolute error is wrong. None takes the
            standard deviation of the training rows.

        Raises
        ------
        ValueError
            When `y` and X differ in length, or `y` has classes that the estimator was not
            trained on, or missing values.
        """
        targets = self.network.model.targets
        if y is not None:
            y = targets.check(y)
            if len(y) != len(self):
                raise ValueError(f"X has {len(self)} structures and y has {len(y)} rows")
        if self.network.is_classifier:
            has_y = y is not None
            return Reference(targets.encode(y).numpy() if has_y else self.outputs.argmax(axis=1))
        values = self.outputs if y is None else self._complete_targets(y)
        if threshold is None:
            threshold = np.abs(self.network.scale.numpy())
        return Reference(values, np.broadcast_to(threshold, values.shape[1]).astype(float))

    def _complete_targets(self, y):
        values, n_targets = y.reshape(len(y), -1), self.network.model.targets.n_outputs
        missing = np.flatnonzero(np.isnan(values).any(axis=1))
        if len(missing):
            raise ValueError(f"y has missing targets in rows {missing[:10].tolist()}; give all")
        if values.shape[1] != n_targets:
            raise ValueError(f"y has {values.shape[1]} targets, the estimator {n_targets}")
        return values

    def chunks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the rows in chunks, with a progress bar."""
        return in_chunks(rows, self.attack.verbose)

    def unperturbed(self, rows: np.ndarray, reference: Reference) -> AttackState:
        """The initial state of an attack on some rows."""
        attack = self.attack
        bounds = PerturbationBounds.around(
            self.graphs[rows],
            attack.budget,
            attack.strain,
            attack.min_distance,
            attack.neighbor_list,
        )
        return AttackState.unperturbed(bounds, reference.select(rows))

    def options(self, directions: RandomDirections, until_wrong: bool = False) -> SearchOptions:
        """The options for `search`."""
        return SearchOptions(directions, self.attack.n_steps, self.attack.n_draws, until_wrong)

    def search(self, state: AttackState, options: SearchOptions) -> AttackState:
        """The worst perturbations that the method finds; the state may not be evaluated yet."""
        return METHODS[self.attack.method].search(self.network, state, options)

    def search_all(
        self, reference: Reference, options: SearchOptions
    ) -> tuple[np.ndarray, np.ndarray]:
        """Perturbations of all crystals, a chunk at a time: arrays (N, 3) in Å and (C, 3, 3)."""
        displacements, strains = [], []
        for rows in self.chunks(np.arange(len(self))):
            state = self.search(self.unperturbed(rows, reference), options)
            displacements.append(state.displacement)
            strains.append(state.strain)
        return np.concatenate(displacements), np.concatenate(strains)

    def apply(
        self, displacement: np.ndarray, strain: np.ndarray
    ) -> list[Structure] | CrystalGraphs:
        """All crystals, perturbed, in the form of X: structures or CrystalGraphs."""
        graphs = self.graphs
        if self.structures is None and graphs.extra is not None:
            # The network reads scaled columns.
            extra = self.given.extra
            graphs = graphs.with_extra(
                None if extra is None else dict(zip(self.given.extra_names, extra.T))
            )
        return apply_perturbation(self.structures, graphs, displacement, strain)

    def apply_to_structures(
        self, rows: np.ndarray, state: AttackState
    ) -> list[Structure] | CrystalGraphs:
        """The crystals of some rows as pymatgen structures, with the perturbations of a state."""
        graphs = self.graphs[rows]
        structures = graphs.to_structures() if self.structures is None else self.structures[rows]
        return apply_perturbation(structures, graphs, state.displacement, state.strain)


def _structures(X):
    """Structures of the rows, which a DataFrame has in one of its columns."""
    return check_structures(find_structures(X) if isinstance(X, pd.DataFrame) else X)


def _check_same_crystals(structures, graphs):
    """Raise if steps of a pipeline changed the crystals, so that displacements do not fit."""
    same = len(structures) == len(graphs) and np.array_equal(
        np.concatenate([structure.atomic_numbers for structure in structures]),
        graphs.atomic_numbers,
    )
    if same:
        positions = np.concatenate([structure.cart_coords for structure in structures])
        same = np.allclose(positions, graphs.positions, atol=1e-3)
    if not same:
        raise TypeError(
            "the steps before the network change the crystals or the order of their atoms, so "
            "their displacements cannot be applied to X; attack the network itself with crystals "
            "after these steps"
        )
