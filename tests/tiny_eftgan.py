"""EFTGAN with networks that are trained in a moment."""

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from sklmat import ECNetRegressor, EFTGANRegressor, InfoGANAugmenter

ELEMENTS = ["Ni", "Cu", "Pd"]
COLUMNS = [f"x_{symbol}" for symbol in ELEMENTS]
NAMES = ["energy (eV/atom)", "moment (μB/atom)"]


def ecnet(**params):
    """A network that is trained in a moment."""
    small = {"cutoff": 4.0, "hidden_dim": 4, "n_filters": 4, "tower_dims": (4,), "max_epochs": 3}
    return ECNetRegressor(**{**small, "n_ensemble": 2, **params})


def infogan(**params):
    small = {"n_samples": 0, "hidden_dim": 8, "max_epochs": 8, "n_ensemble": 2, "labeler": Ridge()}
    return InfoGANAugmenter(**{**small, **params})


def tiny(regressor=None, **params):
    common = {"n_components": 2, "random_state": 0, **params}
    parts = common.pop("estimator", None) or ecnet(), common.pop("augmenter", None) or infogan()
    return EFTGANRegressor(*parts, regressor, **common)


def energy(x, lattice):
    """Target of fractions (n, 3) on a lattice (n,), known exactly."""
    smooth = x @ [0.1, -0.2, 0.3] - 0.4 * x[:, 0] * x[:, 2]
    return smooth + 0.3 * (np.asarray(lattice) == "bcc")


def frame(*rows):
    return pd.DataFrame(rows, columns=COLUMNS)
