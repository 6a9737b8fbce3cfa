"""Files of processes that are killed, that have no space or permission, or run at the same time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from writers import DATA, MODELS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks its process")
SCRIPT = Path(__file__).with_name("run_writers.py")


def disturb(n_kills, seed, *names):
    """Run the script; return what it did."""
    paths = [str(SCRIPT.parents[1]), *sys.path]
    settings = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, SCRIPT, str(n_kills), str(seed), *names],
        env={**os.environ, **settings, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def assert_nothing_is_lost(reports, n_kills):
    assert [report for report in reports if report["problems"]] == []
    kills = [report for report in reports if report["what"] == "kill"]
    assert len(kills) == n_kills
    # The others had finished before: a busy machine sends signals late.
    assert sum(report["killed"] for report in kills) >= n_kills / 2


def test_a_few():
    reports = disturb(4, 0, "graphs in parts", "structures")
    assert_nothing_is_lost(reports, 4)
    assert [report["what"] for report in reports].count("fill_disk") == 2


@pytest.mark.slow
@pytest.mark.parametrize(("names", "n_kills"), [(DATA, 50), (MODELS, 50)], ids=["data", "models"])
def test_a_hundred_kills(names, n_kills):
    assert_nothing_is_lost(disturb(n_kills, 1, *names), n_kills)
