"""The baselines run on mixed chemistry, with elements that no training row has."""

import warnings

import numpy as np
import pytest
from crystals import b2_nial, bcc_fe, fcc_cu, l12_cu3au, rocksalt_nacl
from pymatgen.core import Composition
from sklearn.base import is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, cross_val_predict

from sklmat.exceptions import ExtrapolationWarning
from sklmat.graphs import StructureToGraph
from sklmat.model_selection import baselines, compare_estimators


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
    assert next(iter(classifiers)) == "most frequent"
    assert all(is_classifier(model) for model in classifiers.values())
    assert len(baselines("regression", ["NaCl", "Fe"])) == 5
    assert len(baselines("regression", [{"Na": 1, "Cl": 1}])) == 5
    assert list(baselines("regression", [bcc_fe().as_dict()]))[-2:] == [
        "XGBoost, composition and structure",
        "robust Gaussian process, composition and volume",
    ]
    with pytest.raises(ValueError, match="'regression' or 'classification'"):
        baselines("ranking")
    with pytest.raises(TypeError, match="need structures or compositions, not CrystalGraphs"):
        baselines("regression", StructureToGraph().fit_transform([bcc_fe()]))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_gaussian_process_on_few_rows():
    """It is left out where it would take too long, and where the number of rows is not known."""
    name = "Gaussian process, composition"
    assert name not in baselines("regression")
    assert name not in baselines("regression", ["Fe"] * 2001)
    assert name not in baselines("classification", ["Fe"] * 2000)
    model = baselines("regression", ["Fe"] * 2000)[name]
    X = ["NaCl", "KCl", "NaBr", "KBr", "Fe", "Ni"]
    y = [7.0, 7.0, 6.0, 6.0, 0.0, 0.0]
    mean, deviation = model.fit(X, y).predict([*X, "LiF"], return_std=True)
    np.testing.assert_allclose(mean[:6], y, atol=0.2)
    # Far from the training rows, the deviation is larger.
    assert deviation[6] > 3 * deviation[:6].max()


def test_robust_process_has_a_length_scale_for_each_fraction_and_the_volume():
    """The volume per atom of NaCl cells of other sizes, and a label that is far off."""
    X = [rocksalt_nacl() for _ in range(20)]
    for k, crystal in enumerate(X):
        crystal.scale_lattice(crystal.volume * (1 + k / 100))
    y = np.arange(20.0)
    y[7] = 30
    name = "robust Gaussian process, composition and volume"
    model = baselines("regression", X)[name].fit(X, y)
    names = [column.rpartition("__")[2] for column in model[-2].get_feature_names_out()]
    assert names[:4] == ["x_Na", "x_Cl", "mixing entropy (kB per atom)", "volume per atom (Å³)"]
    groups = model[-1].column_groups_
    assert {name: len(columns) for name, columns in groups.items()} == {
        "composition": 3,
        "volume": 4,
    }
    assert model[-1].label_weights_.argmin() == 7
    assert model.predict([X[7]])[0] == pytest.approx(7, abs=0.3)
    formulas = ["LiNaKRbCsFClBrI", "MgCaSrBaO"]
    assert name not in baselines("regression", formulas)


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
                assert np.abs(first - y).mean() < 0.5 * np.abs(y - y.mean()).mean(), name
            if "forest" in name:
                assert np.array_equal(first, cross_val_predict(model, X, y, cv=cv))
