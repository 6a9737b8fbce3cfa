"""Label CsSnBr(3-x)I(x) by GFN1-xTB: makes the file of `load_mixed_halide_perovskites`.

Run it again only if the arrangements, the pair potential or the method change. It needs tblite
(``pip install tblite``), on which sklmat does not depend. On one core a row takes two seconds, the
whole file a quarter of an hour:

    OMP_NUM_THREADS=1 python examples/benchmarks/label_mixed_halides.py

``--rows 5`` runs a test with five rows, ``--accuracy 0.01`` shows the effect of tighter
convergence; ``--out`` is the path of the file.
"""

import argparse
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.constants import physical_constants

import sklmat
from sklmat.datasets._mixed_halide_arrangements import arrangements, supercell
from sklmat.datasets._mixed_halide_potential import PairPotential, vegard

OUT = Path(sklmat.__file__).parent / "datasets" / "data" / "mixed_halides_xtb.npz"
SUPERCELL = (2, 2, 2)
#: Number of arrangements for each number of iodines; if there are fewer, all of them.
PER_COMPOSITION = 25
SEED = 0
FMAX = 1e-4
#: Stored displacements are multiples of this (Å); labels are computed for the stored values.
RESOLUTION = 1e-4
HARTREE = physical_constants["Hartree energy in eV"][0]
BOHR = physical_constants["Bohr radius"][0] * 1e10


def select():
    """Arrangements and multiplicities, in the order of the number of iodines."""
    cell, rng = supercell(SUPERCELL), np.random.default_rng(SEED)
    found = [arrangements(cell, n, PER_COMPOSITION, rng) for n in range(cell.n_sites + 1)]
    return cell, *(np.concatenate(column) for column in zip(*found))


def relax(cell, masks):
    """Lattice parameters (Å), atomic numbers, positions (Å) and displacements (in RESOLUTION)."""
    iodine = (masks[:, None] >> np.arange(cell.n_sites) & 1).astype(bool)
    a = vegard(iodine.sum(axis=1) / cell.n_cells)
    _, _, moves, _ = PairPotential(cell).relax(iodine, a, FMAX)
    moves = np.rint(moves / RESOLUTION).astype(np.int16)
    positions = cell.sites @ cell.matrix * a[:, None, None] + moves * RESOLUTION
    cations = np.repeat([55, 50], cell.n_cells)
    numbers = [np.concatenate([cations, np.where(row, 53, 35)]) for row in iodine]
    return a, numbers, positions, moves


def label(numbers, positions, lattice, accuracy):
    """Energy (eV per cell), gap (eV), largest and rms force (eV/Å), whether the SCF converged."""
    from tblite.interface import Calculator

    calculator = Calculator("GFN1-xTB", numbers, positions / BOHR, lattice=lattice / BOHR)
    calculator.set("verbosity", 0)
    calculator.set("accuracy", accuracy)
    try:
        result = calculator.singlepoint()
    except RuntimeError as error:
        print("not converged:", error)
        return np.nan, np.nan, np.nan, np.nan, False
    levels = np.sort(result.get("orbital-energies")) * HARTREE
    occupied = round(result.get("orbital-occupations").sum() / 2)
    forces = np.linalg.norm(result.get("gradient"), axis=1) * HARTREE / BOHR
    return (
        result.get("energy") * HARTREE,
        levels[occupied] - levels[occupied - 1],
        forces.max(),
        np.sqrt((forces**2).mean()),
        True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, help="so many rows, spread over all")
    parser.add_argument("--accuracy", type=float, default=1.0, help="tblite's numerical accuracy")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    cell, masks, multiplicities = select()
    if arguments.rows:
        rows = np.linspace(0, len(masks) - 1, arguments.rows).astype(int)
        masks, multiplicities = masks[rows], multiplicities[rows]
    a, numbers, positions, moves = relax(cell, masks)
    labels = []
    for row in range(len(masks)):
        start = time.perf_counter()
        lattice = cell.matrix * a[row]
        labels.append(label(numbers[row], positions[row], lattice, arguments.accuracy))
        energy, gap, force, rms, _ = labels[-1]
        print(
            f"{row + 1}/{len(masks)} x={bin(masks[row]).count('1') / cell.n_cells:.3f} "
            f"E={energy:.4f} eV gap={gap:.4f} eV force={force:.3f} rms={rms:.3f} eV/Å "
            f"{time.perf_counter() - start:.1f} s",
            flush=True,
        )
    energy, gap, force, rms, converged = (np.array(column) for column in zip(*labels))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        arguments.out,
        supercell=np.array(SUPERCELL),
        arrangement=masks.astype(np.int32),
        multiplicity=multiplicities.astype(np.int16),
        displacements=moves,
        resolution=np.array(RESOLUTION),
        energy=energy,
        gap=gap,
        force_max=force,
        force_rms=rms,
        converged=converged,
        method=np.array(f"GFN1-xTB, tblite {version('tblite')}, accuracy {arguments.accuracy:g}"),
    )
    print(f"{len(masks)} rows, {(~converged).sum()} not converged -> {arguments.out}")


if __name__ == "__main__":
    main()
