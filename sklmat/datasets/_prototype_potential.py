"""`relax`: the model of `make_prototypes`, energy of a crystal as a function of its volume.

The energy of N atoms at distances r_ij (periodic images included) is

    E = Σ_i (½ Σ_j φ_ij - √(Σ_j h_ij²)) + E_Q
    φ_ij = A_ij exp(-α_ij (r_ij - d_ij)) w_ij
    h_ij² = ξ_ij² exp(-2 β_ij (r_ij - d_ij)) w_ij
    w_ij = exp(-c (u_i² + u_j²)),  u_i = q_i / v_i
    E_Q = min_q  Σ_i (χ_i q_i + K v_i u_i⁴ / 4) + ½ Σ_ij q_i J_ij q_j,  Σ_i q_i = 0

1. Bonds: pair repulsion, and attraction in the second-moment approximation: the energy of an atom
   grows with the square root of its number of bonds. Every element has four parameters, which
   follow from its cohesive energy, bond length and bulk modulus (non-metals: one common stiffness)
   in its reference structure, and from α/β. This ratio determines how many bonds an atom prefers:
   a crystal of Z equal bonds has an energy proportional to Z^(1 - α / (2 (α - β))), so that α/β
   below 2 favours molecules, above 2 close packing. For two elements A and ξ are geometric means,
   α and β arithmetic means, and d is the sum of the radii.
2. Charges q equalise the electronegativities χ (3 eV per Pauling unit). J is the Coulomb
   interaction of Gaussian charges whose width is the covalent radius, with J_ii their self-energy.
   The term with K keeps charges near the valence v.
3. Electrons that have moved to another atom do not form bonds: w reduces bonds of charged atoms.

Four numbers were adjusted to measured volumes and formation energies, and then rounded: c, K, the
3 eV, and the ratio of the width of a charge to the covalent radius, which is 1.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import erfc

from sklmat.datasets._prototype_elements import GPA, element_data
from sklmat.elements import N_ROWS
from sklmat.structures import find_pairs

#: e² / (4 π ε0) in eV Å.
COULOMB = 14.399645
#: eV per unit of Pauling's scale.
ELECTRONEGATIVITY = 3.0
#: K (eV) and c.
SHELL_ENERGY = 5.0
IONICITY = 0.5
#: α / β by the number of bonds in the reference structure.
DECAY_RATIOS = {1: 1.6, 2: 1.95, 3: 2.0, 4: 2.05, 6: 2.2, 12: 3.0}
#: Bonds are cut off smoothly between these multiples of the length d of a single bond.
CUTOFF = (1.7, 2.6)
#: Number and relative distance of the neighbours in fcc (all metals) and diamond. Other reference
#: structures consist of bonds of one length only.
SHELLS = {
    12: [(12, 1.0), (6, 2**0.5), (24, 3**0.5), (12, 2.0)],
    4: [(4, 1.0), (12, (8 / 3) ** 0.5), (12, (11 / 3) ** 0.5), (6, (16 / 3) ** 0.5)],
}
#: Logarithms of the lengths that are tried, relative to those at which no atoms overlap.
SCAN = np.linspace(-0.25, 0.5, 16)
#: Difference of the logarithms of the lengths for numerical derivatives.
DIFFERENCE = 0.005
#: erfc(x) and exp(-x²) beyond this x are neglected: 4e-5 and 2e-4 (charges), 2e-6 (Ewald sum).
CHARGE_RANGE, EWALD_RANGE = 2.9, 3.4


class Relaxed(NamedTuple):
    """A crystal at the volume of lowest energy."""

    #: Factor on the lengths of the crystal that was given.
    scale: float
    #: Energy (eV/atom) relative to the elements in their reference structures.
    formation_energy: float
    #: Å³/atom.
    volume: float
    #: GPa.
    bulk_modulus: float
    #: Smallest distance of two atoms, in units of the sum of their covalent radii.
    closest: float
    #: Charge of each atom, shape (N,).
    charges: np.ndarray


class Bonds(NamedTuple):
    """Parameters of the bonds by atomic number, arrays of shape (119,)."""

    #: Half the length (Å) of a single bond.
    radius: np.ndarray
    #: A and ξ (eV).
    repulsion: np.ndarray
    attraction: np.ndarray
    #: α and β (1/Å).
    repulsion_decay: np.ndarray
    attraction_decay: np.ndarray


@cache
def bond_parameters() -> Bonds:
    """Parameters that give each element its cohesive energy, bond length and bulk modulus."""
    data = element_data()
    columns = np.full((5, N_ROWS), np.nan)
    for number in np.flatnonzero(np.isfinite(data.cohesion)):
        n_bonds, length = int(data.n_bonds[number]), data.length[number]
        ratio = DECAY_RATIOS[n_bonds]
        # For bonds to nearest neighbours only, B = E α β length² / (9 V).
        beta = np.sqrt(data.stiffness[number] / ratio) / length
        alpha = ratio * beta
        count, distance = np.array(SHELLS.get(n_bonds, [(n_bonds, 1.0)])).T
        # The second and third row are for the derivative, which is zero.
        r = length * distance * np.array([[1.0], [1 - 1e-4], [1 + 1e-4]])
        single = length
        for _ in range(60):
            weight = count * _cutoff(r / single)
            repulsion = (weight * np.exp(-alpha * (r - single))).sum(axis=1) / 2
            attraction = np.sqrt((weight * np.exp(-2 * beta * (r - single))).sum(axis=1))
            equations = [
                [repulsion[0], -attraction[0]],
                [repulsion[2] - repulsion[1], attraction[1] - attraction[2]],
            ]
            a, xi = np.linalg.solve(equations, [-data.cohesion[number], 0.0])
            # A molecule of two atoms has its lowest energy at the length of a single bond.
            single += 0.5 * np.log(alpha * a / (2 * beta * xi)) / (alpha - beta)
        columns[:, number] = single / 2, a, xi, alpha, beta
    return Bonds(*columns)


def _cutoff(x):
    """Smooth step from 1 to 0."""
    x = np.clip((x - CUTOFF[0]) / (CUTOFF[1] - CUTOFF[0]), 0, 1)
    return 1 - x * x * (3 - 2 * x)


def madelung_matrix(positions: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """Electrostatic interaction of unit point charges and all their images, by Ewald's sum.

    Parameters
    ----------
    positions : ndarray of shape (N, 3)
        Å.
    lattice : ndarray of shape (3, 3)
        Lattice vectors as rows (Å).

    Returns
    -------
    matrix : ndarray of shape (N, N)
        1/Å. The energy per cell of charges q that sum to zero is ½ qᵀ matrix q.
    """
    volume, n = abs(np.linalg.det(lattice)), len(positions)
    # The width that makes both sums equally long.
    eta = np.sqrt(np.pi) * (n / volume**2) ** (1 / 6)
    i, j, r = _pairs(positions, lattice, EWALD_RANGE / eta)
    matrix = np.bincount(i * n + j, erfc(eta * r) / r, n * n).reshape(n, n)
    longest = 2 * EWALD_RANGE * eta
    size = np.floor(longest * np.linalg.norm(lattice, axis=1) / (2 * np.pi)).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-s, s + 1) for s in size), indexing="ij"), axis=-1)
    grid = grid.reshape(-1, 3)
    # Of k and -k, which contribute equally, only one.
    k = grid[len(grid) // 2 + 1 :] @ (2 * np.pi * np.linalg.inv(lattice).T)
    square = (k**2).sum(axis=1)
    k, square = k[square <= longest**2], square[square <= longest**2]
    weight = 8 * np.pi / volume * np.exp(-square / (4 * eta**2)) / square
    cos, sin = np.cos(k @ positions.T), np.sin(k @ positions.T)
    matrix += (cos.T * weight) @ cos + (sin.T * weight) @ sin - np.pi / (volume * eta**2)
    matrix[np.diag_indices(n)] -= 2 * eta / np.sqrt(np.pi)
    return matrix


def _pairs(positions, lattice, radius):
    target, source, _, distance = find_pairs(positions, lattice, np.ones(3, dtype=bool), radius)
    return target, source, distance


def _touching_scale(numbers, positions, lattice):
    """Factor on the lengths at which the closest atoms are a tenth beyond a single bond."""
    radius = bond_parameters().radius
    search = 1.6 * (abs(np.linalg.det(lattice)) / len(numbers)) ** (1 / 3)
    while len((pairs := _pairs(positions, lattice, search))[2]) == 0:
        search *= 1.5
    i, j, r = pairs
    return 1.1 * ((radius[numbers[i]] + radius[numbers[j]]) / r).max()


class Crystal:
    """The energy of a crystal of N atoms as a function of the scale of its lengths.

    Parameters
    ----------
    numbers : ndarray of shape (N,)
        Atomic numbers.
    positions : ndarray of shape (N, 3)
        Å.
    lattice : ndarray of shape (3, 3)
        Lattice vectors as rows (Å).

    Attributes
    ----------
    scale : float
        Factor to a size at which no atoms overlap. Other attributes refer to this size.
    volume : float
        Å³/atom.
    closest : float
        Smallest distance in units of the sum of the covalent radii.
    """

    def __init__(self, numbers, positions, lattice):
        data, bonds = element_data(), bond_parameters()
        self.n = n = len(numbers)
        self.scale = _touching_scale(numbers, positions, lattice)
        lattice, positions = lattice * self.scale, positions * self.scale
        self.volume = abs(np.linalg.det(lattice)) / n
        width, radius = data.radius, bonds.radius
        # All pairs that interact at the smallest scale.
        smallest = np.exp(SCAN[0] - DIFFERENCE)
        reach = 2 * max(CUTOFF[1] * radius[numbers].max(), CHARGE_RANGE * width[numbers].max())
        i, j, r = _pairs(positions, lattice, reach / smallest)
        a, b = numbers[i], numbers[j]
        self.closest = (r / (data.radius[a] + data.radius[b])).min()
        gamma = np.sqrt(2 * (width[a] ** 2 + width[b] ** 2))
        near = r * smallest < CHARGE_RANGE * gamma
        self._overlapping = (i * n + j)[near], r[near], gamma[near]
        near = r * smallest < CUTOFF[1] * (radius[a] + radius[b])
        self._i, self._j, self._r, a, b = i[near], j[near], r[near], a[near], b[near]
        self._single = radius[a] + radius[b]
        self._repulsion = np.sqrt(bonds.repulsion[a] * bonds.repulsion[b])
        self._attraction = bonds.attraction[a] * bonds.attraction[b]
        self._alpha = (bonds.repulsion_decay[a] + bonds.repulsion_decay[b]) / 2
        self._beta = (bonds.attraction_decay[a] + bonds.attraction_decay[b]) / 2
        self._madelung = COULOMB * madelung_matrix(positions, lattice)
        self._self_energy = COULOMB / (width[numbers] * np.sqrt(np.pi))
        self._valence = data.valence[numbers]
        self._electronegativity = ELECTRONEGATIVITY * data.electronegativity[numbers]
        self._cohesion = data.cohesion[numbers].mean()

    def charges(self, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Charges that minimise the electrostatic energy, and this energy.

        Parameters
        ----------
        scales : ndarray of shape (S,)

        Returns
        -------
        charges : ndarray of shape (S, N)
        energy : ndarray of shape (S,)
            eV per cell.
        """
        n, n_scales, diagonal = self.n, len(scales), np.arange(self.n)
        coulomb = self._coulomb(scales)
        charges = np.zeros((n_scales, n))
        # The last row and column are the condition that the charges sum to zero.
        equations = np.ones((n_scales, n + 1, n + 1))
        equations[:, n, n] = 0.0
        for _ in range(60):
            ratio = charges / self._valence
            equations[:, :n, :n] = coulomb
            equations[:, diagonal, diagonal] += 3 * SHELL_ENERGY / self._valence * ratio**2
            gradient = np.zeros((n_scales, n + 1, 1))
            gradient[:, :n] = coulomb @ charges[:, :, None]
            gradient[:, :n, 0] += self._electronegativity + SHELL_ENERGY * ratio**3
            step = np.linalg.solve(equations, -gradient)[:, :n, 0]
            charges += step
            if np.abs(step).max() < 1e-7:
                break
        energy = 0.5 * np.einsum("si,sij,sj->s", charges, coulomb, charges)
        energy += charges @ self._electronegativity
        shells = self._valence * (charges / self._valence) ** 4
        return charges, energy + SHELL_ENERGY / 4 * shells.sum(axis=1)

    def _coulomb(self, scales):
        """Interaction J of the Gaussian charges (eV), shape (S, N, N)."""
        n, n_scales = self.n, len(scales)
        index, r, gamma = self._overlapping
        r = r * scales[:, None]
        index = (index + n * n * np.arange(n_scales)[:, None]).ravel()
        overlap = np.bincount(index, (erfc(r / gamma) / r).ravel(), n_scales * n * n)
        coulomb = self._madelung / scales[:, None, None]
        coulomb -= COULOMB * overlap.reshape(coulomb.shape)
        coulomb[:, np.arange(n), np.arange(n)] += self._self_energy
        return coulomb

    def formation_energy(self, scales: np.ndarray) -> np.ndarray:
        """Energy (eV/atom) relative to the elements, shape (S,)."""
        charges, electrostatic = self.charges(scales)
        ratio = (charges / self._valence) ** 2
        r = self._r * scales[:, None]
        weight = _cutoff(r / self._single)
        weight *= np.exp(-IONICITY * (ratio[:, self._i] + ratio[:, self._j]))
        stretch = r - self._single
        repulsion = (self._repulsion * np.exp(-self._alpha * stretch) * weight).sum(axis=1) / 2
        squares = self._attraction * np.exp(-2 * self._beta * stretch) * weight
        index = (self._i + self.n * np.arange(len(scales))[:, None]).ravel()
        moments = np.bincount(index, squares.ravel(), self.n * len(scales))
        attraction = np.sqrt(moments).reshape(-1, self.n).sum(axis=1)
        return (electrostatic + repulsion - attraction) / self.n + self._cohesion


def relax(numbers: np.ndarray, frac_coords: np.ndarray, lattice: np.ndarray) -> Relaxed | None:
    """Find the volume of lowest energy; fractional coordinates and shape of the cell are kept.

    Parameters
    ----------
    numbers : ndarray of shape (N,)
        Atomic numbers.
    frac_coords : ndarray of shape (N, 3)
    lattice : ndarray of shape (3, 3)
        Lattice vectors as rows (Å); only their ratios matter.

    Returns
    -------
    relaxed : Relaxed, or None if the energy has no minimum in the range of volumes
    """
    crystal = Crystal(numbers, frac_coords @ lattice, lattice)
    logarithm = SCAN[crystal.formation_energy(np.exp(SCAN)).argmin()]
    for _ in range(20):
        if not SCAN[0] < logarithm < SCAN[-1]:
            return None
        points = np.exp(logarithm + DIFFERENCE * np.array([-1, 0, 1]))
        low, energy, high = crystal.formation_energy(points)
        slope = (high - low) / (2 * DIFFERENCE)
        curvature = (high - 2 * energy + low) / DIFFERENCE**2
        if curvature <= 0:
            return None
        if abs(slope / curvature) < 1e-6:
            break
        logarithm -= np.clip(slope / curvature, -0.05, 0.05)
    else:
        return None
    scale = np.exp(logarithm)
    volume = crystal.volume * scale**3
    return Relaxed(
        scale=float(crystal.scale * scale),
        formation_energy=float(energy),
        volume=float(volume),
        bulk_modulus=float(curvature / (9 * volume) * GPA),
        closest=float(crystal.closest * scale),
        charges=crystal.charges(np.array([scale]))[0][0],
    )
