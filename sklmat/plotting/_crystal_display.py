"""`CrystalDisplay`: a crystal in two dimensions, its sites coloured by element or by values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd

from sklmat.argument_checks import checked_arguments, is_int
from sklmat.docstrings import insert_paragraphs, parameter_paragraphs
from sklmat.elements import element_symbols
from sklmat.plotting._crystal_drawing import (
    cell_edges,
    clearest_view,
    drawn_atoms,
    drawn_shapes,
    find_bonds,
    hidden_atoms,
    view_along,
)
from sklmat.plotting._layout import (
    COLUMN_WIDTH,
    LABEL_SIZE,
    NOTE_SIZE,
    TICK_SIZE,
    check_limits,
    new_axes,
    plain_ticks,
    with_unit,
)
from sklmat.plotting._shared_docstrings import PANEL_PARAGRAPHS
from sklmat.plotting._style import COLORS, ends_with_arrows, legend_above, text_color
from sklmat.structures import as_items, check_structures, covalent_radii, is_graphs
from sklmat.targets import number_array

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms
    from matplotlib.axes import Axes
    from pymatgen.core.structure import IStructure

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, Structures

#: Radii of the circles, as multiples of covalent radii; smaller in cells of many atoms.
_RADIUS, _SMALL_RADIUS = 0.42, 0.34
#: Above this number of sites, circles are smaller and have no symbols.
_FEW_SITES = 100
#: Symbols are not written below this size (points).
_SMALLEST_TEXT = 6
#: Smallest and largest height of a new figure (inches).
_HEIGHTS = (1.8, 4.6)
#: Colours from negative to positive values, white at zero.
_CMAP = "RdBu_r"
#: Outline of sites with negative values.
_NEGATIVE = (0, (2.4, 1.6))
#: Face and outline of bonds and of edges of the cell.
_SHAPE_COLORS = {"bond": ("0.85", "0.5"), "edge": ("0.4", "0.4")}
#: Lengths of the bar that shows the scale (Å).
_SCALES = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

_PARAGRAPHS = PANEL_PARAGRAPHS | parameter_paragraphs("""
    label : str or None, default=None
        What the values are, for the colour bar.
    unit : str or None, default=None
        Unit of the values.
    limits : tuple of two floats or None, default=None
        Ends of the colour bar; None takes the largest absolute value and its negative. White is
        always zero. Values outside have the colour of the nearer end.
    direction : "auto" or tuple of three ints, default="auto"
        The crystal is seen along this sum of lattice vectors: (0, 0, 1) is along c, (1, 1, 0) along
        a + b. "auto" takes, from the lattice vectors and their sums, the one along which atoms
        cover each other least, and turns the crystal slightly.
    bonds : bool, default=True
        Whether bonds are drawn, see Notes of the class.
""")


@insert_paragraphs(_PARAGRAPHS)
class CrystalDisplay:
    """Drawing of the unit cell of a crystal, with sites coloured by element or by values.

    Atoms on faces, edges and corners of the cell are drawn with their periodic images. Edges of the
    cell behind the atoms are dashed. A bar shows the scale, in Å. With values, the colour of a site
    is its value and the symbol its element; the outlines of sites with negative values are dashed,
    so that signs can be read without colours.

    `from_structure` draws a crystal, `from_attribution` a crystal with the attributions of its
    sites to a prediction. The constructor only stores its arguments.

    Parameters
    ----------
    structure : pymatgen Structure
        The crystal.
    values : ndarray of shape (N,) or None, default=None
        A number for each of the N sites; None colours the sites by element.
    {label}
    {unit}
    {limits}
    {direction}
    {bonds}

    Attributes
    ----------
    atoms_ : DataFrame
        The drawn atoms, the farthest first: ``site``, ``element``, ``x``, ``y`` and ``radius`` of
        the circle, and ``depth`` towards the viewer (Å).
    bonds_ : ndarray of shape (B, 2)
        Sites at the ends of each drawn bond.
    limits_ : tuple of two floats or None
        Ends of the colour bar, or None without values.
    {ax_}
    {figure_}

    See Also
    --------
    site_attribution : Contributions of sites, for `from_attribution`.

    Notes
    -----
    The circles have 0.42 times the covalent radii of the elements (0.34 times above 100 sites,
    where symbols are left out). Two drawn atoms are bonded if they are closer than 1.2 times the
    sum of their covalent radii. In crystals with nonmetals, metals are bonded to nonmetals only,
    and Na, K, Rb, Cs, Ca, Sr, Ba and lanthanides only to nonmetal atoms without another bond. In
    SrTiO₃, for example, the octahedra around Ti are drawn, but not the bonds of Sr. Bonds of metals
    are left out above 16 sites.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat.plotting import CrystalDisplay
    >>> rocks = Structure(Lattice.cubic(4.2), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> display = CrystalDisplay.from_structure(rocks, [0.3, -0.1], label="charge", unit="e")
    >>> display.atoms_["element"].value_counts().to_dict()  # an atom on a corner is drawn 8 times
    {'Mg': 8, 'O': 1}
    >>> display.limits_
    (-0.3, 0.3)
    """

    @checked_arguments()
    def __init__(
        self,
        *,
        structure: IStructure,
        values: np.ndarray | None = None,
        label: str | None = None,
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
        direction: Literal["auto"] | tuple[int, int, int] = "auto",
        bonds: bool = True,
    ) -> None:
        self.structure = structure
        self.values = values
        self.label = label
        self.unit = unit
        self.limits = limits
        self.direction = direction
        self.bonds = bonds

    @classmethod
    @checked_arguments()
    def from_structure(
        cls,
        structure: IStructure | Atoms | dict[str, Any] | str | Path,
        values: ArrayLike | None = None,
        *,
        label: str | None = None,
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
        direction: Literal["auto"] | tuple[int, int, int] = "auto",
        bonds: bool = True,
        ax: Axes | None = None,
    ) -> Self:
        """Draw a crystal.

        Parameters
        ----------
        structure : pymatgen Structure, ASE Atoms, dict, path or text of a file
            One crystal, as an item of what `check_structures` takes.
        values : array-like of shape (N,) or None, default=None
            A number for each of the N sites, in their order; None colours the sites by element.
        {label}
        {unit}
        {limits}
        {direction}
        {bonds}
        {ax}

        Returns
        -------
        display : CrystalDisplay

        Raises
        ------
        InvalidStructureError
            When the crystal is invalid, see `check_structures`.
        ValueError
            When there is not one finite value for each site, or when `direction` or `limits` cannot
            be used.
        """
        (crystal,) = check_structures([structure])
        display = cls(
            structure=crystal,
            values=None if values is None else _checked_values(values, crystal),
            label=label,
            unit=unit,
            limits=check_limits(limits),
            direction=_checked_direction(direction),
            bonds=bonds,
        )
        return display.plot(ax=ax)

    @classmethod
    @checked_arguments()
    def from_attribution(
        cls,
        table: pd.DataFrame,
        X: Structures | CrystalGraphs,
        row: int = 0,
        *,
        label: str | None = "attribution",
        unit: str | None = None,
        limits: tuple[float, float] | None = None,
        direction: Literal["auto"] | tuple[int, int, int] = "auto",
        bonds: bool = True,
        ax: Axes | None = None,
    ) -> Self:
        """Draw a crystal with the attributions of its sites.

        Parameters
        ----------
        table : DataFrame
            From `site_attribution`, with the columns ``row``, ``site``, ``element`` and
            ``attribution``.
        X : sequence of C structures, or CrystalGraphs
            The crystals that were explained.
        row : int, default=0
            Row of `X` to draw.
        {label}
        unit : str or None, default=None
            Unit of the target of a regressor; "log-odds" for a classifier.
        {limits}
        {direction}
        {bonds}
        {ax}

        Returns
        -------
        display : CrystalDisplay

        Raises
        ------
        ValueError
            When the table lacks a column, or is not that of the crystals in `X`.
        """
        missing = {"row", "site", "element", "attribution"} - set(table)
        if missing:
            raise ValueError(
                f"the table has no column {min(missing)!r}; pass what site_attribution returned"
            )
        n_crystals = len(X) if is_graphs(X) else len(as_items(X))
        if not 0 <= row < n_crystals:
            raise ValueError(f"row must be from 0 to {n_crystals - 1}, got {row}")
        item = X[[row]].to_structures()[0] if is_graphs(X) else as_items(X)[row]
        (structure,) = check_structures([item])
        sites = table[table["row"] == row].sort_values("site")
        elements = [site.specie.symbol for site in structure]
        if sites["element"].tolist() != elements:
            raise ValueError(
                f"row {row} of X is {structure.formula.replace(' ', '')} with {len(structure)} "
                f"sites, but the table has {len(sites)} sites or other elements for this row"
            )
        return cls.from_structure(
            structure,
            sites["attribution"].to_numpy(),
            label=label,
            unit=unit,
            limits=limits,
            direction=direction,
            bonds=bonds,
            ax=ax,
        )

    @checked_arguments()
    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the plot, or draw it again on other axes.

        Parameters
        ----------
        {ax}

        Returns
        -------
        display : CrystalDisplay
            The display itself.
        """
        drawn = drawn_atoms(self.structure)
        scale = _RADIUS if len(self.structure) <= _FEW_SITES else _SMALL_RADIUS
        radii = scale * covalent_radii()[drawn.numbers]
        lattice = self.structure.lattice.matrix
        if isinstance(self.direction, str):
            view = clearest_view(lattice, drawn, radii)
        else:
            view = view_along(lattice, np.array(self.direction), tilt=False)
        # The farthest atoms are the first.
        order = np.argsort(drawn.positions @ view[2], kind="stable")
        drawn, radii = drawn.take(order), radii[order]
        points = drawn.positions @ view.T
        edges = cell_edges(self.structure) @ view.T
        pairs = find_bonds(drawn) if self.bonds else np.empty((0, 2), dtype=int)
        self.bonds_ = drawn.site[pairs]
        self.atoms_ = pd.DataFrame(points, columns=["x", "y", "depth"])
        self.atoms_.insert(0, "site", drawn.site)
        self.atoms_.insert(1, "element", element_symbols(drawn.numbers))
        self.atoms_["radius"] = radii
        low, high = _extent(points, radii, edges)
        if ax is None:
            width, height = high - low
            height *= 0.85 * COLUMN_WIDTH / width
            ax = new_axes(float(np.clip(height + 0.3, *_HEIGHTS)))
        self.ax_, self.figure_ = ax, ax.figure
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
        ax.set_axis_off()
        colors = self._colors_of_atoms()
        self._draw_shapes(drawn_shapes(points, radii, pairs, edges), colors)
        self._draw_scale(low, high)
        self._name_axes(view, _margin(high - low))
        self._write_legend(colors, self._write_symbols(colors))
        return self

    def _colors_of_atoms(self):
        """Colour of each drawn atom; with values, also draw the colour bar."""
        self.limits_ = None
        if self.values is None:
            symbols = element_symbols(range(1, 119))
            symbols = [symbol for symbol in symbols if symbol in set(self.atoms_["element"])]
            # More elements than colours are known by their symbols.
            colors = COLORS if len(symbols) <= len(COLORS) else ["0.85"] * len(symbols)
            return self.atoms_["element"].map(dict(zip(symbols, colors))).tolist()
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        largest = float(np.abs(self.values).max()) or 1.0
        self.limits_ = low, high = self.limits or (-largest, largest)
        # White is zero, also where the limits are not symmetric.
        end = max(abs(low), abs(high))
        scale = ScalarMappable(Normalize(-end, end), _CMAP)
        self.colorbar_ = self.figure_.colorbar(
            scale,
            cax=self.ax_.inset_axes([1.02, 0.1, 0.05, 0.8]),
            extend=ends_with_arrows(self.values, self.limits_),
        )
        self.colorbar_.ax.set_ylim(low, high)
        plain_ticks(self.colorbar_.ax.yaxis, 4)
        self.colorbar_.ax.tick_params(labelsize=TICK_SIZE)
        label = with_unit(self.label or "value", self.unit)
        self.colorbar_.set_label(label, size=LABEL_SIZE)
        colors = scale.to_rgba(np.clip(self.values, low, high))
        return [tuple(color) for color in colors[self.atoms_["site"]]]

    def _draw_shapes(self, shapes, colors):
        """Draw atoms, bonds and edges as one collection of polygons, the farthest first."""
        from matplotlib.collections import PolyCollection

        faces, outlines, lines, widths = [], [], [], []
        for shape in shapes:
            is_atom = shape.kind == "atom"
            site = self.atoms_["site"][shape.number] if is_atom else None
            is_negative = is_atom and self.values is not None and self.values[site] < 0
            faces.append(colors[shape.number] if is_atom else _SHAPE_COLORS[shape.kind][0])
            outlines.append("0.15" if is_atom else _SHAPE_COLORS[shape.kind][1])
            lines.append(_NEGATIVE if is_negative else "-")
            widths.append(0.3 if shape.kind == "edge" else 0.8)
        self.ax_.add_collection(
            PolyCollection(
                [shape.polygon for shape in shapes],
                facecolors=faces,
                edgecolors=outlines,
                linestyles=lines,
                linewidths=widths,
                zorder=2,
            )
        )

    def _draw_scale(self, low, high):
        """Draw a bar of a round length in the strip below the crystal."""
        x, y = low + _margin(high - low)
        longest = max(0.3 * (high[0] - low[0]), _SCALES[0])
        length = max(scale for scale in _SCALES if scale <= longest)
        self.ax_.plot([x, x + length], [y, y], color="black", linewidth=2, solid_capstyle="butt")
        text = {"ha": "left", "va": "center", "fontsize": NOTE_SIZE, "zorder": 4}
        self.ax_.text(x + length, y, f" {length:g} Å", **text)

    def _name_axes(self, view, margin):
        """Write a, b and c at the ends of the lattice vectors."""
        edges = cell_edges(self.structure)
        if not len(edges):
            return
        origin = edges[0, 0] @ view[:2].T
        circles = self.atoms_[["x", "y"]].to_numpy()
        lattice = self.structure.lattice
        for name, vector in zip("abc", np.where(np.array(lattice.pbc)[:, None], lattice.matrix, 0)):
            along = vector @ view[:2].T
            length = np.linalg.norm(along)
            if length <= 0.15 * np.linalg.norm(vector):
                continue  # The vector points to the viewer, or is not periodic.
            end = origin + along
            at_end = np.linalg.norm(circles - end, axis=1) < 0.5
            gap = self.atoms_["radius"][at_end].max() if at_end.any() else 0
            text = {"ha": "center", "va": "center", "fontsize": NOTE_SIZE, "fontstyle": "italic"}
            self.ax_.text(*(end + (gap + margin) * along / length), name, **text, zorder=4)

    def _write_symbols(self, colors):
        """Write the symbols of the elements on their atoms, if they fit.

        Return whether all elements have one.
        """
        box = self.ax_.get_window_extent().size / self.figure_.dpi * 72
        low, high = np.array([self.ax_.get_xlim(), self.ax_.get_ylim()]).T
        sizes = 1.4 * (box / (high - low)).min() * self.atoms_["radius"]
        if len(self.structure) > _FEW_SITES or (
            sizes.min() < _SMALLEST_TEXT and len(set(self.atoms_["element"])) <= len(COLORS)
        ):
            return False
        visible = np.flatnonzero(~hidden_atoms(self.atoms_))
        for row in visible:
            atom = self.atoms_.iloc[row]
            self.ax_.text(
                atom["x"],
                atom["y"],
                atom["element"],
                ha="center",
                va="center_baseline",
                fontsize=float(np.clip(sizes[row], _SMALLEST_TEXT, LABEL_SIZE)),
                color=text_color(colors[row]),
                zorder=3,
            )
        return set(self.atoms_["element"][visible]) == set(self.atoms_["element"])

    def _write_legend(self, colors, has_symbols):
        """Explain colours or sizes of the elements, and dashed outlines."""
        from matplotlib.lines import Line2D

        handles = []
        symbols = [s for s in element_symbols(range(1, 119)) if s in set(self.atoms_["element"])]
        if len(symbols) <= len(COLORS) and (self.values is None or not has_symbols):
            # With values, elements without symbols on their atoms are known by their size.
            largest = self.atoms_["radius"].max()
            for symbol in symbols:
                row = int(np.argmax(self.atoms_["element"] == symbol))
                size = 9 * self.atoms_["radius"][row] / largest
                handles.append(
                    Line2D(
                        [],
                        [],
                        linestyle="",
                        marker="o",
                        markersize=8 if self.values is None else size,
                        color=colors[row] if self.values is None else "0.7",
                        markeredgecolor="0.15",
                        markeredgewidth=0.7,
                        label=symbol,
                    )
                )
        if self.values is not None and (self.values < 0).any():
            style = {"facecolors": "white", "edgecolors": "0.15", "linewidths": 0.9}
            style |= {"s": 64, "linestyles": [_NEGATIVE], "label": "below zero"}
            handles.append(self.ax_.scatter([], [], **style))
        if handles:
            legend_above(self.ax_, handles)


def _checked_values(values, structure):
    """Values of the sites as numbers, or raise a ValueError."""
    values = number_array(values, "values")
    if values.shape != (len(structure),):
        raise ValueError(
            f"values must have one number for each of the {len(structure)} sites of "
            f"{structure.formula.replace(' ', '')}, got the shape {values.shape}"
        )
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise ValueError(f"values is {values[wrong[0]]} for site {wrong[0]}; it must be finite")
    return values


def _checked_direction(direction):
    """The direction of the view as "auto" or three ints, or raise a ValueError."""
    if isinstance(direction, str) and direction == "auto":
        return direction
    try:
        numbers = [] if isinstance(direction, str) else list(direction)
    except TypeError:
        numbers = []
    if len(numbers) != 3 or not all(is_int(n) for n in numbers) or not any(numbers):
        raise ValueError(
            f"direction must be 'auto' or three ints that are not all zero, got {direction!r}"
        )
    return tuple(int(n) for n in numbers)


def _margin(size):
    """Empty space around the drawing, for names of axes (Å)."""
    return 0.04 * max(size)


def _extent(points, radii, edges):
    """Lower left and upper right corner of all that is drawn, with a strip below for the bar."""
    circles = points[:, :2]
    ends = edges[..., :2].reshape(-1, 2)
    low = np.concatenate([circles - radii[:, None], ends]).min(axis=0)
    high = np.concatenate([circles + radii[:, None], ends]).max(axis=0)
    margin = 2 * _margin(high - low)
    return low - [margin, 2 * margin], high + margin
