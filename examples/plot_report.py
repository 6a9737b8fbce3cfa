"""
A report on a model, for a referee
==================================

Before others trust a model, they ask: what are the data, is anything doubtful in them, how large
is the error for new crystals, is a simple model as good, do the error bars hold, and what went
wrong where the error is large? ``report`` answers these questions on one page. This example makes
the page for alloys among which one label has been falsified, and looks whether the page finds it.
"""

# %%
# The data
# --------
# ``make_alloys`` generates alloys with their formation energies. One label gets a wrong sign and
# magnitude, as after a mistake in copying a table.

import pandas as pd

from sklmat.datasets import make_alloys

alloys = make_alloys(100, verbose=True)
names = [f"alloy-{number:03d}" for number in range(100)]
structures = pd.Series(list(alloys.data), index=names)
energies = pd.Series(alloys.target.copy(), index=names)
energies["alloy-017"] += 0.15
print(f"true energy {alloys.target[17]:.3f} eV/atom, falsified {energies['alloy-017']:.3f} eV/atom")

# %%
# The report
# ----------
# The estimator is cloned and fitted for each fold, so that all predictions on the page are those
# of rows that were not used for training. By default, no composition is in the training and in the
# test rows of a fold, and all models of ``baselines`` are compared with. Here two of them are
# enough.

from sklmat import ECNetRegressor, baselines, report

simple = baselines("regression", structures)
chosen = ["mean", "robust Gaussian process, composition and volume"]
made = report(
    ECNetRegressor(max_epochs=60, random_state=0),
    structures,
    energies,
    compare_with={name: simple[name] for name in chosen},
    quantity="formation energy",
    unit="eV/atom",
    true_name="computed",
    n_largest=2,
)
print(made)

# %%
# The page
# --------
# ``made.save("report.html")`` writes the page to one file, which needs no other file. In a
# notebook, the page is shown like this:

made

# %%
# The facts
# ---------
# The same facts are in a dictionary, for example the sentences about the largest error.

for sentence in made.facts["errors"]["largest"][0]["sentences"]:
    print("-", sentence)

# %%
# The falsified label is the largest error, and the page says that another model, too, expects
# another value. The largest errors of the remaining alloys are smaller:

for error in made.facts["errors"]["largest"]:
    print(f"{error['name']}: {error['error']:+.3f} eV/atom")

# %%
# A model with its report
# -----------------------
# ``save`` of an estimator takes the report and writes its short form into the file of the model.
# Who gets the file can read how the model was validated.

import tempfile
from pathlib import Path

from sklmat import saved_report

final = ECNetRegressor(max_epochs=60, random_state=0).fit(list(structures), energies)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "alloys.model"
    final.save(path, report=made)
    summary = saved_report(path)
for model, scores in summary["validation"]["scores"].items():
    print(f"{model}: MAE {scores['MAE']['mean']:.4f} eV/atom")
