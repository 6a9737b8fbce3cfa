"""The section Theory: its drawings are those of their script, and each page has the same parts."""

import re
import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(path for path in DOCS.glob("theory/*.md") if path.stem != "index")


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(DOCS / "make_drawings.py"))


def test_drawings_are_those_of_the_script(script):
    paths = {script["path_of"](name): make for name, make in script["DRAWINGS"].items()}
    assert set(paths) == set(DOCS.glob("_static/theory_*.svg")), "run python docs/make_drawings.py"
    for path, make in paths.items():
        (description,) = ElementTree.parse(path).iter(
            "{http://purl.org/dc/elements/1.1/}description"
        )
        assert description.text == make.__doc__
        assert path.stat().st_size < 150_000


def test_each_drawing_is_on_a_page_with_a_description(script):
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown = re.findall(r"!\[([^\]]*)\]\(\.\./_static/theory_(\w+)\.svg\)", text)
    assert sorted(name for _, name in shown) == sorted(script["DRAWINGS"])
    assert all(len(words) > 50 for words, _ in shown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_page_has_all_parts(page):
    text = page.read_text(encoding="utf-8")
    for part in (r"\*\*In\*\*: ", r"\*\*Out\*\*: ", "## Symbols", "## Where sklmat differs from"):
        assert re.search(part, text), part
    assert "](../user_guide/" in text
    assert f"<{page.stem}>" in (DOCS / "theory" / "index.md").read_text(encoding="utf-8")
    body, _, references = text.partition("## References")
    body = re.sub(r"^```.*?^```", "", body, flags=re.S | re.M)
    cited = re.findall(r"\[(\d(?:, \d)*)\]", body)
    listed = re.findall(r"^(\d)\. ", references, flags=re.M)
    assert {number for group in cited for number in group.split(", ")} == set(listed)
