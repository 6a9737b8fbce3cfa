"""Kernels of the graph convolution on a GPU, run by Triton's interpreter on the CPU."""

import contextlib
import copy
import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from sklmat import layers
from sklmat.batches import make_batch
from sklmat.datasets import make_alloys
from sklmat.elements import element_vectors
from sklmat.graphs import StructureToGraph
from sklmat.networks import CGCNN, _cgcnn

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="needs triton, which GPU builds have"
)


@needs_triton
@pytest.mark.slow
def test_kernels_without_a_gpu():
    # The interpreter is chosen by a variable that is read when the kernels are imported.
    result = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def results(network, batch, uses_triton, precision, training):
    """Outputs and gradients of a network."""
    network = copy.deepcopy(network).train(training)
    layers._sums.uses_triton = layers._graph_conv.uses_triton = lambda values: (
        uses_triton and values.dtype == torch.float32
    )
    half = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")
    with half:
        out = network(batch)
    out.square().sum().backward()
    gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
    return out.detach(), torch.cat(gradients)


def difference(one, other):
    return max(float((a - b).norm() / b.norm()) for a, b in zip(one, other))


def main():
    _cgcnn.computes_bands = lambda *args: False
    torch.cuda.device = lambda device: contextlib.nullcontext()
    cells = make_alloys(2, n_atoms=4).data
    batch = make_batch(StructureToGraph(cutoff=4.0).fit_transform(cells))
    torch.manual_seed(0)
    vectors = torch.from_numpy(element_vectors("physical")[0])
    network = CGCNN(vectors, 1, hidden_dim=4, n_conv=1, cutoff=4.0)
    for training in (True, False):
        expected = results(network, batch, False, "float32", training)
        for precision, tolerance in (("float32", 1e-4), ("bfloat16", 0.03)):
            found = results(network, batch, True, precision, training)
            assert difference(found, expected) < tolerance, (training, precision)


if __name__ == "__main__":
    main()
