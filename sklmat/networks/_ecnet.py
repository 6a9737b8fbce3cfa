"""`ECNet`, the element-convolution network; its input is an `ElementBatch`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from sklmat.batches import ElementBatch
from sklmat.graphs import grid_points
from sklmat.layers import (
    Dropout,
    ElementConv,
    GaussianFilter,
    GridFilter,
    MemberLinear,
    MemberNorm,
    in_precision_of_vectors,
    products_in_single,
    shifted_softplus,
    sum_atoms,
    to_single,
)

_ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "silu": F.silu,
    "shifted_softplus": shifted_softplus,
}


class ECNet(nn.Module):
    """Element-convolution networks of all members of an ensemble.

    Parameters
    ----------
    element_vectors : Tensor of shape (Z, V)
        One row of V properties for each of Z atomic numbers. The rows of elements that no batch
        contains may be NaN. The weights have the same dtype.
    n_outputs : int
        Number of targets T; each has its own stack of hidden layers (tower).
    n_members : int
        Number of networks M; they have separate weights and read the same batches.
    cutoff : float
        Cutoff of the graphs (Å).
    radial_step : float
        Distance between the points of the radial grid (Å).
    radial_order : {1, 3}
        Order of the interpolation between grid points.
    radial_spread : bool
        Whether the batches also hold standard deviations, which have separate filters.
    radial_filter : {"grid", "gaussian"}
        Filter with a learned value at each grid point, or a small network on 50 Gaussians.
    hidden_dim : int
        Width F of the element vectors.
    n_filters : int
        Number of filters.
    n_conv : int
        Number of element convolutions.
    tower_dims : tuple of int
        Widths of the hidden layers of the towers.
    activation : {"silu", "shifted_softplus"}
    normalize : bool
        Apply layer normalisation to the embedded vectors that the convolutions read, and to the
        elemental vectors before the readout.
    pool : {"mean", "sum"}
        Mean over the elements, weighted by their fractions, or plain sum.
    dropout : float
        Fraction of the hidden units that is set to zero at random during training.
    n_extra : int
        Number K of further columns of the batches. The towers read them beside each elemental
        vector, and the output has a term that is linear in them.
    """

    known_elements: torch.Tensor
    element_vectors: torch.Tensor

    @in_precision_of_vectors
    def __init__(
        self,
        element_vectors: torch.Tensor,
        n_outputs: int,
        *,
        n_members: int = 1,
        cutoff: float = 6.0,
        radial_step: float = 0.25,
        radial_order: int = 1,
        radial_spread: bool = False,
        radial_filter: str = "grid",
        hidden_dim: int = 64,
        n_filters: int = 64,
        n_conv: int = 1,
        tower_dims: Sequence[int] = (64,),
        activation: str = "silu",
        normalize: bool = True,
        pool: str = "mean",
        dropout: float = 0.0,
        n_extra: int = 0,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "n_outputs": n_outputs,
            "n_members": n_members,
            "cutoff": cutoff,
            "radial_step": radial_step,
            "radial_order": radial_order,
            "radial_spread": radial_spread,
            "radial_filter": radial_filter,
            "hidden_dim": hidden_dim,
            "n_filters": n_filters,
            "n_conv": n_conv,
            "tower_dims": list(tower_dims),
            "activation": activation,
            "normalize": normalize,
            "pool": pool,
            "dropout": dropout,
        }
        if n_extra:
            self.config["n_extra"] = n_extra
        self.register_buffer("known_elements", ~torch.isnan(element_vectors).any(dim=1))
        # The rows of elements without a vector are stored as zeros.
        self.register_buffer("element_vectors", torch.nan_to_num(element_vectors))
        grid = torch.from_numpy(grid_points(cutoff, radial_step, radial_order))
        if radial_spread:
            grid = torch.cat([grid, grid])
        make_filter = {"grid": GridFilter, "gaussian": GaussianFilter}[radial_filter]
        activation_function = _ACTIVATIONS[activation]
        n_vector = element_vectors.shape[1]
        length = self.element_vectors[self.known_elements].norm(dim=1).square().mean().sqrt()
        # With this gain the embeddings have unit variance for element vectors of any length.
        gain = n_vector**0.5 / max(float(length), 1e-6)
        self.embedding = MemberLinear(n_members, n_vector, hidden_dim, gain=gain)
        self.convolutions = nn.ModuleList(
            ElementConv(
                n_members,
                hidden_dim,
                make_filter(n_members, grid, n_filters, cutoff),
                n_filters,
                activation_function,
                dropout,
            )
            for _ in range(n_conv)
        )
        self.norms = nn.ModuleList(
            MemberNorm(n_members, hidden_dim) if normalize else nn.Identity() for _ in range(2)
        )
        self.activation = activation_function
        self.dropout = Dropout(dropout)
        widths = [hidden_dim + n_extra, *tower_dims]
        n_towers = n_members * n_outputs
        self.towers = nn.ModuleList(
            MemberLinear(n_towers, n_in, n_out) for n_in, n_out in pairwise(widths)
        )
        self.output = MemberLinear(n_towers, widths[-1], 1)
        if n_extra:
            self.extra_output = MemberLinear(n_towers, n_extra, 1, bias=False, gain=0.0)

    def elements(self, batch: ElementBatch) -> torch.Tensor:
        """Compute the elemental vectors.

        Parameters
        ----------
        batch : ElementBatch of P nodes
            The crystals.

        Returns
        -------
        Tensor of shape (P, M, F)
            Vector of each element of each crystal.
        """
        vectors = self.element_vectors[:, None].expand(-1, self.config["n_members"], -1)
        h = to_single(self.embedding(vectors.index_select(0, batch.atomic_numbers)))
        normalized = self.norms[0](h)
        for convolution in self.convolutions:
            h = h + convolution(normalized, batch)
        return self.norms[1](h)

    def contributions(self, batch: ElementBatch) -> torch.Tensor:
        """Compute the contribution of each element to the outputs of its crystal.

        Parameters
        ----------
        batch : ElementBatch of P nodes
            The crystals.

        Returns
        -------
        Tensor of shape (P, M, T)
            They sum to the outputs of each crystal.
        """
        n_members, n_outputs = self.config["n_members"], self.config["n_outputs"]
        x = self.elements(batch).repeat_interleave(n_outputs, dim=1)
        extra = self._extra_of_elements(batch)
        if extra is not None:
            x = torch.cat([x, extra], dim=2)
        for layer in self.towers:
            x = self.dropout(self.activation(layer(x)))
        with products_in_single(x):
            x = self.output(to_single(x)).reshape(-1, n_members, n_outputs)
            if extra is not None:
                linear = self.extra_output(extra).reshape(-1, n_members, n_outputs)
        fraction = batch.fraction[:, None, None]
        x = x * fraction if self.config["pool"] == "mean" else x
        # It is a property of the crystal, however the elements are pooled.
        return x if extra is None else x + linear * fraction

    def _extra_of_elements(self, batch):
        """Columns of the crystal of each element for each tower, Tensor of shape (P, M T, K)."""
        if batch.extra is None:
            return None
        n_towers = self.config["n_members"] * self.config["n_outputs"]
        return batch.extra.index_select(0, batch.crystal)[:, None].expand(-1, n_towers, -1)

    def embed(self, batch: ElementBatch) -> torch.Tensor:
        """Compute the mean elemental vector of each crystal, weighted by the fractions.

        Parameters
        ----------
        batch : ElementBatch of C crystals
            The crystals.

        Returns
        -------
        Tensor of shape (C, M, F)
            Mean vector of each crystal.
        """
        return sum_atoms(self.elements(batch) * batch.fraction[:, None, None], batch)

    def forward(self, batch: ElementBatch) -> torch.Tensor:
        """Compute the outputs for each crystal.

        Parameters
        ----------
        batch : ElementBatch of C crystals
            The crystals.

        Returns
        -------
        Tensor of shape (C, M, T)
            Outputs of each crystal, in the scale of the training.
        """
        return sum_atoms(self.contributions(batch), batch)
