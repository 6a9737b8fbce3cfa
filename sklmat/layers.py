"""Building blocks of the networks."""

import torch
from torch import nn
from torch.nn import functional as F

#: Gaussians below this are set to zero. They change no prediction at single precision, and without
#: the cut most of the basis is denormal numbers, on which a CPU is many times slower.
_SMALLEST_LOG = -27.6  # log(1e-12)


class GaussianExpansion(nn.Module):
    """Distances on a basis of Gaussians, ``exp(-(d - mu)^2 / sigma^2)``.

    Parameters
    ----------
    cutoff : float
        Last centre (Å); the first is 0.
    step : float
        Distance between centres, and width sigma (Å).
    """

    def __init__(self, cutoff, step=0.2):
        super().__init__()
        self.width = step
        centers = torch.arange(0, cutoff + step / 2, step, dtype=torch.float64)
        self.register_buffer("centers", centers.to(torch.get_default_dtype()), persistent=False)

    def forward(self, distance):
        """Expand distances on the Gaussians that any of them touches.

        Parameters
        ----------
        distance : Tensor of shape (E,)

        Returns
        -------
        values : Tensor of shape (E, G')
        columns : slice
            Which of the G Gaussians these are; all others are zero for every edge.
        """
        columns = self._touched(distance)
        exponent = -(((distance[:, None] - self.centers[columns]) / self.width) ** 2)
        values = exponent.clamp_min(_SMALLEST_LOG).exp()
        return values.masked_fill(exponent < _SMALLEST_LOG, 0.0), columns

    def _touched(self, distance):
        if len(distance) == 0:
            return slice(0, 1)
        reach = self.width * (-_SMALLEST_LOG) ** 0.5
        low, high = distance.detach().aminmax()
        edges = torch.stack([low - reach, high + reach])
        first, last = torch.searchsorted(self.centers, edges).tolist()
        return slice(min(first, len(self.centers) - 1), max(last, first + 1))


class RowNorm(nn.BatchNorm1d):
    """Batch normalisation over atoms or edges that also works when a batch has none, or one.

    A lone isolated atom has no edges to take a mean over; it is normalised as in prediction.
    """

    def forward(self, x):
        """Normalise the rows of `x`, Tensor of shape (N or E, F)."""
        if not self.training or len(x) > 1:
            return super().forward(x)
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class GatedGraphConv(nn.Module):
    """The graph convolution of CGCNN.

    ``h_i <- softplus(h_i + BN(sum_j sigmoid(BN(z W_f)) * softplus(BN(z W_s))))`` with
    ``z = [h_i, h_j, g_ij]``. The linear map is split into its parts for i, j and the edge: those
    for atoms are computed once per atom and gathered.

    Parameters
    ----------
    n_features : int
        Width F of the atom vectors.
    n_edge_features : int
        Width G of the edge vectors.
    """

    def __init__(self, n_features, n_edge_features):
        super().__init__()
        self.target_map = nn.Linear(n_features, 2 * n_features)
        self.source_map = nn.Linear(n_features, 2 * n_features, bias=False)
        self.edge_map = nn.Linear(n_edge_features, 2 * n_features, bias=False)
        self.edge_norm = RowNorm(2 * n_features)
        self.node_norm = RowNorm(n_features)
        # Three maps in place of one: each gets the bounds that the whole would have had.
        bound = (2 * n_features + n_edge_features) ** -0.5
        for parameter in (
            *self.target_map.parameters(),
            self.source_map.weight,
            self.edge_map.weight,
        ):
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, h, edge_features, columns, batch):
        """Send one round of messages.

        Parameters
        ----------
        h : Tensor of shape (N, F)
        edge_features : Tensor of shape (E, G')
        columns : slice
            Which of the G edge features are given; the others are zero.
        batch : CrystalBatch

        Returns
        -------
        Tensor of shape (N, F)
        """
        z = _EdgeSum.apply(
            self.source_map(h),
            self.target_map(h),
            edge_features,
            self.edge_map.weight[:, columns],
            batch.source,
            batch.target,
            batch.n_dense,
        )
        messages = sum_gated_messages(self.edge_norm(z), batch, len(h))
        return F.softplus(h + self.node_norm(messages))


def sum_gated_messages(x, batch, n_atoms):
    """Add up ``sigmoid(gate) * softplus(core)`` over the edges that reach each atom.

    Atoms without neighbours get zero.

    Parameters
    ----------
    x : Tensor of shape (E, 2 F)
        Gates beside cores.
    batch : CrystalBatch
    n_atoms : int

    Returns
    -------
    Tensor of shape (N, F)
    """
    return _GatedSum.apply(x, batch.target, n_atoms, batch.n_dense)


class _EdgeSum(torch.autograd.Function):
    """``z_e = a[source_e] + b[target_e] + W g_e`` for every edge, written once.

    The first ``N * n_dense`` edges belong to the atoms in order, `n_dense` to each, so that what
    they take from their atom, and give back to it, needs no index.
    """

    @staticmethod
    def forward(ctx, of_source, of_target, edge_features, weight, source, target, n_dense):
        """Sum of the three parts, (E, 2 F)."""
        ctx.save_for_backward(edge_features, weight, source, target)
        ctx.n_atoms, ctx.n_dense = len(of_target), n_dense
        z = of_source.index_select(0, source)
        z.addmm_(edge_features, weight.T)
        dense = ctx.n_atoms * n_dense
        if dense:
            z[:dense].view(ctx.n_atoms, n_dense, -1).add_(of_target[:, None])
        if dense < len(z):
            z[dense:] += of_target.index_select(0, target[dense:])
        return z

    @staticmethod
    def backward(ctx, gradient):
        """Gradients of the three parts."""
        edge_features, weight, source, target = ctx.saved_tensors
        dense = ctx.n_atoms * ctx.n_dense
        to_source = gradient.new_zeros(ctx.n_atoms, gradient.shape[1])
        to_target = torch.zeros_like(to_source)
        to_source.index_add_(0, source, gradient)
        if dense:
            torch.sum(gradient[:dense].view(ctx.n_atoms, ctx.n_dense, -1), 1, out=to_target)
        if dense < len(gradient):
            to_target.index_add_(0, target[dense:], gradient[dense:])
        to_edges = gradient @ weight if ctx.needs_input_grad[2] else None
        return to_source, to_target, to_edges, gradient.T @ edge_features, None, None, None


class _GatedSum(torch.autograd.Function):
    """Messages and their sum, a cache-full of edges at a time.

    Gates, cores and messages of all edges would be six passes over arrays that do not fit into
    the cache; here only `x` is read, and its gradient written. Backward computes again what
    forward did not keep.
    """

    _CHUNK = 2048  # edges: with 2 x 64 numbers each, 1 MB

    @staticmethod
    def forward(ctx, x, target, n_atoms, n_dense):
        """Sum over the edges of each atom; (E, 2 F) to (N, F)."""
        ctx.save_for_backward(x, target)
        ctx.n_atoms, ctx.n_dense = n_atoms, n_dense
        width = x.shape[1] // 2
        total = x.new_zeros(n_atoms, width)
        for atoms, edges in _GatedSum._chunks(ctx, len(x)):
            messages = torch.sigmoid(x[edges, :width])
            messages.mul_(F.softplus(x[edges, width:]))
            if atoms is None:
                total.index_add_(0, target[edges], messages)
            else:
                torch.sum(messages.view(-1, n_dense, width), 1, out=total[atoms])
        return total

    @staticmethod
    def backward(ctx, gradient):
        """Gradient with respect to `x`."""
        x, target = ctx.saved_tensors
        width = x.shape[1] // 2
        result = torch.empty_like(x)
        for atoms, edges in _GatedSum._chunks(ctx, len(x)):
            gate, core, out = torch.sigmoid(x[edges, :width]), x[edges, width:], result[edges]
            if atoms is None:
                through = gradient.index_select(0, target[edges]).mul_(gate)
            else:
                through = gradient[atoms, None] * gate.view(-1, ctx.n_dense, width)
                through = through.view(-1, width)
            torch.mul(through, torch.sigmoid(core), out=out[:, width:])
            through.mul_(F.softplus(core))
            torch.mul(through, gate.neg_().add_(1), out=out[:, :width])
        return result, None, None, None

    @staticmethod
    def _chunks(ctx, n_edges):
        """Atoms and edges of each chunk; no atoms for the edges beyond the dense ones."""
        dense = ctx.n_atoms * ctx.n_dense
        step = max(1, _GatedSum._CHUNK // ctx.n_dense) if dense else 1
        for start in range(0, ctx.n_atoms if dense else 0, step):
            stop = min(start + step, ctx.n_atoms)
            yield slice(start, stop), slice(start * ctx.n_dense, stop * ctx.n_dense)
        for start in range(dense, n_edges, _GatedSum._CHUNK):
            yield None, slice(start, min(start + _GatedSum._CHUNK, n_edges))


def mean_pool(h, batch):
    """Average over the atoms of each crystal.

    Parameters
    ----------
    h : Tensor of shape (N, F)
    batch : CrystalBatch

    Returns
    -------
    Tensor of shape (C, F)
    """
    total = h.new_zeros(len(batch), h.shape[1]).index_add_(0, batch.crystal, h)
    return total / batch.n_atoms[:, None]
