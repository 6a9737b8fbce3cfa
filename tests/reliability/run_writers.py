"""Disturb writers: ``python run_writers.py kill N SEED NAME ...``, or ``full``, ... and names.

It is a process of its own, since that of the tests has threads and may have used a GPU, and can
therefore not be forked. It prints one line of JSON for each kill or writer.
"""

import json
import sys

import numpy as np
from forks import Uninterrupted
from writers import WRITERS


def kill(n_kills, seed, *names):
    rng = np.random.default_rng(int(seed))
    expected = {name: Uninterrupted(WRITERS[name]()) for name in names}
    for number in range(int(n_kills)):
        name = names[number % len(names)]
        by_time, moment = bool(number // len(names) % 2), float(rng.random())
        report = {"writer": name, "by_time": by_time, "moment": moment}
        print(json.dumps(report | expected[name].kill(by_time, moment)), flush=True)


def disturb(what, *names):
    for name in names:
        expected = Uninterrupted(WRITERS[name]())
        problems = getattr(expected, what)()
        print(json.dumps({"writer": name, "problems": problems}), flush=True)


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    kill(*arguments) if what == "kill" else disturb(what, *arguments)
