"""One Parquet file gives back the same crystals, targets, ids and columns."""

import numpy as np
import pandas as pd
import pytest
from crystals import random_alloys, rocksalt_nacl
from pymatgen.core import Lattice, Species, Structure

from sklmat import InvalidStructureError, load_structures, save_structures
from sklmat.readers import _packed_crystals

#: pymatgen says so whenever a charge does not follow from the oxidation states.
pytestmark = pytest.mark.filterwarnings("ignore:Structure charge:UserWarning")


def decorated():
    """Whatever a structure can hold besides elements in a periodic box."""
    oxide = Structure(
        Lattice.from_parameters(4, 5, 6, 80, 95, 110, pbc=(True, True, False)),
        [Species("Fe", 8 / 3, spin=4.5), Species("Fe", 2), "O2-", Species("O", None, spin=1), "D"],
        [[0, 0, 0], [0.5, 0.5, -1.25], [0.5, 0, 0.3], [0.1, 0.6, 1 / 3], [0.8, 0.2, 0.6]],
        charge=1,
        site_properties={"magmom": [5.0, 4, None, -0.1, 0.0], "force": [[0.1, 0, 0]] * 5},
        labels=["Fe1", "Fe2", None, "O 2", None],
        properties={"source": "made", "parts": [1, 2]},
    )
    return [rocksalt_nacl(), oxide, Structure(Lattice.cubic(3), ["Po"], [[0, 0, 0]])]


def assert_same(structures, others):
    assert len(structures) == len(others)
    for one, other in zip(structures, others):
        assert type(one) is type(other)
        assert one == other
        assert one.species == other.species
        assert one.as_dict() == other.as_dict()
        assert one.labels == other.labels
        assert one._charge == other._charge
        np.testing.assert_array_equal(one.lattice.matrix, other.lattice.matrix)
        np.testing.assert_array_equal(one.frac_coords, other.frac_coords)


def test_structures_are_the_same(tmp_path):
    path = tmp_path / "crystals.parquet"
    assert save_structures(str(path), decorated()) == path
    bunch = load_structures(path)
    assert_same(decorated(), bunch.data)
    assert bunch.ids.tolist() == ["0", "1", "2"]
    assert bunch.target is None
    assert bunch.frame.shape == (3, 0)


@pytest.mark.parametrize("is_known", [True, False])
def test_both_ways_to_make_structures(tmp_path, monkeypatch, is_known):
    """Other versions of pymatgen may not keep what the fast way puts into the objects."""
    assert _packed_crystals._layout_is_known()
    monkeypatch.setattr(_packed_crystals, "_layout_is_known", lambda: is_known)
    save_structures(tmp_path / "x.parquet", decorated())
    read = load_structures(tmp_path / "x.parquet").data
    assert_same(decorated(), read)
    read[0].translate_sites([0], [0.25, 0, 0])
    read[0].replace(0, "K")
    assert rocksalt_nacl() != read[0]
    assert_same(decorated()[1:], read[1:])
    assert read[0].copy().formula == read[0].formula == "K1 Na3 Cl4"


def test_a_bunch_goes_back_and_forth(tmp_path):
    table = pd.DataFrame(
        {
            "structure": random_alloys(4),
            "id": ["007", "7", "x", "é"],
            "gap": [0.1, 0.2, None, 1 / 3],
            "kind": ["a", "b", None, "a"],
            "n": [1, 2, 3, 4],
            "lattice": ["fcc"] * 4,
            "more": [{"k": [1, None]}, None, {}, {"m": "x"}],
        }
    )
    bunch = load_structures(table, target="gap", on_invalid="drop")
    save_structures(tmp_path / "x.parquet", bunch)
    again = load_structures(tmp_path / "x.parquet")
    assert_same(bunch.data, again.data)
    assert again.ids.tolist() == ["007", "7", "é"]
    assert again.target.tolist() == [0.1, 0.2, 1 / 3]
    assert again.target_names == ["gap"]
    assert again.frame.columns.tolist() == ["kind", "n", "lattice", "more"]
    assert again.frame["more"].tolist() == [{"k": [1, None]}, None, {"m": "x"}]
    assert again.frame["n"].tolist() == [1, 2, 4]
    assert again.frame.index.tolist() == again.ids.tolist()
    other = load_structures(tmp_path / "x.parquet", target="n", index="1:")
    assert other.target.tolist() == [2, 4]
    assert other.ids.tolist() == ["7", "é"]
    assert "gap" in other.frame


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ([1, 2, 3], ["target"]),
        ([True, False, True], ["target"]),
        (["metal", "other", "metal"], ["target"]),
        (pd.Series([1.5, 2.5, 3.5], name="gap"), ["gap"]),
        (np.array([[1.0, np.nan], [2, 3], [4, 5]]), ["target_0", "target_1"]),
        (pd.DataFrame({"a": [1.0, 2, 3], "b": [4.0, 5, np.nan]}), ["a", "b"]),
        (np.array([[1.0], [2], [3]]), ["target"]),
    ],
)
def test_targets(tmp_path, target, names):
    save_structures(tmp_path / "x.parquet", decorated(), target, ids=["p", "q", "r"])
    bunch = load_structures(tmp_path / "x.parquet")
    assert bunch.target_names == names
    np.testing.assert_array_equal(bunch.target, np.asarray(target))
    assert bunch.target.dtype.kind == np.asarray(target).dtype.kind
    assert bunch.ids.tolist() == ["p", "q", "r"]


def test_other_programs_read_the_table(tmp_path):
    save_structures(tmp_path / "x.parquet", [rocksalt_nacl()], [1.5])
    table = pd.read_parquet(tmp_path / "x.parquet")
    assert table["target"].tolist() == [1.5]
    assert list(table["structure.species"][0]) == ["Na"] * 4 + ["Cl"] * 4
    assert list(table["structure.lattice"][0]) == list(rocksalt_nacl().lattice.matrix.ravel())
    assert len(table["structure.frac_coords"][0]) == 24


def test_several_targets_of_a_table(tmp_path):
    targets = pd.DataFrame({"energy": [1.5, 2.5, 3.5], "gap": [0.0, 0.5, 1.0]})
    save_structures(tmp_path / "x.parquet", decorated(), target=targets)
    bunch = load_structures(tmp_path / "x.parquet")
    assert bunch.target_names == ["energy", "gap"]
    np.testing.assert_array_equal(bunch.target, targets)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": [1]}, "target target has 1 rows, but there are 3 structures"),
        ({"ids": ["a"]}, "ids has 1 rows, but there are 3"),
        ({"ids": ["a", "b", "a"]}, "the id 'a' occurs twice"),
        ({"frame": pd.DataFrame({"a": [1]})}, "frame has 1 rows, but there are 3"),
        (
            {"target": [1, 2, 3], "frame": pd.DataFrame({"target": [1, 2, 3]})},
            "the column 'target' of frame has the name of another column",
        ),
        ({"frame": pd.DataFrame({"a": [1, "x", 2]})}, "column a cannot be stored"),
        ({"frame": pd.DataFrame({"a": [{"k": 1j}] * 3})}, "column a cannot be stored"),
    ],
)
def test_what_cannot_be_saved(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        save_structures(tmp_path / "x.parquet", decorated(), **arguments)
    assert list(tmp_path.iterdir()) == []


def test_invalid_input(tmp_path):
    with pytest.raises(ValueError, match=r"must end with \.parquet"):
        save_structures(tmp_path / "x.csv", decorated())
    close = Structure(Lattice.cubic(3), ["Fe"] * 2, [[0, 0, 0], [0, 0, 0.1]])
    with pytest.raises(InvalidStructureError, match="structure 1"):
        save_structures(tmp_path / "x.parquet", [rocksalt_nacl(), close])
    odd = rocksalt_nacl()
    odd.add_site_property("tag", [1j] * 8)
    with pytest.raises(ValueError, match="a property of structure 0 cannot be stored"):
        save_structures(tmp_path / "x.parquet", [odd])


def test_files_of_newer_versions_are_refused(tmp_path, monkeypatch):
    from sklmat.readers import _save_structures

    with monkeypatch.context() as patch:
        patch.setattr(_save_structures, "_VERSION", 2)
        save_structures(tmp_path / "x.parquet", decorated())
    with pytest.raises(ValueError, match="written by a newer version of sklmat"):
        load_structures(tmp_path / "x.parquet")


@pytest.mark.parametrize("names", [["gap"], ["gap", "code"]])
def test_numeric_columns_of_the_frame_are_no_target(tmp_path, names):
    frame = pd.DataFrame({"gap": [0.5, 1.5], "code": ["007", "010"]})[names]
    path = save_structures(tmp_path / "salts.parquet", [rocksalt_nacl()] * 2, frame=frame)
    bunch = load_structures(path)
    assert bunch.target is None
    assert bunch.target_names == []
    assert bunch.frame.columns.tolist() == names
    assert bunch.frame["gap"].tolist() == [0.5, 1.5]
    assert load_structures(path, target="gap").target.tolist() == [0.5, 1.5]
