"""The figures of README and guide have commands, and are compared with what these print."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "benchmarks"


@pytest.fixture(scope="module")
def figures():
    return runpy.run_path(str(FOLDER / "check_figures.py"))


def test_every_figure_with_a_command_is_written(figures):
    found = [figures["figures_of"](run) for run in figures["read_entries"]()]
    assert [problem for _, problems in found for problem in problems] == []
    assert sum(len(figure.written) for figures, _ in found for figure in figures) > 400


def test_page_lists_the_commands(figures):
    page = figures["page"](figures["read_entries"]())
    text = (ROOT / "docs/benchmarks/commands_of_figures.md").read_text(encoding="utf-8")
    assert page == text, "run examples/benchmarks/run_all.py --check --write-page"


GUIDE = ["augmentation", "differences", "eftgan", "gaussian_processes", "scaling_out"]
PAGES = [
    "README.md",
    *(f"docs/user_guide/{name}.md" for name in GUIDE),
    *(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/benchmarks/*.md")),
]
for name in ("index", "commands_of_figures"):
    PAGES.remove(f"docs/benchmarks/{name}.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_table_of_figures_has_a_command(figures, page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = [
        figures["table_after"](text, entry["after"])
        for run in figures["read_entries"]()
        for entry in run.get("table", [])
        if entry["page"] == page
    ]
    lines = text.split("\n")
    for k, line in enumerate(lines[:-1]):
        if lines[k + 1].startswith("| ---"):
            # The rows tell tables with the same header apart.
            table = figures["table_after"]("\n".join(lines[k:]), line)
            has_figures = any(re.search(r"\d\.\d", cell) for row in table.values() for cell in row)
            assert table in named or not has_figures, line


def test_cells_of_a_table(figures):
    text = "Text\n\n| | a | b | c |\n| --- | --- | --- | --- |\n| **x** | 1 | | 3 |\nEnd"
    assert figures["table_after"](text, "Text") == {"x": ["1", "", "3"]}


def test_numbers_of_a_cell(figures):
    assert figures["numbers"]("**0.0105 ± 0.001 / 0.0164**") == ([0.0105, 0.001, 0.0164], [4, 3, 4])
    assert figures["numbers"]("−12 %") == ([-0.12], [2])
    assert figures["numbers"]("95.6 %")[1] == [3]
    assert figures["numbers"](" ") == ([], [])


OUTPUT = """
energy (eV/atom), shuffled
  ECNet     MAE 0.00843 ± 0.0011   RMSE 0.0130
  ECNet, wide     MAE 0.0070 ± 0.0011   RMSE 0.0140
energy (eV/atom), by composition
  ECNet     MAE 0.0088 ± 0.0009   RMSE 0.0136
"""


@pytest.fixture
def entry(tmp_path, figures, monkeypatch):
    monkeypatch.setitem(figures["figures_of"].__globals__, "ROOT", tmp_path)
    (tmp_path / "page.md").write_text(
        "Text\n\n| | shuffled | by composition |\n| --- | --- | --- |\n"
        "| **ECNet** | **0.0084 / 0.0130** | 0.0091 / 0.0136 |\n\nIt has 0.0084 eV/atom.\n",
        encoding="utf-8",
    )
    return {
        "page": "page.md",
        "after": "Text",
        "sections": ["energy .*, shuffled", "energy .*, by composition"],
        "cells": "MAE # ± .*RMSE #",
        "rows": {"ECNet": "ECNet"},
    }


def test_printed_and_written_figures_are_compared(entry, figures):
    (first, second), problems = figures["figures_of"]({"table": [entry]})
    assert problems == []
    assert figures["verdict"](first, OUTPUT) == ("OK", [0.00843, 0.013])
    assert figures["verdict"](second, OUTPUT) == ("DIFFERENT", [0.0088, 0.0136])
    assert figures["verdict"](second, "energy (eV/atom), shuffled\n") == ("NOT PRINTED", [])
    # 0.0091 and 0.0088 differ by three units of the last digit.
    (_, second), _ = figures["figures_of"]({"table": [{**entry, "tolerance": 3}]})
    assert figures["verdict"](second, OUTPUT)[0] == "OK"


def test_entries_that_do_not_fit_their_page_are_named(entry, figures):
    def problem(table=None, text=None):
        run = {"table": [table] if table else [], "text": [text] if text else []}
        (message,) = figures["figures_of"](run)[1]
        return message

    assert "'Nothing' is not in the page" in problem({**entry, "after": "Nothing"})
    assert "rows ['ECNet'] have no entry, ['CGCNN'] no row" in problem(
        {**entry, "rows": {"CGCNN": "CGCNN"}}
    )
    assert "'ECNet', column 1: [0.0084, 0.013] does not fit" in problem({**entry, "cells": "#"})
    text = {"page": "page.md", "written": "It has 0.0085 eV/atom"}
    assert "'It has 0.0085 eV/atom' is not in the page" in problem(text=text)
    text = {**text, "written": "It has 0.0084 eV/atom", "printed": []}
    assert "has 1 numbers" in problem(text=text)


def test_folds_by_composition_of_halides(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    script = runpy.run_path(str(FOLDER / "adversarial_perovskites.py"))
    from crystals import rocksalt_nacl
    from pymatgen.core import Structure

    salts = [Structure.from_dict(rocksalt_nacl().as_dict()) for _ in range(20)]
    for row, salt in enumerate(salts):
        salt.replace_species({"Cl": ["F", "Cl", "Br", "I", "At"][row // 4]})
    args = type("Args", (), {"folds": "composition", "n_splits": 5})
    y = np.arange(20) % 2
    folds = script["splits"](salts, y, 0, args)
    assert sorted(tuple(test // 4) for _, test in folds) == [(k,) * 4 for k in range(5)]
    with pytest.raises(ValueError, match=r"all test rows of fold \d are of one class"):
        script["splits"](salts, np.arange(20) // 10, 0, args)


def test_errors_without_structures_are_reported_by_fold(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(FOLDER))
    script = runpy.run_path(str(FOLDER / "eftgan_hea.py"))
    chain = [np.array([1.0, -1.0]), np.array([2.0, 2.0])]
    simple = [np.array([2.0, -2.0]), np.array([5.0, 5.0])]
    errors = {
        ("formation_energy", "EFTGANRegressor"): chain,
        ("formation_energy", "ridge"): simple,
    }
    script["report_compositions"](errors, [(8, 2), (8, 2)])
    line = capsys.readouterr().out.splitlines()[-1]
    assert "3.5000 ± 1.5000 / 3.8079" in line
    # Differences -1 and -3: sd sqrt(2), variance of the mean (1/2 + 2/8) * 2, t(1) = 12.706.
    half = 12.7062 * np.sqrt(1.5)
    assert f"chain minus this -2.0000 ({-2 - half:+.4f} to {-2 + half:+.4f})" in line


def test_numbers_of_the_overview_are_those_of_other_tables():
    """The page quotes them without a command of its own."""
    overview = (ROOT / "docs/benchmarks/index.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    quoted = re.findall(r"\d+\.\d+", overview)
    assert len(quoted) >= 4
    assert [number for number in quoted if number not in readme] == []


@pytest.mark.slow
def test_every_ablation_runs(tmp_path):
    script = FOLDER / "ablations.py"
    listed = subprocess.run(
        [sys.executable, script, "--list"], check=True, capture_output=True, encoding="utf-8"
    ).stdout
    names = [line.split()[0] for line in listed.splitlines()]
    assert len(names) == len(set(names)) > 10
    # It needs a published network.
    names.remove("embedding")
    output = quick_ablations(names, tmp_path)
    # Two folds of each of the 13 settings for both labels.
    part = output.split("formation_energy (eV/atom), shuffled, seeds 1 2")[1]
    assert part.count("MAE") > 13


@pytest.mark.slow
def test_ablation_of_published_networks_runs(tmp_path, data_home):
    output = quick_ablations(["embedding"], tmp_path, SKLMAT_DATA=str(data_home))
    assert "CompositionFeaturizer" in output


def quick_ablations(names, folder, **environment):
    command = [sys.executable, FOLDER / "ablations.py", *names, "--quick"]
    result = subprocess.run(
        command,
        check=True,
        capture_output=True,
        encoding="utf-8",
        cwd=folder,
        env={**os.environ, **environment},
    )
    assert result.stdout.count("nan") == 0
    return result.stdout
