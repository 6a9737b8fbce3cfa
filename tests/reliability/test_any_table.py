"""Any table of alloys: samplers keep its rows, and what they add obeys the codes."""

import warnings

import numpy as np
import pandas as pd
import pytest
from any_examples import run_on_examples
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge

import sklmat

SYMBOLS = ["Al", "Co", "Cr", "Fe", "Ni", "Pd"]
PHASES = ["phase_bcc", "phase_fcc", "phase_hcp"]
CODE_SAMPLING = ["permute", "interpolate", "uniform"]


@st.composite
def any_table(draw):
    """Fractions, phases, columns per element that are zero without it, and other columns."""
    n_rows = draw(st.integers(4, 20))
    symbols = draw(st.permutations(SYMBOLS))[: draw(st.integers(2, 5))]
    phases = PHASES[: draw(st.integers(0, 3))]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    unit = 10.0 ** draw(st.integers(-6, 6))
    present = rng.random((n_rows, len(symbols))) < draw(st.sampled_from([0.3, 0.7, 1.0]))
    present[np.arange(n_rows), rng.integers(len(symbols), size=n_rows)] = True
    fractions = rng.dirichlet(np.ones(len(symbols)), n_rows) * present + 1e-3 * present
    fractions /= fractions.sum(axis=1, keepdims=True)
    table = {f"x_{symbol}": column for symbol, column in zip(symbols, fractions.T)}
    if phases:
        one_hot = np.eye(len(phases))[rng.integers(len(phases), size=n_rows)]
        table |= dict(zip(phases, one_hot.T))
    for number, symbol in enumerate(symbols):
        table[f"{symbol}_0"] = unit * rng.normal(size=n_rows) * present[:, number]
    table["volume per atom (Å³)"] = 12 + rng.normal(size=n_rows)
    columns = draw(st.permutations(list(table)))
    X = pd.DataFrame(table, columns=columns, index=rng.permutation(100)[:n_rows])
    return X, unit * rng.normal(size=n_rows)


def examples(quick, slow):
    """Run a test on a few tables and, as a slow test, on many."""
    return run_on_examples((quick, any_table()), (slow, any_table()))


def resampled(sampler, X, y):
    with warnings.catch_warnings():
        # Of InfoGANs that were hardly trained.
        warnings.simplefilter("ignore")
        return sampler.fit_resample(X, y)


def infogan(seed, **params):
    settings = {"n_samples": 15, "max_epochs": 2, "n_ensemble": 2, "hidden_dim": 4}
    return sklmat.InfoGANAugmenter(**settings, **params, random_state=seed)


def codes(X):
    return [column for column in X if column.startswith(("x_", "phase_"))]


def check_rows(X, new, *, interpolated):
    """Generated rows are alloys of the elements and phases of the real ones."""
    fractions = [column for column in X if column.startswith("x_")]
    phases = [column for column in X if column.startswith("phase_")]
    values = new[fractions].to_numpy()
    assert (values >= 0).all()
    np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-6)
    assert not values[:, (X[fractions] == 0).all()].any()
    if interpolated:
        assert (values >= X[fractions].min().to_numpy() - 1e-12).all()
        assert (values <= X[fractions].max().to_numpy() + 1e-12).all()
    if phases:
        assert np.isin(new[phases], [0, 1]).all()
        assert (new[phases].sum(axis=1) == 1).all()
        assert not new[phases].to_numpy()[:, ~X[phases].any().to_numpy()].any()
    for name in fractions:
        feature = new[f"{name[2:]}_0"].to_numpy()
        assert not feature[new[name].to_numpy() == 0].any()


def check_real_rows(X, y, X_all, y_all, before):
    pd.testing.assert_frame_equal(X, before, check_exact=True)
    pd.testing.assert_frame_equal(X_all.iloc[: len(X)], X, check_exact=True)
    np.testing.assert_array_equal(y_all[: len(X)], y)
    assert list(X_all) == list(X)
    assert X_all.index.is_unique
    assert np.isfinite(X_all).to_numpy().all()


@examples(6, 100)
def test_infogan(table, seed):
    X, y = table
    before = X.copy()
    sampling = CODE_SAMPLING[seed % 3]
    sampler = infogan(seed, code_sampling=sampling, labeler=Ridge())
    X_all, y_all = resampled(sampler, X, y)
    check_real_rows(X, y, X_all, y_all, before)
    new = X_all.iloc[len(X) :]
    check_rows(X, new, interpolated=sampling == "interpolate")
    if sampling == "permute":
        fractions = [column for column in X if column.startswith("x_")]
        real = {tuple(np.sort(row).round(12)) for row in X[fractions].to_numpy()}
        assert {tuple(np.sort(row).round(12)) for row in new[fractions].to_numpy()} <= real
    # Labels are those of the labeler, and given codes are kept exactly.
    np.testing.assert_allclose(y_all[len(X) :], sampler.labeler_.predict(new), rtol=1e-9)
    given = new[codes(X)]
    for noise in (True, False):
        same = sampler.sample(given, noise=noise)
        pd.testing.assert_frame_equal(same[codes(X)], given, check_exact=True)
        check_rows(X, same, interpolated=False)


@examples(3, 50)
def test_infogan_of_classes(table, seed):
    """Labels are classes of y, given by the labeler or, per class, by its own InfoGAN."""
    X, y = table
    before, labels = X.copy(), np.where(np.arange(len(y)) % 3, "b", "a")
    labels[:4] = ["a", "a", "b", "b"]
    predicted = infogan(seed, labeler=LogisticRegression())
    X_all, y_all = resampled(predicted, X, labels)
    check_real_rows(X, labels, X_all, y_all, before)
    encoded = predicted.labeler_.predict(X_all.iloc[len(X) :])
    assert y_all[len(X) :].tolist() == predicted.classes_[encoded].tolist()
    n_added = (labels == "b").sum() - (labels == "a").sum()
    per_class = infogan(seed, sampling_strategy="not majority")
    X_all, y_all = resampled(per_class, X, labels)
    check_real_rows(X, labels, X_all, y_all, before)
    assert (y_all[len(X) :] == ("a" if n_added > 0 else "b")).all()
    assert len(X_all) == len(X) + abs(n_added)
    check_rows(X, X_all.iloc[len(X) :], interpolated=False)


@examples(20, 300)
def test_simple_samplers(table, seed):
    X, y = table
    before = X.copy()
    for sampler in (sklmat.NoiseAugmenter(n_samples=15), sklmat.MixupAugmenter(n_samples=15)):
        X_all, y_all = resampled(sampler.set_params(random_state=seed), X, y)
        check_real_rows(X, y, X_all, y_all, before)
        # Mixtures of alloys lie between them.
        mixed = isinstance(sampler, sklmat.MixupAugmenter)
        check_rows(X, X_all.iloc[len(X) :], interpolated=mixed)
        if mixed:
            new = y_all[len(X) :]
            slack = 1e-12 * np.abs(y).max()
            assert y.min() - slack <= new.min() <= new.max() <= y.max() + slack


TABLE = pd.DataFrame(
    {"x_Fe": [0.2, 0.5, 0.9, 0.4], "x_Ni": [0.8, 0.5, 0.1, 0.6], "Fe_0": [1.0, 2.0, 4.0, 1.5]}
)
Y = np.array([0.1, 0.2, 0.5, 0.3])
SAMPLERS = [
    sklmat.NoiseAugmenter(),
    sklmat.MixupAugmenter(),
    sklmat.InfoGANAugmenter(max_epochs=1, n_ensemble=1, hidden_dim=4, labeler=Ridge()),
]


def name(sampler):
    return type(sampler).__name__


@pytest.mark.parametrize("sampler", SAMPLERS, ids=name)
def test_negative_fractions(sampler):
    """Row and values are named; samplers without codes warn, since scaled columns are allowed."""
    X = TABLE.copy()
    X.loc[2, ["x_Fe", "x_Ni"]] = [1.1, -0.1]
    message = r"are no fractions, .* row 2 has \[1\.1, -0\.1\]"
    if name(sampler) == "InfoGANAugmenter":
        with pytest.raises(ValueError, match=message):
            sampler.fit_resample(X, Y)
    else:
        with pytest.warns(UserWarning, match=message):
            sampler.fit_resample(X, Y)


def test_negative_fractions_of_codes():
    sampler = SAMPLERS[-1].fit(TABLE, Y)
    wrong = pd.DataFrame({"x_Fe": [0.5, 1.25], "x_Ni": [0.5, -0.25]})
    with pytest.raises(ValueError, match=r"codes: row 1 .*-0\.25"):
        sampler.sample(wrong)


@pytest.mark.parametrize("sampler", [*SAMPLERS, sklmat.PerturbationSampler()], ids=name)
@pytest.mark.parametrize("y", [[], np.empty((4, 0)), None], ids=["no rows", "no columns", "None"])
def test_empty_targets(sampler, y):
    X = TABLE
    if name(sampler) == "PerturbationSampler":
        X = sklmat.estimator_checks.make_toy_crystals(4)[0]
    message = "target y is None"
    if y is not None:
        message = "no target" if len(y) else r"inconsistent numbers of samples: \[4, 0\]"
    with pytest.raises(ValueError, match=message):
        sampler.fit_resample(X, y)
