"""The stages of EFTGAN: what each learns, and from what."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import BayesianRidge, Ridge
from tiny_eftgan import COLUMNS, ELEMENTS, NAMES, ecnet, infogan, tiny

from sklmat import ECNetRegressor, infer_lattice
from sklmat.eftgan._phase_regressor import PhaseAwareProcesses
from sklmat.eftgan._relaxation import LatticeRelaxation


def test_the_stages_are_there(model, alloys, graphs):
    assert isinstance(model.estimator_, ECNetRegressor)
    assert model.elements_ == ELEMENTS
    assert model.phases_ == ["bcc", "fcc"]
    table = model.featurizer_.transform(graphs)
    names = [*COLUMNS, "lattice_bcc", "lattice_fcc", "Ni_0", "Ni_1", "Cu_0", "Cu_1", "Pd_0", "Pd_1"]
    assert table.columns.tolist() == names
    assert model.augmenter_.feature_names_in_.tolist() == names
    assert model.augmenter_.sample_origin_.tolist() == [0] * 48
    # The rows of the training, in units of their spread.
    report = model.report_
    assert set(report.column_distances) == set(names[5:])
    assert_allclose(report.real.std(ddof=0), 1, rtol=1e-5)
    # The regressor is asked with what the augmenter generates.
    made = model.augmenter_.sample(table, noise=False).assign(phase_bcc=0.0, phase_fcc=1.0)
    pure = alloys[2] == "fcc"
    told = model.regressor_.predict(made[pure])
    assert_allclose(model.predict(alloys[1][pure], phase="fcc"), told, atol=1e-4)


def test_the_regressor_is_trained_on_generated_features_and_true_targets(
    graphs, alloys, targets, monkeypatch
):
    seen = []

    class Spy(Ridge):
        def fit(self, X, y):
            seen.append((X, y))
            return super().fit(X, y)

    y = targets[NAMES[0]]
    spied = tiny(Spy(), augmenter=infogan(n_samples=10)).fit(graphs, y, phase=alloys[2])
    (rows, labels), *more = seen
    assert not more
    assert len(rows) == len(labels) == 58
    # The phase tells more than the lattice here, and comes last.
    assert rows.columns[-2:].tolist() == ["phase_bcc", "phase_fcc"]
    started, rows = rows[["phase_bcc", "phase_fcc"]].to_numpy(), rows.iloc[:, :-2]
    assert_array_equal(started[:48, 0] == 1, alloys[2] == "bcc")
    assert_array_equal(started.sum(axis=1), 1)
    table = spied.featurizer_.transform(graphs)
    pd.testing.assert_frame_equal(rows[:48], spied.augmenter_.sample(table, noise=False))
    assert_array_equal(labels[:48], y)
    assert np.abs(rows[:48] - table).to_numpy().max() > 0.01
    # The others are new compositions, labelled by the augmenter's labeler, and of the phase that
    # most cells on their lattice started as.
    assert_array_equal(started[48:, 0], rows["lattice_bcc"][48:])
    assert_allclose(labels[48:], spied.augmenter_.labeler_.predict(rows[48:]), rtol=1e-6)
    assert_allclose(rows[COLUMNS].sum(axis=1), 1)
    old = alloys[1].round(6).tolist()
    new = rows[COLUMNS][48:].to_numpy().round(6).tolist()
    assert sum(row not in old for row in new) >= 3


def test_phase_none_is_the_lattice_found(both, alloys):
    structures, x, _, lattice = alloys
    assert list(infer_lattice(structures)) == lattice.tolist()
    assert both.phases_ == ["bcc", "fcc"]
    # Nothing leaves the lattice that it is found on.
    assert_array_equal(both.relaxation_.certain_, [0, 1])
    assert both.relaxation_.classes_.tolist() == ["bcc", "fcc"]
    for k, phase in enumerate(both.phases_):
        assert_array_equal(both.lattice_probability(x, phase), np.eye(2)[[k] * 48])


def test_relaxation_knows_where_cells_leave_their_lattice(model, alloys):
    x, phase, lattice = alloys[1:]
    assert (phase != lattice).sum() > 5
    likely = model.lattice_probability(x, phase)
    assert likely.columns.tolist() == ["bcc", "fcc"]
    assert_allclose(likely.sum(axis=1), 1)
    assert (likely.columns[likely.to_numpy().argmax(axis=1)] == lattice).mean() > 0.95
    # New compositions, far from the border.
    new = np.array([[0.1, 0.1, 0.8], [0.5, 0.4, 0.1], [0.1, 0.1, 0.8], [0.5, 0.4, 0.1]])
    told = model.lattice_probability(new, ["bcc", "bcc", "fcc", "fcc"])["bcc"]
    assert told[0] < 0.2
    assert told[1] > 0.8
    assert_allclose(told[2:], 0, atol=0.1)


def on_each_lattice(model, x):
    """Mean and standard deviation on each lattice, (2, n), of what was set up as bcc."""
    columns = model.featurizer_.get_feature_names_out().tolist()
    told = []
    for lattice in ("bcc", "fcc"):
        codes = pd.DataFrame(0.0, index=range(len(x)), columns=columns)
        codes[COLUMNS], codes[f"lattice_{lattice}"] = x, 1.0
        rows = model.augmenter_.sample(codes, noise=False)
        if model.relaxation_.certain_ is None:
            rows = rows.assign(phase_bcc=1.0, phase_fcc=0.0)
        told.append(model.regressor_.predict(rows, return_std=True))
    return np.swapaxes(told, 0, 1)


def test_predictions_are_means_over_the_lattices(model, grid):
    likely = model.lattice_probability(grid, "bcc").to_numpy().T
    assert ((likely > 0.05) & (likely < 0.95)).any(axis=0).sum() >= 2
    means, stds = on_each_lattice(model, grid)
    by_hand = (likely * means).sum(axis=0)
    told, std = model.predict(grid, phase="bcc", return_std=True)
    assert_allclose(told, by_hand, rtol=1e-6)
    # scikit-learn's own means, and the quick ones without the standard deviation.
    assert_allclose(model.predict(grid, phase="bcc"), by_hand, atol=1e-4)
    # Law of total variance: the mean of the variances, and the variance of the means.
    within, between = likely * stds**2, likely * (means - by_hand) ** 2
    assert_allclose(std**2, within.sum(axis=0) + between.sum(axis=0), rtol=1e-5)
    assert between.sum(axis=0).max() > 0.2 * within.sum(axis=0).max()


def test_a_certain_lattice_needs_no_mixture(both, grid):
    told, std = both.predict(grid, phase="bcc", return_std=True)
    means, stds = on_each_lattice(both, grid)
    assert_allclose(told, means[0], rtol=1e-6)
    assert_allclose(std, stds[0], rtol=1e-6)


def test_lattice_relaxation_forgets_nothing_and_guesses_little():
    x = np.tile([[0.2, 0.8], [0.8, 0.2]], (10, 1))
    phase = np.repeat(["bcc", "fcc"], 10)
    lattice = np.where((phase == "bcc") & (x[:, 0] > 0.5), "hcp", phase)
    relaxation = LatticeRelaxation(["Fe", "Ni"]).fit(x, phase, lattice)
    assert relaxation.certain_ is None
    likely = relaxation.predict_proba(x, phase)
    assert relaxation.classes_.tolist() == ["bcc", "fcc", "hcp"]
    assert_array_equal(relaxation.classes_[likely.argmax(axis=1)], lattice)
    assert likely.max(axis=1).min() > 0.9
    # Where each phase has one end, certainty; also where it is the end of another phase.
    sure = LatticeRelaxation(["Fe", "Ni"]).fit(x, phase, np.full(20, "fcc"))
    assert_array_equal(sure.predict_proba(x, phase), np.ones((20, 1)))


def test_the_phase_is_read_where_it_is_worth_it():
    rng = np.random.default_rng(0)
    x, started = rng.uniform(size=40), rng.integers(2, size=40)
    table = pd.DataFrame({"x_Ni": x, "x_Cu": 1 - x, "Ni_0": np.sin(3 * x), "Cu_0": x**2})
    with_phase = table.assign(phase_bcc=1.0 - started, phase_fcc=1.0 * started)
    y = np.column_stack([np.cos(3 * x), np.cos(3 * x) + started])
    model = PhaseAwareProcesses(2).fit(with_phase, y)
    assert_array_equal(model.reads_phase_, [False, True])
    assert_allclose(model.predict(with_phase), y, atol=0.02)
    plain = PhaseAwareProcesses(0).fit(table, y)
    assert_array_equal(plain.reads_phase_, [False, False])
    assert_allclose(plain.predict(table)[:, 0], model.predict(with_phase)[:, 0], rtol=1e-6)
    assert np.abs(plain.predict(table)[:, 1] - y[:, 1]).max() > 0.3
    mean, std = model.predict(with_phase, return_std=True)
    assert mean.shape == std.shape == (40, 2)
    flat = PhaseAwareProcesses(2).fit(with_phase, y[:, 1])
    assert_allclose(flat.predict(with_phase), mean[:, 1], atol=1e-3)


@pytest.mark.parametrize("regressor", [None, BayesianRidge()], ids=["default", "own"])
def test_what_cells_started_as_can_be_learned(graphs, alloys, regressor):
    """Rich in palladium, all cells are fcc in the end; the target says what they were."""
    _, x, phase, lattice = alloys
    rich = (phase == "bcc") & (lattice == "fcc")
    assert rich.sum() > 5
    model = tiny(regressor, estimator=ecnet(max_epochs=1))
    model.fit(graphs, 1.0 * (phase == "bcc"), phase)
    assert_allclose(model.predict(x[rich], phase="bcc"), 1, atol=0.05)
    assert_allclose(model.predict(x[rich], phase="fcc"), 0, atol=0.05)
