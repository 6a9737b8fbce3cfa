"""`GatedGraphConv`, the graph convolution of CGCNN, with its Gaussian basis and mean pooling."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from sklmat.batches import CrystalBatch
from sklmat.layers._precision import to_product_precision, to_single
from sklmat.layers._sums import sum_atoms, uses_triton
from sklmat.memory import refuse_fine_grid

#: Smaller values of Gaussians are set to zero. At single precision they do not change predictions,
#: but most of them are denormal numbers, with which a CPU is many times slower.
_SMALLEST_LOG = -18.42  # log(1e-8)
# Centre (Å) of a Gaussian that is zero for all distances; with infinity, derivatives would be NaN.
_FAR = 1e6


class GaussianBand(NamedTuple):
    """Values of the few Gaussians that are not zero for an edge.

    Parameters
    ----------
    values : Tensor of shape (E, 9)
        Consecutive Gaussians; 0 beyond the last one.
    first : Tensor of shape (E,), int64
        Index of the first of them.
    """

    values: torch.Tensor
    first: torch.Tensor


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
        refuse_fine_grid(cutoff, step)
        self.width = step
        centers = torch.arange(0, cutoff + step / 2, step, dtype=torch.float64)
        self.register_buffer("centers", centers.to(torch.get_default_dtype()), persistent=False)

    def forward(self, distance: torch.Tensor) -> torch.Tensor:
        """Expand distances in all Gaussians.

        Parameters
        ----------
        distance : Tensor of shape (E,)
            Length of each edge (Å).

        Returns
        -------
        Tensor of shape (E, G)
            Value of each Gaussian.
        """
        return to_product_precision(self._gaussians(distance, self.centers))

    def band(self, distance: torch.Tensor) -> GaussianBand:
        """Expand distances in the Gaussians that are not zero for them.

        Parameters
        ----------
        distance : Tensor of shape (E,)
            Length of each edge (Å).

        Returns
        -------
        GaussianBand
            The values, and the first Gaussian of each edge.
        """
        from sklmat.layers import _compiled_kernels as kernels

        n_band, n_centers = kernels.N_GAUSSIANS, len(self.centers)
        first = torch.empty(len(distance), dtype=torch.int64)
        values = distance.new_empty(len(distance), n_band)
        arrays = first.numpy(), values.numpy()
        kernels.expand(
            *(distance.detach().numpy(), self.width, n_centers, _SMALLEST_LOG),
            *(kernels.CONSTANTS, *arrays),
        )
        if distance.requires_grad:
            beyond = self.centers.new_full((max(n_band - n_centers, 0),), _FAR)
            index = (first[:, None] + torch.arange(n_band)).view(-1)
            centers = torch.cat([self.centers, beyond]).index_select(0, index)
            values = self._gaussians(distance, centers.view(-1, n_band))
        return GaussianBand(values, first)

    def _gaussians(self, distance, centers):
        exponent = -(((distance[:, None] - centers) / self.width) ** 2)
        values = exponent.clamp_min(_SMALLEST_LOG).exp()
        return values.masked_fill(exponent < _SMALLEST_LOG, 0.0)


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
        """Update the running statistics with those of a batch normalised elsewhere."""
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
        edge_features: torch.Tensor | GaussianBand,
        batch: CrystalBatch,
    ) -> torch.Tensor:
        """Update the atom vectors by the messages of their neighbours.

        Parameters
        ----------
        h : Tensor of shape (N, F)
            Atom vectors.
        edge_features : Tensor of shape (E, G), or GaussianBand
            A band is faster. It is possible in single precision on a CPU, without padding.
        batch : CrystalBatch
            The atoms and edges.

        Returns
        -------
        Tensor of shape (N, F)
            Vector of each atom after the convolution.
        """
        # The batch normalisation subtracts what a bias adds; its gradient would only be rounding.
        bias: torch.Tensor = self.target_map.bias
        if self.training and len(batch.source) > 1:
            bias = bias.detach()
        bias = F.pad(bias, (0, self.source_map.out_features))
        weight = torch.cat([self.target_map.weight, self.source_map.weight])
        terms = to_single(F.linear(h, weight, bias))
        if uses_triton(h) and min(len(h), len(batch.source)) > 1:
            from sklmat.layers._triton_conv import TritonConv

            # Triton starts kernels on the current GPU. In the backward pass, torch sets it.
            with torch.cuda.device(h.device):
                return TritonConv.apply(
                    h,
                    terms,
                    edge_features,
                    self.edge_map.weight,
                    self.edge_norm.weight,
                    self.edge_norm.bias,
                    self.node_norm.weight,
                    self.node_norm.bias,
                    batch,
                    (self.edge_norm, self.node_norm),
                    self.training,
                )
        if isinstance(edge_features, GaussianBand):
            return self._compiled(h, terms, edge_features, batch)
        messages = self._plain(terms, edge_features, batch)
        n_atoms = None if batch.known_segments is None else batch.known_segments.n_atoms
        return F.softplus(h + self.node_norm(messages, n_atoms))

    def _plain(self, terms, edge_features, batch):
        """Sum the messages to each atom with the operations of torch."""
        target_terms, source_terms = terms.chunk(2, dim=1)
        z = self.edge_map(edge_features)
        z = z + source_terms.index_select(0, batch.source)
        z = z + target_terms.index_select(0, batch.target)
        n_edges = None if batch.known_segments is None else batch.known_segments.n_edges
        gate, core = self.edge_norm(z, n_edges).chunk(2, dim=1)
        messages = torch.sigmoid(gate) * F.softplus(core)
        total = messages.new_zeros(len(target_terms), messages.shape[1])
        return total.index_add_(0, batch.target, messages)

    def _compiled(self, h, terms, band, batch):
        """Update the atom vectors with loops compiled for the processor, faster on a CPU."""
        # Compilers are imported only where a network runs.
        from sklmat.layers._compiled_conv import CompiledMessages, CompiledUpdate

        edges, atoms = self.edge_norm, self.node_norm
        total, *statistics = CompiledMessages.apply(
            terms,
            band.values,
            self.edge_map.weight,
            edges.weight,
            edges.bias,
            band.first,
            batch,
            None if self.training else (edges.running_mean, edges.running_var),
            edges.eps,
            torch.is_grad_enabled(),
        )
        if self.training:
            edges.update(*statistics, len(batch.source))
        from_batch = self.training and len(h) > 1
        known = None if from_batch else (atoms.running_mean, atoms.running_var)
        h, *statistics = CompiledUpdate.apply(h, total, atoms.weight, atoms.bias, known, atoms.eps)
        if from_batch:
            atoms.update(*statistics, len(h))
        return h


def computes_bands(h: torch.Tensor, batch: CrystalBatch) -> bool:
    """Whether convolutions take a `GaussianBand`: in single precision on a CPU, without padding."""
    return (
        h.dtype == batch.distance.dtype == torch.float32
        and h.device.type == "cpu"
        and len(batch.source) > 1
        and batch.known_segments is None
    )


def mean_pool(h: torch.Tensor, batch: CrystalBatch) -> torch.Tensor:
    """Average over the atoms of each crystal.

    Parameters
    ----------
    h : Tensor of shape (N, F)
        Vector of each atom.
    batch : CrystalBatch
        The atoms of each crystal.

    Returns
    -------
    Tensor of shape (C, F)
        Mean vector of each crystal.
    """
    return sum_atoms(h, batch) / batch.n_atoms[:, None]
