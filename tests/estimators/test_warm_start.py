"""Starting from the weights of another network."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from tiny_ecnet import CUTOFF, STILL, TINY, Kill, changed, of_members, state

from sklmat import CGCNNRegressor, ECNetClassifier, ECNetRegressor, StructureToGraph


def test_sources_survive_clone(graphs, both, source, tmp_path):
    source.save(tmp_path / "source.safetensors")
    expected = source.predict(graphs)
    for given in (
        tmp_path / "source.safetensors",
        str(tmp_path / "source.safetensors"),
        FrozenEstimator(source),
    ):
        model = clone(clone(ECNetRegressor(**STILL, warm_start_from=given)))
        vectors = model.fit(graphs, both).elemental_vectors(graphs)[0]
        np.testing.assert_allclose(vectors, source.elemental_vectors(graphs)[0], atol=1e-6)
        scores = cross_validate(model, graphs, both, cv=2, error_score="raise")["test_score"]
        assert np.isfinite(scores).all()
    search = GridSearchCV(model, {"freeze": ["none", "embedding", "convolutions"]}, cv=2)
    assert search.fit(graphs, both).best_estimator_.n_outputs_ == 2
    np.testing.assert_array_equal(source.predict(graphs), expected)


def test_a_bare_estimator_is_refused(graphs, both, source):
    for given in (source, ECNetRegressor(**TINY)):
        with pytest.raises(ValueError, match=r"is an estimator, and.*FrozenEstimator\(fitted\)"):
            ECNetRegressor(**TINY, warm_start_from=given).fit(graphs, both)
        with pytest.raises(ValueError, match="is an estimator, and clone"):
            clone(ECNetRegressor(**TINY, warm_start_from=given)).fit(graphs, both)
    unfitted = FrozenEstimator(ECNetRegressor(**TINY))
    with pytest.raises(NotFittedError):
        ECNetRegressor(**TINY, warm_start_from=unfitted).fit(graphs, both)


def test_sources_must_be_element_networks(graphs, y, tmp_path):
    cgcnn = CGCNNRegressor(hidden_dim=4, n_conv=1, max_epochs=1, random_state=0)
    cgcnn.fit(graphs, y).save(tmp_path / "cgcnn.safetensors")
    line = LinearRegression().fit(np.eye(3), [1, 2, 3])
    for given, name in (
        (FrozenEstimator(cgcnn), "CGCNNRegressor"),
        (tmp_path / "cgcnn.safetensors", "CGCNNRegressor"),
        (FrozenEstimator(line), "LinearRegression"),
    ):
        with pytest.raises(ValueError, match=f"holds a {name}, not an ECNet"):
            ECNetRegressor(**TINY, warm_start_from=given).fit(graphs, y)
    with pytest.raises(FileNotFoundError):
        ECNetRegressor(**TINY, warm_start_from=tmp_path / "none.safetensors").fit(graphs, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden_dim": 16}, "hidden_dim is 8 there and 16 here"),
        ({"n_conv": 2}, "n_conv is 1 there and 2 here"),
        ({"n_ensemble": 3}, "n_ensemble is 2 there and 3 here"),
        ({"tower_dims": (4, 4)}, r"tower_dims is \[8\] there and \[4, 4\] here"),
        ({"cutoff": 4.0}, "cutoff is 5.0 there and 4.0 here"),
        ({"activation": "shifted_softplus"}, "activation is silu there"),
        ({"atom_init": "physical"}, "atom_init is 'onehot' there and 'physical' here; set these"),
    ],
    ids=str,
)
def test_another_network_is_refused(graphs, both, source, params, message):
    model = ECNetRegressor(**{**TINY, **params}, warm_start_from=FrozenEstimator(source))
    with pytest.raises(ValueError, match=message):
        model.fit(graphs, both)


def test_graphs_of_another_kind_are_refused(structures, both, source):
    """Weights that learned from all neighbours know nothing of the four nearest."""
    few = StructureToGraph(cutoff=CUTOFF, max_neighbors=4).fit_transform(structures)
    with pytest.raises(ValueError, match="max_neighbors"):
        ECNetRegressor(**TINY, warm_start_from=FrozenEstimator(source)).fit(few, both)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_frozen_weights_stay_bit_by_bit(graphs, both, source, n_targets):
    before, params = state(source), {**TINY, "weight_decay": 0.5, "lr": 0.02}
    kept = {"element_vectors", "known_elements"}
    for freeze, prefixes in {
        "none": (),
        "embedding": ("embedding",),
        "convolutions": ("embedding", "convolutions", "norms"),
    }.items():
        model = ECNetRegressor(**params, warm_start_from=FrozenEstimator(source), freeze=freeze)
        moved = changed(before, state(model.fit(graphs, both[:, :n_targets])))
        assert moved == {n for n in before if n not in kept and not n.startswith(prefixes)}
        model.partial_fit(graphs, both[:, :n_targets])
        assert changed(before, state(model)) == moved
    assert not changed(before, state(source))


def test_freezing_needs_a_source(graphs, both):
    with pytest.raises(ValueError, match=r"freeze='embedding' needs warm_start_from"):
        ECNetRegressor(**TINY, freeze="embedding").fit(graphs, both)


def test_thawing_and_freezing_while_going_on(graphs, both, source):
    frozen = FrozenEstimator(source)
    model = ECNetRegressor(**TINY, warm_start=True, warm_start_from=frozen, freeze="convolutions")
    before = state(model.fit(graphs, both))
    assert "embedding.weight" in changed(
        before, state(model.set_params(freeze="none").fit(graphs, both))
    )
    before = state(model)
    moved = changed(before, state(model.set_params(freeze="embedding").fit(graphs, both)))
    assert "embedding.weight" not in moved
    assert "norms.0.weight" in moved


def test_files_remember_what_is_frozen(graphs, both, source, tmp_path):
    source.save(tmp_path / "source.safetensors")
    model = ECNetRegressor(
        **TINY, warm_start_from=tmp_path / "source.safetensors", freeze="convolutions"
    )
    model.fit(graphs, both).save(tmp_path / "model.safetensors")
    again = ECNetRegressor.load(tmp_path / "model.safetensors")
    before = state(again)
    moved = changed(before, state(again.partial_fit(graphs, both)))
    assert {name.split(".")[0] for name in moved} == {"towers", "output"}


def test_a_fine_tuned_network_can_be_saved(graphs, both, source, tmp_path):
    model = ECNetRegressor(**TINY, warm_start_from=FrozenEstimator(source)).fit(graphs, both)
    with pytest.raises(ValueError, match=r"set_params\(warm_start_from=\.\.\.\) to a plain value"):
        model.save(tmp_path / "model.safetensors")
    model.set_params(warm_start_from=None).save(tmp_path / "model.safetensors")
    again = ECNetRegressor.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict(graphs), model.predict(graphs))


def test_same_targets_start_on_the_best_straight_line(graphs, both, source):
    """Each member of the source, scaled and shifted by weighted least squares."""
    rng = np.random.default_rng(3)
    targets = np.column_stack([-3 * both[:, 0] + rng.normal(size=16), 40 + both[:, 1] ** 2])
    targets[[2, 5], 1] = np.nan
    weight = rng.uniform(0.5, 2, size=16)
    members = of_members(source, graphs)
    expected = np.zeros((16, 2))
    for t in range(2):
        rows = np.isfinite(targets[:, t])
        for m in range(2):
            # polyfit squares its weights.
            line = np.polyfit(members[rows, m, t], targets[rows, t], 1, w=weight[rows] ** 0.5)
            expected[:, t] += np.polyval(line, members[:, m, t]) / 2
    model = ECNetRegressor(**STILL, warm_start_from=FrozenEstimator(source))
    predictions = model.fit(graphs, targets, sample_weight=weight).predict(graphs)
    np.testing.assert_allclose(predictions, expected, rtol=1e-4)


def test_a_target_without_weight_may_be_transferred_to(graphs, both, source):
    model = ECNetRegressor(**TINY, warm_start_from=FrozenEstimator(source), target_weights=(1, 0))
    assert np.isfinite(model.fit(graphs, both).predict(graphs)).all()


def test_another_number_of_targets_gets_new_towers(graphs, both, source):
    targets = np.column_stack([both, both[:, 0]])
    model = ECNetRegressor(**STILL, warm_start_from=FrozenEstimator(source)).fit(graphs, targets)
    assert model.predict(graphs).shape == (16, 3)
    np.testing.assert_allclose(
        model.elemental_vectors(graphs)[0], source.elemental_vectors(graphs)[0], atol=1e-6
    )
    fresh = ECNetRegressor(**STILL).fit(graphs, targets)
    assert torch.equal(state(model)["towers.0.weight"], state(fresh)["towers.0.weight"])


def test_classes_decide_whether_towers_stay(graphs, labels, y):
    first = ECNetClassifier(**{**TINY, "max_epochs": 20}).fit(graphs, labels)
    frozen = FrozenEstimator(first)
    same = ECNetClassifier(**STILL, warm_start_from=frozen).fit(graphs, labels[::-1])
    np.testing.assert_allclose(same.predict_proba(graphs), first.predict_proba(graphs), atol=1e-5)
    renamed = np.where(labels == "rich", "soft", "hard")
    other = ECNetClassifier(**STILL, warm_start_from=frozen).fit(graphs, renamed)
    assert not np.allclose(other.predict_proba(graphs), first.predict_proba(graphs), atol=1e-2)
    regressor = ECNetRegressor(**STILL, warm_start_from=frozen).fit(graphs, y)
    for model in (other, regressor):
        np.testing.assert_allclose(
            model.elemental_vectors(graphs)[0], first.elemental_vectors(graphs)[0], atol=1e-6
        )
    back = ECNetClassifier(**STILL, warm_start_from=FrozenEstimator(regressor))
    assert back.fit(graphs, labels).predict_proba(graphs).shape == (16, 2)


def test_pretraining_helps_where_rows_are_few(structures, graphs, y):
    params = {**TINY, "max_epochs": 40}
    teacher = ECNetRegressor(**{**params, "max_epochs": 120}).fit(graphs[:12], y[:12])
    few = [0, 5, 9]
    other = 3 - 0.5 * y
    tuned = ECNetRegressor(**params, warm_start_from=FrozenEstimator(teacher), lr=1e-3)
    fresh = ECNetRegressor(**params)
    scores = [m.fit(graphs[few], other[few]).score(graphs, other) for m in (tuned, fresh)]
    assert scores[0] > max(0.8, scores[1])


def test_checkpoints_belong_to_their_source(graphs, both, source, tmp_path):
    path = tmp_path / "run.pt"
    params = {**TINY, "max_epochs": 6, "dropout": 0.2, "freeze": "embedding"}
    given = {"warm_start_from": FrozenEstimator(source)}
    whole = ECNetRegressor(**params, **given).fit(graphs, both)
    with pytest.raises(MemoryError):
        ECNetRegressor(**params, **given, callbacks=[Kill(4)]).fit(graphs, both, checkpoint=path)
    other = FrozenEstimator(clone(source).fit(graphs, -both))
    for different in ({"warm_start_from": other}, {**given, "freeze": "none"}):
        with pytest.raises(ValueError, match="belongs to another training"):
            ECNetRegressor(**{**params, **different}).fit(graphs, both, checkpoint=path)
    source.save(tmp_path / "source.safetensors")
    saved = {"warm_start_from": tmp_path / "source.safetensors"}  # the same weights
    resumed = ECNetRegressor(**params, **saved).fit(graphs, both, checkpoint=path)
    np.testing.assert_array_equal(resumed.predict(graphs), whole.predict(graphs))
    assert not {n for n in changed(state(source), state(resumed)) if n.startswith("embedding")}


def test_transfer_of_a_sum_keeps_the_outputs(graphs, y):
    """A shift of each element would not be a shift of their sum."""
    source = ECNetRegressor(**TINY, pool="sum").fit(graphs, y)
    still = ECNetRegressor(**STILL, pool="sum", warm_start_from=FrozenEstimator(source))
    moved = still.fit(graphs, -5 * y).net_.module_.output.weight
    torch.testing.assert_close(moved, source.net_.module_.output.weight)
