"""The pair potential of CsSnBr(3-x)I(x): energies, forces and relaxations, many cells at once.

Two atoms at distance r have the energy (eV, Å) ::

    B exp((R_i + R_j - r) / ρ) + k q_i q_j [v(r) - v(r_c) - v'(r_c) (r - r_c)]

with v(r) = erfc(α r) / r: the Born-Mayer repulsion in the form of Huggins and Mayer, and the damped
Coulomb energy whose value and force vanish at the cutoff r_c (Fennell and Gezelter). Shapes: C
cells, all of one supercell, N atoms in each, P pairs in each.
"""

from itertools import product

import numpy as np
from scipy.constants import e, epsilon_0, pi
from scipy.special import erfc

#: Cubic lattice parameters (Å) of CsSnBr3 and CsSnI3.
LATTICE_PARAMETERS = {"Br": 5.80, "I": 6.20}
#: 0.6 of the formal charges; the scale changes energies, not where atoms come to rest.
CHARGES = {"Cs": 0.6, "Sn": 1.2, "X": -0.6}
#: Shannon's radii (Å) for Cs and Br; that of iodine and `STRENGTH` put both parents at rest at
#: their lattice parameters.
RADII = {"Cs": 1.88, "Sn": 1.15, "Br": 1.96, "I": 2.1078}
STRENGTH = 0.04487  # B (eV)
RANGE = 0.33  # ρ (Å)
DAMPING = 0.2  # α (1/Å)
CUTOFF = 10.0  # r_c (Å)
COULOMB = e / (4 * pi * epsilon_0) * 1e10  # k (eV Å)
#: Pairs that can come within the cutoff when atoms leave their sites by half of this (Å).
MARGIN = 1.0
#: Atoms start so far off their sites (Å, standard deviation), in all cells the same way: on a site
#: of high symmetry an atom feels no force even where the energy is at its highest.
KICK = 0.02
#: Pairs times cells in work at once: what fits into a processor's cache.
BATCH = 2**17


def vegard(x):
    """Lattice parameter (Å) of CsSnBr(3-x)I(x) between those of the parents."""
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
        n = cell.n_cells
        self.first, self.second, self.offset = _pairs(cell)
        charges = np.repeat([CHARGES["Cs"], CHARGES["Sn"], CHARGES["X"]], [n, n, 3 * n])
        self._charge = (COULOMB * charges[self.first] * charges[self.second])[:, None]
        rows = np.concatenate([self.first, self.second])
        columns = np.tile(np.arange(len(self.first)), 2)
        signs = np.repeat([1.0, -1.0], len(self.first))
        # A pair's force acts on its first atom, and reversed on its second.
        self._to_atoms = csr_array((signs, (rows, columns)), shape=(5 * n, len(self.first)))

    def radii(self, iodine):
        """Radii (Å), shape (N, C); `iodine` says of each halide site what it is, shape (C, 3 Z)."""
        n = self.cell.n_cells
        radii = np.empty((5 * n, len(iodine)))
        radii[:n], radii[n : 2 * n] = RADII["Cs"], RADII["Sn"]
        radii[2 * n :] = np.where(iodine, RADII["I"], RADII["Br"]).T
        return radii

    def __call__(self, positions, radii, a):
        """Energies (eV per cell) and forces (eV/Å).

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
        step = max(1, BATCH // len(self.first))
        for start in range(0, len(a), step):
            part = slice(start, start + step)
            by_atom = np.ascontiguousarray(positions[part].transpose(1, 0, 2))
            energies[part], pulls = self._evaluate(by_atom, radii[:, part], a[part])
            forces[part] = pulls.transpose(1, 0, 2)
        return energies, forces

    def _evaluate(self, positions, radii, a):
        i, j = self.first, self.second
        vectors = positions[j] - positions[i] + self.offset[:, None] * a[:, None]
        r = np.sqrt(np.einsum("pcx,pcx->pc", vectors, vectors))
        inside = r < CUTOFF
        repulsion = STRENGTH * np.exp((radii[i] + radii[j] - r) / RANGE)
        coulomb, slope = _damped_coulomb(r)
        energy = np.where(inside, repulsion + self._charge * coulomb, 0.0).sum(axis=0)
        slope = np.where(inside, self._charge * slope - repulsion / RANGE, 0.0)
        pulls = vectors * (slope / r)[..., None]
        forces = self._to_atoms @ pulls.reshape(len(i), -1)
        return energy, forces.reshape(positions.shape)

    def relax(self, iodine, a, fmax, max_steps=200):
        """Move atoms until no force exceeds `fmax`; the cells keep their shape and size.

        Parameters
        ----------
        iodine : bool ndarray of shape (C, 3 Z)
        a : ndarray of shape (C,)
            Cubic lattice parameter (Å).
        fmax : float
            Largest force (eV/Å) that may be left.
        max_steps : int

        Returns
        -------
        ideal, relaxed : ndarray of shape (C,)
            Energies (eV per cell) before and after.
        displacements : ndarray of shape (C, N, 3)
            Of each atom (Å).
        forces : ndarray of shape (C,)
            Largest force (eV/Å) left.

        Notes
        -----
        L-BFGS in all cells at once, started from the inverse force constants of the virtual crystal
        whose halogens all are half bromine, half iodine; no atom moves by more than 0.1 Å a step.
        Thirty to sixty steps.
        """
        sites = self.cell.sites @ self.cell.matrix
        start = sites * a[:, None, None]
        radii, search = self.radii(iodine), _Lbfgs(self._flexibility(sites))
        kick = np.random.default_rng(0).normal(0, KICK, sites.shape)
        moves = np.tile(kick - kick.mean(axis=0), (len(a), 1, 1))
        ideal, _ = self(start, radii, a)
        relaxed, forces = self(start + moves, radii, a)
        left, active = _largest(forces), np.arange(len(a))
        for _ in range(max_steps):
            if not len(active):
                break
            moves[active] += search.step(forces.reshape(len(active), -1)).reshape(forces.shape)
            relaxed[active], forces = self((start + moves)[active], radii[:, active], a[active])
            left[active] = _largest(forces)
            unfinished = left[active] > fmax
            active, forces = active[unfinished], forces[unfinished]
            search.keep(unfinished)
        if len(active):
            raise RuntimeError(
                f"{len(active)} cells, the first of them {active[0]}, still have forces of up to "
                f"{left.max():.1e} eV/Å after {max_steps} steps: allow a larger fmax"
            )
        farthest = _largest(moves)
        if farthest.max() > MARGIN / 2:
            raise RuntimeError(
                f"an atom of cell {farthest.argmax()} moved by {farthest.max():.2f} Å, farther "
                f"than the list of pairs allows ({MARGIN / 2} Å)"
            )
        return ideal, relaxed, moves, left

    def _flexibility(self, sites):
        """Inverse force constants (Å²/eV) of the virtual crystal, shape (3 N, 3 N)."""
        n = sites.size
        step = 1e-3
        radii = np.repeat(self.radii(np.array([[0], [1]])).mean(axis=1)[:, None], n, axis=1)
        a = np.full(n, vegard(1.5))
        start = sites * a[0]
        shifts = step * np.eye(n).reshape(n, *sites.shape)
        plus, minus = (self(start + sign * shifts, radii, a)[1] for sign in (1, -1))
        constants = -(plus - minus).reshape(n, n) / (2 * step)
        # The translations of the whole crystal have no force constant.
        return np.linalg.pinv((constants + constants.T) / 2, rcond=1e-4, hermitian=True)


class _Lbfgs:
    """The limited-memory quasi-Newton search of C minima at once, each with its own memory."""

    MEMORY = 10
    LONGEST = 0.1  # step of an atom (Å)

    def __init__(self, inverse):
        self.inverse = inverse
        self.last = None
        self.history = []

    def step(self, forces):
        """The next move (Å), shape (C, 3 N), from the forces (eV/Å) after the last one."""
        if self.last is not None:
            move, before = self.last
            change = before - forces
            curvature = np.einsum("cd,cd->c", move, change)
            # Where the energy curves down, a pair says nothing.
            weight = np.zeros_like(curvature)
            np.divide(1.0, curvature, out=weight, where=curvature > 0)
            weight = weight[:, None]
            self.history = [*self.history[1 - self.MEMORY :], (move, change, weight)]
        direction, factors = forces.copy(), []
        for move, change, weight in reversed(self.history):
            factors.append(weight * (move * direction).sum(axis=1, keepdims=True))
            direction -= factors[-1] * change
        direction = direction @ self.inverse
        for (move, change, weight), factor in zip(self.history, reversed(factors)):
            direction += move * (factor - weight * (change * direction).sum(1, keepdims=True))
        longest = np.linalg.norm(direction.reshape(len(forces), -1, 3), axis=2).max(axis=1)
        direction *= np.minimum(1, self.LONGEST / longest)[:, None]
        self.last = direction, forces
        return direction

    def keep(self, rows):
        """Forget the cells that are done."""
        self.last = tuple(part[rows] for part in self.last)
        self.history = [tuple(part[rows] for part in parts) for parts in self.history]


def _largest(vectors):
    """Length of the longest vector of each cell."""
    return np.linalg.norm(vectors, axis=2).max(axis=1)


def _damped_coulomb(r):
    """The damped, shifted 1 / r and its derivative."""

    def value(r):
        return erfc(DAMPING * r) / r

    def gauss(r):
        return 2 * DAMPING / np.sqrt(pi) * np.exp(-((DAMPING * r) ** 2)) / r

    v, at_cutoff = value(r), value(CUTOFF)
    slope = -v / r - gauss(r)
    slope_at_cutoff = -at_cutoff / CUTOFF - gauss(CUTOFF)
    return v - at_cutoff - slope_at_cutoff * (r - CUTOFF), slope - slope_at_cutoff


def _pairs(cell):
    """Each pair once: two atoms, and the second's image (in cubic lattice parameters).

    An atom and its own image are a pair, too: it has no force, but it has an energy.
    """
    reach = (CUTOFF + MARGIN) / min(LATTICE_PARAMETERS.values())
    # Images needed along each edge: the distance between opposite faces is 1 / |column of inverse|.
    inverse = np.linalg.inv(cell.matrix)
    counts = np.ceil(reach * np.linalg.norm(inverse, axis=0)).astype(int) + 1
    images = np.array(list(product(*(range(-n, n + 1) for n in counts)))) @ cell.matrix
    sites = cell.sites @ cell.matrix
    found = []
    for i, site in enumerate(sites):
        distance = np.linalg.norm(sites + images[:, None] - site, axis=2)
        image, j = np.nonzero((distance < reach) & (distance > 0))
        found.append(np.column_stack([np.full(len(j), i), j, images[image]]))
    found = np.concatenate(found)
    # Of a pair and its reverse, keep the one that comes first.
    reverse = np.column_stack([found[:, 1], found[:, 0], -found[:, 2:]])
    differences = found - reverse
    leading = np.take_along_axis(differences, (differences != 0).argmax(axis=1)[:, None], axis=1)
    kept = found[leading[:, 0] < 0]
    return kept[:, 0], kept[:, 1], kept[:, 2:].astype(float)
