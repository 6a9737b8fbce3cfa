"""Graph convolution and pooling against naive loops."""

import copy
import importlib.util
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, current_thread, main_thread

import numba
import numpy as np
import pytest
import torch
from crystals import bcc_fe, fcc_cu, isolated_ne, random_alloys, rocksalt_nacl
from pymatgen.core import Lattice, Structure
from torch.nn import functional as F

from sklmat import StructureToGraph, layers
from sklmat.batches import make_batch
from sklmat.layers import (
    GatedGraphConv,
    GaussianExpansion,
    _compiled_conv,
    _edge_blocks,
    _reused_arrays,
    block_threads,
    mean_pool,
    reused_arrays,
)
from sklmat.layers._reused_arrays import ReusedArray


@pytest.fixture(scope="module")
def graphs():
    """Equal and unequal numbers of neighbours, and an atom with none."""
    return StructureToGraph().fit_transform(
        [*random_alloys(4), bcc_fe(), isolated_ne(), rocksalt_nacl()]
    )


@pytest.fixture(params=["equal", "nearly equal", "isolated"])
def batch(request, graphs):
    rows = {"equal": slice(0, 4), "nearly equal": [0, 4, 1, 6], "isolated": slice(None)}
    return make_batch(graphs[rows[request.param]])


DISTANCES = [0.0, 0.7, 2.48, 2.55, 6.9, 7.99, 8.0, 9.0]


def test_gaussians_are_the_formula_where_it_matters():
    distance = torch.tensor(DISTANCES, dtype=torch.float64)
    expansion = GaussianExpansion(8.0).double()
    values = expansion(distance)
    assert torch.allclose(expansion.centers, 0.2 * torch.arange(41, dtype=torch.float64), atol=1e-6)
    expected = torch.exp(-(((distance[:, None] - expansion.centers) / 0.2) ** 2))
    assert (values - expected).abs().max() < 1.1e-8
    assert values[1, 4] == pytest.approx(np.exp(-(0.1**2) / 0.04), rel=1e-6)


@pytest.mark.parametrize(("cutoff", "step"), [(8.0, 0.2), (8.0, 0.05), (1.0, 0.2), (5.0, 1.0)])
@pytest.mark.parametrize("requires_grad", [True, False])
def test_a_band_is_the_gaussians_that_are_not_zero(cutoff, step, requires_grad):
    expansion = GaussianExpansion(cutoff, step)
    values, first = expansion.band(torch.tensor(DISTANCES, requires_grad=requires_grad))
    full = expansion(torch.tensor(DISTANCES))
    assert values.requires_grad == requires_grad
    assert values.shape == (len(DISTANCES), 9)
    found = torch.zeros(len(DISTANCES), full.shape[1] + 9)
    found.scatter_(1, first[:, None] + torch.arange(9), values.detach())
    torch.testing.assert_close(found[:, : full.shape[1]], full, rtol=2e-5, atol=1e-9)
    assert not found[:, full.shape[1] :].any()


def test_gaussians_hold_no_denormal_numbers():
    distance = torch.linspace(0.5, 9.0, 500)
    expansion = GaussianExpansion(8.0)
    both = torch.cat([expansion(distance), expansion.band(distance).values], dim=1)
    positive = both[both > 0]
    assert positive.min() > 5e-9
    naive = torch.exp(
        -(((torch.linspace(0.5, 9, 500)[:, None] - 0.2 * torch.arange(41)) / 0.2) ** 2)
    )
    assert ((naive > 0) & (naive < torch.finfo(torch.float32).tiny)).any()


def naive_convolution(layer, h, g, batch):
    """The paper's formula with one matrix, edge by edge."""
    weight = torch.cat([layer.target_map.weight, layer.source_map.weight, layer.edge_map.weight], 1)
    z = torch.stack(
        [
            weight @ torch.cat([h[i], h[j], g[e]]) + layer.target_map.bias
            for e, (i, j) in enumerate(zip(batch.target, batch.source))
        ]
    )
    mean, var = z.mean(0), z.var(0, unbiased=False)
    z = (z - mean) / torch.sqrt(var + 1e-5) * layer.edge_norm.weight + layer.edge_norm.bias
    n = h.shape[1]
    total = torch.zeros_like(h)
    for e, i in enumerate(batch.target):
        total[i] = total[i] + torch.sigmoid(z[e, :n]) * F.softplus(z[e, n:])
    mean, var = total.mean(0), total.var(0, unbiased=False)
    total = (total - mean) / torch.sqrt(var + 1e-5)
    return F.softplus(h + total * layer.node_norm.weight + layer.node_norm.bias)


def random_layer(n_features, batch):
    """A convolution with random weights, and random vectors of the atoms."""
    torch.manual_seed(0)
    layer = GatedGraphConv(n_features, 41)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return layer, torch.randn(len(batch.atomic_numbers), n_features)


def test_convolution_equals_the_naive_loop(batch):
    layer, h = random_layer(5, batch)
    expansion = GaussianExpansion(8.0)
    band = expansion.band(batch.distance)
    double, g = copy.deepcopy(layer).double(), expansion(batch.distance).double()
    expected = naive_convolution(double, h.double(), g, batch)
    torch.testing.assert_close(double(h.double(), g, batch), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(layer(h, band, batch).double(), expected, rtol=0, atol=2e-5)


def few_edges():
    """Two bonds of one length and 28 of two others, and an atom with none."""
    pair = Structure(Lattice.cubic(9.0), ["Fe", "Ni"], [[0, 0, 0], [0.3, 0, 0]])
    return make_batch(StructureToGraph(cutoff=3.0).fit_transform([pair, bcc_fe(), isolated_ne()]))


@pytest.fixture
def loops_in_python(monkeypatch):
    """The loops over edges and atoms as Python runs them, not compiled by numba."""
    path = importlib.util.find_spec("sklmat.layers._compiled_kernels").origin
    spec = importlib.util.spec_from_file_location("loops_in_python", path)
    loops = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    spec.loader.exec_module(loops)
    monkeypatch.setattr(layers, "_compiled_kernels", loops)
    monkeypatch.setattr(_compiled_conv, "kernels", loops)


@pytest.mark.parametrize("block", [400, 10**6])
@pytest.mark.parametrize("training", [True, False])
def test_compiled_convolution_equals_the_plain_one(batch, block, training, monkeypatch):
    monkeypatch.setattr(_edge_blocks, "_BLOCK_NUMBERS", block)
    check_against_the_plain_convolution(batch, training)


@pytest.mark.usefixtures("loops_in_python")
@pytest.mark.parametrize("training", [True, False])
def test_loops_that_python_runs_equal_the_plain_convolution(training):
    check_against_the_plain_convolution(few_edges(), training)


@pytest.mark.usefixtures("loops_in_python")
def test_loops_that_python_runs_for_fewer_gradients():
    batch, expansion = few_edges(), GaussianExpansion(8.0)
    layer, h = random_layer(5, batch)
    layer.eval().requires_grad_(False)
    double, inputs = copy.deepcopy(layer).double(), h.double().requires_grad_()
    expected = double(inputs, expansion(batch.distance).double(), batch)
    (expected_gradient,) = torch.autograd.grad(expected.sum(), inputs)
    band = expansion.band(batch.distance)
    with torch.inference_mode():
        found = layer(h, band, batch)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    (gradient,) = torch.autograd.grad(layer(h.requires_grad_(), band, batch).sum(), h)
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=1e-4, atol=1e-5)


def check_against_the_plain_convolution(batch, training):
    """Values and gradients of the loops against operations of torch in double precision."""
    layer, h = random_layer(7, batch)
    layer.train(training)
    double, double_batch = copy.deepcopy(layer).double(), batch.to(torch.float64)
    expansion, results = GaussianExpansion(8.0), []
    for convolution, own_batch, vectors in (
        (layer, batch, h),
        (double, double_batch, h.double()),
    ):
        vectors.requires_grad_()
        distance = own_batch.distance.clone().requires_grad_()
        if convolution is layer:
            features = expansion.band(distance)
        else:
            features = GaussianExpansion(8.0).double()(distance)
        total = convolution(vectors, features, own_batch)
        inputs = [vectors, distance, *convolution.parameters()]
        gradients = torch.autograd.grad(total.pow(2).sum(), inputs, allow_unused=training)
        statistics = convolution.edge_norm.running_mean, convolution.edge_norm.running_var
        results.append([total, *gradients, *statistics])
    without = [name for name, _ in layer.named_parameters()].index("target_map.bias") + 3
    # In training, the batch normalisation removes what this bias adds.
    assert (results[0][without] is None) == training
    for found, expected in zip(*results):
        if found is not None:
            scale = expected.abs().max().item()
            torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-4 * scale + 1e-6)


def test_without_gradients_the_messages_are_the_same_without_an_array_of_edges(batch, monkeypatch):
    layer, h = random_layer(7, batch)
    layer.eval()
    band = GaussianExpansion(8.0).band(batch.distance)
    expected = layer(h.requires_grad_(), band, batch)
    monkeypatch.setattr(_compiled_conv, "ReusedArray", None)
    with torch.inference_mode():
        found = layer(h, band, batch)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [torch.nan, torch.inf])
def test_messages_of_a_network_that_diverged_are_not_finite(batch, kind):
    layer, h = random_layer(5, batch)
    h[0, 0] = kind
    total = layer(h, GaussianExpansion(8.0).band(batch.distance), batch)
    assert not torch.isfinite(total).all()


def test_distances_that_are_not_numbers_give_no_numbers(batch):
    layer, h = random_layer(5, batch)
    batch.distance = batch.distance.clone()
    batch.distance[0] = torch.nan
    expansion = GaussianExpansion(8.0)
    assert expansion.band(batch.distance).values[0].isnan().all()
    assert layer(h, expansion.band(batch.distance), batch).isnan().any()


def test_derivatives_by_distance_with_few_gaussians():
    # Six Gaussians: fewer than the values in a band.
    distance = torch.tensor([0.5, 1.0, 1.3], requires_grad=True)
    expansion = GaussianExpansion(1.0)
    (found,) = torch.autograd.grad(expansion.band(distance).values.sum(), distance)
    (expected,) = torch.autograd.grad(expansion(distance).sum(), distance)
    torch.testing.assert_close(found, expected)


def test_the_default_dtype_does_not_change_a_band():
    distance, before = torch.tensor(DISTANCES), torch.get_default_dtype()
    expansion = GaussianExpansion(8.0)
    expected = expansion.band(distance).values
    try:
        torch.set_default_dtype(torch.float64)
        found = expansion.band(distance).values
    finally:
        torch.set_default_dtype(before)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_threads_of_python_have_settings_and_memory_of_their_own():
    with block_threads(3), reused_arrays():
        array = ReusedArray(30, 4)
        place = array.array.ctypes.data
        del array
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(lambda: (_edge_blocks._settings.max_threads, ReusedArray(30, 4)))
            n_threads, of_other = other.result()
        assert n_threads == 1
        assert of_other.array.ctypes.data != place
        assert _edge_blocks._settings.max_threads == 3


def test_an_error_in_one_thread_waits_for_the_others(graphs, monkeypatch):
    monkeypatch.setattr(_edge_blocks, "_BLOCK_NUMBERS", 200)
    blocks, started, finished = _edge_blocks.EdgeBlocks(make_batch(graphs), 4), Event(), []

    def kernel(block, bounds):
        if main_thread() is current_thread():
            started.wait()
            raise KeyboardInterrupt
        started.set()
        time.sleep(0.02)
        finished.append(block)

    with block_threads(2), pytest.raises(KeyboardInterrupt):
        blocks.run(kernel)
    assert len(finished) == len(blocks) - 1


def test_an_error_in_a_helping_thread_is_raised(graphs, monkeypatch):
    monkeypatch.setattr(_edge_blocks, "_BLOCK_NUMBERS", 200)
    blocks, failed = _edge_blocks.EdgeBlocks(make_batch(graphs), 4), Event()

    def kernel(block, bounds):
        if main_thread() is current_thread():
            failed.wait()
        else:
            failed.set()
            raise MemoryError(block)

    with block_threads(2), pytest.raises(MemoryError):
        blocks.run(kernel)


def test_blocks_are_whole_crystals(graphs, monkeypatch):
    batch = make_batch(graphs)
    monkeypatch.setattr(_edge_blocks, "_BLOCK_NUMBERS", 200)
    bounds = _edge_blocks.EdgeBlocks(batch, 4).bounds
    starts = np.append(0, np.cumsum(graphs.n_edges))
    assert len(bounds) > 3
    assert set(bounds.tolist()) <= set(starts.tolist())
    assert (bounds[0], bounds[-1]) == (0, starts[-1])
    assert (np.diff(bounds) > 0).all()


def test_number_of_threads_does_not_change_a_bit(graphs, monkeypatch):
    monkeypatch.setattr(_edge_blocks, "_BLOCK_NUMBERS", 200)
    batch, results = make_batch(graphs), []
    for n_threads in (1, 2, 5):
        layer, h = random_layer(6, batch)
        with block_threads(n_threads):
            total = layer(h, GaussianExpansion(8.0).band(batch.distance), batch)
            total.pow(2).sum().backward()
        gradients = [p.grad for p in layer.parameters() if p.grad is not None]
        results.append([total, *gradients])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other))


def test_memory_of_arrays_is_used_again_after_they_are_deleted():
    with reused_arrays():
        first, second = ReusedArray(30, 4), ReusedArray(30, 4)
        place = first.array.ctypes.data
        assert second.array.ctypes.data != place
        del first
        again = ReusedArray(25, 4)
        assert again.array.ctypes.data == place
        assert again.array.shape == (25, 4)
        assert ReusedArray(3, 4).array.ctypes.data != place
        del second, again
        assert len(_reused_arrays._memory.free) == 3
        larger = ReusedArray(90, 4)
        assert len(_reused_arrays._memory.free) == 2
    del larger
    assert _reused_arrays._memory.free is None


def test_atoms_without_neighbours_receive_nothing():
    batch = make_batch(StructureToGraph().fit_transform([isolated_ne(), fcc_cu()]))
    layer = GatedGraphConv(3, 41).eval()
    layer.edge_norm.eps = 0.0
    for parameter in (*layer.target_map.parameters(), layer.source_map.weight):
        torch.nn.init.zeros_(parameter)
    torch.nn.init.ones_(layer.target_map.bias)
    torch.nn.init.zeros_(layer.edge_map.weight)
    layer.node_norm.eps = 0.0
    one_message = torch.sigmoid(torch.tensor(1.0)) * F.softplus(torch.tensor(1.0))
    expansion = GaussianExpansion(8.0)
    for features in (expansion(batch.distance), expansion.band(batch.distance)):
        h = layer(torch.zeros(5, 3), features, batch)
        torch.testing.assert_close(h[0], F.softplus(torch.zeros(3)))
        torch.testing.assert_close(h[1:], F.softplus(12 * one_message).expand(4, 3))


def test_mean_pool_counts_the_crystals_given(graphs):
    batch = make_batch(graphs)
    pooled = mean_pool(batch.atomic_numbers[:, None].float(), batch)[:, 0]
    expected = [
        graphs.atomic_numbers[a:b].mean() for a, b in zip(graphs.atom_ptr, graphs.atom_ptr[1:])
    ]
    assert np.allclose(pooled.numpy(), expected)
