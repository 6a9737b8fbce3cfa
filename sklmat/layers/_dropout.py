"""`Dropout`: dropout with the random numbers of the training that runs in this thread."""

import torch
from torch import nn

from sklmat.random_state import training_generator


class Dropout(nn.Dropout):
    """Dropout with the random numbers of `training_generator`; the same numbers as `nn.Dropout`."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Set some values to zero in training, and enlarge the others.

        Parameters
        ----------
        input : Tensor of any shape

        Returns
        -------
        Tensor of the same shape
        """
        generator = training_generator()
        if generator is None or input.is_cuda or not self.training or self.p == 0:
            return super().forward(input)
        kept = 1 - self.p
        return input * torch.empty_like(input).bernoulli_(kept, generator=generator).div_(kept)
