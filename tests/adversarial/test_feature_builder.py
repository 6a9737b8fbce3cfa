"""The builder learns from training rows, judges them out-of-fold, and works in pipelines."""

import numpy as np
import pandas as pd
import pytest
from crystals import random_alloys, rattled_cells
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit, cross_validate
from sklearn.pipeline import FeatureUnion, Pipeline

from sklmat import (
    AdversarialFeatureBuilder,
    CGCNNClassifier,
    CGCNNRegressor,
    CompositionFeaturizer,
    ECNetClassifier,
    StructureAttack,
    StructureFeaturizer,
    StructureToGraph,
    contrast,
    find_adversarial_examples,
)
from sklmat.adversarial import _out_of_fold
from sklmat.adversarial._select_descriptors import select_descriptors

TINY = {"hidden_dim": 8, "n_conv": 1, "batch_size": 12, "max_epochs": 12, "random_state": 0}
SHORT = {**TINY, "max_epochs": 1}
NETWORK = ["margin (log-odds)", "flip budget (Å)", "spread under noise (log-odds)"]
BUDGET = 0.3


class Shapes(TransformerMixin, BaseEstimator):
    """Four columns: useful, useful but noisy, the same as the first, and constant."""

    seen = ()  # volumes of the crystals of each fit

    def fit(self, X, y=None):
        type(self).seen = (*type(self).seen, tuple(s.volume for s in X))
        self.n_ = len(X)
        return self

    def transform(self, X):
        volume = np.array([s.volume / len(s) for s in X])
        off = np.abs(volume - 2.9**3 / 2)  # from the border between the classes
        noisy = off + np.sin(1e4 * volume)
        return np.column_stack([off, noisy, 2 * off + 1, np.ones(len(X))])

    def get_feature_names_out(self, input_features=None):
        return np.array(["off", "noisy", "off again", "constant"], dtype=object)


class Watched(CGCNNClassifier):
    """A classifier that tells which crystals it was fitted on."""

    seen = ()

    def fit(self, X, y, sample_weight=None, checkpoint=None):
        volumes = np.abs(np.linalg.det(X.lattices))
        type(self).seen = (*type(self).seen, tuple(volumes))
        return super().fit(X, y, sample_weight, checkpoint)


def make(**params):
    attack = StructureAttack(budget=BUDGET, n_steps=3)
    defaults = {"attack": attack, "descriptors": Shapes(), "select": 1, "cv": 3, "random_state": 0}
    defaults["estimator"] = CGCNNClassifier(**TINY)
    return AdversarialFeatureBuilder(**{**defaults, **params})


@pytest.fixture(scope="module", autouse=True)
def _few_draws():
    """The spread under noise is that of 4 draws, not 32, which take most of the time here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_out_of_fold, "_N_DRAWS", 4)
        yield


@pytest.fixture(scope="module")
def cells():
    return rattled_cells(48)[0]


@pytest.fixture(scope="module")
def y():
    return (rattled_cells(48)[1] > 2.9).astype(int)


@pytest.fixture(scope="module")
def builder(cells, y):
    return make().fit(cells, y)


@pytest.fixture(scope="module")
def table(cells, y):
    return make().fit_transform(cells, y)


# What sees what -----------------------------------------------------------------------------------


def test_the_label_of_a_row_does_not_reach_its_own_columns(cells, y):
    folds = list(KFold(3, shuffle=True, random_state=0).split(cells))
    held_out, rest = folds[0][1], folds[0][0]
    planted = y.copy()
    planted[held_out] = 1 - planted[held_out]
    include = ("margin", "flip_budget", "spread_under_noise")
    honest = make(cv=folds, include=include).fit_transform(cells, y)
    leaked = make(cv=folds, include=include).fit_transform(cells, planted)
    np.testing.assert_array_equal(honest.iloc[held_out], leaked.iloc[held_out])
    # The leak is there to be seen: those rows did teach the networks of the other folds.
    assert (honest.iloc[rest] != leaked.iloc[rest]).any(axis=1).mean() > 0.9


def test_columns_of_training_rows_are_out_of_fold():
    cells = random_alloys(24)
    y = np.random.default_rng(1).permutation(np.arange(24) % 2)  # nothing to be learned
    params = {**TINY, "hidden_dim": 32, "n_conv": 2, "max_epochs": 40, "lr": 0.01}
    attack = StructureAttack(method="random", budget=0.05)
    model = make(include=("margin",), attack=attack, estimator=CGCNNClassifier(**params))
    margins = model.fit_transform(cells, y)[NETWORK[0]].to_numpy()
    # 24 fair coins: 2.5 standard deviations are 0.25.
    assert model.examples_["right"].mean() == pytest.approx(0.5, abs=0.25)
    assert model.estimator_.score(cells, y) > 0.9
    # Margins of the refitted network would tell which labels it has learned; these do not.
    sign = np.where(model.examples_["prediction"] == 1, 1, -1)
    assert abs(np.corrcoef(sign * margins, y)[0, 1]) < 0.5
    refitted = model.transform(cells)[NETWORK[0]].to_numpy()
    sign = np.where(model.estimator_.predict(cells) == 1, 1, -1)
    assert np.corrcoef(sign * refitted, y)[0, 1] > 0.8


def test_held_out_rows_are_seen_by_nobody(cells, y):
    XGBClassifier = pytest.importorskip("xgboost").XGBClassifier
    Shapes.seen, Watched.seen = (), ()
    union = FeatureUnion(
        [
            ("general", CompositionFeaturizer()),
            ("adv", make(estimator=Watched(**TINY))),
        ]
    )
    model = Pipeline([("features", union), ("xgb", XGBClassifier(n_estimators=5))])
    folds = list(KFold(2, shuffle=True, random_state=1).split(cells))
    result = cross_validate(model, cells, y, cv=folds, return_estimator=True)
    assert np.isfinite(result["test_score"]).all()
    volumes = np.array([c.volume for c in cells])
    assert len(set(volumes)) == 48
    assert len(Shapes.seen) == 2  # one fit of the descriptors per outer fold
    assert len(Watched.seen) == 2 * 4  # three inner folds and the refit

    def rows(seen):
        return {int(np.argmin(np.abs(volumes - v))) for v in seen}

    for k, (train, _) in enumerate(folds):
        assert rows(Shapes.seen[k]) == set(train)
        fits = [rows(seen) for seen in Watched.seen[4 * k : 4 * k + 4]]
        assert fits[3] == set(train)
        assert all(len(fit) == 16 and fit < set(train) for fit in fits[:3])
        # Each row was left out by one of the three.
        left_out = [set(train) - fit for fit in fits[:3]]
        assert set.union(*left_out) == set(train)
        assert sum(map(len, left_out)) == 24


def test_labels_outside_the_training_fold_change_nothing(cells, y):
    train, test = np.arange(0, 48, 2), np.arange(1, 48, 2)
    forest = RandomForestClassifier(n_estimators=10, random_state=0)
    model = Pipeline([("adv", make()), ("forest", forest)])
    planted = y.copy()
    planted[test] = 1 - planted[test]
    results = [
        cross_validate(model, cells, labels, cv=[(train, test)], return_estimator=True)
        for labels in (y, planted)
    ]
    held_out = [cells[i] for i in test]
    a, b = (r["estimator"][0] for r in results)
    pd.testing.assert_frame_equal(a[0].transform(held_out), b[0].transform(held_out))
    np.testing.assert_array_equal(a.predict_proba(held_out), b.predict_proba(held_out))
    assert results[0]["test_score"] + results[1]["test_score"] == pytest.approx(1)


# What is selected ---------------------------------------------------------------------------------


def test_contrast_is_that_of_the_examples(builder, cells):
    table = pd.DataFrame(Shapes().transform(cells), columns=Shapes().get_feature_names_out())
    examples = builder.examples_
    adversarial = examples["adversarial"].to_numpy()
    normal = (examples["right"] & ~examples["adversarial"]).to_numpy()
    assert adversarial.sum() > 2
    assert normal.sum() > 2
    pd.testing.assert_frame_equal(builder.contrast_, contrast(table[adversarial], table[normal]))
    assert (examples["right"] | ~examples["adversarial"]).all()


def test_select_keeps_the_best_or_all_that_are_large(builder, cells, y):
    effect = builder.contrast_["effect size"].abs()
    best = effect.idxmax()
    assert builder.selected_ == [best]
    assert best in ("off", "off again")
    assert effect[best] > 0.3
    two = make(select=2, include=("descriptors",)).fit(cells, y)
    # The twin of the best says the same, and the constant one nothing.
    assert two.selected_ == [best, "noisy"]
    large = make(select=float(effect["noisy"] + 0.01), include=("descriptors",)).fit(cells, y)
    assert large.selected_ == [best]
    everything = make(select=10, include=("descriptors",)).fit(cells, y)
    assert everything.selected_ == [best, "noisy"]
    with pytest.raises(ValueError, match=r"no descriptor has an effect of 50.*lower select"):
        make(select=50.0).fit(cells, y)


def test_selected_descriptors_have_no_high_rank_correlation():
    rng = np.random.default_rng(0)
    adversarial = np.repeat([False, True], 10)
    common = adversarial + rng.normal(size=20)
    table = pd.DataFrame({f"{k}": common + 0.15 * k * rng.normal(size=20) for k in range(8)})
    table["falls"] = -np.exp(table["0"])
    examples = pd.DataFrame({"right": True, "adversarial": adversarial})
    effects, selected = select_descriptors(table, examples, 9, BUDGET)
    correlation = table.corr("spearman").abs()
    expected = []
    for name in effects.index:
        if (correlation.loc[name, expected] <= 0.8).all():
            expected.append(name)
    assert selected == expected
    assert 1 < len(selected) < 9


def test_columns_come_in_the_order_asked_for(builder, table, cells, y):
    assert list(table.columns) == [*builder.selected_, *NETWORK]
    assert builder.get_feature_names_out().tolist() == list(table.columns)
    other = make(include=["spread_under_noise", "descriptors", "margin"]).fit(cells, y)
    assert other.get_feature_names_out().tolist() == [NETWORK[2], *builder.selected_, NETWORK[0]]
    out = other.transform(cells[:5])
    whole = builder.transform(cells[:5])
    pd.testing.assert_frame_equal(out, whole[out.columns], rtol=1e-5)
    plain = clone(other).set_output(transform="default").fit(cells, y).transform(cells[:5])
    np.testing.assert_allclose(np.asarray(plain), out, rtol=1e-5)


def test_without_descriptors_none_are_made(cells, y, capsys):
    Shapes.seen = ()
    model = make(include=("margin",)).fit(cells, y)
    assert Shapes.seen == ()
    assert not capsys.readouterr().err
    make(include=("margin",), verbose=True, estimator=CGCNNClassifier(**SHORT)).fit(cells, y)
    assert "3/3" in capsys.readouterr().err
    assert model.contrast_ is None
    assert model.transform(cells[:3]).shape == (3, 1)


# What the columns mean ----------------------------------------------------------------------------


def test_margin_is_the_log_odds_of_the_prediction(builder, cells):
    p = np.sort(builder.estimator_.predict_proba(cells).astype(float), axis=1)
    margin = builder.transform(cells)[NETWORK[0]]
    np.testing.assert_allclose(margin, np.log(p[:, 1] / p[:, 0]), rtol=1e-3, atol=1e-4)


def test_margin_of_three_classes_is_against_the_next_likely(cells):
    y = np.digitize(rattled_cells(48)[1], [2.8, 3.0])
    model = make(include=("margin",)).fit(cells, y)
    p = np.sort(model.estimator_.predict_proba(cells).astype(float), axis=1)
    np.testing.assert_allclose(
        model.transform(cells)[NETWORK[0]], np.log(p[:, 2] / p[:, 1]), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("method", ["fgsm", "pgd"])
def test_flip_budget_is_that_of_the_adversarial_examples(method, cells, y):
    attack = StructureAttack(method=method, budget=BUDGET, n_steps=4)
    model = make(include=("flip_budget",), attack=attack).fit(cells, y)
    column = model.transform(cells)[NETWORK[1]].to_numpy()
    predicted = model.estimator_.predict(cells)
    found = find_adversarial_examples(
        model.estimator_, cells, predicted, method=method, budget=BUDGET, n_steps=4
    ).set_index("index")["smallest budget (Å)"]
    assert 2 < len(found) < 48
    rest = np.setdiff1d(np.arange(48), found.index)
    np.testing.assert_array_equal(column[rest], BUDGET)
    # In steps of 1/64 of the budget; what has flipped may need a little less.
    assert (found <= column[found.index] + 1e-9).all()
    np.testing.assert_allclose(column[found.index], found, atol=2 * BUDGET / 64)


def test_spread_is_wider_where_the_network_is_steeper(builder, cells):
    spread = builder.transform(cells)[NETWORK[2]]
    assert (spread > 0).all()
    calm = clone(builder.attack).set_params(budget=BUDGET / 100)
    calm_builder = clone(builder).set_params(attack=calm, include=("spread_under_noise",))
    calm_builder.fit(cells, (rattled_cells(48)[1] > 2.9).astype(int))
    assert calm_builder.transform(cells)[NETWORK[2]].max() < 0.2 * spread.max()


# Rows, seeds, processes ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fgsm", "random"])
def test_other_rows_and_their_order_do_not_matter(method, cells, y):
    model = make(attack=StructureAttack(method=method, budget=BUDGET, n_draws=3)).fit(cells, y)
    whole = model.transform(cells)
    order = np.random.default_rng(0).permutation(48)[:20]
    part = model.transform([cells[i] for i in order])
    np.testing.assert_allclose(part, whole.iloc[order], rtol=1e-3, atol=1e-3)
    one = model.transform([cells[7]])
    np.testing.assert_allclose(one, whole.iloc[[7]], rtol=1e-3, atol=1e-3)


def test_same_seed_same_table_in_any_number_of_processes(table, cells, y):
    pd.testing.assert_frame_equal(make().fit_transform(cells, y), table)
    parallel = make(n_jobs=2)
    pd.testing.assert_frame_equal(parallel.fit_transform(cells, y), table)
    other = make(random_state=1).fit_transform(cells, y)
    assert not np.allclose(other[NETWORK[2]], table[NETWORK[2]])


def test_fit_transform_is_not_transform(builder, table, cells):
    assert list(builder.transform(cells).columns) == list(table.columns)
    np.testing.assert_array_equal(table[NETWORK[0]], builder.examples_[NETWORK[0]])
    assert not np.allclose(builder.transform(cells)[NETWORK[0]], table[NETWORK[0]])
    # Descriptors are no network's: they are the same.
    name = builder.selected_[0]
    np.testing.assert_allclose(builder.transform(cells)[name], table[name])


def test_inputs_and_parameters_are_left_alone(cells, y):
    before = [c.copy() for c in cells]
    model = make()
    params = repr(model.get_params())
    model.fit(cells, y)
    model.transform(cells[:3])
    assert cells == before
    assert repr(model.get_params()) == params
    assert model.attack.estimator is None
    assert not hasattr(model.estimator, "nets_")
    assert not hasattr(model.descriptors, "n_")


# In company ---------------------------------------------------------------------------------------


def test_select_can_be_searched_in_a_pipeline(cells, y):
    builder = make(include=("descriptors", "margin"))
    union = FeatureUnion(
        [
            ("general", CompositionFeaturizer()),
            ("adv", builder),
        ]
    )
    forest = RandomForestClassifier(n_estimators=5, random_state=0)
    search = GridSearchCV(
        Pipeline([("features", union), ("forest", forest)]),
        {"features__adv__select": [1, 2]},
        cv=KFold(2, shuffle=True, random_state=1),
    ).fit(cells, y)
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()
    best = search.best_estimator_.named_steps["features"].transformer_list[1][1]
    assert len(best.selected_) == search.best_params_["features__adv__select"]
    assert search.predict(cells[:3]).shape == (3,)


def test_ecnet_and_featurizers_of_ours_serve_too(cells, y):
    network = ECNetClassifier(hidden_dim=8, max_epochs=6, n_ensemble=2, random_state=0)
    general = FeatureUnion(
        [("a", CompositionFeaturizer()), ("b", StructureFeaturizer(groups=["volume", "distances"]))]
    )
    attack = StructureAttack(budget=0.5, n_steps=4)
    model = make(estimator=network, descriptors=general, attack=attack)
    out = model.fit_transform(cells, np.where(y, "loose", "dense"))
    assert out.shape == (48, 4)
    assert set(model.examples_["prediction"]) == {"loose", "dense"}
    assert model.classes_.tolist() == ["dense", "loose"]


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"include": ()}, ValueError, "include must be"),
        ({"include": ("margin", "margin")}, ValueError, "include must be"),
        ({"include": ("margins",)}, ValueError, "include must be"),
        ({"select": 0}, ValueError, "select"),
        ({"select": -0.5}, ValueError, "select"),
        ({"cv": ShuffleSplit(2, random_state=0)}, ValueError, "each row into one test fold"),
        ({"attack": "pgd"}, ValueError, "attack"),
        ({"attack": StructureAttack(method="cw")}, ValueError, "method"),
        ({"attack": StructureAttack(CGCNNClassifier())}, ValueError, "leave its estimator None"),
        ({"estimator": CGCNNRegressor()}, ValueError, "regressor as reference needs threshold"),
        ({"threshold": 0.1}, ValueError, "threshold is for regressors"),
        (
            {"estimator": CGCNNRegressor(), "threshold": 0.1, "include": ("margin",)},
            ValueError,
            "include must be",
        ),
        ({"estimator": RandomForestClassifier()}, TypeError, "graph classifier or regressor"),
    ],
)
def test_wrong_parameters_are_refused(params, error, message, cells, y):
    with pytest.raises(error, match=message):
        make().set_params(**params).fit(cells, y)


def test_wrong_input_is_refused(builder, cells, y):
    graphs = StructureToGraph().transform(cells)
    with pytest.raises(TypeError, match="structures themselves"):
        make().fit(graphs, y)
    with pytest.raises(TypeError, match="structures themselves"):
        builder.transform(graphs)
    with pytest.raises(ValueError, match="48 structures and y has 47 rows"):
        make().fit(cells, y[:-1])
    with pytest.raises(NotFittedError):
        make().transform(cells)
