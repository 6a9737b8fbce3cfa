"""
Maps of a quinary alloy
=======================

A quinary alloy has ten thousand compositions in steps of 5 %, and four and a half million in steps
of 1 %. Each of them may be bcc or fcc. A model that needs no structure can predict all of them.
This example screens alloys of chromium, manganese, iron, cobalt and nickel. It draws maps of the
phase with the lower energy, and estimates the temperature above which the alloys do not decompose.
"""

# %%
# The calculations
# ----------------
# In place of density functional theory, this example uses a formula, so that nothing is downloaded.
# The formula is the sum of two terms: the energy of each element on a lattice that is not its most
# stable one (rounded values), and the enthalpy of mixing of each pair of elements in Miedema's
# model [1]_. The magnitudes and signs are realistic, but magnetism and order are neglected. The
# formula is applied to three hundred random cells. To use your own data, replace the cell below by
# a list of structures and their energies and volumes.

from itertools import combinations

import numpy as np
from pymatgen.core import Lattice, Structure

elements = ["Cr", "Mn", "Fe", "Co", "Ni"]
# Energy relative to the more stable lattice (eV/atom), and volume (Å³/atom).
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
# Any regressor on fractions and lattice can be used. Here it is a Gaussian process, which is
# accurate with three hundred rows of few columns. You can replace it by
# ``EFTGANRegressor().fit(cells, targets, phases)``, which is trained on the cells themselves;
# ``screen`` takes both.

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
# ``screen`` makes the compositions in chunks and writes the predictions to a file, so it needs the
# same memory for any number of alloys. If it is stopped, start it again, and it continues. The
# printed tables have, for each phase, the three alloys of all five metals with the lowest energy.

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
# At each composition, the stable phase is the one with the lower formation energy. With the entropy
# of an ideal solution, which is the same for both phases, this holds at any temperature.

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
# The lattice parameter follows from the predicted volume per atom and the lattice.

stable["lattice parameter (Å)"] = lattice_parameter(stable[names[1]], stable["phase"])
print(stable["phase"].value_counts().to_string())
print(stable.groupby("phase", observed=True)["lattice parameter (Å)"].describe().round(3))

# %%
# A ternary cut
# -------------
# The triangle shows iron, chromium and nickel, with fractions of 0.1 of cobalt and of manganese.
# The colour shows the stable phase; on the line both phases have the same energy.

from sklmat.plotting import CompositionMapDisplay

CompositionMapDisplay.from_estimator(
    model, ["Fe", "Ni", "Cr"], held={"Co": 0.1, "Mn": 0.1}, targets=names
)

# %%
# The whole quinary
# -----------------
# Each of the ten triangles shows three elements; the fractions of the other two are fixed at 0.2,
# so the equimolar alloy is at the centre of each triangle. In the pentagon, the position of an
# alloy is the mean of the corners, weighted by its fractions. Different alloys can have the same
# position, and then their average is drawn.

CompositionMapDisplay.from_estimator(model, elements, targets=names)

# %%
# Does the alloy decompose?
# -------------------------
# A solution decomposes if a mixture of other solutions has a lower free energy. Such a solution
# lies above the convex hull of all alloys of both phases. At 0 K most alloys are above the hull. As
# the temperature rises, the entropy lowers their distance to the hull. Short-range order and
# compounds are neglected here, and would change the result.

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

figure, panel = plt.subplots(figsize=(3.3, 2.9), layout="constrained")
styles = [("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D")]
for count, (color, marker) in zip(fractions.columns[1:], styles):
    line = {"color": color, "marker": marker, "markersize": 4, "label": f"{count} elements"}
    panel.plot(fractions.index, fractions[count], **line)
panel.set(xlabel="temperature (K)", ylabel="alloys that do not decompose (%)", ylim=(-3, 103))
panel.legend(frameon=False, fontsize=8)

# %%
# The free energy of the equimolar alloy of all five elements falls by k_B T ln 5 per atom.

cantor = pd.DataFrame([dict.fromkeys(table.filter(like="x_"), 0.2)])
cantor = stable_phase(screen(model, cantor, targets=names))
for temperature in (0, 300, 1000):
    value = free_energy(cantor[names[0]], cantor, temperature)[0]
    print(f"{cantor['phase'].iloc[0]}, {temperature:4d} K: {value:+.3f} eV/atom")

# %%
# References
# ----------
# .. [1] A. Takeuchi, A. Inoue, Mater. Trans. 46, 2817 (2005). https://doi.org/10.2320/matertrans.46.2817
