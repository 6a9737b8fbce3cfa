"""ECNet as an estimator: inputs, keeping, and scikit-learn."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from crystals import bcc_fe, fcc_cu, isolated_ne
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from tiny_ecnet import CUTOFF, TINY

from sklmat import ECNetClassifier, ECNetRegressor, StructureToGraph

# -- graphs


def test_structures_become_graphs_of_all_neighbours_within_six_angstroms(structures, y):
    model = ECNetRegressor(**TINY).fit(structures, y)
    assert model.graph_settings_["cutoff"] == 6.0
    assert model.graph_settings_["max_neighbors"] is None
    assert model.net_.module_.config["cutoff"] == 6.0
    graphs = StructureToGraph(cutoff=6.0, max_neighbors=None).transform(structures)
    np.testing.assert_array_equal(model.predict(graphs), model.predict(structures))
    again = ECNetRegressor(**TINY).fit(graphs, y)
    np.testing.assert_array_equal(again.predict(pd.Series(structures)), model.predict(graphs))


def test_graphs_bring_their_own_settings(structures, graphs, y):
    cut = StructureToGraph(cutoff=4.0, max_neighbors=12).fit_transform(structures)
    model = ECNetRegressor(**TINY).fit(cut, y)
    assert model.graph_settings_ == cut.settings
    np.testing.assert_allclose(model.predict(structures), model.predict(cut), rtol=1e-6)
    with pytest.raises(ValueError, match=r"built with \{'cutoff': 5.0, 'max_neighbors': None\}"):
        model.predict(graphs)
    with pytest.raises(ValueError, match=r"larger than the 5\.0 Å"):
        ECNetRegressor(**TINY, cutoff=6.0).fit(graphs, y)
    smaller = ECNetRegressor(**TINY, cutoff=4.0, max_neighbors=12).fit(graphs, y)
    np.testing.assert_array_equal(smaller.predict(graphs), model.predict(cut))


def test_isolated_atoms_are_welcome(structures):
    X = [isolated_ne(), fcc_cu(), *structures[:4]]
    model = ECNetRegressor(**TINY).fit(X, np.arange(6.0))
    assert np.isfinite(model.predict([isolated_ne()])).all()


def test_elements_without_a_vector_are_named(structures, graphs, y):
    table = {"Ni": [1.0], "Cu": [2.0], "Pd": [3.0]}
    model = ECNetRegressor(**TINY, atom_init=table).fit(graphs, y)
    with pytest.raises(ValueError, match=r"structure 1 \(Fe2\)"):
        model.predict([structures[0], bcc_fe()])
    with pytest.raises(ValueError, match=r"structure 0 \(Fe2\)"):
        ECNetRegressor(**TINY, atom_init=table).fit([bcc_fe(), structures[0]], [1.0, 2.0])


def test_inputs_are_not_mutated(structures, graphs, both):
    X, target = copy.deepcopy(structures), both.copy()
    target[3, 1] = np.nan
    given, weight = target.copy(), np.ones(16)
    arrays = {n: v.copy() for n, v in vars(graphs).items() if isinstance(v, np.ndarray)}
    ECNetRegressor(**TINY).fit(structures, given, sample_weight=weight).predict(structures)
    model = ECNetRegressor(**TINY).fit(graphs, given)
    model.elemental_vectors(graphs)
    model.element_contributions(graphs)
    assert structures == X
    np.testing.assert_array_equal(given, target)
    np.testing.assert_array_equal(weight, 1)
    for name, value in arrays.items():
        np.testing.assert_array_equal(getattr(graphs, name), value)


# -- keeping


@pytest.mark.parametrize("kind", ["several targets", "classifier", "preset", "table"])
def test_pickle_joblib_and_safe_files(graphs, structures, both, y, labels, tmp_path, kind):
    model, targets = {
        "several targets": (ECNetRegressor(**TINY, target_weights=np.array([1.0, 2.0])), both),
        "classifier": (ECNetClassifier(**TINY, class_weight="balanced"), labels),
        "preset": (ECNetRegressor.from_preset("wang2022", max_epochs=1, random_state=0), y),
        "table": (ECNetRegressor(**TINY, atom_init={k: [k, 1.0] for k in (28, 29, 46)}), y),
    }[kind]
    model.fit(graphs, targets).save(tmp_path / "model.safetensors")
    joblib.dump(model, tmp_path / "model.joblib")
    for again in (
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model.joblib"),
        type(model).load(tmp_path / "model.safetensors"),
    ):
        np.testing.assert_array_equal(again.predict(structures), model.predict(structures))
        vectors = [m.elemental_vectors(graphs)[0] for m in (again, model)]
        np.testing.assert_array_equal(*vectors)
        pd.testing.assert_frame_equal(
            again.element_contributions(graphs), model.element_contributions(graphs)
        )
        assert again.get_feature_names_out().tolist() == model.get_feature_names_out().tolist()
        assert again.graph_settings_ == model.graph_settings_
        assert again.history_ == model.history_
        assert repr(again.get_params()) == repr(model.get_params())
        assert again.partial_fit(graphs, targets).n_iter_ == model.n_iter_ + 1
    other = ECNetClassifier if isinstance(model, ECNetRegressor) else ECNetRegressor
    with pytest.raises(ValueError, match=f"holds a {type(model).__name__}"):
        other.load(tmp_path / "model.safetensors")


def test_presets():
    model = ECNetRegressor.from_preset("wang2022", max_epochs=7)
    published = (model.hidden_dim, model.n_filters, model.n_conv, tuple(model.tower_dims))
    assert published == (128, 64, 3, (128, 64))
    assert (model.lr, model.batch_size, model.max_epochs, model.n_ensemble) == (0.001, 128, 7, 1)
    assert (model.loss, model.radial_filter, model.normalize) == ("mse", "gaussian", False)
    assert ECNetClassifier.from_preset("wang2022").hidden_dim == 128
    with pytest.raises(ValueError, match="wang2022"):
        ECNetRegressor.from_preset("wang2023")


# -- scikit-learn


def test_model_selection_on_graphs_and_structures(structures, graphs, both, labels):
    model = ECNetRegressor(**TINY, cutoff=CUTOFF)
    a = cross_val_score(model, graphs, both, cv=3)
    b = cross_val_score(model, structures, both, cv=3)
    np.testing.assert_allclose(a, b, rtol=1e-4)
    search = GridSearchCV(model, {"n_conv": [0, 1, 2], "lr": [1e-3, 1e-2]}, cv=2)
    search.fit(graphs, both)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(set(search.cv_results_["mean_test_score"])) == 6
    assert search.predict(graphs).shape == (16, 2)
    scores = cross_validate(ECNetClassifier(**TINY), graphs, labels, cv=2, return_estimator=True)
    assert all(e.n_outputs_ == 2 for e in scores["estimator"])


def test_progress_bar_and_history(graphs, y, capsys):
    model = ECNetRegressor(**{**TINY, "max_epochs": 10, "batch_size": 2}, verbose=True)
    history = model.fit(graphs, y).history_
    assert "10/10" in capsys.readouterr().err
    assert [row["epoch"] for row in history] == list(range(1, 11))
    rates = [row["lr"] / model.lr for row in history]
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[0] > 0.8 > 0.01 > rates[-1]
    assert history[-1]["train_loss"] < history[0]["train_loss"]


def test_files_name_only_classes_of_sklmat(graphs, y, tmp_path):
    """A file that asks for another class is refused, whatever is importable under that name."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = tmp_path / "model.safetensors"
    ECNetRegressor(**TINY).fit(graphs, y).save(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    content, _ = metadata["content"], metadata.pop("digest")
    for wrong, message in (
        (content.replace('"class": "ECNetRegressor"', '"class": "Path"'), "no estimator"),
        (content.replace('"class": "ECNet"', '"class": "nn"'), "unknown network"),
    ):
        assert wrong != content
        save_file(tensors, path, {**metadata, "content": wrong})
        with pytest.raises(ValueError, match=message):
            ECNetRegressor.load(path)
