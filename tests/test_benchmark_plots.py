"""The plots of the benchmark pages have the numbers of the tables."""

import html
import json
import re
import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
if not DOCS.is_dir():
    pytest.skip("the documentation is not part of this copy", allow_module_level=True)
pytest.importorskip("matplotlib")

SCRIPT = runpy.run_path(str(DOCS / "make_benchmark_plots.py"))


@pytest.mark.parametrize("name", SCRIPT["PLOTS"])
def test_numbers_are_those_of_the_page(name):
    text = (DOCS / "_static" / f"benchmark_{name}.svg").read_text(encoding="utf-8")
    (description,) = re.findall(r"<dc:description>(.*?)</dc:description>", text, re.DOTALL)
    found = json.loads(html.unescape(description))
    numbers = json.loads(json.dumps(SCRIPT["numbers_of"](name)))
    assert found == numbers, "run docs/make_benchmark_plots.py"


@pytest.mark.parametrize("name", SCRIPT["PLOTS"])
def test_plot_is_at_the_top_of_its_page(name):
    lines = (DOCS / "benchmarks" / f"{name}.md").read_text(encoding="utf-8").split("\n")
    title = next(number for number, line in enumerate(lines) if line.startswith("# "))
    assert f"](../_static/benchmark_{name}.svg)" in lines[title + 2]


def test_cells_by_hand():
    estimate = SCRIPT["estimate"]
    assert estimate("0.1") == (0.1, None, None)
    assert estimate("0.10 ± 0.02 / 0.13") == (0.1, 0.08, 0.12)
    assert estimate("0.10 ± 0.02 / 0.13", 1) == (0.13, None, None)
    assert estimate("+0.1 (−0.2 to +0.4)") == (0.1, -0.2, 0.4)
    assert estimate("") is None
    with pytest.raises(ValueError, match="no number"):
        estimate("about 3")
