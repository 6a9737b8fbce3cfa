"""`relax`: the energy of a crystal and its best volume, in the model of `make_prototypes`."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import erfc

from sklmat.datasets._prototype_elements import GPA, element_data
from sklmat.elements import N_ROWS
from sklmat.structures import find_pairs

COULOMB = 14.399645  # eV Å
P = dict(chi=3.0, sigma=1.0, quart=5.0, ion=0.5, ratios={1: 1.6, 2: 1.95, 3: 2.0, 4: 2.05, 6: 2.2, 12: 3.0})
#: Bonds are cut off smoothly between these multiples of the length of a single bond.
INNER, OUTER = 1.7, 2.6
#: Logarithms of the lengths, relative to those at which no two atoms overlap, that are tried.
SCAN = np.linspace(-0.25, 0.5, 16)
#: Number and relative distance of the neighbours in the reference structures: fcc, and diamond.
SHELLS = {
    12: [(12, 1.0), (6, 2**0.5), (24, 3**0.5), (12, 2.0)],
    4: [(4, 1.0), (12, (8 / 3) ** 0.5)],
}
ACCURACY = 3.4


class Relaxed(NamedTuple):
    """A crystal at its best volume."""

    #: Factor on the lengths.
    scale: float
    #: eV/atom.
    formation_energy: float
    #: Å³/atom.
    volume: float
    #: GPa.
    bulk_modulus: float
    #: Smallest distance of two atoms in units of the sum of their covalent radii.
    closest: float
    #: Charge of each atom.
    charges: np.ndarray


class Bonds(NamedTuple):
    """Parameters of the bonds of each element, arrays of shape (119,)."""

    #: Radius (Å): half the length of a single bond.
    radius: np.ndarray
    #: Repulsion and attraction (eV) of a bond of this length.
    repulsion: np.ndarray
    attraction: np.ndarray
    #: Decay constants (1/Å) of repulsion and attraction.
    repulsion_decay: np.ndarray
    attraction_decay: np.ndarray


def _switch(x):
    t = np.clip((x - INNER) / (OUTER - INNER), 0, 1)
    return 1 - t * t * (3 - 2 * t)


@cache
def bonds():
    """Parameters that give each element its cohesive energy and its bond length."""
    data = element_data()
    columns = np.full((len(Bonds._fields), N_ROWS), np.nan)
    for number in np.flatnonzero(np.isfinite(data.cohesion)):
        n_bonds, length = int(data.n_bonds[number]), data.length[number]
        ratio = P["ratios"][n_bonds]
        a_decay = np.sqrt(data.stiffness[number] / ratio) / length
        r_decay = ratio * a_decay
        count, distance = np.array(SHELLS.get(n_bonds, [(n_bonds, 1.0)])).T
        # Lengths next to the equilibrium, for the derivatives.
        r = length * distance * np.array([[1.0], [1 - 1e-4], [1 + 1e-4]])
        single = length
        for _ in range(60):
            cut = count * _switch(r / single)
            rep = (cut * np.exp(-r_decay * (r - single))).sum(axis=1) / 2
            att = np.sqrt((cut * np.exp(-2 * a_decay * (r - single))).sum(axis=1))
            equations = [[rep[0], -att[0]], [rep[2] - rep[1], att[1] - att[2]]]
            repulsion, attraction = np.linalg.solve(equations, [-data.cohesion[number], 0])
            # The energy of a molecule of two atoms has its minimum at this length.
            balance = np.log(r_decay * repulsion / 2 / (a_decay * attraction))
            single += 0.5 * balance / (r_decay - a_decay)
        columns[:, number] = single / 2, repulsion, attraction, r_decay, a_decay
    return Bonds(*columns)


def madelung_matrix(positions, lattice):
    volume = abs(np.linalg.det(lattice))
    n = len(positions)
    eta = np.sqrt(np.pi) * (n / volume**2) ** (1 / 6)
    i, j, _, r = find_pairs(positions, lattice, np.ones(3, bool), ACCURACY / eta)
    matrix = np.bincount(i * n + j, erfc(eta * r) / r, n * n).reshape(n, n)
    largest = 2 * ACCURACY * eta
    size = np.floor(largest * np.linalg.norm(lattice, axis=1) / (2 * np.pi)).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-s, s + 1) for s in size), indexing="ij"), axis=-1)
    # Of each k and -k, one.
    k = grid.reshape(-1, 3)[grid.size // 6 + 1 :] @ (2 * np.pi * np.linalg.inv(lattice).T)
    square = (k**2).sum(axis=1)
    k, square = k[square <= largest**2], square[square <= largest**2]
    weight = 8 * np.pi / volume * np.exp(-square / (4 * eta**2)) / square
    phase = k @ positions.T
    cos, sin = np.cos(phase), np.sin(phase)
    matrix += (cos.T * weight) @ cos + (sin.T * weight) @ sin - np.pi / (volume * eta**2)
    matrix[np.diag_indices(n)] -= 2 * eta / np.sqrt(np.pi)
    return matrix


class Crystal:
    def __init__(self, numbers, positions, lattice):
        data, bond = element_data(), bonds()
        self.n = n = len(numbers)
        pbc = np.ones(3, dtype=bool)
        radius = bond.radius
        search = 1.6 * (abs(np.linalg.det(lattice)) / n) ** (1 / 3)
        i, j, _, r = find_pairs(positions, lattice, pbc, search)
        while len(r) == 0:
            search *= 1.5
            i, j, _, r = find_pairs(positions, lattice, pbc, search)
        self.scale = 1.1 * ((radius[numbers[i]] + radius[numbers[j]]) / r).max()
        lattice, positions = lattice * self.scale, positions * self.scale
        self.volume = abs(np.linalg.det(lattice)) / n
        width = P["sigma"] * data.radius
        smallest = np.exp(SCAN[0])
        reach = max(2 * OUTER * radius[numbers].max(), 2.9 * 2 * width[numbers].max())
        i, j, _, r = find_pairs(positions, lattice, pbc, reach / smallest)
        a, b = numbers[i], numbers[j]
        self.closest = (r / (data.radius[a] + data.radius[b])).min()
        gamma = np.sqrt(2 * (width[a] ** 2 + width[b] ** 2))
        near = r * smallest < 2.9 * gamma
        self.q_index, self.q_r, self.gamma = (i * n + j)[near], r[near], gamma[near]
        near = r * smallest < OUTER * (radius[a] + radius[b])
        self.i, self.j, self.r, a, b = i[near], j[near], r[near], a[near], b[near]
        self.single = radius[a] + radius[b]
        self.repulsion = np.sqrt(bond.repulsion[a] * bond.repulsion[b])
        self.attraction = bond.attraction[a] * bond.attraction[b]
        self.repulsion_decay = (bond.repulsion_decay[a] + bond.repulsion_decay[b]) / 2
        self.attraction_decay = (bond.attraction_decay[a] + bond.attraction_decay[b]) / 2
        self.madelung = COULOMB * madelung_matrix(positions, lattice)
        self.valence = data.valence[numbers]
        self.hardness = COULOMB / (width[numbers] * np.sqrt(np.pi))
        self.chi = P["chi"] * data.electronegativity[numbers]
        self.cohesion = data.cohesion[numbers].mean()

    def charges(self, s):
        n, T = self.n, len(s)
        r = self.q_r * s[:, None]
        index = self.q_index + n * n * np.arange(T)[:, None]
        J = -np.bincount(index.ravel(), (COULOMB * erfc(r / self.gamma) / r).ravel(), T * n * n)
        J = J.reshape(T, n, n) + self.madelung / s[:, None, None]
        d = np.arange(n)
        J[:, d, d] += self.hardness
        q = np.zeros((T, n))
        kkt = np.ones((T, n + 1, n + 1))
        kkt[:, n, n] = 0
        K = P["quart"]
        for _ in range(60):
            u = q / self.valence
            kkt[:, :n, :n] = J
            kkt[:, d, d] += 3 * K / self.valence * u**2
            g = self.chi + np.einsum("tij,tj->ti", J, q) + K * u**3
            g = np.concatenate([g, np.zeros((T, 1))], axis=1)
            step = np.linalg.solve(kkt, -g[..., None])[:, :n, 0]
            q += step
            if np.abs(step).max() < 1e-7:
                break
        energy = q @ self.chi + 0.5 * np.einsum("ti,tij,tj->t", q, J, q)
        return q, energy + K / 4 * (self.valence * (q / self.valence) ** 4).sum(axis=1)

    def energy(self, s):
        q, es = self.charges(s)
        r = self.r * s[:, None]
        cut = _switch(r / self.single)
        x = r - self.single
        u2 = (q / self.valence) ** 2
        u2 = u2[:, self.i] + u2[:, self.j]
        rep = (self.repulsion * np.exp(-self.repulsion_decay * x - P["ion"] * u2) * cut).sum(axis=1) / 2
        h = self.attraction * np.exp(-2 * self.attraction_decay * x - P["ion"] * u2) * cut
        index = self.i + self.n * np.arange(len(s))[:, None]
        att = np.sqrt(np.bincount(index.ravel(), h.ravel(), len(s) * self.n)).reshape(-1, self.n)
        return (es + rep - att.sum(axis=1)) / self.n


def relax(numbers, frac_coords, lattice):
    crystal = Crystal(numbers, frac_coords @ lattice, lattice)
    energy = crystal.energy(np.exp(SCAN))
    t = energy.argmin()
    if t in (0, len(SCAN) - 1):
        return None
    t = SCAN[t]
    h = 0.02
    for _ in range(20):
        e = crystal.energy(np.exp(t + h * np.array([-1, 0, 1])))
        slope, curvature = (e[2] - e[0]) / (2 * h), (e[2] - 2 * e[1] + e[0]) / h**2
        if curvature <= 0:
            return None
        step = np.clip(-slope / curvature, -0.05, 0.05)
        t += step
        if abs(step) < 1e-5:
            break
    s = np.exp(t)
    volume = crystal.volume * s**3
    return Relaxed(
        scale=crystal.scale * s,
        formation_energy=e[1] + crystal.cohesion,
        volume=volume,
        bulk_modulus=curvature / (9 * volume) * GPA,
        closest=crystal.closest * s,
        charges=crystal.charges(np.array([s]))[0][0],
    )
