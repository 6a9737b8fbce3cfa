"""Triangles and pentagons of compositions: coordinates, frames, scales, and regions in them."""

import numpy as np

from sklmat.plotting._layout import LABEL_SIZE, TICK_SIZE

HEIGHT = np.sqrt(3) / 2
#: Regions with a smaller fraction of the points get no name.
_SMALLEST_REGION = 0.025
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
    """Draw an empty polygon with an element at each corner."""
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
    """Draw percentages along the three sides, grid lines, and the names of the sides.

    Each side is the scale of one element; the numbers increase towards the corner of this element.
    """
    from matplotlib.ticker import MaxNLocator

    grid = {"color": "0.15", "linewidth": 0.5, "alpha": 0.25, "zorder": 4}
    ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(0, 100 * total)
    ticks = ticks[(ticks > 0) & (ticks < 99.9 * total)]
    # First and second corner of each side, and the rotation at which its text is not upside down.
    sides = [(0, 1, 2, 0, "{} →"), (1, 2, 0, -60, "← {}"), (2, 0, 1, 60, "← {}")]
    for start, end, opposite, angle, arrow in sides:
        a, b, c = TRIANGLE[start], TRIANGLE[end], TRIANGLE[opposite]
        outward = (a + b) / 2 - c
        outward = outward / np.linalg.norm(outward)
        # Ticks continue the lines of equal fraction, which are parallel to the side opposite b.
        direction = (a - c) / np.linalg.norm(a - c)
        for tick in ticks:
            fraction = tick / (100 * total)
            position = (1 - fraction) * a + fraction * b
            ax.plot(*np.transpose([position, (1 - fraction) * c + fraction * b]), **grid)
            ax.annotate(
                f"{tick:.3g}",
                position,
                xytext=direction * 9,
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=TICK_SIZE,
                color="0.25",
                annotation_clip=False,
            )
        ax.annotate(
            arrow.format(f"at.% {symbols[end]}"),
            (a + b) / 2,
            xytext=outward * 26,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=LABEL_SIZE,
            rotation=angle,
            rotation_mode="anchor",
            annotation_clip=False,
        )


def triangulate(points):
    """Triangulate the points, without flat triangles between points on a straight side."""
    from matplotlib.tri import TriAnalyzer, Triangulation

    triangles = Triangulation(*points.T)
    triangles.set_mask(TriAnalyzer(triangles).get_flat_tri_mask(0.01))
    return triangles


def innermost_point(points, inside, corners, avoid=None):
    """Find the point of a region with the largest distance from its boundary.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
    inside : bool ndarray of shape (n,)
        Whether each point belongs to the region.
    corners : ndarray of shape (n_corners, 2)
        Corners of the polygon, whose sides are boundaries too.
    avoid : ndarray of shape (2,) or None, default=None
        Another point; the result keeps a distance from it.

    Returns
    -------
    point : ndarray of shape (2,)
    """
    from scipy.spatial import cKDTree

    sides = zip(corners, np.roll(corners, -1, axis=0))
    distance = np.min([_distance_to_line(points, a, b) for a, b in sides], axis=0)
    if not inside.all():
        distance = np.minimum(distance, cKDTree(points[~inside]).query(points)[0])
    if avoid is not None:
        distance = np.minimum(distance, np.linalg.norm(points - avoid, axis=1))
    return points[np.argmax(np.where(inside, distance, -1))]


def connected_regions(triangles, inside):
    """Find the connected parts of a region as masks of the points, except very small parts."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    starts, ends = triangles.edges[inside[triangles.edges].all(axis=1)].T
    n_points = len(inside)
    edges = coo_array((np.ones(len(starts)), (starts, ends)), shape=(n_points, n_points))
    _, region = connected_components(edges)
    sizes = np.bincount(region[inside])
    return [region == number for number in np.flatnonzero(sizes >= _SMALLEST_REGION * n_points)]


def _distance_to_line(points, a, b):
    """Distances of points from the line through a and b."""
    direction = (b - a) / np.linalg.norm(b - a)
    return np.abs(direction[0] * (points[:, 1] - a[1]) - direction[1] * (points[:, 0] - a[0]))
