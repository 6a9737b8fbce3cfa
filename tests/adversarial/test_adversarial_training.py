"""Training on perturbed structures: half of each batch, reproducible, and more robust."""

import pickle

import numpy as np
import pytest
import torch
from crystals import nickel_fraction, random_alloys, rattled_cells, sparse_cell
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from sklmat import (
    CGCNNClassifier,
    CGCNNRegressor,
    ECNetClassifier,
    ECNetRegressor,
    StructureAttack,
    StructureToGraph,
    load_cgcnn_checkpoint,
)
from sklmat.batches import GraphDataset
from sklmat.estimators import GraphModel
from sklmat.graphs import ElementGraphs

TINY = {"hidden_dim": 8, "n_conv": 1, "batch_size": 5, "max_epochs": 3, "random_state": 0}
ESTIMATORS = [CGCNNRegressor, CGCNNClassifier, ECNetRegressor, ECNetClassifier]


def tiny(Estimator, **params):
    if issubclass(Estimator, ECNetRegressor | ECNetClassifier):
        params = {"n_ensemble": 2, **params}
    return Estimator(**{**TINY, **params})


@pytest.fixture(scope="module")
def structures():
    return random_alloys(16)


@pytest.fixture(scope="module")
def graphs(structures):
    return StructureToGraph().fit_transform(structures)


@pytest.fixture(scope="module")
def y(structures):
    return 100 + 7 * nickel_fraction(structures)


@pytest.fixture(scope="module")
def labels(y):
    return np.where(y > np.median(y), "rich", "poor")


def targets(estimator, y, labels):
    return labels if hasattr(estimator, "predict_proba") else y


def answers(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


@pytest.fixture
def batches_seen(monkeypatch):
    """(rows, graphs trained on) of every batch that was perturbed."""
    seen, original = [], GraphDataset.__getitems__

    def spy(dataset, indices):
        if dataset.transform is not None and not hasattr(dataset, "watched"):
            transform = dataset.transform

            def watched(rows, generator):
                graphs = transform(rows, generator)
                seen.append((rows, graphs))
                return graphs

            dataset.transform, dataset.watched = watched, True
        return original(dataset, indices)

    monkeypatch.setattr(GraphDataset, "__getitems__", spy)
    return seen


@pytest.mark.parametrize("Estimator", ESTIMATORS)
@pytest.mark.parametrize("method", ["random", "fgsm", "pgd"])
def test_perturbed_crystals_change_what_is_learned(Estimator, method, graphs, y, labels):
    attack = StructureAttack(method=method, budget=0.1, n_steps=2)
    plain = tiny(Estimator)
    y = targets(plain, y, labels)
    plain.fit(graphs, y)
    model = tiny(Estimator, adversarial=attack).fit(graphs, y)
    assert not np.array_equal(answers(model, graphs), answers(plain, graphs))
    again = clone(model).fit(graphs, y)
    np.testing.assert_array_equal(answers(model, graphs), answers(again, graphs))


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_no_budget_trains_as_without_an_attack(Estimator, graphs, y, labels):
    """Rows are dealt out alike; what does not move is what was there."""
    attack = StructureAttack(method="fgsm", budget=0.0)
    model = tiny(Estimator, adversarial=attack, max_epochs=1, batch_size=16)
    y = targets(model, y, labels)
    plain = clone(model).set_params(adversarial=None).fit(graphs, y)
    np.testing.assert_allclose(
        answers(model.fit(graphs, y), graphs), answers(plain, graphs), rtol=1e-5
    )


def test_without_an_attack_nothing_is_perturbed(graphs, y, batches_seen):
    CGCNNRegressor(**TINY).fit(graphs, y)
    assert batches_seen == []


def test_a_random_half_of_each_batch_is_perturbed_within_the_budget(graphs, y, batches_seen):
    attack = StructureAttack(method="fgsm", budget=0.04)
    params = {**TINY, "batch_size": 8, "max_epochs": 20}
    CGCNNRegressor(**params, adversarial=attack).fit(graphs, y)
    assert len(batches_seen) == 40
    share, per_batch = [], []
    for rows, trained in batches_seen:
        clean = graphs[rows]
        u = np.linalg.norm(trained.positions - clean.positions, axis=1)
        furthest = np.maximum.reduceat(u, clean.atom_ptr[:-1])
        assert ((furthest == 0) | (furthest > 0.03)).all()
        assert furthest.max() <= 0.04 + 1e-12
        # Neighbours are those of the perturbed crystal.
        assert trained.settings == clean.settings
        share += (furthest > 0).tolist()
        per_batch.append((furthest > 0).sum())
    # 320 fair coins: three standard deviations are 0.084.
    assert np.mean(share) == pytest.approx(0.5, abs=0.085)
    assert len(set(per_batch)) > 2
    # Each epoch tosses them anew.
    assert len({tuple(sorted(rows[:3])) for rows, _ in batches_seen}) > 10


def test_ecnet_trains_on_the_radial_distributions_of_the_moved(graphs, y, batches_seen):
    attack = StructureAttack(budget=0.1, method="random")
    ECNetRegressor(**TINY, n_ensemble=1, adversarial=attack).fit(graphs, y)
    assert all(isinstance(trained, ElementGraphs) for _, trained in batches_seen)


def test_rows_for_early_stopping_stay_clean(graphs, y, monkeypatch):
    params = {**TINY, "early_stopping": True, "validation_fraction": 0.25}
    model = CGCNNRegressor(**params, adversarial=StructureAttack(budget=0.1, n_steps=1))
    sizes, original = [], GraphDataset.__getitems__

    def spy(dataset, indices):
        sizes.append((len(dataset), dataset.transform is None))
        return original(dataset, indices)

    monkeypatch.setattr(GraphDataset, "__getitems__", spy)
    model.fit(graphs, y)
    assert set(sizes) == {(12, False), (4, True)}
    plain = clone(model).set_params(adversarial=None).fit(graphs, y)
    assert model.history_[0]["train_loss"] != plain.history_[0]["train_loss"]


class Kill(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise MemoryError


@pytest.mark.parametrize("method", ["random", "pgd"])
def test_a_resumed_training_is_the_uninterrupted_one(method, graphs, y, tmp_path):
    attack = StructureAttack(method=method, budget=0.1, n_steps=2)
    params = {**TINY, "max_epochs": 5, "adversarial": attack}
    whole = CGCNNRegressor(**params).fit(graphs, y)
    with pytest.raises(MemoryError):
        CGCNNRegressor(**params, callbacks=[Kill(3)]).fit(graphs, y, checkpoint=tmp_path / "a.pt")
    resumed = CGCNNRegressor(**params).fit(graphs, y, checkpoint=tmp_path / "a.pt")
    np.testing.assert_array_equal(resumed.predict(graphs), whole.predict(graphs))
    other = CGCNNRegressor(**{**params, "adversarial": clone(attack).set_params(budget=0.2)})
    with pytest.raises(ValueError, match="belongs to another training"):
        other.fit(graphs, y, checkpoint=tmp_path / "a.pt")


def test_budgets_can_be_searched(graphs, labels):
    model = CGCNNClassifier(**{**TINY, "max_epochs": 2}, adversarial=StructureAttack(method="fgsm"))
    search = GridSearchCV(model, {"adversarial__budget": [0.02, 0.2]}, cv=2)
    search.fit(graphs, labels)
    assert search.best_estimator_.adversarial.budget == search.best_params_["adversarial__budget"]
    assert model.adversarial.budget == 0.05
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()


def test_clones_and_pickles_keep_the_attack(graphs, y):
    model = CGCNNRegressor(**TINY, adversarial=StructureAttack(budget=0.07, n_steps=1))
    copy = clone(model)
    assert copy.adversarial is not model.adversarial
    assert copy.adversarial.budget == 0.07
    again = pickle.loads(pickle.dumps(model.fit(graphs, y)))
    np.testing.assert_array_equal(again.predict(graphs), model.predict(graphs))


def test_save_says_how_to_save_what_was_trained_with_an_attack(graphs, y, tmp_path):
    model = CGCNNRegressor(**TINY, adversarial=StructureAttack(method="random")).fit(graphs, y)
    path = tmp_path / "model.safetensors"
    with pytest.raises(ValueError, match=r"set_params\(adversarial=None\)"):
        model.save(path)
    expected = model.predict(graphs)
    model.set_params(adversarial=None).save(path)
    np.testing.assert_array_equal(CGCNNRegressor.load(path).predict(graphs), expected)


def test_an_attack_on_something_else_is_refused(graphs, y):
    model = CGCNNRegressor(**TINY).fit(graphs, y)
    with pytest.raises(ValueError, match="leave its estimator None"):
        CGCNNRegressor(**TINY, adversarial=StructureAttack(model)).fit(graphs, y)
    with pytest.raises(ValueError, match="method"):
        CGCNNRegressor(**TINY, adversarial=StructureAttack(method="cw")).fit(graphs, y)
    with pytest.raises(ValueError, match="adversarial"):
        CGCNNRegressor(**TINY, adversarial="pgd").fit(graphs, y)


def test_missing_targets_are_attacked_by_none(graphs, y):
    """The attack is as if what is missing were no target at all."""
    both = np.column_stack([y, np.where(np.arange(16) < 8, np.nan, -y)])
    attack = StructureAttack(budget=0.1, method="fgsm")
    model = CGCNNRegressor(**TINY, adversarial=attack).fit(graphs, both)
    assert np.isfinite(model.predict(graphs)).all()
    dataset = GraphDataset(
        graphs, torch.zeros(16, 2), torch.tensor(np.isfinite(both), dtype=torch.float32)
    )
    from sklmat.adversarial._perturbed_batches import training_reference
    from sklmat.adversarial._prediction_error import prediction_error

    reference = training_reference(dataset, has_classes=False)
    error = prediction_error(torch.tensor([[0.5, 7.0]] * 16), reference).numpy()
    np.testing.assert_allclose(error, np.where(np.arange(16) < 8, 0.5 - 1, 7 - 1))


def test_partial_fit_and_warm_start_go_on_with_the_attack(graphs, y, batches_seen):
    attack = StructureAttack(method="random", budget=0.1)
    model = CGCNNRegressor(**TINY, adversarial=attack, warm_start=True)
    model.fit(graphs, y)
    before = len(batches_seen)
    model.partial_fit(graphs, y)
    assert len(batches_seen) > before
    model.fit(graphs, y)
    assert model.n_iter_ == 7


@pytest.mark.parametrize("neighbors", ["rebuilt", "fixed"])
def test_fine_tuned_originals_keep_their_padding(neighbors, data_home, batches_seen):
    home = data_home / "cgcnn"
    model = load_cgcnn_checkpoint(
        home / "pre-trained" / "band-gap.pth.tar",
        atom_init=home / "data" / "sample-regression" / "atom_init.json",
    )
    cells = [sparse_cell(), *random_alloys(2)]
    graph_model = GraphModel.of(model)
    expected = graph_model.pad(graph_model.read_graphs(cells))
    attack = StructureAttack(neighbor_list=neighbors, n_steps=1)
    model.set_params(warm_start=True, max_epochs=4, random_state=0, adversarial=attack)
    model.fit(cells, model.predict(cells))
    assert len(batches_seen) == 4
    for rows, trained in batches_seen:
        np.testing.assert_array_equal(trained.n_edges, expected.n_edges[rows])
        np.testing.assert_array_equal(
            (trained.edge_distance == 9).sum(), (expected.edge_distance == 9).sum()
        )
        assert trained.edge_distance.min() > 1.5


@pytest.mark.parametrize(
    "seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
)
def test_training_with_an_attack_makes_more_robust(seed):
    cells, a = rattled_cells(40)
    fresh, b = rattled_cells(60, seed=1)
    y, truth = (np.where(x > 2.9, "loose", "dense") for x in (a, b))
    make = StructureToGraph()
    graphs, held_out = make.transform(cells), make.transform(fresh)
    params = {"hidden_dim": 8, "n_conv": 2, "batch_size": 10, "lr": 5e-3, "max_epochs": 25}
    plain = CGCNNClassifier(**params, random_state=seed).fit(graphs, y)
    robust = CGCNNClassifier(
        **params, random_state=seed, adversarial=StructureAttack(method="fgsm", budget=0.2)
    ).fit(graphs, y)
    after = {}
    for name, model in (("plain", plain), ("robust", robust)):
        attacked = StructureAttack(model, budget=0.2).generate(held_out, truth)
        after[name] = model.score(attacked, truth)
    assert after["robust"] >= after["plain"] + 0.05
    assert robust.score(held_out, truth) >= 0.9
