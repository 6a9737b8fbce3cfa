"""The three attacks: random draws, one step along the gradient, projected gradient steps."""

from dataclasses import dataclass

import numpy as np

from sklmat.adversarial._perturbation import gradients
from sklmat.adversarial._random_directions import spiral


@dataclass
class Moves:
    """Displacements and strains of C crystals with N atoms, and what the model makes of them.

    Parameters
    ----------
    atom_ptr : ndarray of shape (C + 1,)
    displacement : ndarray of shape (N, 3)
        Å.
    strain : ndarray of shape (C, 3, 3)
    error : ndarray of shape (C,), default=None
        Positive where the prediction is wrong.
    outputs : ndarray of shape (C, K), default=None
    """

    atom_ptr: np.ndarray
    displacement: np.ndarray
    strain: np.ndarray
    error: np.ndarray = None
    outputs: np.ndarray = None

    @classmethod
    def concatenate(cls, parts):
        """Join the crystals of several."""
        n_atoms = np.concatenate([np.diff(part.atom_ptr) for part in parts])
        names = ("displacement", "strain", "error", "outputs")
        arrays = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
        return cls(np.append(0, np.cumsum(n_atoms)), *arrays)

    def __getitem__(self, mask):
        """Select crystals by a mask."""
        n_atoms = np.diff(self.atom_ptr)
        return Moves(
            np.append(0, np.cumsum(n_atoms[mask])),
            self.displacement[np.repeat(mask, n_atoms)],
            self.strain[mask],
            None if self.error is None else self.error[mask],
            None if self.outputs is None else self.outputs[mask],
        )

    def __setitem__(self, mask, other):
        self.displacement[np.repeat(mask, np.diff(self.atom_ptr))] = other.displacement
        self.strain[mask] = other.strain
        self.error[mask], self.outputs[mask] = other.error, other.outputs

    def copy(self):
        """The same moves in arrays of their own."""
        return self[np.ones(len(self.error), dtype=bool)]

    def keep_worse(self, active, other):
        """Take over from `other`, which holds the active crystals, what is worse."""
        worse = other.error > self.error[active]
        where = np.zeros(len(self.error), dtype=bool)
        where[np.flatnonzero(active)[worse]] = True
        self[where] = other[worse]


class Search:
    """Looks for the worst move of each crystal.

    Parameters
    ----------
    model : AttackedModel
    room : Room of C crystals
    reference : Reference
        What the predictions should be.
    noise : callable
        Gives random directions, see `free_noise`.
    until_wrong : bool, default=False
        Leave crystals alone once they are predicted wrong.
    """

    def __init__(self, model, room, reference, noise, until_wrong=False):
        self.model, self.room, self.reference, self.noise = model, room, reference, noise
        self.until_wrong = until_wrong

    def __getitem__(self, mask):
        """Search among some of the crystals only."""
        return Search(
            self.model, self.room[mask], self.reference[mask], self.noise, self.until_wrong
        )

    def still(self):
        """The crystals as they are."""
        return self._judged(self.room, self.reference, *self.room.still())

    def scaled(self, moves, factor):
        """The same moves, times a factor for each crystal."""
        of_atoms = np.repeat(factor, self.room.graphs.n_atoms)[:, None]
        displacement = moves.displacement * of_atoms
        return self._judged(
            self.room, self.reference, displacement, moves.strain * factor[:, None, None]
        )

    def draw(self, budget, strain):
        """Random moves, every atom as far as it may go."""
        return self._judged(self.room, self.reference, *self.room.draw(budget, strain, self.noise))

    def score(self, moves):
        """Right (1) or wrong (0) of each crystal, or its mean absolute error: shape (C,)."""
        if self.reference.threshold is None:
            return (moves.error <= 0).astype(float)
        return np.abs(moves.outputs - self.reference.values).mean(axis=1)

    def __call__(self, method, budget, strain, *, n_steps=10, n_draws=1, start=None, best=None):
        """Search within the budgets of each crystal.

        Parameters
        ----------
        method : {"random", "fgsm", "pgd"}
        budget, strain : ndarray of shape (C,)
            Largest displacement of an atom (Å), largest norm of the strain.
        n_steps, n_draws : int
            Steps of "pgd", draws of "random".
        start : Moves, default=None
            Where to begin; by default where the atoms are.
        best : Moves, default=None
            What "pgd" knows already, and only betters; by default the crystals as they are.

        Returns
        -------
        Moves
            The step of "fgsm", the worst draw of "random", the worst of all that "pgd" tried.
        """
        if method == "fgsm":
            return self._step_once(budget, strain)
        if method == "random":
            return self._draw(budget, strain, n_draws)
        return self._climb(self.still() if best is None else best, budget, strain, n_steps, start)

    def _step_once(self, budget, strain):
        moves = self.room.still()
        moved = self.room.move(*moves)
        slope = self.model.slopes(moved, self.reference)[2]
        moves = self._step(self.room, moves, moved, slope, budget, strain, 1.0)
        return self._judged(self.room, self.reference, *moves)

    def _draw(self, budget, strain, n_draws):
        best = self.draw(budget, strain)
        for _ in range(n_draws - 1):
            active = self._active(best)
            if not active.any():
                break
            best.keep_worse(active, self[active].draw(budget[active], strain[active]))
        return best

    def _climb(self, best, budget, strain, n_steps, start):
        """Steps of falling length along the gradient, the first as long as the budget."""
        active = self._active(best)
        room, reference = self.room[active], self.reference[active]
        moves = room.still() if start is None else (start.displacement, start.strain)
        if start is not None:
            part = start[active]
            moves = room.bound(part.displacement, part.strain, budget[active], strain[active])
        for step in range(n_steps + 1):
            if len(room) == 0:
                break
            moved = room.move(*moves)
            if step == n_steps:
                best.keep_worse(active, self._judge(room, reference, moves, moved))
                break
            error, outputs, slope = self.model.slopes(moved, reference)
            best.keep_worse(active, Moves(room.graphs.atom_ptr, *moves, error, outputs))
            length = 1 - step / n_steps
            moves = self._step(room, moves, moved, slope, budget[active], strain[active], length)
            still_active = self._active(best)
            if (still_active != active).any():
                left = still_active[active]
                part = Moves(room.graphs.atom_ptr, *moves)[left]
                moves = part.displacement, part.strain
                room, reference, active = room[left], reference[left], still_active
        return best

    def _step(self, room, moves, moved, slope, budget, strain, length):
        """Every atom a step along its own gradient, the lattice one along its."""
        displacement, deformed = moves
        by_displacement, by_strain = gradients(moved, deformed, slope)
        norm = np.linalg.norm(by_displacement, axis=1, keepdims=True)
        # Where symmetry leaves no gradient, any direction breaks the symmetry for the next step.
        other = spiral(room.graphs) if length < 1 else 0.0
        ahead = np.where(norm > 0, by_displacement / np.maximum(norm, 1e-300), other)
        norm = np.linalg.norm(by_strain, axis=(1, 2), keepdims=True)
        stretch = np.where(norm > 0, by_strain / np.maximum(norm, 1e-300), 0.0)
        return room.bound(
            displacement + length * np.repeat(budget, room.graphs.n_atoms)[:, None] * ahead,
            deformed + length * strain[:, None, None] * stretch,
            budget,
            strain,
        )

    def _active(self, best):
        return best.error <= 0 if self.until_wrong else np.ones(len(best.error), dtype=bool)

    def _judge(self, room, reference, moves, moved):
        outputs = self.model.outputs(moved)
        error = self.model.error(outputs, reference)
        return Moves(room.graphs.atom_ptr, *moves, error, outputs)

    def _judged(self, room, reference, *moves):
        return self._judge(room, reference, moves, room.move(*moves))
