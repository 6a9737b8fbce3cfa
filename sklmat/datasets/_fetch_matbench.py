"""`fetch_matbench`: the thirteen data sets of the benchmark matbench v0.1."""

from __future__ import annotations

import gzip
import json
import math
import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sklmat.argument_checks import checked_arguments
from sklmat.datasets._bunch import make_bunch
from sklmat.downloads import fetch_files, file_url
from sklmat.structures import structure_from_dict

if TYPE_CHECKING:
    from sklmat.typing import Dataset, PathLike

PREFIX = "matbench_"


class Task(NamedTuple):
    """One data set of matbench; names, units and numbers of rows as matbench publishes them."""

    n_rows: int
    column: str  # of the target, in the file
    label: str  # column of the target in ``frame``
    unit: str
    about: str
    reference: str
    classes: tuple[str, ...] = ()


MATERIALS_PROJECT = "APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323"
ELASTICITY = "Sci. Data 2, 150009 (2015), doi:10.1038/sdata.2015.9"
BAND_GAPS = "J. Phys. Chem. Lett. 9, 1668 (2018), doi:10.1021/acs.jpclett.8b00124"

#: Name without prefix -> what is known about it.
TASKS = {
    "dielectric": Task(
        4764,
        "n",
        "refractive index",
        "",
        "Refractive index from density functional perturbation theory (Materials Project).",
        "Sci. Data 4, 160134 (2017), doi:10.1038/sdata.2016.134",
    ),
    "expt_gap": Task(
        4604,
        "gap expt",
        "measured band gap (eV)",
        "eV",
        "Measured band gaps.",
        BAND_GAPS,
    ),
    "expt_is_metal": Task(
        4921,
        "is_metal",
        "is metal",
        "",
        "Whether a material is a metal, from experiment.",
        BAND_GAPS,
        ("not a metal", "metal"),
    ),
    "glass": Task(
        5680,
        "gfa",
        "forms a glass",
        "",
        "Whether an alloy forms a full metallic glass, from experiment.",
        "Landolt-Börnstein III 37A (1997), doi:10.1007/10510374_2",
        ("no full glass", "glass"),
    ),
    "jdft2d": Task(
        636,
        "exfoliation_en",
        "exfoliation energy (meV/atom)",
        "meV/atom",
        "Exfoliation energy of layered crystals (JARVIS-DFT).",
        "Sci. Rep. 7, 5179 (2017), doi:10.1038/s41598-017-05402-0",
    ),
    "log_gvrh": Task(
        10987,
        "log10(G_VRH)",
        "log10 of shear modulus in GPa",
        "log10(GPa)",
        "Logarithm of the shear modulus, Voigt-Reuss-Hill average (Materials Project).",
        ELASTICITY,
    ),
    "log_kvrh": Task(
        10987,
        "log10(K_VRH)",
        "log10 of bulk modulus in GPa",
        "log10(GPa)",
        "Logarithm of the bulk modulus, Voigt-Reuss-Hill average (Materials Project).",
        ELASTICITY,
    ),
    "mp_e_form": Task(
        132752,
        "e_form",
        "formation energy (eV/atom)",
        "eV/atom",
        "Formation energy (Materials Project, 2 April 2019).",
        MATERIALS_PROJECT,
    ),
    "mp_gap": Task(
        106113,
        "gap pbe",
        "PBE band gap (eV)",
        "eV",
        "Band gap with the functional PBE (Materials Project, 2 April 2019).",
        MATERIALS_PROJECT,
    ),
    "mp_is_metal": Task(
        106113,
        "is_metal",
        "is metal",
        "",
        "Whether PBE finds a metal (Materials Project, 2 April 2019).",
        MATERIALS_PROJECT,
        ("not a metal", "metal"),
    ),
    "perovskites": Task(
        18928,
        "e_form",
        "formation energy (eV/unit cell)",
        "eV/unit cell",
        "Heat of formation of the whole five-atom cell of ABX3 (RPBE). The reference of oxygen is\n"
        "water vapour, not O2.",
        "Energy Environ. Sci. 5, 9034 (2012), doi:10.1039/C2EE22341D",
    ),
    "phonons": Task(
        1265,
        "last phdos peak",
        "last phonon peak (1/cm)",
        "1/cm",
        "Frequency of the highest peak of the optical phonons (perturbation theory).",
        "Sci. Data 5, 180065 (2018), doi:10.1038/sdata.2018.65",
    ),
    "steels": Task(
        312,
        "yield strength",
        "yield strength (MPa)",
        "MPa",
        "Measured yield strengths of steels.",
        "https://citrination.com/datasets/153092",
    ),
}

DESCR = """\
matbench_{name}
{line}

{task.about}

{task.n_rows:,} rows, in the order of the file. Inputs are {inputs}. The target is the column
{task.column!r} of the file, {target}. Ids are those of matbench: the number of the row, from 1.

Splits: `splits` gives the five outer folds of the benchmark, which are random; the same composition
can be a training row and a test row.

Source: {url}
Reference of the data: {task.reference}
Reference of the benchmark: npj Comput. Mater. 6, 138 (2020), doi:10.1038/s41524-020-00406-3.
"""


@checked_arguments()
def fetch_matbench(
    task: str,
    *,
    data_home: PathLike | None = None,
    return_X_y: bool = False,
    download_if_missing: bool = True,
    verbose: bool = True,
) -> Dataset:
    """Load a data set of the benchmark matbench v0.1; download it on first use.

    Parameters
    ----------
    task : str
        One of the thirteen names, with or without ``matbench_`` in front. Crystals: "dielectric",
        "jdft2d", "log_gvrh", "log_kvrh", "mp_e_form", "mp_gap", "mp_is_metal", "perovskites",
        "phonons". Formulas: "expt_gap", "expt_is_metal", "glass", "steels".
    data_home : str or Path, default=None
        Folder of the files, see `get_data_home`. The file is
        ``<data_home>/matbench/matbench_<task>.json.gz``.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    download_if_missing : bool, default=True
        With ``False`` a missing file raises an error and is not downloaded.
    verbose : bool, default=True
        Show a progress bar while downloading, and one while reading.

    Returns
    -------
    dataset : sklearn.utils.Bunch
        Dictionary-like object with these attributes:

        data : ndarray of shape (C,), dtype object
            Pymatgen ``Structure``, or formulas (str).
        target : ndarray of shape (C,)
            Numbers; for the two "is_metal" and "glass" the integers 0 and 1 for the ``false`` and
            ``true`` of the file.
        target_names : list of str
            Name of the target in matbench, or the names of both classes.
        unit : str
            Unit of the target; empty where it has none.
        ids : ndarray of shape (C,), dtype object
            The ids of matbench, "mb-steels-001", ...
        frame : DataFrame
            Id, formula, n_atoms (of crystals) and the target.
        splits : `sklmat.model_selection.MatbenchSplit`
            The five outer folds of the benchmark.
        DESCR : str
            Description of the data.

    Raises
    ------
    OSError
        When the file is missing or damaged and cannot be downloaded. The message has the address of
        the file and the path where it is expected.
    ValueError
        When `task` is unknown.

    Notes
    -----
    Rows are neither dropped nor reordered, because the folds are row numbers. Crystals are not
    validated here, but when an estimator or `check_structures` takes them. The structures in the
    files are dicts that name Python classes, like those of pymatgen's ``as_dict``. No class that
    they name is imported, so reading a file executes no code from it. The 132,752 crystals of
    "mp_e_form" take a few minutes and about 4 GB of memory.

    References
    ----------
    .. [1] Dunn, Wang, Ganose, Dopp, Jain, npj Comput. Mater. 6, 138 (2020),
       https://doi.org/10.1038/s41524-020-00406-3

    Examples
    --------
    >>> from sklmat.datasets import fetch_matbench
    >>> steels = fetch_matbench("steels")  # doctest: +SKIP
    >>> len(steels.data), steels.unit, steels.splits  # doctest: +SKIP
    (312, 'MPa', MatbenchSplit(task='regression'))
    """
    import pandas as pd

    from sklmat.model_selection import MatbenchSplit

    name = str(task).removeprefix(PREFIX)
    if name not in TASKS:
        raise ValueError(
            f"unknown task {task!r}; choose from {', '.join(TASKS)} (with or without {PREFIX!r})"
        )
    known = TASKS[name]
    path = f"matbench/{PREFIX}{name}.json.gz"
    options = {"download_if_missing": download_if_missing, "verbose": verbose}
    (file,) = fetch_files([path], data_home, **options)
    index, columns, rows = _read_table(file, known.n_rows, verbose)
    target = columns.index(known.column)
    has_structures = "structure" in columns
    source = columns.index("structure" if has_structures else "composition")
    # `np.array` would take structures for sequences of sites.
    data = np.fromiter((row[source] for row in rows), dtype=object, count=len(rows))
    ids = _matbench_ids(name, index)
    frame = pd.DataFrame({"id": ids, "formula": data})
    if has_structures:
        frame["formula"] = [structure.composition.reduced_formula for structure in data]
        frame["n_atoms"] = [len(structure) for structure in data]
    frame[known.label] = _target(file, [row[target] for row in rows], bool(known.classes))
    return make_bunch(
        data,
        frame,
        {known.column: known.label},
        multi=False,
        descr=_describe(name, known, path, has_structures),
        return_X_y=return_X_y,
        unit=known.unit,
        ids=np.array(ids, dtype=object),
        splits=MatbenchSplit("classification" if known.classes else "regression"),
        **({"target_names": list(known.classes)} if known.classes else {}),
    )


def _matbench_ids(name, index):
    """Ids as ``matbench.data_ops.load`` gives them, such as "mb-steels-001" for the index 0."""
    prefix = f"mb-{name.replace('_', '-')}"
    width = len(str(len(index)))
    return [f"{prefix}-{number + 1:0{width}}" for number in index]


def _target(file, values, is_class):
    """The target as an array; raises at the first value that is not a number or a truth value."""
    for row, value in enumerate(values):
        if is_class:
            valid = value in (0, 1)
        else:
            valid = type(value) in (int, float) and math.isfinite(value)
        if not valid:
            expected = "true or false" if is_class else "a number"
            raise ValueError(f"row {row} of {file} has the target {value!r}, not {expected}")
    return np.array(values, dtype=int if is_class else float)


def _describe(name, known, path, has_structures):
    title = f"{PREFIX}{name}"
    if known.classes:
        target = " and ".join(f"{number} = {label}" for number, label in enumerate(known.classes))
    else:
        target = f"in {known.unit}" if known.unit else "without unit"
    return DESCR.format(
        name=name,
        line="-" * len(title),
        task=known,
        inputs="crystal structures" if has_structures else "chemical formulas",
        target=target,
        url=file_url(path),
    )


DATA = re.compile(r'"data"\s*:\s*\[\s*')
SEPARATOR = re.compile(r"[\s,]*")


def _read_table(file, n_rows, verbose):
    """Read a table that pandas wrote with ``orient="split"``: index, columns, and list of rows.

    One row is decoded at a time, because the dicts of all structures together take several times
    the memory of the structures.
    """
    from tqdm.auto import tqdm

    with gzip.open(file, "rt", encoding="utf-8") as stream:
        text = stream.read()
    decode = json.JSONDecoder().raw_decode
    start = end = DATA.search(text).end()
    rows = []
    with tqdm(total=n_rows, desc="reading", unit="row", disable=not verbose) as bar:
        while text[end] != "]":
            row, end = decode(text, end)
            end = SEPARATOR.match(text, end).end()
            rows.append([_value(file, len(rows), item) for item in row])
            bar.update()
    rest = json.loads(text[:start] + text[end:])
    return rest["index"], rest["columns"], rows


def _value(file, row, item):
    if not isinstance(item, dict):
        return item
    try:
        return structure_from_dict(item)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"row {row} of {file} is not the dict of a structure ({type(error).__name__}: {error})"
        ) from error
