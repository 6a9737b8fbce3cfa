"""`GatedGraphConv`, the graph convolution of CGCNN, with its Gaussian basis and mean pooling."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from sklmat.batches import CrystalBatch
from sklmat.layers._sums import sum_atoms, uses_triton

#: Smaller values of Gaussians are set to zero. At single precision they do not change predictions,
#: but most of them are denormal numbers, with which a CPU is many times slower.
_SMALLEST_LOG = -27.6  # log(1e-12)
#: Numbers per chunk of edges and thread: 1 MB, for example 2,048 edges with 2 x 64 features.
_CHUNK_NUMBERS = 2**18


class GaussianExpansion(nn.Module):
    """Expansion of distances d in Gaussians ``exp(-(d - mu)^2 / sigma^2)`` with G centres mu.

    Parameters
    ----------
    cutoff : float
        Last centre (Å); the first is 0.
    step : float
        Distance between centres, and width sigma (Å).
    """

    centers: torch.Tensor

    def __init__(self, cutoff: float, step: float = 0.2) -> None:
        super().__init__()
        self.width = step
        centers = torch.arange(0, cutoff + step / 2, step, dtype=torch.float64)
        self.register_buffer("centers", centers.to(torch.get_default_dtype()), persistent=False)

    def forward(self, distance: torch.Tensor) -> tuple[torch.Tensor, slice]:
        """Expand distances in the Gaussians that are not zero for all of them.

        Parameters
        ----------
        distance : Tensor of shape (E,)

        Returns
        -------
        values : Tensor of shape (E, G')
            Values of G' consecutive Gaussians.
        columns : slice
            Indices of these among all G Gaussians; the others are zero for every edge.
        """
        # Reading the smallest and largest distance would make the CPU wait for a GPU.
        columns = slice(0, len(self.centers)) if distance.is_cuda else self._touched(distance)
        exponent = -(((distance[:, None] - self.centers[columns]) / self.width) ** 2)
        values = exponent.clamp_min(_SMALLEST_LOG).exp()
        return values.masked_fill(exponent < _SMALLEST_LOG, 0.0), columns

    def _touched(self, distance):
        """Columns of the Gaussians that are not zero for all distances."""
        if len(distance) == 0:
            return slice(0, 1)
        radius = self.width * (-_SMALLEST_LOG) ** 0.5
        smallest, largest = distance.detach().aminmax()
        bounds = torch.stack([smallest - radius, largest + radius])
        first, last = torch.searchsorted(self.centers, bounds).tolist()
        return slice(min(first, len(self.centers) - 1), max(last, first + 1))


class RowNorm(nn.BatchNorm1d):
    """Batch normalisation over atoms or edges, for batches with few rows and with padding.

    A batch with one row or none, for example one isolated atom, is normalised as in evaluation
    mode.
    """

    # Batch normalisation has them unless it is told not to keep statistics.
    running_mean: torch.Tensor
    running_var: torch.Tensor
    num_batches_tracked: torch.Tensor
    momentum: float

    def forward(self, x: torch.Tensor, n_valid: torch.Tensor | None = None) -> torch.Tensor:
        """Normalise rows.

        Parameters
        ----------
        x : Tensor of shape (N or E, F)
        n_valid : Tensor of shape (1,), default=None
            Number of rows that are no padding and have a mean and a variance; all by default.

        Returns
        -------
        Tensor of shape (N or E, F)
        """
        if self.training and n_valid is not None:
            return self._normalize_valid(x, n_valid)
        if not self.training or len(x) > 1:
            return super().forward(x)
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )

    def _normalize_valid(self, x, n_valid):
        valid = torch.arange(len(x), device=x.device)[:, None] < n_valid
        mean = torch.where(valid, x, 0).sum(0) / n_valid
        centered = torch.where(valid, x - mean, 0)
        variance = centered.square().sum(0) / n_valid
        with torch.no_grad():
            unbiased = variance * (n_valid / (n_valid - 1).clamp_min(1))
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
        return centered * torch.rsqrt(variance + self.eps) * self.weight + self.bias

    def update(self, mean: torch.Tensor, variance: torch.Tensor, n_rows: int) -> None:
        """Update the running statistics with those of a batch that `FusedMessages` normalised."""
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (n_rows / (n_rows - 1)), self.momentum)


class GatedGraphConv(nn.Module):
    """Graph convolution of CGCNN.

    ``h_i <- softplus(h_i + BN(sum_j sigmoid(BN(z W_f)) * softplus(BN(z W_s))))`` with
    ``z = [h_i, h_j, g_ij]``, atom vectors h, edge vectors g, weights W_f and W_s, and batch
    normalisation BN. The linear map is divided into parts for i, j and the edge; the parts for i
    and j are computed once per atom and then gathered.

    Parameters
    ----------
    n_features : int
        Width F of the atom vectors.
    n_edge_features : int
        Width G of the edge vectors.
    """

    def __init__(self, n_features: int, n_edge_features: int) -> None:
        super().__init__()
        self.target_map = nn.Linear(n_features, 2 * n_features)
        self.source_map = nn.Linear(n_features, 2 * n_features, bias=False)
        self.edge_map = nn.Linear(n_edge_features, 2 * n_features, bias=False)
        self.edge_norm = RowNorm(2 * n_features)
        self.node_norm = RowNorm(n_features)
        # The three maps are initialised like the one map of the original, with its bounds.
        bound = (2 * n_features + n_edge_features) ** -0.5
        for parameter in (
            *self.target_map.parameters(),
            self.source_map.weight,
            self.edge_map.weight,
        ):
            nn.init.uniform_(parameter, -bound, bound)

    def forward(
        self,
        h: torch.Tensor,
        edge_features: torch.Tensor,
        columns: slice,
        batch: CrystalBatch,
    ) -> torch.Tensor:
        """Update the atom vectors by the messages of their neighbours.

        Parameters
        ----------
        h : Tensor of shape (N, F)
            Atom vectors.
        edge_features : Tensor of shape (E, G')
        columns : slice
            Indices of these G' among all G edge features; the others are zero.
        batch : CrystalBatch

        Returns
        -------
        Tensor of shape (N, F)
        """
        weight = self.edge_map.weight[:, columns]
        if uses_triton(h) and min(len(h), len(batch.source)) > 1:
            from sklmat.layers._triton_conv import TritonConv

            return TritonConv.apply(
                h,
                F.linear(h, *_joined(self.target_map, self.source_map)),
                edge_features,
                weight,
                self.edge_norm.weight,
                self.edge_norm.bias,
                self.node_norm.weight,
                self.node_norm.bias,
                batch,
                (self.edge_norm, self.node_norm),
                self.training,
            )
        source_terms, target_terms = self.source_map(h), self.target_map(h)
        padded = batch.known_segments
        if h.device.type == "cpu" and len(batch.source) > 1 and padded is None:
            messages = self._fused(source_terms, target_terms, edge_features, weight, batch)
        else:
            messages = self._plain(source_terms, target_terms, edge_features, weight, batch)
        n_atoms = None if padded is None else padded.n_atoms
        return F.softplus(h + self.node_norm(messages, n_atoms))

    def _plain(self, source_terms, target_terms, edge_features, weight, batch):
        """Sum the messages to each atom with the operations of torch."""
        z = edge_features @ weight.T
        z = z + source_terms.index_select(0, batch.source)
        z = z + target_terms.index_select(0, batch.target)
        n_edges = None if batch.known_segments is None else batch.known_segments.n_edges
        gate, core = self.edge_norm(z, n_edges).chunk(2, dim=1)
        messages = torch.sigmoid(gate) * F.softplus(core)
        total = messages.new_zeros(len(target_terms), messages.shape[1])
        return total.index_add_(0, batch.target, messages)

    def _fused(self, source_terms, target_terms, edge_features, weight, batch):
        """Sum the messages to each atom with `FusedMessages`, which is faster on a CPU."""
        norm = self.edge_norm
        statistics = None if self.training else (norm.running_mean, norm.running_var)
        total, mean, variance = FusedMessages.apply(
            source_terms,
            target_terms,
            edge_features,
            weight,
            norm.weight,
            norm.bias,
            batch,
            statistics,
            norm.eps,
        )
        if self.training:
            norm.update(mean, variance, len(batch.source))
        return total


def _joined(target_map, source_map):
    """Weight and bias of one map that computes the outputs of both."""
    bias = F.pad(target_map.bias, (0, source_map.out_features))
    return torch.cat([target_map.weight, source_map.weight]), bias


def mean_pool(h: torch.Tensor, batch: CrystalBatch) -> torch.Tensor:
    """Average over the atoms of each crystal.

    Parameters
    ----------
    h : Tensor of shape (N, F)
    batch : CrystalBatch

    Returns
    -------
    Tensor of shape (C, F)
    """
    return sum_atoms(h, batch) / batch.n_atoms[:, None]


class FusedMessages(torch.autograd.Function):
    """Sum over the edges of each atom of ``sigmoid(BN(z)_gate) * softplus(BN(z)_core)``.

    For edge e, ``z_e = a[source_e] + b[target_e] + W g_e``. The operations of torch would need
    about thirty passes over arrays of E x 2F numbers, which do not fit into the cache, so that the
    time is limited by memory access. Here all steps are done for one chunk of edges after the
    other. Only the array z is kept for `backward`, which computes the gates again.

    The first ``N * n_dense`` edges are those of the atoms in order, `n_dense` for each atom, so
    that gathering from and adding to the central atoms needs no index (see `CrystalBatch`).
    """

    @staticmethod
    def forward(
        ctx, source_terms, target_terms, edge_features, weight, gamma, beta, batch, statistics, eps
    ):
        """Sum the messages.

        Parameters
        ----------
        source_terms, target_terms : Tensor of shape (N, 2 F)
            Terms a and b of z: contribution of each atom as the source and the target of an edge.
        edge_features : Tensor of shape (E, G)
            Edge vectors g.
        weight : Tensor of shape (2 F, G)
            Linear map W.
        gamma, beta : Tensor of shape (2 F,)
            Scale and shift of the batch normalisation.
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
        z = source_terms.new_empty(len(batch.source), source_terms.shape[1])
        width = z.shape[1] // 2
        mean, squares = z.new_zeros(2 * width), z.new_zeros(2 * width)
        chunks = _chunks(batch, 2 * width)
        for atoms, edges in chunks:
            rows = z[edges]
            torch.index_select(source_terms, 0, batch.source[edges], out=rows)
            rows.addmm_(edge_features[edges], weight.T)
            _add_target_terms(rows, target_terms, batch, atoms, edges)
            if statistics is None:
                _update_moments(mean, squares, rows, edges.start)
        mean, variance = (mean, squares / len(z)) if statistics is None else statistics
        scale = gamma * torch.rsqrt(variance + eps)
        shift = beta - mean * scale
        total = z.new_zeros(len(target_terms), width)
        for atoms, edges in chunks:
            normalized = torch.addcmul(shift, z[edges], scale)
            gate, core = normalized[:, :width], normalized[:, width:]
            messages = torch.sigmoid(gate).mul_(F.softplus(core))
            _add_to_targets(total, messages, batch, atoms, edges)
        ctx.save_for_backward(z, edge_features, weight, scale, shift, mean, variance)
        ctx.batch, ctx.eps, ctx.is_training = batch, eps, statistics is None
        ctx.mark_non_differentiable(mean, variance)
        return total, mean, variance

    @staticmethod
    def backward(ctx, gradient, _mean, _variance):
        """Gradients with respect to the first six arguments of `forward`."""
        z, edge_features, weight, scale, shift, mean, variance = ctx.saved_tensors
        batch, width = ctx.batch, z.shape[1] // 2
        chunks = _chunks(batch, 2 * width)
        by_normalized = torch.empty_like(z)
        by_beta, by_normalized_times_z = torch.zeros_like(mean), torch.zeros_like(mean)
        for atoms, edges in chunks:
            rows = by_normalized[edges]
            _gradient_of_gates(z[edges], rows, scale, shift, gradient, batch, atoms, edges)
            by_beta += rows.sum(dim=0)
            by_normalized_times_z += (rows * z[edges]).sum(dim=0)
        inverse = torch.rsqrt(variance + ctx.eps)
        by_gamma = inverse * (by_normalized_times_z - mean * by_beta)
        # In training, mean and variance of the batch depend on z; this adds a term linear in z.
        coefficient, constant = torch.zeros_like(mean), torch.zeros_like(mean)
        if ctx.is_training:
            coefficient = -scale * inverse * by_gamma / len(z)
            constant = -scale * by_beta / len(z) - mean * coefficient
        by_source = z.new_zeros(len(gradient), 2 * width)
        by_target = z.new_zeros(len(gradient), 2 * width)
        by_weight = torch.zeros_like(weight) if ctx.needs_input_grad[3] else None
        by_edges = torch.empty_like(edge_features) if ctx.needs_input_grad[2] else None
        for atoms, edges in chunks:
            by_z = by_normalized[edges].mul_(scale).addcmul_(z[edges], coefficient).add_(constant)
            by_source.index_add_(0, batch.source[edges], by_z)
            _add_to_targets(by_target, by_z, batch, atoms, edges)
            if by_weight is not None:
                by_weight.addmm_(by_z.T, edge_features[edges])
            if by_edges is not None:
                torch.mm(by_z, weight, out=by_edges[edges])
        return by_source, by_target, by_edges, by_weight, by_gamma, by_beta, None, None, None


def _chunks(batch, width):
    """Atoms and edges of each chunk; atoms are None for edges after the first ``N * n_dense``."""
    n_atoms, n_dense, n_edges = len(batch.atomic_numbers), batch.n_dense, len(batch.source)
    n_dense_edges = n_atoms * n_dense
    edge_step = max(1, _CHUNK_NUMBERS * torch.get_num_threads() // width)
    atom_step = max(1, edge_step // max(n_dense, 1))
    chunks = []
    for start in range(0, n_atoms if n_dense else 0, atom_step):
        stop = min(start + atom_step, n_atoms)
        chunks.append((slice(start, stop), slice(start * n_dense, stop * n_dense)))
    for start in range(n_dense_edges, n_edges, edge_step):
        chunks.append((None, slice(start, min(start + edge_step, n_edges))))
    return chunks


def _add_target_terms(rows, target_terms, batch, atoms, edges):
    """Add the term of its target to the row of each edge, in place."""
    if atoms is None:
        rows += target_terms.index_select(0, batch.target[edges])
    else:
        rows.view(-1, batch.n_dense, rows.shape[1]).add_(target_terms[atoms, None])


def _add_to_targets(total, rows, batch, atoms, edges):
    """Add the row of each edge to the row of its target in `total`, in place."""
    if atoms is None:
        total.index_add_(0, batch.target[edges], rows)
    else:
        total[atoms] += rows.view(-1, batch.n_dense, rows.shape[1]).sum(dim=1)


def _update_moments(mean, squares, rows, n_before):
    """Update a running mean and sum of squared deviations by new rows (Chan's formula)."""
    n_rows = len(rows)
    row_mean = rows.mean(dim=0)
    centered = rows - row_mean
    difference = row_mean - mean
    squares += centered.mul_(centered).sum(dim=0)
    squares += difference**2 * (n_before * n_rows / (n_before + n_rows))
    mean += difference * (n_rows / (n_before + n_rows))


def _gradient_of_gates(z, out, scale, shift, gradient, batch, atoms, edges):
    """Write the gradient with respect to the normalised z into `out`, from that of the sums."""
    width = z.shape[1] // 2
    normalized = torch.addcmul(shift, z, scale)
    gate, core = torch.sigmoid(normalized[:, :width]), F.softplus(normalized[:, width:])
    if atoms is None:
        by_core = gradient.index_select(0, batch.target[edges]).mul_(gate)
    else:
        by_core = gradient[atoms, None] * gate.view(-1, batch.n_dense, width)
        by_core = by_core.view(-1, width)
    # The derivative of softplus is the sigmoid of its argument, 1 - exp(-softplus).
    torch.mul(by_core, torch.neg(core).expm1_().neg_(), out=out[:, width:])
    torch.mul(by_core.mul_(core), gate.neg_().add_(1), out=out[:, :width])
