"""Tables of the pages are rendered; works to cite are in the file for BibTeX."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/[a-z]*/*.md")]


def cells(row):
    """Cells of a row; a vertical bar inside code, or behind a backslash, parts none."""
    row = re.sub(r"`[^`]*`", "code", row.strip())
    return re.split(r"(?<!\\)\|", row)[1:-1]


def tables(page):
    """Runs of neighbouring lines that begin with a bar, outside blocks of code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    for found in re.finditer(r"(?:^\|.*\n?)+", text, flags=re.M):
        yield found[0].strip().split("\n")


def test_cells_by_hand():
    assert [cell.strip() for cell in cells(r"| a | `x|y` | b \| c |")] == ["a", "code", r"b \| c"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_table_is_rendered(page):
    """Its second row is made of hyphens and colons; all rows have as many cells as the first."""
    for table in tables(page):
        assert len(table) > 2, f"no table: {table[0]}"
        assert all(re.fullmatch(r" *:?-+:? *", cell) for cell in cells(table[1])), table[1]
        for row in table:
            assert row.rstrip().endswith("|"), row
            assert len(cells(row)) == len(cells(table[0])), row


def test_every_work_to_cite_has_an_entry():
    entries = (ROOT / "sklmat/reports/sklmat.bib").read_text(encoding="utf-8")
    keys = re.findall(r"^@\w+\{(\w+),", entries, flags=re.M)
    rows = next(tables(ROOT / "docs/how_to_cite.md"))
    named = set(re.findall(r"`([a-z]+\d{4}\w+|sklmat)`", "\n".join(rows)))
    assert len(keys) == len(set(keys)) > 40
    assert named == set(keys)
    assert entries.count("{") == entries.count("}")


def test_every_doi_to_cite_is_that_of_the_documentation():
    entries = (ROOT / "sklmat/reports/sklmat.bib").read_text(encoding="utf-8")
    pages = [*PAGES, ROOT / "CITATION.cff", *ROOT.glob("sklmat/**/*.py")]
    texts = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    dois = re.findall(r"doi = \{(.+)\}", entries)
    assert len(dois) > 40
    assert [doi for doi in dois if doi not in texts] == []
