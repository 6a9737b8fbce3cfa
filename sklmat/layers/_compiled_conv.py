"""`CompiledMessages`, `CompiledUpdate`: the steps of a graph convolution on a CPU, fast."""

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
    def forward(
        ctx, terms, gaussians, weight, gamma, beta, first, batch, statistics, eps, with_gradients
    ):
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
        with_gradients : bool
            Whether `backward` may be called; torch does not say so within `forward`.

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
        if uses_batch or with_gradients:
            z = ReusedArray(len(batch.source), columns)
            moments = np.zeros((len(blocks), 2, columns))
            blocks.run(kernels.linear_map, *linear_map, z.array, moments)
        mean, variance = _mean_and_variance(blocks, moments) if uses_batch else statistics
        scale = gamma * torch.rsqrt(variance + eps)
        shift = beta - mean * scale
        norm = _array(scale), _array(shift)
        if z is None:
            blocks.run(kernels.add_messages_at_once, *linear_map, *norm, kernels.CONSTANTS, total)
        else:
            slopes = ReusedArray(len(batch.source), columns)
            slope_sums = np.zeros((n_atoms, 2, columns), np.float32)
            blocks.run(
                kernels.add_messages,
                *(z.array, *norm, _array(mean), edges[1], kernels.CONSTANTS),
                *(total, slopes.array, slope_sums),
            )
            ctx.slope_sums = slope_sums
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
        n_atoms, columns = len(gradient), z.shape[1]
        sums, scaled = np.zeros((2, columns)), np.empty((n_atoms, columns), np.float32)
        kernels.add_up_gradients(_array(gradient), ctx.slope_sums, _array(scale), sums, scaled)
        by_beta, by_deviation = torch.from_numpy(sums).to(mean.dtype)
        inverse = torch.rsqrt(variance + ctx.eps)
        by_gamma = inverse * by_deviation
        coefficient, constant = torch.zeros_like(mean), torch.zeros_like(mean)
        if ctx.uses_batch:
            coefficient, constant = _through_statistics(
                scale, inverse, mean, by_gamma, by_beta, len(z)
            )
        rows = _rows(weight)
        by_terms = np.zeros((n_atoms, 2 * columns), np.float32)
        n_blocks = len(blocks) if ctx.needs_input_grad[2] else 0
        by_weight = np.zeros((n_blocks, *rows.shape), np.float32)
        shape = gaussians.shape if ctx.needs_input_grad[1] else (0, 0)
        by_gaussians = np.zeros(shape, np.float32)
        blocks.run(
            kernels.gradient_of_linear_map,
            *(z, slopes, _array(coefficient), _array(constant), source, target),
            *(scaled, _array(ctx.first), _array(gaussians), rows),
            *(by_terms, by_gaussians, by_weight),
        )
        by_weight = by_weight.sum(axis=0)[: weight.shape[1]].T
        return (
            torch.from_numpy(by_terms),
            torch.from_numpy(by_gaussians) if len(by_gaussians) else None,
            torch.from_numpy(by_weight),
            by_gamma,
            by_beta,
            *[None] * 5,
        )


class CompiledUpdate(torch.autograd.Function):
    """``softplus(h + BN(total))``, the atom vectors after a graph convolution."""

    @staticmethod
    def forward(ctx, h, total, gamma, beta, statistics, eps):
        """Update the atom vectors.

        Parameters
        ----------
        h, total : Tensor of shape (N, F)
            Atom vectors, and sums of their messages.
        gamma, beta : Tensor of shape (F,)
        statistics : tuple of Tensor or None
            Mean and variance for the normalisation; with None, those of `total`.
        eps : float

        Returns
        -------
        updated : Tensor of shape (N, F)
        mean, variance : Tensor of shape (F,)
            Mean and variance that were used; not differentiable.
        """
        rows = _array(total)
        ctx.uses_batch, ctx.eps = statistics is None, eps
        if statistics is None:
            moments = np.empty((2, rows.shape[1]))
            kernels.take_moments(rows, moments)
            statistics = torch.from_numpy(moments).to(total.dtype)
        mean, variance = statistics
        scale = gamma * torch.rsqrt(variance + eps)
        shift = beta - mean * scale
        updated, slopes = np.empty_like(rows), np.empty_like(rows)
        norm = _array(scale), _array(shift)
        kernels.update_atoms(_array(h), rows, *norm, kernels.CONSTANTS, updated, slopes)
        ctx.save_for_backward(total, scale, mean, variance)
        ctx.slopes = slopes
        ctx.mark_non_differentiable(mean, variance)
        return torch.from_numpy(updated), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient, _mean, _variance):
        """Gradients with respect to the first four arguments of `forward`."""
        total, scale, mean, variance = ctx.saved_tensors
        rows = _array(total)
        sums, by_h = np.zeros((2, rows.shape[1])), np.empty_like(rows)
        kernels.gradient_of_update(_array(gradient), ctx.slopes, rows, _array(mean), by_h, sums)
        by_beta, by_deviation = torch.from_numpy(sums).to(mean.dtype)
        inverse = torch.rsqrt(variance + ctx.eps)
        by_gamma = inverse * by_deviation
        by_h = torch.from_numpy(by_h)
        if not ctx.uses_batch:
            return by_h, by_h * scale, by_gamma, by_beta, None, None
        coefficient, constant = _through_statistics(
            scale, inverse, mean, by_gamma, by_beta, len(rows)
        )
        by_total = np.empty_like(rows)
        arrays = (_array(scale), _array(coefficient), _array(constant))
        kernels.combine(by_h.numpy(), rows, *arrays, by_total)
        return by_h, torch.from_numpy(by_total), by_gamma, by_beta, None, None


def _through_statistics(scale, inverse, mean, by_gamma, by_beta, n_rows):
    """Slope and constant of the gradient's part that is linear in the normalised rows.

    Mean and variance of the rows depend on the rows too.
    """
    coefficient = -scale * inverse * by_gamma / n_rows
    return coefficient, -scale * by_beta / n_rows - mean * coefficient


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
