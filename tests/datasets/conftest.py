"""Generated alloys."""

import pytest

from sklmat.datasets import make_alloys


@pytest.fixture(scope="module")
def alloys(tmp_path_factory):
    return make_alloys(100, data_home=tmp_path_factory.mktemp("alloys"))
