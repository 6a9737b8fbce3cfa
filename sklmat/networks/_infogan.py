"""`InfoGAN`: generator, discriminator and information head of an ensemble, for tables.

Tensors have the shape ``(B, M, F)`` for B rows, M members of the ensemble and F features.
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
    """Hidden linear layers with leaky ReLU, followed by a linear layer if `n_out` is given."""

    def __init__(self, n_members, widths, n_out=None):
        super().__init__()
        # With this gain the variance stays the same through the leaky ReLU.
        self.hidden = nn.ModuleList(
            MemberLinear(n_members, n_in, n_hidden, gain=1.4) for n_in, n_hidden in pairwise(widths)
        )
        self.output = None if n_out is None else MemberLinear(n_members, widths[-1], n_out)

    def forward(self, x):
        x = self.activations(x)[-1]
        return x if self.output is None else self.output(x)

    def activations(self, x):
        """Outputs of all hidden layers, in their order."""
        outputs = []
        for layer in self.hidden:
            x = F.leaky_relu(layer(x), _NEGATIVE_SLOPE)
            outputs.append(x)
        return outputs


class InfoGAN(nn.Module):
    """Generator, discriminator and information head of the M networks of an ensemble.

    Parameters
    ----------
    n_features : int
        Number of generated columns F.
    n_codes : int
        Number of continuous latent codes.
    categories : tuple of int
        Number of classes of each categorical latent code.
    n_members : int
        Number of networks M; they have separate weights and read the same batches.
    latent_dim : int
        Length of the noise vectors.
    hidden_dim : int
        Width of the hidden layers.
    n_layers : int
        Number of hidden layers of the generator, and of the trunk, whose output is the input of
        both the discriminator and the information head.

    Notes
    -----
    As in :arxiv:`1606.03657`, the code is not an input of the discriminator. Only the loss of the
    information head makes the generated features depend on the code. The code of a row is one
    vector: the continuous codes, then the categorical codes, one-hot encoded.
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
        return torch.randn(shape, generator=generator, dtype=self.discriminator.weight.dtype)

    def generate(
        self, noise: torch.Tensor, code: torch.Tensor, present: torch.Tensor
    ) -> torch.Tensor:
        """Generate features for codes.

        Parameters
        ----------
        noise : Tensor of shape (B, M, latent_dim)
        code : Tensor of shape (B, n_codes + sum(categories))
        present : Tensor of shape (B, F)
            Zero if a feature belongs to an element whose fraction in the code is zero, else one.

        Returns
        -------
        Tensor of shape (B, M, F)
        """
        code = code[:, None].expand(-1, noise.shape[1], -1)
        return self.generator(torch.cat([noise, code], dim=2)) * present[:, None]

    def discriminate(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the discriminator and the information head on features.

        Parameters
        ----------
        features : Tensor of shape (B, M, F)

        Returns
        -------
        realness : Tensor of shape (B, M)
            Output of the discriminator: logits of the probability that a row is real.
        code : Tensor of shape (B, M, n_codes + sum(categories))
            Output of the information head: means of the continuous codes, then logits of the
            categorical codes.
        """
        hidden = self.trunk(features)
        return self.discriminator(hidden)[..., 0], self.information(hidden)

    def discriminate_with_gradient(
        self, features: torch.Tensor, n: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Run `discriminate`, and compute its gradient with respect to the first n rows.

        Parameters
        ----------
        features : Tensor of shape (B, M, F)
        n : int

        Returns
        -------
        realness, code : Tensor
            Results of `discriminate`.
        gradient : Tensor of shape (n, M, F)
            Derivatives of ``realness[:n]`` with respect to ``features[:n]``. Autograd can
            differentiate them with respect to the weights.

        Notes
        -----
        A network with leaky ReLUs is piecewise linear, so the chain rule is simple and is written
        out here. ``torch.autograd.grad(..., create_graph=True)`` differentiates all B rows and
        makes the whole training step a third longer.
        """
        outputs = self.trunk.activations(features)
        gradient = self.discriminator.weight[..., 0]
        for layer, output in zip(reversed(self.trunk.hidden), reversed(outputs)):
            positive = (output[:n].detach() > 0).to(output.dtype)
            gradient = gradient * (positive * (1 - _NEGATIVE_SLOPE) + _NEGATIVE_SLOPE)
            gradient = torch.bmm(gradient.transpose(0, 1), layer.weight.mT).transpose(0, 1)
        hidden = outputs[-1]
        return self.discriminator(hidden)[..., 0], self.information(hidden), gradient

    def information_loss(self, estimate: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        """Negative log-likelihood of codes under the information head, up to constants.

        Its negative is a lower bound of the mutual information of code and features.

        Parameters
        ----------
        estimate : Tensor of shape (B, M, n_codes + sum(categories))
        code : Tensor of shape (B, n_codes + sum(categories))

        Returns
        -------
        Tensor of shape (B, M)
            Mean squared error of the continuous codes (a Gaussian of unit variance) plus mean
            cross-entropy of the categorical codes.
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
