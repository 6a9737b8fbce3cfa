"""The recipes of the page "Scaling out" run as they are written."""

import re
from pathlib import Path

import numpy as np
import pytest
from crystals import nickel_fraction, random_alloys

PAGE = Path(__file__).parents[1] / "docs" / "user_guide" / "scaling_out.md"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is not part of this copy"),
]


def recipe(heading):
    """The code below a heading of the page."""
    (code,) = re.findall(
        rf"^### {heading}\n.*?^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M
    )
    return code


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    structures = random_alloys(40, n_cells=1)
    return {
        "structures": structures,
        "y": nickel_fraction(structures),
        "n_epochs": 10,
        "n_trials": 8,
        "folder": str(tmp_path_factory.mktemp("ray")),
    }


@pytest.fixture(scope="module")
def after_optuna(names):
    optuna = pytest.importorskip("optuna", reason="needs optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    exec(compile(recipe("Optuna"), "scaling_out.md", "exec"), names)
    return names


def test_optuna_prunes_trials_and_finds_a_network(after_optuna):
    trials = after_optuna["study"].trials
    n_reported = {"COMPLETE": set(), "PRUNED": set()}
    for trial in trials:
        n_reported[trial.state.name].add(len(trial.intermediate_values))
    assert n_reported["COMPLETE"] == {10}
    assert max(n_reported["PRUNED"]) < 10
    best = after_optuna["study"].best_trial
    errors = best.intermediate_values
    assert best.value == min(errors.values()) < errors[0]
    fitted = after_optuna["best"]
    assert errors[fitted.n_iter_ - 1] == best.value
    assert fitted.lr == best.params["lr"]
    assert 0 < after_optuna["error"] < 1


def test_no_row_is_in_two_parts(after_optuna):
    used = [*after_optuna["search"], *after_optuna["test"]]
    assert sorted(used) == list(range(40))
    for train, valid in after_optuna["folds"]:
        assert sorted([*train, *valid]) == sorted(after_optuna["search"])


def test_ray_tune_finds_a_network(after_optuna):
    ray = pytest.importorskip("ray", reason="needs ray[tune]")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        # Every trial starts a process.
        after_optuna |= {"n_trials": 2, "n_epochs": 3}
        exec(compile(recipe("Ray Tune"), "scaling_out.md", "exec"), after_optuna)
    finally:
        ray.shutdown()
    assert np.isfinite(after_optuna["best"].predict(after_optuna["structures"])).all()
    assert 1 <= after_optuna["result"].metrics["training_iteration"] <= 3
