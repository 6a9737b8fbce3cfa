"""The baselines run on mixed chemistry, with elements that no training row has."""

import warnings

import numpy as np
import pandas as pd
import pytest
from crystals import b2_nial, bcc_fe, fcc_cu, l12_cu3au, rocksalt_nacl
from pymatgen.core import Composition
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, cross_val_predict

from sklmat import OrderingClassifier, OrderingRegressor
from sklmat.exceptions import ExtrapolationWarning, InvalidStructureError
from sklmat.graphs import StructureToGraph
from sklmat.model_selection import _baselines, baselines, compare_estimators


@pytest.fixture(autouse=True)
def _without_chgnet(request, monkeypatch):
    """As if it was not installed: it takes seconds to load."""
    if "with_chgnet" not in request.fixturenames:
        monkeypatch.setattr(_baselines, "find_spec", lambda name: None)


@pytest.fixture
def with_chgnet():
    pytest.importorskip("chgnet")


OF_COMPOSITIONS = [
    "mean",
    "linear, composition",
    "cubic ridge, composition",
    "random forest, composition",
    "XGBoost, composition",
    "Gaussian process, composition",
]
OF_STRUCTURES = [
    "XGBoost, composition and structure",
    "Gaussian process, composition and volume",
    "robust Gaussian process, composition and volume",
]


def test_names_and_tasks():
    regressors = baselines("regression")
    assert list(regressors) == [
        "mean",
        "linear, composition",
        "random forest, composition",
        "XGBoost, composition",
        "XGBoost, composition and structure",
    ]
    assert all(is_regressor(model) for model in regressors.values())
    classifiers = baselines("classification", [bcc_fe()])
    assert list(classifiers) == [
        "most frequent",
        "linear, composition",
        "random forest, composition",
        "XGBoost, composition",
        "Gaussian process, composition",
        "XGBoost, composition and structure",
        "Gaussian process, composition and volume",
    ]
    assert all(is_classifier(model) for model in classifiers.values())
    for formulas in (["NaCl", "Fe"], [{"Na": 1, "Cl": 1}]):
        assert list(baselines("regression", formulas)) == OF_COMPOSITIONS
    for crystals in ([bcc_fe()], [bcc_fe().as_dict()]):
        assert list(baselines("regression", crystals)) == OF_COMPOSITIONS + OF_STRUCTURES
    with pytest.raises(ValueError, match="'regression' or 'classification'"):
        baselines("ranking")
    with pytest.raises(TypeError, match="need structures or compositions, not CrystalGraphs"):
        baselines("regression", StructureToGraph().fit_transform([bcc_fe()]))
    with pytest.raises(InvalidStructureError, match="structure 1 "):
        baselines("regression", [bcc_fe(), 5])


def test_cubic_ridge_needs_fractions():
    name = "cubic ridge, composition"
    twelve = ["LiNaKRbCsFClBrI", "MgCaSr"]
    assert name in baselines("regression", twelve)
    assert name not in baselines("regression", [*twelve, "BaO"])
    assert name not in baselines("classification", twelve)
    # A polynomial of third degree is learned but for the weak penalty.
    X = [{"Na": n, "K": 20 - n} for n in range(21)]
    y = np.linspace(-1, 1, 21) ** 3
    model = baselines("regression", X)[name].fit(X[::2], y[::2])
    np.testing.assert_allclose(model.predict(X[1::2]), y[1::2], atol=0.01)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_gaussian_process_on_few_rows():
    """It is left out where it would take too long, and where the number of rows is not known."""
    name = "Gaussian process, composition"
    assert name not in baselines("regression")
    assert name in baselines("regression", ["Fe"] * 3000)
    assert name not in baselines("regression", ["Fe"] * 3001)
    assert name in baselines("classification", ["Fe"] * 1000)
    assert name not in baselines("classification", ["Fe"] * 1001)
    X = ["NaCl", "KCl", "NaBr", "KBr", "Fe", "Ni"]
    y = [7.0, 7.0, 6.0, 6.0, 0.0, 0.0]
    model = baselines("regression", X)[name].fit(X, y)
    mean, deviation = model.predict([*X, "LiF"], return_std=True)
    np.testing.assert_allclose(mean[:6], y, atol=0.2)
    # Far from the training rows, the deviation is larger.
    assert deviation[6] > 3 * deviation[:6].max()


def test_process_has_a_length_scale_for_each_fraction_lattice_and_the_volume():
    """The volume per atom of NaCl cells of other sizes, and a label that is far off."""
    X = [rocksalt_nacl() for _ in range(20)]
    for k, crystal in enumerate(X):
        crystal.scale_lattice(crystal.volume * (1 + k / 100))
    y = np.arange(20.0)
    y[7] = 30
    models = baselines("regression", X)
    name = "Gaussian process, composition and volume"
    model = models[f"robust {name}"].fit(X, y)
    names = [column.rpartition("__")[2] for column in model[-1].feature_names_in_]
    assert names == [
        "x_Na",
        "x_Cl",
        "mixing entropy (kB per atom)",
        "lattice_sc",
        "volume per atom (Å³)",
        "density (g/cm³)",
        "packing fraction",
        "volume relative to the elements",
    ]
    assert len(model[-1].length_scales_) == 8
    assert model[-1].label_weights_.argmin() == 7
    assert model.predict([X[7]])[0] == pytest.approx(7, abs=0.3)
    assert (models[name].fit(X, y)[-1].label_weights_ == 1).all()


def test_a_lattice_that_no_training_row_has_does_not_stop_a_model():
    X = [bcc_fe(), fcc_cu(), bcc_fe(), fcc_cu()]
    for task, y in (("regression", [0.0, 1.0, 0.0, 1.0]), ("classification", [0, 1, 0, 1])):
        model = baselines(task, X)["Gaussian process, composition and volume"].fit(X, y)
        with pytest.warns(ExtrapolationWarning, match="Na"):
            prediction = model.predict([rocksalt_nacl(), bcc_fe()])
        assert np.isfinite(prediction).all()
        assert prediction[1] == pytest.approx(0, abs=0.2)


def ordered_crystals(n):
    """Orderings of Cl and Br on the four anions of a cell of NaCl, with random displacements."""
    rng = np.random.default_rng(0)
    crystals = []
    for _ in range(n):
        crystal = rocksalt_nacl()
        for site, element in zip(range(4, 8), rng.choice(["Cl", "Br"], 4)):
            crystal[site] = element
        crystals.append(crystal.perturb(0.02))
    return crystals


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_ordering_model_where_all_crystals_have_one_parent(task):
    X = ordered_crystals(20)
    model = baselines(task, X)["ordering model"]
    assert isinstance(model, OrderingRegressor if task == "regression" else OrderingClassifier)
    assert model.random_state == 0
    for other in (
        [*X, bcc_fe()],
        [*X[:-1], b2_nial() * (2, 2, 1)],
        # An element that only one row has can be in a test fold only.
        [*X, rocksalt_nacl().replace_species({"Na": "K"})],
    ):
        assert "ordering model" not in baselines(task, other)


@pytest.mark.slow
def test_process_on_the_vectors_of_chgnet(with_chgnet):
    X = [bcc_fe(), fcc_cu(), rocksalt_nacl(), b2_nial(), l12_cu3au(), bcc_fe() * (2, 1, 1)]
    for task, y in (("regression", np.arange(6.0)), ("classification", [0, 1, 1, 0, 1, 0])):
        assert "CHGNet" not in "".join(baselines(task))
        model = baselines(task, X)["Gaussian process, CHGNet"].fit(X, y)
        assert sum("embedding" in name for name in model[1].get_feature_names_out()) == 64
        with pytest.warns(ExtrapolationWarning, match="Mg"):
            assert np.isfinite(model.predict([rocksalt_nacl().replace_species({"Na": "Mg"})])).all()


def set_trees(model, number):
    for step in getattr(model, "named_steps", {}).values():
        if "n_estimators" in step.get_params():
            step.set_params(n_estimators=number)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_elements_of_test_rows_only_do_not_stop_a_comparison():
    X = [bcc_fe(), fcc_cu(), rocksalt_nacl(), b2_nial(), l12_cu3au(), fcc_cu()]
    y = np.arange(6.0)
    models = baselines("regression", X)
    for model in models.values():
        set_trees(model, 5)
    with pytest.warns(ExtrapolationWarning, match="Na"):
        table = compare_estimators(models, X, y, cv=3)
    assert np.isfinite(table["MAE mean"]).all()


@pytest.mark.parametrize("labels", [["metal", "salt"], [1, 3], [False, True]], ids=str)
def test_classes_may_be_any_labels(labels):
    X = ["NaCl", "KCl", "NaBr", "KBr", "LiCl", "LiBr", "FeNi", "Cu3Au", "Fe", "Cu", "NiAl", "Au"]
    y = np.repeat(labels[::-1], 6)
    for name, model in baselines("classification", X).items():
        if name != "most frequent":
            set_trees(model, 20)
            model.fit(X, y)
            assert model.predict(["RbCl", "CoNi"]).tolist() == labels[::-1], name
            assert model.classes_.tolist() == labels


def test_baselines_learn_from_formulas_and_repeat_themselves():
    X = [
        f"{a}{n}{b}"
        for a in ("Li", "Na", "K", "Rb", "Mg", "Ca", "Sr")
        for b in ("F", "Cl", "Br", "I")
        for n in (1, 2)
    ]
    y = np.array([Composition(name).weight for name in X])
    cv = KFold(2, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        # The weight has no noise, so that the noise of the Gaussian process is at its bound.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for name, model in baselines("regression", X, random_state=3).items():
            first = cross_val_predict(model, X, y, cv=cv)
            assert np.isfinite(first).all()
            if name != "mean":
                assert np.abs(first - y).mean() < 0.6 * np.abs(y - y.mean()).mean(), name
            if "forest" in name:
                assert np.array_equal(first, cross_val_predict(model, X, y, cv=cv))


def test_crystals_in_a_series_with_names():
    """A union of tables must not take rows of one crystal for those of two."""
    crystals = [bcc_fe(), fcc_cu(), b2_nial(), l12_cu3au()] * 3
    named = pd.Series(crystals, index=[f"id {k}" for k in range(12)])
    y = np.arange(12.0)
    for name in (
        "Gaussian process, composition and volume",
        "XGBoost, composition and structure",
    ):
        model = baselines("regression", named)[name]
        expected = clone(model).fit(crystals, y).predict(crystals)
        np.testing.assert_array_equal(model.fit(named, y).predict(named), expected)
