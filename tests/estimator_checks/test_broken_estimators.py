"""The checks pass sound estimators and catch broken ones."""

import sys
from numbers import Real

import numpy as np
import pandas as pd
import pytest
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted
from toy_estimators import SOUND, Classifier, Featurizer, NoisyJobs, Regressor, SortsRows, describe

from sklmat.estimator_checks import parametrize_with_structure_checks, structure_estimator_checks
from sklmat.structures import check_structures


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
