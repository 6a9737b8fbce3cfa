"""`CompiledMessages`: the sums of the messages of a graph convolution on a CPU, fast."""

from __future__ import annotations

import numpy as np
import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from sklmat.layers import _compiled_kernels as kernels
from sklmat.layers._edge_blocks import EdgeBlocks
from sklmat.layers._reused_arrays import ReusedArray


class CompiledMessages(torch.autograd.Function):
    """Sum over the edges of each atom of ``sigmoid(BN(z)_gate) * softplus(BN(z)_core)``.

    For edge e, ``z_e = a[target_e] + b[source_e] + W g_e``. The operations of torch would need
    about thirty passes over arrays of E x 2F numbers; here there are four in training. Of the
    Gaussians g of an edge, only the few that are not zero are multiplied. The array z and the
    derivatives of the messages are kept for `backward`; without gradients, and with known
    statistics, there are no such arrays.
    """

    @staticmethod
    def forward(ctx, terms, gaussians, weight, gamma, beta, first, batch, statistics, eps):
        """Sum the messages.

        Parameters
        ----------
        terms : Tensor of shape (N, 4 F)
            Terms a and b of z: contribution of each atom as the target and the source of an edge.
        gaussians : Tensor of shape (E, K)
            Values of K consecutive Gaussians of each edge.
        weight : Tensor of shape (2 F, G)
            Linear map W.
        gamma, beta : Tensor of shape (2 F,)
            Scale and shift of the batch normalisation.
        first : Tensor of shape (E,), int64
            Index of the first of the K Gaussians.
        batch : CrystalBatch
        statistics : tuple of Tensor or None
            Mean and variance for the normalisation; with None, those of the edges of the batch.
        eps : float
            Added to the variance.

        Returns
        -------
        total : Tensor of shape (N, F)
        mean, variance : Tensor of shape (2 F,)
            Mean and variance that were used; not differentiable.
        """
        n_atoms, columns = len(terms), len(weight)
        blocks = EdgeBlocks(batch, columns)
        edges = _array(batch.source), _array(batch.target)
        linear_map = _array(terms), *edges, _array(first), _array(gaussians), _rows(weight)
        total = np.zeros((n_atoms, columns // 2), np.float32)
        uses_batch, z, slopes = statistics is None, None, None
        if uses_batch or any(ctx.needs_input_grad):
            z = ReusedArray(len(batch.source), columns)
            moments = np.zeros((len(blocks), 2, columns))
            blocks.run(kernels.linear_map, *linear_map, z.array, moments)
        mean, variance = _mean_and_variance(blocks, moments) if uses_batch else statistics
        scale = gamma * torch.rsqrt(variance + eps)
        shift = beta - mean * scale
        norm = _array(scale), _array(shift)
        if z is None:
            blocks.run(kernels.add_messages_at_once, *linear_map, *norm, total)
        else:
            slopes = ReusedArray(len(batch.source), columns)
            blocks.run(kernels.add_messages, z.array, *norm, edges[1], total, slopes.array)
        ctx.save_for_backward(gaussians, weight, scale, mean, variance)
        ctx.z, ctx.slopes, ctx.first, ctx.batch, ctx.blocks = z, slopes, first, batch, blocks
        ctx.uses_batch, ctx.eps = uses_batch, eps
        ctx.mark_non_differentiable(mean, variance)
        return torch.from_numpy(total), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient, _mean, _variance):
        """Gradients with respect to the first five arguments of `forward`."""
        gaussians, weight, scale, mean, variance = ctx.saved_tensors
        z, slopes, blocks = ctx.z.array, ctx.slopes.array, ctx.blocks
        source, target = _array(ctx.batch.source), _array(ctx.batch.target)
        gradient = _array(gradient)
        sums = np.zeros((len(blocks), 2, z.shape[1]))
        blocks.run(kernels.sum_gradients, z, slopes, _array(mean), target, gradient, sums)
        by_beta, by_deviation = torch.from_numpy(sums.sum(axis=0)).to(mean.dtype)
        inverse = torch.rsqrt(variance + ctx.eps)
        by_gamma = inverse * by_deviation
        # In training, mean and variance of the batch depend on z; this adds a term linear in z.
        coefficient, constant = torch.zeros_like(mean), torch.zeros_like(mean)
        if ctx.uses_batch:
            coefficient = -scale * inverse * by_gamma / len(z)
            constant = -scale * by_beta / len(z) - mean * coefficient
        rows = _rows(weight)
        by_terms = np.zeros((len(gradient), 2 * z.shape[1]), np.float32)
        n_blocks = len(blocks) if ctx.needs_input_grad[2] else 0
        by_weight = np.zeros((n_blocks, *rows.shape), np.float32)
        shape = gaussians.shape if ctx.needs_input_grad[1] else (0, 0)
        by_gaussians = np.zeros(shape, np.float32)
        blocks.run(
            kernels.gradient_of_linear_map,
            *(z, slopes, _array(scale), _array(coefficient), _array(constant)),
            *(source, target, gradient, _array(ctx.first), _array(gaussians), rows),
            *(by_terms, by_gaussians, by_weight),
        )
        by_weight = by_weight.sum(axis=0)[: weight.shape[1]].T
        return (
            torch.from_numpy(by_terms),
            torch.from_numpy(by_gaussians) if len(by_gaussians) else None,
            torch.from_numpy(by_weight),
            by_gamma,
            by_beta,
            *[None] * 4,
        )


def _array(tensor):
    return tensor.detach().contiguous().numpy()


def _rows(weight):
    """One row for each Gaussian, and rows of zeros if there are fewer Gaussians than in a band."""
    missing = max(kernels.N_GAUSSIANS - weight.shape[1], 0)
    return _array(F.pad(weight.detach().T, (0, 0, 0, missing)))


def _mean_and_variance(blocks, moments):
    """Mean and variance over all edges, two tensors of shape (2 F,), from those of the blocks."""
    n_rows = np.diff(blocks.bounds)[:, None]
    means, squares = moments.swapaxes(0, 1)
    mean = (n_rows * means).sum(axis=0) / n_rows.sum()
    squares = (squares + n_rows * (means - mean) ** 2).sum(axis=0)
    return torch.from_numpy(np.stack([mean, squares / n_rows.sum()])).float()
