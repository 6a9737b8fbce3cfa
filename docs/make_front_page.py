"""Draw the logo and the pictures of the front page; run it after a change of the README's tables.

python docs/make_front_page.py
"""

import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from sklmat.plotting._style import COLORS

DOCS = Path(__file__).parent
STATIC = DOCS / "_static"
BLUE, ORANGE, GREEN, PINK, SKY, YELLOW, BLACK = COLORS
plt.rcParams.update({"font.size": 11, "svg.hashsalt": "sklmat", "svg.fonttype": "path"})


def save(figure, name):
    """Write an SVG that is the same in each run."""
    figure.savefig(STATIC / name, metadata={"Date": None, "Creator": None}, facecolor="white")
    plt.close(figure)


def lattice_points():
    """Sites of a 3 x 3 piece of a two-dimensional crystal, and the colours of their elements."""
    points = [(x + 0.35 * y, 0.9 * y) for y in range(3) for x in range(3)]
    colors = [BLUE, ORANGE, BLUE, ORANGE, BLUE, BLUE, BLUE, ORANGE, ORANGE]
    return np.array(points), colors


def draw_crystal(ax, x, y, size, lines=True):
    """Draw a small crystal with its bonds in a square."""
    points, colors = lattice_points()
    points = points / np.ptp(points, axis=0).max() * size + [x, y]
    if lines:
        for i, a in enumerate(points):
            for j, b in enumerate(points[:i]):
                if abs(i - j) in (1, 3) and np.linalg.norm(a - b) < 0.5 * size:
                    ax.plot(*zip(a, b), color="0.6", lw=1, zorder=1)
    for point, color in zip(points, colors):
        ax.add_patch(Circle(point, 0.11 * size, color=color, lw=0, zorder=2))


def logo():
    """Nine atoms and their bonds, without text: also legible at 16 pixels."""
    figure = plt.figure(figsize=(0.9, 0.9))
    ax = figure.add_axes([0, 0, 1, 1])
    ax.set(xlim=(-0.15, 1.15), ylim=(-0.4, 0.9), aspect="equal")
    ax.axis("off")
    draw_crystal(ax, 0, 0, 1.0)
    figure.savefig(STATIC / "logo.svg", metadata={"Date": None, "Creator": None}, transparent=True)
    plt.close(figure)


def box(ax, x, y, width, height, title, lines, color):
    """Draw a box with a title and lines of text."""
    style = {"boxstyle": "round,pad=0,rounding_size=0.08", "linewidth": 1.4}
    ax.add_patch(FancyBboxPatch((x, y), width, height, ec=color, fc="white", **style))
    ax.text(x + 0.14, y + height - 0.14, title, va="top", weight="bold", color=color, fontsize=14)
    ax.text(
        x + 0.14, y + height - 0.52, "\n".join(lines), va="top", linespacing=1.35, fontsize=12.5
    )


def arrow(ax, start, end):
    ax.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=14, color="0.35", lw=1.4)
    )


def in_and_out():
    """What goes in and what comes out, with large letters for phones."""
    figure = plt.figure(figsize=(6.6, 5.6))
    ax = figure.add_axes([0, 0, 1, 1])
    ax.set(xlim=(0, 6.6), ylim=(0, 5.6), aspect="equal")
    ax.axis("off")
    formats = ["CIF, POSCAR,", "extxyz, ASE,", "pymatgen"]
    box(ax, 0.1, 4.05, 3.1, 1.45, "X: crystals", formats, BLUE)
    draw_crystal(ax, 1.85, 4.3, 0.95)
    values = ["formation energy, gap,", "moment, metal or not"]
    box(ax, 3.4, 4.05, 3.1, 1.45, "y: a value of each", values, BLUE)
    models = [
        "networks that read the atoms: CGCNN, ECNet",
        "feature tables with XGBoost, Gaussian processes",
        "augmentation, baselines of the composition",
    ]
    box(ax, 0.1, 2.05, 6.4, 1.55, "compared on the same folds, without leakage", models, GREEN)
    for x in (1.65, 4.95):
        arrow(ax, (x, 4.03), (x, 3.65))
        arrow(ax, (x, 2.03), (x, 1.65))
    ends = [
        ("which model", ["errors with", "intervals, against", "baselines"]),
        ("predictions", ["for new crystals,", "with error bars"]),
        ("why", ["sites, elements,", "distortions"]),
    ]
    for x, (title, lines) in zip((0.1, 2.28, 4.45), ends):
        box(ax, x, 0.1, 2.05, 1.5, title, lines, ORANGE)
    save(figure, "in_and_out.svg")


def readme_table(after):
    """Rows of a table of the README: name, and (mean, deviation) of each column."""
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    lines = text[text.index(after) :].split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith("| ---"))
    rows = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        name, *cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        found = [re.match(r"([\d.]+) ± ([\d.]+)", cell) for cell in cells]
        rows.append((name.replace("`", ""), [tuple(map(float, each.groups())) for each in found]))
    return rows


SHORT = {
    "mean of the training rows": None,
    "XGBoost on both featurizers": "XGBoost",
    "Gaussian process on fractions, lattice and volume": "Gaussian process",
    "RobustGaussianProcessRegressor on the same": "robust process",
    "the same with three more columns of volumes: the best of baselines": "+ three volumes",
    "CGCNNRegressor(random_state=0)": "CGCNN",
    "ECNetRegressor(random_state=0)": "ECNet",
    "ECNet and the robust process with CHGNet, mean of both": "ECNet, process, CHGNet",
}


def measured():
    """Errors on the alloys, as in the README."""
    rows = [row for row in readme_table("## How good") if SHORT[row[0]] is not None]
    titles = ["energy (eV/atom)", "moment (μB/atom)"]
    figure, axes = plt.subplots(1, 2, figsize=(6, 3.6), sharey=True, layout="constrained")
    places = np.arange(len(rows))[::-1]
    for column, (ax, title) in enumerate(zip(axes, titles)):
        values = np.array([row[1][column] for row in rows])
        colors = [ORANGE if "CGCNN" in n or "ECNet" in n else BLUE for n, _ in rows]
        for place, (mean, deviation), color in zip(places, values, colors):
            ax.errorbar(mean, place, xerr=deviation, fmt="o", color=color, capsize=3, ms=5)
        ax.set_xlabel(f"mean absolute error,\n{title}")
        ax.set_xlim(left=0)
        ax.locator_params(nbins=4)
        ax.grid(axis="x", color="0.9")
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(places, [SHORT[name] for name, _ in rows])
    save(figure, "measured.svg")


if __name__ == "__main__":
    logo()
    in_and_out()
    measured()
