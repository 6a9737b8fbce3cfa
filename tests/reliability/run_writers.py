"""Disturb writers: ``python run_writers.py N SEED NAME ...`` kills them N times, and does the rest.

It is a process of its own, since that of the tests has threads and may have used a GPU, and can
therefore not be forked. It prints one line of JSON for each thing that it does.
"""

import json
import sys

import numpy as np
from forks import Uninterrupted
from writers import WRITERS


def main(n_kills, seed, names):
    rng = np.random.default_rng(seed)
    writers = {name: Uninterrupted(WRITERS[name]()) for name in names}
    for number in range(n_kills):
        name = names[number % len(names)]
        by_time, moment = bool(number // len(names) % 2), float(rng.random())
        report = {"what": "kill", "writer": name, "by_time": by_time, "moment": moment}
        print(json.dumps(report | writers[name].kill(by_time, moment)), flush=True)
    for what in ("fill_disk", "write_protect", "run_twice_at_once"):
        for name, writer in writers.items():
            report = {"what": what, "writer": name, "problems": getattr(writer, what)()}
            print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
