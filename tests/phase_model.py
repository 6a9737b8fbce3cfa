"""A model of three phases whose answers are known, for tests of screening."""

import warnings

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

ENERGY = "formation energy (eV/atom)"


class PhaseModel:
    """Knows phases, like `EFTGANRegressor`, and predicts numbers that can be checked by hand."""

    elements_ = ["Cr", "Fe", "Ni"]
    phases_ = ["bcc", "fcc"]
    target_names_ = ["formation_energy", "magnetic_moment"]

    def __init__(self):
        self.calls = 0
        self.fail_at = None
        self.shift = 0.0

    def predict(self, table, phase=None, return_std=False):
        self.calls += 1
        if self.calls == self.fail_at:
            raise KeyboardInterrupt
        assert list(table) == ["x_Cr", "x_Fe", "x_Ni"]
        assert phase in self.phases_
        cr, fe, ni = table.to_numpy().T
        energy = cr * (1 - cr) + (ni - 0.5 if phase == "bcc" else 0 * ni) + self.shift
        values = np.column_stack([energy, 2.2 * fe + 0.6 * ni])
        return (values, values + 10) if return_std else values


class Warns(PhaseModel):
    """Not sure of pure chromium. Processes import this module, and so no network."""

    def predict(self, table, phase=None, return_std=False):
        n = (table["x_Cr"] == 1).sum()
        warnings.warn(f"{n} of {len(table)} are all chromium", UserWarning, stacklevel=2)
        return super().predict(table, phase, return_std)


def linear_model():
    """On fractions of Fe and Ni, lattice and entropy, as CompositionFeaturizer names them."""
    rng = np.random.default_rng(0)
    names = ["x_Fe", "x_Ni", "lattice_bcc", "lattice_fcc", "mixing entropy (kB per atom)"]
    X = pd.DataFrame(rng.uniform(size=(30, 5)), columns=names)
    return LinearRegression().fit(X, X @ [1, 2, 3, 4, 5])
