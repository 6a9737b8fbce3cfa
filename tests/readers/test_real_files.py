"""Files of other people: the samples of CGCNN, and small files that went wrong elsewhere."""

import os
from pathlib import Path

import pytest

from sklmat import load_structures

FOLDERS = [Path(__file__).parents[2].parent / "shared"]
if "SKLMAT_DATA" in os.environ:
    FOLDERS.insert(0, Path(os.environ["SKLMAT_DATA"]).parent)
CASES = next((path for path in (folder / "cases" for folder in FOLDERS) if path.is_dir()), None)
with_cases = pytest.mark.skipif(CASES is None, reason="the files of the cases are not here")


@pytest.mark.parametrize(
    ("kind", "target"),
    [("regression", [*range(1, 11)]), ("classification", [1, 0] * 5)],
)
def test_samples_of_cgcnn(data_home, kind, target):
    bunch = load_structures(data_home / "cgcnn" / "data" / f"sample-{kind}")
    assert bunch.ids.tolist()[:3] == ["1000041", "1000050", "1101051"]
    assert bunch.target.tolist() == target
    assert [structure.formula for structure in bunch.data][:2] == ["Na4 Cl4", "K1 Cl1"]
    assert len(bunch.rejected) == 0


@with_cases
def test_folder_of_cases():
    bunch = load_structures(CASES / "folder", on_invalid="drop")
    assert bunch.ids.tolist() == ["9", "10", "2", "b"]
    assert bunch.target.tolist() == [0.9, 1.0, 0.2, 0.5]
    assert bunch.rejected["id"].tolist() == ["broken", "missing"]


@with_cases
def test_files_with_two_crystals():
    frames = load_structures(CASES / "files" / "two_frames.extxyz")
    assert frames.target.tolist() == [-6.5, -6.4]
    assert [round(structure.lattice.a, 3) for structure in frames.data] == [4.1, 4.2]
    blocks = load_structures(CASES / "files" / "two_blocks.cif")
    assert blocks.ids.tolist() == ["0", "1"]
    assert blocks.frame["block"].tolist() == ["first", "second"]


@with_cases
def test_all_files_of_the_cases():
    """Files that `check_structures` refuses are rejected, and no other."""
    bunch = load_structures(CASES / "files", on_invalid="drop")
    assert {name.partition("-")[0] for name in bunch.ids} == {
        "rhombohedral_without_operations",
        "occupancy_dot",
        "hall_symbol_only",
        "occupancy_0.9999",
        "hydrogen_and_deuterium",
        "two_valences",
        "byte_order_mark",
        "two_blocks",
        "two_frames",
    }
    assert len(bunch.rejected) == 8
