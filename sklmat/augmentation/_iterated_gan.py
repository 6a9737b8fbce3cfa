"""GANs in a row, each of which is told the target that the one before led to."""

import numpy as np
import torch

from sklmat.augmentation._labeler import label_rows
from sklmat.networks import InfoGAN
from sklmat.training import seeded, train_gan


class GANChain:
    """One GAN that fills in features for codes, and maybe others that also know the target.

    Parameters
    ----------
    codec : TableCodec
        Learned from the rows that the GANs are trained on.
    target_codec : TargetCodec or None
        Likewise; None without targets.
    labeler : fitted regressor or classifier, or None
    names : ndarray of str or None
        Names of all columns, for the tables that the labeler reads.
    network : dict
        Keyword arguments of `InfoGAN`.
    training : dict
        Keyword arguments of `train_gan`; its `batch_size` may be None.

    Attributes
    ----------
    gans : list of InfoGAN
    history : list of dict
        As of `train_gan`, with the number of the iteration.
    """

    def __init__(self, codec, target_codec, labeler, names, *, network, training):
        self.codec = codec
        self.target_codec = target_codec
        self.labeler = labeler
        self.names = names
        self.network = network
        self.training = training
        self.gans = []
        self.history = []

    def extend(self, X, target, seed):
        """Train one more GAN.

        Parameters
        ----------
        X : ndarray of shape (n, F)
            Complete rows.
        target : ndarray of shape (n,) or (n, T), or None
            For every GAN but the first.
        seed : int
        """
        codec = self.codec
        code = self._with_target(codec.encode_codes(X), target)
        groups = [len(group) for group in codec.groups]
        if target is not None:
            groups += self.target_codec.groups
        with seeded(seed):
            n_codes = code.shape[1] - sum(groups)
            gan = InfoGAN(len(codec.features), n_codes, groups, **self.network)
        parts = (codec.encode_features(X), code, codec.present(X))
        training = dict(self.training)
        # A handful of steps in an epoch, whatever the number of rows.
        training["batch_size"] = training["batch_size"] or int(np.clip(len(X) // 4, 16, 64))
        history = train_gan(gan, *(_tensor(part) for part in parts), seed=seed, **training)
        self.gans.append(gan)
        self.history += [{"iteration": len(self.gans), **row} for row in history]

    def fill(self, rows, rng=None):
        """Fill rows that hold codes with generated features.

        Parameters
        ----------
        rows : ndarray of shape (n, F)
            Codes; other columns are overwritten.
        rng : numpy.random.Generator or None, default=None
            Draws noise, and a member of the ensemble for each row. None gives the mean of the
            members without noise.

        Returns
        -------
        ndarray of shape (n, F)
        """
        filled = self._run(self.gans[0], rows, None, rng)
        for gan in self.gans[1:]:
            filled = self._run(gan, rows, self.label(filled)[0], rng)
        return filled

    def label(self, rows, want_uncertainty=False):
        """Label complete rows; see `label_rows`."""
        told = label_rows(self.labeler, as_table(rows, self.names), want_uncertainty)
        shape = (len(rows), *self.target_codec.shape)
        # Regressors give a single column back as a vector.
        return tuple(None if part is None else part.reshape(shape) for part in told)

    def _run(self, gan, rows, target, rng):
        """Fill rows with the features of one GAN."""
        code = self._with_target(self.codec.encode_codes(rows), target)
        n, n_members = len(rows), gan.config["n_members"]
        shape = (n, n_members, gan.config["latent_dim"])
        z = np.zeros(shape) if rng is None else rng.standard_normal(shape)
        given = [_tensor(part) for part in (z, code, self.codec.present(rows))]
        with torch.inference_mode():
            made = gan.generate(*given).numpy().astype(np.float64)
        if rng is None:
            return self.codec.decode(rows, made.mean(axis=1))
        # Members take turns, in an order that has nothing to do with that of the rows.
        return self.codec.decode(
            rows, made[np.arange(n), rng.permutation(np.arange(n) % n_members)]
        )

    def _with_target(self, code, target):
        if target is None:
            return code
        target = self.target_codec.encode(target)
        # InfoGAN takes continuous codes first, and categories, such as classes, last.
        return np.hstack([code, target] if self.target_codec.groups else [target, code])


def as_table(rows, names, index=None):
    """Rows as the tables of the user look: a DataFrame where the columns have names."""
    if names is None:
        return rows
    import pandas as pd

    return pd.DataFrame(rows, columns=names, index=index)


def _tensor(values):
    return torch.as_tensor(values, dtype=torch.float32)
