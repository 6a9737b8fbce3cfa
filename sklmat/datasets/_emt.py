"""`relax` and the metals of effective medium theory (EMT), with the potential of ASE."""

import numpy as np

#: Metals of ASE's EMT potential, without aluminium, which differs much from the others.
METALS = ("Ni", "Cu", "Pd", "Ag", "Pt", "Au")
#: Initial curvature (eV/Å²) of relaxations, that of a stiff metal. With ASE's default of 70 they
#: take twice as many steps.
CURVATURE = 20
MAX_STEPS = 100


def elemental_references(elements, fmax=1e-3):
    """Energy (eV/atom) and volume (Å³/atom) of each relaxed fcc metal in EMT."""
    from ase.build import bulk

    relaxed = {element: relax(bulk(element, "fcc"), fmax) for element in elements}
    return {element: (result["energy"], result["volume"]) for element, result in relaxed.items()}


def relax(atoms, fmax):
    """Relax positions and volume of `atoms` in place.

    Parameters
    ----------
    atoms : ase.Atoms
    fmax : float
        Largest allowed force (eV/Å) after the relaxation.

    Returns
    -------
    result : dict of float
        Energy, energy before relaxation (eV/atom), volume (Å³/atom) and largest force (eV/Å).
    """
    from ase.calculators.emt import EMT
    from ase.filters import UnitCellFilter
    from ase.optimize import BFGS
    from threadpoolctl import threadpool_limits

    atoms.calc = EMT()
    ideal_energy = atoms.get_potential_energy()
    crystal = UnitCellFilter(atoms, hydrostatic_strain=True)
    # Several threads are slower for these small matrices (five times on two cores).
    with threadpool_limits(1):
        BFGS(crystal, logfile=None, alpha=CURVATURE).run(fmax=fmax, steps=MAX_STEPS)
    return {
        "energy": atoms.get_potential_energy() / len(atoms),
        "ideal_energy": ideal_energy / len(atoms),
        "volume": atoms.get_volume() / len(atoms),
        "force": np.linalg.norm(crystal.get_forces(), axis=1).max(),
    }
