"""Rows that must teach nothing are spoiled: what was fitted stays the same, bit for bit.

Each case fits something and returns arrays. It is run three times: as it is; with other labels or
crystals in rows that must not matter; and, as a check of the case itself, in rows that do matter.
"""

import numpy as np
import pytest
from crystals import random_alloys
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from tiny_eftgan import ecnet, infogan, tiny

from sklmat import (
    AdversarialFeatureBuilder,
    AugmentedRegressor,
    CalibratedStdRegressor,
    CGCNNClassifier,
    CGCNNRegressor,
    CompositionFeaturizer,
    CompositionGroupKFold,
    ConformalRegressor,
    DeltaRegressor,
    ECNetFeaturizer,
    MixupAugmenter,
    StructureAttack,
    StructureFeaturizer,
    StructureToGraph,
)
from sklmat.adversarial import _out_of_fold
from sklmat.model_selection import composition_groups
from sklmat.random_state import draw_seed

N = 24
CELLS = random_alloys(N, n_cells=1)
PROBES = random_alloys(40, seed=1, n_cells=1)[-6:]
GROUPS = composition_groups(CELLS)
Y = np.array([cell.volume / len(cell) for cell in CELLS])
LABELS = np.where(np.arange(N) % 2, "odd", "even")
TRAIN, HELD_OUT = np.arange(16), np.arange(16, N)
WEIGHT = np.where(np.isin(np.arange(N), HELD_OUT), 0.0, 1.0)
#: A composition with several rows, and another row.
TWINS = np.flatnonzero(np.bincount(GROUPS)[GROUPS] == np.bincount(GROUPS).max())
TWINS = np.flatnonzero(GROUPS[TWINS[0]] == GROUPS)
TINY = {"cutoff": 4.0, "hidden_dim": 4, "n_conv": 1, "readout_dim": 4, "max_epochs": 2}
TINY |= {"batch_size": 8, "random_state": 0}
FOLDS = CompositionGroupKFold(3, random_state=0)


def spoiled_y(rows, y=Y):
    """Labels with a large error in some rows, or the other class."""
    y = y.copy()
    y[rows] = np.where(y[rows] == "odd", "even", "odd") if y.dtype.kind == "U" else 1e3 + y[rows]
    return y


def spoiled_cells(rows):
    """Cells of the same compositions that are much larger in some rows."""
    cells = list(CELLS)
    for row in rows:
        cells[row] = cells[row].copy().scale_lattice(1.5 * cells[row].volume)
    return cells


def in_cross_validation(model, X, y, probes=PROBES):
    """Predictions of the model that was fitted in the one fold of a cross-validation."""
    result = cross_validate(model, X, y, cv=[(TRAIN, HELD_OUT)], return_estimator=True)
    return [result["estimator"][0].predict(probes)]


def builder(estimator=None, cv=FOLDS, **params):
    defaults = {
        "attack": StructureAttack(budget=0.1, n_steps=1),
        "include": ("margin", "flip_budget"),
        "random_state": 0,
    }
    estimator = estimator or CGCNNClassifier(**TINY)
    return AdversarialFeatureBuilder(estimator, cv=cv, **{**defaults, **params})


class MeanOfLabels(TransformerMixin, BaseEstimator):
    """A baseline that reads the labels."""

    def fit(self, X, y):
        self.mean_ = float(np.mean(y))
        return self

    def transform(self, X):
        return np.full((len(X), 1), self.mean_)


# What is fitted. Arguments: structures, labels, classes, and a folder.


def network(X, y, labels, folder):
    return in_cross_validation(CGCNNRegressor(**TINY), X, y)


def featurizer(X, y, labels, folder):
    chain = make_pipeline(ECNetFeaturizer(ecnet(random_state=0), n_components=2), Ridge())
    return in_cross_validation(chain, X, y)


def zero_weight(X, y, labels, folder):
    return [CGCNNRegressor(**TINY).fit(X, y, sample_weight=WEIGHT).predict(PROBES)]


def zero_weight_and_early_stopping(X, y, labels, folder):
    model = CGCNNClassifier(
        **TINY, early_stopping=True, validation_fraction=0.25, class_weight="balanced"
    )
    return [model.fit(X, labels, sample_weight=WEIGHT).predict_proba(PROBES)]


def zero_weight_in_differences(X, y, labels, folder):
    features = make_pipeline(StructureFeaturizer(groups=["volume"]), Ridge())
    model = DeltaRegressor(features, MeanOfLabels())
    return [model.fit(X, y, sample_weight=WEIGHT).predict(PROBES)]


def zero_weight_in_augmentation(X, y, labels, folder):
    table = CompositionFeaturizer(properties=()).fit_transform(CELLS).iloc[:, :3]
    table["volume"] = [cell.volume for cell in X]
    model = AugmentedRegressor(Ridge(), infogan(n_samples=8), random_state=0)
    return [model.fit(table, y, sample_weight=WEIGHT).predict(table.iloc[TRAIN])]


def augmenter(X, y, labels, folder):
    features = StructureFeaturizer(groups=["volume"])
    mixed = AugmentedRegressor(Ridge(), MixupAugmenter(code_features=[]), random_state=0)
    return in_cross_validation(make_pipeline(features, mixed), X, y)


def grouped_folds(X, y, labels, folder):
    """Columns of twins, or of one of them, where the labels of all of them are spoiled."""
    return [builder().fit_transform(X, labels).to_numpy()[TWINS]]


def grouped_folds_of_one_twin(X, y, labels, folder):
    return [builder().fit_transform(X, labels).to_numpy()[TWINS[0]]]


def spread(cv, **params):
    """A builder whose folds do not depend on the labels, as stratified ones do."""
    params = {"threshold": 0.1, "include": ("spread_under_noise",), **params}
    return builder(CGCNNRegressor(**TINY), cv, **params)


def given_groups(X, y, labels, folder):
    return [spread(3).fit_transform(X, y, groups=GROUPS).to_numpy()[TWINS]]


def group_splitter(X, y, labels, folder):
    return [spread(GroupKFold(3)).fit_transform(X, y, groups=GROUPS).to_numpy()[TWINS]]


def search_over_builder(X, y, labels, folder):
    chain = make_pipeline(spread(FOLDS, include=("flip_budget",)), Ridge())
    search = GridSearchCV(chain, {"ridge__alpha": [0.1]}, cv=2)
    return in_cross_validation(search, X, y)


def early_stopping(X, y, labels, folder):
    """Scaling and training of the rows that are not held out, before the training stops."""
    model = CGCNNRegressor(**TINY, early_stopping=True, validation_fraction=0.25).fit(X, y)
    return [model.y_mean_, model.y_scale_, [row["train_loss"] for row in model.history_]]


def iterations(X, y, labels, folder):
    """The first validation error depends on labels of validation rows only by its last step."""
    table = CompositionFeaturizer(properties=()).fit_transform(CELLS).iloc[:, :3]
    table["volume"] = [cell.volume for cell in X]
    seen = []

    class Seen(Ridge):
        def fit(self, X, y):
            seen.append(np.column_stack([X, y]))
            return super().fit(X, y)

    infogan(n_iterations=2, labeler=Seen(), random_state=0).fit(table, y)
    return [seen[0]]  # later ones are fitted on all rows


def eftgan(X, y, labels, folder):
    quick = infogan(n_iterations=2, n_samples=4, max_epochs=2)
    model = tiny(Ridge(), estimator=ecnet(max_epochs=1), augmenter=quick)
    return in_cross_validation(model, X, y, probes=[cell.composition for cell in PROBES])


def calibration(method):
    """Model and residuals of the calibration rows, and the intervals that these give."""
    features = make_pipeline(StructureFeaturizer(groups=["volume"]), Ridge())
    return ConformalRegressor(features, method=method, confidence_level=0.5, cv=3, random_state=0)


def calibrated_model(X, y, labels, folder):
    """The model that is calibrated has not seen the rows that calibrate it."""
    model = calibration("split").fit(X, y)
    return [model.predict(PROBES)]


def calibration_rows():
    return calibration("split").fit(CELLS, Y).calibration_["row"].to_numpy()


def calibrated_twins(X, y, labels, folder):
    """Predictions of twins by the model of their fold, where the labels of all are spoiled."""
    return [calibration("cv+").fit(X, y).calibration_["prediction"].to_numpy()[TWINS]]


def intervals_of_held_out_rows(X, y, labels, folder):
    model = calibration("cv+")
    result = cross_validate(model, X, y, cv=[(TRAIN, HELD_OUT)], return_estimator=True)
    return [result["estimator"][0].predict_interval(PROBES)]


def calibrated_std(X, y, labels, folder):
    features = make_pipeline(StructureFeaturizer(groups=["volume"]), BayesianRidge())
    model = CalibratedStdRegressor(features, cv=FOLDS)
    result = cross_validate(model, X, y, cv=[(TRAIN, HELD_OUT)], return_estimator=True)
    return result["estimator"][0].predict(PROBES, return_std=True)


def twins_of_calibrated_std(X, y, labels, folder):
    features = make_pipeline(StructureFeaturizer(groups=["volume"]), BayesianRidge())
    model = CalibratedStdRegressor(features, cv=3, random_state=0).fit(X, y)
    return [model.calibration_[["prediction", "std"]].to_numpy()[TWINS]]


def cache(X, y, labels, folder):
    """The graphs of all rows are in the cache, and the fitted transformer in joblib's."""
    graphs = StructureToGraph(cutoff=4.0, cache=folder / "graphs")
    graphs.fit_transform(X)
    features = ECNetFeaturizer(ecnet(random_state=0), n_components=2)
    chain = make_pipeline(graphs, features, Ridge(), memory=str(folder / "joblib"))
    return in_cross_validation(chain, X, y)


def checkpoint(X, y, labels, folder):
    """The second training of a fold reads the file that the first one has left."""
    model, cells = CGCNNRegressor(**TINY), [X[row] for row in TRAIN]
    if (folder / "training").exists() and y[0] != Y[0]:
        with pytest.raises(ValueError, match="belongs to another training"):
            model.fit(cells, y[TRAIN], checkpoint=folder / "training")
        return [np.zeros(len(PROBES))]
    model.fit(cells, y[TRAIN], checkpoint=folder / "training")
    assert (folder / "training").exists()
    return [model.predict(PROBES)]


def validation_rows(weight=None):
    model = CGCNNRegressor(**TINY, early_stopping=True, validation_fraction=0.25)
    graphs = StructureToGraph(cutoff=4.0).transform(CELLS)
    return model._split(Y, draw_seed(0), graphs)[1]


def iteration_rows():
    """Validation rows of the iterations: the rows that the first labeler does not see."""
    volumes = iterations(CELLS, Y, LABELS, None)[0][:, 3]
    return np.flatnonzero(~np.isin([cell.volume for cell in CELLS], volumes))


#: What is fitted, what is spoiled, rows that must not matter, and rows that do.
LEAKS = {
    "y of held-out rows": (network, "y", HELD_OUT, TRAIN[:3]),
    "X of held-out rows": (network, "X", HELD_OUT, TRAIN[:3]),
    "y of held-out rows, transformer": (featurizer, "y", HELD_OUT, TRAIN[:3]),
    "X of held-out rows, transformer": (featurizer, "X", HELD_OUT, TRAIN[:3]),
    "y of rows without weight": (zero_weight, "y", HELD_OUT, TRAIN[:3]),
    "X of rows without weight": (zero_weight, "X", HELD_OUT, TRAIN[:3]),
    "y without weight, early stopping": (zero_weight_and_early_stopping, "y", HELD_OUT, TRAIN[::3]),
    "X without weight, early stopping": (zero_weight_and_early_stopping, "X", HELD_OUT, TRAIN[::3]),
    "y without weight, differences": (zero_weight_in_differences, "y", HELD_OUT, TRAIN[:3]),
    "y without weight, augmenter": (zero_weight_in_augmentation, "y", HELD_OUT, TRAIN[:3]),
    "X without weight, augmenter": (zero_weight_in_augmentation, "X", HELD_OUT, TRAIN[:3]),
    "augmenter, y": (augmenter, "y", HELD_OUT, TRAIN[:3]),
    "augmenter, X": (augmenter, "X", HELD_OUT, TRAIN[:3]),
    "grouped folds, y": (grouped_folds, "y", TWINS, np.setdiff1d(np.arange(N), TWINS)),
    "grouped folds, X": (grouped_folds_of_one_twin, "X", TWINS[1:], TWINS[:1]),
    "groups given to fit": (given_groups, "y", TWINS, np.setdiff1d(np.arange(N), TWINS)),
    "groups of a splitter": (group_splitter, "y", TWINS, np.setdiff1d(np.arange(N), TWINS)),
    "builder in a search": (search_over_builder, "y", HELD_OUT, TRAIN[:6]),
    "early stopping": (early_stopping, "y", validation_rows(), np.arange(N)),
    "iterations": (iterations, "y", iteration_rows(), np.arange(N)),
    "EFTGAN with iterations": (eftgan, "X and y", HELD_OUT, TRAIN[:3]),
    "calibration rows, y": (calibrated_model, "y", calibration_rows(), np.arange(N)),
    "calibration rows, X": (calibrated_model, "X", calibration_rows(), np.arange(N)),
    "folds of intervals": (
        calibrated_twins,
        "y",
        TWINS,
        np.setdiff1d(np.arange(N), TWINS),
    ),
    "intervals, y": (intervals_of_held_out_rows, "y", HELD_OUT, TRAIN[:3]),
    "intervals, X": (intervals_of_held_out_rows, "X", HELD_OUT, TRAIN[:3]),
    "calibrated std": (calibrated_std, "X and y", HELD_OUT, TRAIN[:3]),
    "folds of calibrated std": (
        twins_of_calibrated_std,
        "y",
        TWINS,
        np.setdiff1d(np.arange(N), TWINS),
    ),
    "caches, y": (cache, "y", HELD_OUT, TRAIN[:3]),
    "caches, X": (cache, "X", HELD_OUT, TRAIN[:3]),
    "checkpoint": (checkpoint, "y", HELD_OUT, TRAIN[:3]),
}


def fitted(fit, kind, rows, folder):
    cells = spoiled_cells(rows) if "X" in kind else CELLS
    y, labels = (spoiled_y(rows, each) if "y" in kind else each for each in (Y, LABELS))
    return fit(cells, y, labels, folder)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", LEAKS)
def test_planted_leak(name, tmp_path, monkeypatch):
    monkeypatch.setattr(_out_of_fold, "_N_DRAWS", 2)
    fit, kind, rows, other_rows = LEAKS[name]
    expected = fit(CELLS, Y, LABELS, tmp_path)
    for before, after in zip(expected, fitted(fit, kind, rows, tmp_path), strict=True):
        np.testing.assert_array_equal(before, after)
    changed = fitted(fit, kind, other_rows, tmp_path)
    assert any(not np.array_equal(*pair) for pair in zip(expected, changed, strict=True))


@pytest.mark.parametrize("rows", [validation_rows, iteration_rows])
def test_no_composition_is_on_both_sides(rows):
    held_out = rows()
    assert 0 < len(held_out) < N / 2
    assert not set(GROUPS[held_out]) & set(np.delete(GROUPS, held_out))
