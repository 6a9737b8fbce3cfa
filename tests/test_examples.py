"""The gallery examples, with less data and shorter trainings: does every cell still run?"""

from pathlib import Path

import matplotlib
import pytest

from sklmat.graphs import _build

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
        "n_estimators=500": "n_estimators=5",
    }
    names = run_example("plot_compare_with_xgboost.py", shorter)
    comparison = names["comparison"]
    models = ["CGCNN", "XGBoost on composition", "XGBoost on structure", "mean"]
    assert list(comparison.index) == models
    assert sorted(comparison.predictions["row"]) == list(range(24))
    assert [panel.get_title() for panel in names["display"].axes_] == models
    assert (tmp_path / "compare_with_xgboost.png").stat().st_size > 20_000
    out, err = capfd.readouterr()
    assert "compare_with_xgboost.png" in out
    assert "MAE" in out
    assert "20/20" in err  # the progress bar, over four models and five folds


def test_tune_with_gridsearch_builds_each_graph_once(run_example, monkeypatch):
    built = []
    original = _build.build_edges
    monkeypatch.setattr(_build, "build_edges", lambda *a, **k: built.append(1) or original(*a, **k))
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
