"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_home():
    """A filled cache of the real data sets, where there is one."""
    candidates = [os.environ.get("SKLMAT_DATA"), Path(__file__).parents[2] / "shared" / "data"]
    for candidate in filter(None, candidates):
        if (Path(candidate) / "eftgan").is_dir():
            return Path(candidate)
    pytest.skip("the real data sets are not here: set SKLMAT_DATA to a filled cache")
