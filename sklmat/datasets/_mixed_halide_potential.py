"""`PairPotential` of CsSnBr(3-x)I(x): energies, forces and relaxations of many cells at once.

Two atoms at distance r have the energy (eV, Å) ::

    B exp((R_i + R_j - r) / ρ) + k q_i q_j [v(r) - v(r_c) - v'(r_c) (r - r_c)]

with v(r) = erfc(α r) / r: the Born-Mayer repulsion in the form of Huggins and Mayer, and the damped
Coulomb energy, whose value and force vanish at the cutoff r_c (Fennell and Gezelter). Shapes: C
cells of the same supercell, N atoms and P pairs in each cell.
"""

from itertools import product

import numpy as np
from scipy.constants import e, epsilon_0, pi
from scipy.special import erfc

#: Cubic lattice parameters (Å) of CsSnBr3 and CsSnI3.
LATTICE_PARAMETERS = {"Br": 5.80, "I": 6.20}
#: 0.6 of the formal charges; the factor changes the energies, not the relaxed positions.
CHARGES = {"Cs": 0.6, "Sn": 1.2, "X": -0.6}
#: Shannon's radii (Å) for Cs and Br; the radius of iodine and `STRENGTH` are fitted so that both
#: parents are in equilibrium at their lattice parameters.
RADII = {"Cs": 1.88, "Sn": 1.15, "Br": 1.96, "I": 2.1078}
STRENGTH = 0.04487  # B (eV)
RANGE = 0.33  # ρ (Å)
DAMPING = 0.2  # α (1/Å)
CUTOFF = 10.0  # r_c (Å)
COULOMB = e / (4 * pi * epsilon_0) * 1e10  # k (eV Å)
#: The list of pairs is valid for displacements of up to half of this (Å).
MARGIN = 1.0
#: Standard deviation (Å) of the initial displacements, the same in all cells: the force on an atom
#: at a site of high symmetry is zero even at an energy maximum.
INITIAL_DISPLACEMENT = 0.02
#: Number of pairs times cells in a batch, which fits into the processor's cache.
BATCH = 2**17


def vegard(x):
    """Lattice parameter (Å) of CsSnBr(3-x)I(x), interpolated between the parents."""
    return (1 - x / 3) * LATTICE_PARAMETERS["Br"] + x / 3 * LATTICE_PARAMETERS["I"]


class PairPotential:
    """Energies and forces of the cells of one supercell.

    Parameters
    ----------
    cell : Supercell
    """

    def __init__(self, cell):
        from scipy.sparse import csr_array

        self.cell = cell
        n_cells = cell.n_cells
        self.first, self.second, self.offset = _pairs(cell)
        ions = [CHARGES["Cs"], CHARGES["Sn"], CHARGES["X"]]
        charges = np.repeat(ions, [n_cells, n_cells, 3 * n_cells])
        self._charge = (COULOMB * charges[self.first] * charges[self.second])[:, None]
        rows = np.concatenate([self.first, self.second])
        columns = np.tile(np.arange(len(self.first)), 2)
        signs = np.repeat([1.0, -1.0], len(self.first))
        # The force of a pair acts on its first atom, and with opposite sign on its second atom.
        shape = (5 * n_cells, len(self.first))
        self._to_atoms = csr_array((signs, (rows, columns)), shape=shape)

    def radii(self, iodine):
        """Return the radii of the atoms (Å), shape (N, C).

        Parameters
        ----------
        iodine : bool ndarray of shape (C, 3 Z)
            Whether each halide site holds iodine.
        """
        n_cells = self.cell.n_cells
        radii = np.empty((5 * n_cells, len(iodine)))
        radii[:n_cells], radii[n_cells : 2 * n_cells] = RADII["Cs"], RADII["Sn"]
        radii[2 * n_cells :] = np.where(iodine, RADII["I"], RADII["Br"]).T
        return radii

    def __call__(self, positions, radii, a):
        """Compute energies (eV per cell) and forces (eV/Å).

        Parameters
        ----------
        positions : ndarray of shape (C, N, 3)
            Cartesian (Å), less than half of `MARGIN` from the ideal sites.
        radii : ndarray of shape (N, C)
        a : ndarray of shape (C,)
            Cubic lattice parameter (Å).

        Returns
        -------
        energies : ndarray of shape (C,)
        forces : ndarray of shape (C, N, 3)
        """
        energies, forces = np.empty(len(a)), np.empty_like(positions)
        n_cells = max(1, BATCH // len(self.first))
        for start in range(0, len(a), n_cells):
            batch = slice(start, start + n_cells)
            by_atom = np.ascontiguousarray(positions[batch].transpose(1, 0, 2))
            energies[batch], forces_by_atom = self._evaluate(by_atom, radii[:, batch], a[batch])
            forces[batch] = forces_by_atom.transpose(1, 0, 2)
        return energies, forces

    def _evaluate(self, positions, radii, a):
        """Energies, shape (C,), and forces, shape (N, C, 3), from positions of shape (N, C, 3)."""
        i, j = self.first, self.second
        vectors = positions[j] - positions[i] + self.offset[:, None] * a[:, None]
        distance = np.sqrt(np.einsum("pcx,pcx->pc", vectors, vectors))
        inside = distance < CUTOFF
        repulsion = STRENGTH * np.exp((radii[i] + radii[j] - distance) / RANGE)
        coulomb, derivative = _damped_coulomb(distance)
        energy = np.where(inside, repulsion + self._charge * coulomb, 0.0).sum(axis=0)
        derivative = np.where(inside, self._charge * derivative - repulsion / RANGE, 0.0)
        pair_forces = vectors * (derivative / distance)[..., None]
        forces = self._to_atoms @ pair_forces.reshape(len(i), -1)
        return energy, forces.reshape(positions.shape)

    def relax(self, iodine, a, fmax, max_steps=200):
        """Relax the positions until no force exceeds `fmax`, at constant shape and volume.

        Parameters
        ----------
        iodine : bool ndarray of shape (C, 3 Z)
        a : ndarray of shape (C,)
            Cubic lattice parameter (Å).
        fmax : float
            Largest allowed force (eV/Å) after the relaxation.
        max_steps : int

        Returns
        -------
        ideal, relaxed : ndarray of shape (C,)
            Energies (eV per cell) before and after the relaxation.
        displacements : ndarray of shape (C, N, 3)
            Displacement of each atom from its ideal site (Å).
        forces : ndarray of shape (C,)
            Largest remaining force (eV/Å).

        Notes
        -----
        All cells are relaxed at once by L-BFGS, starting from the inverse force constants of the
        virtual crystal whose halogens are half bromine, half iodine. No atom moves by more than
        0.1 Å in a step. The relaxation takes 30 to 60 steps.
        """
        sites = self.cell.sites @ self.cell.matrix
        ideal_positions = sites * a[:, None, None]
        radii, optimizer = self.radii(iodine), _Lbfgs(self._inverse_force_constants(sites))
        initial = np.random.default_rng(0).normal(0, INITIAL_DISPLACEMENT, sites.shape)
        displacements = np.tile(initial - initial.mean(axis=0), (len(a), 1, 1))
        ideal, _ = self(ideal_positions, radii, a)
        relaxed, forces = self(ideal_positions + displacements, radii, a)
        remaining, active = _largest_norm(forces), np.arange(len(a))
        for _ in range(max_steps):
            if not len(active):
                break
            step = optimizer.step(forces.reshape(len(active), -1))
            displacements[active] += step.reshape(forces.shape)
            positions = (ideal_positions + displacements)[active]
            relaxed[active], forces = self(positions, radii[:, active], a[active])
            remaining[active] = _largest_norm(forces)
            unfinished = remaining[active] > fmax
            active, forces = active[unfinished], forces[unfinished]
            optimizer.select(unfinished)
        if len(active):
            raise RuntimeError(
                f"{len(active)} cells, the first of them {active[0]}, still have forces of up to "
                f"{remaining.max():.1e} eV/Å after {max_steps} steps: allow a larger fmax"
            )
        farthest = _largest_norm(displacements)
        if farthest.max() > MARGIN / 2:
            raise RuntimeError(
                f"an atom of cell {farthest.argmax()} moved by {farthest.max():.2f} Å, farther "
                f"than the list of pairs allows ({MARGIN / 2} Å)"
            )
        return ideal, relaxed, displacements, remaining

    def _inverse_force_constants(self, sites):
        """Inverse force constants (Å²/eV) of the virtual crystal, shape (3 N, 3 N)."""
        size = sites.size
        step = 1e-3
        radii = np.repeat(self.radii(np.array([[0], [1]])).mean(axis=1)[:, None], size, axis=1)
        a = np.full(size, vegard(1.5))
        positions = sites * a[0]
        displacements = step * np.eye(size).reshape(size, *sites.shape)
        plus, minus = (self(positions + sign * displacements, radii, a)[1] for sign in (1, -1))
        force_constants = -(plus - minus).reshape(size, size) / (2 * step)
        # The force constants of translations of the whole crystal are zero, so pinv is needed.
        return np.linalg.pinv((force_constants + force_constants.T) / 2, rcond=1e-4, hermitian=True)


class _Lbfgs:
    """The L-BFGS optimizer for C cells at once, each with its own history.

    Parameters
    ----------
    inverse_hessian : ndarray of shape (3 N, 3 N)
        Initial inverse force constants (Å²/eV).
    """

    HISTORY_SIZE = 10
    MAX_STEP = 0.1  # of an atom (Å)

    def __init__(self, inverse_hessian):
        self.inverse_hessian = inverse_hessian
        self.last = None
        self.history = []

    def step(self, forces):
        """Compute the next step (Å), shape (C, 3 N), from the forces (eV/Å) after the last one."""
        if self.last is not None:
            self._update_history(forces)
        direction, factors = forces.copy(), []
        for step, change, weight in reversed(self.history):
            factors.append(weight * (step * direction).sum(axis=1, keepdims=True))
            direction -= factors[-1] * change
        direction = direction @ self.inverse_hessian
        for (step, change, weight), factor in zip(self.history, reversed(factors)):
            direction += step * (factor - weight * (change * direction).sum(1, keepdims=True))
        longest = np.linalg.norm(direction.reshape(len(forces), -1, 3), axis=2).max(axis=1)
        direction *= np.minimum(1, self.MAX_STEP / longest)[:, None]
        self.last = direction, forces
        return direction

    def _update_history(self, forces):
        """Add the last step and the change of the gradient to the history."""
        step, last_forces = self.last
        change = last_forces - forces
        curvature = np.einsum("cd,cd->c", step, change)
        # Steps with negative curvature get no weight.
        weight = np.zeros_like(curvature)
        np.divide(1.0, curvature, out=weight, where=curvature > 0)
        self.history = [*self.history[1 - self.HISTORY_SIZE :], (step, change, weight[:, None])]

    def select(self, cells):
        """Keep only the selected cells."""
        self.last = tuple(values[cells] for values in self.last)
        self.history = [tuple(values[cells] for values in entry) for entry in self.history]


def _largest_norm(vectors):
    """Length of the longest vector of each cell."""
    return np.linalg.norm(vectors, axis=2).max(axis=1)


def _damped_coulomb(r):
    """The damped and shifted 1 / r, and its derivative."""

    def damped(r):
        return erfc(DAMPING * r) / r

    def gaussian(r):
        return 2 * DAMPING / np.sqrt(pi) * np.exp(-((DAMPING * r) ** 2)) / r

    value, at_cutoff = damped(r), damped(CUTOFF)
    derivative = -value / r - gaussian(r)
    derivative_at_cutoff = -at_cutoff / CUTOFF - gaussian(CUTOFF)
    shifted = value - at_cutoff - derivative_at_cutoff * (r - CUTOFF)
    return shifted, derivative - derivative_at_cutoff


def _pairs(cell):
    """List each pair of atoms once.

    An atom and its own periodic image are a pair too: its force is zero, but its energy is not.

    Returns
    -------
    first, second : ndarray of int, shape (P,)
    offset : ndarray of shape (P, 3)
        Lattice translation of the second atom, in cubic lattice parameters.
    """
    cutoff = (CUTOFF + MARGIN) / min(LATTICE_PARAMETERS.values())
    # Number of images along each edge: opposite faces are 1 / |column of inverse| apart.
    inverse = np.linalg.inv(cell.matrix)
    counts = np.ceil(cutoff * np.linalg.norm(inverse, axis=0)).astype(int) + 1
    images = np.array(list(product(*(range(-n, n + 1) for n in counts)))) @ cell.matrix
    sites = cell.sites @ cell.matrix
    pairs = []
    for i, site in enumerate(sites):
        distance = np.linalg.norm(sites + images[:, None] - site, axis=2)
        image, j = np.nonzero((distance < cutoff) & (distance > 0))
        pairs.append(np.column_stack([np.full(len(j), i), j, images[image]]))
    pairs = np.concatenate(pairs)
    # Keep only one of a pair and its reverse: the one that comes first.
    reverse = np.column_stack([pairs[:, 1], pairs[:, 0], -pairs[:, 2:]])
    differences = pairs - reverse
    leading = np.take_along_axis(differences, (differences != 0).argmax(axis=1)[:, None], axis=1)
    pairs = pairs[leading[:, 0] < 0]
    return pairs[:, 0], pairs[:, 1], pairs[:, 2:].astype(float)
