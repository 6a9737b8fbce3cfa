"""Ratios of times that fail only far beyond what is usual, because machines are busy."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from crystals import random_alloys

from sklmat import StructureToGraph
from sklmat.layers import reused_arrays

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).parents[1] / "examples" / "benchmarks"


def check_ratio(measure, *, least):
    """The second measurement counts if the first one fails."""
    ratio = measure()
    if ratio <= least:
        ratio = measure()
    assert ratio > least


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import cgcnn_speed

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield cgcnn_speed
    torch.set_num_threads(before)


def test_graphs_take_less_than_twice_the_time_of_the_search(speed):
    crystals = random_alloys(30)
    ways = speed.ways_to_build(crystals)
    del ways["get_all_neighbors"]

    def measure():
        seconds = speed.median_seconds(ways, 5)
        return seconds["get_neighbor_list"] / seconds["StructureToGraph"]

    check_ratio(measure, least=0.5)


def test_training_step_is_several_times_as_fast_as_the_original_code(speed):
    """Usually seven to ten times."""
    graphs = StructureToGraph(ties="truncate").transform(random_alloys(20))
    made = speed.networks_and_data(graphs, 256)
    speed.outputs_differ(made)
    steps = {name: speed.make_step(*made[name]) for name in ("sklmat", "naive")}

    def measure():
        with reused_arrays():
            seconds = speed.median_seconds(steps, 3)
        return seconds["naive"] / seconds["sklmat"]

    check_ratio(measure, least=4)


def test_import_takes_less_than_five_times_that_of_numpy(speed):
    """Usually less than twice."""
    ways = {
        name: lambda name=name: subprocess.run([sys.executable, "-c", f"import {name}"], check=True)
        for name in ("numpy", "sklmat")
    }

    def measure():
        seconds = speed.median_seconds(ways, 5)
        return seconds["numpy"] / seconds["sklmat"]

    check_ratio(measure, least=0.2)


def test_a_ratio_is_measured_again_once():
    values = iter([1.0, 3.0, 1.0, 1.5, 4.0])
    check_ratio(lambda: next(values), least=2)
    with pytest.raises(AssertionError):
        check_ratio(lambda: next(values), least=2)
    assert next(values) == 4.0
