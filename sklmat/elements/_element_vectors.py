"""`element_vectors`: vectors of the elements, the input of the networks' embeddings."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sklmat.deprecation import renamed_parameters
from sklmat.elements._element_table import (
    BLOCKS,
    MAX_PHYSICAL,
    N_ROWS,
    element_symbols,
    measured_properties,
)
from sklmat.files import expand_path

if TYPE_CHECKING:
    from sklmat.typing import ArrayLike, ElementFeatures

#: Columns of the vectors "physical".
_PHYSICAL = [
    "group",
    "period",
    "Mendeleev number",
    "valence electrons",
    "electronegativity (Pauling)",
    "atomic radius (Å)",
    "covalent radius (Å)",
    "metallic radius (Å)",
    "first ionisation energy (eV)",
    "electron affinity (eV)",
    "molar volume (cm³/mol)",
    "melting point (K)",
]
#: Columns that enter as logarithms, because their own distributions have long tails.
_LOGARITHMIC = {"first ionisation energy (eV)", "molar volume (cm³/mol)"}

# Column, factor to the unit of the bins, whether the natural logarithm is taken, lower and upper
# edge, number of bins.
_CGCNN_BINS = [
    ("electronegativity (Pauling)", 1.0, False, 0.5, 4.0, 10),
    ("covalent radius (Å)", 100.0, False, 25.0, 250.0, 10),
    ("valence electrons", 1.0, False, 0.5, 12.5, 12),
    ("first ionisation energy (eV)", 1.0, True, 1.3, 3.3, 10),
    ("electron affinity (eV)", 1.0, False, -3.0, 3.7, 10),
    ("block", None, False, None, None, 4),
    ("molar volume (cm³/mol)", 1.0, True, 1.5, 4.3, 10),
]


@renamed_parameters(element_features="atom_init")
def element_vectors(atom_init: ElementFeatures = "physical") -> tuple[np.ndarray, list[str]]:
    """Make vectors of numbers that describe the elements, the input of the networks' embeddings.

    Parameters
    ----------
    atom_init : str, dict, pandas.DataFrame or path, default="physical"
        - "physical": group, period, Mendeleev number, valence electrons, Pauling electronegativity,
          atomic, covalent and metallic radius (Å), first ionisation energy (eV) and molar volume
          (cm³/mol) as natural logarithms, electron affinity (eV) and melting point (K), each
          standardised to mean 0 and standard deviation 1 over the elements H to Lr that have it;
          then the block as four 0/1 columns; then one 0/1 column ``missing ...`` for each property
          that some element lacks. A missing number is 0, the mean. It is the default because
          similar elements have similar vectors.
        - "onehot": 118 columns, one for each element. All elements are equally dissimilar.
        - "cgcnn": 0/1 bins like those of the original CGCNN, made from `element_table` (92 columns;
          see Notes). If a number is missing, all of its bins are 0.
        - a dict ``{symbol or atomic number: vector}``, or a DataFrame with one row per element,
          indexed by symbol or atomic number.
        - a path of a JSON file ``{"1": [...], "2": [...], ...}``, for
          example the ``atom_init.json`` of the original CGCNN.

    Returns
    -------
    vectors : ndarray of shape (119, F), dtype float32
        Row Z is the vector of the element with atomic number Z. Row 0 and the rows of elements
        without a vector are NaN; estimators raise an error for crystals with such elements.
    names : list of str
        The F feature names.

    Raises
    ------
    ValueError
        When `atom_init` is empty, has rows of unequal length, numbers that are not finite, two rows
        for one element, or a key that is not an element; or when it is a string that is neither one
        of the names above nor a file.

    Notes
    -----
    "physical" and "cgcnn" have vectors for H to Lr, "onehot" for all 118 elements.

    The paper [1]_ describes 93 bins, among them 18 groups and 9 periods. The published file
    ``atom_init.json`` has 92 columns. The first 19 + 7 are one bin for lanthanides and actinides,
    groups 1 to 18, and periods 1 to 7. They are followed by electronegativity (10 bins from 0.5 to
    4), covalent radius (10, 25 to 250 pm), valence electrons (12), logarithm of the first
    ionisation energy in eV (10, 1.3 to 3.3), electron affinity (10, -3 to 3.7 eV), block (4) and
    logarithm of the molar volume in cm³/mol (10, 1.5 to 4.3). "cgcnn" has the columns of the file;
    values outside a range are in its first or last bin. The numbers come from another source, so
    published networks must be loaded with the file instead.

    References
    ----------
    .. [1] T. Xie and J. C. Grossman, Phys. Rev. Lett. 120, 145301 (2018).
       :doi:`10.1103/PhysRevLett.120.145301`

    Examples
    --------
    >>> from sklmat import element_vectors
    >>> vectors, names = element_vectors()
    >>> vectors.shape, names[:3]
    ((119, 21), ['group', 'period', 'Mendeleev number'])
    >>> vectors, names = element_vectors({"Ni": [1.91, 1.24], "Cu": [1.90, 1.28]})
    >>> vectors[28], names
    (array([1.91, 1.24], dtype=float32), ['feature 0', 'feature 1'])
    """
    if isinstance(atom_init, str) and atom_init in _NAMED:
        vectors, names = _named_vectors(atom_init)
        return vectors.copy(), list(names)
    if isinstance(atom_init, str | os.PathLike):
        return _from_file(expand_path(atom_init))
    if isinstance(atom_init, pd.DataFrame):
        names = [str(name) for name in atom_init.columns]
        rows = zip(atom_init.index, atom_init.to_numpy())
        return _from_rows(rows, "atom_init", names)
    if isinstance(atom_init, dict):
        return _from_rows(atom_init.items(), "atom_init")
    raise ValueError(
        f"element vectors must be one of {', '.join(map(repr, _NAMED))}, a dict, a DataFrame or a "
        f"path, got {type(atom_init).__name__}"
    )


def lookup(vectors: np.ndarray, numbers: ArrayLike) -> np.ndarray:
    """Take the vectors of given atomic numbers; elements without a vector are an error.

    Parameters
    ----------
    vectors : ndarray of shape (119, F)
        A table made by `element_vectors`.
    numbers : array-like of int, shape (N,)
        Atomic numbers.

    Returns
    -------
    rows : ndarray of shape (N, F)
        The vector of each atomic number.

    Raises
    ------
    ValueError
        When `numbers` holds an element without a row in `vectors`, or a number that is not an
        atomic number.

    Examples
    --------
    >>> from sklmat.elements import element_vectors, lookup
    >>> lookup(element_vectors({"Ni": [1.0], "Cu": [2.0]})[0], [29, 28, 29]).ravel()
    array([2., 1., 2.], dtype=float32)
    """
    numbers = np.asarray(numbers)
    present = np.unique(numbers)
    if present.size and not (present[0] >= 1 and present[-1] < len(vectors)):
        raise ValueError(f"atomic numbers must lie in 1 to {len(vectors) - 1}, got {present}")
    rows = vectors[numbers]
    lacking = present[np.isnan(vectors[present]).any(axis=1)] if present.size else present
    if lacking.size:
        raise ValueError(
            f"the element vectors have no row for {', '.join(element_symbols(lacking))}; "
            "give a table that has ('onehot' covers all 118 elements)"
        )
    return rows


@cache
def _named_vectors(name):
    rows, names = _NAMED[name]()
    vectors = np.full((N_ROWS, len(names)), np.nan, dtype=np.float32)
    vectors[1 : len(rows) + 1] = rows
    return vectors, names


def _physical():
    table = measured_properties().iloc[:MAX_PHYSICAL]
    columns, names, missing = [], [], {}
    for name in _PHYSICAL:
        values = table[name].to_numpy(dtype=float)
        feature = name
        if name in _LOGARITHMIC:
            values, feature = np.log(values), f"log {name}"
        values = (values - np.nanmean(values)) / np.nanstd(values)
        if np.isnan(values).any():
            missing[f"missing {name}"] = np.isnan(values)
        columns.append(np.nan_to_num(values))
        names.append(feature)
    for block in BLOCKS:
        columns.append(table["block"] == block)
        names.append(f"block {block}")
    return np.column_stack([*columns, *missing.values()]), [*names, *missing]


def _onehot():
    return np.eye(N_ROWS - 1), list(measured_properties().index)


def _cgcnn():
    table = measured_properties().iloc[:MAX_PHYSICAL]
    group = np.where(table["block"] == "f", 0, table["group"])
    columns = [_bins(group, 0, 19, 19), _bins(table["period"].to_numpy(), 1, 8, 7)]
    names = ["group f block", *(f"group {number}" for number in range(1, 19))]
    names += [f"period {number}" for number in range(1, 8)]
    for column, factor, logarithm, low, high, n_bins in _CGCNN_BINS:
        if column == "block":
            columns.append(table["block"].to_numpy()[:, None] == np.array(BLOCKS))
            names += [f"block {block}" for block in BLOCKS]
            continue
        values = table[column].to_numpy() * factor
        columns.append(_bins(np.log(values) if logarithm else values, low, high, n_bins))
        names += [f"{'log ' * logarithm}{column} bin {number}" for number in range(n_bins)]
    return np.hstack(columns), names


def _bins(values, low, high, n_bins):
    """One-hot encode values in `n_bins` equal bins of [low, high].

    Values outside the range are in the first or last bin; NaN is in no bin.
    """
    position = np.floor((values - low) / (high - low) * n_bins)
    return np.clip(position, 0, n_bins - 1)[:, None] == np.arange(n_bins)


_NAMED = {"physical": _physical, "onehot": _onehot, "cgcnn": _cgcnn}


def _from_file(path):
    if not path.is_file():
        raise ValueError(
            f"element vectors {str(path)!r} are neither a file nor one of "
            f"{', '.join(map(repr, _NAMED))}"
        )
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f'{path} must hold one object, {{"1": [...], "2": [...], ...}}')
    return _from_rows(content.items(), str(path))


def _from_rows(rows, source, names=None):
    """Make the table of vectors from pairs of element and vector."""
    filled = {}
    for key, vector in rows:
        number = _atomic_number(key, source)
        if number in filled:
            raise ValueError(f"{source} has two rows for {measured_properties().index[number - 1]}")
        filled[number] = _vector(key, vector, source)
    lengths = {len(vector) for vector in filled.values()}
    if len(lengths) != 1 or lengths == {0}:
        raise ValueError(
            f"{source} must hold vectors of one length, one per element; "
            + (f"found lengths {sorted(lengths)}" if lengths else "it is empty")
        )
    vectors = np.full((N_ROWS, lengths.pop()), np.nan, dtype=np.float32)
    vectors[list(filled)] = list(filled.values())
    return vectors, names or [f"feature {i}" for i in range(vectors.shape[1])]


def _vector(key, vector, source):
    try:
        vector = np.asarray(vector, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the row of {key} in {source} is not numeric: {error}") from error
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise ValueError(
            f"the row of {key} in {source} must be a 1-D vector of finite numbers; fill what is "
            "missing before, or leave the element out"
        )
    return vector


def _atomic_number(key, source):
    symbols = measured_properties().index
    if isinstance(key, str) and key in symbols:
        return int(symbols.get_loc(key)) + 1
    text = str(getattr(key, "Z", key))
    if text.isdecimal() and 1 <= int(text) < N_ROWS:
        return int(text)
    raise ValueError(f"{source} has the key {key!r}, which is no element symbol or atomic number")
