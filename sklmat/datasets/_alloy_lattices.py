"""Make one alloy: a supercell, an ordering, and its energy by effective medium theory."""

from functools import cache

import numpy as np

#: Metals of ASE's EMT potential; aluminium, which it also has, is no relative of these.
METALS = ("Ni", "Cu", "Pd", "Ag", "Pt", "Au")
#: Atoms of the conventional cell, and first-neighbour distance in units of its edge.
LATTICES = {"fcc": (4, np.sqrt(1 / 2)), "bcc": (2, np.sqrt(3 / 4))}
#: Concentrations are drawn from a Dirichlet distribution: 1 would be uniform, higher is more even.
EVENNESS = 3
#: Temperature of the swaps in units of the strongest pair energy: low enough for an `order` of ±1
#: to reach nearly complete order or segregation, high enough to leave defects.
TEMPERATURE = 0.2
#: Attempted swaps per atom; more changes the pair counts by less than their scatter.
SWEEPS = 20
#: Relaxation. The curvature is that of a stiff metal (eV/Å²): with ASE's default of 70 the same
#: relaxation takes twice as many steps.
CURVATURE = 20
MAX_STEPS = 100


@cache
def template(lattice, n_atoms):
    """Ideal supercell with a conventional edge of 1, and its first-neighbour bonds.

    The cell is as close to a cube as `n_atoms` allows. Bonds, of shape (N, N), count how often
    each pair of atoms is adjacent, images included. Kept, because finding neighbours takes as long
    as a relaxation; do not change what is returned.
    """
    from ase.build import bulk
    from ase.neighborlist import neighbor_list

    cell = bulk("Cu", lattice, a=1.0, cubic=True) * repeats(lattice, n_atoms)
    i, j = neighbor_list("ij", cell, 1.05 * LATTICES[lattice][1])
    bonds = np.zeros((n_atoms, n_atoms))
    np.add.at(bonds, (i, j), 1)
    return cell, bonds


def repeats(lattice, n_atoms):
    """Numbers of conventional cells along the three edges."""
    basis = LATTICES[lattice][0]
    cells, rest = divmod(n_atoms, basis)
    if rest or cells < 1:
        raise ValueError(
            f"n_atoms={n_atoms} is not a multiple of the {basis} atoms of a {lattice} cell"
        )
    sizes = range(1, cells + 1)
    shapes = [
        (a, b, cells // (a * b))
        for a in sizes
        for b in sizes[:a]
        if cells % (a * b) == 0 and cells // (a * b) <= b
    ]
    return min(shapes, key=lambda shape: shape[0] - shape[2])


def draw_counts(rng, n_elements, n_atoms):
    """Atoms of each element: a random choice of two or more elements at random concentrations."""
    counts = np.zeros(n_elements, dtype=int)
    chosen = rng.choice(n_elements, rng.integers(2, n_elements + 1), replace=False)
    fractions = rng.dirichlet(np.full(len(chosen), EVENNESS))
    # One atom of each is set aside, so that every chosen element is there.
    share = fractions * (n_atoms - len(chosen))
    counts[chosen] = 1 + np.floor(share).astype(int)
    left = n_atoms - counts.sum()
    counts[chosen[np.argsort(np.floor(share) - share, kind="stable")[:left]]] += 1
    return counts


def arrange(rng, counts, bonds, order):
    """Distribute the elements over the sites by Metropolis swaps.

    A bond between equal elements costs `order`, so that a positive one drives towards order and a
    negative one towards segregation.

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
    # equal[i, e]: bonds of site i to sites of element e, kept up to date through the swaps.
    equal = bonds @ np.eye(len(counts))[species]
    steps = SWEEPS * len(species)
    pairs = rng.integers(len(species), size=(steps, 2)).tolist()
    # Accepted with probability exp(-cost / T), that is, when an exponential number exceeds it.
    limits = rng.exponential(TEMPERATURE, steps).tolist()
    for (i, j), limit in zip(pairs, limits):
        a, b = species[i], species[j]
        if a == b:
            continue
        change = equal[i, b] - equal[i, a] + equal[j, a] - equal[j, b] - 2 * bonds[i, j]
        if order * change <= limit:
            species[i], species[j] = b, a
            swap = bonds[i] - bonds[j]
            equal[:, b] += swap
            equal[:, a] -= swap
    return species


def short_range_order(species, bonds):
    """Warren-Cowley parameter of the first shell, all elements together.

    One minus the fraction of bonds between unlike atoms over that of a random arrangement of the
    same cell: 0 is random, negative ordered, positive segregated.
    """
    counts = np.bincount(species)
    n = counts.sum()
    unlike = bonds[species[:, None] != species].sum() / bonds.sum()
    return 1 - unlike / (1 - (counts * (counts - 1)).sum() / (n * (n - 1)))


def elemental_references(elements, fmax=1e-3):
    """Energy (eV/atom) and volume (Å³/atom) of each relaxed fcc metal in EMT."""
    from ase.build import bulk

    relaxed = {element: relax(bulk(element, "fcc"), fmax) for element in elements}
    return {element: (r["energy"], r["volume"]) for element, r in relaxed.items()}


def relax(atoms, fmax):
    """Relax positions and volume of `atoms` in place; say what came out, per atom."""
    from ase.calculators.emt import EMT
    from ase.filters import UnitCellFilter
    from ase.optimize import BFGS
    from threadpoolctl import threadpool_limits

    atoms.calc = EMT()
    start = atoms.get_potential_energy()
    crystal = UnitCellFilter(atoms, hydrostatic_strain=True)
    # The matrices are tiny: threads only get into each other's way (five times slower, two cores).
    with threadpool_limits(1):
        BFGS(crystal, logfile=None, alpha=CURVATURE).run(fmax=fmax, steps=MAX_STEPS)
    return {
        "energy": atoms.get_potential_energy() / len(atoms),
        "ideal_energy": start / len(atoms),
        "volume": atoms.get_volume() / len(atoms),
        "force": np.linalg.norm(crystal.get_forces(), axis=1).max(),
    }


def make_alloy(seed, elements, lattice, n_atoms, order, fmax, references):
    """Make, arrange and relax one alloy.

    Parameters
    ----------
    seed : numpy SeedSequence
    elements : tuple of str
    lattice : tuple of str
        One of them is drawn.
    n_atoms : int
    order : tuple of float
        Range from which the order is drawn.
    fmax : float
        eV/Å
    references : dict
        What `elemental_references` returns.

    Returns
    -------
    alloy : dict of arrays and numbers
    """
    rng = np.random.default_rng(seed)
    kind = lattice[rng.integers(len(lattice))]
    counts = draw_counts(rng, len(elements), n_atoms)
    value = rng.uniform(*order)
    ideal, bonds = template(kind, n_atoms)
    species = arrange(rng, counts, bonds, value)
    energies, volumes = np.array([references[element] for element in elements]).T
    fractions = counts / n_atoms
    ideal = ideal.copy()
    ideal.set_chemical_symbols([elements[k] for k in species])
    scale = (fractions @ volumes * n_atoms / ideal.get_volume()) ** (1 / 3)
    ideal.set_cell(ideal.cell * scale, scale_atoms=True)
    atoms = ideal.copy()
    result = relax(atoms, fmax)
    shift = atoms.get_scaled_positions(wrap=False) - ideal.get_scaled_positions(wrap=False)
    shift = (shift - shift.mean(axis=0)) @ atoms.cell.array
    return {
        "numbers": atoms.numbers,
        "lattice": atoms.cell.array,
        "coords": atoms.get_scaled_positions(wrap=False),
        "ideal_lattice": ideal.cell.array,
        "ideal_coords": ideal.get_scaled_positions(wrap=False),
        "kind": kind,
        "order": value,
        "short_range_order": short_range_order(species, bonds),
        "formation_energy": result["energy"] - fractions @ energies,
        "relaxation_energy": result["energy"] - result["ideal_energy"],
        "volume": result["volume"],
        "displacement": np.linalg.norm(shift, axis=1).max(),
        "force": result["force"],
        "noise": rng.standard_normal(),
    }
