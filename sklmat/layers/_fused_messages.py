"""The convolution's work on edges, in passes that stay inside the processor's cache."""

import torch
from torch.nn import functional as F

#: Numbers per chunk and thread: 2 x 64 for 2,048 edges, 1 MB.
_CHUNK = 2**18


class FusedMessages(torch.autograd.Function):
    """Sum over edges of ``sigmoid(BN(z)_gate) * softplus(BN(z)_core)``.

    With ``z_e = a[source_e] + b[target_e] + W g_e``. Written with torch's own operations this is
    some thirty passes over arrays of E x 2F numbers, which do not fit into the cache, and the
    processor waits for memory most of the time. Here each chunk of edges is taken through all steps
    at once: one array, z, is kept for backward, which computes the gates again.

    The first ``N * n_dense`` edges belong to the atoms in order, `n_dense` to each, so that
    gathering from and adding to the central atoms needs no index.
    """

    @staticmethod
    def forward(ctx, of_source, of_target, edge_features, weight, gamma, beta, batch, stats, eps):
        """Sum the messages.

        Parameters
        ----------
        of_source, of_target : Tensor of shape (N, 2 F)
        edge_features : Tensor of shape (E, G)
        weight : Tensor of shape (2 F, G)
        gamma, beta : Tensor of shape (2 F,)
            Scale and shift of the batch norm.
        batch : CrystalBatch
        stats : tuple of Tensor or None
            Mean and variance to normalise with; those of the edges where None.
        eps : float

        Returns
        -------
        total : Tensor of shape (N, F)
        mean, var : Tensor of shape (2 F,)
            Of the edges, not differentiable.
        """
        z = of_source.new_empty(len(batch.source), of_source.shape[1])
        width = z.shape[1] // 2
        mean, m2 = z.new_zeros(2 * width), z.new_zeros(2 * width)
        for atoms, edges in _chunks(batch, 2 * width):
            rows = z[edges]
            torch.index_select(of_source, 0, batch.source[edges], out=rows)
            rows.addmm_(edge_features[edges], weight.T)
            _add_targets(rows, of_target, batch, atoms, edges)
            if stats is None:
                _merge_moments(mean, m2, rows, edges.start)
        mean, var = (mean, m2 / len(z)) if stats is None else stats
        scale = gamma * torch.rsqrt(var + eps)
        shift = beta - mean * scale
        total = z.new_zeros(len(of_target), width)
        for atoms, edges in _chunks(batch, 2 * width):
            x = torch.addcmul(shift, z[edges], scale)
            messages = torch.sigmoid(x[:, :width]).mul_(F.softplus(x[:, width:]))
            _add_up(total, messages, batch, atoms, edges)
        ctx.save_for_backward(z, edge_features, weight, scale, shift, mean, var)
        ctx.batch, ctx.eps, ctx.is_training = batch, eps, stats is None
        ctx.mark_non_differentiable(mean, var)
        return total, mean, var

    @staticmethod
    def backward(ctx, gradient, _mean, _var):
        """Gradients of the first six arguments."""
        z, edge_features, weight, scale, shift, mean, var = ctx.saved_tensors
        batch, width = ctx.batch, z.shape[1] // 2
        inverse = torch.rsqrt(var + ctx.eps)
        d, sum_d, sum_dz = torch.empty_like(z), torch.zeros_like(mean), torch.zeros_like(mean)
        for atoms, edges in _chunks(batch, 2 * width):
            out = _through_gates(z[edges], d[edges], scale, shift, gradient, batch, atoms, edges)
            sum_d += out.sum(dim=0)
            sum_dz += (out * z[edges]).sum(dim=0)
        d_gamma = inverse * (sum_dz - mean * sum_d)
        by_z, constant = torch.zeros_like(mean), torch.zeros_like(mean)
        if ctx.is_training:
            by_z = -scale * inverse * d_gamma / len(z)
            constant = -scale * sum_d / len(z) - mean * by_z
        to_source = z.new_zeros(len(gradient), 2 * width)
        to_target = z.new_zeros(len(gradient), 2 * width)
        to_weight = torch.zeros_like(weight) if ctx.needs_input_grad[3] else None
        to_edges = torch.empty_like(edge_features) if ctx.needs_input_grad[2] else None
        for atoms, edges in _chunks(batch, 2 * width):
            rows = d[edges].mul_(scale).addcmul_(z[edges], by_z).add_(constant)
            to_source.index_add_(0, batch.source[edges], rows)
            _add_up(to_target, rows, batch, atoms, edges)
            if to_weight is not None:
                to_weight.addmm_(rows.T, edge_features[edges])
            if to_edges is not None:
                torch.mm(rows, weight, out=to_edges[edges])
        return to_source, to_target, to_edges, to_weight, d_gamma, sum_d, None, None, None


def _chunks(batch, width):
    """Atoms and edges of each chunk; no atoms for the edges behind the dense ones."""
    n_atoms, n_dense = len(batch.atomic_numbers), batch.n_dense
    dense = n_atoms * n_dense
    step = max(1, _CHUNK * torch.get_num_threads() // width)
    atoms_step = max(1, step // max(n_dense, 1))
    for start in range(0, n_atoms if dense else 0, atoms_step):
        stop = min(start + atoms_step, n_atoms)
        yield slice(start, stop), slice(start * n_dense, stop * n_dense)
    for start in range(dense, len(batch.source), step):
        yield None, slice(start, min(start + step, len(batch.source)))


def _add_targets(rows, of_target, batch, atoms, edges):
    if atoms is None:
        rows += of_target.index_select(0, batch.target[edges])
    else:
        rows.view(-1, batch.n_dense, rows.shape[1]).add_(of_target[atoms, None])


def _add_up(total, rows, batch, atoms, edges):
    if atoms is None:
        total.index_add_(0, batch.target[edges], rows)
    else:
        total[atoms] += rows.view(-1, batch.n_dense, rows.shape[1]).sum(dim=1)


def _merge_moments(mean, m2, rows, n_before):
    """Bring the rows into a running mean and sum of squared deviations (Chan's formula)."""
    n = len(rows)
    new_mean = rows.mean(dim=0)
    centered = rows - new_mean
    difference = new_mean - mean
    m2 += centered.mul_(centered).sum(dim=0)
    m2 += difference**2 * (n_before * n / (n_before + n))
    mean += difference * (n / (n_before + n))


def _through_gates(z, out, scale, shift, gradient, batch, atoms, edges):
    """Gradient with respect to the normalised z, written into `out`."""
    width = z.shape[1] // 2
    x = torch.addcmul(shift, z, scale)
    gate, core = torch.sigmoid(x[:, :width]), F.softplus(x[:, width:])
    if atoms is None:
        through = gradient.index_select(0, batch.target[edges]).mul_(gate)
    else:
        through = gradient[atoms, None] * gate.view(-1, batch.n_dense, width)
        through = through.view(-1, width)
    # The slope of softplus is sigmoid(core before) = 1 - exp(-softplus).
    torch.mul(through, torch.neg(core).expm1_().neg_(), out=out[:, width:])
    torch.mul(through.mul_(core), gate.neg_().add_(1), out=out[:, :width])
    return out
