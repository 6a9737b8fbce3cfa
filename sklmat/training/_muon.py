"""`Muon`: an optimizer whose steps change all directions of a weight matrix equally fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_MOMENTUM = 0.95
#: Coefficients of the iteration; they were chosen to raise small singular values fast.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_N_ITERATIONS = 5


def orthogonalize(matrices: torch.Tensor) -> torch.Tensor:
    """Move the singular values of matrices close to one (0.7 to 1.2), by Newton-Schulz iterations.

    Parameters
    ----------
    matrices : Tensor of shape (B, M, N)

    Returns
    -------
    Tensor of shape (B, M, N)
        With the same singular vectors. Zeros stay zeros.
    """
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if is_tall else matrices
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(1e-30)
    a, b, c = _COEFFICIENTS
    for _ in range(_N_ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if is_tall else x


class Muon(torch.optim.AdamW):
    """Muon for the weight matrices of a network, AdamW for all other weights.

    The step of a matrix is the average of its recent gradients, orthogonalised, and scaled so that
    its elements are as large as in a typical step of AdamW. One learning rate therefore suits both.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step.

        Parameters
        ----------
        closure : callable, default=None
            Computes the gradients and returns the loss.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        gradients: list[tuple[torch.Tensor, torch.Tensor]] = []
        for group in self.param_groups:
            matrices = [p for p in group["params"] if p.ndim == 2 and p.grad is not None]
            self._step_matrices(group, matrices)
            gradients += [(p, p.grad) for p in matrices]
        # AdamW leaves out the weights without a gradient.
        for weight, _ in gradients:
            weight.grad = None
        super().step()
        for weight, gradient in gradients:
            weight.grad = gradient
        return loss

    def _step_matrices(self, group, matrices):
        by_shape: dict[torch.Size, list[tuple[torch.Tensor, torch.Tensor]]] = {}
        for weight in matrices:
            state = self.state[weight]
            if not state:
                # AdamW expects a number of steps in every state.
                state.update(step=torch.zeros(()), momentum=torch.zeros_like(weight))
            state["momentum"].lerp_(weight.grad, 1 - _MOMENTUM)
            ahead = weight.grad.lerp(state["momentum"], _MOMENTUM)
            by_shape.setdefault(weight.shape, []).append((weight, ahead))
        for shape, pairs in by_shape.items():
            steps = orthogonalize(torch.stack([ahead for _, ahead in pairs]))
            # The elements of AdamW's steps are about 0.2 times the learning rate.
            steps = steps * (group["lr"] * 0.2 * max(shape) ** 0.5)
            for (weight, _), step in zip(pairs, steps):
                weight.mul_(1 - group["lr"] * group["weight_decay"]).sub_(step)
