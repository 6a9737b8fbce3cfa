"""Matbench: reading of its files, rows, ids and targets, on small files of the same layout."""

import gzip
import hashlib
import json
import sys

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import StratifiedKFold, cross_validate

from sklmat import check_structures, composition_groups
from sklmat.datasets import _fetch_matbench, fetch_matbench
from sklmat.datasets._fetch_matbench import TASKS
from sklmat.downloads import _download

WITH_FORMULAS = ["expt_gap", "expt_is_metal", "glass", "steels"]
FORMULAS = ["NaCl", "Fe2O3", "Ni0.5Cu0.5", "MgO"]


def crystals():
    """CsCl, a charged rock salt primitive cell, and a layer that is not periodic along c."""
    salt = Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    primitive = Lattice([[0, 2.1, 2.1], [2.1, 0, 2.1], [2.1, 2.1, 0]])
    oxide = Structure(primitive, ["Mg2+", "O2-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    layer = Structure(
        Lattice.hexagonal(2.46, 20, pbc=(True, True, False)),
        ["C", "C"],
        [[0, 0, 0.5], [1 / 3, 2 / 3, 0.5]],
        site_properties={"magmom": [0.5, -0.5]},
        labels=["C1", "C2"],
    )
    return [salt, oxide, layer]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder for small files, whose checksums `put` registers in place of the published ones."""
    known = dict(_download.registry())
    monkeypatch.setattr(_download, "registry", lambda: known)
    return tmp_path, known


def put(home, task, inputs, target, *, order=("index", "columns", "data"), **changes):
    """Write a file of `task` in the layout of matminer, and register it."""
    folder, known = home
    column = "composition" if task in WITH_FORMULAS else "structure"
    inputs = [item.as_dict() if isinstance(item, Structure) else item for item in inputs]
    table = {
        "index": list(range(len(inputs))),
        "columns": [column, TASKS[task].column],
        "data": [list(row) for row in zip(inputs, target)],
    } | changes
    path = f"matbench/matbench_{task}.json.gz"
    (folder / "matbench").mkdir(exist_ok=True)
    content = gzip.compress(json.dumps({key: table[key] for key in order}).encode())
    (folder / path).write_bytes(content)
    known[path] = hashlib.sha256(content).hexdigest()
    return folder / path


def fetch(home, task, **options):
    return fetch_matbench(
        task, data_home=home[0], download_if_missing=False, verbose=False, **options
    )


# ------------------------------------------------------------------ rows


def test_structures_of_a_task(home):
    put(home, "dielectric", crystals(), [1.7, 2, 3.25])
    bunch = fetch(home, "dielectric")
    assert bunch.data.shape == (3,)
    for read, written in zip(bunch.data, crystals()):
        assert read == written
        assert read.lattice.pbc == written.lattice.pbc
        assert [site.label for site in read] == [site.label for site in written]
    assert [site.specie.oxi_state for site in bunch.data[1]] == [2, -2]
    assert bunch.data[2].site_properties["magmom"] == [0.5, -0.5]
    assert bunch.target.dtype == float
    np.testing.assert_array_equal(bunch.target, [1.7, 2.0, 3.25])
    assert bunch.target_names == ["n"]
    assert bunch.frame.to_dict("list") == {
        "id": ["mb-dielectric-1", "mb-dielectric-2", "mb-dielectric-3"],
        "formula": ["CsCl", "MgO", "C"],
        "n_atoms": [2, 2, 2],
        "refractive index": [1.7, 2.0, 3.25],
    }
    assert bunch.ids.tolist() == bunch.frame["id"].tolist()
    assert bunch.splits.task == "regression"
    assert check_structures(bunch.data).shape == (3,)


def test_formulas_of_a_task(home):
    put(home, "expt_gap", FORMULAS, [8.5, 2.2, 0, 7.8])
    X, y = fetch(home, "matbench_expt_gap", return_X_y=True)
    assert X.tolist() == FORMULAS
    assert type(X[0]) is str
    np.testing.assert_array_equal(y, [8.5, 2.2, 0.0, 7.8])
    assert composition_groups(X).tolist() == [0, 1, 2, 3]
    bunch = fetch(home, "expt_gap")
    assert list(bunch.frame) == ["id", "formula", "measured band gap (eV)"]
    assert bunch.unit == "eV"


@pytest.mark.parametrize("order", [("data", "index", "columns"), ("columns", "data", "index")])
def test_rows_stay_in_the_order_of_the_file(home, order):
    target = [310.0, 5.0, 90.0, 70.0] * 30
    file = put(home, "steels", FORMULAS * 30, target, order=order)
    bunch = fetch(home, "steels")
    assert bunch.target.tolist() == target
    assert bunch.data.tolist() == FORMULAS * 30
    assert bunch.ids[[0, 8, 119]].tolist() == ["mb-steels-001", "mb-steels-009", "mb-steels-120"]
    # As pandas writes it with spaces and line breaks.
    text = json.dumps(json.loads(gzip.decompress(file.read_bytes())), indent=2)
    content = gzip.compress(text.encode())
    file.write_bytes(content)
    home[1]["matbench/matbench_steels.json.gz"] = hashlib.sha256(content).hexdigest()
    assert fetch(home, "steels").target.tolist() == target


def test_ids_are_those_of_matbench():
    ids = _fetch_matbench._matbench_ids("mp_e_form", range(132752))
    assert ids[3] == "mb-mp-e-form-000004"
    assert ids[-1] == "mb-mp-e-form-132752"


# ------------------------------------------------------------------ targets


@pytest.mark.parametrize(("no", "yes"), [(False, True), (0, 1)])
def test_truth_values_are_class_labels(home, no, yes):
    y = [yes, no, yes, no] * 5
    put(home, "expt_is_metal", FORMULAS * 5, y)
    bunch = fetch(home, "expt_is_metal")
    assert bunch.target.dtype.kind == "i"
    assert bunch.target.tolist() == [1, 0, 1, 0] * 5
    assert bunch.target_names == ["not a metal", "metal"]
    assert bunch.frame["is metal"].tolist() == bunch.target.tolist()
    model = DummyClassifier(strategy="constant", constant=1)
    out = cross_validate(model, bunch.data, bunch.target, cv=bunch.splits, return_indices=True)
    assert out["test_score"].tolist() == [0.5] * 5
    folds = StratifiedKFold(5, shuffle=True, random_state=18012019).split(y, y)
    for found, (_, expected) in zip(out["indices"]["test"], folds):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("value", [2, 0.5, "yes", None, [1]])
def test_other_class_labels_are_refused(home, value):
    put(home, "glass", FORMULAS, [True, False, value, True])
    with pytest.raises(ValueError, match=r"row 2 of .*glass.json.gz has the target .* or false"):
        fetch(home, "glass")


@pytest.mark.parametrize("value", [None, "1.5", True, float("nan")])
def test_targets_that_are_no_numbers_are_refused(home, value):
    put(home, "steels", FORMULAS, [1.0, value, 3.0, 4.0])
    with pytest.raises(ValueError, match=r"row 1 of .*steels.json.gz has the target .* a number"):
        fetch(home, "steels")


# ------------------------------------------------------------------ nothing is imported


def test_a_site_property_imports_nothing(home, tmp_path, monkeypatch):
    (tmp_path / "planted.py").write_text("class Planted:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    item = crystals()[0].as_dict()
    property = {"@module": "planted", "@class": "Planted"}
    for site in item["sites"]:
        site["properties"] = {"magmom": property, "spin": 1.5, "forces": [0, 0, 1]}
    put(home, "jdft2d", [item], [12.0])
    (structure,) = fetch(home, "jdft2d").data
    assert "planted" not in sys.modules
    assert structure.site_properties == {"spin": [1.5, 1.5], "forces": [[0, 0, 1], [0, 0, 1]]}
    # pymatgen's decoder would have.
    Structure.from_dict(item)
    assert sys.modules.pop("planted")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lattice": None}, "TypeError"),
        ({"sites": [{"abc": [0, 0, 0]}]}, "species"),
    ],
)
def test_broken_structure_is_named_by_its_row(home, change, reason):
    items = [crystals()[0].as_dict(), crystals()[1].as_dict() | change]
    put(home, "phonons", items, [100.0, 200.0])
    with pytest.raises(ValueError, match=rf"row 1 of .*phonons.json.gz is not .*{reason}"):
        fetch(home, "phonons")


# ------------------------------------------------------------------ names and files


def test_unknown_task():
    with pytest.raises(ValueError, match="unknown task 'gap'; choose from dielectric, expt_gap"):
        fetch_matbench("gap")
    with pytest.raises(ValueError, match="task must be a str, got None"):
        fetch_matbench(None)


@pytest.mark.parametrize("task", TASKS)
def test_offline_error_says_address_and_place(tmp_path, task):
    with pytest.raises(OSError) as error:
        fetch_matbench(task, data_home=tmp_path, download_if_missing=False)
    name = f"matbench_{task}.json.gz"
    place = tmp_path / "matbench" / name
    assert f"https://ml.materialsproject.org/projects/{name}\n    -> {place}" in str(error.value)
    assert "git" not in str(error.value)


def test_damaged_file_is_refused(home):
    file = put(home, "steels", FORMULAS, [1.0, 2.0, 3.0, 4.0])
    file.write_bytes(gzip.compress(b"{}"))
    with pytest.raises(OSError, match="is damaged: its sha256 is"):
        fetch(home, "steels")


def test_thirteen_tasks():
    registered = {path for path in _download.registry() if path.startswith("matbench/")}
    assert registered == {f"matbench/matbench_{task}.json.gz" for task in TASKS}
    assert len(registered) == 13
    assert {task for task, known in TASKS.items() if known.classes} == {
        "expt_is_metal",
        "glass",
        "mp_is_metal",
    }


def test_description(home):
    put(home, "jdft2d", crystals(), [1.0, 2.0, 3.0])
    description = fetch(home, "jdft2d").DESCR
    assert description.startswith("matbench_jdft2d\n---------------\n")
    assert "'exfoliation_en' of the file, in meV/atom" in description
    put(home, "glass", FORMULAS, [True, False, True, True])
    assert "'gfa' of the file, 0 = no full glass and 1 = glass." in fetch(home, "glass").DESCR


def test_progress_bar_of_reading(home, capsys):
    put(home, "steels", FORMULAS, [1.0, 2.0, 3.0, 4.0])
    fetch(home, "steels")
    assert capsys.readouterr().err == ""
    fetch_matbench("steels", data_home=home[0])
    assert "reading" in capsys.readouterr().err
