"""`ElementMapDisplay`: elemental vectors of a network in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd

from sklmat.argument_checks import checked_arguments
from sklmat.deprecation import renamed_parameters
from sklmat.docstrings import insert_paragraphs
from sklmat.elements import element_symbols
from sklmat.plotting._layout import NOTE_SIZE, check_limits, new_axes
from sklmat.plotting._shared_docstrings import PANEL_PARAGRAPHS
from sklmat.plotting._style import COLORS, MARKERS, RASTERIZE_ABOVE, color_series, is_grouping
from sklmat.targets import number_array, plain_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sklmat.estimators import ECNetClassifier, ECNetRegressor
    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, RandomState, Structures

#: Marker area (points²) for a fraction of 0, and its increase for a fraction of 1.
_MIN_AREA, _AREA_PER_FRACTION = 6, 90
#: Fractions in the legend of the marker sizes.
_LEGEND_FRACTIONS = (0.1, 0.5, 0.9)


@insert_paragraphs(PANEL_PARAGRAPHS)
@renamed_parameters(color="color_by")
class ElementMapDisplay:
    """Map of the elemental vectors of crystals: one point for each element in each crystal.

    A network such as `ECNetRegressor` computes a vector for every element of a crystal, which
    depends on the element and its surroundings. The map shows the first two principal components of
    these vectors, or a t-SNE. All points of an element have the same marker and, unless `color_by`
    is given, the same colour; the symbol of the element is at the median of its points.

    `from_estimator` creates the display from a fitted network and crystals, `from_vectors` from
    given vectors. The constructor only stores its arguments.

    Parameters
    ----------
    points : ndarray of shape (P, 2)
        Coordinates of the points.
    atomic_numbers : ndarray of shape (P,)
        Element of each point.
    fraction : ndarray of shape (P,) or None, default=None
        Fraction of the crystal's atoms that are of this element, shown as the marker area; with
        None all areas are equal.
    color_by : array-like of shape (P,) or None, default=None
        Values that colour the points, instead of one colour per element. Strings, or up to seven
        different values, are drawn as groups with a legend; other numbers with a colour scale. The
        name of a Series is the title of the legend or colour bar.
    limits : tuple of two floats or None, default=None
        Ends of the colour scale; None includes all values.
    method : {"pca", "tsne"} or None, default=None
        Method that computed the points, for the labels of the axes.
    explained_variance_ratio : ndarray of shape (2,) or None, default=None
        Fraction of the variance that each principal component explains.

    Attributes
    ----------
    labels_ : dict of str to matplotlib Text
        Symbols on the map. If clusters overlap, move a symbol with its ``set_position``.
    {ax_}
    {figure_}

    See Also
    --------
    ECNetRegressor : Its ``elemental_vectors`` are drawn.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklmat.plotting import ElementMapDisplay
    >>> vectors = [[0.0, 0.0, 1.0], [0.0, 0.2, 1.0], [3.0, 0.1, 1.0], [3.1, 0.0, 1.0]]
    >>> display = ElementMapDisplay.from_vectors(vectors, [28, 28, 29, 29])
    >>> list(display.labels_)
    ['Ni', 'Cu']
    >>> display.ax_.get_xlabel()
    'principal component 1\\n(99.7 % of variance)'
    """

    @checked_arguments()
    def __init__(
        self,
        *,
        points: np.ndarray,
        atomic_numbers: np.ndarray,
        fraction: np.ndarray | None = None,
        color_by: ArrayLike | None = None,
        limits: tuple[float, float] | None = None,
        method: Literal["pca", "tsne"] | None = None,
        explained_variance_ratio: np.ndarray | None = None,
    ) -> None:
        self.points = points
        self.atomic_numbers = atomic_numbers
        self.fraction = fraction
        self.color_by = color_by
        self.limits = limits
        self.method = method
        self.explained_variance_ratio = explained_variance_ratio

    @classmethod
    @renamed_parameters(color="color_by")
    @checked_arguments()
    def from_estimator(
        cls,
        estimator: ECNetRegressor | ECNetClassifier,
        X: Structures | CrystalGraphs,
        *,
        method: Literal["pca", "tsne"] = "pca",
        elements: Sequence[str] | None = None,
        color_by: ArrayLike | None = None,
        limits: tuple[float, float] | None = None,
        random_state: RandomState = None,
        ax: Axes | None = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Draw the elemental vectors that a fitted network computes for crystals.

        Parameters
        ----------
        estimator : fitted ECNetRegressor or ECNetClassifier
            The network; a ``FrozenEstimator`` of it is also accepted.
        X : sequence of C structures, or CrystalGraphs
            The crystals. Vectors of training rows depend on their targets.
        method : {"pca", "tsne"}, default="pca"
            The first two principal components show as much of the variance as two linear axes can.
            t-SNE shows which points are neighbours; the size of its clusters and the distances
            between them have no meaning.
        elements : sequence of str or None, default=None
            Symbols of the elements to project and draw. The map of a single element shows how its
            vector varies with the surroundings, whereas the map of several elements mostly shows
            their differences. None draws all elements.
        color_by : array-like of shape (C,) or None, default=None
            Property of the crystals that colours the points, such as the target or the phase.
            Strings, or up to seven different values, are drawn as groups with a legend; other
            numbers with a colour scale. The name of a Series is the title of the legend or colour
            bar. None gives every element its own colour.
        limits : tuple of two floats or None, default=None
            Ends of the colour scale, see the class.
        random_state : int, RandomState or None, default=None
            Seed of t-SNE; principal components are deterministic.
        {ax}
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : ElementMapDisplay

        Raises
        ------
        TypeError
            When the estimator has no elemental vectors.
        ValueError
            When `color_by` does not have one entry per crystal, or when there are fewer than three
            points.
        """
        if not hasattr(estimator, "elemental_vectors"):
            raise TypeError(
                f"a {type(estimator).__name__} has no elemental_vectors: pass a fitted ECNet "
                "estimator, and of a pipeline its last step with X as that step receives it"
            )
        vectors, crystal, atomic_numbers, fraction = estimator.elemental_vectors(X)
        if color_by is not None:
            series = color_series(color_by, len(X), "crystals")
            is_grouping(series, "color_by")  # here, so that its errors count crystals
            color_by = series.iloc[crystal]
        return cls.from_vectors(
            vectors,
            atomic_numbers,
            fraction=fraction,
            method=method,
            elements=elements,
            color_by=color_by,
            limits=limits,
            random_state=random_state,
            ax=ax,
            **scatter_kwargs,
        )

    @classmethod
    @renamed_parameters(color="color_by")
    @checked_arguments()
    def from_vectors(
        cls,
        vectors: ArrayLike,
        atomic_numbers: ArrayLike,
        *,
        fraction: ArrayLike | None = None,
        method: Literal["pca", "tsne"] | None = "pca",
        elements: Sequence[str] | None = None,
        color_by: ArrayLike | None = None,
        limits: tuple[float, float] | None = None,
        random_state: RandomState = None,
        ax: Axes | None = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Draw given vectors.

        Parameters
        ----------
        vectors : array-like of shape (P, F)
            One row for each element in each crystal.
        atomic_numbers : array-like of shape (P,)
            Element of each row.
        fraction : array-like of shape (P,) or None, default=None
            Fraction of the crystal's atoms that are of this element, shown as the marker area.
        method : {"pca", "tsne"}, default="pca"
            See `from_estimator`.
        elements : sequence of str or None, default=None
            See `from_estimator`.
        color_by : array-like of shape (P,) or None, default=None
            See `from_estimator`, but with one entry per row.
        limits : tuple of two floats or None, default=None
            See `from_estimator`.
        random_state : int, RandomState or None, default=None
            See `from_estimator`.
        {ax}
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : ElementMapDisplay

        Raises
        ------
        ValueError
            When lengths differ, when values are not finite, when there are fewer than three points,
            or when a requested element does not occur.
        """
        vectors = number_array(vectors, "vectors")
        numbers = plain_array(atomic_numbers, "atomic_numbers")
        if color_by is not None:
            color_by = color_series(color_by, len(vectors), "vectors")
        fraction = None if fraction is None else number_array(fraction, "fraction")
        _check(vectors, numbers, fraction)
        if elements is not None:
            rows = _rows_of(elements, numbers)
            vectors, numbers = vectors[rows], numbers[rows]
            fraction = None if fraction is None else fraction[rows]
            color_by = None if color_by is None else color_by[rows]
        points, explained = _project(vectors, method, random_state)
        display = cls(
            points=points,
            atomic_numbers=numbers,
            fraction=fraction,
            color_by=color_by,
            limits=check_limits(limits),
            method=method,
            explained_variance_ratio=explained,
        )
        return display.plot(ax=ax, **scatter_kwargs)

    @checked_arguments()
    def plot(self, ax: Axes | None = None, **scatter_kwargs: Any) -> Self:
        """Draw the plot, or draw it again on other axes.

        Parameters
        ----------
        {ax}
        **scatter_kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        display : ElementMapDisplay
            The display itself.
        """
        ax = new_axes(3.2) if ax is None else ax
        self.ax_, self.figure_ = ax, ax.figure
        if self.color_by is None:
            _, element = np.unique(self.atomic_numbers, return_inverse=True)
            self._scatter(np.array(COLORS)[element % len(COLORS)], scatter_kwargs)
        elif is_grouping(pd.Series(self.color_by), "color_by"):
            group, names = pd.factorize(pd.Series(self.color_by), sort=True)
            self._scatter(np.array(COLORS)[group], scatter_kwargs)
            self._write_legend(names)
        else:
            self._scatter_on_scale(scatter_kwargs)
        self._write_symbols()
        self._label_axes()
        if self.fraction is not None and "s" not in scatter_kwargs:
            self._write_size_legend()
        return self

    def _scatter(self, colors, scatter_kwargs):
        """Draw the points as one collection per element; return the last collection."""
        style = {
            "alpha": 0.6,
            "linewidths": 0,
            "rasterized": len(self.points) > RASTERIZE_ABOVE,
            "zorder": 2,
        } | scatter_kwargs
        for index, number in enumerate(np.unique(self.atomic_numbers)):
            rows = self.atomic_numbers == number
            # The markers are shifted when colours repeat, so that no two elements look the same.
            marker = MARKERS[(index + index // len(COLORS)) % len(MARKERS)]
            size = 30 if self.fraction is None else _area(self.fraction[rows])
            element_style = {"marker": marker, "s": size}
            if "color" not in style:
                element_style["c"] = colors[rows]
            points = self.ax_.scatter(*self.points[rows].T, **(element_style | style))
        return points

    def _scatter_on_scale(self, scatter_kwargs):
        """Draw the points with a colour scale and its colour bar."""
        from matplotlib.colors import Normalize

        values = np.asarray(self.color_by, dtype=float)
        norm = Normalize(*(self.limits or (values.min(), values.max())))
        points = self._scatter(values, {"norm": norm, "cmap": "viridis"} | scatter_kwargs)
        bar = self.figure_.colorbar(points, cax=self.ax_.inset_axes([1.03, 0, 0.04, 1]))
        bar.set_label(getattr(self.color_by, "name", None) or "")
        bar.solids.set_alpha(1)

    def _write_symbols(self):
        """Write the symbol of each element at the median of its points."""
        from matplotlib.patheffects import withStroke

        self.labels_ = {}
        numbers = np.unique(self.atomic_numbers)
        for number, symbol in zip(numbers, element_symbols(numbers)):
            x, y = np.median(self.points[self.atomic_numbers == number], axis=0)
            self.labels_[symbol] = self.ax_.text(
                x,
                y,
                symbol,
                ha="center",
                va="center",
                fontsize=10,
                fontweight="bold",
                path_effects=[withStroke(linewidth=3, foreground="white")],
                zorder=3,
            )

    def _label_axes(self):
        """Write the labels of the axes."""
        names = ["component 1", "component 2"]
        if self.method == "tsne":
            names = ["t-SNE 1", "t-SNE 2"]
            self.ax_.set(xticks=[], yticks=[])
        elif self.method == "pca":
            names = [f"principal {name}" for name in names]
            if self.explained_variance_ratio is not None:
                ratios = zip(names, self.explained_variance_ratio)
                names = [f"{name}\n({100 * ratio:.3g} % of variance)" for name, ratio in ratios]
        self.ax_.set(xlabel=names[0], ylabel=names[1])

    def _write_size_legend(self):
        """Write the legend of the marker sizes."""
        from matplotlib.legend import Legend

        handles = [
            _legend_marker("0.5", f"{100 * fraction:.0f} %", np.sqrt(_area(fraction)))
            for fraction in _LEGEND_FRACTIONS
        ]
        handles[-1].set_label(f"{100 * _LEGEND_FRACTIONS[-1]:.0f} % of the atoms")
        legend = Legend(
            self.ax_,
            handles,
            [handle.get_label() for handle in handles],
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=len(handles),
            fontsize=NOTE_SIZE,
            frameon=False,
            borderaxespad=0.2,
            handletextpad=0.1,
            columnspacing=1,
        )
        # Axes.legend can create only one legend, which is used for the groups.
        self.ax_.add_artist(legend)
        legend.set_clip_on(False)

    def _write_legend(self, names):
        """Write the legend of the groups."""
        handles = [_legend_marker(color, str(name)) for name, color in zip(names, COLORS)]
        title = getattr(self.color_by, "name", None)
        self.ax_.legend(handles=handles, title=title, loc="best", fontsize=NOTE_SIZE, frameon=False)


def _area(fraction):
    """Area of a marker (points²)."""
    return _MIN_AREA + _AREA_PER_FRACTION * fraction


def _legend_marker(color, label, size=6):
    """An entry of a legend."""
    from matplotlib.lines import Line2D

    style = {"linestyle": "", "marker": "o", "markeredgewidth": 0}
    return Line2D([], [], color=color, label=label, markersize=size, **style)


def _check(vectors, atomic_numbers, fraction):
    """Raise a ValueError when the arguments do not fit each other."""
    if vectors.ndim != 2 or vectors.shape[1] < 2:
        raise ValueError(f"vectors must be a table of two or more columns, not {vectors.shape}")
    given = {"atomic_numbers": atomic_numbers, "fraction": fraction}
    for name, values in given.items():
        if values is not None and np.shape(values) != (len(vectors),):
            n_values = len(values) if np.ndim(values) else "no"
            raise ValueError(f"{name} has {n_values} entries for {len(vectors)} vectors")
    is_number = np.isin(atomic_numbers, range(1, 119))
    if not is_number.all():
        row = int(is_number.argmin())
        raise ValueError(f"{atomic_numbers[row]!r} in row {row} is no atomic number from 1 to 118")
    if fraction is not None and not (np.isfinite(fraction) & (fraction >= 0)).all():
        row = int((np.isfinite(fraction) & (fraction >= 0)).argmin())
        raise ValueError(f"fraction is {fraction[row]} in row {row}; it must be 0 or more")
    wrong = ~np.isfinite(vectors).all(axis=1)
    if wrong.any():
        raise ValueError(f"{wrong.sum()} vectors are not finite; the first is row {wrong.argmax()}")


def _rows_of(elements, atomic_numbers):
    """Mask of the rows of the requested elements."""
    if isinstance(elements, str):
        raise ValueError(f"elements must be a list of symbols: [{elements!r}]")
    numbers = np.unique(atomic_numbers)
    known = dict(zip(element_symbols(numbers), numbers))
    absent = [symbol for symbol in elements if symbol not in known]
    if absent:
        raise ValueError(f"no crystal has {', '.join(absent)}; there are {', '.join(known)}")
    return np.isin(atomic_numbers, [known[symbol] for symbol in elements])


def _project(vectors, method, random_state):
    """Two coordinates of each vector, and the fraction of the variance that each explains."""
    if len(vectors) < 3:
        raise ValueError(f"a map needs three vectors or more, not {len(vectors)}")
    if np.ptp(vectors, axis=0).max() <= 1e-6 * np.abs(vectors).max():
        raise ValueError("the vectors are all alike; there is nothing to map")
    if method == "pca":
        from sklearn.decomposition import PCA

        pca = PCA(n_components=2, svd_solver="full")
        return pca.fit_transform(vectors), pca.explained_variance_ratio_
    if method == "tsne":
        from sklearn.manifold import TSNE

        tsne = TSNE(
            perplexity=min(30, (len(vectors) - 1) / 3),
            init="pca",
            learning_rate="auto",
            random_state=random_state,
        )
        return tsne.fit_transform(vectors), None
    raise ValueError(f"method must be 'pca' or 'tsne', got {method!r}")
