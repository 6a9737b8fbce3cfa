"""How long does it take to read a folder of CIFs, one Parquet file of the same crystals, and to
describe them in a table?

    python examples/benchmarks/reading_speed.py [--n 1000] [--n-jobs 2] [--repeats 3]

The crystals have 20 atoms of four elements in triclinic cells. load_structures also checks the
sites against the formula that the file states, and the distances between the atoms; gemmi only
reads the values of the coordinates. StructureFeaturizer describes the crystals in memory, on one
core, and validates them once more; so does DisorderFeaturizer. CompositionFeaturizer describes as
many compounds of two to five of 94 elements. The last column is the time relative to pymatgen's
parser: compare these, because the times depend on the machine.
"""

import argparse
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
from gemmi import cif
from measuring import median_seconds
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.io.cif import CifParser

from sklmat import (
    CompositionFeaturizer,
    DisorderFeaturizer,
    StructureFeaturizer,
    element_table,
    load_structures,
    save_structures,
)


def make_files(folder, n, seed=0):
    """Write crystals of 20 atoms at displaced grid points as CIFs, and their targets."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(3) / 3] * 3), axis=-1).reshape(-1, 3)
    for number in range(n):
        lattice = Lattice.from_parameters(*rng.uniform(8, 9, 3), *rng.uniform(85, 95, 3))
        coords = rng.permutation(grid)[:20] + rng.normal(scale=0.005, size=(20, 3))
        structure = Structure(lattice, ["Cs", "Pb", "I", "Br"] * 5, coords)
        structure.to(str(folder / f"{number}.cif"))
    values = rng.normal(size=n)
    lines = [f"{number},{value}" for number, value in enumerate(values)]
    (folder / "id_prop.csv").write_text("\n".join(lines))


def make_formulas(n, seed=0):
    """Formulas of two to five of the elements up to Pu."""
    rng = np.random.default_rng(seed)
    symbols = element_table().index[:94]
    return [
        "".join(
            f"{symbol}{amount}"
            for symbol, amount in zip(
                rng.choice(symbols, number, replace=False), rng.integers(1, 9, number)
            )
        )
        for number in rng.integers(2, 6, n)
    ]


def read_with_pymatgen(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            CifParser(path).parse_structures(primitive=False)[0] for path in folder.glob("*.cif")
        ]


def read_with_gemmi(folder):
    """Only the values of the loop of sites, without symmetry or checks."""
    crystals = []
    for path in folder.glob("*.cif"):
        block = cif.read(str(path)).sole_block()
        crystals.append(np.array(block.find("_atom_site_fract_", ["x", "y", "z"]), dtype=float))
    return crystals


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1000, help="number of files")
    parser.add_argument("--n-jobs", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(folder, options.n)
        saved = Path(name) / "saved" / "crystals.parquet"
        saved.parent.mkdir()
        structures = load_structures(folder)
        save_structures(saved, structures)
        readers = {
            "load_structures": lambda: load_structures(folder),
            f"load_structures, n_jobs={options.n_jobs}": lambda: load_structures(
                folder, n_jobs=options.n_jobs
            ),
            "pymatgen's CifParser": lambda: read_with_pymatgen(folder),
            "gemmi, values only": lambda: read_with_gemmi(folder),
            "load_structures of one Parquet file": lambda: load_structures(saved),
            "StructureFeaturizer": lambda: StructureFeaturizer().fit_transform(structures.data),
            "DisorderFeaturizer": lambda: DisorderFeaturizer().fit_transform(structures.data),
            "CompositionFeaturizer, compositions": lambda: table.transform(compositions),
            "CompositionFeaturizer, formulas": lambda: table.transform(formulas),
        }
        formulas = make_formulas(options.n)
        compositions = [Composition(formula) for formula in formulas]
        table = CompositionFeaturizer(fractions=False).fit(compositions)
        medians = median_seconds(readers, options.repeats)
    print(f"{options.n} crystals of 20 atoms, median of {options.repeats} runs")
    for name, seconds in medians.items():
        ratio = seconds / medians["pymatgen's CifParser"]
        print(
            f"{name:36} {seconds:7.2f} s  {1000 * seconds / options.n:6.2f} ms each  {ratio:5.2f}"
        )


if __name__ == "__main__":
    main()
