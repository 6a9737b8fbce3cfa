"""CGCNN that starts from the weights of another CGCNN."""

import numpy as np
import pytest
import torch
from crystals import isolated_ne, random_alloys, sparse_cell
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_validate
from skorch.callbacks import Callback
from tiny_ecnet import Kill, changed

from sklmat import CGCNNClassifier, CGCNNRegressor, ECNetRegressor, StructureToGraph
from sklmat.datasets import make_alloys
from sklmat.estimators import load_cgcnn_checkpoint

TINY = {
    "hidden_dim": 8,
    "n_conv": 2,
    "readout_dim": 8,
    "max_epochs": 3,
    "n_ensemble": 2,
    "random_state": 0,
}
#: A training that leaves the weights where they start, and the statistics too if it is frozen.
STILL = {**TINY, "max_epochs": 1, "lr": 1e-12, "freeze": "convolutions"}
BUFFERS = {"element_vectors", "known_elements", "expansion.centers"}


@pytest.fixture(scope="module")
def graphs(structures):
    return StructureToGraph(cutoff=4.0).fit_transform(structures)


@pytest.fixture(scope="module")
def source(graphs, both):
    return CGCNNRegressor(**{**TINY, "max_epochs": 10}).fit(graphs, both)


def state(estimator, member=0):
    module = estimator.nets_[member].module_
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_each_member_starts_from_its_own(graphs, both, source, tmp_path):
    source.save(tmp_path / "source")
    for given in (tmp_path / "source", FrozenEstimator(source)):
        model = clone(CGCNNRegressor(**STILL, warm_start_from=given)).fit(graphs, both)
        np.testing.assert_allclose(model.embed(graphs), source.embed(graphs), atol=1e-6)
        scores = cross_validate(model, graphs, both, cv=2, error_score="raise")["test_score"]
        assert np.isfinite(scores).all()
    assert not np.allclose(source.embed(graphs)[:, :8], source.embed(graphs)[:, 8:], atol=0.01)


def test_all_members_start_from_a_single_network(graphs, both):
    one = CGCNNRegressor(**{**TINY, "n_ensemble": 1}).fit(graphs, both)
    model = CGCNNRegressor(**{**STILL, "n_ensemble": 3}, warm_start_from=FrozenEstimator(one))
    expected = np.tile(one.embed(graphs), 3)
    np.testing.assert_allclose(model.fit(graphs, both).embed(graphs), expected, atol=1e-6)


def test_processes_give_the_same_bits(graphs, both, source, tmp_path):
    source.save(tmp_path / "source")
    model = CGCNNRegressor(**TINY, warm_start_from=tmp_path / "source", freeze="embedding")
    expected = model.fit(graphs, both).predict(graphs)
    assert (clone(model).set_params(n_jobs=2).fit(graphs, both).predict(graphs) == expected).all()


@pytest.mark.parametrize("n_targets", [1, 2])
def test_frozen_weights_and_statistics_stay_bit_by_bit(graphs, both, source, n_targets):
    before = state(source, 1)
    for freeze, prefixes in {
        "none": (),
        "embedding": ("embedding",),
        "convolutions": ("embedding", "convolutions"),
    }.items():
        model = CGCNNRegressor(
            **TINY, weight_decay=0.5, warm_start_from=FrozenEstimator(source), freeze=freeze
        )
        after = state(model.fit(graphs, both[:, :n_targets]), 1)
        moved = changed({n: v for n, v in before.items() if v.shape == after[n].shape}, after)
        moved |= {name for name in before if before[name].shape != after[name].shape}
        # Batch normalisation subtracts what this bias adds.
        free = {n for n in before if not n.startswith(prefixes) and n not in BUFFERS}
        assert moved - {n for n in moved if "target_map.bias" in n} == {
            n for n in free if "target_map.bias" not in n
        }
        again = state(model.partial_fit(graphs, both[:, :n_targets]), 1)
        assert not {n for n in changed(after, again) if n.startswith(prefixes or "none")}
    assert not changed(before, state(source, 1))


def test_frozen_convolutions_are_trained_again_once_thawed(graphs, both, source):
    model = CGCNNRegressor(
        **TINY, warm_start=True, warm_start_from=FrozenEstimator(source), freeze="convolutions"
    )
    before = state(model.fit(graphs, both))
    model.set_params(freeze="none").fit(graphs, both)
    moved = changed(before, state(model))
    assert {"embedding.weight", "convolutions.1.node_norm.running_mean"} <= moved


def test_predictions_start_on_the_best_straight_line(graphs, both, source):
    targets = np.column_stack([-3 * both[:, 0], 40 + both[:, 1] ** 2])
    members = [net.module_ for net in source.nets_]
    assert len(members) == 2
    expected = np.zeros((16, 2))
    for t in range(2):
        for seen in source_members(source, graphs):
            expected[:, t] += np.polyval(np.polyfit(seen[:, t], targets[:, t], 1), seen[:, t]) / 2
    model = CGCNNRegressor(**STILL, warm_start_from=FrozenEstimator(source)).fit(graphs, targets)
    np.testing.assert_allclose(model.predict(graphs), expected, rtol=1e-4)


def source_members(model, graphs):
    """Predictions of each member alone, up to a straight line."""
    nets = model.nets_
    predictions = []
    for net in nets:
        model.nets_ = [net]
        predictions.append(model.predict(graphs))
    model.nets_ = nets
    return predictions


def test_a_classifier_from_a_regressor_and_back(graphs, y, labels):
    regressor = CGCNNRegressor(**TINY).fit(graphs, y)
    classifier = CGCNNClassifier(**STILL, warm_start_from=FrozenEstimator(regressor))
    classifier.fit(graphs, labels)
    np.testing.assert_allclose(classifier.embed(graphs), regressor.embed(graphs), atol=1e-6)
    fresh = CGCNNClassifier(**{**STILL, "freeze": "none"}).fit(graphs, labels)
    assert torch.equal(state(classifier)["readout.0.weight"], state(fresh)["readout.0.weight"])
    same = CGCNNClassifier(**STILL, warm_start_from=FrozenEstimator(classifier))
    same.fit(graphs, labels[::-1])
    assert np.allclose(same.predict_proba(graphs), classifier.predict_proba(graphs), atol=1e-6)
    back = CGCNNRegressor(**STILL, warm_start_from=FrozenEstimator(classifier)).fit(graphs, y)
    np.testing.assert_allclose(back.embed(graphs), regressor.embed(graphs), atol=1e-6)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"hidden_dim": 16}, "hidden_dim is 8 there and 16 here"),
        ({"readout_dim": 4}, "readout_dim is 8 there and 4 here"),
        ({"n_ensemble": 3}, "n_ensemble is 2 there and 3 here"),
        ({"cutoff": 3.5}, "cutoff is 4.0 there and 3.5 here"),
        ({"atom_init": "onehot"}, "atom_init is 'physical' there and 'onehot' here; set these"),
    ],
    ids=str,
)
def test_another_network_is_refused(graphs, both, source, params, message):
    model = CGCNNRegressor(**{**TINY, **params}, warm_start_from=FrozenEstimator(source))
    with pytest.raises(ValueError, match=message):
        model.fit(graphs, both)


def test_what_is_no_source(graphs, y, source):
    with pytest.raises(ValueError, match=r"FrozenEstimator\(fitted\)"):
        CGCNNRegressor(**TINY, warm_start_from=source).fit(graphs, y)
    with pytest.raises(ValueError, match=r"freeze='embedding' needs warm_start_from"):
        CGCNNRegressor(**TINY, freeze="embedding").fit(graphs, y)
    ecnet = ECNetRegressor(hidden_dim=4, n_filters=4, max_epochs=1, n_ensemble=1).fit(graphs, y)
    with pytest.raises(ValueError, match="holds an ECNetRegressor, not a CGCNN"):
        CGCNNRegressor(**TINY, warm_start_from=FrozenEstimator(ecnet)).fit(graphs, y)


def test_checkpoints_belong_to_every_member_of_their_source(graphs, both, source, tmp_path):
    path, params = tmp_path / "run", {**TINY, "max_epochs": 6, "freeze": "embedding"}
    given = {"warm_start_from": FrozenEstimator(source)}
    whole = CGCNNRegressor(**params, **given).fit(graphs, both)
    with pytest.raises(MemoryError):
        CGCNNRegressor(**params, **given, callbacks=[Kill(4)]).fit(graphs, both, checkpoint=path)
    other = clone(source).fit(graphs, both)
    other.nets_[1] = clone(source).set_params(random_state=1).fit(graphs, both).nets_[1]
    for different in ({"warm_start_from": FrozenEstimator(other)}, {**given, "freeze": "none"}):
        with pytest.raises(ValueError, match="belongs to another training"):
            CGCNNRegressor(**{**params, **different}).fit(graphs, both, checkpoint=path)
    resumed = CGCNNRegressor(**params, **given).fit(graphs, both, checkpoint=path)
    assert (resumed.predict(graphs) == whole.predict(graphs)).all()


def test_a_tuned_network_is_saved(graphs, both, source, tmp_path):
    source.save(tmp_path / "source")
    model = CGCNNRegressor(**TINY, warm_start_from=tmp_path / "source", freeze="convolutions").fit(
        graphs, both
    )
    model.save(tmp_path / "model")
    again = CGCNNRegressor.load(tmp_path / "model")
    assert (again.predict(graphs) == model.predict(graphs)).all()
    before = state(again)
    moved = changed(before, state(again.partial_fit(graphs, both)))
    assert {name.split(".")[0] for name in moved} == {"readout", "output"}


def test_structures_become_the_graphs_of_the_source(structures, graphs, both, source):
    """Its cutoff of 4 Å is not the default."""
    model = CGCNNRegressor(**STILL, warm_start_from=FrozenEstimator(source))
    model.fit(structures, both)
    assert model.graph_settings_ == source.graph_settings_
    np.testing.assert_allclose(model.embed(structures), source.embed(graphs), atol=1e-6)


def test_a_published_network_is_a_source(data_home):
    """Its vectors, with missing neighbours replaced as in the original, and five times its unit."""
    home = data_home / "cgcnn"
    published = load_cgcnn_checkpoint(
        home / "pre-trained" / "band-gap.pth.tar",
        atom_init=home / "data" / "sample-regression" / "atom_init.json",
    )
    crystals = [sparse_cell(), *random_alloys(5)]
    y = published.predict(crystals)
    model = clone(published).set_params(
        warm_start_from=FrozenEstimator(published), freeze="convolutions", max_epochs=1, lr=1e-12
    )
    model.fit(crystals, 5 * y + 2)
    assert model.padded_
    assert model.graph_settings_ == published.graph_settings_
    np.testing.assert_allclose(model.embed(crystals), published.embed(crystals), atol=1e-6)
    np.testing.assert_allclose(model.predict(crystals), 5 * y + 2, atol=1e-4)


# -- statistics of the batch normalisations


class Begin(Callback):
    """Keeps the state of each network before its first step."""

    def __init__(self):
        self.states = []

    def on_train_begin(self, net, **kwargs):
        self.states.append({name: v.clone() for name, v in net.module_.state_dict().items()})


def first_edges(module, graphs):
    """Input of the first normalisation, for all edges: the three maps of the convolution."""
    h = module.embedding(module.element_vectors)[graphs.atomic_numbers.astype(int)]
    convolution = module.convolutions[0]
    edges = convolution.edge_map(module.expansion(torch.from_numpy(graphs.edge_distance)))
    edges = edges + convolution.source_map(h)[graphs.flat_source]
    return edges + convolution.target_map(h)[graphs.flat_target]


@pytest.mark.parametrize("target", ["same", "other"])
@pytest.mark.parametrize("batch_size", [16, 4])
def test_statistics_start_as_those_of_the_training_rows(graphs, both, source, target, batch_size):
    """The mean over batches; a row without weight is in none."""
    first = random_alloys(17, n_cells=1)
    for site in range(4):
        first[0].replace(site, "W")
    given = StructureToGraph(cutoff=4.0).fit_transform(first)
    y = np.vstack([both[:1], both])
    begin = Begin()
    model = CGCNNRegressor(
        **{**TINY, "n_ensemble": 2, "batch_size": batch_size, "max_epochs": 1, "dropout": 0.5},
        warm_start_from=FrozenEstimator(source),
        callbacks=[begin],
    )
    model.fit(given, y if target == "same" else y[:, 0], sample_weight=[0] + [1] * 16)
    for seen, net in zip(begin.states, source.nets_, strict=True):
        with torch.no_grad():
            edges = first_edges(net.module_, given[1:])
        assert len(edges) % 16 == 0
        prefix = "convolutions.0.edge_norm"
        torch.testing.assert_close(
            seen[f"{prefix}.running_mean"], edges.mean(0), rtol=1e-4, atol=1e-5
        )
        if batch_size == 16:
            torch.testing.assert_close(
                seen[f"{prefix}.running_var"], edges.var(0), rtol=1e-4, atol=1e-5
            )
        assert seen[f"{prefix}.num_batches_tracked"] == 16 // batch_size
    assert all(
        part.momentum == 0.1
        for net in model.nets_
        for part in net.module_.modules()
        if isinstance(part, torch.nn.BatchNorm1d)
    )


def test_a_published_network_learns_other_crystals(data_home):
    """Its statistics are those of the Materials Project; these are alloys of six metals."""
    home = data_home / "cgcnn"
    published = load_cgcnn_checkpoint(
        home / "pre-trained" / "formation-energy-per-atom.pth.tar",
        atom_init=home / "data" / "sample-regression" / "atom_init.json",
    )
    alloys, y = make_alloys(60, n_atoms=4, return_X_y=True)
    model = clone(published).set_params(
        warm_start_from=FrozenEstimator(published),
        optimizer="adam",
        lr=1e-3,
        max_epochs=15,
        batch_size=10,
        random_state=0,
    )
    model.fit(alloys[:40], y[:40])
    assert model.score(alloys[40:], y[40:]) > 0.8


def test_the_source_keeps_its_statistics(graphs, both, source):
    before = [state(source, member) for member in range(2)]
    CGCNNRegressor(**TINY, warm_start_from=FrozenEstimator(source)).fit(graphs[:8], both[:8])
    assert not any(changed(seen, state(source, k)) for k, seen in enumerate(before))


def test_isolated_atoms_leave_the_statistics(source, graphs):
    """A batch of one atom has no variance."""
    begin = Begin()
    model = CGCNNRegressor(
        **{**TINY, "batch_size": 1, "max_epochs": 1},
        warm_start_from=FrozenEstimator(source),
        callbacks=[begin],
    )
    model.fit([isolated_ne(), isolated_ne()], [[1.0, 2.0], [2.0, 1.0]])
    old = state(source)
    names = {name for name in old if "norm.running" in name}
    assert len(names) == 8
    assert not names & changed(old, begin.states[0])
