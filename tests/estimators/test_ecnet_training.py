"""Training of ECNet: seeds, early stopping, checkpoints, and resuming."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from tiny_ecnet import TINY, Kill, changed, of_members, state

from sklmat import ECNetClassifier, ECNetRegressor, StructureToGraph
from sklmat.batches import make_batch
from sklmat.estimators import GraphModel
from sklmat.random_state import draw_seed


def test_same_seed_same_result_and_no_trace_in_the_users_state(graphs, y):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    a = ECNetRegressor(**TINY, dropout=0.3).fit(graphs, y)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    b = ECNetRegressor(**TINY, dropout=0.3).fit(graphs, y)
    np.testing.assert_array_equal(a.predict(graphs), b.predict(graphs))
    c = clone(a).set_params(random_state=1).fit(graphs, y)
    assert not np.array_equal(a.predict(graphs), c.predict(graphs))


@pytest.mark.parametrize("n_conv", [1, 2])
def test_every_weight_is_trained(graphs, both, n_conv):
    model = ECNetRegressor(**{**TINY, "max_epochs": 1, "n_conv": n_conv}, atom_init="physical")
    before = state(model.fit(graphs, both))
    unchanged = set(before) - changed(before, state(model.partial_fit(graphs, both)))
    assert unchanged == {"element_vectors", "known_elements"}


def test_classifier_learns(structures, graphs, labels):
    model = ECNetClassifier(**{**TINY, "max_epochs": 100, "batch_size": 8}, dropout=0)
    assert model.fit(graphs, labels).score(graphs, labels) > 0.9
    proba = model.predict_proba(graphs)
    assert model.classes_.tolist() == ["poor", "rich"]
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert (model.classes_[proba.argmax(axis=1)] == model.predict(graphs)).all()
    heavy = {"poor": 1e-6, "rich": 1.0}
    one_sided = ECNetClassifier(**{**TINY, "max_epochs": 30}, class_weight=heavy)
    assert set(one_sided.fit(graphs, labels).predict(graphs)) == {"rich"}


def test_probabilities_are_averaged_over_the_members(graphs, labels):
    model = ECNetClassifier(**TINY).fit(graphs, labels)
    elements = GraphModel.of(model).inputs(graphs)
    with torch.no_grad():
        logits = model.net_.module_.eval()(make_batch(elements)).double().numpy()
    odds = np.exp(logits)
    expected = (odds / odds.sum(axis=2, keepdims=True)).mean(axis=1)
    np.testing.assert_allclose(model.predict_proba(graphs), expected, rtol=1e-5)


def test_warm_start_continues(graphs, y):
    model = ECNetRegressor(**TINY, warm_start=True).fit(graphs, y)
    before = state(model)
    model.fit(graphs, y + 1)
    assert model.n_iter_ == len(model.history_) == 6
    assert "output.weight" in changed(before, state(model))
    before, predictions = state(model), model.predict(graphs)
    for other in ({"hidden_dim": 16}, {"n_conv": 2}, {"tower_dims": (4,)}, {"radial_step": 0.5}):
        old = {name: getattr(model, name) for name in other}
        with pytest.raises(ValueError, match=f"{next(iter(other))} was"):
            model.set_params(**other).fit(graphs, y)
        model.set_params(**old)
    with pytest.raises(ValueError, match="n_ensemble was 2, is 3"):
        model.set_params(n_ensemble=3).fit(graphs, y)
    np.testing.assert_array_equal(model.set_params(n_ensemble=2).predict(graphs), predictions)
    assert not changed(before, state(model))


def test_going_on_heeds_what_may_change_and_refuses_what_may_not(structures, y):
    def went_on(**params):
        model = ECNetRegressor(**TINY, warm_start=True).fit(structures, y)
        return model.set_params(**params).fit(structures, y).predict(structures)

    same = went_on()
    for params in ({"loss": "mse"}, {"weight_decay": 5.0}):
        assert not np.array_equal(went_on(**params), same)
    for params in ({"cutoff": 4.0}, {"max_neighbors": 3}, {"radial_spread": False}):
        with pytest.raises(ValueError, match=f"{next(iter(params))} was .*start over"):
            went_on(**params)
    with pytest.raises(ValueError, match="cannot change its element vectors"):
        went_on(atom_init="physical")


def test_elements_are_those_that_were_learned_from(structures, y):
    """Gold, in one row: with weight, without, only watched, and before or after another fit."""
    gold = [cell.copy() for cell in structures]
    gold[0].replace_species({"Ni": "Au"})
    weight = np.r_[0.0, np.ones(len(y) - 1)]
    model = ECNetRegressor(**TINY, warm_start=True)
    assert 79 in model.fit(gold, y).elements_
    assert 79 in model.fit(structures, y).elements_
    source = FrozenEstimator(clone(model).fit(gold, y))
    tuned = ECNetRegressor(**TINY, warm_start_from=source).fit(structures, y)
    assert 79 in tuned.elements_
    assert 79 not in clone(model).fit(gold, y, sample_weight=weight).elements_
    stopping = clone(model).set_params(early_stopping=True)
    seed = draw_seed(stopping.random_state)
    for place in range(len(y)):
        cells = [*gold[1 : place + 1], gold[0], *gold[place + 1 :]]
        if place in stopping._split(y, seed, StructureToGraph().transform(cells))[1]:
            break
    stopping.fit(cells, y)
    with pytest.raises(ValueError, match="the element Au"):
        stopping.predict(gold[:1])


def test_early_stopping_needs_something_to_watch(graphs, both):
    """Of the validation rows, only the target without weight is known."""
    model = ECNetRegressor(**TINY, early_stopping=True, target_weights=(1, 0))
    _, watched = model._split(both, draw_seed(model.random_state), graphs)
    few = both.copy()
    few[watched, 0] = np.nan
    with pytest.raises(ValueError, match="has no validation loss"):
        model.fit(graphs, few)


def test_classes_stay_those_of_the_first_call(graphs, labels):
    model = ECNetClassifier(**TINY).partial_fit(graphs, labels, classes=np.unique(labels))
    model.partial_fit(graphs, labels, classes=np.unique(labels)[::-1])
    with pytest.raises(ValueError, match="differ from those of the first call"):
        model.partial_fit(graphs, labels, classes=[*np.unique(labels), "another"])


def test_partial_fit(graphs, both, labels):
    model = ECNetRegressor(**TINY)
    for _ in range(3):
        model.partial_fit(graphs, both)
    assert model.n_iter_ == 3
    holes = both.copy()
    holes[:, 1] = np.nan
    model.partial_fit(graphs, holes)  # a later call may lack a target
    assert np.isfinite(model.predict(graphs)).all()
    with pytest.raises(ValueError, match="other than in the first fit"):
        model.partial_fit(graphs, both[:, 0])
    classifier = ECNetClassifier(**TINY)
    classifier.partial_fit(graphs[:2], ["poor", "poor"], classes=["poor", "rich"])
    classifier.partial_fit(graphs, labels)
    assert classifier.n_iter_ == 2


@pytest.mark.parametrize("stopping", [False, True])
def test_checkpoint_survives_a_kill(graphs, both, tmp_path, stopping):
    path = tmp_path / "run.pt"
    params = {**TINY, "max_epochs": 6, "dropout": 0.2, "batch_size": 5, "early_stopping": stopping}
    whole = ECNetRegressor(**params).fit(graphs, both)
    with pytest.raises(MemoryError):
        ECNetRegressor(**params, callbacks=[Kill(4)]).fit(graphs, both, checkpoint=path)
    resumed = ECNetRegressor(**params).fit(graphs, both, checkpoint=path)
    np.testing.assert_array_equal(resumed.predict(graphs), whole.predict(graphs))
    assert [r["train_loss"] for r in resumed.history_] == [r["train_loss"] for r in whole.history_]
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]
    for other in ({"n_ensemble": 3}, {"target_weights": (1, 2)}, {"n_conv": 2}):
        with pytest.raises(ValueError, match="belongs to another training"):
            ECNetRegressor(**{**params, **other}).fit(graphs, both, checkpoint=path)
    holes = both.copy()
    holes[0, 0] = np.nan
    with pytest.raises(ValueError, match="belongs to another training"):
        ECNetRegressor(**params).fit(graphs, holes, checkpoint=path)


def test_early_stopping_goes_back_to_the_best(graphs, both):
    params = {**TINY, "max_epochs": 80, "lr": 0.05, "batch_size": 4, "early_stopping": True}
    model = ECNetRegressor(**params, validation_fraction=0.25, n_iter_no_change=3)
    losses = [row["valid_loss"] for row in model.fit(graphs, both).history_]
    assert len(losses) == model.n_iter_ < 80
    assert np.argmin(losses) == len(losses) - 4
    train, valid = model._split(both, draw_seed(model.random_state), graphs)
    np.testing.assert_allclose(model.y_mean_, both[train].mean(axis=0))
    members = (of_members(model, graphs[valid]) - both[valid, None]) / model.y_scale_
    assert np.abs(members).mean(axis=(0, 2)).sum() == pytest.approx(min(losses), rel=1e-4)


def test_failed_fit_leaves_nothing(graphs, y):
    model = ECNetRegressor(**TINY, callbacks=[Kill(2)])
    with pytest.raises(MemoryError):
        model.fit(graphs, y)
    assert not hasattr(model, "nets_")
    assert not hasattr(model, "elements_")


@pytest.mark.parametrize(
    "params",
    [
        {"tower_dims": (0,)},
        {"tower_dims": ("a",)},
        {"tower_dims": (8.5,)},
        {"tower_dims": 8},
        {"dropout": 1.0},
        {"radial_step": 0.0},
        {"n_conv": -1},
        {"freeze": "towers"},
        {"warm_start_from": 3},
    ],
    ids=str,
)
def test_bad_parameters_are_named(graphs, y, params):
    with pytest.raises(ValueError, match=next(iter(params))):
        ECNetRegressor(**{**TINY, **params}).fit(graphs, y)
