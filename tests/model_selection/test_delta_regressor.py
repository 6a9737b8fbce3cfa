"""`DeltaRegressor`: the estimator learns what baseline and element references leave."""

import functools
import json
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.cluster import KMeans
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import BayesianRidge, LinearRegression, LogisticRegression, Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from tiny_ecnet import CUTOFF, TINY

from sklmat import (
    CompositionFeaturizer,
    DeltaRegressor,
    ECNetRegressor,
    StructureFeaturizer,
    StructureToGraph,
)
from sklmat.estimator_checks import make_toy_crystals
from sklmat.exceptions import ExtrapolationWarning, InvalidStructureError


def zero(X):
    return np.zeros(len(X))


def volume(structures):
    return [structure.volume / len(structure) for structure in structures]


def two_volumes(structures):
    return np.column_stack([volume(structures), zero(structures)])


def cheap_label(structures):
    return [structure.properties["cheap"] for structure in structures]


class Centred(TransformerMixin, BaseEstimator):
    """Volume per atom minus its mean over the rows of `fit`: one column that depends on them."""

    def fit(self, X, y=None):
        self.mean_ = np.mean(volume(X))
        return self

    def transform(self, X):
        return np.array(volume(X))[:, None] - self.mean_

    def get_feature_names_out(self, input_features=None):
        return np.array(["centred volume"])


class Zero(RegressorMixin, BaseEstimator):
    """Predicts zero, whatever it is given; remembers the targets and weights."""

    def fit(self, X, y, sample_weight=None):
        self.X_, self.y_, self.weight_ = X, y, sample_weight
        return self

    def predict(self, X):
        return np.zeros((len(X), *self.y_.shape[1:]))


def on_volume(regressor=None):
    return make_pipeline(StructureFeaturizer(groups=["volume"]), regressor or Ridge())


@pytest.fixture(scope="module")
def crystals():
    X, _ = make_toy_crystals(16)
    y = np.random.default_rng(0).normal(size=16) + 0.3 * np.array(volume(X))
    return X, y


# -- what is learned


def test_references_by_hand():
    """2 per Ni, 5 per Cu: the ridge takes away a millionth."""
    model = DeltaRegressor(Zero(), zero).fit(["Ni", "Cu", "NiCu", "Ni3Cu"], [2, 5, 3.5, 2.75])
    assert model.references_ == pytest.approx({"Ni": 2, "Cu": 5}, abs=1e-5)
    assert model.estimator_.y_ == pytest.approx(0, abs=1e-5)
    assert model.predict(["NiCu3"]) == pytest.approx(0.25 * 2 + 0.75 * 5, abs=1e-5)


def test_the_estimator_learns_target_minus_baseline_minus_references():
    X = ["Ni", "Cu", "NiCu"]
    model = DeltaRegressor(Zero(), lambda X: [1.0, 2.0, 4.0][: len(X)], references=None)
    model.fit(X, [1.5, 2.0, 3.0])
    assert model.estimator_.y_.tolist() == [0.5, 0.0, -1.0]
    assert model.predict(X).tolist() == [1.0, 2.0, 4.0]
    assert model.references_ is None


def test_equal_to_the_explicit_calculation(crystals):
    X, y = crystals
    train, test = np.arange(12), np.arange(12, 16)
    elements = ["Ni", "Cu", "Pd"]
    C = np.array([[x.composition.get_atomic_fraction(e) for e in elements] for x in X])
    e, table = np.array(volume(X)), np.array([[len(x), x.volume] for x in X])
    ridge = RidgeCV(np.logspace(-6, 2, 9), fit_intercept=False).fit(C[train], (y - e)[train])
    baseline = e + C @ ridge.coef_
    learned = Ridge().fit(table[train], (y - baseline)[train])
    expected = baseline[test] + learned.predict(table[test])

    features = FunctionTransformer(lambda X: np.array([[len(x), x.volume] for x in X]))
    model = DeltaRegressor(make_pipeline(features, Ridge()), volume)
    model.fit([X[row] for row in train], y[train])
    np.testing.assert_allclose(model.predict([X[row] for row in test]), expected, rtol=1e-12)
    assert model.references_ == pytest.approx(dict(zip(elements, ridge.coef_)), rel=1e-12)


def test_multi_fidelity(crystals):
    """The cheap label is wrong by 0.7 per palladium; five expensive labels find this out."""
    X = [structure.copy() for structure in crystals[0]]
    y = crystals[1]
    for structure, symbol in zip(X, ["Ni", "Cu", "Pd"]):
        structure.replace_species(dict.fromkeys(["Ni", "Cu", "Pd"], symbol))
    for structure, label in zip(X, y):
        palladium = structure.composition.get_atomic_fraction("Pd")
        structure.properties["cheap"] = label - 0.7 * palladium
    model = DeltaRegressor(DummyRegressor(), cheap_label).fit(X[:5], y[:5])
    assert model.references_ == pytest.approx({"Ni": 0, "Cu": 0, "Pd": 0.7}, abs=1e-4)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-4)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(X), model.predict(X))


def test_several_targets_of_which_one_is_missing_in_some_rows():
    X = ["Ni", "Cu", "Pd", "NiCu"]
    y = pd.DataFrame({"energy": [2, 5, 1, 3.5], "moment": [0.6, 0, np.nan, 0.3]})
    model = DeltaRegressor(Zero(), lambda X: np.zeros((len(X), 2))).fit(X, y)
    assert np.isnan(model.references_.loc["Pd", "moment"])
    assert model.references_.loc["Pd", "energy"] == pytest.approx(1, abs=1e-5)
    with pytest.raises(InvalidStructureError, match="element Pd, for which there is no reference"):
        model.predict(["Pd"])
    y.loc[len(X)] = [1.5, 0.3]
    X = [*X, "PdNi"]
    model.fit(X, y)
    assert list(model.references_.columns) == ["energy", "moment"]
    assert model.references_.loc["Pd"].to_numpy() == pytest.approx([1, 0], abs=1e-3)
    assert np.isnan(model.estimator_.y_).tolist() == np.isnan(y.to_numpy()).tolist()
    predicted = model.predict(["NiCu"])
    assert predicted.shape == (1, 2)
    assert predicted[0] == pytest.approx([3.5, 0.3], abs=1e-3)


def test_each_target_is_learned_as_if_alone(crystals):
    X, y = crystals
    both = DeltaRegressor(on_volume(), two_volumes).fit(X, np.column_stack([y, 100 * y]))
    first = DeltaRegressor(on_volume(), volume).fit(X, y)
    second = DeltaRegressor(on_volume(), zero).fit(X, 100 * y)
    expected = np.column_stack([first.predict(X), second.predict(X)])
    np.testing.assert_allclose(both.predict(X), expected, rtol=1e-10)


def test_a_column_as_target_keeps_its_shape(crystals):
    X, y = crystals
    model = DeltaRegressor(Zero(), volume).fit(X, y[:, None])
    assert model.predict(X).shape == (16, 1)
    assert isinstance(model.references_, pd.DataFrame)


# -- nothing is learned from held-out rows


def test_nothing_is_learned_from_held_out_rows(crystals):
    """Baseline and references are fitted on training rows; a baseline fitted on all is caught."""
    X, y = crystals
    wild = list(X)
    for row in (0, 3):  # The test rows.
        wild[row] = X[row].copy()
        wild[row].scale_lattice(1.5 * X[row].volume)
    changed = y.copy()
    changed[[0, 3]] = 1e6
    cv = [(np.setdiff1d(np.arange(16), [0, 3]), np.array([0, 3]))]

    def of_training(baseline, X, y):
        model = DeltaRegressor(on_volume(), baseline)
        found = cross_validate(model, X, y, cv=cv, return_estimator=True)["estimator"][0]
        return found.predict([crystals[0][row] for row in cv[0][0]]), found.references_

    for before, after in zip(of_training(Centred(), X, y), of_training(Centred(), wild, changed)):
        assert np.array_equal(before, after) if isinstance(before, np.ndarray) else before == after
    leaks = [FrozenEstimator(Centred().fit(each)) for each in (X, wild)]
    assert of_training(leaks[0], X, y)[1] != of_training(leaks[1], wild, changed)[1]


def test_the_transformer_is_a_clone(crystals):
    X, y = crystals
    baseline = Centred()
    model = DeltaRegressor(Zero(), baseline).fit(X, y)
    assert not hasattr(baseline, "mean_")
    assert model.baseline_.mean_ == pytest.approx(np.mean(volume(X)))


# -- baselines


def test_fitted_regressor_as_baseline(crystals):
    X, y = crystals
    fitted = on_volume().fit(X[:8], y[:8])
    model = DeltaRegressor(Zero(), FrozenEstimator(fitted), None).fit(X[8:], y[8:])
    assert np.array_equal(model.predict(X), fitted.predict(X))
    assert np.array_equal(clone(model).fit(X, y).predict(X), fitted.predict(X))


def test_network_by_path_as_baseline_on_graphs(crystals, tmp_path):
    X, y = crystals
    graphs = StructureToGraph(cutoff=CUTOFF, max_neighbors=None).fit_transform(X)
    network = ECNetRegressor(**TINY).fit(graphs, y)
    network.save(tmp_path / "network")
    model = DeltaRegressor(Zero(), str(tmp_path / "network"), None).fit(graphs, y)
    assert model.estimator_.X_ is graphs
    assert np.array_equal(model.predict(graphs), network.predict(graphs))


def test_transformers_and_functions_get_structures_for_graphs(crystals):
    X, y = crystals
    graphs = StructureToGraph(cutoff=CUTOFF, max_neighbors=None).fit_transform(X)
    for baseline in (Centred(), volume):
        model = DeltaRegressor(ECNetRegressor(**TINY), baseline).fit(graphs, y)
        other = DeltaRegressor(ECNetRegressor(**TINY, cutoff=CUTOFF), baseline).fit(X, y)
        np.testing.assert_allclose(model.predict(graphs), other.predict(X), rtol=1e-4)


def test_delta_of_delta(crystals):
    X, y = crystals
    inner = DeltaRegressor(on_volume(), volume)
    outer = DeltaRegressor(inner, zero, None).fit(X, y)
    assert np.array_equal(outer.predict(X), inner.fit(X, y).predict(X))


@pytest.mark.parametrize(
    ("baseline", "error", "message"),
    [
        (Ridge(), ValueError, "Ridge that is not fitted.*on other rows.*FrozenEstimator"),
        (Ridge().fit([[0], [1]], [0, 1]), ValueError, "fitted Ridge.*clone.*FrozenEstimator"),
        (on_volume(), ValueError, "Pipeline that is not fitted"),
        (Ridge, TypeError, "is a class; pass an instance"),
        (
            FrozenEstimator(LogisticRegression().fit([[0], [1]], [0, 1])),
            TypeError,
            "holds a classifier",
        ),
        (
            FrozenEstimator(KMeans(1).fit([[0], [1]])),
            TypeError,
            "holds a clusterer, KMeans; it must give numbers",
        ),
        (lambda X: 3.0, ValueError, r"gives an array of shape \(\)"),
        (lambda X: ["a"] * len(X), ValueError, "baseline must give an array.*a list that cannot"),
        (lambda X: np.full(len(X), 1j), ValueError, "baseline must give an array.*omplex"),
        (lambda X: np.zeros(3), ValueError, "gives 3 rows for the 16 rows"),
        (two_volumes, ValueError, "one column per target, 1 for this y, and gives 2 columns;"),
        (
            StructureFeaturizer(groups=["volume"]),
            ValueError,
            r"columns \(volume per atom \(Å³\), .*choose the column",
        ),
    ],
)
def test_baselines_that_are_refused(baseline, error, message, crystals):
    with pytest.raises(error, match=message):
        DeltaRegressor(Zero(), baseline).fit(*crystals)


def test_sparse_baseline(crystals):
    X, y = crystals
    fitted = DeltaRegressor(Zero(), lambda X: csr_array(np.array(volume(X))[:, None])).fit(X, y)
    assert np.array_equal(fitted.predict(X), DeltaRegressor(Zero(), volume).fit(X, y).predict(X))


def test_columns_of_an_array_are_named_by_the_transformer(crystals):
    baseline = CompositionFeaturizer(properties=[]).set_output(transform="default")
    with pytest.raises(ValueError, match=r"4 columns \(x_Ni, x_Cu, x_Pd, mixing entropy"):
        DeltaRegressor(Zero(), baseline).fit(*crystals)


def test_of_many_columns_the_first_ones_are_named(crystals):
    with pytest.raises(ValueError, match=r"\(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 5 more\)"):
        DeltaRegressor(Zero(), lambda X: pd.DataFrame(np.ones((len(X), 15)))).fit(*crystals)


def test_missing_values_of_the_baseline_name_their_rows(crystals):
    X, y = crystals
    values = np.array(volume(X))
    values[[2, 5]] = np.nan, np.inf
    with pytest.raises(ValueError, match="baseline is NaN or infinite in rows 2, 5; leave"):
        DeltaRegressor(Zero(), lambda X: values[: len(X)]).fit(X, y)


def test_compositions_are_checked_before_the_baseline_is_computed(crystals):
    """A pre-trained potential may need minutes."""
    calls = []

    def slow(structures):
        calls.append(len(structures))
        return np.zeros(len(structures))

    X, y = crystals
    with pytest.raises(InvalidStructureError, match="structure 3"):
        DeltaRegressor(Zero(), slow).fit([*X[:3], None, *X[4:]], y)
    assert calls == []
    model = DeltaRegressor(Zero(), slow).fit(X, y)
    gold = X[0].copy()
    gold.replace(0, "Au")
    with pytest.raises(InvalidStructureError, match="element Au"):
        model.predict([X[0], gold])
    assert calls == [16]


# -- elements that no training row had


def test_unseen_elements():
    model = DeltaRegressor(Zero(), zero).fit(["Ni", "Cu"], [2, 5])
    with pytest.raises(InvalidStructureError, match=r"Ni0.5Au0.5\): holds the element Au") as error:
        model.predict(["Ni", "AuNi"])
    assert error.value.index == 1
    model.set_params(handle_unknown="warn")
    with pytest.warns(ExtrapolationWarning, match=r"Au \(row 1\); their element references count"):
        predicted = model.predict(["Ni", "AuNi"])
    assert predicted == pytest.approx([2, 1], abs=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet = model.set_params(handle_unknown="ignore").predict(["Ni", "AuNi"])
    assert np.array_equal(quiet, predicted)


# -- tables


def test_table_with_fractions():
    table = CompositionFeaturizer(properties=[]).fit_transform(["Ni", "Cu", "NiCu"])
    model = DeltaRegressor(Zero(), lambda table: table["mixing entropy (kB per atom)"])
    model.fit(table, [2, 5, 3.5 + np.log(2)])
    assert model.references_ == pytest.approx({"Ni": 2, "Cu": 5}, abs=1e-5)
    assert not hasattr(model, "n_features_in_")
    model = DeltaRegressor(Ridge(), zero).fit(table, [2, 5, 3.5])
    assert model.n_features_in_ == 3
    assert list(model.feature_names_in_) == list(table.columns)


def test_table_of_polars():
    polars = pytest.importorskip("polars")
    table = polars.DataFrame({"x_Ni": [1.0, 0.0, 0.5], "x_Cu": [0.0, 1.0, 0.5]})
    model = DeltaRegressor(DummyRegressor(), zero).fit(table, [2, 5, 3.5])
    assert model.references_ == pytest.approx({"Ni": 2, "Cu": 5}, abs=1e-5)


def test_tables_whose_composition_is_not_known():
    for X in (pd.DataFrame({"volume": [1.0, 2.0]}), np.ones((2, 1))):
        with pytest.raises(ValueError, match="set references=None"):
            DeltaRegressor(Ridge(), zero).fit(X, [1, 2])
        assert len(DeltaRegressor(Ridge(), zero, None).fit(X, [1, 2]).predict(X)) == 2
    table = pd.DataFrame({"x_Ni": [0.5, 1.0], "x_Cu": [0.4, 0.0]})
    with pytest.raises(ValueError, match="row 0 has fractions that do not sum to one"):
        DeltaRegressor(Ridge(), zero).fit(table, [1, 2])


# -- scikit-learn


def test_return_std_is_that_of_the_difference(crystals):
    X, y = crystals
    model = DeltaRegressor(on_volume(BayesianRidge()), volume).fit(X, y)
    predicted, std = model.predict(X, return_std=True)
    assert np.array_equal(predicted, model.predict(X))
    assert np.array_equal(std, model.estimator_.predict(X, return_std=True)[1])
    with pytest.raises(TypeError, match="Ridge does not; graph networks with n_ensemble"):
        DeltaRegressor(on_volume(), volume).fit(X, y).predict(X, return_std=True)
    transformed = TransformedTargetRegressor(on_volume(BayesianRidge()))
    with pytest.raises(TypeError, match="TransformedTargetRegressor does not"):
        DeltaRegressor(transformed, volume).fit(X, y).predict(X, return_std=True)


def test_weights_reach_references_and_estimator(crystals):
    X, y = crystals
    weight = np.linspace(1, 2, 16)
    weight[3] = 0
    wild = y.copy()
    wild[3] = 1e3
    models = [
        DeltaRegressor(on_volume(), volume).fit(X, target, sample_weight=weight)
        for target in (y, wild)
    ]
    assert models[0].references_ == models[1].references_
    assert np.array_equal(models[0].predict(X), models[1].predict(X))
    fitted = DeltaRegressor(Zero(), volume).fit(X, y, sample_weight=weight)
    assert fitted.estimator_.weight_.tolist() == np.delete(weight, 3).tolist()
    with pytest.raises(TypeError, match="KNeighborsRegressor does not"):
        DeltaRegressor(KNeighborsRegressor(), volume).fit(X, y, sample_weight=weight)
    with pytest.raises(ValueError, match=r"zero"):
        DeltaRegressor(Zero(), volume).fit(X, y, sample_weight=0 * weight)
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        DeltaRegressor(Zero(), volume).fit(X, y, sample_weight=-weight)


def test_scale_of_the_weights_does_not_matter():
    X, y = ["Ni", "Cu", "NiCu", "Ni3Cu"], [2.0, 5.0, 3.5, 2.75]
    weight = np.array([1.0, 2.0, 4.0, 1.0])
    models = [
        DeltaRegressor(Zero(), zero).fit(X, y, sample_weight=scale * weight)
        for scale in (2.0**-30, 1.0, 2.0**30)
    ]
    assert models[0].references_ == models[1].references_ == models[2].references_
    assert models[1].references_ == pytest.approx({"Ni": 2, "Cu": 5}, abs=1e-5)
    equal = DeltaRegressor(Zero(), zero).fit(X, y, sample_weight=np.full(4, 0.5))
    assert equal.references_ == DeltaRegressor(Zero(), zero).fit(X, y).references_


def test_weights_reach_the_last_step_of_a_pipeline_in_a_pipeline(crystals):
    X, y = crystals
    weight = np.arange(16.0)
    features = StructureFeaturizer(groups=["volume"])
    nested = make_pipeline(features, make_pipeline(FunctionTransformer(), Ridge()))
    flat = make_pipeline(features, Ridge())
    fitted = [
        DeltaRegressor(estimator, volume).fit(X, y, sample_weight=weight)
        for estimator in (nested, flat)
    ]
    assert np.array_equal(fitted[0].predict(X), fitted[1].predict(X))


def test_metadata_routing(crystals):
    X, y = crystals
    weight = np.arange(16.0)
    with sklearn.config_context(enable_metadata_routing=True):
        ridge = Ridge().set_fit_request(sample_weight=True)
        models = [
            DeltaRegressor(estimator, volume)
            .set_fit_request(sample_weight=True)
            .set_score_request(sample_weight=False)
            for estimator in (Zero(), on_volume(ridge))
        ]
        found = [
            cross_validate(
                model, X, y, cv=KFold(2), params={"sample_weight": weight}, return_estimator=True
            )["estimator"][0]
            for model in models
        ]
    assert found[0].estimator_.weight_.tolist() == weight[8:].tolist()
    plain = DeltaRegressor(on_volume(), volume).fit(X[8:], y[8:], sample_weight=weight[8:])
    assert np.array_equal(found[1].predict(X), plain.predict(X))


def test_search_over_parameters_of_the_parts(crystals):
    X, y = crystals
    model = DeltaRegressor(on_volume(), Centred())
    grid = {"estimator__ridge__alpha": [0.1, 10.0], "references": ["elements", None]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_estimator_.get_params()["estimator__ridge__alpha"] in (0.1, 10.0)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "needs y"),
        ([1.0], "X has 2 rows and y has 1"),
        ([1.0, np.inf], "infinite in row 1"),
        (np.ones((2, 1, 1)), "shape"),
    ],
)
def test_targets_that_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        DeltaRegressor(Zero(), zero).fit(["Ni", "Cu"], y)


def test_estimators_that_are_refused():
    for estimator in (LogisticRegression(), on_volume(KMeans(2)), IsolationForest(), Ridge):
        with pytest.raises(TypeError, match="estimator must be a regressor"):
            DeltaRegressor(estimator, zero).fit(["Ni", "Cu"], [1, 2])
    with pytest.raises(ValueError, match="'references' parameter"):
        DeltaRegressor(Ridge(), zero, "atoms").fit(["Ni", "Cu"], [1, 2])


# -- files


def assert_same_after_saving(model, X, path, **options):
    model.save(path)
    again = DeltaRegressor.load(path, **options)
    assert np.array_equal(again.predict(X), model.predict(X))
    assert clone(again).get_params(deep=False).keys() == model.get_params(deep=False).keys()
    return again


def test_file_of_networks(crystals, tmp_path):
    X, y = crystals
    network = functools.partial(ECNetRegressor, **TINY, cutoff=CUTOFF)
    baseline = FrozenEstimator(network().fit(X[:8], y[:8]))
    model = DeltaRegressor(network(), baseline).fit(X[8:], y[8:])
    again = assert_same_after_saving(model, X, tmp_path / "model")
    assert again.references_ == model.references_
    assert again.predict(X, return_std=True)[1].shape == (16,)
    # As the baseline of another one, by its path.
    outer = DeltaRegressor(network(), tmp_path / "model", None).fit(X, y)
    assert np.array_equal(outer.baseline_.predict(X), model.predict(X))
    assert_same_after_saving(outer, X, tmp_path / "outer")


def test_file_of_a_function_as_baseline(crystals, tmp_path):
    X, y = crystals
    y = np.column_stack([y, y])
    model = DeltaRegressor(ECNetRegressor(**TINY, cutoff=CUTOFF), two_volumes).fit(X, y)
    again = assert_same_after_saving(model, X, tmp_path / "model", baseline=two_volumes)
    pd.testing.assert_frame_equal(again.references_, model.references_)
    with pytest.raises(ValueError, match=r"load\(path, baseline=function\)"):
        DeltaRegressor.load(tmp_path / "model")


def test_file_with_a_transformer(crystals, tmp_path):
    X, y = crystals
    transformer = StructureFeaturizer(groups=["volume"])
    n_columns = len(transformer.fit(X).get_feature_names_out())
    targets = np.tile(y[:, None], n_columns)
    model = DeltaRegressor(ECNetRegressor(**TINY, cutoff=CUTOFF), transformer).fit(X, targets)
    again = assert_same_after_saving(model, X, tmp_path / "model")
    assert repr(again.baseline) == repr(transformer)
    with pytest.raises(ValueError, match="holds its baseline"):
        DeltaRegressor.load(tmp_path / "model", baseline=volume)


def test_file_names_transformers_of_sklmat_only(crystals, tmp_path):
    X, y = crystals
    transformer = StructureFeaturizer(groups=["volume"]).fit(X)
    targets = np.tile(y[:, None], len(transformer.get_feature_names_out()))
    model = DeltaRegressor(ECNetRegressor(**TINY, cutoff=CUTOFF), transformer).fit(X, targets)
    model.save(tmp_path / "model")
    with safe_open(tmp_path / "model", "np") as file:
        metadata, parts = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    # A file of an earlier version; with a digest, the change itself is noticed.
    del metadata["digest"]
    for other in ("subprocess.Popen", "StructureAttack", "check_structures"):
        content = metadata["content"].replace("StructureFeaturizer", other)
        save_file(parts, tmp_path / "broken", metadata | {"content": content})
        with pytest.raises(ValueError, match=f"{other} is no transformer of sklmat"):
            DeltaRegressor.load(tmp_path / "broken")


def test_damaged_files(crystals, tmp_path):
    """The message names the file and what is wrong with it."""
    DeltaRegressor(ECNetRegressor(**TINY, cutoff=CUTOFF), volume).fit(*crystals).save(
        tmp_path / "model"
    )
    with safe_open(tmp_path / "model", "np") as file:
        metadata, part = file.metadata(), file.get_tensor("estimator")
    del metadata["digest"]
    content = json.loads(metadata["content"])
    cut = {"content": metadata["content"][:-5]}
    other = {"content": json.dumps(content | {"params": content["params"] | {"alpha": 1}})}
    for changed, array, message in [
        (cut, part, "is damaged"),
        ({"content": json.dumps({**content, "params": {}})}, part, "damaged: 'references'"),
        (other, part, r"another version of sklmat, .*: \['alpha'\]"),
        ({}, part[:-3], f"the estimator in {tmp_path}/broken does not hold an estimator"),
    ]:
        save_file({"estimator": array}, tmp_path / "broken", metadata | changed)
        with pytest.raises(ValueError, match=message):
            DeltaRegressor.load(tmp_path / "broken", baseline=volume)
    for baseline in ("volume", StructureFeaturizer(), int):
        with pytest.raises(TypeError, match="baseline must be a function"):
            DeltaRegressor.load(tmp_path / "model", baseline=baseline)


def test_what_cannot_be_saved(crystals, tmp_path):
    X, y = crystals
    path = tmp_path / "model"
    network = ECNetRegressor(**TINY, cutoff=CUTOFF)
    with pytest.raises(ValueError, match="estimator is a Pipeline, which has no save"):
        DeltaRegressor(on_volume(), volume).fit(X, y).save(path)
    with pytest.raises(ValueError, match=r"Centred, which is no transformer of sklmat; .*joblib"):
        DeltaRegressor(network, Centred()).fit(X, y).save(path)
    frozen = FrozenEstimator(on_volume(LinearRegression()).fit(X, y))
    with pytest.raises(ValueError, match="baseline is a Pipeline, which has no save"):
        DeltaRegressor(network, frozen).fit(X, y).save(path)
    assert not path.exists()
    network.fit(X, y).save(path)
    with pytest.raises(ValueError, match="does not hold a DeltaRegressor"):
        DeltaRegressor.load(path)


def test_gaussian_process_of_the_difference(crystals):
    """Its standard deviation comes through a pipeline."""
    X, y = crystals
    model = DeltaRegressor(on_volume(GaussianProcessRegressor(alpha=0.1)), Centred()).fit(X, y)
    assert model.predict(X, return_std=True)[1].shape == (16,)
