"""`CapturedGAN`: training steps of an InfoGAN on a GPU, as CUDA graphs."""

from __future__ import annotations

from functools import partial

import torch

from sklmat.training._graph_capture import GraphCapture


class CapturedGAN:
    """Epochs of a `GANTrainer` without waiting for the device within an epoch.

    The table is on the device. The random numbers of an epoch are those of the training on a CPU,
    and are sent together.

    Parameters
    ----------
    trainer : GANTrainer
        Its networks are on the device.
    table : tuple of Tensor
        Features, codes and presences of all rows; see `train_gan`.
    """

    def __init__(self, trainer, table):
        weight = trainer.gan.discriminator.weight.detach()
        self.trainer = trainer
        self.table = tuple(array.to(weight.device, weight.dtype) for array in table)
        self.capture = GraphCapture(trainer.optimizers, weight.device)
        # For each batch size: rows, further rows and noise of the current batch.
        self.inputs = {}
        self.total = weight.new_zeros(len(trainer.loss_names))

    def epoch(self, draws):
        """Train on all rows once; see `GANTrainer.draws`.

        Returns
        -------
        dict of str to float
            Means of the losses over the batches.
        """
        draws = list(draws)
        sizes = [len(rows) for rows, _, _ in draws]
        rows, further, noise = (torch.cat(parts).to(self.total.device) for parts in zip(*draws))
        batches = zip(rows.split(sizes), further.split(sizes), noise.split([2 * n for n in sizes]))
        self.total.zero_()
        for size, batch in zip(sizes, batches):
            if size not in self.inputs:
                self.inputs[size] = [torch.empty_like(part) for part in batch]
            for place, part in zip(self.inputs[size], batch):
                place.copy_(part)
            self.capture.run(size, partial(self._step, size))
            self.trainer.advance_schedules()
        return dict(zip(self.trainer.loss_names, (self.total / len(sizes)).tolist()))

    def _step(self, size):
        """Train on the batch in `inputs`, and add its losses to `total`."""
        rows, further, noise = self.inputs[size]
        features, code, present = self.table
        losses = self.trainer.update(
            features[rows], code[rows], present[rows], (code[further], present[further]), noise
        )
        self.total += torch.stack(list(losses.values()))
