"""Supercells of alloys on a lattice, with random, ordered or segregated arrangements."""

from functools import cache

import numpy as np

#: Atoms of the conventional cell, and nearest-neighbour distance in units of its edge.
LATTICES = {"fcc": (4, np.sqrt(1 / 2)), "bcc": (2, np.sqrt(3 / 4))}
#: Parameter of the Dirichlet distribution of concentrations: 1 is uniform, larger is more even.
CONCENTRATION = 3
#: Temperature of the swaps in units of the strongest pair energy. At an `order` of ±1 it gives
#: nearly complete order or segregation with some defects.
TEMPERATURE = 0.2
#: Attempted swaps per atom; further swaps change the pair counts by less than their scatter.
SWEEPS = 20


@cache
def template(lattice, n_atoms):
    """Ideal supercell with a conventional edge of 1, and its first-neighbour bonds.

    The cell is as close to a cube as `n_atoms` allows. Bonds, of shape (N, N), are the numbers of
    nearest-neighbour contacts of each pair of atoms, periodic images included. The result is
    cached, because the neighbour search takes as long as a relaxation: do not modify it in place.
    """
    from ase.build import bulk
    from ase.neighborlist import neighbor_list

    cell = bulk("Cu", lattice, a=1.0, cubic=True) * repeats(lattice, n_atoms)
    pairs = neighbor_list("ij", cell, 1.05 * LATTICES[lattice][1])
    bonds = np.zeros((n_atoms, n_atoms))
    np.add.at(bonds, pairs, 1)
    return cell, bonds


def repeats(lattice, n_atoms):
    """Numbers of conventional cells along the three edges."""
    basis = LATTICES[lattice][0]
    n_cells, remainder = divmod(n_atoms, basis)
    if remainder or n_cells < 1:
        raise ValueError(
            f"n_atoms={n_atoms} is not a multiple of the {basis} atoms of a {lattice} cell"
        )
    divisors = [a for a in range(1, n_cells + 1) if n_cells % a == 0]
    shapes = [
        (a, b, n_cells // (a * b))
        for a in divisors
        for b in divisors
        if b <= a and n_cells % (a * b) == 0 and n_cells // (a * b) <= b
    ]
    return min(shapes, key=lambda shape: shape[0] - shape[2])


def draw_counts(rng, n_elements, n_atoms):
    """Draw the number of atoms of each element, for two or more elements at random fractions."""
    counts = np.zeros(n_elements, dtype=int)
    chosen = rng.choice(n_elements, rng.integers(2, n_elements + 1), replace=False)
    fractions = rng.dirichlet(np.full(len(chosen), CONCENTRATION))
    # Each chosen element gets one atom first, so that none of them is absent.
    expected = fractions * (n_atoms - len(chosen))
    counts[chosen] = 1 + np.floor(expected).astype(int)
    remaining = n_atoms - counts.sum()
    counts[chosen[np.argsort(np.floor(expected) - expected, kind="stable")[:remaining]]] += 1
    return counts


def arrange(rng, counts, bonds, order):
    """Distribute the elements over the sites by Metropolis swaps.

    A bond between equal elements has the energy `order`: a positive value favours order, a negative
    value segregation.

    Parameters
    ----------
    rng : numpy Generator
    counts : ndarray of shape (n_elements,)
    bonds : ndarray of shape (N, N)
    order : float from -1 to 1

    Returns
    -------
    species : ndarray of shape (N,), index of the element on each site
    """
    species = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    if order == 0:
        return species
    # n_bonds[i, e]: number of bonds of site i to sites of element e; updated with every swap.
    n_bonds = bonds @ np.eye(len(counts))[species]
    n_swaps = SWEEPS * len(species)
    pairs = rng.integers(len(species), size=(n_swaps, 2)).tolist()
    # A swap is accepted with probability exp(-ΔE / T): when ΔE is below an exponential number.
    thresholds = rng.exponential(TEMPERATURE, n_swaps).tolist()
    for (i, j), threshold in zip(pairs, thresholds):
        a, b = species[i], species[j]
        if a == b:
            continue
        change = n_bonds[i, b] - n_bonds[i, a] + n_bonds[j, a] - n_bonds[j, b] - 2 * bonds[i, j]
        if order * change <= threshold:
            species[i], species[j] = b, a
            difference = bonds[i] - bonds[j]
            n_bonds[:, b] += difference
            n_bonds[:, a] -= difference
    return species


def short_range_order(species, bonds):
    """Warren-Cowley parameter of the first shell, for all elements together.

    One minus the number of bonds between unlike atoms divided by that number in a random
    arrangement of the same cell: 0 is random, negative ordered, positive segregated.
    """
    counts = np.bincount(species)
    n_atoms = counts.sum()
    unlike = bonds[species[:, None] != species].sum() / bonds.sum()
    return 1 - unlike / (1 - (counts * (counts - 1)).sum() / (n_atoms * (n_atoms - 1)))
