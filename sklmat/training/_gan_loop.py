"""`train_gan` trains an `InfoGAN` with two alternating optimizers, without skorch."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING

import torch
from sklearn.exceptions import ConvergenceWarning
from torch.nn import functional as F

from sklmat.recorded_warnings import frames_inside
from sklmat.training._captured_gan import CapturedGAN
from sklmat.training._device import check_device, on_device
from sklmat.training._threads import one_thread

if TYPE_CHECKING:
    from sklmat.networks import InfoGAN

#: Decay rates of Adam. They are small because the loss of each network changes with the other.
_BETAS = (0.5, 0.99)


class GANTrainer:
    """Alternates optimizer steps of the discriminator (with information head) and the generator.

    Parameters
    ----------
    gan : InfoGAN
        Networks of M members.
    lr : float
        Initial learning rate of Adam; it falls to zero along half a cosine.
    n_steps : int
        Number of steps of the whole training.
    info_weight : float
        Weight of the information loss in the losses of discriminator and generator; the weight of
        the realness is one.
    reconstruction_weight : float
        Weight of the squared distance between a real row and the row generated for its code.
    moment_weight : float
        Weight of the squared distance between the first two moments of real and generated batches.
    penalty_weight : float
        Weight of the gradient penalty: the squared gradient of the discriminator at real rows.
    seed : int
        Seed of the noise and of the batches.
    """

    def __init__(
        self,
        gan,
        *,
        lr,
        n_steps,
        info_weight,
        reconstruction_weight,
        penalty_weight,
        moment_weight=0.0,
        seed=0,
    ):
        self.gan = gan
        self.weights = {
            "generator": 1.0,
            "information": info_weight,
            "reconstruction": reconstruction_weight,
        }
        if moment_weight:
            self.weights["moments"] = moment_weight
        self.loss_names = ("discriminator", *self.weights)
        self.penalty_weight = penalty_weight
        self.random = torch.Generator().manual_seed(seed)
        heads = (gan.trunk, gan.discriminator, gan.information)
        discriminator = [weight for head in heads for weight in head.parameters()]
        settings = {"lr": lr, "betas": _BETAS, "fused": True}
        self.generator_optimizer = torch.optim.Adam(gan.generator.parameters(), **settings)
        self.discriminator_optimizer = torch.optim.Adam(discriminator, **settings)
        self.optimizers = (self.generator_optimizer, self.discriminator_optimizer)
        self.schedules = [
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
            for optimizer in self.optimizers
        ]

    def draws(self, n_rows, n_batches):
        """Draw the random numbers of an epoch, batch by batch.

        Yields
        ------
        rows : Tensor of shape (B,), int64
            Rows of a batch.
        further : Tensor of shape (B,), int64
            Rows whose codes are those of further generated rows.
        noise : Tensor of shape (2 B, M, latent_dim)
        """
        order = torch.randperm(n_rows, generator=self.random)
        for rows in order.tensor_split(n_batches):
            further = torch.randint(n_rows, (len(rows),), generator=self.random)
            yield rows, further, self.gan.noise(2 * len(rows), self.random)

    def step(self, features, code, present, further, noise):
        """Take one step of the discriminator and one of the generator on one batch.

        Parameters
        ----------
        features : Tensor of shape (B, F)
            Scaled features of real rows.
        code : Tensor of shape (B, K)
            Codes of these rows.
        present : Tensor of shape (B, F)
            See `InfoGAN.generate`.
        further : pair of Tensor
            `code` and `present` of B other rows. The discriminator compares the real rows with the
            rows generated for these codes.
        noise : Tensor of shape (2 B, M, latent_dim)
            Noise of the rows and of the other rows.

        Returns
        -------
        dict of str to Tensor of shape ()
            The terms of the losses, means over the members.
        """
        losses = self.update(features, code, present, further, noise)
        self.advance_schedules()
        return losses

    def advance_schedules(self):
        """Set the learning rate of the next step."""
        for schedule in self.schedules:
            schedule.step()

    def update(self, features, code, present, further, noise):
        """Take the steps of `step`, all on the device; the learning rate stays the same."""
        gan, n = self.gan, len(features)
        codes = torch.cat([code, further[0]])
        fake = gan.generate(noise, codes, torch.cat([present, further[1]]))
        real = features[:, None].expand(-1, fake.shape[1], -1)
        discriminator_loss = self._step_discriminator(real, fake.detach(), codes)
        realness, estimate = gan.discriminate(fake)
        losses = {
            "generator": F.softplus(-realness[n:]).mean(0).sum(),
            "information": gan.information_loss(estimate, codes).mean(0).sum(),
            "reconstruction": (fake[:n] - real).square().sum() / present.sum().clamp(min=1),
        }
        if "moments" in self.weights:
            losses["moments"] = moment_distance(real, fake[:n])
        generator_loss = sum(self.weights[name] * loss for name, loss in losses.items())
        _minimize(self.generator_optimizer, generator_loss)
        losses = {"discriminator": discriminator_loss, **losses}
        return {name: loss.detach() / fake.shape[1] for name, loss in losses.items()}

    def _step_discriminator(self, real, fake, codes):
        """Update discriminator, information head and trunk; return the discriminator loss."""
        gan, n = self.gan, len(real)
        realness, estimate, gradient = gan.discriminate_with_gradient(torch.cat([real, fake]), n)
        # The first n generated rows have the codes of the real ones.
        discriminator_loss = F.softplus(-realness[:n]) + F.softplus(realness[2 * n :])
        discriminator_loss = discriminator_loss.mean(0).sum()
        information = gan.information_loss(estimate, torch.cat([codes[:n], codes]))
        loss = discriminator_loss + self.weights["information"] * information.mean(0).sum()
        if self.penalty_weight > 0:
            loss = loss + self.penalty_weight / 2 * gradient.square().sum(2).mean(0).sum()
        _minimize(self.discriminator_optimizer, loss)
        return discriminator_loss


def moment_distance(real, fake):
    """Squared distance between the first and second moments of two batches.

    Parameters
    ----------
    real, fake : Tensor of shape (B, M, F)

    Returns
    -------
    Tensor of shape ()
        Mean over the moments of each order, summed over orders and members.
    """
    real, fake = real.transpose(0, 1), fake.transpose(0, 1)
    first = (real.mean(1) - fake.mean(1)).square().mean(1)
    second = (real.mT @ real - fake.mT @ fake).div(real.shape[1]).square().mean((1, 2))
    return (first + second).sum()


def train_gan(
    gan: InfoGAN,
    features: torch.Tensor,
    code: torch.Tensor,
    present: torch.Tensor,
    *,
    max_epochs: int,
    batch_size: int,
    seed: int,
    device: str | torch.device = "cpu",
    verbose: bool = False,
    **weights: float,
) -> list[dict[str, float]]:
    """Train an `InfoGAN` on a table.

    Parameters
    ----------
    gan : InfoGAN
        Changed in place.
    features : Tensor of shape (n, F)
    code : Tensor of shape (n, K)
    present : Tensor of shape (n, F)
    max_epochs, batch_size, seed : int
    device : str or torch.device, default="cpu"
        Device of the training; see `check_device`. The networks are on the CPU afterwards.
    verbose : bool
        Show a progress bar.
    **weights
        See `GANTrainer`.

    Returns
    -------
    list of dict
        Number, terms of the losses and duration (s) of each epoch.

    Raises
    ------
    FloatingPointError
        When a loss is no longer finite.

    Warns
    -----
    ConvergenceWarning
        When a KeyboardInterrupt ended the training early. In the first epoch, the KeyboardInterrupt
        is raised again instead.
    """
    from tqdm.auto import tqdm

    table, n_batches = (features, code, present), -(-len(features) // batch_size)
    device = check_device(device)
    history = []
    bar = tqdm(total=max_epochs, desc="InfoGAN", unit="epoch", disable=not verbose)
    try:
        with bar, one_thread(), on_device(device):
            gan.to(device)
            trainer = GANTrainer(gan, n_steps=max_epochs * n_batches, seed=seed, **weights)
            # A GPU needs longer to start the operations of a step than to run them.
            captured = None if _is_cpu(device) else CapturedGAN(trainer, table)
            for epoch in range(1, max_epochs + 1):
                start = time.perf_counter()
                losses = _epoch(trainer, table, n_batches, captured)
                history.append({"epoch": epoch, **losses, "dur": time.perf_counter() - start})
                _check_finite(history[-1], weights["lr"])
                bar.update()
    except KeyboardInterrupt:
        if not history:
            raise
        warnings.warn(
            f"training was interrupted after {len(history)} of {max_epochs} epochs; the GAN can be "
            "used as it is",
            ConvergenceWarning,
            stacklevel=frames_inside(),
        )
    finally:
        gan.to("cpu")
    return history


def _epoch(trainer, table, n_batches, captured):
    """Train on all rows once; return the means of the losses over the batches."""
    features, code, present = table
    draws = trainer.draws(len(features), n_batches)
    if captured is not None:
        return captured.epoch(draws)
    total = 0
    for rows, further, noise in draws:
        others = code[further], present[further]
        losses = trainer.step(features[rows], code[rows], present[rows], others, noise)
        total = total + torch.stack(list(losses.values()))
    return dict(zip(losses, (total / n_batches).tolist()))


def _is_cpu(device):
    return torch.device(device).type == "cpu"


def _minimize(optimizer, loss):
    """Take one step of an optimizer, with gradients for its own weights only."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    optimizer.zero_grad(set_to_none=True)
    loss.backward(inputs=weights)
    optimizer.step()


def _check_finite(row, lr):
    not_finite = [name for name, value in row.items() if not abs(value) < float("inf")]
    if not_finite:
        raise FloatingPointError(
            f"the losses {not_finite} of the InfoGAN are no longer finite in epoch {row['epoch']}; "
            f"use a smaller lr (now {lr}) or look for extreme values in X"
        )
