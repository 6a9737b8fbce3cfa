"""Dicts and JSON are decoded without importing what they name."""

import json
import sys

import numpy as np
import pytest
from crystals import b2_cscl, bcc_fe, isolated_ne
from pymatgen.core import Lattice, Structure

from sklmat import InvalidStructureError, check_structures
from sklmat.structures import structure_from_dict


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Name of a module that leaves a trace when it is imported."""
    (tmp_path / "planted_module.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('trace').write_text('imported')\n"
        "class Planted:\n    def __init__(self, **kwargs):\n"
        "        Path(__file__).with_name('trace').write_text('called')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield {"@module": "planted_module", "@class": "Planted"}
    sys.modules.pop("planted_module", None)
    assert not (tmp_path / "trace").exists()


def documents(planted):
    for change in ("site", "nested", "list", "structure", "species"):
        document = json.loads(b2_cscl().to_json())
        site = document["sites"][0]
        if change == "site":
            site["properties"] = {"x": planted, "magmom": 1.5}
        elif change == "nested":
            site["properties"] = {"x": {"y": [planted]}, "magmom": 1.5}
        elif change == "list":
            site["properties"] = {"x": [planted], "magmom": 1.5}
        elif change == "structure":
            document["properties"] = {"x": planted}
        else:
            document |= planted
        yield document


def test_planted_modules_are_not_imported(planted, tmp_path):
    for document in documents(planted):
        path = tmp_path / "a.json"
        path.write_text(json.dumps(document))
        for item in (document, json.dumps(document), path, {"structure": document}):
            (structure,) = check_structures([item])
            assert structure.formula == "Cs1 Cl1"
            assert "x" not in structure.site_properties
            assert "x" not in structure.properties
        magmoms = structure.site_properties.get("magmom", [1.5, None])
        assert list(magmoms) == [1.5, None]


def test_names_of_files_that_pymatgen_would_decode(planted, tmp_path):
    """pymatgen chooses its decoder by parts of the file name."""
    document = next(documents(planted))
    for name in ("a.json.old", "b.mson", "c.txt", "d.yaml", "e.json_backup"):
        (tmp_path / name).write_text(json.dumps(document))
        (structure,) = check_structures([tmp_path / name])
        assert structure.formula == "Cs1 Cl1"


def charged():
    structure = b2_cscl()
    structure.add_oxidation_state_by_element({"Cs": 1, "Cl": -1})
    structure.add_spin_by_site([0.5, -0.5])
    return structure


def slab():
    lattice = Lattice(np.diag([3.0, 3.0, 20.0]), pbc=(True, True, False))
    return Structure(
        lattice,
        ["Cu", "Cu"],
        [[0, 0, 0.1], [0.5, 0.5, 0.2]],
        site_properties={"forces": [[0, 0, 1.0], [0, 0, -1.0]], "fixed": [True, False]},
        labels=["Cu1", "Cu2"],
        charge=1,
    )


def disordered():
    return Structure(Lattice.cubic(3), [{"Fe": 0.5, "Co3+": 0.5}], [[0, 0, 0]])


@pytest.mark.parametrize("make", [b2_cscl, bcc_fe, isolated_ne, charged, slab, disordered])
def test_the_same_structure_as_pymatgen_decodes(make):
    document = json.loads(json.dumps(make().as_dict()))
    ours, theirs = structure_from_dict(document), Structure.from_dict(document)
    assert ours == theirs
    assert ours.lattice.pbc == theirs.lattice.pbc
    assert ours.labels == theirs.labels
    assert ours.charge == theirs.charge
    assert ours.site_properties == theirs.site_properties
    assert [str(site.species) for site in ours] == [str(site.species) for site in theirs]


def test_cells_given_by_lengths_and_angles_and_cartesian_sites():
    document = {
        "lattice": {"a": 4, "b": 4, "c": 5, "alpha": 90, "beta": 90, "gamma": 120},
        "sites": [{"species": [{"element": "Mg", "occu": 1}], "xyz": [0.0, 0.0, 2.5]}],
    }
    structure = structure_from_dict(document)
    assert structure.lattice.gamma == pytest.approx(120)
    np.testing.assert_allclose(structure.frac_coords, [[0, 0, 0.5]])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lattice": None}, "TypeError|AttributeError"),
        ({"sites": [{"abc": [0, 0, 0]}]}, "KeyError: 'species'"),
        ({"sites": [{"species": [{"element": "Q", "occu": 1}], "abc": [0, 0, 0]}]}, "dummy"),
        ({"sites": []}, "no atoms"),
    ],
)
def test_wrong_dicts_are_refused_by_row(change, reason):
    with pytest.raises(InvalidStructureError, match=reason) as caught:
        check_structures([bcc_fe(), bcc_fe().as_dict() | change])
    assert caught.value.index == 1
