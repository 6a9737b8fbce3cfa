"""Predictions for data sets of Parquet files: what is passed to the model, and resumed runs."""

import os

import numpy as np
import pandas as pd
import pytest
from crystals import random_alloys, rocksalt_nacl
from joblib import parallel_config
from phase_model import PhaseModel
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline

from sklmat import CompositionFeaturizer, predict_dataset, save_structures, screen
from sklmat.exceptions import InvalidRowsError, InvalidStructureWarning
from sklmat.screening import composition_grid


class CountsAtoms:
    """Predicts the number of atoms of structures, and remembers how often it was asked."""

    target_names_ = ["atoms"]
    calls = 0

    def predict(self, X):
        type(self).calls += 1
        return np.array([float(len(structure)) for structure in X])


@pytest.fixture
def cells():
    return [*random_alloys(5), rocksalt_nacl()]


@pytest.fixture
def source(cells, tmp_path):
    """Two files of structures, one of them in a folder of its own."""
    folder = tmp_path / "cells"
    (folder / "part=2").mkdir(parents=True)
    save_structures(folder / "1.parquet", cells[:2], ids=["a", "b"])
    save_structures(folder / "part=2" / "2.parquet", cells[2:], ids=["c", "d", "e", "f"])
    (folder / "_notes.parquet").write_text("no data")
    return folder


@pytest.fixture
def table(tmp_path):
    """Three files of a line y = 2 x + 1."""
    folder = tmp_path / "table"
    folder.mkdir()
    for k in range(3):
        x = np.arange(4.0) + 4 * k
        pd.DataFrame(
            {"material_id": [f"{k}-{i}" for i in range(4)], "x": x, "other": -x}
        ).to_parquet(folder / f"{k}.parquet")
    return folder


@pytest.fixture
def line():
    X = pd.DataFrame({"x": [0.0, 1.0]})
    return LinearRegression().fit(X, [1.0, 3.0])


def read(out):
    return pd.concat([pd.read_parquet(path) for path in sorted(out.rglob("*.parquet"))])


def test_structures_keep_their_ids_and_folders(source, cells, tmp_path):
    out = predict_dataset(CountsAtoms(), source, tmp_path / "out")
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*.parquet"))
    assert names == ["1.parquet", "part=2/2.parquet"]
    found = read(out)
    assert found["id"].tolist() == list("abcdef")
    assert found["atoms"].tolist() == [len(cell) for cell in cells]


def test_the_columns_of_the_fit_are_passed(table, line, tmp_path):
    out = predict_dataset(line, table, tmp_path / "out", targets="y (eV)")
    found = read(out)
    assert list(found) == ["material_id", "y (eV)"]
    np.testing.assert_allclose(found["y (eV)"], 2 * np.arange(12.0) + 1)
    assert found["material_id"].iloc[5] == "1-1"


def test_named_columns_are_passed_in_the_order_given(table, tmp_path):
    X = pd.DataFrame({"other": [0.0, 1.0, 0.0], "x": [0.0, 0.0, 1.0]})
    model = LinearRegression().fit(X, [0.0, 1.0, 10.0])
    found = read(predict_dataset(model, table, tmp_path / "out", ["other", "x"]))
    np.testing.assert_allclose(found["prediction"], 9 * np.arange(12.0), atol=1e-12)
    with pytest.raises(ValueError, match="no column 'z'") as raised:
        predict_dataset(model, table, tmp_path / "wrong", ["other", "z"])
    assert not (tmp_path / "wrong").exists(), raised


def test_formulas_of_one_column(tmp_path):
    folder = tmp_path / "formulas"
    folder.mkdir()
    formulas = ["NaCl", "KCl", "NaBr", "MgO"]
    pd.DataFrame({"formula": formulas}).to_parquet(folder / "0.parquet")
    model = make_pipeline(CompositionFeaturizer(), LinearRegression())
    model.fit(formulas, [1.0, 2.0, 3.0, 4.0])
    found = read(predict_dataset(model, folder, tmp_path / "out", "formula"))
    assert list(found) == ["prediction"]
    np.testing.assert_array_equal(found["prediction"], model.predict(formulas))


def test_fractions_and_phases_give_what_screen_gives(tmp_path):
    grid, model = composition_grid(["Fe", "Ni", "Cr"], 0.25), PhaseModel()
    expected = screen(model, grid)
    folder = tmp_path / "alloys"
    folder.mkdir()
    given = expected[["x_Cr", "x_Fe", "x_Ni", "phase"]]
    given[:10].to_parquet(folder / "a.parquet")
    given[10:].to_parquet(folder / "b.parquet")
    found = read(predict_dataset(model, folder, tmp_path / "out"))
    targets = [name for name in expected if name not in given]
    assert list(found) == targets
    np.testing.assert_array_equal(found.to_numpy(), expected[targets].to_numpy())


def test_classes_and_their_probabilities(table, tmp_path):
    X = pd.DataFrame({"x": np.arange(12.0)})
    model = LogisticRegression().fit(X, np.where(X["x"] > 5, "large", "small"))
    found = read(predict_dataset(model, table, tmp_path / "out", targets="size"))
    assert list(found) == ["material_id", "size", "probability of large", "probability of small"]
    assert found["size"].tolist() == model.predict(X).tolist()
    np.testing.assert_array_equal(found.iloc[:, 2:], model.predict_proba(X))


def test_what_is_finished_is_not_computed_again(source, cells, tmp_path):
    out = tmp_path / "out"
    predict_dataset(CountsAtoms(), source, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    CountsAtoms.calls = 0
    predict_dataset(CountsAtoms(), source, out)
    # The first rows only: for the types of the columns, and of both files to recognise the model.
    assert CountsAtoms.calls == 3
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")} == before
    (out / "1.parquet").unlink()
    predict_dataset(CountsAtoms(), source, out)
    assert CountsAtoms.calls == 3 + 3


def test_a_file_that_changed_is_predicted_again(table, line, tmp_path):
    out = predict_dataset(line, table, tmp_path / "out")
    changed = pd.read_parquet(table / "1.parquet").assign(x=100.0)
    changed.to_parquet(table / "1.parquet")
    found = read(predict_dataset(line, table, out))
    np.testing.assert_allclose(found["prediction"], [1, 3, 5, 7, *[201] * 4, 17, 19, 21, 23])


def test_a_run_that_failed_goes_on(table, line, tmp_path):
    path = table / "1.parquet"
    good = pd.read_parquet(path)
    good.assign(x=np.nan).to_parquet(path)
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="NaN") as raised:
        predict_dataset(line, table, out)
    notes = " ".join(raised.value.__notes__)
    assert str(path) in notes
    assert "the same call resumes" in notes
    assert sorted(found.name for found in out.glob("*.parquet")) == ["0.parquet"]
    good.to_parquet(path)
    assert len(read(predict_dataset(line, table, out))) == 12


def test_another_model_or_other_parameters_are_refused(table, line, tmp_path):
    out = predict_dataset(line, table, tmp_path / "out")
    other = LinearRegression().fit(pd.DataFrame({"x": [0.0, 1.0]}), [5.0, 3.0])
    with pytest.raises(ValueError, match="another model"):
        predict_dataset(other, table, out)
    with pytest.raises(ValueError, match="another targets"):
        predict_dataset(line, table, out, targets="energy")
    found = read(predict_dataset(other, table, out, overwrite=True))
    np.testing.assert_allclose(found["prediction"], 5 - 2 * np.arange(12.0))


def test_invalid_structures_are_named(cells, tmp_path):
    folder = tmp_path / "cells"
    folder.mkdir()
    texts = [cell.to(fmt="cif") for cell in cells[:3]]
    pd.DataFrame(
        {"id": ["a", "b", "c", "d"], "structure": [texts[0], "no cell", *texts[1:]]}
    ).to_parquet(folder / "0.parquet")
    with pytest.raises(InvalidRowsError, match="row 1") as raised:
        predict_dataset(CountsAtoms(), folder, tmp_path / "out")
    assert "on_invalid='warn'" in " ".join(raised.value.__notes__)
    with pytest.warns(InvalidStructureWarning, match="1 of 4 rows have no prediction"):
        out = predict_dataset(CountsAtoms(), folder, tmp_path / "out", on_invalid="warn")
    found = read(out)
    assert found["id"].tolist() == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(
        found["atoms"], [len(cells[0]), np.nan, len(cells[1]), len(cells[2])]
    )
    assert found["invalid"].isna().tolist() == [True, False, True, True]


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_processes_and_threads_write_the_same_bytes(table, line, tmp_path, backend):
    serial = predict_dataset(line, table, tmp_path / "serial")
    with parallel_config(backend=backend):
        parallel = predict_dataset(line, table, tmp_path / "parallel", n_jobs=2)
    for name in ("0.parquet", "1.parquet", "2.parquet"):
        assert (serial / name).read_bytes() == (parallel / name).read_bytes()


def test_progress_counts_files(table, line, tmp_path, capsys):
    predict_dataset(line, table, tmp_path / "out", verbose=True)
    assert "3/3" in capsys.readouterr().err


def test_sources_that_cannot_be_read(table, line, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no Parquet file"):
        predict_dataset(line, tmp_path / "empty", tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="no file"):
        predict_dataset(line, tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(ValueError, match="or within it"):
        predict_dataset(line, table, table)
    with pytest.raises(FileExistsError, match="not ours"):
        predict_dataset(line, [table / "0.parquet"], table)
    with pytest.raises(FileNotFoundError, match="empty list"):
        predict_dataset(line, [], tmp_path / "out")
    with pytest.raises(ValueError, match="on_invalid must be 'raise' or 'warn', got 'drop'"):
        predict_dataset(line, table, tmp_path / "out", on_invalid="drop")
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="file is a file: take another name, or delete it"):
        predict_dataset(line, table, tmp_path / "file")
    with pytest.raises(ValueError, match="two files of source have the name"):
        predict_dataset(line, [table / "0.parquet", os.path.join(str(table), "0.parquet")], "x")


def test_a_file_without_rows_gives_one_without_rows(table, line, tmp_path):
    pd.read_parquet(table / "0.parquet")[:0].to_parquet(table / "0.parquet")
    out = predict_dataset(line, table, tmp_path / "out")
    assert list(pd.read_parquet(out / "0.parquet")) == ["material_id", "prediction"]
    assert len(pd.read_parquet(out)) == 8


def test_a_change_of_the_first_file_is_no_other_model(table, line, tmp_path):
    out = predict_dataset(line, table, tmp_path / "out")
    path = table / "0.parquet"
    pd.read_parquet(path).assign(x=[9.0, 9, 9, 9], material_id=list("abcd")).to_parquet(path)
    pd.DataFrame({"material_id": ["new"], "x": [3.0]}).to_parquet(table / "-1.parquet")
    found = read(predict_dataset(line, table, out))
    np.testing.assert_allclose(found["prediction"].iloc[:5], [7, 19, 19, 19, 19])


def test_other_labels_are_another_model(table, tmp_path):
    X = pd.DataFrame({"x": np.arange(12.0)})
    first, other = (
        RidgeClassifier().fit(X, np.where(X["x"] > limit, "large", "small")) for limit in (3, 8)
    )
    out = predict_dataset(first, table, tmp_path / "out")
    with pytest.raises(ValueError, match="another model"):
        predict_dataset(other, table, out)


def test_predictions_without_a_source_are_named(table, line, tmp_path):
    out = predict_dataset(line, table, tmp_path / "out")
    (table / "2.parquet").unlink()
    with pytest.warns(UserWarning, match=r"1 files that are not in source, such as 2\.parquet"):
        predict_dataset(line, table, out)


def test_ids_may_be_missing_or_occur_twice(cells, tmp_path):
    folder = tmp_path / "cells"
    folder.mkdir()
    texts = [cell.to(fmt="cif") for cell in cells[:4]]
    given = pd.DataFrame({"jid": [7, 7, None, 8], "structure": texts}).astype({"jid": "Int64"})
    given.to_parquet(folder / "0.parquet")
    found = read(predict_dataset(CountsAtoms(), folder, tmp_path / "out"))
    assert found["jid"].tolist()[:2] == [7, 7]
    assert found["jid"].isna().tolist() == [False, False, True, False]
    assert found["atoms"].tolist() == [len(cell) for cell in cells[:4]]


def test_all_files_have_the_same_types(cells, tmp_path):
    from pyarrow import parquet

    folder = tmp_path / "cells"
    folder.mkdir()
    text = cells[0].to(fmt="cif")
    for k, structures in enumerate([[text, text], [text, text, "no cell"]]):
        pd.DataFrame({"structure": structures}).to_parquet(folder / f"{k}.parquet")
    with pytest.warns(InvalidStructureWarning, match=r"1\.parquet: 1 of 3 rows"):
        out = predict_dataset(CountsAtoms(), folder, tmp_path / "out", on_invalid="warn")
    one, other = (parquet.read_schema(out / f"{k}.parquet") for k in range(2))
    assert one.types == other.types
    assert [str(kind) for kind in one.types] == ["double", "string"]


def test_an_index_with_a_name_is_a_column(line, tmp_path):
    folder = tmp_path / "table"
    folder.mkdir()
    table = pd.DataFrame({"x": [1.0, 2.0]}, index=pd.Index(["a", "b"], name="material_id"))
    table.to_parquet(folder / "0.parquet")
    found = read(predict_dataset(line, folder, tmp_path / "out"))
    assert found["material_id"].tolist() == ["a", "b"]


@pytest.fixture
def pure(tmp_path):
    """Pure chromium, iron and nickel, in one file."""
    given = pd.DataFrame(np.eye(3), columns=["x_Cr", "x_Fe", "x_Ni"])
    (tmp_path / "pure").mkdir()
    given.assign(phase=["bcc", "fcc", "bcc"]).to_parquet(tmp_path / "pure" / "1.parquet")
    return tmp_path / "pure"


def test_standard_deviations_of_several_phases(pure, tmp_path):
    settings = {"targets": ["a", "b"], "return_std": True}
    found = read(predict_dataset(PhaseModel(), pure, tmp_path / "out", **settings))
    np.testing.assert_allclose(found["a"], [-0.5, 0, 0.5], atol=1e-12)
    np.testing.assert_allclose(found["spread of a"], [9.5, 10, 10.5])
    np.testing.assert_allclose(found["spread of b"], [10, 12.2, 10.6])


def test_errors_name_the_phase_and_the_element(pure, tmp_path):
    given = pd.read_parquet(pure / "1.parquet")
    given.assign(phase="hcp").to_parquet(pure / "1.parquet")
    with pytest.raises(AssertionError) as raised:
        predict_dataset(PhaseModel(), pure, tmp_path / "out")
    assert "among those with the phase 'hcp'" in " ".join(raised.value.__notes__)
    given.assign(x_Pd=0.5).to_parquet(pure / "1.parquet")
    with pytest.raises(ValueError, match="not fitted on the element of the column x_Pd"):
        predict_dataset(PhaseModel(), pure, tmp_path / "out")


def test_rows_without_a_phase_are_named(tmp_path):
    folder = tmp_path / "alloys"
    folder.mkdir()
    given = pd.DataFrame({"x_Cr": [1.0, 0], "x_Fe": [0.0, 1], "x_Ni": 0.0, "phase": ["bcc", None]})
    given.to_parquet(folder / "a.parquet")
    with pytest.raises(ValueError, match="row 1 has no phase"):
        predict_dataset(PhaseModel(), folder, tmp_path / "out")


def test_a_prediction_with_the_name_of_the_ids_is_refused(table, line, tmp_path):
    with pytest.raises(ValueError, match="are called 'material_id'"):
        predict_dataset(line, table, tmp_path / "out", targets="material_id")


def test_a_damaged_file_of_predictions_is_written_again(table, line, tmp_path):
    out = predict_dataset(line, table, tmp_path / "out")
    (out / "1.parquet").write_bytes(b"PAR1")
    assert len(read(predict_dataset(line, table, out))) == 12
