"""Draw the pictures of the section Theory: ``python docs/make_drawings.py [name ...]``."""

import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

FOLDER = Path(__file__).parent / "_static"

# Palette of Okabe and Ito, as in sklmat.plotting.
BLUE, RED, GREEN, PINK, SKY, ORANGE = (
    *("#0072B2", "#D55E00", "#009E73"),
    *("#CC79A7", "#56B4E9", "#E69F00"),
)
GREY, PALE = "#666666", "#f2f2f2"
#: Inches; on a page it is 700 pixels wide, and letters of 9 points can be read.
WIDTH = 7.3
STYLE = {"font.size": 9, "svg.hashsalt": "sklmat", "svg.fonttype": "path"}


def empty_axes(height, bottom=0):
    """Axes without frame; one unit is as long in x, from 0 to 100, as in y."""
    figure, axes = plt.subplots(figsize=(WIDTH, height))
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.995)
    axes.axis("off")
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom, bottom + 100 * height / WIDTH)
    return axes


def box(axes, x, y, text, color=BLUE, width=15, height=7, size=9):
    """Rectangle with text, centred at (x, y)."""
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(Rectangle(corner, width, height, fc=color + "22", ec=color, lw=1.2, zorder=2))
    axes.text(x, y, text, ha="center", va="center", fontsize=size, zorder=3, linespacing=1.25)


def arrow(axes, start, end, color=GREY, bend=0.0, style="-|>", line="-"):
    """Arrow between two points."""
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle=style,
            connectionstyle=f"arc3,rad={bend}",
            mutation_scale=11,
            color=color,
            linestyle=line,
            lw=1.2,
            shrinkA=0,
            shrinkB=0,
            zorder=2,
        )
    )


def label(axes, x, y, text, color="black", **options):
    """Text that is centred unless `options` say otherwise."""
    options = {"ha": "center", "va": "center", "zorder": 4, **options}
    axes.text(x, y, text, color=color, **options)


def atom(axes, x, y, color, radius=1.5):
    """Filled circle."""
    axes.add_patch(Circle((x, y), radius, fc=color, ec="black", lw=0.8, zorder=3))


def crystal_graph_convolution():
    """A crystal becomes a graph, whose atom vectors are updated by a gated convolution."""
    axes = empty_axes(4.15, bottom=4)
    # Crystal with its unit cell, and the graph of one atom.
    grid = [(4 + 6 * i, 41 + 6 * j, (i + j) % 2) for i in range(3) for j in range(3)]
    axes.add_patch(Rectangle((7, 44), 6, 6, fill=False, ec=GREY, ls="--", zorder=1))
    for x, y, kind in grid:
        atom(axes, x, y, ORANGE if kind else SKY)
    label(axes, 10, 59, "crystal")
    arrow(axes, (19, 47), (23, 47))
    centre, others = (32, 47), [(25.5, 47), (38.5, 47), (32, 40.5), (32, 53.5)]
    for x, y in others:
        arrow(axes, (x, y), centre, style="-")
        atom(axes, x, y, ORANGE)
    atom(axes, *centre, SKY)
    label(axes, 33, 59, "graph: vectors of atoms and edges")
    label(axes, 34.2, 44.6, "$v_i$")
    label(axes, 38.5, 43.6, "$v_j$")
    label(axes, 36, 50, "$u_{(i,j)_k}$", ha="left")
    arrow(axes, (36.2, 49), (35.4, 47.4))
    arrow(axes, (42.5, 47), (48, 47))
    box(axes, 56, 47, "$R$ graph\nconvolutions", GREEN, 15, 8)
    arrow(axes, (64, 47), (66.5, 47))
    box(axes, 73, 47, "mean over\natoms: $v_c$", BLUE, 12.5, 8)
    arrow(axes, (79.6, 47), (82, 47))
    box(axes, 88, 47, "dense\nlayers", BLUE, 11.5, 8)
    arrow(axes, (94, 47), (97, 47))
    label(axes, 98.5, 47, r"$\hat y$", fontsize=11)

    # One convolution in detail.
    axes.add_patch(Rectangle((1, 5), 98, 30, fc="none", ec=GREEN, lw=1, zorder=1))
    arrow(axes, (56, 42.8), (56, 35.3), GREEN, style="-", line=":")
    label(axes, 3, 32, "one convolution, for all neighbours of atom $i$", ha="left", color=GREEN)
    for y, text in ((26, "$v_i^{(t)}$"), (18, "$v_j^{(t)}$"), (10, "$u_{(i,j)_k}$")):
        box(axes, 8, y, text, SKY, 9, 5.5)
        arrow(axes, (12.7, y), (17.5, 18 + (y - 18) / 6))
    box(axes, 22, 18, "join:\n$z_{(i,j)_k}$", SKY, 9, 8)
    arrow(axes, (26.7, 19.5), (30.5, 24))
    arrow(axes, (26.7, 16.5), (30.5, 11))
    box(axes, 39.5, 25, "$W_f$, norm, $\\sigma$\ngate, 0 to 1", RED, 17.5, 8)
    box(axes, 39.5, 11, "$W_s$, norm, $g$\nmessage", BLUE, 17.5, 8)
    arrow(axes, (48.5, 25), (54.2, 19.6))
    arrow(axes, (48.5, 11), (54.2, 16.4))
    box(axes, 56.5, 18, r"$\odot$", GREEN, 4.5, 5, size=12)
    arrow(axes, (59, 18), (62, 18))
    box(axes, 69, 18, "sum over\nneighbours,\nnorm", GREEN, 13.5, 11)
    arrow(axes, (76, 18), (79, 18))
    box(axes, 81.5, 18, "+", GREEN, 4.5, 5, size=12)
    arrow(axes, (84, 18), (86, 18))
    box(axes, 88, 18, "$g$", BLUE, 3.6, 5)
    arrow(axes, (90, 18), (92, 18))
    label(axes, 95.6, 18, "$v_i^{(t+1)}$")
    # The old vector is added.
    axes.plot([8, 8, 81.5], [29, 30.2, 30.2], color=GREY, lw=1.2, zorder=2)
    arrow(axes, (81.5, 30.2), (81.5, 20.7))
    return axes.figure


def element_convolution():
    """Messages over atoms become sums over partial radial distributions."""
    from pymatgen.core import Lattice, Structure

    from sklmat.graphs import ElementGraphs, StructureToGraph, grid_points

    cell = Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(3.75), ["Au", "Cu"], [[0, 0, 0], [0, 0.5, 0.5]]
    )
    graphs = StructureToGraph(cutoff=6.0, max_neighbors=None).transform([cell])
    radial = ElementGraphs.from_graphs(graphs, step=0.25).radial
    points = grid_points(6.0, 0.25, 1)

    axes = empty_axes(4.05, bottom=5)
    label(axes, 14, 58, "messages over atoms")
    centre, step = (14, 40), 5.5
    for radius in (step, step * 2**0.5, 2 * step):
        axes.add_patch(Circle(centre, radius, fill=False, ec=GREY, ls=":", zorder=1))
    for i in range(-2, 3):
        for j in range(-2, 3):
            x, y = 14 + step * i, 40 + step * j
            kind = ORANGE if i % 2 == 0 and j % 2 == 0 else SKY
            if 0 < abs(i) + abs(j) < 3 and abs(i) * abs(j) < 2:
                arrow(axes, (x, y), (14 + 1.7 * i, 40 + 1.7 * j), kind)
            if abs(i) + abs(j) < 3:
                atom(axes, x, y, kind, 1.3)
    label(axes, 14, 41.8, "$i$", ha="right")
    label(axes, 21.3, 47.6, "$j$", ha="left")
    label(axes, 17.6, 42, "$d_{ij}$", fontsize=8.5)
    label(axes, 14, 23, r"$m_i = \sum_j h_{Z_j} \circ W(d_{ij})$", fontsize=11)
    label(axes, 14, 15, "All atoms of one element\nhave the same vector $h$.")

    arrow(axes, (27.5, 40), (33, 40))
    label(axes, 53, 58, "partial radial distributions on a grid")
    names = ("Cu", "Au")  # by atomic number
    colors = {"Cu": SKY, "Au": ORANGE}
    for row, first in enumerate(names):
        for column, second in enumerate(names):
            small = axes.inset_axes(
                [36 + 18 * column, 38 - 19 * row, 15.5, 14], transform=axes.transData
            )
            small.bar(
                points, radial[2 * row + column], 0.2, color=colors[second], ec="black", lw=0.4
            )
            small.set(xlim=(1.5, 6.2), ylim=(0, 26), xticks=[2, 4, 6], yticks=[0, 10, 20])
            small.tick_params(labelsize=8, length=2, pad=1.5)
            small.set_title(f"$g_{{\\mathrm{{{first}\\,{second}}}}}$", fontsize=9, pad=2)
            small.spines[["top", "right"]].set_visible(False)
    label(axes, 53, 13.3, "distance (Å)")
    label(axes, 53, 7, r"$g_{ab,k}$: atoms $b$ near $r_k$ around an atom $a$", fontsize=9)

    arrow(axes, (70.5, 40), (74.5, 40))
    label(axes, 87, 58, "for each element $a$")
    box(axes, 87, 50, "filters $W_k$ on the grid", GREEN, 23, 6)
    arrow(axes, (87, 46.8), (87, 43.2))
    box(axes, 87, 38, r"$\bar m_a = \sum_b h_b \circ \sum_k g_{ab,k} W_k$", GREEN, 24.5, 9.5)
    arrow(axes, (87, 33.1), (87, 29.2))
    box(axes, 87, 24, r"$t_a \leftarrow t_a + \mathrm{MLP}(\bar m_a)$", BLUE, 23, 9)
    arrow(axes, (87, 19.3), (87, 15.4))
    box(axes, 87, 10, r"$\hat y = \sum_a c_a\, T(t_a)$", BLUE, 23, 9)
    return axes.figure


def infogan():
    """Generator, discriminator and information head, and the terms of their losses."""
    axes = empty_axes(3.7)
    box(axes, 8, 36, "noise z", SKY, 14, 6)
    box(axes, 8, 26, "code c:\ncomposition,\nlattice", ORANGE, 14, 10)
    box(axes, 8, 9, "real row:\nfeatures x,\ncode c", PINK, 14, 10)
    arrow(axes, (15.2, 36), (19.8, 32.6))
    arrow(axes, (15.2, 26), (19.8, 28.8))
    box(axes, 27, 31, "generator G", GREEN, 14, 8)
    arrow(axes, (34.2, 31), (37.8, 31))
    box(axes, 44.5, 31, "generated\nG(z, c)", GREEN, 13, 8)
    arrow(axes, (51.2, 31), (55, 24.5))
    arrow(axes, (15.2, 9), (55, 20))
    box(axes, 62, 22, "shared\nlayers", BLUE, 13, 9)
    arrow(axes, (68.7, 24.5), (72.3, 31))
    arrow(axes, (68.7, 19.5), (72.3, 13))
    box(axes, 81.5, 34, "discriminator D:\nreal or generated?", BLUE, 18, 9)
    box(axes, 81.5, 10, "information\nhead Q: which c?", RED, 18, 9)
    arrow(axes, (90.7, 34), (93, 34))
    arrow(axes, (90.7, 10), (93, 10))
    label(axes, 96.6, 34, "$V(D, G)$")
    label(axes, 96.4, 10, r"$\lambda L_I$")
    # The reconstruction compares a real row with the row generated for its code.
    arrow(axes, (44.5, 26.8), (44.5, 18), GREY, style="<|-|>", line="--")
    label(axes, 43.4, 22.2, "reconstruction,\nmoments", GREY, ha="right")
    label(axes, 62, 14.5, "gradient\npenalty", GREY)
    label(
        axes, 50, 47, "Training: D learns to tell real from generated rows; G learns to prevent it;"
    )
    label(axes, 50, 43.6, "G and Q together keep the code readable in the generated features.")
    return axes.figure


def eftgan():
    """The chain: element vectors, InfoGAN, labels, regressor."""
    axes = empty_axes(4.0, bottom=5)
    axes.add_patch(Rectangle((0.5, 24.2), 99, 35.3, fc=PALE, ec="none", zorder=0))
    label(axes, 2, 57.3, "fit: structures and targets y", ha="left")
    box(axes, 10, 47, "structures\nand y", PINK, 15, 9)
    arrow(axes, (17.7, 47), (20.3, 47))
    box(axes, 30, 47, "ECNet:\nvectors $t_{s,a}$\nof the elements", GREEN, 19, 12)
    arrow(axes, (39.7, 47), (42.3, 47))
    box(
        axes,
        53,
        47,
        "table: fractions,\nlattice, principal\ncomponents of $t_{s,a}$",
        GREEN,
        21,
        12,
    )
    arrow(axes, (63.7, 47), (66.3, 47))
    box(axes, 75, 47, "InfoGAN:\nfeatures\nfor a code", BLUE, 17, 12)
    arrow(axes, (53, 40.8), (53, 36.2))
    box(axes, 53, 31, "labeler, fitted\non real rows", ORANGE, 21, 9)
    arrow(axes, (63.7, 31), (82.6, 31), line="--")
    label(axes, 73, 33.2, "y of further rows", GREY)
    arrow(axes, (83.7, 45.5), (88, 35.7))
    label(axes, 92.5, 44, "generated\nrows", GREY)
    box(axes, 91, 31, "regressor", RED, 16, 9)
    box(axes, 25, 31, "relaxation model:\nP(lattice | x, phase)", SKY, 27, 9)
    arrow(axes, (10, 42.3), (17, 35.7))

    label(axes, 2, 21.5, "predict: no structure", ha="left")
    box(axes, 10, 11, "composition x\nand phase", PINK, 16, 9)
    arrow(axes, (18.2, 11), (22.3, 11))
    box(axes, 32, 11, "probability of\neach lattice l", SKY, 19, 9)
    arrow(axes, (41.7, 11), (45.3, 11))
    box(axes, 55, 11, "G(z = 0, c)\nfor each lattice", BLUE, 19, 9)
    arrow(axes, (64.7, 11), (68.3, 11))
    box(axes, 75.5, 11, "regressor:\n$\\hat y_l$", RED, 14, 9)
    arrow(axes, (82.7, 11), (85.3, 11))
    box(axes, 92.3, 11, r"$\sum_l P_l\, \hat y_l$", RED, 13.5, 9)
    return axes.figure


def adversarial_examples():
    """Paths of attacks in the space of the displacements of one atom."""

    def error(u):
        x, y = np.moveaxis(np.asarray(u), -1, 0)
        return 1.3 * x + 0.9 * y + 8 * x * y - 9 * x**2 + 3 * y**2 - 0.115

    def gradient(u, h=1e-6):
        return np.array([(error(u + h * e) - error(u - h * e)) / (2 * h) for e in np.eye(2)])

    def project(u, budget):
        return u * min(1, budget / max(np.linalg.norm(u), 1e-12))

    def path(budget, n_steps=5):
        points = [np.zeros(2)]
        for step in range(n_steps):
            direction = gradient(points[-1])
            direction /= np.linalg.norm(direction)
            points.append(project(points[-1] + budget * (1 - step / n_steps) * direction, budget))
        return np.array(points)

    figure, (axes, legend) = plt.subplots(1, 2, figsize=(WIDTH, 3.6), layout="constrained")
    grid = np.stack(np.meshgrid(*[np.linspace(-0.125, 0.125, 200)] * 2), -1)
    values = error(grid)
    x, y = np.moveaxis(grid, -1, 0)
    axes.contourf(x, y, values, [-1, 0, 2], colors=["#0072B222", "#D55E0022"])
    axes.contour(x, y, values, [0], colors="black", linewidths=1.5)
    budget = 0.1
    axes.add_patch(Circle((0, 0), budget, fill=False, ec=GREY, ls="--", lw=1.2))
    steps = path(budget)
    axes.plot(*steps.T, "-o", color=RED, ms=4, lw=1.2, zorder=3)
    axes.plot(*steps[1], "s", color=BLUE, ms=7, zorder=4)
    axes.plot(0, 0, "o", color="black", ms=7, zorder=4)
    # The smallest displacement that reaches the other side.
    angles = np.linspace(0, 2 * np.pi, 4000)
    unit = np.stack([np.cos(angles), np.sin(angles)], -1)
    least = next(r for r in np.linspace(0.001, budget, 2000) if (error(r * unit) > 0).any())
    nearest = least * unit[np.argmax(error(least * unit))]
    axes.plot([0, nearest[0]], [0, nearest[1]], color=GREEN, lw=1.2, zorder=3)
    axes.plot(*nearest, "D", color=GREEN, ms=6, zorder=4)
    axes.add_patch(Circle((0, 0), least, fill=False, ec=GREEN, ls=":", lw=1.2))
    axes.text(-0.118, -0.115, "right: $e < 0$", fontsize=10)
    axes.text(0.03, 0.107, "wrong: $e > 0$", fontsize=10)
    axes.set(aspect="equal", xticks=[-0.1, 0, 0.1], yticks=[-0.1, 0, 0.1])
    axes.set(xlabel="$u_x$ of one atom (Å)", ylabel="$u_y$ (Å)")
    legend.axis("off")
    legend.set(xlim=(0, 1), ylim=(0, 1))
    for y, color, marker, text in (
        (0.9, "black", "o", "unperturbed crystal, $u = 0$"),
        (0.74, GREY, None, r"budget: $|u_i| \leq \delta$"),
        (0.58, BLUE, "s", "FGSM: one step along the gradient"),
        (0.4, RED, "o", "PGD: further steps, each shorter,\nprojected back into the budget"),
        (0.18, GREEN, "D", "smallest displacement that makes\nthe prediction wrong"),
    ):
        style = {"ls": "none", "marker": marker} if marker else {"ls": "--"}
        at = [0.03] if marker else [0, 0.06]
        legend.plot(at, [y] * len(at), color=color, **style)
        legend.text(0.11, y, text, va="center")
    return figure


def attribution():
    """Paths of two methods from the baseline to the crystal, and the sum of the attributions."""

    def f(x, y):
        return x + x**2 * y

    figure, (left, right) = plt.subplots(
        1, 2, figsize=(WIDTH, 3.3), layout="constrained", width_ratios=[1, 1.25]
    )
    x, y = np.meshgrid(np.linspace(-0.15, 1.2, 80), np.linspace(-0.15, 1.2, 80))
    left.contour(x, y, f(x, y), np.arange(0, 3, 0.25), colors="#bbbbbb", linewidths=0.8)
    left.plot([0, 1], [0, 1], color=BLUE, lw=2, label="integrated gradients: one straight path")
    left.plot([0, 1, 1], [0, 0, 1], color=RED, lw=1.5, ls="--", label="Shapley: all orders")
    left.plot([0, 0, 1], [0, 1, 1], color=RED, lw=1.5, ls="--")
    left.plot([0, 1], [0, 1], "o", color="black", ms=6, zorder=4)
    left.text(0.07, -0.11, "baseline $x'$", fontsize=9)
    left.text(0.93, 1.07, "crystal $x$", ha="right", fontsize=9)
    left.set(aspect="equal", xlabel="vector of site 1", ylabel="vector of site 2")
    left.set(xticks=[0, 1], xticklabels=["average", "atom"], yticks=[0, 1])
    left.set_yticklabels(["average", "atom"], rotation=90, va="center")
    left.legend(loc="lower left", bbox_to_anchor=(-0.05, 1), fontsize=8.5, frameon=False)

    rows = {
        "integrated\ngradients": (5 / 3, 1 / 3),
        "Shapley": (3 / 2, 1 / 2),
        "occlusion": (2, 1),
    }
    for place, (first, second) in enumerate(rows.values()):
        right.barh(-place, first, 0.5, color=BLUE)
        right.barh(-place, second, 0.5, first, color=ORANGE)
        right.text(first / 2, -place, f"{first:.2f}", ha="center", va="center", color="white")
        right.text(first + second / 2, -place, f"{second:.2f}", ha="center", va="center")
    right.axvline(2, color="black", lw=1.2)
    right.text(2.04, 0.45, "prediction minus\nbaseline", va="center")
    right.set(yticks=[0, -1, -2], yticklabels=rows, xlim=(0, 3.2), ylim=(-2.5, 0.9))
    right.set_xlabel("attribution of site 1 (left) and of site 2 (right)")
    right.spines[["top", "right"]].set_visible(False)
    return figure


def disorder_descriptors():
    """Order of two elements on a square lattice, and distortions of an octahedron."""
    axes = empty_axes(4.3)
    n, rng = 8, np.random.RandomState(3)
    index = np.add.outer(np.arange(n), np.arange(n))
    random = rng.permutation(np.repeat([0, 1], n * n // 2)).reshape(n, n)
    patterns = {
        "unlike neighbours": index % 2,
        "random": random,
        "like neighbours": np.repeat(np.arange(n) >= n // 2, n).reshape(n, n).astype(int),
    }
    for place, (name, kinds) in enumerate(patterns.items()):
        unlike = np.mean([kinds != np.roll(kinds, 1, axis) for axis in (0, 1)])
        # p(A-B) is half of the unlike pairs, and the fractions are one half.
        alpha = 1 - unlike / 2 / 0.25
        x, y = np.meshgrid(7 + 34.5 * place + 2.5 * np.arange(n), 33.5 + 2.5 * np.arange(n))
        colors = np.where(kinds.T, ORANGE, SKY).ravel()
        axes.scatter(x.ravel(), y.ravel(), 105, colors, edgecolors="black", linewidths=0.8)
        # A minus of zero would be written.
        label(axes, 15.7 + 34.5 * place, 57, f"{name}: $\\alpha_1 = {alpha + 0.0:.2f}$")

    regular = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]]) * 7.5
    shapes = {
        "regular": (regular, (0, 0)),
        "bond lengths differ:\n$D > 0$, $\\lambda > 1$": (regular * [0.8, 1.25], (0, 0)),
        "angles differ:\n$\\sigma^2 > 0$, $\\lambda > 1$": (
            regular @ np.array([[1, 0.25], [0.25, 1]]),
            (0, 0),
        ),
        "centre displaced:\noff-centring, $D > 0$": (regular, (0, 2.2)),
    }
    for place, (name, (corners, shift)) in enumerate(shapes.items()):
        centre = np.array([13.5 + 24.5 * place, 17])
        points = corners + centre
        closed = np.vstack([points, points[:1]])
        axes.plot(*closed.T, color=GREY, lw=0.8, zorder=1)
        for x, y in points:
            axes.plot([centre[0] + shift[0], x], [centre[1] + shift[1], y], color=GREY, zorder=2)
            atom(axes, x, y, RED, 1.2)
        atom(axes, *(centre + shift), BLUE, 1.5)
        label(axes, centre[0], 2.2, name)
    return axes.figure


def detailed_balance():
    """Largest efficiency against the gap, for two spectra."""
    from sklmat.screening import shockley_queisser

    gaps = np.linspace(0.4, 3, 521)
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.1), layout="constrained")
    for spectrum, name, color, line in (
        ("am1.5g", "AM1.5G", BLUE, "-"),
        ("blackbody", "black body, 6000 K", RED, "--"),
    ):
        limits = shockley_queisser(gaps, spectrum=spectrum)
        left.plot(gaps, limits["efficiency (%)"], color=color, ls=line, label=name)
    left.set(xlabel="band gap (eV)", ylabel="efficiency (%)", ylim=(0, 36))
    left.legend(frameon=False, loc="lower center")
    gap = 1.34
    limits = shockley_queisser(gap)
    thermal = 8.617333e-5 * 298.15
    short, opened = limits["J_sc (mA/cm²)"], limits["V_oc (V)"]
    voltage = np.linspace(0, opened, 400)
    dark = short / np.expm1(opened / thermal)
    current = short - dark * np.expm1(voltage / thermal)
    right.plot(voltage, current, color=BLUE)
    best = np.argmax(voltage * current)
    right.add_patch(
        Rectangle((0, 0), voltage[best], current[best], fc=BLUE + "22", ec=BLUE, ls=":")
    )
    right.plot(voltage[best], current[best], "o", color=BLUE)
    right.annotate("$J_{sc}$", (0, short), (0.03, short + 1.2))
    right.annotate("$V_{oc}$", (opened, 0), (opened + 0.02, 1))
    right.text(voltage[best] / 2, current[best] / 2, "largest power\n$P = J V$", ha="center")
    right.set(xlabel="voltage (V)", ylabel="current density (mA/cm²)", xlim=(0, 1.25), ylim=(0, 40))
    right.set_title(f"band gap {gap} eV, AM1.5G", fontsize=9)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def gaussian_process():
    """A process with normal noise and one with Student-t noise, on labels of which one is wrong."""
    from sklmat import RobustGaussianProcessRegressor

    rng = np.random.RandomState(0)
    x = np.sort(rng.uniform(0, 6, 25))
    y = np.sin(x) + 0.05 * rng.normal(size=25)
    y[12] += 2.2
    grid = np.linspace(0, 6, 300)
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 2.9), layout="constrained", sharey=True)
    for ax, freedom, name, color in (
        (axes[0], np.inf, "normal noise", RED),
        (axes[1], 3.0, "Student-t noise, $\\nu = 3$", BLUE),
    ):
        model = RobustGaussianProcessRegressor(degrees_of_freedom=freedom).fit(x[:, None], y)
        mean, std = model.predict(grid[:, None], return_std=True)
        ax.fill_between(grid, mean - 2 * std, mean + 2 * std, color=color + "33", lw=0)
        ax.plot(grid, mean, color=color)
        ax.plot(grid, np.sin(grid), color=GREY, ls=":", lw=1.2)
        ax.scatter(x, y, s=18, c="black", zorder=3)
        weight = model.label_weights_[12]
        ax.annotate(
            f"weight {weight:.2g}", (x[12], y[12]), (x[12] + 0.4, y[12]), va="center", fontsize=9
        )
        ax.set(title=name, xlabel="column of X")
        ax.title.set_fontsize(9)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("y")
    return figure


def comparing_models():
    """Training sets of folds overlap, so the interval of a mean difference is wider."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(WIDTH, 2.7), layout="constrained", width_ratios=[1.2, 1]
    )
    for split in range(5):
        for part in range(5):
            is_test = part == split
            left.barh(-split, 1, 0.62, part, color=ORANGE if is_test else SKY, ec="white")
            left.text(part + 0.5, -split, "test" if is_test else "train", ha="center", va="center")
    left.set(xticks=[], yticks=range(-4, 1), yticklabels=[f"split {k}" for k in range(5, 0, -1)])
    left.set_title("any two training sets share three of four parts", fontsize=9)
    left.spines[:].set_visible(False)
    left.tick_params(length=0)

    from scipy import stats

    differences = np.array([1.0, 2, 3, 4, 5])
    t = stats.t.ppf(0.975, 4)
    for place, (name, factor, color) in enumerate(
        (("ordinary:\n$s^2 / J$", 1 / 5, RED), ("corrected:\n$(1/J + n_2/n_1)\\, s^2$", 0.45, BLUE))
    ):
        half = t * np.sqrt(factor * differences.var(ddof=1))
        right.errorbar(3, -place, xerr=half, fmt="o", color=color, capsize=4)
        right.text(-0.35, -place, name, ha="right", va="center")
    right.plot(differences, np.full(5, -1.75), "x", color="black")
    right.text(-0.35, -1.75, "differences of\nfive splits", ha="right", va="center")
    right.axvline(0, color=GREY, lw=1, ls=":")
    right.set(yticks=[], ylim=(-2.2, 0.5), xlim=(-0.2, 6.2), xlabel="difference of the scores")
    right.spines[["top", "right", "left"]].set_visible(False)
    return figure


def conformal_prediction():
    """Sorted residuals of calibration rows, their quantile, and the interval of a new row."""
    rng = np.random.RandomState(1)
    residuals = np.sort(np.abs(rng.normal(size=30)))
    rank = int(np.ceil(0.9 * 31))
    quantile = residuals[rank - 1]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(WIDTH, 3.0), layout="constrained", width_ratios=[1.3, 1], sharey=False
    )
    colors = [BLUE if k < rank else ORANGE for k in range(30)]
    left.bar(np.arange(1, 31), residuals, 0.7, color=colors)
    left.axhline(quantile, color=RED, lw=1.2, ls="--")
    left.text(1, quantile + 0.06, "$q$: residual of rank $r$", color=RED)
    left.annotate(
        f"$r = {rank}$", (rank, 0), (rank, -0.28), ha="center", color=RED, annotation_clip=False
    )
    left.set(xlabel="calibration rows, sorted", ylabel="$|y_i - \\hat y_i|$", xticks=[1, 10, 20])
    left.set_title("$n = 30$ rows, one in each group; $1 - \\alpha = 0.9$", fontsize=9)
    right.errorbar([0.5], [2.0], yerr=quantile, fmt="o", color=RED, capsize=6)
    right.text(0.56, 2.0, "$\\hat y$", va="center")
    right.text(0.56, 2.0 + quantile, "$\\hat y + q$", va="center")
    right.text(0.56, 2.0 - quantile, "$\\hat y - q$", va="center")
    right.set(xlim=(0, 1.1), ylim=(0, 4), xticks=[], ylabel="y")
    right.set_title("interval of a new row (split)", fontsize=9)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


DRAWINGS = {
    function.__name__: function
    for function in (
        crystal_graph_convolution,
        element_convolution,
        infogan,
        eftgan,
        adversarial_examples,
        attribution,
        disorder_descriptors,
        detailed_balance,
        gaussian_process,
        comparing_models,
        conformal_prediction,
    )
}


def path_of(name):
    """File of a drawing."""
    return FOLDER / f"theory_{name}.svg"


def main(names=()):
    """Write the drawings with these names, or all."""
    matplotlib.use("Agg")
    for name in names or DRAWINGS:
        with matplotlib.rc_context(STYLE):
            figure = DRAWINGS[name]()
            description = DRAWINGS[name].__doc__
            metadata = {"Description": description, "Date": None, "Creator": None}
            figure.savefig(path_of(name), facecolor="white", metadata=metadata)
            plt.close(figure)
        lines = path_of(name).read_text(encoding="utf-8").splitlines()
        text = "\n".join(line.rstrip() for line in lines) + "\n"
        path_of(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
