"""Errors number rows as in the input of the user, also where rows are selected before a fit."""

import numpy as np
import pandas as pd
import pytest
from crystals import random_alloys
from pymatgen.core import Structure
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    StackingRegressor,
)
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.tree import DecisionTreeRegressor
from tiny_eftgan import ecnet, tiny
from xgboost import XGBRegressor

from sklmat import (
    AdversarialFeatureBuilder,
    AugmentedClassifier,
    AugmentedRegressor,
    CGCNNClassifier,
    CGCNNRegressor,
    CompositionFeaturizer,
    DeltaRegressor,
    EarlyStoppingClassifier,
    EarlyStoppingRegressor,
    ECNetFeaturizer,
    PerturbationSampler,
    StructureAttack,
    StructureOverSampler,
    compare_estimators,
    learning_curves,
)
from sklmat.exceptions import InvalidStructureError
from sklmat.targets import refuse_missing_rows

N = 12
CELLS = random_alloys(N, n_cells=1)
BROKEN = CELLS.copy()
BROKEN[7] = Structure(CELLS[7].lattice, ["Ni", "Cu"], [[0, 0, 0], [0.01, 0, 0]])
Y = np.arange(float(N))
CLASSES = np.resize(["low", "high"], N)
#: Row 7 of the input is row 5 of those with weight.
WEIGHT = np.where(np.isin(np.arange(N), [0, 3]), 0.0, 1.0)
FOLDS = KFold(2, shuffle=True, random_state=1)
SMALL = {"cutoff": 4.0, "hidden_dim": 4, "n_conv": 1, "max_epochs": 1, "random_state": 0}
NETWORK, CLASSIFIER = CGCNNRegressor(**SMALL), CGCNNClassifier(**SMALL)
TREE = make_pipeline(CompositionFeaturizer(), DecisionTreeRegressor())


def boosting(model):
    return make_pipeline(CompositionFeaturizer(), model(max_iter=3, min_samples_leaf=1))


EARLY = EarlyStoppingRegressor(
    boosting(HistGradientBoostingRegressor), validation_fraction=0.4, random_state=0
)
EARLY_CLASSIFIER = EarlyStoppingClassifier(
    boosting(HistGradientBoostingClassifier), validation_fraction=0.4, random_state=0
)


def no_baseline(structures):
    return np.zeros(len(structures))


def builder(network, **params):
    attack = StructureAttack(n_steps=1)
    return AdversarialFeatureBuilder(network, attack=attack, cv=2, random_state=0, **params)


def compared(model):
    return lambda X, y: compare_estimators({"model": model}, X, y, cv=FOLDS)


def weighted(model):
    return lambda X, y: model.fit(X, y, sample_weight=WEIGHT)


def single(model):
    return lambda X, y: model.fit(X, y, groups=np.arange(N))


OF_NUMBERS = {
    "network": NETWORK.fit,
    "validated network": CGCNNRegressor(**SMALL, early_stopping=True).fit,
    "weighted network": weighted(NETWORK),
    "comparison": compared(TREE),
    "compared networks": compared(NETWORK),
    "compared search": compared(GridSearchCV(TREE, {}, cv=2, error_score="raise")),
    "compared stack": compared(StackingRegressor([("tree", TREE)], Ridge(), cv=2)),
    "compared early stopping": compared(EARLY),
    "builder": single(builder(NETWORK, threshold=0.1)),
    "EFTGAN": tiny().fit,
    "features of EFTGAN": ECNetFeaturizer(ecnet()).fit,
    "difference": DeltaRegressor(TREE, no_baseline, references=None).fit,
    "weighted difference": weighted(DeltaRegressor(NETWORK, no_baseline)),
    "early stopping": EARLY.fit,
    "weighted early stopping": weighted(EARLY),
    "early stopping of groups": single(EARLY),
    "early stopping of a difference": DeltaRegressor(EARLY, no_baseline).fit,
    "not augmented": AugmentedRegressor(TREE, None).fit,
    "weighted, not augmented": weighted(AugmentedRegressor(NETWORK, None)),
    "weighted, augmented": weighted(AugmentedRegressor(NETWORK, PerturbationSampler())),
}
OF_CLASSES = {
    "network": CLASSIFIER.fit,
    "comparison": compared(CLASSIFIER),
    "builder": single(builder(CLASSIFIER)),
    "early stopping": EARLY_CLASSIFIER.fit,
    "augmented": AugmentedClassifier(CLASSIFIER, StructureOverSampler()).fit,
}


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_rows_of_regressors(name):
    with pytest.raises(InvalidStructureError, match="sites 0 and 1") as error:
        OF_NUMBERS[name](BROKEN, Y)
    assert error.value.index == 7
    for value in (np.nan, np.inf):
        y = np.where(np.arange(N) == 7, value, Y)
        with pytest.raises(ValueError, match=r"\by is .*\brows?:? \[?7\b|\by contains .* \[7\]"):
            OF_NUMBERS[name](CELLS, y)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_rows_of_classifiers(name):
    with pytest.raises(InvalidStructureError, match="sites 0 and 1") as error:
        OF_CLASSES[name](BROKEN, CLASSES)
    assert error.value.index == 7
    y = CLASSES.astype(object)
    y[7] = None
    with pytest.raises(ValueError, match=r"\by is missing in rows \[7\]|\by contains NaN.* \[7\]"):
        OF_CLASSES[name](CELLS, y)


def test_labels_of_rows_without_weight_may_be_missing():
    y = np.where(WEIGHT == 0, np.nan, Y)
    for model in (AugmentedRegressor(NETWORK, None), DeltaRegressor(NETWORK, no_baseline), EARLY):
        assert np.isfinite(weighted(model)(CELLS, y).predict(CELLS)).all()


def test_some_targets_of_a_row_may_be_missing():
    y = np.column_stack([Y, Y])
    y[2, 0] = y[5] = np.nan
    with pytest.raises(ValueError, match=r"infinity, or only NaN, in 1 rows: \[5\]"):
        refuse_missing_rows(y)
    refuse_missing_rows(y, np.array([0, 2, 7]))
    with pytest.raises(ValueError, match=r"in 1 rows: \[5\]"):
        refuse_missing_rows(y, np.array([0, 5, 7]))
    refuse_missing_rows(["a", "nan", 3])


@pytest.mark.parametrize(
    "model",
    [
        EARLY,
        DeltaRegressor(TREE, lambda X: np.zeros((len(X), 2))),
        AugmentedRegressor(TREE, PerturbationSampler()),
        AugmentedRegressor(
            make_pipeline(CompositionFeaturizer(), XGBRegressor()), PerturbationSampler()
        ),
    ],
)
def test_estimators_that_need_every_label(model):
    y = np.column_stack([Y, Y])
    y[[0, 7, 9], 1] = np.nan
    message = r"^the estimator needs every label, and y contains NaN in {} rows: {};"
    with pytest.raises(ValueError, match=message.format(3, r"\[0, 7, 9\]")):
        model.fit(CELLS, y)
    if not isinstance(model, EarlyStoppingRegressor):
        with pytest.raises(ValueError, match=message.format(2, r"\[7, 9\]")):
            model.fit(CELLS, y, sample_weight=WEIGHT)


@pytest.mark.parametrize("missing", [None, np.nan])
@pytest.mark.parametrize(
    ("model", "y"),
    [(EARLY, Y), (builder(NETWORK, threshold=0.1), Y), (builder(CLASSIFIER), CLASSES)],
)
def test_rows_without_a_group(model, y, missing):
    groups = np.resize(["a", "b", "c"], N).astype(object)
    groups[7] = missing
    with pytest.raises(ValueError, match=r"groups has no label in 1 rows: \[7\]"):
        model.fit(CELLS, y, groups=groups)


def crystals_of_table():
    return ColumnTransformer([("crystals", CompositionFeaturizer(), "structure")])


@pytest.mark.parametrize(
    "fit",
    [
        lambda frame: make_pipeline(crystals_of_table(), Ridge()).fit(frame, Y),
        lambda frame: FeatureUnion([("one", crystals_of_table())]).fit(frame, Y),
        lambda frame: CompositionFeaturizer().fit(frame["structure"]),
        lambda frame: AugmentedRegressor(TREE, PerturbationSampler()).fit(frame["structure"], Y),
        lambda frame: PerturbationSampler().fit_resample(frame[["structure"]], Y),
        lambda frame: StructureOverSampler(budget=0.01).fit_resample(frame["structure"], CLASSES),
        lambda frame: compare_estimators(
            {"model": make_pipeline(crystals_of_table(), Ridge())}, frame, Y, cv=FOLDS
        ),
    ],
)
def test_rows_of_tables_with_an_index_of_their_own(fit):
    """As of a table from which rows were excluded: the row is counted from the first one."""
    frame = pd.DataFrame({"structure": list(BROKEN), "T": 1.0}, index=10 * np.arange(N) + 5)
    with pytest.raises(InvalidStructureError, match="sites 0 and 1") as error:
        fit(frame)
    assert error.value.index == 7


def test_comparisons():
    model = make_pipeline(CompositionFeaturizer(), XGBRegressor(n_estimators=2))
    y = np.column_stack([Y, Y])
    y[[0, 7], 1] = np.nan
    with pytest.raises(ValueError, match=r"needs every label, and y contains NaN in 1 rows: \[7\]"):
        compare_estimators({"trees": model}, CELLS, y, cv=KFold(3))
    groups = np.resize([0.0, 1, 2], N)
    groups[7] = np.nan
    for compare in (compare_estimators, learning_curves):
        with pytest.raises(ValueError, match=r"groups has no label in 1 rows: \[7\]"):
            compare({"trees": model}, CELLS, Y, groups=groups)
