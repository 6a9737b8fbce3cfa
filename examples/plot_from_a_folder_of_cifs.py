"""
From a folder of CIFs to predictions
====================================

The data of most projects are a folder of CIFs and a table of numbers. This example writes such a
folder, in the layout of the original CGCNN, and then does what you would do with yours: check it,
compare models on compositions that they have not seen, fit the best one, and predict new crystals.
"""

# %%
# The folder
# ----------
# Compounds of many elements stand in for your calculations: known crystal structures whose sites
# are occupied by other elements, with energies from a simple model of ions and metals. Replace the
# folder by your own and leave this cell out.

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
# Structures, numbers and ids stay together. The report names crystals that occur twice and labels
# that look wrong; on the command line this is ``sklmat check my_folder``.

from sklmat import check_dataset, load_structures

mine = load_structures(folder)
print(mine.ids[:3], mine.target[:3].round(3))
print(check_dataset(folder))

# %%
# Compare
# -------
# No composition is in both training and test rows. Tables of any chemistry describe elements by
# their properties, so that elements which only the test rows have are no obstacle.

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
# The model with the smallest error is fitted on all rows and predicts the crystals that were kept
# back.

best = table["MAE mean"].idxmin()
model = baselines("regression")[best].fit(mine.data, mine.target)
predicted = model.predict(new)
for structure, value in list(zip(new, predicted))[:5]:
    print(f"{structure.composition.reduced_formula:12s} {value:8.3f} eV/atom")

# %%
# The picture
# -----------
# Each point is a crystal that the model had not seen.

from sklmat import ParityDisplay

display = ParityDisplay.from_comparison(table, quantity="formation energy", unit="eV/atom")
display.figure_.savefig("from_a_folder_of_cifs.png", dpi=150)
