"""Colours, markers and legends of all displays, and whether values are drawn as groups."""

import textwrap
from collections.abc import Collection, Mapping

import pandas as pd

from sklmat.plotting._layout import NOTE_SIZE
from sklmat.targets import plain_array

#: Palette of Okabe and Ito without yellow, which is too pale on white. Each colour has its own
#: marker, so that groups can be distinguished without colours.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
#: Above this number of points, points are rasterised in vector formats too.
RASTERIZE_ABOVE = 5_000


def color_series(color_by, n, points, *, at_least=False):
    """Return the values that colour points.

    Parameters
    ----------
    color_by : array-like of shape (n,)
    n : int
        Number of points.
    points : str
        What the points are, for messages.
    at_least : bool, default=False
        Whether there may be more values.

    Returns
    -------
    Series
        With the name of `color_by`, if it has one, and the index 0, 1, 2, ...

    Raises
    ------
    ValueError
        When there is not one value for each point.
    """
    no_column = not isinstance(color_by, Collection) or isinstance(color_by, str | bytes | Mapping)
    if no_column or isinstance(color_by, type) or plain_array(color_by, "color_by").ndim != 1:
        raise ValueError(f"color_by must have one entry for each of {n} {points}, got {color_by!r}")
    if len(color_by) < n or (len(color_by) > n and not at_least):
        raise ValueError(f"color_by has {len(color_by)} entries for {n} {points}")
    return pd.Series(color_by).reset_index(drop=True)


def is_grouping(keys, name):
    """Whether a Series is drawn as groups with a legend, instead of with a colour scale.

    It is if it has at most as many different values as there are colours.

    Parameters
    ----------
    keys : Series
    name : str
        Name of the validated parameter, for the error messages.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        When entries are missing, or when strings have more different values than there are colours.
    """
    if keys.isna().any():
        raise ValueError(f"{name} has {keys.isna().sum()} missing entries")
    has_few_values = keys.nunique() <= len(COLORS)
    if not has_few_values and not pd.api.types.is_numeric_dtype(keys):
        raise ValueError(
            f"{name} has {keys.nunique()} groups; at most {len(COLORS)} can be told apart"
        )
    return has_few_values


def wrap_name(name, length):
    """Divide a long name into lines of similar length.

    Parameters
    ----------
    name : str
    length : int
        Largest number of characters in a line.

    Returns
    -------
    str
    """
    n_lines = -(-len(name) // length)
    return textwrap.fill(name, min(length, len(name) // max(n_lines, 1) + 6))


def legend_above(ax, handles=None):
    """Draw a legend above the axes, where it covers no data.

    Parameters
    ----------
    ax : matplotlib Axes
    handles : list of artists, default=None
        Artists with labels; all labelled artists of the axes by default. Long labels are divided
        into lines.
    """
    handles = ax.get_legend_handles_labels()[0] if handles is None else handles
    labels = [wrap_name(handle.get_label(), 36) for handle in handles]
    longest = max(map(len, labels))
    ax.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=min(len(labels), max(1, 36 // (longest + 6))),
        borderaxespad=0.2,
        fontsize=NOTE_SIZE,
        frameon=False,
    )


def legend_below(ax, handles=None):
    """Draw a legend in one line below the label of the horizontal axis.

    Parameters
    ----------
    ax : matplotlib Axes
    handles : list of artists, default=None
        Artists with labels; all labelled artists of the axes by default.
    """
    from matplotlib.transforms import ScaledTranslation

    handles = ax.get_legend_handles_labels()[0] if handles is None else handles
    # The numbers and the label of the axis take about 34 points.
    below = ScaledTranslation(0, -34 / 72, ax.figure.dpi_scale_trans)
    ax.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        bbox_transform=ax.transAxes + below,
        ncols=len(handles),
        fontsize=NOTE_SIZE,
        frameon=False,
        handletextpad=0.4,
        columnspacing=0.9,
        borderaxespad=0,
    )


def interval_handle(label, *, is_band=False, is_horizontal=False):
    """Entry of a legend that says what the bars, or the coloured bands, around points are.

    Parameters
    ----------
    label : str
    is_band : bool, default=False
        Whether the intervals are drawn as bands.
    is_horizontal : bool, default=False
        Whether bars are horizontal.

    Returns
    -------
    matplotlib artist
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if is_band:
        return Patch(facecolor="0.35", alpha=0.25, linewidth=0, label=label)
    marker = "_" if is_horizontal else "|"
    style = {"linestyle": "", "marker": marker, "markersize": 9, "markeredgewidth": 1.2}
    return Line2D([], [], color="0.35", label=label, **style)


def text_color(color):
    """Black or white, whichever can be read on a colour."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(color)
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.45 else "black"


def ends_with_arrows(values, limits):
    """Ends of a colour bar beyond which there are values, as matplotlib's ``extend``.

    Parameters
    ----------
    values : ndarray or Series
    limits : tuple of two floats

    Returns
    -------
    {"neither", "min", "max", "both"}
    """
    below, above = values.min() < limits[0], values.max() > limits[1]
    if below and above:
        return "both"
    return "min" if below else "max" if above else "neither"
