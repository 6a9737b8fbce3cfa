"""`check_dataset`: what is wrong with a data set of crystals before a model is fitted to it."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sklmat.argument_checks import checked_arguments
from sklmat.data_checks._dataset_report import DatasetReport
from sklmat.data_checks._find_duplicates import find_duplicates
from sklmat.data_checks._size_dependence import size_dependence
from sklmat.exceptions import InvalidStructureWarning
from sklmat.parallel import check_n_jobs
from sklmat.readers import load_structures
from sklmat.recorded_warnings import record_warnings

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.utils import Bunch

    from sklmat.typing import PathLike, Structures

#: Labels of one crystal contradict each other if they differ by more than this fraction of the
#: standard deviation of all labels.
_SAME_LABEL = 0.05


@checked_arguments()
def check_dataset(
    source: PathLike | Structures | pd.DataFrame | Bunch,
    *,
    target: str | None = None,
    id: str | None = None,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> DatasetReport:
    """Check a data set: what cannot be read, what occurs twice, and what labels may be wrong.

    Parameters
    ----------
    source : str, Path, DataFrame, sequence of crystals, or Bunch
        Whatever `load_structures` reads, or what it returned.
    target : str or None, default=None
        Column of the target, as in `load_structures`.
    id : str or None, default=None
        Column of the ids, as in `load_structures`.
    n_jobs : int or None, default=None
        Number of processes.
    verbose : bool, default=False
        Show a progress bar while reading.

    Returns
    -------
    report : DatasetReport
        Its text (``print(report)``) says all; ``findings`` has a sentence for each kind of problem,
        and ``to_dict()`` makes plain data.

    Raises
    ------
    InvalidRowsError
        If no row can be used.
    ValueError, OSError
        If the source cannot be read at all, or several columns can be the target.

    Notes
    -----
    *The same crystal* means: the same elements, the same volume per atom within 1 %, and the same
    places of the atoms within about 0.02 Å, whichever cell, supercell or origin describes it. The
    primitive cells are compared by pymatgen's ``StructureMatcher``. Oxidation states do not count.

    *Labels contradict each other* if the same crystal has two classes, or two numbers that differ
    by more than 5 % of the standard deviation of all labels.

    *A target grows with the number of atoms N* if it is about proportional to N: to a power of N
    between 0.5 and 1.5. The power is the median over pairs of crystals of one reduced formula with
    different N, if there are ten crystals in such pairs. Otherwise it is the slope of the logarithm
    of the magnitude over log N, which counts only if their rank correlation is above 0.7.

    Examples
    --------
    >>> import pandas as pd
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import check_dataset
    >>> iron = Structure(Lattice.cubic(2.87), ["Fe"] * 2, [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> larger = iron.make_supercell([2, 1, 1], in_place=False)
    >>> table = pd.DataFrame({"structure": [iron, larger], "energy": [-8.3, -8.1]}, ["a", "b"])
    >>> report = check_dataset(table)
    >>> report.duplicates
    [['a', 'b']]
    >>> report.contradictions
    [{'ids': ['a', 'b'], 'target': 'energy', 'values': [-8.3, -8.1]}]
    """
    check_n_jobs(n_jobs, "check_dataset")
    if isinstance(source, Mapping) and "data" in source:
        bunch, notes = source, []
    else:
        bunch, notes = _load(source, target=target, id=id, n_jobs=n_jobs, verbose=verbose)
    structures, ids = bunch["data"], [str(name) for name in bunch["ids"]]
    names, targets = bunch["target_names"], {}
    if bunch["target"] is not None:
        columns = np.atleast_2d(np.asarray(bunch["target"]).T)
        targets = dict(zip(names, columns))
    duplicates = find_duplicates(structures, n_jobs=n_jobs)
    n_atoms = np.array([len(structure) for structure in structures])
    compositions = [structure.composition.element_composition for structure in structures]
    formulas = [composition.reduced_formula for composition in compositions]
    growths = [size_dependence(values, n_atoms, formulas) for values in targets.values()]
    counts = Counter(element.symbol for composition in compositions for element in composition)
    n_missing = bunch["frame"].isna().sum()
    missing = {str(name): int(count) for name, count in n_missing.items() if count}
    missing |= {
        name: n
        for name, values in targets.items()
        if values.dtype.kind == "f" and (n := int(np.isnan(values).sum()))
    }
    return DatasetReport(
        source=str(source) if isinstance(source, str) or hasattr(source, "__fspath__") else "data",
        n_crystals=len(structures),
        targets=list(targets),
        rejected=bunch["rejected"],
        duplicates=[[ids[k] for k in group] for group in duplicates],
        contradictions=[
            {"ids": [ids[k] for k in group], "target": name, "values": values[group].tolist()}
            for name, values in targets.items()
            for group in duplicates
            if _differ(values[group], values)
        ],
        size_dependence=[
            {"target": name, **growth} for name, growth in zip(targets, growths) if growth
        ],
        constant_targets=[
            name
            for name, values in targets.items()
            if len(values) > 1 and len(set(values.tolist())) == 1
        ],
        elements=dict(counts.most_common()),
        sizes={
            "min": int(n_atoms.min()),
            "median": float(np.median(n_atoms)),
            "max": int(n_atoms.max()),
        },
        missing=missing,
        notes=notes,
    )


def _load(source, **options):
    """Read a source without its bad rows; what was assumed in reading are notes."""
    with record_warnings() as caught:
        bunch = load_structures(source, on_invalid="drop", **options)
    notes = []
    for warning in caught:
        if issubclass(warning.category, InvalidStructureWarning):
            notes += [line.strip() for line in str(warning.message).splitlines()[1:]]
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return bunch, notes


def _differ(labels, all_labels):
    """Whether labels of one crystal contradict each other."""
    if all_labels.dtype.kind not in "fiu":
        return len(set(labels.tolist())) > 1
    known = labels[~np.isnan(labels.astype(float))]
    return len(known) > 1 and np.ptp(known) > _SAME_LABEL * np.nanstd(all_labels.astype(float))
