"""No crystal of published data sets is refused, and none is changed."""

import warnings

import numpy as np
import pytest
from ase.collections import dcdft, g2

from sklmat import check_structures
from sklmat.datasets import fetch_cgcnn_sample, fetch_halide_perovskites, fetch_hea
from sklmat.structures import find_pairs, smallest_distances


def smallest_ratio(structures):
    """Smallest distance of two atoms, in units of the sum of their covalent radii."""
    smallest = np.inf
    for structure in structures:
        numbers = np.array(structure.atomic_numbers)
        target, source, _, distance = find_pairs(
            structure.cart_coords, structure.lattice.matrix, np.array(structure.lattice.pbc), 4.0
        )
        if len(distance):
            limit = smallest_distances(numbers[target], numbers[source])
            smallest = min(smallest, (distance / limit).min() / 2)
    return smallest


@pytest.mark.slow
def test_files_of_the_alloys(data_home):
    paths = sorted((data_home / "eftgan" / "HAE_Data").glob("*_POSCAR_Files/POSCAR_*"))
    assert len(paths) > 300
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        structures = check_structures(paths)
    assert smallest_ratio(structures[::20]) > 0.7


@pytest.mark.parametrize(
    "fetch",
    [fetch_hea, pytest.param(fetch_halide_perovskites, marks=pytest.mark.slow), fetch_cgcnn_sample],
)
def test_downloaded_data(data_home, fetch):
    structures = list(fetch(data_home=data_home).data)
    checked = check_structures(structures)
    assert all(one is other for one, other in zip(checked, structures))
    assert smallest_ratio(structures[::40]) > 0.7


def test_elements_and_small_molecules():
    """71 elements as DFT finds them, and 162 molecules in a box, from ASE's collections."""
    structures = check_structures([dcdft[name] for name in dcdft.names])
    assert len({structure[0].specie.symbol for structure in structures}) == 71
    molecules = [g2[name] for name in g2.names]
    for atoms in molecules:
        atoms.center(vacuum=6.0)
    assert smallest_ratio(check_structures(molecules)) > 0.7
