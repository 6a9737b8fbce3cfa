"""The checks pass sound estimators, catch broken ones, and are run over all of sklmat's."""

import sys
from numbers import Real

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.linear_model import Ridge
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted, column_or_1d

import sklmat
from sklmat.estimator_checks import (
    all_structure_estimators,
    check_structure_estimator,
    make_toy_crystals,
    parametrize_with_structure_checks,
    structure_estimator_checks,
)
from sklmat.structures import check_structures

NAMES = ["volume per atom (Å³)", "mean atomic number", "fraction of Ni"]


def describe(structures):
    """Three numbers per crystal, shape (C, 3), by the plainest means."""
    return np.array(
        [
            [s.volume / len(s), np.mean(s.atomic_numbers), s.composition.get_atomic_fraction("Ni")]
            for s in structures
        ]
    )


class Crystals(BaseEstimator):
    """What the sound toys have in common."""

    _parameter_constraints = {"power": [Real], "random_state": ["random_state"]}

    def __init__(self, power=1.0, random_state=None):
        self.power = power
        self.random_state = random_state

    def _fit_table(self, X):
        self._validate_params()
        return self._table(X, reset=True)

    def _table(self, X, reset=False):
        if not reset:
            check_is_fitted(self)
        structures = check_structures(X)
        if reset and not len(structures):
            raise ValueError("X is empty")
        return describe(structures) ** self.power

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


class Regressor(RegressorMixin, Crystals):
    """Prediction of the nearest training crystal."""

    def fit(self, X, y):
        table = self._fit_table(X)
        y = self._check_target(y, len(table))
        self.table_, self.y_ = table, y
        return self

    def _check_target(self, y, n_rows):
        y = column_or_1d(np.asarray(y, dtype=float))
        if len(y) != n_rows:
            raise ValueError(f"{n_rows} crystals and {len(y)} values of y")
        if not np.isfinite(y).all():
            raise ValueError("y holds NaN or infinity")
        return y

    def predict(self, X):
        nearest = self._nearest(X)
        return self.y_[nearest]

    def _nearest(self, X):
        table = self._table(X)
        return np.linalg.norm(table[:, None] - self.table_[None], axis=2).argmin(axis=1)


class Classifier(ClassifierMixin, Crystals):
    """Class of the nearest training crystal, almost surely."""

    def fit(self, X, y):
        table = self._fit_table(X)
        y = column_or_1d(y)
        if len(y) != len(table):
            raise ValueError(f"{len(table)} crystals and {len(y)} labels")
        if y.dtype.kind == "f":
            raise ValueError("labels are continuous")
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError("y has one class")
        self.classes_, self.codes_, self.table_ = classes, codes, table
        return self

    def predict_proba(self, X):
        table = self._table(X)
        near = np.linalg.norm(table[:, None] - self.table_[None], axis=2).argmin(axis=1)
        odds = np.full((len(table), len(self.classes_)), 0.1 / (len(self.classes_) - 1))
        odds[np.arange(len(table)), self.codes_[near]] = 0.9
        return odds

    def predict(self, X):
        chosen = self.predict_proba(X).argmax(axis=1)
        return self.classes_[chosen]


class Featurizer(TransformerMixin, Crystals):
    """The three numbers, centred."""

    names = tuple(NAMES)

    def fit(self, X, y=None):
        self.mean_ = self._fit_table(X).mean(axis=0)
        return self

    def transform(self, X):
        return self._table(X) - self.mean_

    def get_feature_names_out(self, input_features=None):
        check_is_fitted(self)
        return np.array(self.names, dtype=object)


SOUND = [Regressor(), Classifier(), Featurizer()]


@parametrize_with_structure_checks(SOUND)
def test_sound_toys_pass(estimator, check):
    check(estimator)


# Each of the following has one fault, and the check that must find it.


class InitWithLogic(Regressor):
    def __init__(self, power=1.0, random_state=None):
        super().__init__(float(power) if isinstance(power, int) else power, random_state)
        self.twice = None


class InitConverts(Regressor):
    def __init__(self, power=1.0, random_state=None):
        super().__init__([power], random_state)


class InitTakesAnything(Regressor):
    def __init__(self, power=1.0, random_state=None, **settings):
        super().__init__(power, random_state)


class ConstraintsOfAnother(Regressor):
    _parameter_constraints = {"power": [Real], "strength": [Real]}


class DefaultOutsideConstraints(Regressor):
    _parameter_constraints = {**Regressor._parameter_constraints, "power": [StrOptions({"a"})]}


class DoesNotValidate(Regressor):
    def _fit_table(self, X):
        return describe(check_structures(X))


class DeafSetParams(Regressor):
    def set_params(self, **params):
        return self


class LearnsAtConstruction(Regressor):
    def __sklearn_clone__(self):
        new = type(self)(**self.get_params())
        vars(new).update(vars(self))
        return new


class FitReturnsNothing(Regressor):
    def fit(self, X, y):
        super().fit(X, y)


class FitChangesParameter(Regressor):
    def fit(self, X, y):
        super().fit(X, y)
        self.power = 1.5
        return self


class LearnedWithoutUnderscore(Regressor):
    def fit(self, X, y):
        self.table = self._fit_table(X)
        return super().fit(X, y)


class PredictsUnfitted(Regressor):
    def predict(self, X):
        return np.zeros(len(check_structures(X)))


class TripsUnfitted(Regressor):
    def predict(self, X):
        return self.y_[self._nearest(X)]


class Unpicklable(Regressor):
    def fit(self, X, y):
        self.function_ = lambda: None
        return super().fit(X, y)


class ForgetsInPickle(Regressor):
    def __setstate__(self, state):
        super().__setstate__(state)
        if hasattr(self, "y_"):
            self.y_ = self.y_ + 1


class Drifts(Regressor):
    def fit(self, X, y):
        self.fits_ = getattr(self, "fits_", 0) + 1
        super().fit(X, y)
        self.y_ = self.y_ + self.fits_
        return self


class KeepsTheFirst(Regressor):
    def fit(self, X, y):
        if len(X) == 12:
            self.large_ = True
        return super().fit(X, y)


class IgnoresItsSeed(Regressor):
    def fit(self, X, y):
        super().fit(X, y)
        self.y_ = self.y_ + np.random.random()  # noqa: NPY002
        return self


class SeedsTheWorld(Regressor):
    def fit(self, X, y):
        np.random.seed(self.random_state)  # noqa: NPY002
        return super().fit(X, y)


class MovesTorchOn(Regressor):
    def predict(self, X):
        import torch

        torch.rand(1)
        return super().predict(X)


class SetsTorchThreads(Regressor):
    def fit(self, X, y):
        import torch

        torch.set_num_threads(torch.get_num_threads() % 2 + 1)
        return super().fit(X, y)


class FlushesDenormals(Regressor):
    def fit(self, X, y):
        import torch

        torch.set_flush_denormal(True)
        return super().fit(X, y)


class Chatty(Regressor):
    def fit(self, X, y):
        print("fitting", file=sys.stderr)
        return super().fit(X, y)


class ByPosition(Regressor):
    def predict(self, X):
        check_is_fitted(self)
        return self.y_.mean() + np.arange(len(check_structures(X)))


class SortsRows(Regressor):
    def predict(self, X):
        return np.sort(super().predict(X))


class CentresEachCall(Featurizer):
    def transform(self, X):
        table = super().transform(X)
        return table - table.mean(axis=0)


class ListsOnly(Regressor):
    def _table(self, X, reset=False):
        if not isinstance(X, list):
            raise TypeError("not a list")
        return super()._table(X, reset)


class IndexesSeries(Regressor):
    def predict(self, X):
        return super().predict([X[k] for k in range(len(X))])


class StacksSites(Regressor):
    def predict(self, X):
        sites = np.asarray([list(s) for s in X], dtype=object) if len({*map(len, X)}) == 1 else X
        return np.zeros(sites.size // 3) if isinstance(sites, np.ndarray) else super().predict(X)


class Perturbs(Regressor):
    def predict(self, X):
        for structure in check_structures(X):
            structure.translate_sites([0], [0.01, 0, 0])
        return super().predict(X)


class Labels(Regressor):
    def fit(self, X, y):
        for structure in check_structures(X):
            structure.add_site_property("seen", [True] * len(structure))
        return super().fit(X, y)


class ScalesTargetInPlace(Regressor):
    def _check_target(self, y, n_rows):
        y = super()._check_target(y, n_rows)
        y -= 0.0
        return y


class SkipsInvalid(Regressor):
    def predict(self, X):
        good = [s for s in X if hasattr(s, "lattice")]
        return super().predict(good)


class CountsFromOne(Regressor):
    def predict(self, X):
        return super().predict(list(X)[1:])


class HalfFitted(Regressor):
    def fit(self, X, y):
        self.n_rows_ = len(X)
        return super().fit(X, y)


class TakesOneCrystal(Regressor):
    def _table(self, X, reset=False):
        return super()._table([X] if hasattr(X, "lattice") else X, reset)


class FitsNothing(Regressor):
    def fit(self, X, y):
        if len(X) == 0:
            self._validate_params()
            return self
        return super().fit(X, y)


class WarnsWithZeros(Featurizer):
    _parameter_constraints = {**Featurizer._parameter_constraints, "on_invalid": [str]}

    def __init__(self, power=1.0, random_state=None, on_invalid="raise"):
        super().__init__(power, random_state)
        self.on_invalid = on_invalid

    def transform(self, X):
        structures = check_structures(X, on_invalid=self.on_invalid)
        good = np.array([s is not None for s in structures])
        table = np.zeros((len(structures), 3))
        table[good] = super().transform(list(structures[good]))
        return table


class NeedsNeighbours(Regressor):
    def predict(self, X):
        near = [len(s.get_neighbors(s[0], 5.0)) for s in check_structures(X)]
        with np.errstate(divide="ignore"):
            return super().predict(X) + np.log(near)


class SeesTheAxes(Regressor):
    def _table(self, X, reset=False):
        table = super()._table(X, reset)
        return table + [[s.lattice.matrix[0, 0], 0, 0] for s in check_structures(X)]

    def predict(self, X):
        return self._table(X).sum(axis=1)


class SeesTheFirstAtom(SeesTheAxes):
    def _table(self, X, reset=False):
        table = Regressor._table(self, X, reset)
        return table + [[s.atomic_numbers[0], 0, 0] for s in check_structures(X)]


class SeesTheOrigin(SeesTheAxes):
    def _table(self, X, reset=False):
        table = Regressor._table(self, X, reset)
        return table + [[s.frac_coords.sum() % 1, 0, 0] for s in check_structures(X)]


class NoisyJobs(Regressor):
    _parameter_constraints = {**Regressor._parameter_constraints, "n_jobs": [None, int]}

    def __init__(self, power=1.0, random_state=None, n_jobs=None):
        super().__init__(power, random_state)
        self.n_jobs = n_jobs

    def predict(self, X):
        return super().predict(X) + 1e-9 * (self.n_jobs or 1)


class AcceptsAnyTarget(Regressor):
    def _check_target(self, y, n_rows):
        return np.asarray(y, dtype=float)[:n_rows]


class HidesTheReason(Regressor):
    def _check_target(self, y, n_rows):
        try:
            return super()._check_target(y, n_rows)
        except ValueError:
            raise ValueError("bad input") from None


class CountsFits(Regressor):
    n_fits = 0

    def fit(self, X, y):
        type(self).n_fits += 1
        super().fit(X, y)
        self.y_ = self.y_ + type(self).n_fits
        return self


class PredictsColumns(Regressor):
    def predict(self, X):
        return super().predict(X)[:, None]


class ClaimsManyTargets(Regressor):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class FlattensTargets(Regressor):
    def _check_target(self, y, n_rows):
        return super()._check_target(np.asarray(y, dtype=float).reshape(n_rows, -1)[:, 0], n_rows)


class DividesBySpread(Regressor):
    def _check_target(self, y, n_rows):
        y = super()._check_target(y, n_rows)
        with np.errstate(invalid="ignore"):
            return y * (y.std() / y.std())


class KnowsItsUnit(Regressor):
    def _check_target(self, y, n_rows):
        return np.clip(super()._check_target(y, n_rows), 0, 100)


class ReturnsCodes(Classifier):
    def predict(self, X):
        return self.predict_proba(X).argmax(axis=1)


class UnsureOdds(Classifier):
    def predict_proba(self, X):
        return super().predict_proba(X) * 0.9


class DisagreesWithItself(Classifier):
    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmin(axis=1)]


class TakesOneClass(Classifier):
    def fit(self, X, y):
        if len(set(y)) == 1:
            self.classes_ = np.unique(y)
            return self
        return super().fit(X, y)


class OtherFitTransform(Featurizer):
    def fit_transform(self, X, y=None):
        return super().fit_transform(X, y) + 1


class BracketNames(Featurizer):
    names = ("volume [Å³]", "mean atomic number", "x_Ni")


class TwinNames(Featurizer):
    names = ("volume", "volume", "x_Ni")


class OtherColumns(Featurizer):
    def set_output(self, *, transform=None):
        return self

    def transform(self, X):
        return pd.DataFrame(super().transform(X), columns=list("abc"))


CAUGHT = [
    (InitWithLogic(), "check_init_stores_only", "sets .'twice'"),
    (InitConverts(), "check_init_stores_only", "changes power"),
    (InitTakesAnything(), "check_init_stores_only", "name every parameter"),
    (ConstraintsOfAnother(), "check_parameter_constraints", "random_state.*strength"),
    (DefaultOutsideConstraints(), "check_parameter_constraints", "'power' parameter"),
    (DoesNotValidate(), "check_parameter_constraints", "any object as power"),
    (DeafSetParams(), "check_get_set_params", "does not set power"),
    (LearnsAtConstruction(), "check_clone", "table_"),
    (FitReturnsNothing(), "check_fit_returns_self", "does not return self"),
    (FitChangesParameter(), "check_fit_returns_self", "changes the parameters .'power'"),
    (LearnedWithoutUnderscore(), "check_fit_returns_self", "'table'"),
    (PredictsUnfitted(), "check_unfitted", "gives None instead"),
    (TripsUnfitted(), "check_unfitted", "gives AttributeError"),
    (Unpicklable(), "check_pickle", "lambda"),
    (ForgetsInPickle(), "check_pickle", "after pickle"),
    (Drifts(), "check_refit", "second fit"),
    (Drifts(), "check_refit_forgets", "another fit"),
    (KeepsTheFirst(), "check_refit_forgets", "left over"),
    (IgnoresItsSeed(), "check_seed", "global random numbers"),
    (SeedsTheWorld(), "check_seed", "global random numbers"),
    (MovesTorchOn(), "check_seed", "global random numbers"),
    (SetsTorchThreads(), "check_torch_settings", "global settings"),
    (FlushesDenormals(), "check_torch_settings", "global settings"),
    (Chatty(), "check_silent", "fitting"),
    (ByPosition(), "check_order_invariance", "permuted rows"),
    (SortsRows(), "check_order_invariance", "permuted rows"),
    (CentresEachCall(), "check_subset_invariance", "alone"),
    (ListsOnly(), "check_containers", "not a list"),
    (IndexesSeries(), "check_containers", "0"),
    (StacksSites(), "check_equal_sizes", "outputs for 8 crystals"),
    (Perturbs(), "check_inputs_not_mutated", "crystal 0 was changed"),
    (Labels(), "check_inputs_not_mutated", "crystal 0 was changed"),
    (ScalesTargetInPlace(), "check_inputs_not_mutated", "read-only"),
    (SkipsInvalid(), "check_invalid_crystals", "no structure is accepted"),
    (CountsFromOne(), "check_invalid_crystals", "reported in row 1"),
    (HalfFitted(), "check_invalid_crystals", "leaves .'n_rows_'"),
    (TakesOneCrystal(), "check_invalid_input", "a single crystal"),
    (FitsNothing(), "check_invalid_input", "empty list"),
    (WarnsWithZeros(), "check_on_invalid_warn", "not NaN"),
    (NeedsNeighbours(), "check_isolated_atom", "NaN or infinity"),
    (SeesTheAxes(), "check_physical_invariance", "rotation"),
    (SeesTheFirstAtom(), "check_physical_invariance", "order of the atoms"),
    (SeesTheOrigin(), "check_physical_invariance", "translation"),
    (NoisyJobs(), "check_n_jobs", "n_jobs=2"),
    (AcceptsAnyTarget(), "check_target_refused", "a shorter y|nan in y"),
    (HidesTheReason(), "check_target_refused", "does not say so: bad input"),
    (CountsFits(), "check_in_scikit_learn", "in a Pipeline"),
    (PredictsColumns(), "check_regressor_shapes", r"shape \(8, 1\)"),
    (ClaimsManyTargets(), "check_regressor_targets", "1d array"),
    (FlattensTargets(), "check_regressor_targets", "against the tags"),
    (DividesBySpread(), "check_constant_target", "constant target"),
    (KnowsItsUnit(), "check_target_units", "another unit"),
    (ReturnsCodes(), "check_classifier_labels", "predicts"),
    (UnsureOdds(), "check_classifier_labels", "strings"),
    (DisagreesWithItself(), "check_classifier_labels", "predict and predict_proba"),
    (TakesOneClass(), "check_classifier_refuses", "accepts one class"),
    (OtherFitTransform(), "check_transformer", "after fit_transform"),
    (BracketNames(), "check_column_names", "XGBoost refuses"),
    (TwinNames(), "check_column_names", "share a name"),
    (OtherColumns(), "check_column_names", "differ"),
]


@pytest.fixture
def _torch_as_it_was():
    import torch

    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


@pytest.mark.usefixtures("_torch_as_it_was")
@pytest.mark.parametrize(
    ("estimator", "name", "message"), CAUGHT, ids=[type(case[0]).__name__ for case in CAUGHT]
)
def test_each_fault_is_caught(estimator, name, message):
    checks = {check.__name__: check for _, check in structure_estimator_checks(estimator)}
    with pytest.raises(Exception, match=f"(?s){message}"):
        checks[name](estimator)


def test_every_check_is_shown_to_catch_something():
    checks = {check.__name__ for e in [*SOUND, NoisyJobs(), WarnsWithZeros()]
              for _, check in structure_estimator_checks(e)}  # fmt: skip
    assert checks == {name for _, name, _ in CAUGHT}


# ------------------------------------------------------------------ the runner


def test_runner_reports_and_raises():
    results = check_structure_estimator(Regressor())
    assert {result["status"] for result in results} == {"passed"}
    with pytest.raises(AssertionError, match="permuted rows") as info:
        check_structure_estimator(SortsRows())
    assert "check_order_invariance(SortsRows())" in info.value.__notes__[0]
    results = check_structure_estimator(
        SortsRows(), expected_failed_checks={"check_order_invariance": "it sorts"}, on_fail=None
    )
    status = {result["check_name"]: result["status"] for result in results}
    assert status["check_order_invariance"] == "xfail"
    assert status["check_refit"] == "passed"
    assert status["check_subset_invariance"] == "failed"


def test_runner_refuses_classes_and_unknown_modes():
    with pytest.raises(TypeError, match=r"pass an instance, Regressor\(...\)"):
        check_structure_estimator(Regressor)
    with pytest.raises(ValueError, match="on_fail"):
        check_structure_estimator(Regressor(), on_fail="warn")


def test_only_checks_that_apply():
    def names(estimator):
        return {check.__name__ for _, check in structure_estimator_checks(estimator)}

    assert "check_regressor_shapes" in names(Regressor()) - names(Classifier())
    assert "check_classifier_labels" in names(Classifier()) - names(Featurizer())
    assert "check_column_names" in names(Featurizer()) - names(Regressor())
    assert "check_n_jobs" in names(NoisyJobs()) - names(Regressor())
    assert "check_target_refused" not in names(Featurizer())


def test_parametrize_marks_expected_failures():
    decorator = parametrize_with_structure_checks(
        [Regressor()], expected_failed_checks=lambda estimator: {"check_seed": "because"}
    )
    cases = {case.id: case for case in decorator.args[1]}
    assert cases["Regressor-check_seed"].marks[0].kwargs == {"reason": "because"}
    assert not cases["Regressor-check_refit"].marks


def test_toy_crystals():
    X, y = make_toy_crystals()
    assert [len(s) for s in X] == [4, 4, 8, 8] * 2
    assert all(len(s.composition) == 3 for s in X)
    np.testing.assert_allclose(y, [s.volume / len(s) for s in X])
    # Atomic volumes of the three metals lie between 10.9 (Ni) and 14.7 (Pd) Å³.
    assert ((y > 10) & (y < 16)).all()
    assert min(s.distance_matrix[np.triu_indices(len(s), 1)].min() for s in X) > 2.3
    same, _ = make_toy_crystals()
    assert same == X
    other, _ = make_toy_crystals(random_state=1)
    assert other != X
    assert {len(s) for s in make_toy_crystals(equal_size=True)[0]} == {4}
    X, labels = make_toy_crystals(4, task="classification")
    assert labels.tolist() == ["bcc", "fcc", "bcc", "fcc"]
    # Eight nearest neighbours in bcc, twelve in fcc, with a gap of 15 % to the next.
    counts = [len(s.get_neighbors(s[0], 1.08 * s.get_neighbors(s[0], 3.2)[0].nn_distance))
              for s in X]  # fmt: skip
    assert counts == [8, 12, 8, 12]


# --------------------------------------------------------------- sklmat's own

NETWORK = {"cutoff": 4.0, "hidden_dim": 8, "n_conv": 1, "max_epochs": 2, "batch_size": 4}
ELEMENTS = {"hidden_dim": 4, "n_filters": 4, "tower_dims": (4,), "max_epochs": 2, "cutoff": 4.0}


def small_instances():
    """Every estimator of sklmat, set to fit eight crystals at once."""
    return {
        "StructureToGraph": [sklmat.StructureToGraph(cutoff=4.0)],
        "CompositionFeaturizer": [sklmat.CompositionFeaturizer()],
        "StructureFeaturizer": [sklmat.StructureFeaturizer()],
        "CGCNNRegressor": [
            sklmat.CGCNNRegressor(**NETWORK),
            sklmat.CGCNNRegressor(**NETWORK, n_ensemble=2, early_stopping=True),
        ],
        "CGCNNClassifier": [sklmat.CGCNNClassifier(**NETWORK)],
        "ECNetRegressor": [
            sklmat.ECNetRegressor(**ELEMENTS),
            sklmat.ECNetRegressor(**ELEMENTS, n_ensemble=1, early_stopping=True),
        ],
        "ECNetClassifier": [sklmat.ECNetClassifier(**ELEMENTS)],
        "ECNetFeaturizer": [sklmat.ECNetFeaturizer(sklmat.ECNetRegressor(**ELEMENTS))],
        "EFTGANRegressor": [
            sklmat.EFTGANRegressor(
                sklmat.ECNetRegressor(**ELEMENTS),
                sklmat.InfoGANAugmenter(
                    n_samples=4, max_epochs=3, n_ensemble=2, hidden_dim=4, labeler=Ridge()
                ),
                n_components=2,
            )
        ],
        "DisorderFeaturizer": [sklmat.DisorderFeaturizer()],
        "AdversarialFeatureBuilder": [
            sklmat.AdversarialFeatureBuilder(
                sklmat.CGCNNClassifier(**NETWORK, random_state=0),
                attack=sklmat.StructureAttack(n_steps=1),
                include=("margin", "flip_budget"),
                cv=2,
            )
        ],
        "GraphEmbedding": [sklmat.GraphEmbedding(sklmat.CGCNNRegressor(**NETWORK, random_state=0))],
    }


def test_every_estimator_has_small_instances():
    table = small_instances()
    assert {name for name, _ in all_structure_estimators()} == set(table)
    for name, instances in table.items():
        assert all(type(instance).__name__ == name for instance in instances)


def on_purpose(estimator):
    """Checks that an estimator fails, and why."""
    if isinstance(estimator, sklmat.AdversarialFeatureBuilder):
        return {"check_transformer": "fit_transform judges the training rows out-of-fold"}
    return {}


@parametrize_with_structure_checks(
    [e for group in small_instances().values() for e in group], expected_failed_checks=on_purpose
)
def test_structure_estimators(estimator, check):
    check(estimator)
