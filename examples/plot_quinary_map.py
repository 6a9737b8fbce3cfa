"""
Maps of a quinary alloy
=======================

There are ten thousand alloys of five metals in steps of 5 %, four and a half million in steps of
1 %, and each may be bcc or fcc. A model that needs no structure predicts them all. This example
screens chromium, manganese, iron, cobalt and nickel, draws where which phase has the lower energy,
and asks at which temperature the alloys stop to decompose.
"""

# %%
# The calculations
# ----------------
# So that the page builds without a download, a formula stands in for density functional theory:
# what each element pays for a lattice that is not its own (round numbers), and the enthalpies of
# mixing of each two elements in Miedema's model [1]_. That has the sizes and signs of the real
# thing and none of its subtleties: no magnetism, no order. Three hundred random cells are
# "calculated". To use your own, replace the cell below by a list of structures and their energies
# and volumes.

from itertools import combinations

import numpy as np
from pymatgen.core import Lattice, Structure

elements = ["Cr", "Mn", "Fe", "Co", "Ni"]
# Energy over that of the better lattice (eV/atom), and volume (Å³/atom).
energy_of = {"bcc": [0.0, 0.03, 0.0, 0.03, 0.09], "fcc": [0.08, 0.0, 0.05, 0.0, 0.0]}
volume_of = {"bcc": [11.6, 11.0, 11.4, 11.0, 10.9], "fcc": [11.9, 10.9, 11.2, 10.8, 10.8]}
# Cr-Mn, Cr-Fe, Cr-Co, Cr-Ni, Mn-Fe, Mn-Co, Mn-Ni, Fe-Co, Fe-Ni, Co-Ni (kJ/mol).
enthalpy = np.array([2, -1, -4, -7, 0, -5, -8, -1, -2, 0]) * 0.010364


def calculate(x, phase):
    """Formation energy (eV/atom) and volume (Å³/atom) of a random solution."""
    pairs = np.array([x[i] * x[j] for i, j in combinations(range(5), 2)])
    return x @ energy_of[phase] + 4 * enthalpy @ pairs, x @ volume_of[phase]


rng = np.random.default_rng(0)
sites = {"bcc": [[0, 0, 0], [0.5, 0.5, 0.5]]}
sites["fcc"] = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
cells, targets, phases = [], [], []
for phase in ["bcc", "fcc"] * 150:
    cell = Structure(Lattice.cubic(2.9), ["Fe"] * len(sites[phase]), sites[phase])
    cell = cell * ((3, 3, 3) if phase == "bcc" else (3, 3, 2))
    # Few elements in some cells, many in others.
    concentrations = rng.dirichlet([0.4] * 5)
    for site, symbol in enumerate(rng.choice(elements, size=len(cell), p=concentrations)):
        cell.replace(site, symbol)
    x = np.array([cell.composition.get_atomic_fraction(symbol) for symbol in elements])
    energy, volume = calculate(x, phase)
    cells.append(cell.scale_lattice(volume * len(cell)))
    targets.append([energy + rng.normal(0, 0.005), volume + rng.normal(0, 0.05)])
    phases.append(phase)
targets = np.array(targets)

# %%
# The model
# ---------
# Any regressor on fractions and lattice will do. A Gaussian process on few smooth columns learns a
# lot from three hundred rows. ``EFTGANRegressor().fit(cells, targets, phases)`` could stand in its
# place: it learns from the cells themselves, and ``screen`` takes it as it is.

from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmat import CompositionFeaturizer

table = CompositionFeaturizer(lattice=True, properties=[]).fit_transform(cells)
assert (table["lattice_bcc"] == [phase == "bcc" for phase in phases]).all()
table = table.drop(columns="mixing entropy (kB per atom)")
model = make_pipeline(
    StandardScaler(),
    GaussianProcessRegressor(
        ConstantKernel() * Matern(length_scale=5, nu=2.5) + WhiteKernel(0.01), normalize_y=True
    ),
).fit(table, targets)
names = ["formation energy (eV/atom)", "volume (Å³/atom)"]

# %%
# All alloys
# ----------
# The grid is made a piece at a time and the rows go to a file, so that memory does not grow with
# their number. A run that is stopped goes on when it is started again. Here are the alloys with all
# five metals whose energy is lowest in each phase.

import tempfile
from pathlib import Path

import pandas as pd

from sklmat.screening import (
    composition_grid,
    energy_above_hull,
    free_energy,
    lattice_parameter,
    screen,
    stable_phase,
)

grid = composition_grid(elements, 0.05)
print(grid)
with tempfile.TemporaryDirectory() as folder:
    path = screen(model, grid, targets=names, out=Path(folder) / "alloys.parquet", verbose=True)
    print(f"{path.stat().st_size / 1e6:.1f} MB")
    alloys = pd.read_parquet(path)

quinary = composition_grid(elements, 0.05, min_fraction=0.05)
for phase in ("bcc", "fcc"):
    best = screen(model, quinary, phase, targets=names, keep=3)
    print(best.round(3).to_string(index=False))

# %%
# Which phase is stable at a composition? The one with the lower formation energy, at any
# temperature, as far as the entropy is that of ideal solutions: it is the same for both.

stable = stable_phase(alloys)
truth = [
    min(("bcc", "fcc"), key=lambda phase: calculate(x, phase)[0])
    for x in stable[[f"x_{symbol}" for symbol in elements]].to_numpy()
]
right = (stable["phase"] == truth).to_numpy()
close = stable["gap to next phase (eV/atom)"] < 0.005
print(f"the model names the right phase for {100 * right.mean():.1f} % of the alloys,")
print(f"and for {100 * right[close].mean():.1f} % of those where 5 meV/atom decide")

# %%
# Cells of the two lattices have different sizes.

stable["lattice parameter (Å)"] = lattice_parameter(stable[names[1]], stable["phase"])
print(stable["phase"].value_counts().to_string())
print(stable.groupby("phase", observed=True)["lattice parameter (Å)"].describe().round(3))

# %%
# A ternary cut
# -------------
# Iron, chromium and nickel, with a tenth each of cobalt and manganese. The colour is that of
# the stable phase; the line is where both have the same energy.

from sklmat.plotting import CompositionMapDisplay

CompositionMapDisplay.from_estimator(
    model, ["Fe", "Ni", "Cr"], held={"Co": 0.1, "Mn": 0.1}, targets=names
)

# %%
# The whole quinary
# -----------------
# All ten triangles have the equimolar alloy at their centre: in each, two elements are
# held at a fifth, and three vary. In the pentagon every alloy of the grid lies at the mean of the
# corners, weighted by its fractions. Different alloys coincide there, and what is drawn is their
# average.

CompositionMapDisplay.from_estimator(model, elements, targets=names)

# %%
# Does it mix?
# ------------
# A solution decomposes if a mixture of others has less free energy: if it lies above the convex
# hull of all of them, in both phases. At 0 K most alloys are above it, and the entropy brings them
# closer as the temperature rises. Short-range order and compounds, which this model does not know,
# would make a difference.

import matplotlib.pyplot as plt

coarse = screen(model, composition_grid(elements, 0.1), targets=names)
temperatures = [0, 150, 300, 450, 600, 800, 1000, 1300]
n_elements = (coarse.filter(like="x_") > 0).sum(axis=1)
is_stable = coarse.index.isin(stable_phase(coarse).index)
fractions = pd.DataFrame(
    {
        temperature: (energy_above_hull(coarse, temperature) < 1e-6)[is_stable]
        for temperature in temperatures
    }
)
fractions = 100 * fractions.groupby(n_elements[is_stable].to_numpy()).mean().T

figure, panel = plt.subplots(figsize=(5.5, 3.8), layout="constrained")
for count in fractions.columns[1:]:
    panel.plot(fractions.index, fractions[count], "o-", markersize=4, label=f"{count} elements")
panel.set(xlabel="temperature (K)", ylabel="alloys that do not decompose (%)", ylim=(-3, 103))
panel.legend(frameon=False)

# %%
# The equimolar alloy of the five, at last, by itself: its free energy falls by k_B T ln 5.

cantor = pd.DataFrame([dict.fromkeys(table.filter(like="x_"), 0.2)])
cantor = stable_phase(screen(model, cantor, targets=names))
for temperature in (0, 300, 1000):
    value = free_energy(cantor[names[0]], cantor, temperature)[0]
    print(f"{cantor['phase'].iloc[0]}, {temperature:4d} K: {value:+.3f} eV/atom")

# %%
# References
# ----------
# .. [1] A. Takeuchi, A. Inoue, Mater. Trans. 46, 2817 (2005). https://doi.org/10.2320/matertrans.46.2817
