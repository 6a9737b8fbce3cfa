"""`label_noise`: how far the labels of twin rows differ, and the error that follows from it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist
from scipy.stats import chi2
from sklearn.utils.validation import _num_samples

from sklmat.argument_checks import checked_arguments
from sklmat.compositions import holds_compositions
from sklmat.data_checks import find_duplicates
from sklmat.features import infer_lattice
from sklmat.model_selection._group_labels import composition_groups
from sklmat.structures import convert_structures, is_graphs
from sklmat.targets import as_numbers, number_array, refuse_out_of_range

if TYPE_CHECKING:
    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, Structures, Table

#: Default of `disagreement`, in units of the median difference of twins.
_MEDIANS = 3.0
#: Differences of labels that are smaller, as a fraction of the largest label, are due to rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class LabelNoise:
    """Result of `label_noise`: how far the labels of twins differ; ``print`` gives a summary.

    Attributes
    ----------
    table : DataFrame
        One row per target, in the unit of the target: ``known`` (number of labels that are not
        missing), ``missing``, ``twin rows``, ``groups`` and ``pairs`` of twins; ``rms difference``
        of the pairs; ``noise``, the standard deviation of a label among twins, with its confidence
        interval ``low`` to ``high``; ``least RMSE`` and ``expected RMSE`` over all rows (see
        `label_noise`); ``disagreement`` and ``disagreeing rows``. NaN where a target has no twins.
    disagreeing : DataFrame
        One line per target and row that differs from its twins by ``disagreement`` or more, largest
        difference first: ``target``, ``row``, ``twins`` (tuple of rows), ``formula`` and
        ``lattice`` (unless `groups` were given), ``label`` and ``difference`` (the label minus the
        mean label of the twins).
    groups : ndarray of int, shape (n,)
        Number of the group of twins of each row; -1 for a row without a twin.
    confidence_level : float
        Level of the interval of the noise.
    """

    table: pd.DataFrame
    disagreeing: pd.DataFrame
    groups: np.ndarray
    confidence_level: float = 0.95

    @property
    def disagreeing_rows(self) -> np.ndarray:
        """Rows that disagree with their twins in any target, in ascending order."""
        return np.unique(self.disagreeing["row"].to_numpy(dtype=int))

    def summary(self) -> str:
        """Write the result as text.

        Returns
        -------
        text : str
            A paragraph for each target.
        """
        return "\n".join(self._describe(name, row) for name, row in self.table.iterrows())

    def __repr__(self) -> str:
        return self.summary()

    def _describe(self, name, row):
        head = f"{name}: {row['twin rows']:.0f} of {row['known']:.0f} rows have twins"
        missing = f"; {row['missing']:.0f} labels are missing" if row["missing"] else ""
        if not row["twin rows"]:
            return f"{head}, so that nothing is known of the noise of the labels{missing}"
        level = f"{100 * self.confidence_level:g} %"
        return "\n".join(
            [
                f"{head} ({row['groups']:.0f} groups, {row['pairs']:.0f} pairs){missing}",
                f"  labels of a pair differ by {row['rms difference']:.3g} (root mean square)",
                f"  noise of a label among twins: {row['noise']:.3g} "
                f"({level} interval {row['low']:.3g} to {row['high']:.3g})",
                "  RMSE over all rows of a model that cannot tell twins apart:",
                f"    at least {row['least RMSE']:.3g}, expected {row['expected RMSE']:.3g}",
                f"  {row['disagreeing rows']:.0f} rows differ from their twins "
                + (f"by {row['disagreement']:.3g} or more" if row["disagreement"] else "at all"),
            ]
        )


@checked_arguments(confidence_level=None)
def label_noise(
    X: Structures | CrystalGraphs | Table,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    twins: Literal["lattice", "structure"] = "lattice",
    disagreement: float | ArrayLike | None = None,
    confidence_level: float = 0.95,
) -> LabelNoise:
    """Estimate the noise of labels from twins: rows that a model can hardly tell apart.

    Parameters
    ----------
    X : sequence of n crystals, or CrystalGraphs
        With `groups`, anything with n rows.
    y : array-like of shape (n,) or (n, T)
        Numbers. Missing ones (NaN) are left out and counted.
    groups : array-like of shape (n,), default=None
        Rows with the same entry are twins; a row with a missing entry (None or NaN) or with -1, as
        in ``noise.groups``, has none. By default, `twins` says which rows are twins.
    twins : {"lattice", "structure"}, default="lattice"
        "lattice": rows of the same composition and the same lattice, as `infer_lattice` finds;
        where it finds none ("other"), rows of the same crystal. This suits random alloys in their
        relaxed cells. Ordered compounds of one composition and lattice, such as L1₀ and L1₁, and
        cells that are compressed or stretched have truly different labels: use "structure", which
        takes only rows of the same crystal, as `check_dataset` does.
    disagreement : float or array-like of shape (T,), default=None
        Difference, in the unit of `y`, from which on a row disagrees with its twins. None means
        three times the median difference between the labels of a pair, for each target; if the
        noise is normal, 4 % of the pairs differ by more. If most pairs have equal labels, this is
        zero, and every row whose label is not that of its twins disagrees.
    confidence_level : float, default=0.95
        Level of the confidence interval of the noise.

    Returns
    -------
    noise : LabelNoise
        Its text says all; `table` holds the numbers, and `disagreeing` lists rows.

    Raises
    ------
    InvalidStructureError
        When a crystal cannot be used.
    ValueError
        When `y` does not hold numbers or is infinite, two targets have one name, `X` or `groups`
        has another length than `y`, or a parameter is out of its range.
    TypeError
        When `X` does not hold crystals and no `groups` are given, or an entry of `groups` is
        neither text, a number nor a tuple.

    Notes
    -----
    *Noise* is whatever makes the labels of twins differ: another magnetic solution, an unfinished
    relaxation, another arrangement of the atoms. It is a property of the rows that have twins; the
    other rows may be better.

    With the mean label ȳ_g of the n_g rows of group g, the variance of a label within groups is
    s² = Σ_g Σ_i (y_i - ȳ_g)² / ν with ν = Σ_g (n_g - 1). If the noise is normal, ν s² / σ² has the
    chi-square distribution with ν degrees of freedom, from which the interval follows.

    A model that predicts one number for all rows of a group, and is perfect on all other rows, has
    at *least* the RMSE that it reaches with the mean of their own labels, (ν s² / n)^½ for n rows.
    Its *expected* RMSE, if the labels of twins are in the test fold together and therefore unknown
    to it, is that of a model that predicts the labels without noise, (m / n)^½ s for m rows with
    twins: its error on such a row is the noise of this row. For pairs this is √2 times the least.
    With one of a pair in the training rows, a model that repeats its label has √2 s on the other.

    Examples
    --------
    >>> from sklmat import label_noise
    >>> names, energies = ["a", "b", "c", "d", "e"], [1.0, 1.2, 3.0, 3.4, 5.0]
    >>> noise = label_noise(names, energies, groups=[0, 0, 1, 1, 2])
    >>> print(noise)
    y: 4 of 5 rows have twins (2 groups, 2 pairs)
      labels of a pair differ by 0.316 (root mean square)
      noise of a label among twins: 0.224 (95 % interval 0.116 to 1.41)
      RMSE over all rows of a model that cannot tell twins apart:
        at least 0.141, expected 0.2
      0 rows differ from their twins by 0.9 or more
    """
    if twins not in ("lattice", "structure"):
        raise ValueError(f"twins must be 'lattice' or 'structure', got {twins!r}")
    if not (isinstance(confidence_level, Real) and 0 < confidence_level < 1):
        raise ValueError(f"confidence_level must be between 0 and 1, got {confidence_level!r}")
    values, names = _read_labels(y)
    thresholds = _read_thresholds(disagreement, len(names))
    n_rows = len(values)
    if groups is None:
        labels, about = _find_twins(X, n_rows, twins)
    else:
        if X is not None and _num_samples(X) != n_rows:
            raise ValueError(f"X has {_num_samples(X)} rows and y has {n_rows}")
        labels, about = _given_groups(groups, n_rows), {}
    rows, listed = {}, []
    for target, name in enumerate(names):
        column = values[:, target]
        found = _estimate(column, labels, confidence_level)
        differences = _differences(column, labels)
        limit = thresholds[target]
        if limit is None:
            limit = _MEDIANS * found.pop("median difference")
        else:
            found.pop("median difference")
        rounding = _ROUNDING * np.nanmax(np.abs(column), initial=0)
        with np.errstate(invalid="ignore"):
            # 0.3 - 0.1 is less than 0.2 in floating-point numbers.
            differ = np.abs(differences) >= limit - rounding
            disagree = np.flatnonzero(differ & (np.abs(differences) > rounding))
        disagree = disagree[np.argsort(-np.abs(differences[disagree]), kind="stable")]
        found |= {"disagreement": limit, "disagreeing rows": len(disagree)}
        rows[name] = found
        for row in disagree.tolist():
            same = np.flatnonzero((labels == labels[row]) & ~np.isnan(column))
            line = {"target": name, "row": row, "twins": tuple(same[same != row].tolist())}
            line |= {key: entries[row] for key, entries in about.items()}
            listed.append(line | {"label": column[row], "difference": differences[row]})
    columns = ["target", "row", "twins", *about, "label", "difference"]
    return LabelNoise(
        pd.DataFrame.from_dict(rows, orient="index"),
        pd.DataFrame(listed, columns=columns),
        labels,
        confidence_level,
    )


def _read_labels(y):
    """Return the labels as numbers, shape (n, T), and the names of the targets."""
    values = as_numbers(y)
    if values.ndim not in (1, 2) or not values.size:
        raise ValueError(f"y must have the shape (n,) or (n, T) and a row, got {values.shape}")
    refuse_out_of_range(values)
    names = [getattr(y, "name", None) or "y"]
    if values.ndim == 2:
        names = list(getattr(y, "columns", [f"y{k}" for k in range(values.shape[1])]))
        twice = [name for k, name in enumerate(names) if name in names[:k]]
        if twice:
            raise ValueError(f"two targets have the name {twice[0]!r}; rename one of them")
    values = values.reshape(len(values), -1)
    infinite = np.flatnonzero(np.isinf(values).any(axis=1))
    if len(infinite):
        raise ValueError(f"y is infinite in row {infinite[0]}; correct it or drop the row")
    return values, names


def _read_thresholds(disagreement, n_targets):
    """One threshold per target; None for the default."""
    if disagreement is None:
        return [None] * n_targets
    limits = number_array(disagreement, "disagreement")
    if limits.shape not in ((), (n_targets,)) or not (limits > 0).all():
        raise ValueError(
            f"disagreement must be a positive number, or {n_targets} of them, one for each target; "
            f"got {disagreement!r}"
        )
    return np.broadcast_to(limits, n_targets).tolist()


def _given_groups(groups, n_rows):
    if isinstance(groups, str) or not hasattr(groups, "__len__"):
        raise TypeError(f"groups must have one entry for each row, got {groups!r}")
    entries = pd.Series(list(groups), dtype=object)
    if len(entries) != n_rows:
        raise ValueError(f"groups has {len(entries)} entries and y has {n_rows} rows")
    for row, entry in enumerate(entries):
        if not isinstance(entry, Hashable):
            raise TypeError(
                f"groups must have one entry for each row, such as a number or a text; entry {row} "
                f"is {entry!r}"
            )
    numbers = pd.factorize(entries)[0]
    without_twin = [isinstance(entry, Real) and entry == -1 for entry in entries]
    numbers[without_twin] = -1
    return _number_groups(numbers)


def _find_twins(X, n_rows, twins):
    """Group of each row, -1 without twins, and what is listed about a row."""
    if is_graphs(X):
        X = X.to_structures()
    is_table = hasattr(X, "columns") or getattr(X, "ndim", 1) == 2
    if is_table or holds_compositions(X):
        given = "is a table" if is_table else "holds formulas"
        raise TypeError(
            f"twins are found among crystals, and X {given}; pass groups=, such as "
            "label_noise(structures, y).groups"
        )
    structures = convert_structures(cast("Structures", X))
    if len(structures) != n_rows:
        raise ValueError(f"X has {len(structures)} crystals and y has {n_rows} rows")
    lattices = infer_lattice(structures)
    formulas = [structure.composition.reduced_formula for structure in structures]
    about = {"formula": formulas, "lattice": lattices}
    labels = np.full(n_rows, -1)
    named = np.full(n_rows, twins == "lattice") & (lattices != "other")
    if named.any():
        pairs = zip(composition_groups(structures), lattices)
        numbers = pd.factorize(pd.Series(list(pairs), dtype=object))[0]
        labels[named] = numbers[named]
    others = np.flatnonzero(~named)
    for number, group in enumerate(find_duplicates([structures[row] for row in others])):
        labels[others[group]] = n_rows + number
    return _number_groups(labels), about


def _number_groups(labels):
    """Number the groups of several rows from 0, in the order of their first rows; others -1."""
    counts = pd.Series(labels).map(pd.Series(labels).value_counts()).to_numpy()
    with_twin = (labels >= 0) & (counts > 1)
    numbers = np.full(len(labels), -1)
    numbers[with_twin] = pd.factorize(labels[with_twin])[0]
    return numbers


def _estimate(values, labels, confidence_level):
    """Noise of one target and the errors that follow from it, by the formulas of `label_noise`."""
    known = ~np.isnan(values)
    table = pd.Series(values[known]).groupby(labels[known])
    parts = [part.to_numpy() for label, part in table if label >= 0 and len(part) > 1]
    result = {"known": known.sum(), "missing": (~known).sum()}
    n_twins = sum(map(len, parts))
    differences = np.concatenate([[], *(_pair_differences(part) for part in parts)])
    result |= {"twin rows": n_twins, "groups": len(parts), "pairs": len(differences)}
    freedom = n_twins - len(parts)
    squares = sum(((part - part.mean()) ** 2).sum() for part in parts)
    if not freedom:
        names = ("rms difference", "median difference", "noise", "low", "high")
        return result | dict.fromkeys([*names, "least RMSE", "expected RMSE"], np.nan)
    tails = (1 + confidence_level) / 2, (1 - confidence_level) / 2
    low, high = (np.sqrt(squares / chi2.ppf(tail, freedom)) for tail in tails)
    noise = np.sqrt(squares / freedom)
    return result | {
        "rms difference": np.sqrt(np.mean(differences**2)),
        "median difference": np.median(differences),
        "noise": noise,
        "low": low,
        "high": high,
        "least RMSE": np.sqrt(squares / known.sum()),
        "expected RMSE": noise * np.sqrt(n_twins / known.sum()),
    }


def _pair_differences(values):
    """Absolute differences of all pairs of a group."""
    return pdist(values[:, None], "cityblock")


def _differences(values, labels):
    """Label minus the mean label of the twins; NaN for rows without a label or a twin."""
    table = pd.DataFrame({"label": values, "group": labels})
    table = table[(table["group"] >= 0) & table["label"].notna()]
    groups = table.groupby("group")["label"]
    count, total = groups.transform("count"), groups.transform("sum")
    table = table.assign(others=(total - table["label"]) / (count - 1))[count > 1]
    differences = np.full(len(values), np.nan)
    differences[table.index] = table["label"] - table["others"]
    return differences
