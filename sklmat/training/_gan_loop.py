"""Training of an `InfoGAN`: two losses that pull against each other, so no skorch net."""

import time
import warnings

import torch
from sklearn.exceptions import ConvergenceWarning
from torch.nn import functional as F

from sklmat.training._threads import one_thread

#: Adam's decay rates; a short memory suits networks that play against each other.
_BETAS = (0.5, 0.99)


class GANTrainer:
    """Alternate steps of the critic (discriminator and information head) and the generator.

    Parameters
    ----------
    gan : InfoGAN
        Of M members.
    lr : float
        Learning rate of Adam; falls to zero along half a cosine.
    n_steps : int
        Length of the whole training.
    info_weight : float
        Of the mutual information in both losses, where the discriminator's verdict counts once.
    reconstruction_weight : float
        Of the squared distance between a real row and what is generated for its code.
    moment_weight : float
        Of the squared distance between the first two moments of real and generated batches.
    penalty_weight : float
        Of the squared slope of the discriminator at real rows.
    seed : int
        Of the noise and of the batches.
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
            "moments": moment_weight,
        }
        self.penalty_weight = penalty_weight
        self.random = torch.Generator().manual_seed(seed)
        heads = (gan.trunk, gan.discriminator, gan.information)
        critic = [weight for head in heads for weight in head.parameters()]
        how = {"lr": lr, "betas": _BETAS, "fused": True}
        self.generator_steps = torch.optim.Adam(gan.generator.parameters(), **how)
        self.critic_steps = torch.optim.Adam(critic, **how)
        self.schedules = [
            torch.optim.lr_scheduler.CosineAnnealingLR(steps, n_steps)
            for steps in (self.generator_steps, self.critic_steps)
        ]

    def step(self, features, code, present, other):
        """One step of each side on one batch.

        Parameters
        ----------
        features : Tensor of shape (B, F)
            Of real rows, scaled.
        code : Tensor of shape (B, K)
            Theirs.
        present : Tensor of shape (B, F)
            Theirs; see `InfoGAN.generate`.
        other : pair of Tensor
            Codes and presences of B other rows, of which the discriminator sees what is generated.

        Returns
        -------
        dict of str to Tensor of shape ()
            The parts of the losses, means over the members.
        """
        gan, n = self.gan, len(features)
        codes = torch.cat([code, other[0]])
        noise = gan.noise(2 * n, self.random)
        fake = gan.generate(noise, codes, torch.cat([present, other[1]]))
        real = features[:, None].expand(-1, fake.shape[1], -1)
        told_apart = self._teach_critic(real, fake.detach(), codes)
        realness, estimate = gan.judge(fake)
        parts = {
            "generator": F.softplus(-realness[n:]).mean(0).sum(),
            "information": gan.information_loss(estimate, codes).mean(0).sum(),
            "reconstruction": (fake[:n] - real).square().sum() / present.sum().clamp(min=1),
        }
        if self.weights["moments"]:
            parts["moments"] = moment_distance(real, fake[:n])
        _descend(self.generator_steps, sum(self.weights[k] * v for k, v in parts.items()))
        for schedule in self.schedules:
            schedule.step()
        parts = {"discriminator": told_apart, **parts}
        return {name: part.detach() / fake.shape[1] for name, part in parts.items()}

    def _teach_critic(self, real, fake, codes):
        gan, n = self.gan, len(real)
        realness, estimate, slope = gan.judge_with_slope(torch.cat([real, fake]), n)
        # The first n generated rows belong to the codes of the real ones.
        told_apart = (F.softplus(-realness[:n]) + F.softplus(realness[2 * n :])).mean(0).sum()
        information = gan.information_loss(estimate, torch.cat([codes[:n], codes]))
        loss = told_apart + self.weights["information"] * information.mean(0).sum()
        if self.penalty_weight > 0:
            loss = loss + self.penalty_weight / 2 * slope.square().sum(2).mean(0).sum()
        _descend(self.critic_steps, loss)
        return told_apart


def moment_distance(real, fake):
    """Squared distance of the first and second moments of two batches.

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
    gan, features, code, present, *, max_epochs, batch_size, seed, verbose=False, **weights
):
    """Train an `InfoGAN` on a table.

    Parameters
    ----------
    gan : InfoGAN
        Changed in place.
    features : Tensor of shape (n, F)
    code : Tensor of shape (n, K)
    present : Tensor of shape (n, F)
    max_epochs, batch_size, seed : int
    verbose : bool
        Show a progress bar.
    **weights
        See `GANTrainer`.

    Returns
    -------
    list of dict
        For each epoch its number, the parts of the losses and the seconds it took.

    Raises
    ------
    FloatingPointError
        When a loss is no longer finite.

    Warns
    -----
    ConvergenceWarning
        When a KeyboardInterrupt ended the training before its time. Interrupted in the first epoch,
        it is raised again.
    """
    from tqdm import tqdm

    n = len(features)
    n_batches = -(-n // batch_size)
    trainer = GANTrainer(gan, n_steps=max_epochs * n_batches, seed=seed, **weights)
    history = []
    bar = tqdm(total=max_epochs, desc="InfoGAN", unit="epoch", disable=not verbose)
    try:
        with bar, one_thread():
            for epoch in range(1, max_epochs + 1):
                start = time.perf_counter()
                losses = _epoch(trainer, features, code, present, n_batches)
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
            stacklevel=3,
        )
    return history


def _epoch(trainer, features, code, present, n_batches):
    order = torch.randperm(len(features), generator=trainer.random)
    total = 0
    for rows in order.tensor_split(n_batches):
        other = torch.randint(len(features), (len(rows),), generator=trainer.random)
        parts = trainer.step(
            features[rows], code[rows], present[rows], (code[other], present[other])
        )
        total = total + torch.stack(list(parts.values()))
    return dict(zip(parts, (total / n_batches).tolist()))


def _descend(steps, loss):
    weights = [weight for group in steps.param_groups for weight in group["params"]]
    steps.zero_grad(set_to_none=True)
    loss.backward(inputs=weights)
    steps.step()


def _check_finite(row, lr):
    bad = [name for name, value in row.items() if not abs(value) < float("inf")]
    if bad:
        raise FloatingPointError(
            f"the losses {bad} of the InfoGAN are no longer finite in epoch {row['epoch']}; use a "
            f"smaller lr (now {lr}) or look for extreme values in X"
        )
