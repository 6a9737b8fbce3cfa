"""The command line: what it prints and its exit codes."""

import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from crystals import bcc_fe, fcc_cu, rocksalt_nacl
from sklearn.dummy import DummyRegressor
from sklearn.preprocessing import FunctionTransformer

from sklmat.cli import main
from sklmat.cli._arguments import write_csv
from sklmat.cli._main import _make_parser
from sklmat.cli._models import make_model
from sklmat.datasets import make_alloys
from sklmat.estimators import CGCNNRegressor, ECNetRegressor
from sklmat.readers import load_structures


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
        (["{folder}", "--target", "gap"], "id_prop.csv: there is no column 'gap'"),
        (["{folder}/id_prop.csv", "--id", "jid"], "id_prop.csv: there is no column 'jid' of ids"),
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
@pytest.mark.parametrize("program", [[sys.executable, "-m", "sklmat"], ["sklmat"]])
def test_module_and_installed_script_are_the_program(folder, program):
    script = Path(sys.executable).with_name("sklmat")
    if program == ["sklmat"]:
        if not script.exists():
            pytest.skip("sklmat is not installed")
        program = [str(script)]
    command = [*program, "check", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    assert "no problems found" in done.stdout


# -- models


@pytest.fixture
def alloys(tmp_path):
    """A folder of eight alloys in the layout of CGCNN, and a table of formulas."""
    folder = tmp_path / "alloys"
    folder.mkdir()
    data = make_alloys(8, ("Ni", "Cu"), n_atoms=4)
    lines = []
    for row, (structure, energy) in enumerate(zip(data.data, data.target)):
        structure.to(str(folder / f"alloy{row}.cif"))
        lines.append(f"alloy{row},{energy:.6f}\n")
    (folder / "id_prop.csv").write_text("".join(lines))
    table = "name,formula,gap\na,NaCl,5.0\nb,MgO,7.6\nc,KCl,5.2\nd,Si,1.1\ne,NaN,1.4\nf,ZnS,3.6\n"
    (tmp_path / "gaps.csv").write_text(table)
    return tmp_path


def run_cli(capsys, *arguments, code=0):
    assert main([str(argument) for argument in arguments]) == code
    return capsys.readouterr()


def test_compare_writes_table_scores_predictions_and_picture(alloys, capsys):
    out, _ = run_cli(
        capsys,
        *("compare", alloys / "alloys", "--models", "mean", "random-forest", "cgcnn"),
        *("--epochs", 2, "--folds", 2, "--out", alloys / "results"),
    )
    assert "8 crystals, target: target; 2 folds, split: composition" in out
    lines = out.splitlines()
    assert all(len(line) <= 80 for line in lines if not line.startswith("written: "))
    head = next(number for number, line in enumerate(lines) if "MAE" in line)
    assert lines[head].split()[:3] == ["MAE", "RMSE", "R2"]
    names = [line.split()[0] for line in lines[head + 1 : head + 4]]
    assert names == ["mean", "random-forest", "cgcnn"]
    assert "MAE, RMSE: lower is better, in the unit of y. R2: higher is better." in out
    scores = json.loads((alloys / "results" / "scores.json").read_text())
    assert set(scores["models"]) == {"mean", "random-forest", "cgcnn"}
    predictions = pd.read_csv(alloys / "results" / "predictions.csv").set_index("id")
    targets = pd.read_csv(alloys / "alloys" / "id_prop.csv", header=None, index_col=0)[1]
    assert predictions["y_true"].to_dict() == targets.to_dict()
    error = (predictions["mean"] - predictions["y_true"]).abs().groupby(predictions["fold"]).mean()
    assert scores["models"]["mean"]["MAE mean"] == pytest.approx(error.mean())
    assert (alloys / "results" / "parity.png").stat().st_size > 5_000
    _, err = run_cli(capsys, "compare", alloys / "alloys", "--out", alloys / "results", code=2)
    assert "use --overwrite" in err


@pytest.mark.parametrize("model", ["cgcnn", "xgboost", "random-forest"])
def test_predictions_of_a_file_are_those_of_the_model(alloys, capsys, model):
    file, table = alloys / "model.sklmat", alloys / "out.csv"
    run_cli(capsys, "fit", alloys / "alloys", "--model", model, "--epochs", 3, "-o", file)
    out, _ = run_cli(capsys, "predict", file, alloys / "alloys", "-o", table)
    assert "8 rows" in out
    predicted = pd.read_csv(table)
    assert predicted.columns.tolist() == ["id", "formula", "target"]
    data = load_structures(alloys / "alloys")
    assert predicted["id"].tolist() == data.ids.tolist()
    expected = make_model(model, "regression", seed=0, epochs=3, of_formulas=False)
    expected.fit(data.data, data.target)
    np.testing.assert_allclose(predicted["target"], expected.predict(data.data), rtol=1e-5)
    _, err = run_cli(capsys, "predict", file, alloys / "alloys", "-o", table, code=2)
    assert "exists" in err


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz", ".zip"])
def test_tables_are_compressed_as_their_name_says(tmp_path, suffix):
    table, path = pd.DataFrame({"id": ["a", "b"], "gap": [1.5, 2.0]}), tmp_path / f"out.csv{suffix}"
    write_csv(table, path)
    pd.testing.assert_frame_equal(pd.read_csv(path), table)
    assert list(tmp_path.iterdir()) == [path]


def test_ensembles_give_a_standard_deviation_and_units_are_kept(alloys, capsys):
    file, table = alloys / "model.sklmat", alloys / "out.csv"
    arguments = ("fit", alloys / "alloys", "--unit", "eV/atom", "-o", file)
    run_cli(capsys, *arguments, "--model", "cgcnn", "--epochs", 1, "--ensemble", 2)
    run_cli(capsys, "predict", file, alloys / "alloys", "-o", table)
    data = load_structures(alloys / "alloys")
    network = CGCNNRegressor(max_epochs=1, n_ensemble=2, random_state=0)
    network.fit(data.data, data.target)
    mean, deviation = network.predict(data.data, return_std=True)
    predicted = pd.read_csv(table)
    column = "target (eV/atom)"
    assert predicted.columns.tolist()[2:] == [column, f"standard deviation of {column}"]
    np.testing.assert_allclose(predicted[column], mean, rtol=1e-5)
    np.testing.assert_allclose(predicted.iloc[:, 3], deviation, rtol=1e-4)
    run_cli(capsys, *arguments, "--model", "gaussian-process", "--overwrite")
    run_cli(capsys, "predict", file, alloys / "alloys", "-o", table, "--overwrite")
    assert (pd.read_csv(table).iloc[:, 3] > 0).all()
    _, err = run_cli(capsys, *arguments, "--overwrite", "--model", "mean", "--ensemble", 2, code=2)
    assert "--ensemble is for cgcnn and ecnet" in err


@pytest.mark.parametrize("model", ["cgcnn", "ecnet"])
def test_further_columns(alloys, capsys, model):
    folder, file, out = alloys / "alloys", alloys / "model.sklmat", alloys / "out.csv"
    data = load_structures(folder)
    table = pd.DataFrame({"id": data.ids, "y": data.target, "T": np.arange(8.0), "wet": [0, 1] * 4})
    table.to_csv(folder / "id_prop.csv", index=False)
    arguments = ["fit", folder, "--target", "y", "--model", model, "--epochs", 1, "-o", file]
    run_cli(capsys, *arguments, "--extra", "T", "wet")
    run_cli(capsys, "predict", file, folder, "-o", out)
    cls = {"cgcnn": CGCNNRegressor, "ecnet": ECNetRegressor}[model]
    network = cls(max_epochs=1, n_ensemble=1, random_state=0, extra=["T", "wet"])
    inputs = table[["T", "wet"]].assign(structure=data.data)
    expected = network.fit(inputs, data.target).predict(inputs)
    np.testing.assert_allclose(pd.read_csv(out)["y"], expected, rtol=1e-4)
    # A row without a value is an error or left out.
    table.assign(T=[1, 2, None, 4, 5, 6, 7, 8]).to_csv(folder / "id_prop.csv", index=False)
    again = ("predict", file, folder, "-o", out, "--overwrite")
    _, err = run_cli(capsys, *again, code=2)
    assert f"{data.ids[2]}, the column 'T' has no value; fill it in, or use --on-invalid" in err
    _, err = run_cli(capsys, *again, "--on-invalid", "drop", code=1)
    assert f"left out: {data.ids[2]}, the column 'T' has no value" in err
    assert pd.read_csv(out)["id"].tolist() == np.delete(data.ids, 2).tolist()
    table.drop(columns="wet").to_csv(folder / "id_prop.csv", index=False)
    _, err = run_cli(capsys, *again, code=2)
    assert "no column 'wet' beside structures, ids and target; there are ['y', 'T']" in err
    arguments[5] = "mean"
    _, err = run_cli(capsys, *arguments, "--extra", "T", "--overwrite", code=2)
    assert "--extra is for cgcnn and ecnet, not for mean" in err


def test_unseen_elements_are_named_once_by_id(alloys, capsys):
    """Each of these compounds has an element that no other has."""
    folder = alloys / "salts"
    folder.mkdir()
    for name, structure in {"iron": bcc_fe(), "copper": fcc_cu(), "salt": rocksalt_nacl()}.items():
        structure.to(str(folder / f"{name}.cif"))
    (folder / "id_prop.csv").write_text("iron,1\ncopper,2\nsalt,3\n")
    _, err = run_cli(
        capsys, "compare", folder, "--folds", 3, "--models", "linear", "cgcnn",
        "--epochs", 1,
    )  # fmt: skip
    lines = [line for line in err.splitlines() if "elements" in line]
    assert lines == [
        "warning: 3 of 3 rows hold elements that no training row of their fold has, so that the "
        "models extrapolate: iron (Fe), copper (Cu), salt (Cl, Na)"
    ]


def test_classes_and_their_probabilities(alloys, capsys):
    path = alloys / "alloys" / "id_prop.csv"
    path.write_text("".join(f"alloy{row},{3 + row % 2}\n" for row in range(8)))
    arguments = (alloys / "alloys", "--task", "classification")
    out, _ = run_cli(
        capsys,
        "compare",
        *arguments,
        "--models",
        "mean",
        "xgboost",
        "--folds",
        2,
        "--split",
        "shuffled",
        "-o",
        alloys / "results",
    )
    assert "accuracy" in out
    predictions = pd.read_csv(alloys / "results" / "predictions.csv").sort_values("row")
    assert predictions["y_true"].tolist() == [3, 4] * 4
    assert set(predictions["xgboost"]) <= {3, 4}
    assert (alloys / "results" / "confusion.png").exists()
    file, table = alloys / "model.sklmat", alloys / "out.csv"
    run_cli(capsys, "fit", *arguments, "--model", "xgboost", "-o", file)
    run_cli(capsys, "predict", file, alloys / "alloys", "-o", table)
    predicted = pd.read_csv(table)
    assert set(predicted["target"]) <= {3, 4}
    columns = ["probability of 3", "probability of 4"]
    np.testing.assert_allclose(predicted[columns].sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("column", "task", "line"),
    [
        (["1.5", "2", "2", "4"], "regression", "holds numbers; if they stand for classes"),
        (["0", "1", "1", "0"], "classification", "holds only 0 and 1; if they are amounts, use"),
        (["2", "3", "3", "2"], "regression", "holds only 2 different whole numbers; if they"),
        (["metal", "salt", "salt", "metal"], "classification", "holds texts"),
        (["true", "false", "false", "true"], "classification", "holds texts"),
    ],
)
def test_task_is_chosen_from_the_target(alloys, capsys, column, task, line):
    table, file = alloys / "four.csv", alloys / "model.sklmat"
    formulas = ["NaCl", "Ni", "NiCu", "KCl"]
    lines = [f"{formula},{value}" for formula, value in zip(formulas, column)]
    table.write_text("formula,kind\n" + "\n".join(lines))
    arguments = ("fit", table, "--formula", "formula", "--target", "kind", "--model", "linear")
    _, err = run_cli(capsys, *arguments, "-o", file)
    assert err.startswith(f"task: {task}, since the target {line}")
    assert len(err.splitlines()) == 1
    with zipfile.ZipFile(file) as archive:
        classes = json.loads(archive.read("content.json"))["classes"]
    assert (classes is None) == (task == "regression")
    other = {"regression": "classification", "classification": "regression"}[task]
    if column[0] not in ("metal", "true"):
        _, err = run_cli(capsys, *arguments, "-o", file, "--overwrite", "--task", other)
        assert err == ""
        return
    _, err = run_cli(capsys, *arguments, "-o", file, "--overwrite", "--task", "regression", code=2)
    assert "the target holds texts, not numbers; use --task classification" in err


def test_truth_values_are_classes(alloys, capsys):
    table, file = alloys / "truth.parquet", alloys / "model.sklmat"
    frame = pd.DataFrame({"formula": ["NaCl", "Ni", "NiCu"], "is_metal": [False, True, True]})
    frame.to_parquet(table)
    source = (table, "--formula", "formula")
    _, err = run_cli(
        capsys, "fit", *source, "--target", "is_metal", "--model", "linear", "-o", file
    )
    assert err.startswith("task: classification, since the target holds true and false")
    run_cli(capsys, "predict", file, *source, "-o", alloys / "out.csv")
    predicted = pd.read_csv(alloys / "out.csv")
    assert predicted["is_metal"].tolist() == [False, True, True]
    assert predicted.columns.tolist()[3:] == ["probability of False", "probability of True"]


def test_every_model_warns_of_elements_that_no_training_row_had(tmp_path, capsys):
    """The columns of this model belong to no element, since there are more than twelve."""
    symbols = ["Li", "Be", "Na", "Mg", "Al", "Si", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe"]
    rows = "".join(f"{row},{symbol}O,{row}.5\n" for row, symbol in enumerate(symbols))
    (tmp_path / "oxides.csv").write_text("id,formula,energy\n" + rows)
    (tmp_path / "new.csv").write_text("id,formula\nlime,CaO\nurania,UO2\n")
    file, out = tmp_path / "model.sklmat", tmp_path / "out.csv"
    fit = ("fit", tmp_path / "oxides.csv", "--formula", "formula", "--target", "energy")
    run_cli(capsys, *fit, "--model", "linear", "-o", file)
    arguments = ("predict", file, tmp_path / "new.csv", "--formula", "formula", "-o", out)
    _, err = run_cli(capsys, *arguments)
    assert "1 of 2 rows hold elements that no row of sklmat fit has" in err
    assert "urania (U)" in err


@pytest.mark.parametrize("of_formulas", [False, True])
def test_predict_takes_the_ids_of_fit(alloys, capsys, of_formulas):
    """The column of ids is named once; a source without it is reported."""
    folder, file, out = alloys / "alloys", alloys / "model.sklmat", alloys / "out.csv"
    rows = "".join(f"{row},alloy{row}.cif,NiCu,00{row},{row}.5\n" for row in range(8))
    (folder / "table.csv").write_text("id,file,formula,sample name,energy\n" + rows)
    (folder / "other.csv").write_text("id,file,formula\nα 1,alloy1.cif,NiCu\n")
    formula = ("--formula", "formula") if of_formulas else ()
    fit = ("fit", folder / "table.csv", *formula, "--target", "energy", "--model", "linear")
    run_cli(capsys, *fit, "--id", "sample name", "-o", file)
    run_cli(capsys, "predict", file, folder / "table.csv", *formula, "-o", out)
    predicted = pd.read_csv(out, dtype=str)
    assert predicted["id"].tolist() == [f"00{row}" for row in range(8)]
    arguments = ("predict", file, folder / "table.csv", *formula, "-o", out, "--overwrite")
    run_cli(capsys, *arguments, "--id", "file")
    assert pd.read_csv(out)["id"][0] == "alloy0.cif"
    _, err = run_cli(
        capsys, "predict", file, folder / "other.csv", *formula, "-o", out, "--overwrite"
    )
    assert "no column 'sample name', which held the ids in sklmat fit" in err
    assert "ids are now α 1, ...;" in err
    assert pd.read_csv(out)["id"].tolist() == ["α 1"]
    _, err = run_cli(capsys, *arguments, "--id", "gone", code=2)
    assert "there is no column 'gone' of ids" in err


def test_rows_to_predict_need_no_target(alloys, capsys):
    folder, file, out = alloys / "alloys", alloys / "model.sklmat", alloys / "out.csv"
    run_cli(capsys, "fit", folder, "--model", "mean", "-o", file)
    two = "".join(f"{row},alloy{row}.cif,{row},1.5\n" for row in range(8))
    (folder / "two.csv").write_text("id,file,mass,gap\n" + two)
    _, err = run_cli(capsys, "compare", folder / "two.csv", code=2)
    assert err.endswith(
        "several columns can be the target: 'mass', 'gap'; name one of them with --target\n"
    )
    run_cli(capsys, "predict", file, folder / "two.csv", "-o", out)
    assert pd.read_csv(out)["id"].tolist() == list(range(8))
    for line in ("alloy{},\n", "alloy{}\n"):
        (folder / "id_prop.csv").write_text("".join(line.format(row) for row in range(8)))
        run_cli(capsys, "predict", file, folder, "-o", out, "--overwrite")
        assert len(pd.read_csv(out)) == 8


def test_unseen_elements_of_predictions_are_named_by_id(alloys, capsys):
    file, out = alloys / "model.sklmat", alloys / "out.csv"
    fcc = {"old": "Cu", "new": "Au"}
    for name, symbol in fcc.items():
        structure = fcc_cu().replace_species({"Cu": symbol}, in_place=False)
        structure.to(str(alloys / f"{name}.cif"))
    (alloys / "new.csv").write_text("id,file\none,old.cif\ntwo,new.cif\n")
    run_cli(capsys, "fit", alloys / "alloys", "--model", "cgcnn", "--epochs", 1, "-o", file)
    _, err = run_cli(capsys, "predict", file, alloys / "new.csv", "-o", out)
    assert err == (
        "warning: 1 of 2 rows hold elements that no row of sklmat fit has, so that the models "
        "extrapolate: two (Au)\n"
    )
    run_cli(
        capsys, "fit", alloys / "alloys", "--model", "ecnet", "--epochs", 1, "-o", file,
        "--overwrite",
    )  # fmt: skip
    _, err = run_cli(capsys, "predict", file, alloys / "new.csv", "-o", out, "--overwrite", code=2)
    assert "sklmat predict: two (Au4): holds the element Au, which" in err
    assert err.endswith("or use the model cgcnn\n")


def test_formulas_without_structures(alloys, capsys):
    source = (alloys / "gaps.csv", "--formula", "formula", "--id", "name")
    out, _ = run_cli(
        capsys, "compare", *source, "--target", "gap", "--folds", 2, "--models", "mean", "linear"
    )
    assert "6 compositions, target: gap" in out
    file, table = alloys / "model.sklmat", alloys / "out.csv"
    run_cli(capsys, "fit", *source, "--target", "gap", "--model", "linear", "-o", file)
    run_cli(capsys, "predict", file, *source, "-o", table)
    assert pd.read_csv(table, keep_default_na=False)["formula"].tolist()[4] == "NaN"
    other = alloys / "other.csv"
    _, err = run_cli(capsys, "predict", file, alloys / "alloys", "-o", other, code=2)
    assert "--formula" in err
    _, err = run_cli(capsys, "compare", *source, "--target", "gap", "--models", "cgcnn", code=2)
    assert "needs structures" in err


def test_what_formulas_cannot_do(alloys, capsys):
    table, file = alloys / "table.csv", alloys / "model.sklmat"
    table.write_text("formula;y\nNaCl;1,5\nMgO;2,5\nKCl;3,5\n")
    source = (table, "--formula", "formula", "--target")
    fit = ("fit", *source, "y", "--model", "linear", "-o", file)
    _, err = run_cli(capsys, *fit, code=2)
    assert "the column 'y' holds numbers with a decimal comma" in err
    _, err = run_cli(capsys, "compare", *source, "formula", code=2)
    assert "all differ, so that they are no classes" in err
    _, err = run_cli(capsys, "compare", *source, "y", "--split", "prototype", code=2)
    assert "--split prototype needs structures" in err
    table.write_text("formula,y\nNaCl,1.5\n,2.5\nKCl,x\nSi,\n")
    _, err = run_cli(capsys, *fit, code=2)
    assert "row 1 of" in err
    assert "it has no formula; correct it, or use --on-invalid drop" in err
    _, err = run_cli(capsys, *fit, "--on-invalid", "drop", code=1)
    assert err.splitlines()[:3] == [
        "left out: row 1: it has no formula",
        "left out: row 2: the target 'y' is 'x', which is not a number",
        "left out: row 3: the target 'y' is missing",
    ]
    _, err = run_cli(capsys, "compare", *source, "y", "--on-invalid", "drop", code=2)
    assert "use another number of --folds" in err
    for model in ("cgcnn", "gaussian-process"):
        run_cli(
            capsys,
            "fit",
            alloys / "alloys",
            "--model",
            model,
            "--epochs",
            1,
            "-o",
            file,
            "--overwrite",
        )
        arguments = ("predict", file, table, "--formula", "formula", "-o", alloys / "out.csv")
        _, err = run_cli(capsys, *arguments, "--on-invalid", "drop", code=2)
        assert f"the model {model} needs structures; leave out --formula" in err


def test_rows_that_are_left_out_are_listed(alloys, capsys):
    (alloys / "alloys" / "alloy3.cif").write_text("data_x\n")
    arguments = ("fit", alloys / "alloys", "--model", "mean", "-o", alloys / "model.sklmat")
    _, err = run_cli(capsys, *arguments, code=2)
    assert "alloy3" in err
    assert "use --on-invalid drop" in err
    out, err = run_cli(capsys, *arguments, "--on-invalid", "drop", code=1)
    assert "left out: alloy3, alloy3.cif" in err
    assert "fitted on 7 rows" in out


def test_screen_writes_the_best_compositions(alloys, capsys):
    file = alloys / "model.sklmat"
    run_cli(capsys, "fit", alloys / "alloys", "--model", "gaussian-process", "-o", file)
    out, _ = run_cli(
        capsys,
        *("screen", file, "--elements", "Ni", "Cu", "--step", 0.25, "--keep", 3),
        *("-o", alloys / "best.csv"),
    )
    assert "5 compositions in the grid" in out
    best = pd.read_csv(alloys / "best.csv")
    assert best.columns.tolist() == ["x_Ni", "x_Cu", "phase", "target"]
    assert best["target"].is_monotonic_increasing
    assert len(best) == 3
    arguments = ("screen", file, "--elements", "Ni", "Cu", "--step", 0.25)
    run_cli(capsys, *arguments, "-o", alloys / "whole.csv")
    assert pd.read_csv(alloys / "whole.csv")["x_Ni"].nunique() == 5
    _, err = run_cli(capsys, *arguments, "--largest", "-o", alloys / "none.csv", code=2)
    assert "say how many with --keep" in err
    run_cli(capsys, "fit", alloys / "alloys", "--model", "mean", "-o", file, "--overwrite")
    _, err = run_cli(
        capsys, "screen", file, "--elements", "Ni", "Cu", "-o", alloys / "all.parquet", code=2
    )
    assert "gaussian-process" in err


def test_files_that_are_no_models_are_not_loaded(alloys, capsys):
    table = alloys / "out.csv"
    for name, content in {"text": b"hello", "pickle": pickle.dumps({"a": 1})}.items():
        (alloys / name).write_bytes(content)
        _, err = run_cli(capsys, "predict", alloys / name, alloys / "alloys", "-o", table, code=2)
        assert "holds no model of sklmat fit" in err
    hostile = alloys / "hostile.sklmat"
    content = {"name": "mean", "target": "y", "classes": None, "of_formulas": False}
    with zipfile.ZipFile(hostile, "w") as archive:
        archive.writestr("content.json", json.dumps({"format": "sklmat-model-1", **content}))
        archive.writestr("pipeline.skops", skops.io.dumps(FunctionTransformer(os.system)))
    _, err = run_cli(capsys, "predict", hostile, alloys / "alloys", "-o", table, code=2)
    assert "posix.system" in err
    assert "was not loaded" in err
    assert not table.exists()


def test_broken_files_of_models_are_one_error(alloys, capsys):
    content = {"name": "mean", "target": "y", "classes": None, "of_formulas": False}
    content["format"] = "sklmat-model-1"
    mean = skops.io.dumps(DummyRegressor().fit([[0]], [1.0]))
    for entries in (
        {"content.json": json.dumps(content), "pipeline.skops": b"junk"},
        {"content.json": json.dumps(content), "network.safetensors": b"junk"},
        {"content.json": json.dumps(content), "pipeline.skops": skops.io.dumps([1, 2])},
        {"content.json": json.dumps({**content, "classes": [0, 1]}), "pipeline.skops": mean},
        {"content.json": json.dumps({**content, "target": ["y"]}), "pipeline.skops": mean},
        {"content.json": "[1]", "pipeline.skops": mean},
    ):
        with zipfile.ZipFile(alloys / "broken", "w") as archive:
            for name, entry in entries.items():
                archive.writestr(name, entry)
        arguments = ("predict", alloys / "broken", alloys / "alloys", "-o", alloys / "out.csv")
        _, err = run_cli(capsys, *arguments, code=2)
        assert "holds no model of sklmat fit" in err
        assert len(err.splitlines()) == 1


def test_interruption_has_the_code_of_the_shell(folder, capsys, monkeypatch):
    def interrupt(*args, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("sklmat.readers.load_structures", interrupt)
    _, err = run_cli(capsys, "compare", folder, code=130)
    assert "interrupted" in err


@pytest.mark.parametrize("command", ["check", "compare", "fit", "predict", "screen"])
def test_help_shows_an_example_that_is_understood(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    example = capsys.readouterr().out.split("example:\n")[1].split()
    assert example[:2] == ["sklmat", command]
    assert _make_parser().parse_args(example[1:]).command == command
