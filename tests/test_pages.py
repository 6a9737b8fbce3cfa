"""Every Markdown table of the pages has as many cells in each row as in its header."""

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
