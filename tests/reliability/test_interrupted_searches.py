"""Searches in several processes that are interrupted or lose one: no process is left, no hang."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]
SCRIPT = Path(__file__).with_name("searches.py")
#: A search that takes longer hangs (s); the machine may be busy.
LONGEST = 600


def left_over(mark):
    """Processes whose environment has a mark, as that of all descendants of the script has."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (path / "environ").read_bytes():
                found.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def wait_for(is_true):
    end = time.time() + LONGEST
    while not is_true():
        assert time.time() < end, "it hangs"
        time.sleep(0.1)


@contextmanager
def script(backend, folder):
    """The running script; all its processes must have ended shortly after it."""
    mark = uuid4().hex
    settings = {
        "FOLDER_OF_THE_SEARCH": str(folder),
        "MARK": mark,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": os.pathsep.join([str(SCRIPT.parent), str(SCRIPT.parents[1]), *sys.path]),
    }
    process = subprocess.Popen(
        [sys.executable, SCRIPT, backend],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
        process.wait(LONGEST)
        end = time.time() + 10
        while left_over(mark) and time.time() < end:
            time.sleep(0.1)
        assert left_over(mark) == []
    finally:
        process.kill()
        process.stdout.close()


def test_loky(tmp_path):
    def two_train():
        return len(list(tmp_path.glob("[0-9]*"))) == 2

    with script("loky", tmp_path) as process:
        wait_for(two_train)
        os.kill(process.pid, signal.SIGINT)
        assert process.stdout.readline() == "alive 0\n"
        word, _, error = process.stdout.readline().partition(" ")
        kind, message = json.loads(error)
        assert (word, kind) == ("error", "TerminatedWorkerError")
        assert "a worker process managed by the executor was unexpectedly" in message.lower()
        assert process.stdout.readline() == "equal True\n"
        wait_for(two_train)
        # Ctrl-C in a terminal reaches all processes.
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.read() == ""
    assert process.returncode == -signal.SIGINT


def test_dask(tmp_path):
    pytest.importorskip("distributed", reason="needs dask[distributed]")
    with script("dask", tmp_path) as process:
        assert process.stdout.read() == "killed True\nequal True\n"
    assert process.returncode == 0
