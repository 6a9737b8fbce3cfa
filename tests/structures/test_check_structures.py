"""`check_structures`: which inputs are valid, and the messages for those that are not."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from crystals import b2_cscl, bcc_fe, fcc_cu, isolated_ne, rocksalt_nacl
from pymatgen.core import Composition, DummySpecies, Lattice, Site, Structure

from sklmat import InvalidStructureError, InvalidStructureWarning, check_structures
from sklmat.structures import convert_structures, crystal_arrays


def containers():
    items = [bcc_fe(), fcc_cu()]
    filled = np.empty(2, dtype=object)
    filled[:] = items
    return {
        "list": items,
        "tuple": tuple(items),
        "object array": filled,
        "series": pd.Series(items, index=[7, 3]),
        "generator": (item for item in items),
    }


@pytest.mark.parametrize("kind", ["list", "tuple", "object array", "series", "generator"])
def test_every_container_gives_a_filled_1d_array(kind):
    out = check_structures(containers()[kind])
    assert out.shape == (2,)
    assert out.dtype == object
    assert [s.formula for s in out] == ["Fe2", "Cu4"]


def test_equal_sized_cells_stay_one_dimensional():
    assert check_structures([bcc_fe(), bcc_fe()]).shape == (2,)
    with pytest.raises(ValueError, match=r"shape \(2, 2\).*equal-sized"):
        check_structures(np.asarray([bcc_fe(), bcc_fe()], dtype=object))


def test_structures_are_passed_on_and_not_copied():
    s = bcc_fe()
    assert check_structures([s])[0] is s


def test_sites_of_valid_crystals_are_looked_at_once(monkeypatch):
    """The attributes of pymatgen are slow; the formula is needed for messages only."""
    read = []
    species = Site.species
    counting = property(lambda site: read.append(site) or species.fget(site))
    monkeypatch.setattr(Site, "species", counting)
    crystal = rocksalt_nacl()
    read.clear()
    convert_structures([crystal])
    assert len(read) == len(crystal) == 8
    crystal_arrays([crystal])
    assert len(read) == 16


def test_ase_dict_and_path_agree_with_the_structure(tmp_path):
    from pymatgen.io.ase import AseAtomsAdaptor

    s = rocksalt_nacl()
    s.to(filename=str(tmp_path / "nacl.cif"))
    s.to(filename=str(tmp_path / "POSCAR"), fmt="poscar")
    atoms = AseAtomsAdaptor.get_atoms(s)
    forms = [atoms, s.as_dict(), str(tmp_path / "nacl.cif"), tmp_path / "POSCAR"]
    for form in check_structures(forms):
        assert form.composition == s.composition
        assert form.volume == pytest.approx(s.volume, rel=1e-6)
        assert np.allclose(np.sort(form.distance_matrix[0]), np.sort(s.distance_matrix[0]))


def test_occupancies_that_ase_notes_are_read(tmp_path):
    from ase.io import read

    rocksalt_nacl().to(filename=str(tmp_path / "nacl.cif"))
    ordered = read(tmp_path / "nacl.cif")
    assert ordered.info["occupancy"]
    assert check_structures([ordered])[0].composition == rocksalt_nacl().composition
    mixed = ordered.copy()
    mixed.info["occupancy"] = {"0": {"Na": 0.5, "K": 0.5}}
    with pytest.raises(InvalidStructureError, match="partial occupancy"):
        check_structures([mixed])


def test_ase_periodicity_is_kept():
    from ase.build import fcc111

    slab = fcc111("Cu", (1, 1, 3), vacuum=5.0)
    (structure,) = check_structures([slab])
    assert tuple(structure.lattice.pbc) == (True, True, False)


def test_isolated_atom_is_valid():
    assert len(check_structures([isolated_ne()])[0]) == 1


def disordered():
    return Structure(Lattice.cubic(2.9), [{"Fe": 0.5, "Co": 0.5}], [[0, 0, 0]])


def with_coords(value):
    s = bcc_fe()
    s[1].frac_coords = np.array([value, 0.5, 0.5])
    return s


def duplicate():
    return Structure(Lattice.cubic(3), ["Fe", "Fe"], [[0, 0, 0], [0, 0, 0]])


def close_images():
    return Structure(Lattice.orthorhombic(0.4, 5, 5), ["Fe"], [[0, 0, 0]])


def wrapped_clash():
    return Structure(Lattice.cubic(5), ["Fe", "Ni"], [[0.99, 0, 0], [0.01, 0, 0]])


def dummy():
    return Structure(Lattice.cubic(3), [DummySpecies("X")], [[0, 0, 0]])


def flat():
    return Structure(Lattice([[1, 0, 0], [2, 0, 0], [0, 0, 1]]), ["Fe"], [[0, 0, 0]])


def nan_lattice():
    return Structure(Lattice([[np.nan, 0, 0], [0, 3, 0], [0, 0, 3]]), ["Fe"], [[0, 0, 0]])


def vacancy():
    return Structure(Lattice.cubic(3), [{"Fe": 0.7}], [[0, 0, 0]])


BAD = {
    "not a structure": (lambda: Composition("FeNi"), "not a structure"),
    "number": (lambda: 3.14, "not a structure"),
    "sites": (lambda: list(bcc_fe()), "a list of sites without a lattice"),
    "none": (lambda: None, "not a structure"),
    "empty": (lambda: Structure(Lattice.cubic(3), [], []), "no atoms"),
    "mixed site": (disordered, "site 0 has partial occupancy"),
    "vacancy": (vacancy, "partial occupancy"),
    "dummy": (dummy, "dummy"),
    "nan": (lambda: with_coords(np.nan), "site 1 has non-finite"),
    "inf": (lambda: with_coords(np.inf), "site 1 has non-finite"),
    "nan lattice": (nan_lattice, "non-finite"),
    "flat": (flat, "zero volume"),
    "duplicate": (duplicate, r"sites 0 and 1 are 0\.000 Å"),
    "close images": (close_images, r"site 0 and its periodic image are 0\.400 Å"),
    "wrapped": (wrapped_clash, r"sites 0 and 1 are 0\.100 Å"),
    "no file": (lambda: "nowhere.cif", "no such file"),
    "not a dict of ours": (lambda: {"a": 1}, "as_dict"),
}


@pytest.mark.parametrize("name", BAD)
def test_refusals_name_row_and_reason(name):
    make, reason = BAD[name]
    with pytest.raises(InvalidStructureError, match=reason) as caught:
        check_structures([bcc_fe(), make(), fcc_cu()])
    assert caught.value.index == 1
    assert str(caught.value).startswith("structure 1 (")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.index, again.formula, again.reason) == (
        1,
        caught.value.formula,
        caught.value.reason,
    )


def test_unreadable_file_says_why(tmp_path):
    path = tmp_path / "broken.cif"
    path.write_text("this is no CIF")
    with pytest.raises(InvalidStructureError, match=r"broken\.cif"):
        check_structures([path])


def test_molecule_without_cell_is_refused():
    from ase import Atoms

    with pytest.raises(InvalidStructureError, match="no three independent cell vectors"):
        check_structures([Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])])


def test_warn_leaves_none_and_warns_once():
    items = [bcc_fe(), duplicate(), fcc_cu(), disordered()]
    with pytest.warns(InvalidStructureWarning) as caught:
        out = check_structures(items, on_invalid="warn")
    assert len(caught) == 1
    text = "\n".join(str(w.message) for w in caught)
    assert "structure 1 (Fe2)" in text
    assert "structure 3" in text
    assert [s is None for s in out] == [False, True, False, True]


@pytest.mark.parametrize("single", [bcc_fe(), "POSCAR", Path("POSCAR"), {"lattice": 1}])
def test_a_single_crystal_is_no_sequence(single):
    with pytest.raises(TypeError, match="put it in a list"):
        check_structures(single)


def test_no_sequence_at_all():
    with pytest.raises(TypeError, match="sequence of structures"):
        check_structures(5)
    with pytest.raises(ValueError, match="on_invalid"):
        check_structures([bcc_fe()], on_invalid="ignore")


def test_inputs_are_not_mutated():
    s = b2_cscl()
    before = copy.deepcopy(s)
    check_structures([s])
    assert s == before


def test_oxidation_states_are_welcome():
    s = b2_cscl()
    s.add_oxidation_state_by_element({"Cs": 1, "Cl": -1})
    assert len(check_structures([s])) == 1


def test_tables_of_structures_name_their_column():
    cells = [bcc_fe(), bcc_fe()]
    table = pd.DataFrame({"T": [1, 2], "cell": cells}, index=[5, 6])
    of_polars = pl.DataFrame(
        {"T": [1, 2], "cell": cells}, schema={"T": pl.Int64, "cell": pl.Object}, strict=False
    )
    for each in (table, of_polars):
        with pytest.raises(ValueError, match=r"its column of structures, such as table\['cell'\]"):
            check_structures(each)
    with pytest.raises(ValueError, match=r"of structures of shape \(2, 1\); pass one column"):
        check_structures(table[["cell"]].to_numpy())
