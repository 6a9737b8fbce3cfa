"""`DatasetReport`: what `check_dataset` found, as text and as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

#: Lines of each part that the text shows.
_MAX_LINES = 20


@dataclass
class DatasetReport:
    """What `check_dataset` found.

    Parameters
    ----------
    source : str
        Where the crystals come from.
    n_crystals : int
        Crystals that can be used.
    targets : list of str
        Names of the targets.
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
        Targets with the same value in all rows.
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
        """Convert the report to plain data for JSON.

        Returns
        -------
        dict
            All parts of the report, and ``version``, the version of this layout: the keys stay the
            same within a version.
        """
        return {
            "version": 1,
            "source": self.source,
            "n_crystals": self.n_crystals,
            "targets": self.targets,
            "findings": self.findings,
            "rejected": self._rejected_rows(),
            "duplicates": self.duplicates,
            "contradictions": self.contradictions,
            "size_dependence": self.size_dependence,
            "constant_targets": self.constant_targets,
            "elements": self.elements,
            "sizes": self.sizes,
            "missing": self.missing,
            "notes": self.notes,
        }

    def _rejected_rows(self):
        rejected = self.rejected.astype(object)
        return rejected.where(rejected.notna(), None).to_dict("records")

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
        lines += _section("unusable", list(map(_line, self._rejected_rows())))
        lines += _section("the same crystal", [", ".join(ids) for ids in self.duplicates])
        labels = [
            f"{entry['target']}: "
            + ", ".join(f"{name} {value}" for name, value in zip(entry["ids"], entry["values"]))
            for entry in self.contradictions
        ]
        lines += _section("labels that contradict each other", labels)
        lines += _section("assumed in reading", self.notes)
        return "\n".join(lines)


def _line(rejected):
    """One row that cannot be used."""
    parts = [
        f"{name} {rejected[name]}"
        for name in ("row", "id", "file")
        if rejected[name] or (rejected[name] == 0)
    ]
    return f"{', '.join(parts)}: {rejected['reason']}"


def _count(number, one, several=None):
    return f"{number} {one if number == 1 else several or one + 's'}"


def _section(title, lines):
    if not lines:
        return []
    shown = [f"  {line}" for line in lines[:_MAX_LINES]]
    if len(lines) > _MAX_LINES:
        shown.append(f"  ... and {len(lines) - _MAX_LINES} more")
    return ["", f"{title}:", *shown]
