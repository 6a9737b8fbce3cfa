"""`GatedGraphConv`, the convolution of CGCNN, with the basis and the pooling around it."""

import torch
from torch import nn
from torch.nn import functional as F

from sklmat.layers._fused_messages import FusedMessages

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

    def update(self, mean, var, n_rows):
        """Move the running statistics towards those of a batch that was normalised elsewhere."""
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var * (n_rows / (n_rows - 1)), self.momentum)


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
        of_source, of_target = self.source_map(h), self.target_map(h)
        weight = self.edge_map.weight[:, columns]
        if h.device.type == "cpu" and len(batch.source) > 1:
            messages = self._fused(of_source, of_target, edge_features, weight, batch)
        else:
            messages = self._plain(of_source, of_target, edge_features, weight, batch)
        return F.softplus(h + self.node_norm(messages))

    def _plain(self, of_source, of_target, edge_features, weight, batch):
        """Sum of the messages that reach each atom, in torch's own operations."""
        z = edge_features @ weight.T
        z = z + of_source.index_select(0, batch.source) + of_target.index_select(0, batch.target)
        gate, core = self.edge_norm(z).chunk(2, dim=1)
        messages = torch.sigmoid(gate) * F.softplus(core)
        total = messages.new_zeros(len(of_target), messages.shape[1])
        return total.index_add_(0, batch.target, messages)

    def _fused(self, of_source, of_target, edge_features, weight, batch):
        """The same, a cache-full of edges at a time."""
        norm = self.edge_norm
        statistics = None if self.training else (norm.running_mean, norm.running_var)
        total, mean, var = FusedMessages.apply(
            of_source,
            of_target,
            edge_features,
            weight,
            norm.weight,
            norm.bias,
            batch,
            statistics,
            norm.eps,
        )
        if self.training:
            norm.update(mean, var, len(batch.source))
        return total


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
