"""The papers that a report names are those of the page "How to cite"."""

from pathlib import Path

import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

import sklmat
from sklmat import AugmentedRegressor, CGCNNRegressor, InfoGANAugmenter
from sklmat.reports._environment_section import _ALWAYS, _BY_METHOD, _KEYS, _parts, bibtex_entries

PAGE = Path(__file__).parents[2] / "docs" / "how_to_cite.md"


def test_entries_are_complete():
    entries = bibtex_entries()
    assert len(entries) >= 50
    for key, entry in entries.items():
        assert entry.startswith("@")
        assert key in entry.splitlines()[0]
        assert entry.count("{") == entry.count("}")
        assert "year = " in entry
    used = {key for keys in (*_KEYS.values(), *_BY_METHOD.values()) for key in keys}
    assert used | set(_ALWAYS) <= set(entries)


@pytest.mark.skipif(not PAGE.is_file(), reason="needs the documentation")
@pytest.mark.parametrize("name", _KEYS)
def test_page_says_the_same(name):
    assert hasattr(sklmat, name)
    rows = [
        line for line in PAGE.read_text(encoding="utf-8").splitlines() if f"~sklmat.{name}`" in line
    ]
    keys = " ".join(rows)
    # Gaussian processes, and what "also" and "the same" refer to, are on rows of their own.
    elsewhere = {"rasmussen2006gaussian", "dunn2023hierarchical", "lee2023hierarchical"}
    elsewhere |= {"cowley1950order", "hoppe1979coordination", "togo2024spglib"}
    assert rows
    assert all(f"`{key}`" in keys for key in _KEYS[name] if key not in elsewhere)


def test_parts_inside_others_are_cited():
    model = make_pipeline(AugmentedRegressor(Ridge(), InfoGANAugmenter()))
    names = {type(each).__name__ for each in _parts(model)}
    assert {"InfoGANAugmenter", "Ridge", "AugmentedRegressor"} <= names
    assert {type(each).__name__ for each in _parts(CGCNNRegressor())} == {"CGCNNRegressor"}
