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
        """Expand distances.

        Parameters
        ----------
        distance : Tensor of shape (E,)

        Returns
        -------
        Tensor of shape (E, G)
        """
        exponent = -(((distance[:, None] - self.centers) / self.width) ** 2)
        return torch.where(exponent < _SMALLEST_LOG, 0.0, exponent.clamp_min(_SMALLEST_LOG).exp())


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

    def forward(self, h, edge_features, batch):
        """Send one round of messages.

        Parameters
        ----------
        h : Tensor of shape (N, F)
        edge_features : Tensor of shape (E, G)
        batch : CrystalBatch

        Returns
        -------
        Tensor of shape (N, F)
        """
        from_source = self.source_map(h).index_select(0, batch.source)
        # One pass instead of three over the largest array: added inside the matrix product, and
        # in place, which is safe because no backward formula needs the value before.
        z = torch.addmm(from_source, edge_features, self.edge_map.weight.T)
        of_target = self.target_map(h)
        if batch.n_neighbors:
            z.view(len(h), batch.n_neighbors, -1).add_(of_target[:, None])
        else:
            z.add_(of_target.index_select(0, batch.target))
        gate, core = self.edge_norm(z).chunk(2, dim=1)
        messages = torch.sigmoid(gate) * F.softplus(core)
        return F.softplus(h + self.node_norm(sum_messages(messages, batch, len(h))))


def sum_messages(messages, batch, n_atoms):
    """Add up what reaches each atom; atoms without neighbours get zero.

    Parameters
    ----------
    messages : Tensor of shape (E, F)
    batch : CrystalBatch
    n_atoms : int

    Returns
    -------
    Tensor of shape (N, F)
    """
    if batch.n_neighbors:
        return messages.view(n_atoms, batch.n_neighbors, -1).sum(dim=1)
    total = messages.new_zeros(n_atoms, messages.shape[1])
    return total.index_add_(0, batch.target, messages)


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
