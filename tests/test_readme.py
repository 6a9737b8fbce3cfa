"""The example of the README runs, and its commands and links are right."""

import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def run_example(tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)

    def run(shorter):
        (code,) = blocks("python")
        for text, replacement in shorter.items():
            assert code.count(text) == 1, f"{text!r} is no longer in the README: change it here too"
            code = code.replace(text, replacement)
        names = {}
        exec(compile(code, "README.md", "exec"), names)
        matplotlib.pyplot.close("all")
        return names

    return run


def test_example_compares_tunes_saves_and_predicts(run_example, tmp_path):
    shorter = {
        "make_alloys(100,": "make_alloys(24,",
        "cells[:80], cells[80:], energies[:80]": "cells[:18], cells[18:], energies[:18]",
        "max_epochs=30": "max_epochs=2",
        # No network that is trained so little wins otherwise.
        "XGBRegressor()": "XGBRegressor(n_estimators=1, base_score=100)",
    }
    names = run_example(shorter)
    table = names["table"]
    assert list(table.index) == ["CGCNN", "XGBoost"]
    assert sorted(table.predictions["row"]) == list(range(18))
    assert names["winner"] is names["models"][table["MAE mean"].idxmin()]
    assert names["predicted"].shape == (6,)
    np.testing.assert_allclose(names["tuned"].predict(names["new"]), names["predicted"])
    assert (tmp_path / "winner.joblib").exists()
    assert (tmp_path / "parity.png").stat().st_size > 10_000


@pytest.mark.slow
def test_winner_of_the_example_is_right_about_new_cells(run_example):
    names = run_example({})
    table, new_energies = names["table"], names["energies"][80:]
    assert sorted(table.predictions["row"]) == list(range(80))
    # The winner must know more of cells it has not seen than that they are alloys.
    error = np.abs(names["predicted"] - new_energies).mean()
    assert error < 0.5 * np.abs(names["y"].mean() - new_energies).mean()


def test_commands_are_those_of_ci_and_of_the_examples():
    install = 'python -m venv .venv && .venv/bin/pip install "torch==2.13.0" -e '
    first, second = (block.strip() for block in blocks("bash"))
    assert first == install + ". && .venv/bin/python examples/plot_compare_with_xgboost.py"
    assert second == install + '".[test]" && .venv/bin/pytest'
    assert second in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_links_lead_somewhere():
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert len(targets) > 8
    assert [target for target in targets if not (ROOT / target).exists()] == []
