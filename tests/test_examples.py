"""The gallery examples, with less data and shorter trainings: does every cell still run?"""

from pathlib import Path

import matplotlib
import numpy as np
import pytest

from sklmat.graphs import _neighbor_search

#: The README's example is in the quick suite.
pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def run_example(tmp_path, monkeypatch):
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)

    def run(name, shorter):
        code = (EXAMPLES / name).read_text(encoding="utf-8")
        for text, replacement in shorter.items():
            assert code.count(text) == 1, f"{text!r} is no longer in {name}: change it here too"
            code = code.replace(text, replacement)
        names = {"__name__": "__main__"}
        exec(compile(code, name, "exec"), names)
        matplotlib.pyplot.close("all")
        return names

    return run


def test_compare_with_xgboost(run_example, tmp_path, capfd):
    shorter = {
        "make_alloys(200": "make_alloys(24",
        "max_epochs=60": "max_epochs=2",
    }
    names = run_example("plot_compare_with_xgboost.py", shorter)
    comparison = names["comparison"]
    models = ["CGCNN", "XGBoost on composition", "XGBoost on structure", "mean"]
    assert list(comparison.index) == models
    assert sorted(comparison.predictions["row"]) == list(range(24))
    titles = [panel.get_title().replace("\n", " ") for panel in names["display"].axes_]
    assert titles == models
    assert (tmp_path / "compare_with_xgboost.png").stat().st_size > 20_000
    out, err = capfd.readouterr()
    assert "compare_with_xgboost.png" in out
    assert "MAE" in out
    assert "20/20" in err  # the progress bar, over four models and five folds


def test_which_model(run_example, capsys):
    shorter = {
        "make_alloys(120": "make_alloys(30",
        "n_ensemble=2, max_epochs=60": "max_epochs=2",
        "CompositionGroupKFold(5": "CompositionGroupKFold(2",
        "[20, 40, 90]": "[6, 12]",
    }
    names = run_example("plot_which_model.py", shorter)
    assert list(names["not_worse"]) == [6, 12]
    table = names["curves"].table.set_index("estimator")
    for n_rows, kept in names["not_worse"].items():
        assert kept[0] == table.loc[table["train_size"] == n_rows, "MAE mean"].idxmin()
    assert list(names["comparison"].index) == list(names["models"])
    assert "not significantly different" in capsys.readouterr().out


def test_uncertainty(run_example):
    pytest.importorskip("mapie", reason="mapie is not installed (extra uq)")
    shorter = {
        "make_alloys(200": "make_alloys(70",
        "alike[:90]": "alike[:40]",
        "alike[90:]": "alike[40:]",
        "n_ensemble=8, max_epochs=40": "n_ensemble=2, max_epochs=5",
    }
    names = run_example("plot_uncertainty.py", shorter)
    # Every label is counted once for each model and interval.
    assert len(names["train"]) + len(names["test"]) == 70
    assert not set(names["train"]) & set(names["test"])
    assert names["alloys"].frame["x_Pt"].iloc[names["train"]].max() <= 0.45
    assert len(names["intervals"]) == 2 * 2 * 2
    factors = names["std"]["ECNet", "calibrated"] / names["std"]["ECNet", "as predicted"]
    np.testing.assert_allclose(factors, factors[0])
    # The figure draws the mean errors of the rows that the text counts.
    drawn = names["display"].table_
    assert drawn.loc[drawn["model"] == "GP", "n"].sum() == len(names["test"])


def test_tune_with_gridsearch_builds_each_graph_once(run_example, monkeypatch):
    built = []
    original = _neighbor_search.build_edges
    monkeypatch.setattr(
        _neighbor_search, "build_edges", lambda *a, **k: built.append(1) or original(*a, **k)
    )
    shorter = {
        "make_alloys(150": "make_alloys(24",
        "test_size=30": "test_size=6",
        "cache=1000": "cache=1009",  # a cache that no other test has filled
        "max_epochs=30": "max_epochs=2",
        '"xgboost__n_estimators": [200, 600]': '"xgboost__n_estimators": [5]',
    }
    names = run_example("plot_tune_with_gridsearch.py", shorter)
    # 18 training cells with either number of neighbours, whatever the folds and candidates, and
    # the 6 held-out ones with the better of the two.
    assert len(built) == 2 * 18 + 6
    assert len(names["network_search"].cv_results_["params"]) == 4
    assert names["table"].shape == (2, 2)


def test_ecnet_alloys(run_example, capsys):
    shorter = {
        "make_alloys(200": "make_alloys(40",
        "n_ensemble=4": "n_ensemble=2, max_epochs=5",
        "test_size=60": "test_size=14",
    }
    names = run_example("plot_ecnet_alloys.py", shorter)
    assert next(iter(names["comparison"].index)) == "ECNet"
    assert names["comparison"].loc["ECNet", "MAE difference"] == 0
    # Of the second quantity the network was shown every fifth label.
    known = ~np.isnan(names["y_known"][names["train"], 1])
    assert np.flatnonzero(known).tolist() == [0, 5, 10, 15, 20, 25]
    contributions, shown = names["contributions"], names["shown"]
    predicted = names["both"].predict(names["graphs"][shown])[:, 0]
    np.testing.assert_allclose(contributions.sum(axis=1), predicted, atol=1e-3)
    assert "beside formation energies" in capsys.readouterr().out


def test_transfer_components_tests_on_the_same_rows(run_example):
    shorter = {
        "    260,\n": "    48,\n",
        '"max_epochs": 60': '"max_epochs": 2',
        '"max_epochs": 100': '"max_epochs": 2',
        "n_test = 60": "n_test = 6",
        "(5, 20, 60)": "(3, 6)",
    }
    names = run_example("plot_transfer_components.py", shorter)
    components = names["alloys"].frame["n_components"]
    assert components[names["known"]].max() == 3
    assert components[names["candidates"]].min() == 4
    for (train, test), (all_rows, same_test) in zip(names["few"], names["everything"]):
        assert set(all_rows) == {*names["known"], *train}
        np.testing.assert_array_equal(test, same_test)
        assert not {*test} & {*all_rows}
    # The network that nobody touches is as good whatever is labelled.
    untouched = names["error"].loc["pre-trained, untouched"]
    assert untouched[3] == untouched[6]
    assert names["error"].shape == (8, 2)
    assert list(names["errors"]) == list(names["pairs"])


def test_quinary_map(run_example):
    shorter = {
        "* 150:": "* 20:",
        "composition_grid(elements, 0.05)\n": "composition_grid(elements, 0.2)\n",
        "composition_grid(elements, 0.1)": "composition_grid(elements, 0.25)",
        "from_estimator(model, elements, targets=names)": (
            "from_estimator(model, elements, targets=names, step=0.2, overview_step=0.2)"
        ),
    }
    names = run_example("plot_quinary_map.py", shorter)
    # Compositions of five elements in fifths, in two phases.
    assert len(names["alloys"]) == 2 * 126
    assert names["fractions"].shape == (8, 4)


def test_eftgan_alloys(run_example, capsys):
    shorter = {
        "make_alloys(160": "make_alloys(40",
        "test_size=40": "test_size=10",
        "from sklmat import EFTGANRegressor\n": (
            "from sklmat import ECNetRegressor, EFTGANRegressor, InfoGANAugmenter\n"
        ),
        "EFTGANRegressor(random_state=0)": (
            "EFTGANRegressor(ECNetRegressor(max_epochs=5, n_ensemble=2), "
            "InfoGANAugmenter(n_samples=0, max_epochs=60), random_state=0)"
        ),
    }
    names = run_example("plot_eftgan_alloys.py", shorter)
    out = capsys.readouterr().out
    assert "Ag" in out  # the element that is refused
    assert "farther from every training composition" in out
    assert {len(values) for values in names["predictions"].values()} == {10}


def test_augmentation_in_cv(run_example, tmp_path, capsys):
    shorter = {
        "make_alloys(200": "make_alloys(60",
        "ShuffleSplit(6": "ShuffleSplit(2",
        "train_size=40, test_size=100": "train_size=30, test_size=20",
        "n_estimators=150": "n_estimators=20",
        "max_epochs=200": "max_epochs=5",
    }
    names = run_example("plot_augmentation_in_cv.py", shorter)
    assert names["same"]
    assert names["comparison"].shape[0] == 1 + len(names["samplers"])
    assert names["leaky"].mean() > 0.2 + names["honest"].mean()
    assert (tmp_path / "augmentation_in_cv.png").stat().st_size > 10_000
    assert "predict the same: True" in capsys.readouterr().out


def test_from_a_folder_of_cifs(run_example, tmp_path, capsys):
    shorter = {
        "make_prototypes(200, random_state=0)": "make_prototypes(40, max_atoms=6, random_state=0)",
        "compounds.data[:180], compounds.data[180:]": "compounds.data[:34], compounds.data[34:]",
    }
    names = run_example("plot_from_a_folder_of_cifs.py", shorter)
    assert names["mine"].ids.tolist() == [f"crystal-{row}" for row in range(34)]
    np.testing.assert_allclose(names["mine"].target, names["compounds"].target[:34], atol=1e-5)
    assert sorted(names["table"].predictions["row"]) == list(range(34))
    assert names["predicted"].shape == (6,)
    assert (tmp_path / "from_a_folder_of_cifs.png").stat().st_size > 20_000
    assert "34 crystals, target: target" in capsys.readouterr().out


def test_explain_alloys(run_example, capsys):
    shorter = {
        "make_alloys(150": "make_alloys(40",
        "[:120], alloys.data[120:]": "[:30], alloys.data[30:]",
        "fit(train, energies[:120])": "fit(train, energies[:30])",
        "max_epochs=60": "max_epochs=5",
        "r2_score(energies[120:], predicted)": "r2_score(energies[30:], predicted)",
        "energies[120:130]": "energies[30:40]",
    }
    names = run_example("plot_explain_alloys.py", shorter)
    np.testing.assert_allclose(names["total"], names["after"] - names["before"], atol=1e-3)
    assert len(names["elements"]) == 10
    assert "sum of the parts minus the change" in capsys.readouterr().out


def test_report(run_example, capsys):
    shorter = {
        "make_alloys(100": "make_alloys(30",
        "range(100)": "range(30)",
        "    ECNetRegressor(max_epochs=60": "    ECNetRegressor(n_ensemble=2, max_epochs=5",
        "final = ECNetRegressor(max_epochs=60": "final = ECNetRegressor(n_ensemble=2, max_epochs=5",
    }
    names = run_example("plot_report.py", shorter)
    assert names["made"].facts["errors"]["largest"][0]["row"] == 17
    assert names["summary"] == names["made"].summary()
    assert "it may be the label" in capsys.readouterr().out.replace("\n", " ")
