"""Networks whose matrix products are in half precision."""

import pickle

import numpy as np
import pytest
import torch

from sklmat import CGCNNClassifier, CGCNNRegressor, ECNetRegressor
from sklmat.batches import make_batch
from sklmat.datasets import make_alloys
from sklmat.estimators import GraphModel
from sklmat.graphs import StructureToGraph
from sklmat.training import _captured_steps, _loop

SETTINGS = {"max_epochs": 10, "hidden_dim": 16, "batch_size": 10, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    cells, y = make_alloys(60, n_atoms=4, return_X_y=True)
    return StructureToGraph(cutoff=4.0).fit_transform(cells), y


@pytest.fixture
def products(monkeypatch):
    """Types of the results of all products with a weight matrix."""
    found = []
    linear, product = torch.nn.functional.linear, torch.baddbmm

    def recorded(function):
        def call(*args):
            result = function(*args)
            found.append(result.dtype)
            return result

        return call

    monkeypatch.setattr(torch.nn.functional, "linear", recorded(linear))
    monkeypatch.setattr(torch, "baddbmm", recorded(product))
    return found


@pytest.mark.parametrize("estimator", [CGCNNRegressor, ECNetRegressor])
def test_result_is_within_the_spread_of_seeds(data, estimator):
    graphs, y = data
    single, other_seed, half = (
        estimator(**{**SETTINGS, **settings}).fit(graphs[:40], y[:40]).predict(graphs[40:])
        for settings in ({}, {"random_state": 1}, {"precision": "bfloat16"})
    )
    assert half.dtype == single.dtype
    assert not np.array_equal(half, single)
    difference = np.sqrt(np.mean((half - single) ** 2))
    assert difference < np.sqrt(np.mean((other_seed - single) ** 2))
    error, half_error = (np.abs(made - y[40:]).mean() for made in (single, half))
    assert half_error < 1.3 * error


@pytest.mark.parametrize("estimator", [CGCNNRegressor, ECNetRegressor])
def test_predictions_differ_by_the_rounding_of_half_precision(data, estimator):
    graphs, y = data
    model = estimator(**SETTINGS).fit(graphs, y)
    expected = model.predict(graphs)
    half = model.set_params(precision="bfloat16").predict(graphs)
    # bfloat16 has 8 bits; the last layer is in single precision.
    assert 0 < np.abs(half - expected).max() < 0.05 * y.std()
    # Rounded outputs would coincide.
    n_values = [len(np.unique(values.round(6))) for values in (half, expected)]
    assert n_values[0] >= n_values[1]
    assert np.array_equal(model.set_params(precision="float32").predict(graphs), expected)


def test_products_of_atoms_are_in_half_and_of_crystals_in_single_precision(data, products):
    graphs, y = data
    model = CGCNNRegressor(**{**SETTINGS, "max_epochs": 1}, precision="bfloat16")
    model.fit(graphs[:10], y[:10])
    # The embedding, three convolutions, one hidden layer and the output.
    assert products == [torch.bfloat16] * 4 + [torch.float32] * 2
    products.clear()
    model.predict(graphs[:10])
    assert products == [torch.bfloat16] * 4 + [torch.float32] * 2


def test_sums_normalisations_and_weights_are_in_single_precision(data):
    graphs, y = data
    model = CGCNNClassifier(**{**SETTINGS, "max_epochs": 1}, precision="bfloat16")
    module = model.fit(graphs, (y > np.median(y)).astype(str)).net_.module_
    assert {weight.dtype for weight in module.parameters()} == {torch.float32}
    states = model.net_.optimizer_.state.values()
    assert {state["exp_avg"].dtype for state in states} == {torch.float32}
    seen = []
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm1d):
            part.register_forward_hook(lambda part, given, made: seen.append(given[0].dtype))
    for convolution in module.convolutions:
        convolution.register_forward_hook(lambda part, given, made: seen.append(made.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        module(make_batch(graphs))
    assert set(seen) == {torch.float32}
    # Outputs for attacks and attributions do not read the parameter.
    (expected,) = GraphModel.of(model.set_params(precision="float32")).run(graphs)
    outputs = GraphModel.of(model.set_params(precision="bfloat16")).outputs(make_batch(graphs))
    np.testing.assert_allclose(outputs[:, 0].detach(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("estimator", [CGCNNRegressor, ECNetRegressor])
def test_steps_of_a_gpu_use_the_precision(data, estimator, monkeypatch):
    graphs, y = data
    settings = {**SETTINGS, "max_epochs": 2, "precision": "bfloat16"}
    usual = estimator(**settings).fit(graphs, y)
    seen = []
    compute = _captured_steps.CapturedSteps._run

    def recorded(self, size):
        seen.append(self.net.precision)
        compute(self, size)

    monkeypatch.setattr(_loop, "_captures_steps", lambda *args: True)
    monkeypatch.setattr(_captured_steps.CapturedSteps, "_run", recorded)
    captured = estimator(**settings).fit(graphs, y)
    assert seen == ["bfloat16"] * 12
    for one, other in zip(captured.history_, usual.history_):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=0.02)


def test_precision_is_kept_in_files_and_changed_by_warm_start(data, tmp_path):
    graphs, y = data
    settings = {**SETTINGS, "max_epochs": 1, "precision": "bfloat16"}
    model = CGCNNRegressor(**settings).fit(graphs, y)
    model.save(tmp_path / "model.safetensors")
    for other in (
        pickle.loads(pickle.dumps(model)),
        CGCNNRegressor.load(tmp_path / "model.safetensors"),
    ):
        assert other.net_.precision == other.precision == "bfloat16"
        assert np.array_equal(other.predict(graphs), model.predict(graphs))
    model.set_params(warm_start=True, precision="float32").fit(graphs, y)
    assert model.net_.precision == "float32"


def test_an_unknown_precision_is_refused(data):
    with pytest.raises(ValueError, match="'precision' parameter of CGCNNRegressor must be a str"):
        CGCNNRegressor(precision="float16").fit(*data)
