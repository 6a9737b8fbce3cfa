"""Each estimator in each wrapper of scikit-learn, for each task: it works, or says why it does not.

Where the wrapper only passes rows on, predictions are those of the estimator alone.
"""

from functools import cache

import numpy as np
import pytest
from crystals import random_alloys
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    StratifiedShuffleSplit,
    cross_validate,
)
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from tiny_eftgan import ecnet, infogan, tiny
from xgboost import XGBClassifier, XGBRegressor

from sklmat import (
    AugmentedClassifier,
    AugmentedRegressor,
    CGCNNClassifier,
    CGCNNRegressor,
    CompositionFeaturizer,
    DeltaRegressor,
    EarlyStoppingClassifier,
    EarlyStoppingRegressor,
    ECNetClassifier,
    ECNetFeaturizer,
    ECNetRegressor,
    OrderingClassifier,
    OrderingRegressor,
    PerturbationSampler,
    StructureFeaturizer,
    StructureOverSampler,
    StructureToGraph,
)

pytestmark = [
    pytest.mark.usefixtures("few_trees"),
    # Of twelve rows, some are far from all others, and the Gaussian process is not adjusted.
    pytest.mark.filterwarnings("ignore::sklmat.exceptions.ExtrapolationWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
N = 12
TASKS = ("regression", "two targets", "classification")
SMALL = {"cutoff": 3.0, "hidden_dim": 4, "n_conv": 1, "max_epochs": 1, "random_state": 0}
ELEMENTS = {**SMALL, "n_filters": 4, "tower_dims": (4,)}
TREES = {"n_estimators": 2, "max_depth": 2, "n_jobs": 1}


def alloys():
    """Ni-Cu alloys on one fcc cell, which differ in which element is on which site."""
    cell, rng, cells = random_alloys(1, n_cells=1)[0], np.random.default_rng(0), []
    for _ in range(N):
        cell = cell.copy()
        for site in range(len(cell)):
            cell.replace(site, str(rng.choice(["Ni", "Cu"])))
        cells.append(cell)
    return cells


CELLS = alloys()
Y = np.array([c.composition.get_atomic_fraction("Ni") for c in CELLS]) + 0.1 * np.arange(N)
TARGETS = {
    "regression": Y,
    "two targets": np.column_stack([Y, 1 - 2 * Y]),
    "classification": np.resize([0, 1], N),
}


def zeros(structures):
    return np.zeros(len(structures))


def two_zeros(structures):
    return np.zeros((len(structures), 2))


def make_model(name, task):
    """The estimator of a name for a task, which is fitted in a moment."""
    classes = task == "classification"
    network = (CGCNNClassifier if classes else CGCNNRegressor)(**SMALL)
    elements = (ECNetClassifier if classes else ECNetRegressor)(**ELEMENTS)
    boosting = (XGBClassifier if classes else XGBRegressor)(**TREES)
    tree = (DecisionTreeClassifier if classes else DecisionTreeRegressor)(random_state=0)
    process = GaussianProcessClassifier() if classes else GaussianProcessRegressor(alpha=0.1)
    if name == "CGCNN":
        return network
    if name == "ECNet":
        return elements
    if name == "element vectors, XGBoost":
        return make_pipeline(ECNetFeaturizer(elements, n_components=1), boosting)
    if name == "tree":
        return make_pipeline(StructureFeaturizer(), tree)
    if name == "Gaussian process":
        return make_pipeline(CompositionFeaturizer(), process)
    if name == "EFTGAN":
        gan = infogan(max_epochs=1, n_ensemble=1)
        return tiny(
            estimator=ecnet(cutoff=3.0, max_epochs=1, n_ensemble=1),
            augmenter=gan,
            regressor=Ridge(),
        )
    if name == "orderings":
        return (OrderingClassifier if classes else OrderingRegressor)(random_state=0)
    if name == "difference":
        elements = ECNetRegressor(**ELEMENTS)
        return DeltaRegressor(elements, two_zeros if task == "two targets" else zeros)
    if classes:
        return AugmentedClassifier(network, StructureOverSampler(), random_state=0)
    return AugmentedRegressor(network, PerturbationSampler(), random_state=0)


MODELS = (
    "CGCNN",
    "ECNet",
    "element vectors, XGBoost",
    "tree",
    "Gaussian process",
    "EFTGAN",
    "orderings",
    "difference",
    "augmented",
)
WITHOUT_GRAPHS = ("tree", "Gaussian process", "orderings")


def split(classes):
    return (StratifiedShuffleSplit if classes else ShuffleSplit)(1, test_size=0.4, random_state=0)


def stack(model, classes):
    if classes:
        return StackingClassifier([("model", model)], LogisticRegression(), cv=StratifiedKFold(2))
    return StackingRegressor([("model", model)], Ridge(), cv=KFold(2))


def vote(model, classes):
    if classes:
        return VotingClassifier([("model", model)], voting="soft")
    return VotingRegressor([("model", model)])


def bag(model, classes):
    return (BaggingClassifier if classes else BaggingRegressor)(model, 2, random_state=0)


def stop_early(model, classes):
    cls = EarlyStoppingClassifier if classes else EarlyStoppingRegressor
    return cls(model, validation_fraction=0.3, random_state=0)


WRAPPERS = {
    "pipeline": lambda model, classes: make_pipeline("passthrough", model),
    "pipeline of graphs": lambda model, classes: make_pipeline(StructureToGraph(cutoff=3.0), model),
    "search": lambda model, classes: GridSearchCV(
        model, {}, cv=split(classes), error_score="raise"
    ),
    "scaled target": lambda model, classes: TransformedTargetRegressor(
        model, transformer=StandardScaler()
    ),
    "stack": stack,
    "vote": vote,
    "calibration": lambda model, classes: CalibratedClassifierCV(model, cv=2),
    "threshold": lambda model, classes: FixedThresholdClassifier(model, threshold=0.3, pos_label=1),
    "bagging": bag,
    "single targets": lambda model, classes: MultiOutputRegressor(model),
    "early stopping": stop_early,
}
#: Wrappers whose predictions are those of the estimator alone.
TRANSPARENT = ("pipeline", "search", "vote")

GRAPHS_REFUSED = r"structures themselves, not CrystalGraphs: pass the structures"
ONE_TARGET = r"y should be a 1d array, got an array of shape \(12, 2\)"
NO_CLASSIFIER = r"'estimator' parameter of \w+ must be an object implementing 'fit' and 'predict_p"
NO_BOOSTING = r"\w+ is no boosting that takes validation rows: the last step must be a model of XGB"
ARRAY_OF_SITES = r"an array of shape \(\d+, 4\)"


def reason(name, wrapper, task):
    """What the error says for a combination that cannot work; None for all others."""
    if wrapper == "pipeline of graphs" and name in WITHOUT_GRAPHS:
        return GRAPHS_REFUSED
    if wrapper in ("stack", "vote") and task == "two targets":
        return ONE_TARGET
    if wrapper in ("calibration", "threshold") and task != "classification":
        return NO_CLASSIFIER
    if wrapper == "bagging":
        return ARRAY_OF_SITES
    if wrapper == "single targets" and task != "two targets":
        return "y must have at least two dimensions for multi-output regression"
    if wrapper == "scaled target" and task == "classification":
        return "dtype='numeric' is not compatible with arrays of bytes/strings"
    if wrapper == "early stopping" and name != "element vectors, XGBoost":
        return NO_BOOSTING
    return None


REGRESSORS_ONLY = ("EFTGAN", "difference")
COMBINATIONS = [
    (name, wrapper, task)
    for task in TASKS
    for name in MODELS
    for wrapper in WRAPPERS
    if not (task == "classification" and name in REGRESSORS_ONLY)
]


#: Models whose fits take most of the time; the quick tests fit them for single numbers only.
LONG = ("element vectors, XGBoost", "tree", "EFTGAN", "orderings")


def marked(name, task, *others, works=True):
    is_long = (name in LONG and task != "regression") or (
        name == "orderings" and "search" in others
    )
    marks = pytest.mark.slow if works and is_long else ()
    return pytest.param(name, *others, task, marks=marks)


EACH_MODEL = [marked(name, task) for name in MODELS for task in TASKS]


@cache
def fitted_alone(name, task):
    return make_model(name, task).fit(CELLS, TARGETS[task])


def test_number_of_combinations():
    assert len(COMBINATIONS) >= 60
    works = [each for each in COMBINATIONS if reason(*each) is None]
    assert len(works) >= 60


@pytest.mark.parametrize(
    ("name", "wrapper", "task"),
    [
        marked(name, task, wrapper, works=reason(name, wrapper, task) is None)
        for name, wrapper, task in COMBINATIONS
    ],
)
def test_combination(name, wrapper, task):
    classes, y = task == "classification", TARGETS[task]
    # In a model for each target, the difference has one target, too.
    model = make_model(name, "regression" if wrapper == "single targets" else task)
    message = reason(name, wrapper, task)
    wrapped = WRAPPERS[wrapper](model, classes)
    if message is not None:
        if wrapper == "scaled target":
            y = np.resize(["low", "high"], N)
        with pytest.raises((ValueError, TypeError), match=message):
            wrapped.fit(CELLS, y)
        return
    predicted = wrapped.fit(CELLS, y).predict(CELLS)
    assert predicted.shape == y.shape
    if classes:
        assert set(predicted) <= {0, 1}
    else:
        assert np.isfinite(predicted).all()
    if wrapper in TRANSPARENT:
        np.testing.assert_allclose(predicted, fitted_alone(name, task).predict(CELLS), rtol=1e-5)
    if wrapper == "single targets":
        first = fitted_alone(name, "regression").predict(CELLS)
        np.testing.assert_allclose(predicted[:, 0], first, rtol=1e-5)


@pytest.mark.parametrize(("name", "task"), EACH_MODEL)
def test_cross_validation(name, task):
    folds = StratifiedKFold(2) if task == "classification" else KFold(2)
    model = make_model(name, task)
    if task == "classification" and name in REGRESSORS_ONLY:
        labels = np.resize(["low", "high"], N)
        with pytest.raises(ValueError, match="y must be numeric"):
            cross_validate(model, CELLS, labels, cv=folds, error_score="raise")
        return
    found = cross_validate(model, CELLS, TARGETS[task], cv=folds, error_score="raise")
    assert np.isfinite(found["test_score"]).all()


@pytest.mark.parametrize(("name", "task"), EACH_MODEL)
def test_frozen(name, task):
    if task == "classification" and name in REGRESSORS_ONLY:
        with pytest.raises(ValueError, match="y must be numeric"):
            make_model(name, task).fit(CELLS, np.resize(["low", "high"], N))
        return
    model = fitted_alone(name, task)
    expected = model.predict(CELLS)
    # A fit on other rows changes nothing.
    frozen = clone(FrozenEstimator(model)).fit(CELLS[:5], TARGETS[task][:5])
    assert np.array_equal(frozen.predict(CELLS), expected)


def test_names_of_classes_for_xgboost():
    labels = np.resize(["low", "high"], N)
    model = make_model("element vectors, XGBoost", "classification")
    with pytest.raises(ValueError, match=r"Expected: \[0 1\], got \['high' 'low'\]"):
        model.fit(CELLS, labels)
    assert set(stop_early(model, True).fit(CELLS, labels).predict(CELLS)) <= {"low", "high"}
