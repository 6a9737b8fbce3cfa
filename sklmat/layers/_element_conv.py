"""`ElementConv`, the element convolution of ECNet, for all members of an ensemble in one pass.

Tensors have the shape ``(P, M, F)`` for P nodes (elements of crystals), M members and F features:
gathers and sums over nodes then move contiguous rows, and one product computes all members.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from sklmat.batches import ElementBatch
from sklmat.layers._dropout import Dropout
from sklmat.layers._sums import gather_sources, sum_to_targets


def shifted_softplus(x: torch.Tensor) -> torch.Tensor:
    """Activation function ``log(0.5 exp(x) + 0.5)``: softplus shifted to be zero at the origin."""
    return F.softplus(x) - math.log(2)


class MemberLinear(nn.Module):
    """Linear layer with separate weights for each member of an ensemble.

    Parameters
    ----------
    n_members, n_in, n_out : int
    bias : bool, default=True
    gain : float, default=1.0
        The initial weights have the standard deviation ``gain / sqrt(n_in)``.
    """

    def __init__(
        self, n_members: int, n_in: int, n_out: int, bias: bool = True, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_members, n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_members, 1, n_out)) if bias else None
        nn.init.normal_(self.weight, std=gain * n_in**-0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `x`, Tensor of shape (P, M, n_in), to one of shape (P, M, n_out)."""
        x = x.transpose(0, 1)
        if self.bias is None:
            return torch.bmm(x, self.weight).transpose(0, 1)
        return torch.baddbmm(self.bias, x, self.weight).transpose(0, 1)


class MemberNorm(nn.Module):
    """Layer normalisation with separate weights and biases for each member of an ensemble."""

    def __init__(self, n_members: int, n_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_members, n_features))
        self.bias = nn.Parameter(torch.zeros(n_members, n_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise `x`, Tensor of shape (P, M, F)."""
        return F.layer_norm(x, x.shape[-1:]) * self.weight + self.bias


class GridFilter(nn.Module):
    """Filter with a learned value at each grid point, times a cosine cutoff.

    Parameters
    ----------
    n_members : int
        Members M of the ensemble.
    grid : Tensor of shape (K,)
        Distances (Å).
    n_filters : int
        Width of the filter.
    cutoff : float
        Å.
    """

    envelope: torch.Tensor

    def __init__(self, n_members: int, grid: torch.Tensor, n_filters: int, cutoff: float) -> None:
        super().__init__()
        self.register_buffer("envelope", cosine_cutoff(grid, cutoff), persistent=False)
        self.values = nn.Parameter(torch.randn(len(grid), n_members, n_filters) * len(grid) ** -0.5)

    def forward(self) -> torch.Tensor:
        """Evaluate the filter on the grid.

        Returns
        -------
        Tensor of shape (K, M, n_filters)
            Values of the filters at each distance.
        """
        return self.values * self.envelope[:, None, None]


class GaussianFilter(nn.Module):
    """Continuous filter of SchNet: a small network on a Gaussian basis, times a cosine cutoff.

    Parameters
    ----------
    n_members : int
        Members M of the ensemble.
    grid : Tensor of shape (K,)
        Distances (Å).
    n_filters : int
        Width of the filter.
    cutoff : float
        Å.
    n_gaussians : int, default=50
        Number of Gaussians, with centres from 0 to the cutoff; their standard deviation is the
        distance between centres.
    """

    basis: torch.Tensor
    envelope: torch.Tensor

    def __init__(
        self,
        n_members: int,
        grid: torch.Tensor,
        n_filters: int,
        cutoff: float,
        n_gaussians: int = 50,
    ) -> None:
        super().__init__()
        centers = torch.linspace(0, cutoff, n_gaussians, dtype=torch.float64)
        width = cutoff / (n_gaussians - 1)
        basis = torch.exp(-0.5 * ((grid.double()[:, None] - centers) / width) ** 2)
        # Smaller values would be denormal numbers, which are slow on a CPU, and have no effect.
        basis = torch.where(basis < 1e-12, 0.0, basis).to(torch.get_default_dtype())
        basis = basis[:, None].expand(-1, n_members, -1)
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("envelope", cosine_cutoff(grid, cutoff), persistent=False)
        self.first = MemberLinear(n_members, n_gaussians, n_filters)
        self.second = MemberLinear(n_members, n_filters, n_filters)

    def forward(self) -> torch.Tensor:
        """Evaluate the filter on the grid.

        Returns
        -------
        Tensor of shape (K, M, n_filters)
            Values of the filters at each distance.
        """
        values = self.second(shifted_softplus(self.first(self.basis)))
        return values * self.envelope[:, None, None]


def cosine_cutoff(distance: torch.Tensor, cutoff: float) -> torch.Tensor:
    """``(1 + cos(pi d / cutoff)) / 2``, continued smoothly beyond the cutoff."""
    return 0.5 * (1 + torch.cos(math.pi * distance.double() / cutoff)).to(torch.get_default_dtype())


class ElementConv(nn.Module):
    """Element convolution: mean messages from neighbours to the atoms of each element.

    The vector t_a of element a is updated by
    ``t_a <- t_a + MLP(mean over atoms i of element a of sum over neighbours j of h_j * W(d_ij))``
    with vectors h and filters W; `forward` returns the second term. As all atoms of an element b
    have the same vector ``h_b``, the mean is ``sum_b h_b * sum_k R_ab(k) W(k)`` with the partial
    radial distribution R on grid points k.

    Parameters
    ----------
    n_members, n_features : int
        Members M, and width F of the element vectors.
    filters : GridFilter or GaussianFilter
        `n_filters` filters W.
    n_filters : int
        Number of filters.
    activation : callable
        Applied between the two linear layers.
    dropout : float, default=0.0
        Fraction of values that are set to zero in training.
    """

    def __init__(
        self,
        n_members: int,
        n_features: int,
        filters: GridFilter | GaussianFilter,
        n_filters: int,
        activation: Callable[[torch.Tensor], torch.Tensor],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.filters = filters
        self.source_map = MemberLinear(n_members, n_features, n_filters, bias=False)
        self.first = MemberLinear(n_members, n_filters, n_features)
        self.second = MemberLinear(n_members, n_features, n_features)
        self.activation = activation
        self.dropout = Dropout(dropout)

    def forward(self, h: torch.Tensor, batch: ElementBatch) -> torch.Tensor:
        """Compute the update of the vector of each node.

        Parameters
        ----------
        h : Tensor of shape (P, M, F)
            Vector of each node, which all of its atoms share.
        batch : ElementBatch
            The nodes and pairs.

        Returns
        -------
        Tensor of shape (P, M, F)
            Second term of the sum, for each node.
        """
        return self.second(self.dropout(self.activation(self.first(self.messages(h, batch)))))

    def messages(self, h: torch.Tensor, batch: ElementBatch) -> torch.Tensor:
        """Compute the mean message to the atoms of each node.

        Parameters
        ----------
        h : Tensor of shape (P, M, F)
            Vector of each node.
        batch : ElementBatch
            The nodes and pairs.

        Returns
        -------
        Tensor of shape (P, M, n_filters)
            Mean message to each node.
        """
        filters = self.filters()
        pair_filters = (batch.radial @ filters.flatten(1)).view(-1, *filters.shape[1:])
        source = gather_sources(self.source_map(h).contiguous(), batch)
        return sum_to_targets(pair_filters * source, batch)
