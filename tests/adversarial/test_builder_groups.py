"""The builder: groups in its folds, too few examples, regressors, rows in messages."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from crystals import b2_cscl, random_alloys
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_validate
from sklearn.pipeline import make_pipeline

from sklmat import (
    AdversarialFeatureBuilder,
    CGCNNClassifier,
    CGCNNRegressor,
    CompositionGroupKFold,
    ECNetClassifier,
    StructureAttack,
    StructureFeaturizer,
    contrast,
    find_adversarial_examples,
)
from sklmat.adversarial import _out_of_fold
from sklmat.exceptions import ExtrapolationWarning, InvalidStructureError
from sklmat.model_selection import composition_groups

TINY = {"cutoff": 4.0, "hidden_dim": 8, "n_conv": 1, "batch_size": 12, "random_state": 0}
CELLS = random_alloys(30, n_cells=1)
GROUPS = composition_groups(CELLS)
LARGE = np.array([cell.volume for cell in CELLS]) > np.median([cell.volume for cell in CELLS])
Y = np.where(LARGE, "large", "small")
VOLUME = np.array([cell.volume / len(cell) for cell in CELLS])


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    monkeypatch.setattr(_out_of_fold, "_N_DRAWS", 2)


class Seen(CGCNNClassifier):
    """Notes the volumes of the crystals of each fit."""

    fits = []

    def fit(self, X, y, sample_weight=None, checkpoint=None):
        self.fits.append(np.abs(np.linalg.det(X.lattices)))
        return super().fit(X, y, sample_weight, checkpoint)


def make(estimator=None, budget=0.02, **params):
    defaults = {
        "attack": StructureAttack(budget=budget, n_steps=2),
        "descriptors": StructureFeaturizer(groups=["volume", "distances"]),
        "select": 1,
        "cv": CompositionGroupKFold(3, random_state=0),
        "random_state": 0,
    }
    if estimator is None:
        estimator = CGCNNClassifier(**TINY, max_epochs=4)
    return AdversarialFeatureBuilder(estimator, **{**defaults, **params})


def groups_of_fits(fit):
    """Compositions on which each network was trained, the last one on all."""
    Seen.fits = []
    fit(make(Seen(**TINY, max_epochs=1), include=("margin",)))
    volumes = np.array([cell.volume for cell in CELLS])
    return [set(GROUPS[np.isclose(volumes[:, None], fit).any(axis=1)]) for fit in Seen.fits]


# Groups -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fit",
    [
        lambda model: model.fit(CELLS, Y),
        lambda model: model.set_params(cv=GroupKFold(3)).fit(CELLS, Y, groups=GROUPS),
        lambda model: model.set_params(cv=3).fit(CELLS, Y, groups=GROUPS),
        lambda model: model.set_params(cv=3).fit_transform(CELLS, Y, groups=GROUPS.tolist()),
    ],
)
def test_networks_of_the_folds_do_not_know_the_compositions_they_examine(fit):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        *folds, whole = groups_of_fits(fit)
    assert len(folds) == 3
    left_out = [whole - known for known in folds]
    assert set.union(*left_out) == whole == set(GROUPS)
    assert sum(map(len, left_out)) == len(whole)


@pytest.mark.parametrize("cv", [3, KFold(3, shuffle=True, random_state=0)], ids=str)
def test_compositions_in_several_folds_are_warned_of(cv):
    model = make(include=("margin",), cv=cv)
    match = r"of 30 held-out rows have the same composition .*\(rows \d+, .*CompositionGroupKFold"
    with pytest.warns(UserWarning, match=match) as caught:
        model.fit(CELLS, Y)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():  # The user says that all rows are independent.
        warnings.simplefilter("error")
        model.set_params(cv=3).fit(CELLS, Y, groups=np.arange(30))


def test_folds_of_a_single_class_are_named():
    is_first = np.arange(30) < 3
    halves = np.arange(15), np.arange(15, 30)
    with pytest.raises(ValueError, match=r"15 training rows of fold 1 of 0-1 of cv have a single"):
        make(cv=[halves, halves[::-1]]).fit(CELLS, is_first)


def test_groups_are_routed():
    model = make(Seen(**TINY, max_epochs=1), include=("margin",), cv=3)
    chain = make_pipeline(model, RandomForestClassifier(3, random_state=0))
    common = {"cv": GroupKFold(2), "error_score": "raise"}
    Seen.fits = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        params = {"adversarialfeaturebuilder__groups": GROUPS}
        cross_validate(chain, CELLS, LARGE, groups=GROUPS, params=params, **common)
        given, Seen.fits = Seen.fits, []
        with sklearn.config_context(enable_metadata_routing=True):
            chain.steps[0][1].set_fit_request(groups=True)
            cross_validate(chain, CELLS, LARGE, params={"groups": GROUPS}, **common)
    assert len(given) == 2 * 4
    for one, other in zip(given, Seen.fits, strict=True):
        np.testing.assert_array_equal(one, other)


def test_groups_must_fit_to_the_rows():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        make(cv=3).fit(CELLS, Y, groups=GROUPS[:-1])
    with pytest.raises(ValueError, match="CompositionGroupKFold finds its groups in X"):
        make().fit(CELLS, Y, groups=GROUPS)


# Too few examples ---------------------------------------------------------------------------------


def test_without_flips_less_stable_predictions_are_compared_with_more_stable_ones():
    model = make(budget=1e-4, include=("descriptors", "margin"))
    with pytest.warns(UserWarning, match="of 30 training rows 0 are adversarial"):
        model.fit(CELLS, Y)
    assert not model.examples_["adversarial"].any()
    table = model.descriptors.fit_transform(CELLS)
    right = np.flatnonzero(model.examples_["right"])
    margin = model.examples_["margin (log-odds)"].to_numpy()[right]
    less, more = np.array_split(right[np.argsort(margin)], 2)
    pd.testing.assert_frame_equal(model.contrast_, contrast(table.iloc[less], table.iloc[more]))
    assert model.contrast_.attrs["compared"] == "less stable with more stable predictions"
    assert model.selected_ == [model.contrast_.index[0]]
    # An effect that this comparison does not have must not end a search.
    with pytest.warns(UserWarning, match="adversarial"):
        assert len(make(budget=1e-4, select=50.0).fit(CELLS, Y).selected_) == 1


def test_the_warning_gives_the_budget_that_would_flip():
    include = ("descriptors",)
    with pytest.warns(UserWarning, match="2 adversarial ones would need") as caught:
        make(budget=0.02, include=include).fit(CELLS, Y)
    text = str(caught[0].message)
    budget = float(text.split("budget of about ")[1].split(" ")[0])
    assert budget > 0.02
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        n = [
            make(budget=factor * budget, include=include).fit(CELLS, Y).examples_["adversarial"]
            for factor in (0.5, 2)
        ]
    assert n[0].sum() < 2 <= n[1].sum()


def test_without_effect_and_without_right_predictions():
    with pytest.warns(UserWarning, match="hardly changes the predictions with its budget of 0 Å"):
        make(budget=0.0).fit(CELLS, Y)
    folds = [(np.flatnonzero(~LARGE), np.flatnonzero(LARGE))]
    folds += [(folds[0][1], folds[0][0])]
    constant = np.where(LARGE, VOLUME + 100, VOLUME)  # Networks of one fold miss the other.
    model = make(CGCNNRegressor(**TINY, max_epochs=1), cv=folds, threshold=0.1)
    with pytest.warns(UserWarning, match="only 0 rows are predicted right, so train a better"):
        model.fit(CELLS, constant, groups=GROUPS)
    assert len(model.selected_) == 1


def test_a_search_over_budgets_survives():
    chain = make_pipeline(make(include=("descriptors", "margin")), RandomForestClassifier(3))
    grid = {"adversarialfeaturebuilder__attack__budget": [0.0, 0.1]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = GridSearchCV(chain, grid, cv=2, error_score="raise").fit(CELLS, LARGE)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# Regressors ---------------------------------------------------------------------------------------


def test_a_regressor_is_wrong_where_its_error_is_above_the_threshold():
    network = CGCNNRegressor(**TINY, max_epochs=15)
    folds = CompositionGroupKFold(2, random_state=0)
    model = make(network, budget=0.2, threshold=0.3, cv=folds)
    table = model.fit_transform(CELLS, VOLUME)
    names = ["flip budget (Å)", "spread under noise (unit of y)"]
    assert list(table.columns) == [*model.selected_, *names]
    examples = model.examples_
    error = np.abs(examples["prediction"] - VOLUME)
    np.testing.assert_array_equal(examples["right"], error <= 0.3)
    assert 2 <= examples["adversarial"].sum() < examples["right"].sum()
    for train, test in model.cv.split(CELLS):
        fitted = sklearn.clone(network).fit([CELLS[k] for k in train], VOLUME[train])
        cells = [CELLS[k] for k in test]
        attack = {"budget": 0.2, "n_steps": 2, "threshold": 0.3}
        found = find_adversarial_examples(fitted, cells, VOLUME[test], **attack)
        adversarial = examples["adversarial"].to_numpy()[test]
        np.testing.assert_array_equal(np.flatnonzero(adversarial), found["index"])
        # The column belongs to the prediction itself, as no label of a new crystal is known.
        changed = find_adversarial_examples(fitted, cells, **attack).set_index("index")
        budget = examples[names[0]].to_numpy()[test]
        np.testing.assert_array_equal(np.flatnonzero(budget < 0.2), changed.index)
        np.testing.assert_allclose(
            budget[changed.index], changed["smallest budget (Å)"], atol=2 * 0.2 / 64
        )
    new = model.transform(CELLS[:4])
    changed = find_adversarial_examples(model.estimator_, CELLS[:4], **attack).set_index("index")
    expected = changed["smallest budget (Å)"].reindex(range(4), fill_value=0.2)
    np.testing.assert_allclose(new[names[0]], expected, atol=2 * 0.2 / 64)
    assert not hasattr(model, "classes_")


def test_two_targets_and_missing_labels_are_refused():
    model = make(CGCNNRegressor(**TINY), threshold=0.1)
    with pytest.raises(ValueError, match="one number for each structure"):
        model.fit(CELLS, np.column_stack([VOLUME, VOLUME]))
    with pytest.raises(ValueError, match=r"y is NaN or infinite in 1 rows: \[7\]"):
        model.fit(CELLS, np.where(np.arange(30) == 7, np.nan, VOLUME))


# Predictions as targets ---------------------------------------------------------------------------


def test_without_y_the_prediction_is_attacked():
    model = CGCNNClassifier(**TINY, max_epochs=20).fit(CELLS, Y)
    found = find_adversarial_examples(model, CELLS, budget=0.3, n_steps=3)
    predicted = model.predict(CELLS)
    expected = find_adversarial_examples(model, CELLS, predicted, budget=0.3, n_steps=3)
    assert len(found)
    assert found.attrs["n_right"] == 30
    columns = [name for name in expected.columns if name not in ("target", "structure")]
    assert "target" not in found
    pd.testing.assert_frame_equal(found[columns], expected[columns])
    regressor = CGCNNRegressor(**TINY, max_epochs=1).fit(CELLS, VOLUME)
    with pytest.raises(ValueError, match=r"without y .* pass threshold"):
        find_adversarial_examples(regressor, CELLS)
    table = find_adversarial_examples(regressor, CELLS, budget=0.3, threshold=1e-6)
    assert len(table) > 15
    assert ((table["perturbed prediction"] - table["prediction"]).abs() > 1e-6).all()


# Rows in messages ---------------------------------------------------------------------------------


def test_messages_of_folds_name_the_row_of_the_user():
    cells = list(CELLS)
    cells[17] = b2_cscl()  # No other row has its elements.
    learned = ECNetClassifier(cutoff=4.0, hidden_dim=4, max_epochs=1, n_ensemble=1)
    model = make(learned, include=("margin",))
    with pytest.raises(InvalidStructureError, match=r"structure 17 \(Cs1Cl1\).*in fold \d of 0-2"):
        model.fit(cells, Y)
    physical = make(include=("margin",))
    with pytest.warns(ExtrapolationWarning, match=r"training row of their fold had: Cl \(row 17\)"):
        physical.fit(cells, Y)
