"""`IteratedGAN`: the networks of `InfoGANAugmenter`, one for each of its `n_iterations`."""

from functools import partial

import numpy as np
import torch

from sklmat.augmentation._dataframes import as_table
from sklmat.augmentation._labeler import label_rows
from sklmat.networks import InfoGAN, refuse_large_network
from sklmat.training import initial_weights, train_gan


class IteratedGAN:
    """Ensembles of GANs that are trained one after the other and generate features for codes.

    The code of the first GAN is composition and lattice. The code of each further GAN also holds
    the target, which the labeler predicts from the features that the previous GAN generated.

    Parameters
    ----------
    codec : TableCodec
        Fitted on the rows that the GANs are trained on.
    target_codec : TargetCodec or None
        Fitted on the targets of these rows; None without targets.
    labeler : fitted regressor or classifier, or None
    names : ndarray of str or None
        Names of all columns, for the tables that are passed to the labeler.
    network : dict
        Keyword arguments of `InfoGAN`.
    training : dict
        Keyword arguments of `train_gan`; its `batch_size` may be None.

    Attributes
    ----------
    gans : list of InfoGAN
    history : list of dict
        Result of `train_gan`, with the number of the iteration.
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

    def train_next(self, X, target, seed):
        """Train one more GAN.

        Parameters
        ----------
        X : ndarray of shape (n, F)
            Complete rows.
        target : ndarray of shape (n,) or (n, T), or None
            Targets, for every GAN except the first.
        seed : int
        """
        codec = self.codec
        code = self._with_target(codec.encode_codes(X), target)
        groups = [len(group) for group in codec.groups]
        if target is not None:
            groups += self.target_codec.groups
        n_codes = code.shape[1] - sum(groups)
        make = partial(InfoGAN, len(codec.features), n_codes, groups, **self.network)
        refuse_large_network(make, self.network)
        with initial_weights(torch.Generator().manual_seed(seed)):
            gan = make()
        arrays = (codec.encode_features(X), code, codec.present(X))
        training = dict(self.training)
        # Four steps per epoch, unless this needs batches of less than 16 or more than 64 rows.
        training["batch_size"] = training["batch_size"] or int(np.clip(len(X) // 4, 16, 64))
        history = train_gan(gan, *(_tensor(array) for array in arrays), seed=seed, **training)
        self.gans.append(gan)
        self.history += [{"iteration": len(self.gans), **row} for row in history]

    def generate(self, rows, rng=None):
        """Fill rows that hold codes with generated features.

        Parameters
        ----------
        rows : ndarray of shape (n, F)
            Codes; other columns are overwritten.
        rng : numpy.random.Generator or None, default=None
            Draws the noise, and a member of the ensemble for each row. None gives the mean of the
            members at zero noise.

        Returns
        -------
        ndarray of shape (n, F)
        """
        generated = self._generate_with(self.gans[0], rows, None, rng)
        for gan in self.gans[1:]:
            generated = self._generate_with(gan, rows, self.label(generated)[0], rng)
        return generated

    def label(self, rows, want_uncertainty=False):
        """Label complete rows; see `label_rows`."""
        table = as_table(rows, self.names)
        labels, uncertainty = label_rows(self.labeler, table, want_uncertainty)
        # Regressors return a single target column as a vector.
        shape = (len(rows), *self.target_codec.shape)
        if uncertainty is not None:
            uncertainty = uncertainty.reshape(shape)
        return labels.reshape(shape), uncertainty

    def _generate_with(self, gan, rows, target, rng):
        """Fill rows with the features of one GAN."""
        code = self._with_target(self.codec.encode_codes(rows), target)
        n, n_members = len(rows), gan.config["n_members"]
        shape = (n, n_members, gan.config["latent_dim"])
        noise = np.zeros(shape) if rng is None else rng.standard_normal(shape)
        inputs = [_tensor(array) for array in (noise, code, self.codec.present(rows))]
        with torch.inference_mode():
            features = gan.generate(*inputs).numpy().astype(np.float64)
        if rng is None:
            return self.codec.decode(rows, features.mean(axis=1))
        # Each member generates the same number of rows, assigned to the members at random.
        member = rng.permutation(np.arange(n) % n_members)
        return self.codec.decode(rows, features[np.arange(n), member])

    def _with_target(self, code, target):
        if target is None:
            return code
        target = self.target_codec.encode(target)
        # InfoGAN takes continuous codes first, and categories, such as classes, last.
        return np.hstack([code, target] if self.target_codec.groups else [target, code])


def _tensor(values):
    return torch.as_tensor(values, dtype=torch.float32)
