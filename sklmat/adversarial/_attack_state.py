"""`AttackState`: attacked crystals with their perturbations, and functions of this state."""

from dataclasses import dataclass, replace

import numpy as np

from sklmat.adversarial._attacked_network import AttackedNetwork
from sklmat.adversarial._prediction_error import Reference
from sklmat.perturbations import PerturbationBounds, RandomDirections, perturbation_gradient


@dataclass(frozen=True, eq=False)
class AttackState:
    """A perturbation of each of C crystals with N atoms, and the predictions of a network for it.

    Parameters
    ----------
    bounds : PerturbationBounds
        The unperturbed crystals and the bounds of their perturbations.
    reference : Reference
        The true classes or values.
    displacement : ndarray of shape (N, 3)
        Å.
    strain : ndarray of shape (C, 3, 3)
    outputs : ndarray of shape (C, K), default=None
        Outputs of the network for the perturbed crystals; None before `evaluate`.
    error : ndarray of shape (C,), default=None
        Errors of the outputs, see `prediction_error`; None before `evaluate`.
    """

    bounds: PerturbationBounds
    reference: Reference
    displacement: np.ndarray
    strain: np.ndarray
    outputs: np.ndarray | None = None
    error: np.ndarray | None = None

    @classmethod
    def unperturbed(cls, bounds: PerturbationBounds, reference: Reference) -> "AttackState":
        """The state of crystals without perturbation."""
        n_atoms, n_crystals = len(bounds.graphs.atomic_numbers), len(bounds.budget)
        return cls(bounds, reference, np.zeros((n_atoms, 3)), np.zeros((n_crystals, 3, 3)))

    def __len__(self):
        return len(self.strain)

    @property
    def is_perturbed(self) -> bool:
        """Whether any crystal is perturbed."""
        return bool(self.displacement.any() or self.strain.any())

    def select(self, crystals: np.ndarray) -> "AttackState":
        """The state of some crystals, by a mask of shape (C,); row numbers are not allowed."""
        if crystals.all():
            return self
        return AttackState(
            self.bounds.select(crystals),
            self.reference.select(crystals),
            self.displacement[crystals[self.bounds.crystal_of_atom]],
            self.strain[crystals],
            None if self.outputs is None else self.outputs[crystals],
            None if self.error is None else self.error[crystals],
        )

    def without_perturbation(self) -> "AttackState":
        """The same crystals, unperturbed."""
        return AttackState.unperturbed(self.bounds, self.reference)

    def within(self, bounds: PerturbationBounds) -> "AttackState":
        """The same perturbations with other bounds."""
        return replace(self, bounds=bounds)

    def perturb(self, displacement: np.ndarray, strain: np.ndarray) -> "AttackState":
        """The same crystals with another perturbation, which is not evaluated yet."""
        return AttackState(self.bounds, self.reference, displacement, strain)

    def update(
        self, crystals: np.ndarray, other: "AttackState", rows: np.ndarray | slice = slice(None)
    ) -> "AttackState":
        """Replace the perturbations of some crystals by those of another state.

        Parameters
        ----------
        crystals : ndarray of shape (C,), bool
        other : AttackState
        rows : ndarray of bool, or slice
            Rows of these crystals in `other`; by default `other` holds these crystals only.

        Returns
        -------
        AttackState of all crystals
            Evaluated if both states are.
        """
        atoms = crystals[self.bounds.crystal_of_atom]
        other_atoms = rows if isinstance(rows, slice) else rows[other.bounds.crystal_of_atom]
        return replace(
            self,
            displacement=_with_rows(self.displacement, atoms, other.displacement, other_atoms),
            strain=_with_rows(self.strain, crystals, other.strain, rows),
            outputs=_with_rows(self.outputs, crystals, other.outputs, rows),
            error=_with_rows(self.error, crystals, other.error, rows),
        )


def _with_rows(array, rows, other, other_rows):
    """A copy with some rows replaced by those of another array; None if either is None."""
    if array is None or other is None:
        return None
    array = array.copy()
    array[rows] = other[other_rows]
    return array


def evaluate(network: AttackedNetwork, state: AttackState) -> AttackState:
    """The state with outputs and errors; the same state if it has them already."""
    if state.error is not None:
        return state
    graphs = state.bounds.perturb(state.displacement, state.strain)
    outputs, error = network.evaluate(graphs, state.reference)
    return replace(state, outputs=outputs, error=error)


def evaluate_gradient(
    network: AttackedNetwork, state: AttackState
) -> tuple[AttackState, np.ndarray, np.ndarray]:
    """The state with outputs and errors, and the gradient of the error.

    Returns
    -------
    state : AttackState
    by_displacement : ndarray of shape (N, 3)
        1/Å.
    by_strain : ndarray of shape (C, 3, 3)
    """
    graphs = state.bounds.perturb(state.displacement, state.strain)
    outputs, error, distance_gradient = network.gradient(graphs, state.reference)
    gradient = perturbation_gradient(graphs, state.strain, distance_gradient)
    return replace(state, outputs=outputs, error=error), *gradient


def draw(state: AttackState, directions: RandomDirections) -> AttackState:
    """Random perturbations, every atom displaced by its full budget."""
    return state.perturb(*state.bounds.draw(directions))


def scale(state: AttackState, factor: np.ndarray) -> AttackState:
    """The same perturbations, multiplied by one factor per crystal."""
    of_atoms = factor[state.bounds.crystal_of_atom, None]
    return state.perturb(state.displacement * of_atoms, state.strain * factor[:, None, None])


def keep_worse(state: AttackState, crystals: np.ndarray, other: AttackState) -> AttackState:
    """Replace the perturbations of some crystals where those of `other` have a larger error.

    Parameters
    ----------
    state : AttackState of C crystals
    crystals : ndarray of shape (C,), bool
    other : AttackState
        Evaluated, of these crystals only.

    Returns
    -------
    AttackState of C crystals
    """
    worse = np.asarray(other.error) > np.asarray(state.error)[crystals]
    rows = np.zeros(len(state), dtype=bool)
    rows[np.flatnonzero(crystals)[worse]] = True
    return state.update(rows, other, worse)
