"""`check_dataset`: what is wrong with a data set of crystals before a model is fitted to it."""

from __future__ import annotations

import math
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed

from sklmat.exceptions import InvalidStructureWarning
from sklmat.readers import load_structures
from sklmat.structures import find_pairs

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.utils import Bunch

    from sklmat.typing import PathLike, Structures

#: Two descriptions of one crystal agree in volume per atom within this fraction, and in smooth
#: sums over pairs of atoms within twice as much.
_SAME_VOLUME = 0.01
_SAME_SUMS = 0.02
#: Largest root mean square distance of their atoms, as fraction of the cube root of the volume per
#: atom; about 0.05 Å.
_SAME_PLACES = 0.02
#: Labels of one crystal contradict each other if they differ by more than this fraction of the
#: standard deviation of all labels.
_SAME_LABEL = 0.05
#: A target grows with the number of atoms if its exponent is above this; 1 is proportional, 0 is
#: independent.
_EXPONENT = 0.5
_RANK_CORRELATION = 0.7
_MIN_CRYSTALS = 10
_MAX_LINES = 20


@dataclass
class DatasetReport:
    """What `check_dataset` found.

    Parameters
    ----------
    source : str
    n_crystals : int
        Crystals that can be used.
    targets : list of str
    rejected : DataFrame
        Rows that cannot be used: row, id, file, reason; see `load_structures`.
    duplicates : list of list of str
        Ids of crystals that are the same, one list for each crystal that occurs more than once.
    contradictions : list of dict
        ``ids``, ``target`` and ``values`` of duplicates whose labels differ.
    size_dependence : list of dict
        For each target that grows with the number of atoms: ``target``, ``exponent``,
        ``n_crystals`` and ``compared``, the crystals that the exponent is from.
    constant_targets : list of str
    elements : dict of str to int
        Number of crystals with each element.
    sizes : dict of str to float
        Smallest, median and largest number of atoms per cell: ``min``, ``median``, ``max``.
    missing : dict of str to int
        Number of missing values of each column that has some.
    notes : list of str
        What was assumed in reading the crystals.
    """

    source: str
    n_crystals: int
    targets: list[str]
    rejected: pd.DataFrame
    duplicates: list[list[str]]
    contradictions: list[dict[str, Any]]
    size_dependence: list[dict[str, Any]]
    constant_targets: list[str]
    elements: dict[str, int]
    sizes: dict[str, float]
    missing: dict[str, int]
    notes: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[str]:
        """One sentence for each kind of problem; empty if there are none."""
        found = []
        if len(self.rejected):
            found.append(f"{_count(len(self.rejected), 'row or file', 'rows or files')} unusable")
        if self.duplicates:
            n_same = sum(map(len, self.duplicates))
            found.append(
                f"{n_same} rows are descriptions of {_count(len(self.duplicates), 'crystal')} that "
                "occur more than once; keep them in the same fold, or keep one of each"
            )
        if self.contradictions:
            found.append(f"the labels of {_count(len(self.contradictions), 'crystal')} differ")
        for entry in self.size_dependence:
            found.append(
                f"{entry['target']} grows with the number of atoms in the cell (as its power "
                f"{entry['exponent']:.2f}, from {entry['n_crystals']} {entry['compared']}); if it "
                "is meant per atom, divide it by the number of atoms"
            )
        found += [f"{name} is the same in all rows" for name in self.constant_targets]
        return found

    def to_dict(self) -> dict[str, Any]:
        """All parts as plain data for JSON; the keys stay the same within a version."""
        rejected = self.rejected.astype(object).where(self.rejected.notna(), None)
        return {
            "version": 1,
            "source": self.source,
            "n_crystals": self.n_crystals,
            "targets": self.targets,
            "findings": self.findings,
            "rejected": rejected.to_dict("records"),
            "duplicates": self.duplicates,
            "contradictions": self.contradictions,
            "size_dependence": self.size_dependence,
            "constant_targets": self.constant_targets,
            "elements": self.elements,
            "sizes": self.sizes,
            "missing": self.missing,
            "notes": self.notes,
        }

    def __str__(self) -> str:
        elements = ", ".join(f"{symbol} {count}" for symbol, count in self.elements.items())
        targets = ", ".join(self.targets) or "none"
        lines = [
            f"{self.source}: {_count(self.n_crystals, 'crystal')}, target: {targets}",
            f"atoms per cell: {self.sizes['min']:g} to {self.sizes['max']:g}, median "
            f"{self.sizes['median']:g}",
            f"crystals with each of {_count(len(self.elements), 'element')}: {elements}",
        ]
        if self.missing:
            values = ", ".join(f"{name} {count}" for name, count in self.missing.items())
            lines.append(f"missing values: {values}")
        lines.append("")
        lines += [f"- {sentence}" for sentence in self.findings] or ["no problems found"]
        rows = [
            " ".join(
                part
                for part in (
                    "" if row.row is None or row.row != row.row else f"row {row.row}",
                    row.id and f"id {row.id}",
                    row.file and f"file {row.file}",
                )
                if part
            )
            + f": {row.reason}"
            for row in self.rejected.astype(object).where(self.rejected.notna(), None).itertuples()
        ]
        lines += _section("unusable", rows)
        lines += _section("the same crystal", [", ".join(ids) for ids in self.duplicates])
        labels = [
            f"{entry['target']}: "
            + ", ".join(f"{name} {value}" for name, value in zip(entry["ids"], entry["values"]))
            for entry in self.contradictions
        ]
        lines += _section("labels that contradict each other", labels)
        lines += _section("assumed in reading", self.notes)
        return "\n".join(lines)


def _count(number, one, several=None):
    return f"{number} {one if number == 1 else several or one + 's'}"


def _section(title, lines):
    if not lines:
        return []
    shown = [f"  {line}" for line in lines[:_MAX_LINES]]
    if len(lines) > _MAX_LINES:
        shown.append(f"  ... and {len(lines) - _MAX_LINES} more")
    return ["", f"{title}:", *shown]


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
    places of the atoms within about 0.05 Å, whichever cell, supercell or origin describes it. The
    primitive cells are compared by pymatgen's ``StructureMatcher``. Oxidation states do not count.

    *Labels contradict each other* if the same crystal has two classes, or two numbers that differ
    by more than 5 % of the standard deviation of all labels.

    *A target grows with the number of atoms N* if it is about proportional to a power of N above
    0.5. The power is the median over pairs of crystals of one reduced formula with different N, if
    there are ten crystals in such pairs. Otherwise it is the slope of log \\|target\\| over log N
    of all crystals, which counts only if the rank correlation of \\|target\\| and N is above 0.7.

    Examples
    --------
    >>> import pandas as pd
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import check_dataset
    >>> iron = Structure(Lattice.cubic(2.87), ["Fe"] * 2, [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> larger = iron.make_supercell([2, 1, 1], in_place=False)
    >>> table = pd.DataFrame({"id": ["a", "b"], "structure": [iron, larger], "energy": [-8.3, -8.1]})
    >>> report = check_dataset(table)
    >>> report.duplicates
    [['a', 'b']]
    >>> report.contradictions
    [{'ids': ['a', 'b'], 'target': 'energy', 'values': [-8.3, -8.1]}]
    """
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
    formulas = [
        structure.composition.element_composition.reduced_formula for structure in structures
    ]
    growths = [size_dependence(values, n_atoms, formulas) for values in targets.values()]
    counts = Counter(
        element.symbol
        for structure in structures
        for element in structure.composition.element_composition
    )
    missing = {
        str(name): int(count) for name, count in bunch["frame"].isna().sum().items() if count
    }
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
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
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


# -- duplicates


def find_duplicates(structures: Structures, *, n_jobs: int | None = None) -> list[list[int]]:
    """Find crystals that occur more than once, in whichever cell they are described.

    Parameters
    ----------
    structures : sequence of C valid structures
    n_jobs : int or None, default=None

    Returns
    -------
    groups : list of list of int
        Rows of the same crystal, in ascending order; see the notes of `check_dataset`.
    """
    by_formula = defaultdict(list)
    for row, structure in enumerate(structures):
        composition = structure.composition.element_composition
        by_formula[composition.reduced_formula].append(row)
    candidates = []
    for rows in by_formula.values():
        volumes = np.array([structures[row].volume / len(structures[row]) for row in rows])
        order = np.argsort(volumes, kind="stable")
        gaps = np.diff(volumes[order]) > _SAME_VOLUME * volumes[order][:-1]
        for part in np.split(order, np.flatnonzero(gaps) + 1):
            if len(part) > 1:
                candidates.append(sorted(rows[k] for k in part))
    found = Parallel(n_jobs=n_jobs)(
        delayed(_same_crystals)(rows, [structures[row] for row in rows]) for rows in candidates
    )
    return sorted(group for groups in found for group in groups)


def _same_crystals(rows, structures):
    """Groups of the same crystal among crystals of one formula and similar volume."""
    from pymatgen.analysis.structure_matcher import ElementComparator, StructureMatcher

    matcher = StructureMatcher(
        ltol=_SAME_PLACES,
        stol=_SAME_PLACES,
        angle_tol=1.0,
        primitive_cell=False,
        scale=False,
        comparator=ElementComparator(),
    )
    cells = [_primitive(structure) for structure in structures]
    sums = np.array([_pair_sums(cell) for cell in cells])
    groups: list[list[int]] = []
    for k, cell in enumerate(cells):
        for group in groups:
            first = cells[group[0]]
            if (
                len(first) == len(cell)
                and abs(first.volume / cell.volume - 1) <= _SAME_VOLUME
                and np.allclose(sums[group[0]], sums[k], rtol=_SAME_SUMS, atol=1e-8)
                and matcher.fit(first, cell)
            ):
                group.append(k)
                break
        else:
            groups.append([k])
    return [[rows[k] for k in group] for group in groups if len(group) > 1]


def _primitive(structure):
    """The primitive cell of neutral elements, or the structure itself if spglib finds none."""
    import spglib
    from pymatgen.core import Lattice, Structure

    if not all(structure.lattice.pbc):
        return structure
    cell = (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers)
    found = spglib.find_primitive(cell, symprec=0.05)
    if found is None:
        return structure
    matrix, frac_coords, numbers = found
    return Structure(Lattice(matrix), numbers, frac_coords)


def _pair_sums(structure):
    """Two sums over pairs of near atoms, per atom, that do not depend on the cell."""
    numbers = np.array(structure.atomic_numbers)
    radius = 2.5 * (structure.volume / len(structure)) ** (1 / 3)
    target, source, _, distance = find_pairs(
        structure.cart_coords, structure.lattice.matrix, np.array(structure.lattice.pbc), radius
    )
    weight = (1 - (distance / radius) ** 2) ** 2
    products = numbers[target].astype(float) * numbers[source]
    return weight.sum() / len(numbers), (weight * products).sum() / len(numbers)


# -- targets that grow with the cell


def size_dependence(
    values: np.ndarray, n_atoms: np.ndarray, formulas: list[str]
) -> dict[str, Any] | None:
    """How a target grows with the number of atoms, or None if it does not.

    Parameters
    ----------
    values : ndarray of shape (C,)
        The target; classes do not grow.
    n_atoms : ndarray of shape (C,), int
    formulas : list of C str
        Reduced formulas.

    Returns
    -------
    growth : dict or None
        ``exponent``, the number of crystals it is from (``n_crystals``), and which they are
        (``compared``); see the notes of `check_dataset`.
    """
    from scipy.stats import spearmanr

    if values.dtype.kind not in "fiu":
        return None
    values = values.astype(float)
    usable = np.isfinite(values) & (values != 0)
    logs, sizes = np.log(np.abs(values[usable])), np.log(n_atoms[usable])
    by_formula = defaultdict(list)
    for k, row in enumerate(np.flatnonzero(usable)):
        by_formula[formulas[row]].append(k)
    exponents, compared = [], set()
    for members in by_formula.values():
        for place, k in enumerate(members):
            for other in members[place + 1 :]:
                if sizes[k] != sizes[other]:
                    exponents.append((logs[k] - logs[other]) / (sizes[k] - sizes[other]))
                    compared |= {k, other}
    if len(compared) >= _MIN_CRYSTALS:
        exponent = float(np.median(exponents))
        which = "crystals of equal formulas"
        n_crystals = len(compared)
    else:
        n_crystals = int(usable.sum())
        if n_crystals < _MIN_CRYSTALS or np.ptp(sizes) == 0 or np.ptp(logs) == 0:
            return None
        if spearmanr(logs, sizes).statistic <= _RANK_CORRELATION:
            return None
        exponent = float(np.polyfit(sizes, logs, 1)[0])
        which = "crystals"
    if not (math.isfinite(exponent) and exponent > _EXPONENT):
        return None
    return {"exponent": round(exponent, 3), "n_crystals": n_crystals, "compared": which}
