"""Triangles cut out of a table of predictions."""

import numpy as np
import pandas as pd

from sklmat.plotting._ternary_axes import TRIANGLE, innermost, pieces, project, triangulate
from sklmat.screening import CompositionGrid
from sklmat.screening._prediction_columns import PHASE

#: How exactly fractions must be those asked for.
TOLERANCE = 1e-6
_BOUNDARY = {"colors": "k", "linewidths": 1.6, "zorder": 3}


class Cut:
    """The rows of one triangle, a column for each phase."""

    def __init__(self, display, corners, others):
        table = _rows_at(display.table, others, corners)
        columns = [f"x_{symbol}" for symbol in corners]
        self.phases, values, energies = _by_phase(table, display.column, display.energy, columns)
        self.fractions = table.drop_duplicates(columns)[columns].to_numpy()
        if len(self.fractions) < 3 or not np.isfinite(values).all():
            raise ValueError(
                f"a map of {'-'.join(corners)} needs three compositions or more, and finite values "
                f"of {display.column!r}; there are {len(self.fractions)} compositions and "
                f"{np.count_nonzero(~np.isfinite(values))} values that are not finite"
            )
        self.points = project(self.fractions, TRIANGLE)
        self.values = values
        if energies is None:
            self.leads = np.full_like(values, np.inf)
        else:
            self.leads = np.column_stack([
                np.delete(energies, k, axis=1).min(axis=1) - energies[:, k]
                for k in range(energies.shape[1])
            ])  # fmt: skip
        self.stable = self.leads.argmax(axis=1)
        self.shown = values[np.arange(len(values)), self.stable]

    def draw(self, ax, style, fontsize, avoid=None):
        """Fill each region with the property of its phase, and draw the lines between them."""
        triangles = triangulate(self.points)
        for k, lead in enumerate(self.leads.T):
            if (lead < 0).all():
                continue
            filled = ax.tricontourf(triangles, self.values[:, k], zorder=1, **style)
            if (lead < 0).any():
                self._clip(ax, filled, triangles, lead)
                ax.tricontour(triangles, lead, levels=[0], **_BOUNDARY)
        if self.phases is not None:
            self._name_regions(ax, triangles, fontsize, avoid)

    def _clip(self, ax, filled, triangles, lead):
        region = ax.tricontourf(triangles, lead, levels=[0, max(lead.max(), 1e-12) * 2])
        path = region.get_paths()[0]
        region.remove()
        filled.set_clip_path(path, ax.transData)

    def _name_regions(self, ax, triangles, fontsize, avoid):
        for k, phase in enumerate(self.phases):
            for inside in pieces(triangles, self.stable == k):
                place = innermost(self.points, inside, TRIANGLE, avoid)
                write_name(ax, place, phase, fontsize)


def write_name(ax, place, phase, fontsize):
    """Write the name of a phase."""
    from matplotlib.patheffects import withStroke

    halo = withStroke(linewidth=2.5, foreground="white")
    style = {"ha": "center", "va": "center", "zorder": 6, "path_effects": [halo]}
    ax.text(*place, str(phase), fontsize=fontsize, **style)


def cuts_of(elements, held):
    """Each triangle: its three corners, and the fractions of the other elements."""
    n = len(elements)
    if not 3 <= n <= 5 or len(set(elements)) < n:
        raise ValueError(
            f"a map takes three to five different elements, got {elements}: hold others, with "
            "held={...}"
        )
    if n == 3:
        others = dict(held or {})
        total = sum(others.values())
        if not 0 <= total < 1 or min(others.values(), default=0) < 0 or {*others} & {*elements}:
            raise ValueError(f"held={held} must be fractions of other elements, below 1 together")
        return [(tuple(elements), others)]
    level = 1 / n if held is None else held
    if not np.isscalar(level) or not 0 <= level * (n - 3) < 1:
        raise ValueError(
            f"held={held!r} must be one fraction, below {1 / (n - 3):.3g}, for the elements that a "
            "triangle does not show"
        )
    return [
        (tuple(s for s in elements if s not in pair), dict.fromkeys(pair, level))
        for pair in _pairs(elements)
    ]


def _pairs(elements):
    """The elements that each triangle leaves out, in the order of the panels."""
    if len(elements) == 4:
        return [(symbol,) for symbol in elements]
    return [(elements[c], elements[r]) for r in range(1, 5) for c in range(r)]


def cut_points(corners, others, step):
    """Compositions on a triangle."""
    total = 1 - sum(others.values())
    divisions = max(1, round(total / step))
    grid = CompositionGrid(corners, divisions, [0] * 3, [divisions] * 3)
    return (grid.points() * total).assign(**{f"x_{name}": x for name, x in others.items()})


def _rows_at(table, others, corners):
    """The rows of a table that lie on a cut."""
    missing = [f"x_{s}" for s in (*corners, *others) if f"x_{s}" not in table]
    if missing:
        raise ValueError(f"the table has no columns {missing}")
    total = sum(others.values())
    inside = np.abs(table[[f"x_{s}" for s in corners]].sum(axis=1) - (1 - total)) < TOLERANCE
    for symbol, fraction in others.items():
        inside &= np.abs(table[f"x_{symbol}"] - fraction) < TOLERANCE
    if not inside.any():
        raise ValueError(
            f"the table has no compositions with {title_of(others)}: choose others in held"
        )
    return table[inside]


def _by_phase(table, column, energy, columns):
    """Phases, and a column of values and of energies for each."""
    if energy is None:
        return None, table[[column]].to_numpy(dtype=float), None
    phases = list(pd.unique(table[PHASE]))
    key = table.groupby(columns, sort=False).ngroup()
    if pd.DataFrame({"key": key, PHASE: table[PHASE]}).duplicated().any():
        raise ValueError("a composition has more than one row of a phase: remove the duplicates")
    table = table.assign(key=key)
    values, energies = (
        table.pivot(index="key", columns=PHASE, values=name)[phases] for name in (column, energy)
    )
    if values.isna().any(axis=None) or energies.isna().any(axis=None):
        raise ValueError(
            "each composition needs a row for each phase: screen without stable_only, and keep all"
        )
    return phases, values.to_numpy(), energies.to_numpy()


def title_of(others):
    """How the fractions of held elements are written."""
    groups = {}
    for symbol, fraction in others.items():
        groups.setdefault(f"{100 * fraction:.3g}", []).append(symbol)
    return "; ".join(
        f"{', '.join(symbols)}: {percent} at.%" + " each" * (len(symbols) > 1)
        for percent, symbols in groups.items()
    )
