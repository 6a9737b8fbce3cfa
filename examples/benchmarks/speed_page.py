"""Plots and page of the numbers that `run_all` measures."""

import json
import string
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from step_parts import PARTS

#: Largest slope of the time that we aim at.
AIM = 1.05
UNITS = {"graphs": "graphs/s", "training": "edges/s", "inference": "cells/s", "memory": "MiB"}
AXES = {
    "atoms": "atoms per cell",
    "structures": "structures",
    "threads": "threads",
    "processes": "processes",
}


# Plots

_COLORS = plt.get_cmap("tab10").colors
COLORS = {
    "StructureToGraph": _COLORS[0],
    "sklmat": _COLORS[0],
    "sklmat, from graphs": _COLORS[0],
    "naive": _COLORS[1],
    "get_all_neighbors": _COLORS[1],
    "PyG CGConv": _COLORS[2],
    "get_neighbor_list": _COLORS[2],
    "products": "black",
    "products, memory": "black",
    "sklmat, from structures": _COLORS[9],
    "ECNet": _COLORS[4],
    "ECNet, from graphs": _COLORS[4],
}


def plot_axes(lines_by_axis, unit, empty=None, key="rate"):
    """One panel for each axis; legends with the slopes of the time."""
    n_axes = len(lines_by_axis)
    size = (max(2.75 * n_axes, 4), 3.4)
    figure, panels = plt.subplots(1, n_axes, figsize=size, layout="constrained", squeeze=False)
    panels = panels[0]
    for panel, (axis, lines) in zip(panels, lines_by_axis.items()):
        for name, line in lines.items():
            slope = f" ({line['slope']:.2f})" if line.get("slope") is not None else ""
            style = {"color": COLORS.get(name), "ls": ":" if "products" in name else "-"}
            panel.plot(line["x"], line[key], "o", ms=3, label=name + slope, **style)
        if axis in ("atoms", "structures"):
            panel.set(xscale="log", yscale="log")
        else:
            panel.set_ylim(0)
        ticks = max((line["x"] for line in lines.values()), key=len)
        panel.set_xticks(ticks, [f"{x:,}" for x in ticks])
        panel.minorticks_off()
        if empty is not None:
            panel.axhline(empty, color="grey", ls="--", label="imports alone")
            panel.set(yscale="linear", ylim=0)
        panel.set_xlabel(AXES[axis])
        panel.legend(fontsize=6, loc="best")
    panels[0].set_ylabel(unit)
    return figure


def plot_parts(parts):
    """One stacked bar for each model."""
    figure, panel = plt.subplots(figsize=(9, 3), layout="constrained")
    left = np.zeros(len(parts))
    for color, part in zip(_COLORS, PARTS):
        widths = [row["fractions"][part] for row in parts.values()]
        panel.barh(list(parts), widths, left=left, color=color, label=part)
        left += widths
    panel.invert_yaxis()
    panel.set_xlabel("fraction of the time")
    panel.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def plot_others(rows):
    """Bars of the times of other implementations in units of ours."""
    bars = [
        (f"{title}: {name}", ratio)
        for title, row in rows.items()
        for name, ratio in row["time / ours"].items()
    ]
    figure, panel = plt.subplots(figsize=(9, 0.24 * len(bars) + 0.6), layout="constrained")
    names, ratios = zip(*bars)
    panel.barh(names, np.array(ratios) - 1, left=1)
    panel.axvline(1, color="black")
    panel.set(xscale="log", xlabel="time / time of sklmat")
    panel.invert_yaxis()
    return figure


def save_plots(result, folder):
    """Write all plots; the same numbers give the same files."""
    matplotlib.use("Agg")
    figures = {name: plot_axes(lines, UNITS[name]) for name, lines in result["rates"].items()}
    used = result["memory"]
    figures["memory"] = plot_axes(used["against"], UNITS["memory"], used["empty"], "MiB")
    figures["parts"] = plot_parts(result["parts"])
    figures["others"] = plot_others(result["others"])
    with plt.rc_context({"svg.hashsalt": "sklmat", "svg.fonttype": "none"}):
        for name, figure in figures.items():
            figure.savefig(folder / f"speed_{name}.svg", metadata={"Date": None})
            plt.close(figure)


# Page


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def text_of(number, digits="{:.2f}"):
    return "" if number is None else digits.format(number)


def slope_rows(result):
    """Rows of the table of slopes."""
    rows = []
    for quantity, lines in result["rates"].items():
        for name in dict.fromkeys([*lines["atoms"], *lines["structures"]]):
            found = [lines[axis].get(name, {}).get("slope") for axis in ("atoms", "structures")]
            rows.append([quantity, name, *map(text_of, found)])
    return rows


def steep(result):
    """A sentence about the slopes of our functions that are above the aim."""
    found = [
        f"{quantity}, {name}, against {AXES[axis]} ({line['slope']:.2f})"
        for quantity, by_axis in result["rates"].items()
        for axis, lines in by_axis.items()
        for name, line in lines.items()
        if name.startswith(("sklmat", "StructureToGraph", "ECNet"))
        and (line.get("slope") or 0) > AIM
    ]
    if not found:
        return f"All slopes of sklmat are at most {AIM}."
    return f"Above {AIM} are: {'; '.join(found)}."


def gain_rows(result):
    """Rows of the table of threads and processes: rates of the most, relative to one."""
    rows = []
    for axis in ("threads", "processes"):
        for quantity, by_axis in result["rates"].items():
            for name, line in by_axis[axis].items():
                gain = line["rate"][-1] / line["rate"][0]
                rows.append([f"{line['x'][-1]} {axis}", quantity, name, text_of(gain)])
    return rows


def other_rows(result):
    return [
        [title, name, text_of(ratio, "{:.3g}"), text_of(row.get("memory / ours", {}).get(name))]
        for title, row in result["others"].items()
        for name, ratio in row["time / ours"].items()
    ]


def page(result):
    """Text of the page, from the numbers of a run."""
    template = Path(__file__).with_name("speed_page.md").read_text(encoding="utf-8")
    parts = result["parts"]
    fields = {
        **result["machine"],
        "crystals": result["crystals"],
        "alloys": result["alloys"],
        "repeats": str(result["sizes"]["repeats"]),
        "n_cells": str(result["sizes"]["cells"]),
        "slow": f"{result['sizes']['most atoms of slow ways']:,}",
        "slow_structures": f"{result['sizes']['most structures of slow ways']:,}",
        "slopes": table(
            ["", "", "against atoms per cell", "against structures"], slope_rows(result)
        ),
        "steep": steep(result),
        "gains": table(["", "", "", "rate / rate of one"], gain_rows(result)),
        "others": table(["", "", "time", "peak memory"], other_rows(result)),
        "parts": table(
            ["", *parts],
            [
                [part, *(f"{100 * row['fractions'][part]:.0f} %" for row in parts.values())]
                for part in PARTS
            ],
        ),
        "profiled": f"{max(row['profiled / not profiled'] for row in parts.values()):.1f}",
        "flops": f"{result['bounds']['matrix product (GFLOP/s)']:.0f}",
        "bytes": f"{result['bounds']['copy (GB/s)']:.0f}",
    }
    return string.Template(template).substitute(fields)


def write(result, folder):
    """Write numbers, plots and the page."""
    static, pages = folder / "_static", folder / "benchmarks"
    for path in (static, pages):
        path.mkdir(parents=True, exist_ok=True)
    (static / "speed.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    save_plots(result, static)
    (pages / "speed.md").write_text(page(result), encoding="utf-8")


def main():
    """Write plots and page again from the numbers in docs, e.g. after a change of the text."""
    folder = Path(__file__).parents[2] / "docs"
    write(json.loads((folder / "_static" / "speed.json").read_text(encoding="utf-8")), folder)


if __name__ == "__main__":
    main()
