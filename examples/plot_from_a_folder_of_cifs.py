"""
From a folder of CIFs to predictions
====================================

Most projects have their data in a folder of CIFs and a table of numbers. This example shows the
steps from there: check the data, compare models on compositions that they have not seen, fit the
best model, and predict new crystals. The folder has the same layout as for the original CGCNN.
"""

# %%
# The folder
# ----------
# This cell makes a folder to work with. Use your own folder instead, and leave this cell out. The
# crystals are known structure types with other elements on their sites, and their energies come
# from a simple model of ions and metals.

import tempfile
from pathlib import Path

from sklmat.datasets import make_prototypes

folder = Path(tempfile.mkdtemp()) / "my_folder"
folder.mkdir()
compounds = make_prototypes(200, random_state=0)
known, new = compounds.data[:180], compounds.data[180:]
lines = []
for row, (structure, energy) in enumerate(zip(known, compounds.target)):
    structure.to(str(folder / f"crystal-{row}.cif"))
    lines.append(f"crystal-{row},{energy:.5f}")
(folder / "id_prop.csv").write_text("\n".join(lines) + "\n")

# %%
# Read and check
# --------------
# ``load_structures`` reads structures, numbers and ids. ``check_dataset`` reports crystals that
# occur twice and labels that look wrong. On the command line, this is ``sklmat check my_folder``.

from sklmat import check_dataset, load_structures

mine = load_structures(folder)
print(mine.ids[:3], mine.target[:3].round(3))
print(check_dataset(folder))

# %%
# Compare
# -------
# No composition is in both training and test rows. The baselines describe elements by their
# properties, so they can also predict crystals with elements that only the test rows have.

from sklmat import CompositionGroupKFold, baselines, compare_estimators

table = compare_estimators(
    baselines("regression"),
    mine.data,
    mine.target,
    cv=CompositionGroupKFold(5, random_state=0),
    reference="mean",
)
print(table)

# %%
# Fit and predict
# ---------------
# The model with the smallest error is fitted on all rows. Then it predicts the crystals that are
# not in the folder.

best = table["MAE mean"].idxmin()
model = baselines("regression")[best].fit(mine.data, mine.target)
predicted = model.predict(new)
for structure, value in list(zip(new, predicted))[:5]:
    print(f"{structure.composition.reduced_formula:12s} {value:8.3f} eV/atom")

# %%
# The picture
# -----------
# Each point is a crystal of the folder, predicted by a model that was not trained on it.

from sklmat import ParityDisplay

display = ParityDisplay.from_comparison(
    table, quantity="formation energy", unit="eV/atom", true_name="computed"
)
display.figure_.savefig("from_a_folder_of_cifs.png", dpi=150)
