"""Triangles and pentagons: how compositions are laid out on paper."""

import numpy as np

HEIGHT = np.sqrt(3) / 2
#: Part of a triangle that is too small to be named.
_SPECK = 0.025
#: Corners of the triangle: left, right, top.
TRIANGLE = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, HEIGHT]])


def polygon(n_corners):
    """Corners of a regular polygon, clockwise from the top."""
    if n_corners == 3:
        return TRIANGLE
    angle = np.pi / 2 - 2 * np.pi * np.arange(n_corners) / n_corners
    return np.column_stack([np.cos(angle), np.sin(angle)])


def project(fractions, corners):
    """Mean of the corners, weighted by the fractions."""
    return fractions / fractions.sum(axis=1, keepdims=True) @ corners


def draw_frame(ax, corners, symbols, fontsize):
    """An empty polygon with an element at each corner."""
    ax.fill(*corners.T, facecolor="none", edgecolor="0.15", linewidth=1.1, zorder=5, clip_on=False)
    centre = corners.mean(axis=0)
    for corner, symbol in zip(corners, symbols):
        outward = (corner - centre) / np.linalg.norm(corner - centre)
        ax.annotate(
            symbol,
            corner,
            xytext=outward * fontsize * 0.95,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=fontsize,
            fontweight="bold",
            annotation_clip=False,
        )
    ax.set(aspect="equal", xticks=[], yticks=[], frame_on=False)


def draw_scales(ax, symbols, total):
    """Percentages along the three sides, lines to read them by, and the names of the sides.

    Each side is the scale of the element at the corner where its numbers grow to.
    """
    from matplotlib.ticker import MaxNLocator

    grid = {"color": "0.15", "linewidth": 0.5, "alpha": 0.25, "zorder": 4}
    ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(0, 100 * total)
    ticks = ticks[(ticks > 0) & (ticks < 99.9 * total)]
    # Each side runs from its first corner to its second; text is never upside down.
    sides = [(0, 1, 2, 0, "{} →"), (1, 2, 0, -60, "← {}"), (2, 0, 1, 60, "← {}")]
    for start, end, other, angle, arrow in sides:
        a, b, c = TRIANGLE[start], TRIANGLE[end], TRIANGLE[other]
        out = (a + b) / 2 - c
        out = out / np.linalg.norm(out)
        # Ticks point along the lines of equal fraction, which run parallel to the side opposite b.
        along = (a - c) / np.linalg.norm(a - c)
        for tick in ticks:
            part = tick / (100 * total)
            foot = (1 - part) * a + part * b
            ax.plot(*np.transpose([foot, (1 - part) * c + part * b]), **grid)
            ax.annotate(
                f"{tick:.3g}",
                foot,
                xytext=along * 9,
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=8,
                color="0.25",
                annotation_clip=False,
            )
        ax.annotate(
            arrow.format(f"at.% {symbols[end]}"),
            (a + b) / 2,
            xytext=out * 26,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=9.5,
            rotation=angle,
            rotation_mode="anchor",
            annotation_clip=False,
        )


def triangulate(points):
    """Triangles between the points, without those that rounding squeezes into a straight side."""
    from matplotlib.tri import TriAnalyzer, Triangulation

    triangles = Triangulation(*points.T)
    triangles.set_mask(TriAnalyzer(triangles).get_flat_tri_mask(0.01))
    return triangles


def innermost(points, inside, corners, avoid=None):
    """The point of a region that is farthest from what is outside it, and from another point."""
    from scipy.spatial import cKDTree

    sides = zip(corners, np.roll(corners, -1, axis=0))
    away = np.min([_distance(points, a, b) for a, b in sides], axis=0)
    if not inside.all():
        away = np.minimum(away, cKDTree(points[~inside]).query(points)[0])
    if avoid is not None:
        away = np.minimum(away, np.linalg.norm(points - avoid, axis=1))
    return points[np.argmax(np.where(inside, away, -1))]


def pieces(triangles, inside):
    """Masks of the connected parts of a region, without specks."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a, b = triangles.edges[inside[triangles.edges].all(axis=1)].T
    n = len(inside)
    _, part = connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(n, n)))
    size = np.bincount(part[inside])
    return [part == k for k in np.flatnonzero(size >= _SPECK * n)]


def _distance(points, a, b):
    """Distances of points from the line through a and b."""
    along = (b - a) / np.linalg.norm(b - a)
    return np.abs(along[0] * (points[:, 1] - a[1]) - along[1] * (points[:, 0] - a[0]))
