"""Report which lines and branches of sklmat the tests ran; fail if there are too few.

Read the data that `pytest --cov` has written. The limit of coverage itself, `fail_under`, is one
number for lines and branches together.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

#: Smallest percentages of lines and of branches.
MINIMUM = {"lines": 95, "branches": 90}


def main():
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "report", "--show-missing", "--skip-covered"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coverage.json"
        subprocess.run([*coverage, "json", "--quiet", "-o", path], check=True)
        totals = json.loads(path.read_text())["totals"]
    percent = {
        "lines": 100 * totals["covered_lines"] / totals["num_statements"],
        "branches": 100 * totals["covered_branches"] / totals["num_branches"],
    }
    for name, found in percent.items():
        print(f"{found:.2f} % of the {name} were run; at least {MINIMUM[name]} % are required.")
    return int(any(percent[name] < MINIMUM[name] for name in MINIMUM))


if __name__ == "__main__":
    sys.exit(main())
