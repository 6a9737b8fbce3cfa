"""`InfoGAN`: generator, discriminator and information head for tables, of an ensemble at once.

Tensors carry the members M of an ensemble in their middle, ``(B, M, F)``, as in `ECNet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from sklmat.layers import MemberLinear

#: Slope of a leaky ReLU for negative values.
_NEGATIVE_SLOPE = 0.2


class _Stack(nn.Module):
    """Hidden layers, each a linear map and a leaky ReLU, then a linear map if `n_out` is given."""

    def __init__(self, n_members, widths, n_out=None):
        super().__init__()
        # The gain keeps the variance through the leaky ReLU.
        self.hidden = nn.ModuleList(
            MemberLinear(n_members, n_in, n_hidden, gain=1.4) for n_in, n_hidden in pairwise(widths)
        )
        self.output = None if n_out is None else MemberLinear(n_members, widths[-1], n_out)

    def forward(self, x):
        x = self.activations(x)[-1]
        return x if self.output is None else self.output(x)

    def activations(self, x):
        """Outputs of all hidden layers, the last one last."""
        outputs = []
        for layer in self.hidden:
            x = F.leaky_relu(layer(x), _NEGATIVE_SLOPE)
            outputs.append(x)
        return outputs


class InfoGAN(nn.Module):
    """Generator, discriminator and information head of M networks side by side.

    Parameters
    ----------
    n_features : int
        Columns F that are generated.
    n_codes : int
        Continuous codes.
    categories : tuple of int
        Number of classes of each categorical code.
    n_members : int
        Networks M of the ensemble, which have only the batch in common.
    latent_dim : int
        Length of the noise vectors z.
    hidden_dim : int
        Width of the hidden layers.
    n_layers : int
        Hidden layers of the generator, and of the trunk from which both the discriminator and the
        information head read.

    Notes
    -----
    As in :arxiv:`1606.03657` the discriminator does not see the code: only through the information
    head do generated features depend on it. Codes are given as one vector: the continuous ones,
    then the categorical ones one-hot.
    """

    def __init__(
        self,
        n_features: int,
        n_codes: int,
        categories: Sequence[int] = (),
        *,
        n_members: int = 1,
        latent_dim: int = 8,
        hidden_dim: int = 64,
        n_layers: int = 2,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "n_features": n_features,
            "n_codes": n_codes,
            "categories": list(categories),
            "n_members": n_members,
            "latent_dim": latent_dim,
            "hidden_dim": hidden_dim,
            "n_layers": n_layers,
        }
        width = n_codes + sum(categories)
        hidden = [hidden_dim] * n_layers
        self.generator = _Stack(n_members, [latent_dim + width, *hidden], n_features)
        self.trunk = _Stack(n_members, [n_features, *hidden])
        self.discriminator = MemberLinear(n_members, hidden_dim, 1)
        self.information = MemberLinear(n_members, hidden_dim, width)

    def noise(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Draw noise vectors.

        Returns
        -------
        Tensor of shape (n, M, latent_dim)
        """
        shape = (n, self.config["n_members"], self.config["latent_dim"])
        return torch.randn(shape, generator=generator)

    def generate(
        self, noise: torch.Tensor, code: torch.Tensor, present: torch.Tensor
    ) -> torch.Tensor:
        """Generate features for codes.

        Parameters
        ----------
        noise : Tensor of shape (B, M, latent_dim)
        code : Tensor of shape (B, n_codes + sum(categories))
        present : Tensor of shape (B, F)
            Zero where a feature belongs to an element that the code has none of, else one.

        Returns
        -------
        Tensor of shape (B, M, F)
        """
        code = code[:, None].expand(-1, noise.shape[1], -1)
        return self.generator(torch.cat([noise, code], dim=2)) * present[:, None]

    def discriminate(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute whether features look real, and estimate their code.

        Parameters
        ----------
        features : Tensor of shape (B, M, F)

        Returns
        -------
        realness : Tensor of shape (B, M)
            Logits.
        code : Tensor of shape (B, M, n_codes + sum(categories))
            Means of the continuous codes, then logits of the categorical ones.
        """
        hidden = self.trunk(features)
        return self.discriminator(hidden)[..., 0], self.information(hidden)

    def discriminate_with_gradient(
        self, features: torch.Tensor, n: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Discriminate, with the gradient of realness with respect to the features of n rows.

        Parameters
        ----------
        features : Tensor of shape (B, M, F)
        n : int

        Returns
        -------
        realness, code : Tensor
            As from `discriminate`.
        gradient : Tensor of shape (n, M, F)
            Derivatives of ``realness[:n]`` with respect to ``features[:n]``. Autograd can
            differentiate them with respect to the weights.

        Notes
        -----
        A network of leaky ReLUs is piecewise linear, so the chain rule is written out here. With
        ``torch.autograd.grad(..., create_graph=True)``, which differentiates all B rows, the whole
        training step takes a third longer.
        """
        outputs = self.trunk.activations(features)
        gradient = self.discriminator.weight[..., 0]
        for layer, output in zip(reversed(self.trunk.hidden), reversed(outputs)):
            positive = output[:n].detach() > 0
            gradient = gradient * (positive * (1 - _NEGATIVE_SLOPE) + _NEGATIVE_SLOPE)
            gradient = torch.bmm(gradient.transpose(0, 1), layer.weight.mT).transpose(0, 1)
        hidden = outputs[-1]
        return self.discriminator(hidden)[..., 0], self.information(hidden), gradient

    def information_loss(self, estimate: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        """Negative log-likelihood of codes under the information head, up to constants.

        Its negative bounds the mutual information of code and features from below.

        Parameters
        ----------
        estimate : Tensor of shape (B, M, n_codes + sum(categories))
        code : Tensor of shape (B, n_codes + sum(categories))

        Returns
        -------
        Tensor of shape (B, M)
            Gaussian of unit variance for the continuous codes (their mean), cross-entropy for the
            categorical ones (their mean).
        """
        n_codes = self.config["n_codes"]
        code = code[:, None].expand_as(estimate)
        losses: list[Any] = []
        if n_codes:
            losses.append((estimate - code)[..., :n_codes].square().mean(dim=2))
        start = n_codes
        for size in self.config["categories"]:
            category = slice(start, start + size)
            likelihood = F.log_softmax(estimate[..., category], dim=2) * code[..., category]
            losses.append(-likelihood.sum(dim=2) / len(self.config["categories"]))
            start += size
        return sum(losses)
