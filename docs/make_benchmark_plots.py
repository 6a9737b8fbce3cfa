"""Draw the dot plots of the benchmark pages from the tables of these pages.

    python docs/make_benchmark_plots.py [NAME ...]

Run it after a change of a table. Each plot carries its numbers in its description, which a test
compares with the tables.
"""

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from sklmat.plotting._style import COLORS, MARKERS

DOCS = Path(__file__).parent
STATIC = DOCS / "_static"
BLUE, ORANGE, GREEN = COLORS[:3]
NETWORK, SIMPLE, POTENTIAL = "network", "simple model", "with CHGNet"
STYLES = {
    SIMPLE: {"color": BLUE, "marker": MARKERS[0]},
    NETWORK: {"color": ORANGE, "marker": MARKERS[1]},
    POTENTIAL: {"color": GREEN, "marker": MARKERS[2]},
}
#: Inches; a phone shows it at two thirds of this size.
WIDTH = 5.6
LETTERS = {"font.size": 11, "xtick.labelsize": 10.5, "ytick.labelsize": 11, "legend.fontsize": 10.5}


@dataclass
class Panel:
    """One axis with numbers of one table.

    Parameters
    ----------
    title : str
        What the numbers are.
    column : int
        Column of the table, counted from 0 behind the names of the rows.
    part : int
        Which of the numbers of a cell that are separated by strokes.
    after : str, default=None
        Text before the table; that of the plot by default.
    key : str
        Name of a row in the table, for the name in the plot's rows.
    kind : str, default=None
        Kind of all points; that of each row by default.
    line : {"best", "largest"} or str or float, default=None
        Where a line is: at the best simple model (smallest or largest value), at the row with
        this name, or at this number.
    rows : dict, default=None
        Rows of this panel, if it does not have those of the plot.
    """

    title: str
    column: int
    part: int = 0
    after: str | None = None
    key: str = "{}"
    kind: str | None = None
    line: str | float | None = None
    rows: dict | None = None
    log: bool = False


@dataclass
class Plot:
    """A figure at the top of a page.

    Parameters
    ----------
    after : str
        Text before the table.
    panels : list of list of Panel
        Panels that are drawn over each other on one axis are in one list.
    rows : dict
        For each row of the table its name in the plot and its kind, or None if it is left out.
    page : str, default=None
        Page with the table, relative to the documentation; the page of the plot by default.
    n_keys : int
        Number of columns that name a row.
    n_columns : int
        Number of panels next to each other.
    kinds : dict
        Names of the kinds in the legend, if they have others here.
    line_name : str
        What the line is.
    zero : bool
        Whether the axes begin at zero.
    """

    after: str
    panels: list
    rows: dict = field(default_factory=dict)
    page: str | None = None
    n_keys: int = 1
    n_columns: int = 2
    kinds: dict = field(default_factory=dict)
    line_name: str = "best simple model"
    zero: bool = True


def table(text, after, n_keys=1):
    """Rows of the first table in or after the line with a text: name -> other cells."""
    lines = text[text.index(after) :].split("\n")
    top = next(k for k, line in enumerate(lines) if line.startswith("| ---"))
    rows = {}
    for line in lines[top + 1 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip().replace("*", "") for cell in line.strip()[1:-1].split("|")]
        name = ", ".join(cells[:n_keys])
        if name in rows:
            raise ValueError(f"the table after {after!r} has two rows {name!r}")
        rows[name] = cells[n_keys:]
    return rows


def estimate(cell, part=0):
    """Value of a cell and the ends of its interval, or None if the cell is empty.

    Cells are ``0.1``, ``0.10 ± 0.02 / 0.13`` or ``+0.1 (-0.2 to +0.4)``, perhaps in percent.
    """
    if cell in ("", "-"):
        return None
    text = cell.replace("−", "-").split(" / ")[part]
    number = r"([-+]?\d+(?:\.\d+)?)(?: %)?"
    found = re.fullmatch(rf"{number}(?: ± {number}| \({number} to {number}\))?", text)
    if found is None:
        raise ValueError(f"{cell!r} is no number with or without an interval")
    value, deviation, low, high = (None if g is None else float(g) for g in found.groups())
    if deviation is not None:
        low, high = round(value - deviation, 10), round(value + deviation, 10)
    return value, low, high


def points_of(name, plot, panel):
    """Points of a panel: name in the plot, kind, value and the ends of the interval."""
    page = plot.page or f"benchmarks/{name}.md"
    text = (DOCS / page).read_text(encoding="utf-8")
    found = table(text, panel.after or plot.after, plot.n_keys)
    points, named = [], set()
    for label, row in (panel.rows or plot.rows).items():
        key = panel.key.format(label)
        named.add(key)
        if row is None:
            continue
        short, kind = row
        numbers = estimate(found[key][panel.column], panel.part)
        if numbers is not None:
            points.append([short, panel.kind or kind, *numbers])
    if panel.key == "{}" and named != set(found):
        raise ValueError(f"{page}: no row of the plot for {sorted(set(found) - named)}")
    return points


def numbers_of(name):
    """All numbers of a plot: title of each panel -> points."""
    plot = PLOTS[name]
    return {
        panel.title + (f", {panel.kind}" if len(overlaid) > 1 else ""): points_of(name, plot, panel)
        for overlaid in plot.panels
        for panel in overlaid
    }


def place_of_line(panel, points):
    """Where the line of a panel is, or None."""
    if panel.line in ("best", "largest"):
        choose = min if panel.line == "best" else max
        return choose(value for _, kind, value, *_ in points if kind == SIMPLE)
    if isinstance(panel.line, str):
        return next(value for short, _, value, *_ in points if short == panel.line)
    return panel.line


def style_of_line(panel):
    """A dashed line at a model, a solid one at zero."""
    if panel.line == 0:
        return {"color": "0.35", "ls": "-", "lw": 1}
    return {"color": BLUE, "ls": "--", "lw": 1.2}


def draw_panel(ax, panel, points, names, shift):
    for short, kind, value, low, high in points:
        place = len(names) - 1 - names.index(short) + shift
        error = None if low is None else [[value - low], [high - value]]
        style = {**STYLES[kind], "ms": 6, "capsize": 3, "ls": "none"}
        ax.errorbar(value, place, xerr=error, **style)
    line = place_of_line(panel, points)
    if line is not None:
        ax.axvline(line, zorder=1, **style_of_line(panel))


def draw(name):
    """The figure of a page."""
    plot = PLOTS[name]
    shown = [
        [row[0] for row in (overlaid[0].rows or plot.rows).values() if row]
        for overlaid in plot.panels
    ]
    heights = [0.27 * len(names) + 0.75 for names in shown[:: plot.n_columns]]
    figure, axes = plt.subplots(
        len(heights),
        plot.n_columns,
        figsize=(WIDTH, sum(heights) + 0.5),
        height_ratios=heights,
        layout="constrained",
        squeeze=False,
    )
    kinds, has_line = [], False
    for k, (ax, overlaid, names) in enumerate(zip(axes.flat, plot.panels, shown)):
        for m, panel in enumerate(overlaid):
            points = points_of(name, plot, panel)
            draw_panel(ax, panel, points, names, 0.12 * (1 - 2 * m) * (len(overlaid) > 1))
            kinds += [kind for _, kind, *_ in points]
            has_line |= panel.line is not None
        ax.set_yticks(range(len(names)), names[::-1])
        ax.set_ylim(-0.6, len(names) - 0.4)
        if k % plot.n_columns:
            ax.set_yticklabels([])
        finish(ax, overlaid[0], plot)
    for ax in axes.flat[len(plot.panels) :]:
        ax.set_visible(False)
    handles = [
        Line2D([], [], ls="none", label=plot.kinds.get(kind, kind), ms=6, **style)
        for kind, style in STYLES.items()
        if kind in kinds
    ]
    if has_line:
        style = style_of_line(plot.panels[0][0])
        handles.append(Line2D([], [], label=plot.line_name, **style))
    if len(handles) > 1:
        columns = 2 if sum(len(handle.get_label()) + 6 for handle in handles) > 62 else 4
        figure.legend(handles=handles, loc="outside upper center", ncols=columns, frameon=False)
    return figure


def finish(ax, panel, plot):
    ax.set_xlabel(panel.title)
    if panel.log:
        ax.set_xscale("log")
        ticks = [t for t in (0.3, 1, 3, 10, 100) if ax.get_xlim()[0] <= t <= ax.get_xlim()[1]]
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.xaxis.set_minor_formatter(NullFormatter())
    else:
        if plot.zero and panel.line != 0:
            ax.set_xlim(0, 1.04 * ax.get_xlim()[1])
        ax.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10] if plot.zero else [1, 3, 10]))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}".replace("-", "−")))
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def main(names):
    settings = {**LETTERS, "svg.hashsalt": "sklmat", "svg.fonttype": "path"}
    with plt.rc_context(settings):
        for name in names or PLOTS:
            figure = draw(name)
            description = json.dumps(numbers_of(name), ensure_ascii=False)
            figure.savefig(
                STATIC / f"benchmark_{name}.svg",
                metadata={"Date": None, "Creator": None, "Description": description},
                facecolor="white",
            )
            plt.close(figure)


# The plots

_ENERGY, _MOMENT = "energy (eV/atom)", "moment (μB/atom)"
_GP, _XGB = "Gaussian process", "XGBoost"

_ALLOYS = {
    "mean of the training rows": None,
    "XGBoost, fractions + phase": ("XGBoost, label's phase", SIMPLE),
    "Gaussian process, fractions + phase": ("process, label's phase", SIMPLE),
    "Gaussian process, fractions + phase + volume": ("process, phase, volume", SIMPLE),
    "Gaussian process, fractions + lattice + volume": ("process, lattice, volume", SIMPLE),
    "XGBoost, `CompositionFeaturizer` + `StructureFeaturizer`": ("XGBoost, all features", SIMPLE),
    "XGBoost, `ECNetFeaturizer`": ("XGBoost, ECNet's vectors", NETWORK),
    "CGCNN": ("CGCNN", NETWORK),
    "ECNet": ("ECNet", NETWORK),
    "robust Gaussian process, fractions + lattice + volume": ("robust, lattice, volume", SIMPLE),
    "Gaussian process, fractions + lattice + four columns of volumes (`baselines`)": (
        "process, four volumes",
        SIMPLE,
    ),
    "robust Gaussian process on the same (`baselines`)": ("robust, four volumes", SIMPLE),
    "CHGNet: ECNet on the difference": ("ECNet on difference", POTENTIAL),
    "CHGNet: robust Gaussian process (below)": ("robust process", POTENTIAL),
    "CHGNet: mean of ECNet and the process": ("mean of both", POTENTIAL),
}
_COMPONENTS = {
    label.replace(" (below)", ""): row
    for label, row in _ALLOYS.items()
    if row is not None and "baselines" not in label and not label.endswith("fractions + phase")
}
_BASELINES = {
    "mean": None,
    "random forest, composition": ("forest, composition", SIMPLE),
    "XGBoost, composition": ("XGBoost, composition", SIMPLE),
    "linear, composition": ("linear, composition", SIMPLE),
    "Gaussian process, composition": ("process, composition", SIMPLE),
    "XGBoost, composition and structure": ("XGBoost, structure", SIMPLE),
    "cubic ridge, composition": ("cubic ridge, composition", SIMPLE),
    "Gaussian process, composition and volume": ("process, volume", SIMPLE),
    "Gaussian process, CHGNet": ("process, CHGNet", POTENTIAL),
    "robust Gaussian process, composition and volume": ("robust process, volume", SIMPLE),
}
_VECTORS = {
    "XGBoost, `CompositionFeaturizer`": ("XGBoost, composition", SIMPLE),
    "XGBoost, `CompositionFeaturizer` + `StructureFeaturizer`": ("XGBoost, structure", SIMPLE),
    "XGBoost, `ECNetFeaturizer`": ("XGBoost, vectors", NETWORK),
    "Gaussian process, `CompositionFeaturizer`": ("process, composition", SIMPLE),
    "Gaussian process, `ECNetFeaturizer`": ("process, vectors", NETWORK),
    "the network itself": ("the network itself", NETWORK),
}
_FREE = {
    "XGBoost": (_XGB, SIMPLE),
    "multilayer perceptron": ("perceptron", SIMPLE),
    "cubic ridge regression": ("cubic ridge", SIMPLE),
    "Gaussian process": (_GP, SIMPLE),
    "mean of the two models above": ("mean of these two", SIMPLE),
    "robust Gaussian process": ("robust process", SIMPLE),
    "mean of robust process and cubic ridge": ("mean, robust and ridge", SIMPLE),
    "`EFTGANRegressor`": ("EFTGAN", NETWORK),
    "the same, with the structure": None,
}
_OTHERS_FREE = {**_FREE, "`EFTGANRegressor`": None}
_ROWS = {
    "none": None,
    "noise": ("noise", SIMPLE),
    "mix-up": ("mix-up", SIMPLE),
    "C-mix-up": ("C-mix-up", SIMPLE),
    "noise, same labeler": ("noise, labeler", SIMPLE),
    "mix-up, same labeler": ("mix-up, labeler", SIMPLE),
    "nearest neighbours, same labeler": ("neighbours, labeler", SIMPLE),
    "ridge regression for the features of the same codes, same labeler": (
        "ridge, labeler",
        SIMPLE,
    ),
    "InfoGAN, interpolated codes": ("interpolated", NETWORK),
    "InfoGAN, concat": ("concat (default)", NETWORK),
    "InfoGAN, pretrain-finetune": ("pretrain-finetune", NETWORK),
    "InfoGAN, iterated (two GANs)": ("iterated", NETWORK),
    "the network itself": None,
    "the labeler itself": None,
}
_ORDERINGS = {
    "XGBoost, one-hot sites": ("XGBoost, sites", SIMPLE),
    "CGCNN, AdamW, width 64, rate 0.002, 330 epochs": ("CGCNN, AdamW", NETWORK),
    "CGCNN as published with the data ({doi}`10.1038/s41524-024-01270-1`)": (
        "CGCNN, published",
        NETWORK,
    ),
    "CGCNN": ("CGCNN, default", NETWORK),
    "`OrderingRegressor`, `OrderingClassifier` (`orderings.py`)": ("ordering model", SIMPLE),
}
_MODULI = {
    "mean of the training rows": None,
    "random forest on the composition": ("random forest", SIMPLE),
    "robust Gaussian process on energy and vectors": ("process", POTENTIAL),
    "robust Gaussian process on composition, modulus, energy and vectors": (
        "process, all columns",
        POTENTIAL,
    ),
    "the same, on the difference to CHGNet's modulus": ("process on difference", POTENTIAL),
    "XGBoost on composition and structure (500 trees of depth 6)": (_XGB, SIMPLE),
    "CGCNN": ("CGCNN", NETWORK),
    "mean of CGCNN and the process on the difference": ("mean of both", POTENTIAL),
}
_DISORDER = {
    "Generated, ordering class": ("generated, ordering", SIMPLE),
    "xTB, ordering class": ("xTB, ordering", SIMPLE),
    "xTB, efficiency class": ("xTB, efficiency", SIMPLE),
    "Template, efficiency class": ("template, efficiency", SIMPLE),
    "Template, band type": ("template, band type", SIMPLE),
}
_PAIRS = {
    "d - c": ("d - c: selected, general", SIMPLE),
    "d - b": ("d - b: CGCNN, perturbed", NETWORK),
    "d - a": ("d - a: CGCNN", NETWORK),
    "d - e": ("d - e: selected, all", SIMPLE),
    "e - c": ("e - c: all, general", SIMPLE),
    "e - a": ("e - a: CGCNN", NETWORK),
    "f - d": ("f - d: with margins", SIMPLE),
}
_ATTACKS = {
    "one random draw": ("one random draw", SIMPLE),
    "worst of 50 draws": ("worst of 50 draws", SIMPLE),
    "FGSM": ("FGSM", NETWORK),
    "PGD": ("PGD", NETWORK),
}
_OTHERS = {
    "building graphs, pymatgen's `get_all_neighbors`": ("graphs, all neighbours", SIMPLE),
    "building graphs, pymatgen's `get_neighbor_list` alone": ("graphs, search alone", SIMPLE),
    **{
        f"training step, {n} crystals, {label}": (f"step of {n}, {short}", SIMPLE)
        for n in (32, 256)
        for label, short in [
            ("code as in the original CGCNN", "original"),
            ("`torch_geometric.nn.CGConv`", "CGConv"),
            ("operations of torch with `torch.compile`", "compiled"),
            ("matrix products and memory alone", "lower bound"),
        ]
    },
}
_XGB_SETTINGS = {
    "defaults of XGBoost": ("defaults of XGBoost", SIMPLE),
    "0.05, 500, 6, 0.8, 0.5 (until now in `baselines`)": ("0.05, 500, 6, 0.8, 0.5", SIMPLE),
    **{
        f"0.03, {rest}": (f"0.03, {rest}", SIMPLE)
        for rest in (
            "1000, 3, 0.8, 0.5",
            "1000, 4, 0.8, 0.5",
            "1000, 6, 0.8, 0.5",
            "1000, 4, 0.5, 0.5",
            "1000, 4, 0.8, 0.3",
            "1000, 4, 0.8, 0.8",
            "500, 4, 0.8, 0.5",
        )
    },
    "0.03, at most 5000, 4, 0.8, 0.5, stopped early": ("stopped early", SIMPLE),
    "the same, then fitted to all rows with this number of trees": ("then all rows", SIMPLE),
}
_GP_SETTINGS = {
    "composition": ("composition", SIMPLE),
    "composition, volume per atom": ("+ volume", SIMPLE),
    "composition, lattice, volume per atom": ("+ lattice, volume", SIMPLE),
    "two kernels: composition; lattice, volume per atom": ("the same, two kernels", SIMPLE),
    "composition, lattice, four columns of volumes": ("+ lattice, 4 volumes", SIMPLE),
    "the same, robust": ("the same, robust", SIMPLE),
    "two kernels: composition; lattice, four columns of volumes": ("4 volumes, 2 kernels", SIMPLE),
    "two kernels, robust (until now in `baselines`, without the lattice)": (
        "the same, 2 kernels, robust",
        SIMPLE,
    ),
}
_CHGNET_SETTINGS = {
    "the vectors alone": ("vectors", POTENTIAL),
    "the vectors and their standard deviations over the atoms, alone": (
        "vectors, deviations",
        POTENTIAL,
    ),
    "ten principal components, and the columns above": ("ten components +", POTENTIAL),
    "two kernels: ten principal components; the columns above": (
        "the same, two kernels",
        POTENTIAL,
    ),
    "two kernels: vectors; the columns above": ("vectors +, two kernels", POTENTIAL),
    "two kernels: vectors and standard deviations; the columns above": (
        "with deviations, two kernels",
        POTENTIAL,
    ),
}
_ECNET = {
    label: (short, NETWORK)
    for label, short in {
        "default, ensemble of four": "default, four networks",
        "without the spread of surroundings (`radial_spread=False`)": "without spread",
        "dropout 0.1": "dropout 0.1",
        "weight decay 0.01 in place of 0.3": "weight decay 0.01",
        "squared error as loss": "squared error",
        "physical element vectors": "physical vectors",
        "grid of 0.1 Å in place of 0.25 Å": "grid of 0.1 Å",
        "two convolutions": "two convolutions",
        "three convolutions": "three convolutions",
        "without normalisation": "no normalisation",
        "200 epochs": "200 epochs",
        "ensemble of eight (the default)": "eight networks",
        "one network, seed 0": "one network, seed 0",
        "one network, seed 1": "one network, seed 1",
        "one network, seed 2": "one network, seed 2",
        "one network, seed 3": "one network, seed 3",
    }.items()
}
_CHGNET = {
    "CHGNet's energy as a column": ("energy as column", POTENTIAL),
    "its relative energy as a column": ("relative energy", POTENTIAL),
    "on the difference to its energy": ("on difference", POTENTIAL),
    "on the difference, relative energy as a column": ("both (kept)", POTENTIAL),
}
_CGCNN = {
    label: (short, NETWORK)
    for label, short in {
        "width 64, 100 epochs, rate 0.002, one-hot elements": "A: width 64, 100 epochs",
        "squared instead of absolute error": "A, squared error",
        "width 32, 200 epochs, rate 0.002, one-hot elements": "B: width 32, 200 epochs",
        "physical element vectors": "B, physical elements",
        "width 16": "B, width 16",
        "weight decay 0.1": "B, weight decay 0.1",
        "batches of 16, 200 epochs": "B, batches of 16",
        "rate 0.005": "B, rate 0.005",
        "width 32, 100 epochs, rate 0.005, physical elements": "C: rate 0.005, physical",
        "mean of four such networks": "C, four networks",
        "18 neighbours": "C, 18 neighbours",
        "two convolutions": "C, two convolutions",
        "batches of 16, 100 epochs": "C, batches of 16",
        "rate 0.01 (the default)": "C, rate 0.01 (default)",
    }.items()
}
_GENERATORS = {
    "quadratic ridge regression, a model for each column": ("quadratic ridge", SIMPLE),
    "Gaussian process, one for each column": (_GP, SIMPLE),
    "five GANs, 500 epochs (the default), mean of the five": ("five GANs (default)", NETWORK),
    "one GAN": ("one GAN", NETWORK),
    "1,000 epochs": ("1,000 epochs", NETWORK),
    "half the learning rate": ("half the rate", NETWORK),
    "weight of the information 0.3": ("information 0.3", NETWORK),
}
_RELAXATION = {
    "Gaussian process, fractions + phase": (_GP, SIMPLE),
    "mean of this process and cubic ridge regression": ("mean with cubic ridge", SIMPLE),
    "Gaussian process that is given the lattice after relaxation (unknown for real candidates)": (
        "process, true lattice",
        SIMPLE,
    ),
    "`EFTGANRegressor`, which predicts the lattice": ("EFTGAN", NETWORK),
}
_OPTIMIZERS = {
    "AdamW, rate 0.002, 50 epochs": ("AdamW, 50 epochs", NETWORK),
    "Muon, rate 0.006, 25 epochs": ("Muon, 25 epochs", NETWORK),
}
_COLUMNS = {
    label: (short, SIMPLE)
    for label, short in {
        "general columns": "general columns",
        "+ number of inequivalent sites": "+ inequivalent sites",
        "+ equal halides opposite each other at tin, one column": "+ opposite equal halides",
        "+ dipole of the halides around tin, one column": "+ dipole around tin",
        "+ multipoles around tin": "+ multipoles, tin",
        "+ multipoles around tin and caesium": "+ multipoles, tin, caesium",
        "+ all of `DisorderFeaturizer`": "+ all descriptors",
    }.items()
}


def _learning_curve(columns):
    """Panels of a learning curve: a Gaussian process and a network for each target."""
    return [
        [
            Panel(f"{title},\n{folds}", column + k, after=after, kind=kind)
            for k, kind in enumerate([SIMPLE, NETWORK])
        ]
        for folds, after in columns.items()
        for title, column in [(_ENERGY, 0), (_MOMENT, 2)]
    ]


_CHANGE = "change of the error (%),\n"
PLOTS = {
    "alloys": Plot(
        "(benchmarks-alloys)=",
        [[Panel(_ENERGY, 1, line="best")], [Panel(_MOMENT, 3, line="best")]],
        _ALLOYS,
    ),
    "more_components": Plot(
        "(benchmarks-components)=",
        [
            [Panel(f"{title},\n{task}", 2 * k + m, line="best")]
            for m, task in enumerate(["2-4 to 5", "2-3 to 4-5"])
            for k, title in enumerate([_ENERGY, _MOMENT])
        ],
        _COMPONENTS,
    ),
    "fewer_rows": Plot(
        "",
        _learning_curve({"shuffled": "Shuffled folds", "by composition": "Folds by composition"}),
        {f"{n} %": (f"{n} % of the rows", SIMPLE) for n in (20, 40, 60, 80, 100)},
        kinds={SIMPLE: _GP, NETWORK: "ECNet"},
    ),
    "baselines": Plot(
        "(benchmarks-baselines)=",
        [
            [Panel(f"{_ENERGY},\nall 364 rows", 0, line="best")],
            [Panel(f"{_ENERGY},\n330 rows", 1, line="best")],
        ],
        _BASELINES,
    ),
    "element_vectors": Plot(
        "(benchmarks-descriptors)=",
        [
            [Panel(f"{title},\n{task}", column, part, line="best")]
            for part, task in [(1, "by composition"), (2, "a fifth of the rows")]
            for column, title in enumerate([_ENERGY, _MOMENT])
        ],
        _VECTORS,
        kinds={NETWORK: "with ECNet"},
    ),
    "structure_free": Plot(
        "## Folds by composition",
        [
            [Panel(_ENERGY, 0, line="best")],
            [Panel(_MOMENT, 2, line="best")],
            [Panel("EFTGAN minus model\n(eV/atom)", 1, line=0, rows=_OTHERS_FREE)],
            [Panel("EFTGAN minus model\n(μB/atom)", 3, line=0, rows=_OTHERS_FREE)],
        ],
        _FREE,
    ),
    "augmentation": Plot(
        "",
        [
            [Panel(f"{_CHANGE}{target}, {model}", column, after=f"| {after} |", line=0)]
            for target, after in [
                ("energy", "formation energy (eV/atom)"),
                ("moment", "magnetic moment (μB/atom)"),
            ]
            for model, column in [("XGBoost", 0), ("MLP", 3)]
        ],
        _ROWS,
        kinds={NETWORK: "InfoGAN", SIMPLE: "simpler rows"},
        line_name="no augmentation",
    ),
    "halide_perovskites": Plot(
        "(benchmarks-perovskites)=",
        [
            [Panel("decomposition energy\n(meV/atom)", 0, line="best")],
            [Panel("band gap (eV)", 1, line="best")],
            [Panel("right band types (%)", 2, line="largest")],
        ],
        _ORDERINGS,
        zero=False,
    ),
    "mixed_chemistry": Plot(
        "(`bulk_moduli.py`):",
        [
            [Panel(f"log₁₀ of the modulus,\n{n} training rows", k, line="best")]
            for k, n in enumerate([240, 945])
        ],
        _MODULI,
        page="user_guide/universal_potentials.md",
    ),
    "disorder_descriptors": Plot(
        "Paired differences over the splits",
        [
            [Panel(f"ROC-AUC, {pair}:\n{name}", 0, key=f"{{}}, {pair}", kind=kind, line=0)]
            for pair, name, kind in [
                ("d - c", "selected - general", SIMPLE),
                ("d - b", "CGCNN, perturbed", NETWORK),
                ("d - a", "CGCNN", NETWORK),
                ("d - e", "selected - all", SIMPLE),
            ]
        ],
        _DISORDER,
        n_keys=2,
        kinds={SIMPLE: "two sets of columns", NETWORK: "trees minus network"},
        line_name="no difference",
    ),
    "disorder_new_compositions": Plot(
        "",
        [
            [Panel(f"ROC-AUC difference,\n{title}", 0, after=f"| {after} | ROC-AUC", line=0)]
            for title, after in [
                ("xTB, efficiency", "by composition"),
                ("xTB, ordering", "ordering, by composition"),
                ("generated, ordering", "generated, by composition"),
            ]
        ],
        _PAIRS,
        kinds={SIMPLE: "two sets of columns", NETWORK: "trees minus network"},
        line_name="no difference",
    ),
    "attacks": Plot(
        "(benchmarks-attacks)=",
        [
            [Panel(f"% changed,\n{budget} Å", k)]
            for k, budget in enumerate(["0.02", "0.05", "0.10"])
        ],
        _ATTACKS,
        n_columns=3,
        kinds={SIMPLE: "random draws", NETWORK: "with gradients"},
    ),
    "other_implementations": Plot(
        "| | time | peak memory |",
        [
            [Panel("time / sklmat's", 0, line=1.0, log=True)],
            [Panel("memory / sklmat's", 1, line=1.0)],
        ],
        _OTHERS,
        kinds={SIMPLE: "others"},
        line_name="sklmat",
    ),
    "tried_baselines": Plot(
        "",
        [
            [Panel(title, column, after=after, rows=rows)]
            for title, column, after, rows in [
                (
                    "XGBoost: mean of the relative errors",
                    4,
                    "| learning rate, trees",
                    _XGB_SETTINGS,
                ),
                ("Gaussian processes: mean", 2, "Gaussian processes:", _GP_SETTINGS),
                ("with CHGNet's vectors: mean", 2, "With CHGNet's vectors", _CHGNET_SETTINGS),
            ]
        ],
        n_columns=1,
    ),
    "tried_ecnet": Plot(
        "(benchmarks-ecnet)=",
        [
            [Panel(_ENERGY, 0, line="default, four networks")],
            [Panel(_MOMENT, 1, line="default, four networks")],
        ],
        _ECNET,
        zero=False,
        line_name="default, four networks",
    ),
    "tried_chgnet": Plot(
        "`ablations.py chgnet`",
        [[Panel(f"{_ENERGY},\nshuffled", 0)], [Panel(f"{_ENERGY},\nby composition", 1)]],
        _CHGNET,
        zero=False,
    ),
    "tried_cgcnn": Plot(
        "`ablations.py cgcnn`", [[Panel(_ENERGY, 0)]], _CGCNN, n_columns=1, zero=False
    ),
    "tried_augmentation": Plot(
        "`ablations.py generator`",
        [
            [Panel(f"R², {n} %\nof the rows", 0, part, line="largest")]
            for part, n in enumerate([20, 40, 100])
        ],
        _GENERATORS,
        n_columns=3,
        kinds={NETWORK: "InfoGAN"},
        zero=False,
    ),
    "tried_structure_free": Plot(
        "`ablations.py relaxation`",
        [[Panel(_ENERGY, 0)], [Panel(_MOMENT, 1)]],
        _RELAXATION,
    ),
    "tried_perovskites": Plot(
        "`ablations.py perovskites`",
        [[Panel("held out (meV/atom)", 0)], [Panel("training (meV/atom)", 1)]],
        _OPTIMIZERS,
    ),
    "tried_disorder": Plot(
        "`ablations.py disorder`", [[Panel("ROC-AUC", 0)]], _COLUMNS, n_columns=1, zero=False
    ),
}

if __name__ == "__main__":
    main(sys.argv[1:])
