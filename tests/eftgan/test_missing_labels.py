"""Several targets, some of whose labels are missing: each stage learns from the known ones."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import BayesianRidge, LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_validate
from tiny_eftgan import NAMES, ecnet, infogan, tiny

from sklmat import InfoGANAugmenter, MixupAugmenter
from sklmat.augmentation import GaussianProcessLabeler, KnownLabelsRegressor
from sklmat.model_selection import masked_scorer

#: Rows without a label of the second target.
MISSING = slice(2, 48, 3)


@pytest.fixture(scope="module")
def holes(targets):
    holes = targets.copy()
    holes.iloc[MISSING, 1] = np.nan
    return holes


@pytest.fixture(scope="module")
def fitted(graphs, alloys, holes):
    return tiny(augmenter=infogan(n_samples=6)).fit(graphs, holes, phase=alloys[2])


def test_network_scales_known_labels(fitted, holes):
    assert_allclose(fitted.estimator_.y_mean_, holes.mean())
    assert_allclose(fitted.estimator_.y_scale_, holes.std(ddof=0))


def test_regressor_is_fitted_on_rows_with_a_known_label(fitted, alloys, holes):
    known = holes[NAMES[1]].notna().to_numpy()
    processes = fitted.regressor_.processes_
    # The added rows have labels of both targets.
    assert [len(p.processes_[0][0][-1].X_train_) for p in processes] == [48 + 6, 32 + 6]
    own = BayesianRidge()
    model = tiny(own, estimator=ecnet(max_epochs=1)).fit(alloys[0], holes, phase=alloys[2])
    table = model.featurizer_.transform(alloys[0])
    generated = model.augmenter_.sample(table, noise=False)
    generated["phase_bcc"] = 1.0 * (alloys[2] == "bcc")
    generated["phase_fcc"] = 1.0 * (alloys[2] == "fcc")
    by_hand = BayesianRidge().fit(generated[known], holes[NAMES[1]][known])
    found, deviation = model.regressor_.predict(generated, return_std=True)
    assert_allclose(found[:, 1], by_hand.predict(generated))
    assert_allclose(deviation[:, 1], by_hand.predict(generated, return_std=True)[1])
    first = BayesianRidge().fit(generated, holes[NAMES[0]])
    assert_allclose(found[:, 0], first.predict(generated))


def test_predictions_and_scores(fitted, graphs, alloys, holes, grid):
    assert np.isfinite(fitted.predict(grid, phase="fcc")).all()
    predicted = fitted.predict(graphs)
    known = holes[NAMES[1]].notna().to_numpy()
    by_hand = [
        r2_score(holes[NAMES[0]], predicted[:, 0]),
        r2_score(holes[NAMES[1]][known], predicted[known, 1]),
    ]
    assert fitted.score(graphs, holes) == pytest.approx(np.mean(by_hand))
    network = fitted.estimator_
    assert network.score(graphs, holes) == pytest.approx(np.mean(by_hand))
    full = holes.fillna(0.0)
    assert network.score(graphs, full) == r2_score(full, predicted)
    with pytest.raises(ValueError, match=r"target 'moment .* has 1 known labels in these 4 rows"):
        network.score(graphs[:4], holes[:4].assign(**{NAMES[1]: [1.0, None, None, None]}))


def test_folds_with_missing_labels(graphs, holes):
    found = cross_validate(
        ecnet(max_epochs=1, random_state=0),
        graphs,
        holes,
        cv=KFold(2),
        scoring={"mae": masked_scorer("neg_mean_absolute_error"), "r2": masked_scorer("r2")},
        error_score="raise",
    )
    default = cross_validate(
        ecnet(max_epochs=1, random_state=0), graphs, holes, cv=KFold(2), error_score="raise"
    )
    assert_array_equal(default["test_score"], found["test_r2"])


def test_labels_of_held_out_rows_shape_nothing(graphs, holes):
    """Extreme labels of the test rows, or none: the fitted model is the same."""
    extreme = holes.copy()
    extreme.iloc[24:] = 1e9
    missing = holes.copy()
    missing.iloc[24:, 1] = np.nan
    train = np.arange(24)
    first, second = (
        tiny(estimator=ecnet(max_epochs=1)).fit(graphs[train], y.iloc[train])
        for y in (extreme, missing)
    )
    assert_array_equal(first.predict(graphs), second.predict(graphs))


# -- the augmenter


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(1)
    x = rng.uniform(size=40)
    X = pd.DataFrame({"x_Ni": x, "x_Cu": 1 - x, "Ni_0": np.sin(x), "Cu_0": x**2})
    y = np.column_stack([X["Ni_0"], X["Cu_0"]])
    y[::4, 0] = y[1::4, 1] = np.nan
    return X, y


def test_labeler_is_fitted_on_known_labels(table):
    X, y = table
    augmenter = InfoGANAugmenter(
        n_samples=5, max_epochs=3, n_ensemble=1, labeler=LinearRegression(), random_state=0
    )
    X_more, y_more = augmenter.fit_resample(X, y)
    assert_array_equal(y_more[:40], y)
    for target, known in enumerate(~np.isnan(y).T):
        by_hand = LinearRegression().fit(X[known], y[known, target])
        assert_allclose(y_more[40:, target], by_hand.predict(X_more[40:]))
    default = InfoGANAugmenter(n_samples=5, max_epochs=3, n_ensemble=1, random_state=0)
    assert np.isfinite(default.fit_resample(X, y)[1][40:]).all()
    assert isinstance(default.labeler_, KnownLabelsRegressor)
    assert isinstance(default.labeler_.estimator, GaussianProcessLabeler)


def test_targets_in_the_code_of_the_gan_are_known(table, monkeypatch):
    """Rows with a missing label are left out where the target is a part of the code."""
    from sklmat.augmentation import _iterated_gan

    X, y = table
    n_rows = []
    train = _iterated_gan.train_gan

    def spy(gan, features, code, *args, **kwargs):
        assert np.isfinite(code.numpy()).all()
        n_rows.append(len(code))
        return train(gan, features, code, *args, **kwargs)

    monkeypatch.setattr(_iterated_gan, "train_gan", spy)
    augmenter = InfoGANAugmenter(
        n_samples=4,
        max_epochs=2,
        n_ensemble=1,
        n_iterations=2,
        labeler=Ridge(),
        validation_fraction=0.25,
        random_state=0,
    )
    _, y_more = augmenter.fit_resample(X, y)
    assert np.isfinite(y_more[40:]).all()
    assert np.isfinite(augmenter.validation_errors_).all()
    # 30 training rows, those of them with both labels and 30 generated; the same for all 40 rows.
    assert n_rows[0] == 30
    assert n_rows[-1] in (40, 20 + 40)
    assert 30 < n_rows[1] < 60


def test_what_samplers_refuse(table):
    X, y = table
    gan = InfoGANAugmenter(n_samples=1, max_epochs=1, n_ensemble=1, labeler=Ridge())
    broken = y.copy()
    broken[7] = np.nan
    with pytest.raises(ValueError, match="y contains NaN or infinity, first in row 7"):
        gan.fit_resample(X, broken)
    broken[7] = np.nan, np.inf
    with pytest.raises(ValueError, match="first in row 7"):
        gan.fit_resample(X, broken)
    with pytest.raises(ValueError, match="target 1 has no known label"):
        gan.fit_resample(X, np.where([True, False], np.nan_to_num(y), np.nan))
    with pytest.raises(ValueError, match="first in row 0"):
        MixupAugmenter().fit_resample(X, y)
    with pytest.raises(ValueError, match="first in row 0"):
        gan.fit_resample(X, y[:, 0])


def test_eftgan_refuses(graphs, holes, targets):
    for y, message in [
        (holes.assign(**{NAMES[1]: np.nan}), r"no row has target \[1\]"),
        (holes.mask(pd.Series(np.arange(48) == 5), axis=0), r"NaN in all targets, in rows \[5\]"),
        (targets[NAMES[0]].mask(np.arange(48) == 5), r"NaN or infinite in rows \[5\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            tiny().fit(graphs, y)
