"""Are the figures in README and guide those that the benchmarks print?

    python examples/benchmarks/run_all.py --check [--only PATTERN ...] [--outputs FOLDER]
    python examples/benchmarks/run_all.py --check --written-only
    python examples/benchmarks/run_all.py --check --write-page

``figures.toml`` has, for each command, the tables and the sentences with its figures, and where in
the output they are. `--check` runs the commands and compares. With ``--outputs``, outputs are kept
in a folder, and a command whose output is there is not run again. ``--written-only`` runs nothing:
it says which entries are not in the pages. ``--write-page`` writes the list of commands of the
guide.

A figure is OK if it is the printed number, rounded to the digits that are written, or off by no
more than the `tolerance` of its entry (in units of the last written digit).
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
PAGE = ROOT / "docs" / "benchmarks" / "commands_of_figures.md"
_BEGINNING = """# Commands of the figures

The figures in the README and in this guide are printed by these commands, in a checkout of the
repository. The scripts are in `examples/benchmarks/`. `python examples/benchmarks/run_all.py
--check` runs the commands and compares what they print with what is written (`--only PATTERN` for
some of them, `--outputs FOLDER` to keep what they print). The minutes are roughly those of one
core. What is not compared are times, which depend on the machine, and figures that a script does
not print in this form.

| figures | command | minutes |
| --- | --- | --- |"""
_NUMBER = r"[-+]?\d+(?:\.\d+)?"


@dataclass
class Figure:
    """Numbers of a cell or a sentence, and the pattern of the line that prints them.

    `pattern` has a group for each number. `section` is the beginning of the part of the output.
    """

    page: str
    where: str
    written: list
    digits: list
    section: str
    pattern: str
    tolerance: float


def read_entries():
    """The runs of ``figures.toml``: dicts with "command", "minutes", "table" and "text"."""
    with open(FOLDER / "figures.toml", "rb") as file:
        return tomllib.load(file)["run"]


def numbers(text):
    """Numbers in a text, their numbers of decimals, and whether they are percentages.

    >>> numbers("**0.0105 ± 0.001 / 0.0164**, 12 %")
    ([0.0105, 0.001, 0.0164, 0.12], [4, 3, 4, 2])
    """
    values, decimals = [], []
    for match in re.finditer(rf"({_NUMBER})( %)?", text.replace("−", "-").replace("*", "")):
        n_decimals = len(match[1].partition(".")[2])
        percent = match[2] is not None
        values.append(float(match[1]) / (100 if percent else 1))
        decimals.append(n_decimals + 2 * percent)
    return values, decimals


def table_after(text, start):
    """Rows of the first table in or after the line with `start`: dict of label -> other cells."""
    lines = text.split("\n")
    first = next((k for k, line in enumerate(lines) if start in line), None)
    if first is None:
        raise LookupError(f"the text {start!r} is not in the page")
    top = next((k for k in range(first, len(lines) - 1) if lines[k + 1].startswith("| ---")), None)
    if top is None:
        raise LookupError(f"there is no table after {start!r}")
    rows = {}
    for line in lines[top + 2 :]:
        if not line.startswith("|"):
            break
        # Lines begin and end with a bar.
        label, *cells = [cell.strip() for cell in line.strip()[1:-1].split("|")]
        rows[label.replace("*", "")] = cells
    return rows


def figures_of(run):
    """`Figure` of each cell and sentence of a run, and what is wrong with the entries."""
    found, problems = [], []
    for entry in run.get("table", []):
        try:
            found += figures_of_table(entry)
        except LookupError as error:
            problems.append(f"{entry['page']}: {error}")
    for entry in run.get("text", []):
        page = (ROOT / entry["page"]).read_text(encoding="utf-8")
        if " ".join(entry["written"].split()) not in " ".join(page.split()):
            problems.append(f"{entry['page']}: {entry['written']!r} is not in the page")
            continue
        written, digits = numbers(entry["written"])
        position = 0
        for section, pattern in entry.get("printed", []):
            n = pattern.count("#")
            part = slice(position, position + n)
            position += n
            found.append(
                _figure(entry, entry["written"], written[part], digits[part], section, pattern)
            )
        if "printed" in entry and position != len(written):
            problems.append(f"{entry['page']}: {entry['written']!r} has {len(written)} numbers")
    return found, problems


def figures_of_table(entry):
    rows = table_after((ROOT / entry["page"]).read_text(encoding="utf-8"), entry["after"])
    if "rows" not in entry:
        # Speeds depend on the machine: the command is named, and nothing is compared.
        return []
    others = entry.get("others", [])
    unknown = [label for label in rows if label not in entry["rows"] and label not in others]
    absent = [label for label in [*entry["rows"], *others] if label not in rows]
    if unknown or absent:
        message = f"table after {entry['after']!r}: rows {unknown} have no entry, {absent} no row"
        raise LookupError(message)
    found = []
    for label, name in entry["rows"].items():
        for k, section in enumerate(entry["sections"]):
            written, digits = numbers(rows[label][k]) if k < len(rows[label]) else ([], [])
            if not written or section == "-":
                continue
            cells = entry["cells"] if isinstance(entry["cells"], str) else entry["cells"][k]
            sections = section if isinstance(section, list) else [section]
            n = cells.count("#")
            if n * len(sections) != len(written):
                raise LookupError(f"{label!r}, column {k + 1}: {written} does not fit {cells!r}")
            # Names are padded with spaces.
            end = "" if name.endswith("*") else r"(?=  | MAE| -?\d)"
            pattern = rf"^ *{re.escape(name.rstrip('*'))}{end}.*?{cells}"
            where = f"{label}, column {k + 1}"
            for m, part in enumerate(sections):
                some = slice(m * n, (m + 1) * n)
                found.append(_figure(entry, where, written[some], digits[some], part, pattern))
    return found


def _figure(entry, where, written, digits, section, pattern):
    pattern = pattern.replace("#", rf"({_NUMBER})")
    tolerance = entry.get("tolerance", 0)
    return Figure(entry["page"], where, written, digits, section, pattern, tolerance)


def part_of(output, section):
    """Lines after the last one that matches `section`, up to the next line without indentation."""
    lines = output.split("\n")
    if not section:
        return lines
    starts = [k for k, line in enumerate(lines) if re.search(section, line)]
    if not starts:
        return []
    part = []
    for line in lines[starts[-1] + 1 :]:
        if line and not line.startswith(" "):
            break
        part.append(line)
    return part


def verdict(figure, output):
    """ "OK", "DIFFERENT" or "NOT PRINTED", and the printed numbers."""
    lines = part_of(output, figure.section)
    matches = [match for match in (re.search(figure.pattern, line) for line in lines) if match]
    if not matches:
        return "NOT PRINTED", []
    printed = [float(group) for group in matches[-1].groups()]
    same = all(
        abs(number - written) <= (0.5 + figure.tolerance) * 10.0**-digits + 1e-9
        for number, written, digits in zip(printed, figure.written, figure.digits)
    )
    return ("OK" if same else "DIFFERENT"), printed


def output_of(command, folder):
    """What a command prints; from the folder if it was run before."""
    kept = None
    if folder:
        folder.mkdir(exist_ok=True)
        kept = folder / (re.sub(r"[^\w.]+", "_", command).strip("_") + ".txt")
        if kept.exists():
            return kept.read_text(encoding="utf-8")
    script, *arguments = shlex.split(command)
    with tempfile.TemporaryDirectory() as place:
        result = subprocess.run(
            [sys.executable, FOLDER / script, *arguments],
            cwd=place,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
        )
    if kept:
        kept.write_text(result.stdout, encoding="utf-8")
    return result.stdout


def _place(entry):
    """Heading above the table or sentence, as a link to its page."""
    text = (ROOT / entry["page"]).read_text(encoding="utf-8")
    if "after" in entry:
        end = text.index("\n| ---", text.index(entry["after"]))
    else:
        # The sentence may be wrapped at any space.
        words = [re.escape(word) for word in entry["written"].split()]
        end = re.search(r"\s+".join(words), text).start()
    title = [line for line in text[:end].split("\n") if re.match("#+ ", line)][-1].lstrip("# ")
    if entry["page"] == "README.md":
        return f"README, {title}"
    link = os.path.relpath(ROOT / entry["page"], PAGE.parent)
    return f"[{title}]({Path(link).as_posix()})"


def page(runs):
    """The page of the guide with the command of each table and sentence."""
    lines = [_BEGINNING]
    for run in runs:
        places = {}
        for entry in [*run.get("table", []), *run.get("text", [])]:
            compared = "rows" in entry or "printed" in entry
            places.setdefault(_place(entry), []).append(compared)
        cell = "; ".join(
            name
            + (
                ""
                if all(compared)
                else " (not all compared)"
                if any(compared)
                else " (not compared)"
            )
            for name, compared in places.items()
        )
        lines.append(f"| {cell} | `{run['command']}` | {run['minutes']} |")
    return "\n".join([*lines, ""])


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="this task of run_all.py")
    parser.add_argument("--only", nargs="+", default=["*"], help="patterns of commands")
    parser.add_argument("--outputs", type=Path, help="folder in which outputs are kept")
    parser.add_argument("--written-only", action="store_true", help="run nothing")
    parser.add_argument("--write-page", action="store_true", help="write the list of commands")
    args = parser.parse_args(arguments)
    runs = read_entries()
    if args.write_page:
        PAGE.write_text(page(runs), encoding="utf-8")
        return
    n_wrong = 0
    for run in runs:
        if not any(fnmatchcase(run["command"], pattern) for pattern in args.only):
            continue
        figures, problems = figures_of(run)
        n_wrong += len(problems)
        for problem in problems:
            print(f"NOT WRITTEN  {problem}")
        if args.written_only or not figures:
            continue
        print(f"\n{run['command']}  (about {run['minutes']} minutes)", flush=True)
        output = output_of(run["command"], args.outputs)
        for figure in figures:
            result, printed = verdict(figure, output)
            n_wrong += result != "OK"
            print(
                f"  {result:12s} {figure.page}, {figure.where}: {figure.written}, printed {printed}"
            )
    if n_wrong:
        sys.exit(f"{n_wrong} figures are not as they are written")
    print("all figures are as they are written")


if __name__ == "__main__":
    main()
