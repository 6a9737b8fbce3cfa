"""Boosting that stops early inside a Pipeline, on rows that no step has seen."""

import pickle
import sys
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from imblearn.pipeline import Pipeline as SamplingPipeline
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from xgboost import XGBClassifier, XGBRegressor

from sklmat import (
    AugmentedRegressor,
    CompositionFeaturizer,
    EarlyStoppingClassifier,
    EarlyStoppingRegressor,
    MixupAugmenter,
    NoiseAugmenter,
    PerturbationSampler,
    StructureOverSampler,
    composition_groups,
)
from sklmat.estimator_checks import make_toy_crystals
from sklmat.exceptions import InvalidStructureError
from sklmat.model_selection._group_labels import row_labels

XGB = {"n_estimators": 200, "learning_rate": 0.3, "max_depth": 2, "n_jobs": 1}
HIST = {"max_iter": 200, "learning_rate": 0.3, "min_samples_leaf": 2}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    return X, X[:, 0] ** 2 + X[:, 1] + rng.normal(scale=0.3, size=80)


@pytest.fixture(scope="module")
def classes(table):
    return np.where(table[1] > 1.0, "metal", "insulator")


def split_of(model, n):
    held_out = np.isin(np.arange(n), model.validation_rows_)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


# -- the same as by hand


def test_xgboost_stops_as_by_hand(table):
    X, y = table
    pipeline = make_pipeline(StandardScaler(), PCA(3), XGBRegressor(**XGB))
    model = EarlyStoppingRegressor(pipeline, n_iter_no_change=5, random_state=0).fit(X, y)
    train, test = split_of(model, 80)
    assert len(test) == 8
    scaler = StandardScaler().fit(X[train])
    pca = PCA(3).fit(scaler.transform(X[train]))
    by_hand = XGBRegressor(**XGB, early_stopping_rounds=5).fit(
        pca.transform(scaler.transform(X[train])),
        y[train],
        eval_set=[(pca.transform(scaler.transform(X[test])), y[test])],
        verbose=False,
    )
    assert model.n_iter_ == by_hand.best_iteration + 1 < 100
    expected = by_hand.predict(pca.transform(scaler.transform(X)))
    np.testing.assert_array_equal(model.predict(X), expected)
    # The parameter is not changed.
    assert pipeline[-1].early_stopping_rounds is None


def test_scikit_learn_stops_as_by_hand(table):
    X, y = table
    hist = HistGradientBoostingRegressor(**HIST, random_state=0)
    model = EarlyStoppingRegressor(make_pipeline(StandardScaler(), hist), random_state=1).fit(X, y)
    train, test = split_of(model, 80)
    scaler = StandardScaler().fit(X[train])
    by_hand = (
        clone(hist)
        .set_params(early_stopping=True)
        .fit(scaler.transform(X[train]), y[train], X_val=scaler.transform(X[test]), y_val=y[test])
    )
    np.testing.assert_array_equal(model.predict(X), by_hand.predict(scaler.transform(X)))
    scores = by_hand.validation_score_
    assert scores[model.n_iter_] == scores.max()
    assert by_hand.n_iter_ == model.estimator_[-1].n_iter_ == model.n_iter_ + 10


def test_lightgbm_is_given_validation_rows(table, monkeypatch):
    given = {}

    class LGBMModel(RegressorMixin, BaseEstimator):
        def fit(self, X, y, sample_weight=None, **others):
            given.update(others, X=X)
            self.best_iteration_ = 7
            return self

        def predict(self, X):
            return np.zeros(len(X))

    stub = SimpleNamespace(early_stopping=lambda rounds, verbose: ("stop after", rounds, verbose))
    monkeypatch.setitem(sys.modules, "lightgbm", stub)
    X, y = table
    model = EarlyStoppingRegressor(make_pipeline(StandardScaler(), LGBMModel()), random_state=0)
    model.fit(X, y, sample_weight=np.full(80, 2.0))
    assert model.n_iter_ == 7
    assert given["callbacks"] == [("stop after", 10, False)]
    ((X_val, y_val),) = given["eval_set"]
    np.testing.assert_array_equal(y_val, y[model.validation_rows_])
    np.testing.assert_array_equal(X_val, model.estimator_[0].transform(X[model.validation_rows_]))
    assert given["eval_sample_weight"][0].tolist() == [2.0] * 8
    assert len(given["X"]) == 72


def test_lightgbm_stops(table):
    lightgbm = pytest.importorskip("lightgbm")
    X, y = table
    boosting = lightgbm.LGBMRegressor(n_estimators=300, min_child_samples=2, n_jobs=1, verbose=-1)
    model = EarlyStoppingRegressor(boosting, random_state=0, refit=True).fit(X, y)
    assert 0 < model.n_iter_ < 300
    assert model.estimator_.n_estimators == model.n_iter_


def test_refit_uses_all_rows_and_the_number_found(table):
    X, y = table
    for boosting, limit in (
        (XGBRegressor(**XGB), "n_estimators"),
        (HistGradientBoostingRegressor(**HIST), "max_iter"),
    ):
        pipeline = make_pipeline(StandardScaler(), boosting)
        model = EarlyStoppingRegressor(pipeline, refit=True, random_state=0).fit(X, y)
        found = EarlyStoppingRegressor(pipeline, random_state=0).fit(X, y).n_iter_
        assert model.n_iter_ == found
        expected = clone(boosting).set_params(**{limit: found})
        expected = make_pipeline(StandardScaler(), expected).fit(X, y).predict(X)
        np.testing.assert_array_equal(model.predict(X), expected)


# -- nothing leaks


class Remembers(TransformerMixin, BaseEstimator):
    """Keeps the rows and targets that it was fitted to."""

    def fit(self, X, y=None):
        self.X_, self.y_ = np.array(X), np.array(y)
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return X


def test_validation_rows_shape_no_step(table):
    X, y = table
    steps = [
        ("noise", NoiseAugmenter(random_state=0)),
        ("mixup", MixupAugmenter(random_state=0)),
        ("scale", StandardScaler()),
        ("pca", PCA(3)),
        ("remember", Remembers()),
        ("boosting", XGBRegressor(**XGB)),
    ]
    model = EarlyStoppingRegressor(SamplingPipeline(steps), random_state=0).fit(X, y)
    wild_X, wild_y = X.copy(), y.copy()
    wild_X[model.validation_rows_] = 1e6 * np.arange(1, 9)[:, None]
    wild_y[model.validation_rows_] = -1e9
    wild = EarlyStoppingRegressor(SamplingPipeline(steps), random_state=0).fit(wild_X, wild_y)
    np.testing.assert_array_equal(wild.validation_rows_, model.validation_rows_)
    for name, _ in steps[:-1]:
        first, second = (pickle.dumps(m.estimator_.named_steps[name]) for m in (model, wild))
        assert first == second, name
    # The trees of the same iterations are the same, too: only their number differs.
    n = min(model.n_iter_, wild.n_iter_)
    trees = [m.estimator_[-1].get_booster()[:n].get_dump() for m in (model, wild)]
    assert trees[0] == trees[1]
    # 72 rows, doubled twice; no validation row is among the real ones.
    seen = model.estimator_.named_steps["remember"]
    assert len(seen.X_) == 288
    assert not set(y[model.validation_rows_]) & set(seen.y_)
    # Rows of the training do change the steps.
    wild_X[split_of(model, 80)[0][0]] = 1e6
    other = EarlyStoppingRegressor(SamplingPipeline(steps), random_state=0).fit(wild_X, wild_y)
    assert pickle.dumps(other.estimator_[2]) != pickle.dumps(model.estimator_[2])


def test_rows_without_weight_shape_nothing(table):
    X, y = table
    weight = np.where(np.arange(80) % 8 == 0, 0.0, 1.0)
    wild_X, wild_y = X.copy(), y.copy()
    wild_X[weight == 0], wild_y[weight == 0] = 1e6, -1e9
    pipeline = make_pipeline(StandardScaler(), XGBRegressor(**XGB))
    model, wild = (
        EarlyStoppingRegressor(pipeline, random_state=0).fit(*rows, sample_weight=weight)
        for rows in ((X, y), (wild_X, wild_y))
    )
    assert not np.isin(model.validation_rows_, np.flatnonzero(weight == 0)).any()
    np.testing.assert_array_equal(model.predict(X), wild.predict(X))


def test_weights_reach_training_and_validation(table):
    X, y = table
    weight = np.random.default_rng(1).uniform(0.1, 3.0, 80)
    model = EarlyStoppingRegressor(make_pipeline(StandardScaler(), XGBRegressor(**XGB)))
    model.set_params(random_state=0).fit(X, y, sample_weight=weight)
    train, test = split_of(model, 80)
    scaler = StandardScaler().fit(X[train])
    by_hand = XGBRegressor(**XGB, early_stopping_rounds=10).fit(
        scaler.transform(X[train]),
        y[train],
        sample_weight=weight[train],
        eval_set=[(scaler.transform(X[test]), y[test])],
        sample_weight_eval_set=[weight[test]],
        verbose=False,
    )
    assert model.n_iter_ == by_hand.best_iteration + 1
    np.testing.assert_array_equal(model.predict(X), by_hand.predict(scaler.transform(X)))
    steps = [("noise", NoiseAugmenter()), ("boosting", XGBRegressor(**XGB))]
    with pytest.raises(ValueError, match="a sampler made 144 of 72 rows, whose weights"):
        EarlyStoppingRegressor(SamplingPipeline(steps)).fit(X, y, sample_weight=weight)


# -- groups


def test_compositions_are_not_divided():
    X, y = make_toy_crystals(40)
    pipeline = make_pipeline(CompositionFeaturizer(), HistGradientBoostingRegressor(**HIST))
    groups = composition_groups(X)
    assert len(set(groups)) == 3
    for data in (X, pd.Series(X)):
        model = EarlyStoppingRegressor(pipeline, random_state=0).fit(data, y)
        train, test = split_of(model, 40)
        assert len(test)
        assert not set(groups[train]) & set(groups[test])
    # Single rows, where they are asked for.
    model.fit(X, y, groups=np.arange(40))
    assert len(model.validation_rows_) == 4
    # One composition cannot be kept together.
    one = np.flatnonzero(groups == groups[0])
    model.fit([X[i] for i in one], y[one])
    assert len(model.validation_rows_) == np.ceil(0.1 * len(one))


def test_given_groups_are_held_out_together(table):
    X, y = table
    groups = np.repeat(np.arange(20), 4)
    model = EarlyStoppingRegressor(XGBRegressor(**XGB), validation_fraction=0.2, random_state=0)
    model.fit(X, y, groups=groups)
    assert len(model.validation_rows_) == 16
    assert np.bincount(groups[model.validation_rows_]).tolist().count(4) == 4
    with pytest.raises(ValueError, match="no validation rows can be held out of 80 rows in 1 gro"):
        model.fit(X, y, groups=np.zeros(80))


def test_row_labels():
    fractions = pd.DataFrame({"x_Fe": [0.5, 1.0, 0.5], "x_Ni": [0.5, 0.0, 0.5], "T (K)": [1, 2, 3]})
    assert row_labels(fractions, None).tolist() == [0, 1, 0]
    # All rows, or all that are used, are of one composition.
    assert row_labels(fractions.iloc[::2], None).tolist() == [0, 1]
    assert row_labels(fractions, None, np.array([0, 2])).tolist() == [0, 1, 2]
    for plain in (fractions[["T (K)"]], fractions.to_numpy(), fractions.to_numpy().tolist()):
        assert row_labels(plain, None).tolist() == [0, 1, 2]
    assert row_labels(["Fe2O3", "NiO", "Fe4O6"], None).tolist() == [0, 1, 0]
    assert row_labels(fractions, ["b", "b", "a"]).tolist() == [1, 1, 0]


# -- classifiers


@pytest.mark.parametrize(
    "boosting", [XGBClassifier(**XGB), HistGradientBoostingClassifier(**HIST)], ids=["xgb", "hist"]
)
def test_classes_of_any_kind(table, classes, boosting):
    X, _ = table
    probabilities = []
    for y in (classes, classes == "metal", np.where(classes == "metal", 7, -2), classes.tolist()):
        model = EarlyStoppingClassifier(make_pipeline(StandardScaler(), boosting), random_state=0)
        model.fit(X, y)
        assert model.classes_.tolist() == sorted(set(np.asarray(y).tolist()))
        assert set(model.predict(X).tolist()) == set(np.asarray(y).tolist())
        probabilities.append(model.predict_proba(X))
        np.testing.assert_allclose(probabilities[-1].sum(axis=1), 1, atol=1e-6)
        np.testing.assert_array_equal(probabilities[-1], probabilities[0])
        chosen = model.classes_[probabilities[-1].argmax(axis=1)]
        np.testing.assert_array_equal(model.predict(X), chosen)
        assert model.score(X, y) > 0.8


# -- in searches and other tools


def test_cross_validation_search_clone_and_pickle(table, tmp_path):
    X, y = table
    pipeline = Pipeline([("scale", StandardScaler()), ("xgb", XGBRegressor(**XGB))])
    model = EarlyStoppingRegressor(pipeline, random_state=0)
    groups = np.repeat(np.arange(20), 4)
    found = cross_validate(
        model,
        X,
        y,
        groups=groups,
        cv=GroupKFold(4),
        params={"groups": groups},
        return_estimator=True,
        return_indices=True,
        error_score="raise",
    )
    for fitted, rows in zip(found["estimator"], found["indices"]["train"]):
        held_out = groups[rows][fitted.validation_rows_]
        assert np.bincount(held_out)[np.unique(held_out)].tolist() == [4] * len(set(held_out))
    grid = {"estimator__xgb__max_depth": [1, 3], "validation_fraction": [0.1, 0.3]}
    search = GridSearchCV(model, grid, cv=3, error_score="raise").fit(X, y)
    assert len(search.best_estimator_.validation_rows_) in (8, 24)
    fitted = clone(model).fit(X, y)
    assert fitted.n_features_in_ == 4
    joblib.dump(fitted, tmp_path / "model.joblib")
    again = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert not hasattr(clone(fitted), "n_iter_")


def test_groups_and_weights_by_metadata_routing(table):
    X, y = table
    groups, weight = np.repeat(np.arange(20), 4), np.where(np.arange(80) < 40, 1.0, 2.0)
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        model = EarlyStoppingRegressor(make_pipeline(scaler, XGBRegressor(**XGB)), random_state=0)
        model.set_fit_request(groups=True, sample_weight=True)
        model.set_score_request(sample_weight=False)
        found = cross_validate(
            model,
            X,
            y,
            params={"groups": groups, "sample_weight": weight},
            return_estimator=True,
            error_score="raise",
        )
    assert np.isfinite(found["test_score"]).all()
    assert {len(fitted.validation_rows_) for fitted in found["estimator"]} == {4}


def test_samplers_of_structures_before_the_featurizer():
    X, volumes = make_toy_crystals(40)
    y = np.where(np.arange(40) % 5 == 0, "rare", "common")
    steps = [
        ("balance", StructureOverSampler(budget=0.05, random_state=0)),
        ("features", CompositionFeaturizer()),
        ("boosting", HistGradientBoostingClassifier(**HIST)),
    ]
    model = EarlyStoppingClassifier(SamplingPipeline(steps), random_state=0)
    model.fit(X, y, groups=np.arange(40))
    # 32 common and 8 rare crystals, of which 4 and 1 are held out.
    assert sorted(y[model.validation_rows_]) == ["common"] * 4 + ["rare"]
    assert model.estimator_["balance"].sampling_strategy_ == {"rare": 21}
    steps[0] = ("perturb", PerturbationSampler(random_state=0))
    steps[-1] = ("boosting", XGBRegressor(**XGB))
    model = EarlyStoppingRegressor(SamplingPipeline(steps), random_state=0)
    assert model.fit(X, volumes, groups=np.arange(40)).predict(X).shape == (40,)
    assert len(model.estimator_["perturb"].sample_origin_) == 72


def test_errors_name_rows_of_the_input():
    X, y = make_toy_crystals(12)
    pipeline = make_pipeline(CompositionFeaturizer(), HistGradientBoostingRegressor(**HIST))
    model = EarlyStoppingRegressor(pipeline, validation_fraction=0.5, random_state=0)
    close = X[10].copy()
    close.translate_sites([0], close.frac_coords[1] - close.frac_coords[0] + 0.01)
    for row in range(12):
        broken = [*X[:row], close, *X[row + 1 :]]
        with pytest.raises(InvalidStructureError) as refused:
            model.fit(broken, y, groups=np.arange(12))
        assert refused.value.index == row


def test_what_cannot_stop_is_refused(table):
    X, y = table
    for wrong in (
        Ridge(),
        make_pipeline(StandardScaler(), Ridge()),
        AugmentedRegressor(XGBRegressor(), MixupAugmenter()),
    ):
        with pytest.raises(TypeError, match="takes validation rows: the last step must be"):
            EarlyStoppingRegressor(wrong).fit(X, y)
    with pytest.raises(ValueError, match="y holds only one class, 'metal'"):
        EarlyStoppingClassifier(XGBClassifier()).fit(X, ["metal"] * 80)
    with pytest.raises(ValueError, match=r"n_samples=1 \(rows with weight\)"):
        EarlyStoppingRegressor(XGBRegressor()).fit(X, y, sample_weight=np.eye(80)[3])
    with pytest.raises(TypeError, match="EarlyStoppingRegressor was given a classifier"):
        EarlyStoppingRegressor(XGBClassifier()).fit(X, y)
    with pytest.raises(TypeError, match="EarlyStoppingClassifier was given a regressor"):
        EarlyStoppingClassifier(XGBRegressor()).fit(X, y)


def on_purpose(estimator):
    return {
        "check_sample_weight_equivalence_on_dense_data": "other rows are drawn for validation",
    }


@parametrize_with_checks(
    [
        EarlyStoppingRegressor(HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=1)),
        EarlyStoppingClassifier(HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=1)),
    ],
    expected_failed_checks=on_purpose,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
