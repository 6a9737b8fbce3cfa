"""`CGCNN`, the crystal graph convolutional network, which reads a `CrystalBatch`."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Self

import torch
from torch import nn
from torch.nn import functional as F

from sklmat.batches import CrystalBatch
from sklmat.layers import (
    Dropout,
    GatedGraphConv,
    GaussianExpansion,
    computes_bands,
    in_precision_of_vectors,
    look_up,
    mean_pool,
    products_in_single,
    to_single,
)


class CGCNN(nn.Module):
    """Crystal graph convolutional network.

    Parameters
    ----------
    element_vectors : Tensor of shape (Z, V)
        One row of V properties for each of Z atomic numbers. The rows of elements that no batch
        contains may be NaN. The weights have the same dtype.
    n_outputs : int
        Width of the output: number of targets or classes.
    cutoff : float
        Cutoff of the graphs (Å).
    hidden_dim : int
        Width F of the atom vectors.
    n_conv : int
        Number of graph convolutions.
    readout_dim : int
        Width of the layers after pooling.
    n_readout : int
        Number of layers after pooling.
    gaussian_step : float
        Distance between the centres of the Gaussian basis functions, and also their width (Å).
    dropout : float
        Fraction of the last hidden layer that is set to zero at random during training.
    n_extra : int
        Number K of further columns of the batches. The layers after pooling read them, and the
        output has a term that is linear in them.

    Notes
    -----
    All layers are those of Xie and Grossman, :doi:`10.1103/PhysRevLett.120.145301`; only the matrix
    products are arranged differently (see `GatedGraphConv`).
    """

    known_elements: torch.Tensor
    element_vectors: torch.Tensor
    #: Whether the convolutions stay in evaluation mode, so that the statistics of their batch
    #: normalisations are kept while the other layers are trained.
    keeps_statistics = False

    @in_precision_of_vectors
    def __init__(
        self,
        element_vectors: torch.Tensor,
        n_outputs: int,
        *,
        cutoff: float = 8.0,
        hidden_dim: int = 64,
        n_conv: int = 3,
        readout_dim: int = 128,
        n_readout: int = 1,
        gaussian_step: float = 0.2,
        dropout: float = 0.0,
        n_extra: int = 0,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "n_outputs": n_outputs,
            "cutoff": cutoff,
            "hidden_dim": hidden_dim,
            "n_conv": n_conv,
            "readout_dim": readout_dim,
            "n_readout": n_readout,
            "gaussian_step": gaussian_step,
            "dropout": dropout,
        }
        if n_extra:
            self.config["n_extra"] = n_extra
        self.register_buffer("known_elements", ~torch.isnan(element_vectors).any(dim=1))
        # The embedding is computed for all rows, and its gradient would be NaN if one had NaN.
        self.register_buffer("element_vectors", torch.nan_to_num(element_vectors))
        self.embedding = nn.Linear(element_vectors.shape[1], hidden_dim)
        self.expansion = GaussianExpansion(cutoff, gaussian_step)
        n_gaussians = len(self.expansion.centers)
        self.convolutions = nn.ModuleList(
            [GatedGraphConv(hidden_dim, n_gaussians) for _ in range(n_conv)]
        )
        widths = [hidden_dim + n_extra] + [readout_dim] * n_readout
        self.readout = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(widths))
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(widths[-1], n_outputs)
        if n_extra:
            self.extra_output = nn.Linear(n_extra, n_outputs, bias=False)
            nn.init.zeros_(self.extra_output.weight)

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode; with `keeps_statistics`, all layers but the convolutions.

        Parameters
        ----------
        mode : bool, default=True
            Whether to switch it on.

        Returns
        -------
        self
            This network.
        """
        super().train(mode)
        if self.keeps_statistics:
            self.convolutions.eval()
        return self

    def embed(self, batch: CrystalBatch) -> torch.Tensor:
        """Compute the mean of the atom vectors of each crystal after the convolutions.

        Parameters
        ----------
        batch : CrystalBatch
            The crystals.

        Returns
        -------
        Tensor of shape (C, F)
            Mean vector of each crystal.
        """
        h = to_single(look_up(self.embedding(self.element_vectors), batch.atomic_numbers))
        expand = self.expansion.band if computes_bands(h, batch) else self.expansion
        edge_features = expand(batch.distance)
        for convolution in self.convolutions:
            h = convolution(h, edge_features, batch)
        return mean_pool(h, batch)

    def forward(self, batch: CrystalBatch) -> torch.Tensor:
        """Compute the outputs for each crystal.

        Parameters
        ----------
        batch : CrystalBatch
            The crystals.

        Returns
        -------
        Tensor of shape (C, n_outputs)
            Outputs of each crystal, in the scale of the training.
        """
        h = F.softplus(self.embed(batch))
        extra = batch.extra
        with products_in_single(h):
            if extra is not None:
                h = torch.cat([h, extra], dim=1)
            for layer in self.readout:
                h = F.softplus(layer(h))
            output = self.output(self.dropout(h))
            return output if extra is None else output + self.extra_output(extra)
