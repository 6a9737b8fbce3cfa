"""`TernaryCut`: the predictions in one triangle, and how they are drawn."""

from collections.abc import Mapping
from numbers import Real

import numpy as np
import pandas as pd

from sklmat.compositions import fraction_column
from sklmat.plotting._ternary_axes import (
    TRIANGLE,
    connected_regions,
    innermost_point,
    project,
    triangulate,
)
from sklmat.screening import PHASE, CompositionGrid

#: Tolerance of the fractions of a cut.
TOLERANCE = 1e-6
_BOUNDARY = {"colors": "k", "linewidths": 1.6, "zorder": 3}


class TernaryCut:
    """The compositions of one triangle, with the property and energy of each phase.

    Parameters
    ----------
    display : CompositionMapDisplay
        Its ``table``, ``column`` and ``energy`` are used.
    corners : tuple of 3 str
        Elements at the corners.
    held : dict of str to float
        Fractions of the other elements.

    Attributes
    ----------
    points : ndarray of shape (n, 2)
        Positions of the compositions in the triangle.
    phases : list or None
    values : ndarray of shape (n, n_phases)
        The property.
    stability : ndarray of shape (n, n_phases)
        Energy of the most stable other phase minus that of the phase; positive where the phase is
        stable.
    stable_values : ndarray of shape (n,)
        The property of the stable phase, which the triangle shows.
    """

    def __init__(self, display, corners, held):
        table = _rows_of_cut(display.table, held, corners)
        columns = [fraction_column(symbol) for symbol in corners]
        self.phases, values, energies = _by_phase(table, display.column, display.energy, columns)
        fractions = table.drop_duplicates(columns)[columns].to_numpy()
        if len(fractions) < 3 or not np.isfinite(values).all():
            raise ValueError(
                f"a map of {'-'.join(corners)} needs three compositions or more, and finite values "
                f"of {display.column!r}; there are {len(fractions)} compositions and "
                f"{np.count_nonzero(~np.isfinite(values))} values that are not finite"
            )
        self.points = project(fractions, TRIANGLE)
        self.values = values
        self.stability = _stability(energies, values.shape)
        self.stable_phase = self.stability.argmax(axis=1)
        self.stable_values = values[np.arange(len(values)), self.stable_phase]

    def draw(self, ax, style, fontsize, avoid=None):
        """Draw the property of the stable phase, the phase boundaries and the names of the phases.

        Parameters
        ----------
        ax : matplotlib Axes
        style : dict
            Passed to ``Axes.tricontourf``.
        fontsize : float
        avoid : ndarray of shape (2,) or None, default=None
            A point that the names of phases do not cover.
        """
        triangles = triangulate(self.points)
        for phase, stability in enumerate(self.stability.T):
            if (stability < 0).all():
                continue
            contours = ax.tricontourf(triangles, self.values[:, phase], zorder=1, **style)
            if (stability < 0).any():
                _clip_to_positive(ax, contours, triangles, stability)
                ax.tricontour(triangles, stability, levels=[0], **_BOUNDARY)
        if self.phases is not None:
            self._write_phases(ax, triangles, fontsize, avoid)

    def _write_phases(self, ax, triangles, fontsize, avoid):
        """Write the name of each phase into its regions."""
        for number, phase in enumerate(self.phases):
            for inside in connected_regions(triangles, self.stable_phase == number):
                position = innermost_point(self.points, inside, TRIANGLE, avoid)
                write_phase(ax, position, phase, fontsize)


def _stability(energies, shape):
    """Energy of the most stable other phase minus that of each phase; infinite without energies."""
    if energies is None:
        return np.full(shape, np.inf)
    differences = [
        np.delete(energies, phase, axis=1).min(axis=1) - energies[:, phase]
        for phase in range(energies.shape[1])
    ]
    return np.column_stack(differences)


def _clip_to_positive(ax, contours, triangles, stability):
    """Show filled contours only where `stability` is positive."""
    region = ax.tricontourf(triangles, stability, levels=[0, max(stability.max(), 1e-12) * 2])
    path = region.get_paths()[0]
    region.remove()
    contours.set_clip_path(path, ax.transData)


def write_phase(ax, position, phase, fontsize):
    """Write the name of a phase, with a white outline."""
    from matplotlib.patheffects import withStroke

    outline = withStroke(linewidth=2.5, foreground="white")
    style = {"ha": "center", "va": "center", "zorder": 6, "path_effects": [outline]}
    ax.text(*position, str(phase), fontsize=fontsize, **style)


def list_cuts(elements, held):
    """List the triangles of a map.

    Parameters
    ----------
    elements : list of 3 to 5 str
    held : dict of str to float, float or None
        As in `CompositionMapDisplay`.

    Returns
    -------
    cuts : list of (tuple of 3 str, dict of str to float)
        The elements at the corners of each triangle, and the fractions of the other elements.
    """
    n_elements = len(elements)
    if not 3 <= n_elements <= 5 or len(set(elements)) < n_elements:
        raise ValueError(
            f"a map takes three to five different elements, got {elements}: hold others, with "
            "held={...}"
        )
    if n_elements == 3:
        fractions = {} if held is None else held
        are_numbers = isinstance(fractions, Mapping) and all(
            isinstance(value, Real) for value in fractions.values()
        )
        if not are_numbers:
            raise ValueError(
                f"held={held!r} must be a dict from other elements to their fractions, such as "
                "{'Co': 0.1}, where three elements are at the corners"
            )
        fractions = dict(fractions)
        total = sum(fractions.values())
        is_negative = min(fractions.values(), default=0) < 0
        if not 0 <= total < 1 or is_negative or {*fractions} & {*elements}:
            raise ValueError(f"held={held} must be fractions of other elements, below 1 together")
        return [(tuple(elements), fractions)]
    fraction = 1 / n_elements if held is None else held
    if not np.isscalar(fraction) or not 0 <= fraction * (n_elements - 3) < 1:
        raise ValueError(
            f"held={held!r} must be one fraction, below {1 / (n_elements - 3):.3g}, for the "
            "elements that a triangle does not show"
        )
    cuts = []
    for omitted in _omitted_elements(elements):
        corners = tuple(symbol for symbol in elements if symbol not in omitted)
        cuts.append((corners, dict.fromkeys(omitted, fraction)))
    return cuts


def _omitted_elements(elements):
    """Return the elements that each triangle does not show, in the order of the panels."""
    if len(elements) == 4:
        return [(symbol,) for symbol in elements]
    return [(elements[column], elements[row]) for row in range(1, 5) for column in range(row)]


def cut_points(corners, held, step):
    """Make the compositions of a triangle, as a table of fractions."""
    total = 1 - sum(held.values())
    divisions = max(1, round(total / step))
    grid = CompositionGrid(corners, divisions, [0] * 3, [divisions] * 3)
    columns = {fraction_column(symbol): fraction for symbol, fraction in held.items()}
    return (grid.points() * total).assign(**columns)


def _rows_of_cut(table, held, corners):
    """Return the rows of a table whose compositions are on a cut."""
    columns = [fraction_column(symbol) for symbol in (*corners, *held)]
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"the table has no columns {missing}")
    total = sum(held.values())
    inside = np.abs(table[columns[:3]].sum(axis=1) - (1 - total)) < TOLERANCE
    for symbol, fraction in held.items():
        inside &= np.abs(table[fraction_column(symbol)] - fraction) < TOLERANCE
    if not inside.any():
        raise ValueError(
            f"the table has no compositions with {held_title(held)}: choose others in held"
        )
    return table[inside]


def _by_phase(table, column, energy, columns):
    """Return the phases, and for each phase a column of the property and of the energies."""
    if energy is None:
        return None, table[[column]].to_numpy(dtype=float), None
    phases = list(pd.unique(table[PHASE]))
    number = table.groupby(columns, sort=False).ngroup()
    if pd.DataFrame({"number": number, PHASE: table[PHASE]}).duplicated().any():
        raise ValueError("a composition has more than one row of a phase: remove the duplicates")
    table = table.assign(number=number)
    values, energies = (
        table.pivot(index="number", columns=PHASE, values=name)[phases] for name in (column, energy)
    )
    if values.isna().any(axis=None) or energies.isna().any(axis=None):
        raise ValueError(
            "each composition needs a row for each phase: screen without stable_only, and keep all"
        )
    return phases, values.to_numpy(), energies.to_numpy()


def held_title(held):
    """Write the fractions of the held elements as the title of a triangle."""
    groups = {}
    for symbol, fraction in held.items():
        groups.setdefault(f"{100 * fraction:.3g}", []).append(symbol)
    return "; ".join(
        f"{', '.join(symbols)}: {percent} at.%" + " each" * (len(symbols) > 1)
        for percent, symbols in groups.items()
    )
