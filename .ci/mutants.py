"""Change the code in small ways, and count for how many of these mutants a test fails.

Needs `pip install cosmic-ray==8.7.0 coverage`, and a system with `fork`. For each module, a seeded
sample of the mutants of cosmic-ray is tested with the tests of the same module:

    python .ci/mutants.py                    # all modules, or continue after an interruption
    python .ci/mutants.py graphs layers      # only these
    python .ci/mutants.py --again graphs     # survivors once more, with today's tests
    python .ci/mutants.py --report           # what is killed so far, and the survivors

Copies of the repository, which the mutants change, and the sessions of cosmic-ray are in the folder
`build/mutants`. To start anew, for example after a change of the code, remove the folder.

A sample consists of places in the code: each is as likely as any other, whatever the number of
mutants there. Left out are type hints, messages of errors and warnings, replacements by operators
that raise an error for almost all types (`<<` for `+`) or change nothing (`==` for `is`), and code
that needs a GPU. Texts and docstrings have no mutants.

First the tests run once with coverage. A mutant is then tested with the tests that run its
statement, the fastest first, and if none of them fails with the others of the same files. The tests
run in a fork of this process, which has imported torch and other packages before, but not sklmat.
In the tests of the layers, functions for numba run as Python: they need not be compiled again for
each mutant, and coverage sees their lines.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import coverage
import pytest
from cosmic_ray.commands import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

ROOT = Path(__file__).resolve().parents[1]
#: Modules, and their tests.
MODULES = {
    "graphs": "tests/graphs",
    "layers": "tests/layers",
    "batches": "tests/test_batches.py",
    "compositions": "tests/test_compositions.py",
    "augmentation": "tests/augmentation",
    "adversarial": "tests/adversarial",
    "model_selection": "tests/model_selection",
}
NEEDS_GPU = {"_triton_conv.py"}
#: Imported once, before the tests are forked.
PACKAGES = (
    "torch.optim torch_geometric.data torch_geometric.utils skorch numba pandas pyarrow matplotlib "
    "scipy.stats scipy.spatial sklearn.ensemble sklearn.model_selection sklearn.pipeline "
    "sklearn.gaussian_process imblearn.base pymatgen.core ase joblib xgboost hypothesis"
)
#: Binary operators that replace each other.
KINDS = ({"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"}, {"BitOr", "BitAnd", "BitXor"})
MEMORY = 8 * 2**30  # bytes
#: Seconds of the processor for one test beyond five times what it takes, and of the clock for all.
EXTRA_SECONDS, LONGEST = 30, 3600


# The sample ---------------------------------------------------------------------------------------


def changes_something(operator: str) -> bool:
    """Whether the operator of cosmic-ray can give a mutant that is neither equal nor an error."""
    change, *names = operator.removeprefix("core/").split("_")
    if change == "ReplaceBinaryOperator":
        return any(set(names) <= kind for kind in KINDS)
    if change == "ReplaceUnaryOperator":
        return names[0] == "Delete"
    if change == "ReplaceComparisonOperator":
        return len({"Is", "IsNot"} & set(names)) != 1
    return True


def left_out(tree: ast.Module) -> list[ast.AST]:
    """Type hints, blocks that only type checkers read, and messages."""
    nodes: list[ast.AST | None] = []
    for node in ast.walk(tree):
        match node:
            case ast.AnnAssign(annotation=hint) | ast.arg(annotation=hint):
                nodes.append(hint)
            case ast.FunctionDef(returns=hint):
                nodes.append(hint)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                nodes.append(node)
            case ast.Raise():
                nodes += [text for text in ast.walk(node) if isinstance(text, ast.JoinedStr)]
            case ast.Call(func=ast.Attribute(attr="warn")):
                nodes += [text for text in ast.walk(node) if isinstance(text, ast.JoinedStr)]
    return [node for node in nodes if node is not None]


def contains(node: ast.AST, place: tuple[int, int]) -> bool:
    return (node.lineno, node.col_offset) <= place < (node.end_lineno, node.end_col_offset)


def draw_sample(module: str, folder: Path, size: int, seed: int) -> list:
    """Work items of cosmic-ray: one of the mutants at each of `size` places."""
    source = folder / "tree" / "sklmat" / module
    paths = sorted(source.glob("*.py")) if source.is_dir() else [source.with_suffix(".py")]
    everything = folder / "all.sqlite"
    with use_db(everything) as database:
        init([path for path in paths if path.name not in NEEDS_GPU], database, {})
        items = database.work_items
    everything.unlink()
    excluded = {path: left_out(ast.parse(path.read_text())) for path in paths}
    places = defaultdict(list)
    for item in items:
        (mutant,) = item.mutations
        if changes_something(mutant.operator_name) and not any(
            contains(node, mutant.start_pos) for node in excluded[mutant.module_path]
        ):
            places[str(mutant.module_path), mutant.start_pos].append(item)
    draw = random.Random(f"{seed} {module}")
    chosen = draw.sample(sorted(places), min(size, len(places)))
    print(f"{module}: {len(chosen)} of {len(places)} places", flush=True)

    def name(item):
        return item.mutations[0].operator_name, item.mutations[0].occurrence

    return [draw.choice(sorted(places[place], key=name)) for place in chosen]


# Tests in a fork ----------------------------------------------------------------------------------


def run_pytest(folder: Path, arguments: list[str], plugin: object):
    """Exit code of pytest, or None beyond the limits, and what it printed."""
    log = folder / "output.txt"
    child = os.fork()
    if child == 0:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        tree = folder / "tree"
        os.chdir(tree)
        sys.path.insert(0, str(tree))
        sys.path[:] = [entry for entry in sys.path if entry not in ("", str(ROOT))]
        options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow"]
        sys.dont_write_bytecode = isinstance(plugin, Selection)
        code = 70
        try:
            code = int(pytest.main([*options, *arguments], plugins=[plugin]))
        finally:
            sys.stdout.flush()
            os._exit(code)
    stop = time.monotonic() + LONGEST
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > stop:
            os.killpg(child, 9)
        time.sleep(0.05)
    return (os.WEXITSTATUS(status) if os.WIFEXITED(status) else None), log.read_text()


class Recorder:
    """Plugin of pytest: the lines that each test and each shared fixture runs, and how long."""

    def __init__(self, folder: Path, module: str):
        source = folder / "tree" / "sklmat" / module
        pattern = f"{source}/*" if source.is_dir() else f"{source}.py"
        file = folder / "lines.coverage"
        self.coverage = coverage.Coverage(data_file=file, include=[pattern], config_file=False)
        self.contexts: list[str] = []
        self.seconds: dict[str, float] = {}
        self.folder = folder

    def switch(self) -> None:
        self.coverage.switch_context(self.contexts[-1] if self.contexts else "")

    def pytest_sessionstart(self):
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.contexts.append(item.nodeid)
        self.switch()
        start = time.process_time()
        result = yield
        self.seconds[item.nodeid] = time.process_time() - start
        self.contexts.pop()
        self.switch()
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef):
        if fixturedef.scope == "function":
            return (yield)
        self.contexts.append(f"fixture {fixturedef.argname}")
        self.switch()
        try:
            return (yield)
        finally:
            self.contexts.pop()
            self.switch()

    def pytest_sessionfinish(self):
        self.coverage.stop()
        self.coverage.save()
        (self.folder / "seconds.json").write_text(json.dumps(self.seconds))


class Selection:
    """Plugin of pytest: tests that run the mutant, the fastest first; then those of their files."""

    def __init__(self, contexts: set[str], seconds: dict[str, float]):
        self.contexts, self.seconds = contexts, seconds

    def files(self) -> set[str]:
        """Files of these tests; none if shared fixtures run it, as their users are unknown."""
        if any(context.startswith("fixture ") for context in self.contexts):
            return set()
        return {context.split("::")[0] for context in self.contexts}

    def runs_it(self, item) -> bool:
        # Tests that were written after the recording may run it.
        return (
            item.nodeid in self.contexts
            or item.nodeid not in self.seconds
            or any(f"fixture {name}" in self.contexts for name in item.fixturenames)
        )

    def pytest_collection_modifyitems(self, items):
        files = {item.path for item in items if self.runs_it(item)}
        items[:] = sorted(
            (item for item in items if item.path in files),
            key=lambda item: (not self.runs_it(item), self.seconds.get(item.nodeid, 0)),
        )

    def pytest_runtest_logstart(self, nodeid):
        # An endless loop is ended by the system.
        limit = int(time.process_time() + 5 * self.seconds.get(nodeid, 0)) + EXTRA_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def lines_of_statement(path: Path, place: tuple[int, int]) -> set[int] | None:
    """Lines of the innermost statement, of its head only if it has a body; None outside functions.

    Modules are imported once, in whichever test comes first.
    """
    inside, lines = False, set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.stmt) and contains(node, place):
            # `walk` comes to the inner statements after the outer ones.
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno
            lines = set(range(node.lineno, max(last, node.lineno) + 1))
            is_function = isinstance(node, ast.FunctionDef)
            inside |= is_function and any(contains(child, place) for child in body)
    return lines if inside else None


def contexts_of(data: coverage.CoverageData, path: Path, place: tuple[int, int]) -> set[str]:
    """Tests and shared fixtures that run the statement or, outside functions, any of the file."""
    by_line = data.contexts_by_lineno(str(path))
    lines = lines_of_statement(path, place)
    return {
        context
        for line, contexts in by_line.items()
        for context in contexts
        if context and (lines is None or line in lines)
    }


# The session --------------------------------------------------------------------------------------


def copy_repository(tree: Path, only: str = ".") -> None:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", only]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for name in map(os.fsdecode, filter(None, names)):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def prepare(module: str, folder: Path, size: int, seed: int) -> None:
    """Copy the repository, record which tests run which lines, and draw the sample, once."""
    tree, session = folder / "tree", folder / "session.sqlite"
    if session.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    copy_repository(tree)
    sample = draw_sample(module, folder, size, seed)
    code, output = run_pytest(folder, [MODULES[module]], Recorder(folder, module))
    if code != 0:
        sys.exit(f"{output}\nThe tests of {module} must pass before mutants can be tested.")
    with use_db(folder / "new.sqlite") as database:
        database.add_work_items(sample)
    (folder / "new.sqlite").rename(session)


def restore_sources(database: WorkDB, tree: Path) -> None:
    """An interrupted run may have left a mutant behind."""
    for path in {item.mutations[0].module_path for item in database.work_items}:
        original = tree.parent / "original" / path.name
        if original.exists():
            shutil.copy2(original, path)
        else:
            original.parent.mkdir(exist_ok=True)
            shutil.copy2(path, original)


def test_mutant(item, module: str, folder: Path, again: bool) -> WorkResult:
    (mutant,) = item.mutations
    path = mutant.module_path
    data = coverage.CoverageData(folder / "lines.coverage")
    data.read()
    seconds = json.loads((folder / "seconds.json").read_text())
    selection = Selection(contexts_of(data, path, mutant.start_pos), seconds)
    files = [MODULES[module]] if again else (sorted(selection.files()) or [MODULES[module]])
    operator = get_operator(mutant.operator_name)(**mutant.operator_args)
    with use_mutation(path, operator, mutant.occurrence) as (original, mutated):
        code, output = run_pytest(folder, ["-x", *files], selection)
    diff = difflib.unified_diff(original.split("\n"), mutated.split("\n"), path.name, "", "", "", 1)
    # 5: no test was left.
    outcome = TestOutcome.SURVIVED if code in (0, 5) else TestOutcome.KILLED
    return WorkResult(WorkerOutcome.NORMAL, output[-4000:], outcome, "\n".join(diff))


def survivors(database: WorkDB) -> list:
    return [
        (item, result)
        for item, result in database.completed_work_items
        if result.test_outcome == TestOutcome.SURVIVED
    ]


def run(module: str, folder: Path, size: int, seed: int, again: bool) -> None:
    import numba

    numba.config.DISABLE_JIT = module == "layers"
    prepare(module, folder, size, seed)
    tree = folder / "tree"
    with use_db(folder / "session.sqlite") as database:
        restore_sources(database, tree)
        if again:
            copy_repository(tree, "tests")
        items = [item for item, _ in survivors(database)] if again else database.pending_work_items
        for item in items:
            start = time.monotonic()
            result = test_mutant(item, module, folder, again)
            database.set_result(item.job_id, result)
            place = f"{item.mutations[0].module_path.name}:{item.mutations[0].start_pos[0]}"
            passed = f"{time.monotonic() - start:.0f} s"
            print(module, place, result.test_outcome.value, passed, flush=True)


def report(folder: Path) -> None:
    for session in sorted(folder.glob("*/session.sqlite")):
        with use_db(session) as database:
            n_left, done = len(database.pending_work_items), database.completed_work_items
            alive = survivors(database)
        n_killed = len(done) - len(alive)
        print(f"{session.parent.name}: {n_killed} of {len(done)} killed, {n_left} left")
        for item, result in alive:
            name = item.mutations[0].operator_name.removeprefix("core/")
            print(f"\n  {name}\n  " + result.diff.replace("\n", "\n  "))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("modules", nargs="*", default=[], help=f"of {', '.join(MODULES)}")
    parser.add_argument("--sample", type=int, default=25, help="mutants of each module")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "mutants")
    parser.add_argument("--again", action="store_true", help="only what survived, with new tests")
    parser.add_argument("--jobs", type=int, default=1, help="modules at a time")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    folder = options.folder.resolve()
    if options.report:
        return report(folder)
    os.environ["OMP_NUM_THREADS"] = "1"
    for package in PACKAGES.split():
        importlib.import_module(package)
    settings = options.sample, options.seed, options.again
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("fork")) as pool:
        modules = options.modules or MODULES
        jobs = [pool.submit(run, module, folder / module, *settings) for module in modules]
    for job in jobs:
        job.result()


if __name__ == "__main__":
    main()
