"""The command line: what it prints and its exit codes."""

import json
import subprocess
import sys

import pytest
from crystals import bcc_fe, fcc_cu, rocksalt_nacl

from sklmat.cli import main


@pytest.fixture
def folder(tmp_path):
    for name, structure in {"007": bcc_fe(), "8": fcc_cu(), "9": rocksalt_nacl()}.items():
        structure.to(str(tmp_path / f"{name}.cif"))
    (tmp_path / "id_prop.csv").write_text("007,1\n8,2.5\n9,3\n")
    return tmp_path


def test_clean_data(folder, capsys):
    assert main(["check", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert "3 crystals, target: target" in out
    assert "no problems found" in out
    assert err == ""


def test_findings(folder, capsys):
    bcc_fe().make_supercell([2, 1, 1], in_place=False).to(str(folder / "10.cif"))
    (folder / "broken.cif").write_text("data_x\n")
    (folder / "id_prop.csv").write_text("id,y,z\n007,1,1\n8,2.5,1\n9,3,1\n10,9,1\nbroken,1,1\n")
    assert main(["check", str(folder), "--target", "y"]) == 1
    out = capsys.readouterr().out
    assert "row 4, id broken, file broken.cif: " in out
    assert "007, 10" in out
    assert (
        main(["check", str(folder), "--target", "z", "--id", "id", "--json", "--n-jobs", "1"]) == 1
    )
    document = json.loads(capsys.readouterr().out)
    assert document["duplicates"] == [["007", "10"]]
    assert document["constant_targets"] == ["z"]
    assert document["rejected"][0]["id"] == "broken"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone"], "sklmat check: no file or folder gone"),
        (["{folder}", "--target", "gap"], "there is no column 'gap'"),
        (["{folder}/id_prop.csv", "--id", "jid"], "there is no column 'jid' of ids"),
    ],
)
def test_what_cannot_run(folder, capsys, arguments, message):
    arguments = [argument.format(folder=folder) for argument in arguments]
    assert main(["check", *arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""


def test_wrong_options(capsys):
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_json_has_no_nan(folder, capsys):
    """Labels of duplicates may be missing where there are several targets."""
    from sklmat import load_structures, save_structures

    fcc_cu().make_supercell([2, 1, 1], in_place=False).to(str(folder / "10.cif"))
    lines = ["id,y,z", "007,1,1", "8,2.5,2", "9,3,3", "10,9,"]
    (folder / "id_prop.csv").write_text("\n".join(lines))
    both = load_structures(folder, target=["y", "z"])
    save_structures(folder / "both.parquet", both)
    assert main(["check", str(folder / "both.parquet"), "--json"]) == 1
    document = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert document["targets"] == ["y", "z"]
    assert document["missing"] == {"z": 1}
    assert [entry["values"] for entry in document["contradictions"]] == [[2.5, 9.0]]


@pytest.mark.slow
def test_the_module_is_the_program(folder):
    command = [sys.executable, "-m", "sklmat", "check", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    assert "no problems found" in done.stdout
