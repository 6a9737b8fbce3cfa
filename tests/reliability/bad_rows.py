"""Bad rows in data that are otherwise valid: crystals, formulas, tables, targets and weights."""

import re

import numpy as np
import pandas as pd
from pymatgen.core import Lattice, Structure

CUBE = Lattice.cubic(4.0)
#: The row that is replaced, if there are so many.
ROW = 2
CRYSTALS = {
    "none": None,
    "number": 3.5,
    "text": "no such file",
    "NaN position": Structure(CUBE, ["Fe"], [[np.nan, 0, 0]]),
    "NaN lattice": Structure(Lattice(np.full((3, 3), np.nan)), ["Fe"], [[0, 0, 0]]),
    "partial occupancy": Structure(CUBE, [{"Fe": 0.5}], [[0, 0, 0]]),
    "no atoms": Structure(CUBE, [], []),
    "atoms at one place": Structure(CUBE, ["Fe", "O"], [[0, 0, 0], [0.01, 0, 0]]),
    "list": [1, 2],
    "dict": {},
}
FORMULAS = {"none": None, "number": 3.5, "text": "no formula", "empty text": "", "dict": {}}
NUMBERS = {"none": None, "NaN": np.nan, "infinity": np.inf, "text": "x", "complex": 1j, "list": []}


def replaced(values, value):
    """A list with another value in one row, and the row."""
    rows = list(values)
    row = min(ROW, len(rows) - 1)
    rows[row] = value
    return rows, row


def bad_columns(name, values):
    """Label -> a column with one bad value, or of another length, and the row to name."""
    numbers = {key: value for key, value in NUMBERS.items() if key != "list"}
    if np.ndim(values) == 0:
        return {key: (value, None) for key, value in numbers.items()}
    if isinstance(np.asarray(values).flat[0], str):
        numbers = {"none": None, "NaN": np.nan}
    found = {key: replaced(values, value) for key, value in numbers.items()}
    found["shorter"] = (list(values)[:-1], None)
    found["longer"] = ([*values, *list(values)[:1]], None)
    found["empty"] = ([], None)
    found["single"] = (1.0, None)
    found["text for all"] = ("nonsense", None)
    return found


def bad_tables(table):
    """Label -> a table of another width, with other names or a bad value, and the row to name."""
    found, row = {}, min(ROW, len(table) - 1)
    for key, value in NUMBERS.items():
        new = table.astype(object)
        if key != "list":
            new.iloc[row, 0] = value
            found[key] = (new, row)
    found["fewer columns"] = (table.iloc[:, 1:], None)
    found["no columns"] = (table.iloc[:, :0], None)
    found["other names"] = (table.rename(columns=lambda name: f"{name}?"), None)
    found["repeated names"] = (table.set_axis([table.columns[0]] * table.shape[1], axis=1), None)
    found["one more column"] = (table.assign(more=1.0), None)
    found["no rows"] = (table.iloc[:0], None)
    found["one row as array"] = (table.iloc[0].to_numpy(), None)
    found["text for all"] = ("nonsense", None)
    found["single"] = (3.0, None)
    found["none for all"] = (None, None)
    return found


def bad_crystals(crystals):
    found = {key: replaced(crystals, value) for key, value in CRYSTALS.items()}
    found["empty"] = ([], None)
    found["single"] = (crystals[0], None)
    found["none for all"] = (None, None)
    found["text for all"] = ("nonsense", None)
    found["sites"] = (np.array(crystals[0].frac_coords), None)
    return found


def bad_data(name, value):
    """Label -> (bad value, row that the error has to name or None), for a valid data argument."""
    if isinstance(value, pd.DataFrame):
        return bad_tables(value)
    if isinstance(value, dict):
        return {}
    if name in ("X", "expected", "structures_or_bunch", "parts") and isinstance(value, list):
        if isinstance(value[0], Structure):
            return bad_crystals(value)
        found = {key: replaced(value, item) for key, item in FORMULAS.items()}
        return found | {"single": (value[0], None), "empty": ([], None)}
    return bad_columns(name, value)


def names_row(error, row=ROW):
    """Whether an error names a row, as an attribute or in words."""
    if getattr(error, "index", None) == row:
        return True
    text = rf"(rows?|structures?|samples?|crystals?|row numbers?|in)\W{{0,4}}{row}\b|\[{row}\]"
    return re.search(text, str(error)) is not None
