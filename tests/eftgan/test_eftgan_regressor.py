"""Structures in, compositions out: every stage, every form of input, every refusal, no leak."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.core import Composition, Lattice, Structure
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.model_selection import KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmat import (
    ECNetRegressor,
    EFTGANRegressor,
    ExtrapolationWarning,
    InfoGANAugmenter,
    InvalidStructureError,
    StructureToGraph,
    infer_lattice,
)
from sklmat.augmentation import _gaussian_process_means, process_mean
from sklmat.augmentation._gaussian_process_means import (
    _kernel_parameters,
    leave_one_out_residuals,
    target_moments,
)
from sklmat.datasets import make_alloys
from sklmat.eftgan import _regressor
from sklmat.eftgan._extrapolation import ExtrapolationDetector
from sklmat.eftgan._phase_regressor import PhaseAwareProcesses
from sklmat.eftgan._relaxation import LatticeRelaxation

ELEMENTS = ["Ni", "Cu", "Pd"]
COLUMNS = [f"x_{symbol}" for symbol in ELEMENTS]
FCC = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
BCC = [[0, 0, 0], [0.5, 0.5, 0.5]]
NAMES = ["energy (eV/atom)", "moment (μB/atom)"]


def ecnet(**params):
    """A network that is trained in a moment."""
    small = {"cutoff": 4.0, "hidden_dim": 4, "n_filters": 4, "tower_dims": (4,), "max_epochs": 3}
    return ECNetRegressor(**{**small, "n_ensemble": 2, **params})


def infogan(**params):
    small = {"n_samples": 0, "hidden_dim": 8, "max_epochs": 20, "n_ensemble": 2, "labeler": Ridge()}
    return InfoGANAugmenter(**{**small, **params})


def tiny(regressor=None, **params):
    common = {"n_components": 2, "random_state": 0, **params}
    parts = common.pop("ecnet", None) or ecnet(), common.pop("augmenter", None) or infogan()
    return EFTGANRegressor(*parts, regressor, **common)


def cell(lattice, counts, rng):
    """A slightly rattled cell of sixteen atoms."""
    a, sites = (3.7, FCC) if lattice == "fcc" else (2.95, BCC)
    unit = Structure(Lattice.cubic(a), ["Ni"] * len(sites), sites)
    unit.make_supercell([1, 2, 2] if lattice == "fcc" else 2)
    symbols = rng.permutation(np.repeat(ELEMENTS, counts))
    shifted = unit.cart_coords + rng.normal(scale=0.01, size=(16, 3))
    return Structure(unit.lattice, symbols, shifted, coords_are_cartesian=True)


def relaxes(phase, x_pd):
    """Cells set up as bcc relax to fcc where they are rich in palladium."""
    return "fcc" if phase == "bcc" and x_pd > 0.4 else phase


def energy(x, lattice):
    """Target of fractions (n, 3) on a lattice (n,), known exactly."""
    smooth = x @ [0.1, -0.2, 0.3] - 0.4 * x[:, 0] * x[:, 2]
    return smooth + 0.3 * (np.asarray(lattice) == "bcc")


@pytest.fixture(scope="module")
def alloys():
    """Structures, fractions, phases and lattices of 48 alloys of Ni, Cu and Pd."""
    rng = np.random.default_rng(0)
    counts = 1 + rng.multinomial(13, rng.dirichlet([1, 1, 1], size=48))
    phase = np.resize(["bcc", "fcc"], 48)
    lattice = np.array([relaxes(p, c[2] / 16) for p, c in zip(phase, counts)])
    structures = [cell(*row, rng) for row in zip(lattice, counts)]
    return structures, counts / 16, phase, lattice


@pytest.fixture(scope="module")
def targets(alloys):
    _, x, _, lattice = alloys
    values = np.column_stack([energy(x, lattice), x @ [0.6, 0.0, 0.1]])
    return pd.DataFrame(values, columns=NAMES)


@pytest.fixture(scope="module")
def graphs(alloys):
    return StructureToGraph(cutoff=4.0, max_neighbors=None).transform(alloys[0])


@pytest.fixture(scope="module")
def model(graphs, alloys, targets):
    return tiny().fit(graphs, targets[NAMES[0]], phase=alloys[2])


@pytest.fixture(scope="module")
def both(graphs, alloys, targets):
    """Two targets, and the lattice found as phase."""
    return tiny().fit(graphs, targets)


@pytest.fixture(scope="module")
def grid():
    """Fractions of 15 compositions between those of the training."""
    steps = np.array([[i, j, 7 - i - j] for i in range(1, 6) for j in range(1, 7 - i)])
    return steps / 7


# -- what can be predicted


def test_structures_are_predicted_by_the_network(model, alloys, graphs):
    structures = alloys[0][:6]
    expected = model.ecnet_.predict(structures)
    assert_array_equal(model.predict(structures), expected)
    assert_array_equal(model.predict(pd.Series(structures, index=range(3, 9))), expected)
    assert_allclose(model.predict(graphs[:6]), expected, atol=1e-6)
    mean, std = model.predict(structures, return_std=True)
    assert_array_equal(mean, expected)
    assert_array_equal(std, model.ecnet_.predict(structures, return_std=True)[1])
    assert std.min() > 0


def test_all_forms_of_a_composition_are_one(model, grid):
    expected = model.predict(grid, phase="fcc")
    assert np.ptp(expected) > 0.01
    table = pd.DataFrame(grid, columns=COLUMNS, index=range(5, 20))
    formulas = [f"Ni{7 * a:.0f}Cu{7 * b:.0f}Pd{7 * c:.0f}" for a, b, c in grid]
    forms = {
        "columns x_Fe": table,
        "other order": table[COLUMNS[::-1]],
        "columns Fe": table.rename(columns=lambda name: name[2:]),
        "zeros of a new element": table.assign(x_Au=0.0),
        "Fortran order": np.asfortranarray(grid),
        "Composition": [Composition(formula) for formula in formulas],
    }
    for name, X in forms.items():
        assert_allclose(model.predict(X, phase="fcc"), expected, rtol=1e-6, err_msg=name)
    forms |= {
        "formulas": formulas,
        "Series": pd.Series(formulas, index=range(5, 20)),
        "dicts": [dict(zip(ELEMENTS, 3.0 * row)) for row in grid],
        "array": grid,
    }
    for name, X in forms.items():
        told = model.predict_composition(X, phase="fcc")
        assert_allclose(told, expected, rtol=1e-6, err_msg=name)
        # Probabilities need the same compositions.
        likely = model.lattice_probability(X, "bcc").to_numpy()
        assert_allclose(likely, model.lattice_probability(grid, "bcc"), rtol=1e-4, err_msg=name)


def test_absent_columns_are_absent_elements(model):
    two = pd.DataFrame({"Cu": [0.5, 0.25], "Ni": [0.5, 0.75]})
    expected = model.predict(np.array([[0.5, 0.5, 0], [0.75, 0.25, 0]]), phase="fcc")
    assert_allclose(model.predict(two, phase="fcc"), expected, rtol=1e-6)
    # A new element is refused where it is used, not where its column is zero.
    with pytest.raises(ValueError, match=r"row 1 of the table has a column 'Au'"):
        model.predict(two.assign(Ni=[0.5, 0.65], Au=[0, 0.1]), phase="fcc")


def test_one_phase_for_all_or_one_for_each(model, grid):
    bcc, fcc = (model.predict(grid, phase=phase) for phase in ("bcc", "fcc"))
    assert np.abs(bcc - fcc).max() > 0.05
    mixed = np.resize(["fcc", "bcc"], len(grid))
    for phase in (mixed, list(mixed), pd.Series(mixed, index=range(9, 24)), mixed.astype(object)):
        told = model.predict(grid, phase=phase)
        assert_allclose(told, np.where(mixed == "fcc", fcc, bcc), atol=1e-4)


def test_one_fitted_phase_need_not_be_named(graphs, alloys, targets, grid):
    rows = np.flatnonzero(alloys[2] == "fcc")
    alone = tiny().fit(graphs[rows], targets[NAMES[0]].iloc[rows], phase=alloys[2][rows])
    assert alone.phases_ == ["fcc"]
    assert_array_equal(alone.predict(grid), alone.predict(grid, phase="fcc"))
    assert_array_equal(alone.lattice_probability(grid), np.ones((len(grid), 1)))


def test_several_targets_and_their_names(model, both, graphs, grid):
    assert model.target_names_ == NAMES[:1]
    assert model.n_outputs_ == 1
    assert both.target_names_ == NAMES
    assert both.n_outputs_ == 2
    mean, std = both.predict(grid, phase="bcc", return_std=True)
    assert mean.shape == std.shape == (15, 2)
    assert both.predict(graphs[:3]).shape == (3, 2)
    # Two columns that are different things.
    assert_allclose(mean, both.predict(grid, phase="bcc"), rtol=1e-3, atol=1e-4)
    assert np.corrcoef(mean[:, 1], grid @ [0.6, 0.0, 0.1])[0, 1] > 0.9
    assert np.corrcoef(mean[:, 0], energy(grid, ["bcc"] * 15))[0, 1] > 0.9


def test_targets_without_names(graphs, targets):
    values = targets.to_numpy()
    assert tiny(ecnet=ecnet(max_epochs=1)).fit(graphs, values).target_names_ == ["y0", "y1"]
    column = tiny(ecnet=ecnet(max_epochs=1)).fit(graphs, values[:, :1])
    assert column.target_names_ == ["y0"]
    assert column.predict(np.full((3, 3), 1 / 3), phase="fcc").shape == (3, 1)
    assert column.predict(graphs[:2]).shape == (2, 1)
    assert tiny(ecnet=ecnet(max_epochs=1)).fit(graphs, values[:, 0]).target_names_ == ["y"]


# -- stages


def test_the_stages_are_there(model, alloys, graphs):
    assert isinstance(model.ecnet_, ECNetRegressor)
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


@pytest.mark.parametrize("n_targets", [None, 2])
@pytest.mark.parametrize("kernel", [RBF(0.7), Matern(0.7, nu=1.5)], ids=["RBF", "Matern"])
def test_quick_means_are_those_of_scikit_learn(kernel, n_targets):
    rng = np.random.default_rng(0)
    X, new = rng.uniform(size=(60, 4)), rng.uniform(size=(3000, 4))
    y = 1000 + 50 * np.sin(3 * X @ rng.normal(size=(4, n_targets or 1)))
    y = y if n_targets else y[:, 0]
    process = GaussianProcessRegressor(
        ConstantKernel(2.0) * kernel + WhiteKernel(1e-3), normalize_y=True, optimizer=None
    ).fit(X, y)
    assert _kernel_parameters(process) is not None
    told = process_mean(process, new)
    assert told.shape == (3000, *y.shape[1:])
    assert_allclose(told, process.predict(new), rtol=0, atol=1e-4 * y.std())
    assert_allclose(process_mean(process, X), process.predict(X), rtol=0, atol=1e-4 * y.std())


def test_quick_means_take_more_digits_where_weights_magnify_errors(monkeypatch):
    rng = np.random.default_rng(0)
    X, new = rng.uniform(size=(80, 2)), rng.uniform(size=(500, 2))
    process = GaussianProcessRegressor(
        ConstantKernel(9.0) * RBF(0.8) + WhiteKernel(1e-6), normalize_y=True, optimizer=None
    ).fit(X, np.sin(5 * X[:, 0]) * X[:, 1])

    def error():
        told = process_mean(process, new) - process.predict(new)
        return np.abs(told).max() / target_moments(process)[1]

    assert error() < 1e-6
    monkeypatch.setattr(
        _gaussian_process_means, "_precision", lambda training, weights: torch.float32
    )
    assert error() > 1e-4


@pytest.mark.parametrize(
    "kernel",
    [
        ConstantKernel() * Matern(nu=0.5) + WhiteKernel(),
        ConstantKernel() * Matern(nu=2.5) + WhiteKernel(),
        ConstantKernel() * RBF([1.0, 2.0]) + WhiteKernel(),
        ConstantKernel() + RBF() + WhiteKernel(),
        ConstantKernel() * RBF() * WhiteKernel(),
        ConstantKernel() * RBF() + ConstantKernel(),
        RBF(),
    ],
    ids=str,
)
def test_other_kernels_are_left_to_scikit_learn(kernel):
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(20, 2))
    process = GaussianProcessRegressor(kernel, optimizer=None, alpha=0.1).fit(X, X[:, 0])
    new = rng.uniform(size=(7, 2))
    assert_array_equal(process_mean(process, new), process.predict(new))


def test_leave_one_out_residuals_are_those_of_refitted_processes():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(12, 2))
    y = 5 + 3 * np.sin(4 * X[:, 0]) + X[:, 1]
    kernel = ConstantKernel(2.0) * RBF(0.7) + WhiteKernel(0.1)
    settings = {"optimizer": None, "alpha": 0.0}
    process = GaussianProcessRegressor(kernel, normalize_y=True, **settings).fit(X, y)
    mean, deviation = target_moments(process)
    assert_allclose([mean, deviation], [y.mean(), y.std()])
    expected = []
    for k in range(12):
        rest = np.arange(12) != k
        # Scaled as in the fit on all rows.
        scaled = (y[rest] - mean) / deviation
        refitted = GaussianProcessRegressor(kernel, **settings).fit(X[rest], scaled)
        expected.append(y[k] - mean - deviation * refitted.predict(X[[k]])[0])
    assert_allclose(leave_one_out_residuals(process), expected, rtol=1e-6)


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
    model = tiny(regressor, ecnet=ecnet(max_epochs=1)).fit(graphs, 1.0 * (phase == "bcc"), phase)
    assert_allclose(model.predict(x[rich], phase="bcc"), 1, atol=0.05)
    assert_allclose(model.predict(x[rich], phase="fcc"), 0, atol=0.05)


# -- what is refused


def frame(*rows):
    return pd.DataFrame(rows, columns=COLUMNS)


FINE = [0.2, 0.3, 0.5]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (frame(FINE, [0.2, 0.3, 0.4]), "row 1 has fractions that do not sum to one"),
        (frame(FINE, FINE, [0.7, 0.5, -0.2]), "row 2 has a negative fraction"),
        (frame(FINE, [np.nan, 0.5, 0.5]), "row 1 holds NaN"),
        (frame(FINE, [0.5, 0.5, np.inf]), "row 1 holds NaN or infinity"),
        (frame(FINE).assign(x_Au=0.0, x_Ni=["a"]), "must be numbers"),
        (frame(FINE).assign(energy=0.0), "column 'energy'; the model knows"),
        (frame(FINE).assign(lattice_fcc=1.0), "column 'lattice_fcc'"),
        (frame(FINE).assign(Ni=0.0), "names an element twice"),
        (np.array([FINE, [0.2, 0.3, 0.4]]), "row 1 has fractions that do not sum to one"),
        (np.array([FINE])[:, :2], r"needs 3 columns, one for each of \['Ni', 'Cu', 'Pd'\]"),
        (np.eye(4), "needs 3 columns"),
        ([Composition("NiPd"), Composition("NiAu")], r"row 1 \(.*\) holds \['Au'\]"),
        ([Composition("NiPd"), Composition()], r"row 1 \(.*\) holds nothing"),
    ],
)
def test_tables_that_are_refused(model, X, message):
    with pytest.raises(ValueError, match=message):
        model.predict(X, phase="fcc")
    with pytest.raises(ValueError, match=message):
        model.predict_composition(X, phase="fcc")


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (["NiPd", "NiAu2"], r"row 1 \(NiAu2\) holds \['Au'\]"),
        (["NiPd", "Ni-"], r"row 1 \('Ni-'\) is no composition"),
        (["NiPd", ""], "row 1 .* is no composition"),
        ([{"Ni": 1}, {"Ni": -0.5, "Pd": 1}], "row 1 .* is no composition"),
        (["NiPd", {"Ni": 0.4, "Pd": 0.5}], "row 1 .* fractions sum to 0.9 and not to one"),
        ([{"Ni": 0.5, "Cu": np.nan}], "row 0 .* is no composition: an amount is NaN"),
        ([{"Ni": 1}, {"Xx": 1}], "row 1 .*(is no composition|holds)"),
        (["NiPd", None], "row 1 .* is no composition"),
        (["NiPd", 3], "row 1 .* is no composition"),
    ],
)
def test_formulas_that_are_refused(model, X, message):
    with pytest.raises(ValueError, match=message):
        model.predict_composition(X, phase="fcc")


@pytest.mark.parametrize("item", ["NiPd", {"Ni": 0.5, "Pd": 0.5}])
def test_formulas_are_sent_where_they_belong(model, item):
    with pytest.raises(TypeError, match=r"row 0 is .* pass formulas .* to predict_composition"):
        model.predict([item])
    with pytest.raises(TypeError, match="pass formulas and dicts"):
        model.predict([item], phase="fcc")


def test_score_takes_the_phase(model, grid):
    told = model.predict(grid, phase="fcc")
    assert model.score(grid, told, phase="fcc") == 1
    assert model.score(grid, told + np.linspace(-1, 1, len(told)), phase="fcc") < 1


@pytest.mark.parametrize("single", ["NiPd", Composition("NiPd"), {"Ni": 1.0}])
def test_a_single_composition_is_refused(model, single):
    with pytest.raises(TypeError, match="single composition; pass a list"):
        model.predict_composition(single, phase="fcc")
    with pytest.raises((TypeError, ValueError), match=r"single|list"):
        model.predict(single)


def test_nothing_is_refused(model):
    for nothing in ([], np.empty((0, 3)), frame()):
        with pytest.raises(ValueError, match="empty"):
            model.predict(nothing, phase="fcc")
        with pytest.raises(ValueError, match="empty"):
            model.predict_composition(nothing, phase="fcc")
    with pytest.raises(ValueError, match="empty"):
        model.predict([])


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        (None, r"pass phase, one of \['bcc', 'fcc'\]"),
        ("hcp", r"row 0 has the phase 'hcp'; fit saw \['bcc', 'fcc'\]"),
        (["bcc", "fcc", "hcp"], "row 2 has the phase 'hcp'"),
        (["bcc", "fcc"], r"one for each of 3 rows; got the shape \(2,\)"),
        ([["bcc"], ["fcc"], ["bcc"]], r"shape \(3, 1\)"),
        (["bcc", None, "fcc"], "row 1 has the phase None; pass a string"),
        (["bcc", "fcc", np.nan], "row 2 has the phase"),
        ([0, 1, 1], "row 0 has the phase 0; pass a string"),
    ],
)
def test_phases_that_are_refused(model, phase, message):
    for X in (np.array([FINE] * 3), [Composition("NiPd")] * 3):
        with pytest.raises(ValueError, match=message):
            model.predict(X, phase=phase)
    with pytest.raises(ValueError, match=message):
        model.predict_composition(["NiPd"] * 3, phase=phase)
    with pytest.raises(ValueError, match=message):
        model.lattice_probability(["NiPd"] * 3, phase=phase)


def test_structures_and_compositions_are_told_apart(model, alloys, tmp_path):
    structures = alloys[0][:2]
    with pytest.raises(TypeError, match="mixes 1 compositions with 2 other items"):
        model.predict([*structures, Composition("NiPd")], phase="fcc")
    with pytest.raises(ValueError, match=r"leave phase out.*predict_composition"):
        model.predict(structures, phase="fcc")
    # A string is a path, unless it can only be a formula.
    with pytest.raises(InvalidStructureError, match=r"alloy\.cif"):
        model.predict(["alloy.cif"])
    path = tmp_path / "alloy.cif"
    structures[0].to(str(path))
    assert_allclose(model.predict([str(path)]), model.predict(structures[:1]), atol=1e-3)


def test_fit_refuses(alloys, targets, monkeypatch):
    structures, _, phase, _ = alloys
    y = targets[NAMES[0]].to_numpy()
    monkeypatch.setattr(_regressor, "ECNetFeaturizer", None)  # nothing is trained before
    broken = y.copy()
    broken[[3, 7]] = np.nan, np.inf
    wrong = phase.astype(object)
    wrong[5] = None
    for message, *args in [
        (r"y is NaN or infinite in rows \[3, 7\]", structures, broken, phase),
        ("y must be numeric", structures, ["a"] * 48, phase),
        (r"y must have the shape", structures, np.zeros((48, 1, 1)), phase),
        (r"y must have the shape", structures, 3.0, phase),
        ("inconsistent numbers of samples", structures, y[:-1], phase),
        (r"one for each of 48 rows; got the shape \(47,\)", structures, y, phase[:-1]),
        (r"one for each of 48 rows; got the shape \(\)", structures, y, "fcc"),
        ("row 5 has the phase None", structures, y, wrong),
    ]:
        model = tiny()
        with pytest.raises(ValueError, match=message):
            model.fit(*args)
        assert not [name for name in vars(model) if name.endswith("_")]
    for name, value in {"n_components": 0, "n_iterations": 0, "ecnet": 3, "regressor": "a"}.items():
        with pytest.raises(ValueError, match=f"'{name}' parameter"):
            clone(tiny()).set_params(**{name: value}).fit(structures, y)


def test_unfitted_raises(alloys):
    for call in (tiny().predict, tiny().predict_composition, tiny().lattice_probability):
        with pytest.raises(NotFittedError):
            call(["NiPd"])


def test_a_regressor_that_knows_no_uncertainty(graphs, targets):
    y = targets[NAMES[0]]
    plain = tiny(Ridge(), ecnet=ecnet(max_epochs=1)).fit(graphs, y)
    with pytest.raises(ValueError, match="leave out max_uncertainty or return_std"):
        plain.predict(np.array([FINE]), phase="fcc", return_std=True)
    assert plain.predict(np.array([FINE]), phase="fcc").shape == (1,)
    # The spread of the networks needs no regressor.
    assert plain.predict(graphs[:2], return_std=True)[1].shape == (2,)
    for regressor in (BayesianRidge(), RandomForestRegressor(5, max_features=1)):
        told = tiny(regressor, ecnet=ecnet(max_epochs=1)).fit(graphs, y)
        X = np.array([FINE, [0.4, 0.4, 0.2]])
        mean, std = told.predict(X, phase="fcc", return_std=True)
        assert_allclose(mean, told.predict(X, phase="fcc"), rtol=1e-6)
        assert (std > 0).all()


# -- extrapolation


def test_far_compositions_are_warned_of(model, alloys):
    x = alloys[1]
    kinds = np.unique(x, axis=0)
    distance = np.linalg.norm(kinds[:, None] - kinds[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    reach = distance.min(axis=1).max()

    def gap(rows):
        return np.linalg.norm(np.asarray(rows)[:, None] - kinds[None], axis=2).min(axis=1)

    corner = np.array([[0.0, 1.0, 0.0], [0.05, 0.9, 0.05], FINE])
    assert gap(corner)[0] > reach > gap(corner)[2]
    outside = ((corner > x.max(axis=0)) | (corner < x.min(axis=0))).any(axis=1)
    far = (gap(corner) > reach) | outside
    n_far = far.sum()
    X = np.vstack([x, corner[::-1], x])
    first = len(x) + np.flatnonzero(far[::-1])[0]
    message = rf"^{n_far} of {len(X)} compositions are .* the first is row {first}\."
    for call in (model.predict, model.predict_composition):
        with pytest.warns(ExtrapolationWarning, match=message) as caught:
            call(X, phase="fcc")
        assert caught[0].filename == __file__
    objects = [Composition(dict(zip(ELEMENTS, row))) for row in X]
    with pytest.warns(ExtrapolationWarning, match=message) as caught:
        model.predict(objects, phase="fcc")
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(x, phase="fcc")
        # What was trained on a grid reaches from point to point, but not further.
        on_grid = np.array([[0.5, 0.5, 0], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5], [0.5, 0.25, 0.25]])
        edge = ExtrapolationDetector(on_grid).max_distance
        assert edge == pytest.approx(0.125**0.5, abs=2e-6)


def test_pure_elements_are_beyond_binaries():
    # As far from Fe3Ni as that is from FeNi, but no training row has so much of one element.
    detector = ExtrapolationDetector(np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]))
    message = r"^2 of 3 .*more or less of an element.* row 1\."
    with pytest.warns(ExtrapolationWarning, match=message):
        detector.warn(np.array([[0.6, 0.4], [1.0, 0.0], [0.0, 1.0]]))


def test_one_training_composition_reaches_a_little():
    assert ExtrapolationDetector(np.array([FINE] * 5)).max_distance == 0.1


# -- conventions


def test_seed_clone_pickle_and_order(model, graphs, alloys, targets, grid):
    again = clone(model).fit(graphs, targets[NAMES[0]], phase=alloys[2])
    expected, std = model.predict(grid, phase="bcc", return_std=True)
    for same in (again, pickle.loads(pickle.dumps(model))):
        told = same.predict(grid, phase="bcc", return_std=True)
        assert_array_equal(told, [expected, std])
        assert_array_equal(same.predict(graphs[:5]), model.predict(graphs[:5]))
    other = clone(model).set_params(random_state=1)
    other.fit(graphs, targets[NAMES[0]], phase=alloys[2])
    assert np.abs(other.predict(grid, phase="bcc") - expected).max() > 1e-4
    assert set(model.get_params(deep=False)) == set(model._parameter_constraints)
    assert model.get_params()["augmenter__max_epochs"] == 20


def test_order_and_pieces_change_nothing(both, grid, monkeypatch):
    X = np.tile(grid, (40, 1))
    phase = np.resize(["bcc", "fcc", "fcc"], len(X))
    whole = both.predict(X, phase=phase)
    monkeypatch.setattr(_regressor, "_CHUNK", 7)
    assert_allclose(both.predict(X, phase=phase), whole, atol=1e-4)
    order = np.random.default_rng(0).permutation(len(X))
    assert_allclose(both.predict(X[order], phase=phase[order]), whole[order], atol=1e-4)
    mean, std = both.predict(X[:40], phase=phase[:40], return_std=True)
    alone = [both.predict(X[k : k + 1], phase=phase[k], return_std=True) for k in range(40)]
    assert_allclose(mean, np.vstack([m for m, _ in alone]), rtol=1e-6)
    assert_allclose(std, np.vstack([s for _, s in alone]), rtol=1e-4)


def test_inputs_are_left_alone(model, alloys, targets):
    table = frame(*alloys[1])
    before = table.copy()
    phase = alloys[2].astype(object)
    model.predict(table, phase=phase)
    pd.testing.assert_frame_equal(table, before)
    assert phase.tolist() == alloys[2].tolist()


def test_parameters_reach_the_stages(graphs, alloys, targets):
    y = targets[NAMES[0]]
    given = infogan(max_epochs=3, random_state=5)
    network = ecnet(max_epochs=1, random_state=7)
    own = EFTGANRegressor(network, given, n_components=2).fit(graphs, y)
    assert own.augmenter_.random_state == 5
    assert own.ecnet_.random_state == 7
    assert own.augmenter_.n_iterations == 1
    forest = make_pipeline(StandardScaler(), RandomForestRegressor(3, random_state=9))
    seeded = EFTGANRegressor(
        network, given, forest, n_components=2, n_iterations=2, random_state=3
    ).fit(graphs, y)
    assert seeded.augmenter_.n_iterations == 2
    assert len(seeded.augmenter_.validation_errors_) == 2
    seeds = {
        seeded.augmenter_.random_state,
        seeded.ecnet_.random_state,
        seeded.regressor_[-1].random_state,
    }
    assert len(seeds) == 3
    assert not seeds & {3, 5, 7, 9}
    # What was handed over is as it was.
    assert (given.random_state, given.n_iterations, network.random_state) == (5, 1, 7)
    assert not hasattr(given, "gans_")
    assert forest[-1].random_state == 9


def test_a_trained_network_is_taken_as_it_is(model, graphs, alloys, targets):
    frozen = tiny(ecnet=FrozenEstimator(model.ecnet_)).fit(graphs, targets[NAMES[0]])
    assert_array_equal(frozen.predict(graphs[:9]), model.predict(graphs[:9]))


def test_in_cross_validation(alloys, targets):
    y = targets[NAMES[0]].to_numpy()
    quick = tiny(ecnet=ecnet(max_epochs=1), augmenter=infogan(max_epochs=2))
    scores = cross_val_score(quick, alloys[0], y, cv=2, error_score="raise")
    assert np.isfinite(scores).all()


# -- leaks


def test_held_out_rows_are_never_seen(graphs, alloys, targets):
    """Other structures and targets in the test fold change no prediction for it from outside."""
    y = targets[NAMES[0]].to_numpy()
    (train, test), *_ = KFold(4, shuffle=True, random_state=0).split(y)
    quick = tiny(augmenter=infogan(n_samples=8, max_epochs=5), n_iterations=2)
    told = cross_val_predict(quick, graphs, y, cv=[(train, test), (test, train)])[test]
    spoiled = y.copy()
    spoiled[test] += 100
    fold = clone(quick).fit(graphs[train], spoiled[train])
    assert_array_equal(fold.predict(graphs[test]), told)
    direct = clone(quick).fit(graphs[train], y[train])
    x = alloys[1][test]
    assert_array_equal(fold.predict(x, phase="fcc"), direct.predict(x, phase="fcc"))


def test_every_stage_sees_the_training_rows_and_no_others(graphs, alloys, targets, monkeypatch):
    seen = {}

    def watch(owner, method, name):
        original = getattr(owner, method)

        def watched(self, X, *args, **kwargs):
            seen.setdefault(name, []).append(np.asarray(args[0], dtype=object).tolist())
            return original(self, X, *args, **kwargs)

        monkeypatch.setattr(owner, method, watched)

    watch(_regressor.ECNetFeaturizer, "fit_transform", "table")
    watch(ECNetRegressor, "fit", "network")
    watch(InfoGANAugmenter, "fit_resample", "augmenter")
    watch(LatticeRelaxation, "fit", "relaxation")
    watch(BayesianRidge, "fit", "regressor")
    # Each row has a target of its own, so that targets tell which rows were there.
    y = np.arange(48.0)
    train = np.random.default_rng(0).permutation(48)[:30]
    phase = alloys[2][train]
    tiny(BayesianRidge(), augmenter=infogan()).fit(graphs[train], y[train], phase)
    assert seen.pop("relaxation") == [phase.tolist()]
    assert set(seen) == {"table", "network", "augmenter", "regressor"}
    for name, calls in seen.items():
        assert calls == [y[train].tolist()], name


# -- what it is for


def test_learns_what_composition_and_lattice_say():
    """Energies of random alloys are predicted nearly as well as by a Gaussian process."""
    alloys = make_alloys(90, lattice=["bcc", "fcc"], n_atoms=16, order=0.0)
    y, phase = alloys.target, alloys.frame["lattice"].to_numpy()
    x = alloys.frame[[f"x_{symbol}" for symbol in ("Ni", "Cu", "Pd", "Pt")]]
    train, test = np.arange(60), np.arange(60, 90)
    model = EFTGANRegressor(
        ECNetRegressor(max_epochs=60, n_ensemble=2),
        InfoGANAugmenter(n_samples=0, max_epochs=200, n_ensemble=2),
        random_state=0,
    ).fit([alloys.data[row] for row in train], y[train], phase=phase[train])
    table = x.assign(bcc=phase == "bcc").to_numpy(float)
    process = GaussianProcessRegressor(
        ConstantKernel() * RBF() + WhiteKernel(), normalize_y=True, random_state=0
    ).fit(table[train], y[train])

    def error(told):
        return np.sqrt(np.mean((told - y[test]) ** 2))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        without = error(model.predict(x.iloc[test], phase=phase[test]))
    mean, rival = error(y[train].mean()), error(process.predict(table[test]))
    assert without < 0.4 * mean
    assert without < 1.25 * rival
