"""What is public: importable, documented, light to import, and layered."""

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import sklmat

ROOT = Path(sklmat.__file__).parent
DOCS = ROOT.parent / "docs"

#: The way the data flows: a module imports only from modules above it.
MODULES = [
    "lazy_imports",
    "reference_links",
    "docstrings",
    "deprecation",
    "argument_checks",
    "nested_parameters",
    "inner_estimator",
    "fitted_state",
    "memory",
    "typing",
    "safetensors_files",
    "files",
    "model_files",
    "downloads",
    "random_state",
    "recorded_warnings",
    "parameter_constraints",
    "parallel",
    "processes",
    "targets",
    "known_labels",
    "scores",
    "exceptions",
    "tables",
    "structures",
    "readers",
    "data_checks",
    "elements",
    "compositions",
    "unseen_elements",
    "row_groups",
    "cross_validation",
    "element_references",
    "graphs",
    "perturbations",
    "features",
    "batches",
    "layers",
    "networks",
    "training",
    "estimators",
    "embeddings",
    "augmentation",
    "eftgan",
    "gaussian_processes",
    "model_selection",
    "model_inside",
    "inspection",
    "adversarial",
    "screening",
    "plotting",
    "reports",
    "datasets",
    "estimator_checks",
    "cli",
    "__main__",
]
WITH_ALL = [
    "graphs",
    "features",
    "estimators",
    "adversarial",
    "gaussian_processes",
    "model_selection",
    "screening",
    "inspection",
    "plotting",
    "datasets",
    "estimator_checks",
]
PUBLIC = [f"sklmat.{name}" for name in sklmat.__all__] + [
    f"sklmat.{module}.{name}"
    for module in WITH_ALL
    for name in importlib.import_module(f"sklmat.{module}").__all__
    if name not in sklmat.__all__
]


def look_up(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def home(name):
    """The module that a name of the package comes from; a module is its own."""
    thing = getattr(sklmat, name)
    return name if inspect.ismodule(thing) else thing.__module__.split(".")[1]


def modules():
    return [(path.relative_to(ROOT).parts, path) for path in sorted(ROOT.rglob("*.py"))]


# -- names


def test_every_name_is_the_one_of_its_module():
    for name in sklmat.__all__:
        assert getattr(sklmat, name) is look_up(f"sklmat.{home(name)}.{name}")


def test_dir_lists_names_and_modules():
    assert {*sklmat.__all__, "datasets", "estimator_checks"} <= set(dir(sklmat))


def test_unknown_names_raise():
    with pytest.raises(AttributeError, match="no attribute 'CGCNNRegresor'"):
        sklmat.CGCNNRegresor  # noqa: B018


def names_in_the_reference():
    """Names for which the reference has a page, called ``api/generated/NAME.html``."""
    names, module = [], ""
    for line in (DOCS / "api" / "index.rst").read_text(encoding="utf-8").splitlines():
        if line.startswith((".. currentmodule::", ".. module::")):
            module = line.split("::")[1].strip()
        elif re.fullmatch(r"   [A-Za-z_.]+", line):
            names.append(f"{module}.{line.strip()}")
    return names


def documented_members(path):
    """The name itself, and methods and properties of a class that sklmat defines."""
    yield path
    if inspect.isclass(look_up(path)):
        for name, member in inspect.getmembers_static(look_up(path)):
            function = getattr(getattr(member, "__func__", member), "fget", member)
            function = getattr(function, "__func__", function)
            if (
                not name.startswith("_")
                and inspect.isfunction(function)
                and function.__module__.startswith("sklmat.")
            ):
                yield f"{path}.{name}"


@pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation is not part of this copy")
def test_reference_lists_every_public_name_once():
    listed = names_in_the_reference()
    assert len(listed) == len(set(listed))
    assert [name for name in PUBLIC if name not in listed] == []
    assert all(callable(look_up(name)) for name in listed)


# -- docstrings

#: A paragraph that several docstrings share and that was not inserted.
PLACEHOLDER = re.compile(r"^ *\{[a-zA-Z_]\w*\}$", re.MULTILINE)


def sections(docstring):
    """Section name -> text, of a numpydoc docstring."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.cleandoc(docstring), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def documented_parameters(found):
    entries = re.findall(r"^(\*{0,2}\w.*?)(?: :.*)?$", found.get("Parameters", ""), re.MULTILINE)
    return [name.strip() for entry in entries for name in entry.split(",")]


def documented_defaults(found):
    entries = re.findall(r"^(\w+) : .*default=(.+)$", found.get("Parameters", ""), re.MULTILINE)
    return {name: ast.literal_eval(default) for name, default in entries}


def signature_defaults(thing, names):
    parameters = inspect.signature(thing).parameters
    return {name: parameters[name].default for name in names}


def signature_parameters(thing):
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [stars.get(p.kind, "") + p.name for p in inspect.signature(thing).parameters.values()]


def is_made_by_users(thing):
    """Whether users call it, and do not only receive or catch it."""
    if thing in (
        sklmat.gaussian_processes.Orderings,
        sklmat.inspection.AttributionAgreement,
        sklmat.model_selection.Comparison,
        sklmat.model_selection.LabelNoise,
        sklmat.model_selection.LearningCurves,
    ):
        return False
    return not (inspect.isclass(thing) and issubclass(thing, Exception))


@pytest.mark.parametrize("path", PUBLIC)
def test_docstring_is_complete(path):
    thing = look_up(path)
    docstring = inspect.getdoc(thing)
    assert docstring.splitlines()[0].endswith("."), "begin with one sentence on one line"
    if is_made_by_users(thing):
        found = sections(docstring)
        assert documented_parameters(found) == signature_parameters(thing)
        assert documented_defaults(found) == signature_defaults(thing, documented_defaults(found))
        assert not PLACEHOLDER.search(docstring)
        assert ">>>" in found.get("Examples", ""), "no Examples that run"
        assert inspect.isclass(thing) or "Returns" in found or "Yields" in found


# -- imports

HEAVY = {
    "torch",
    "chgnet",
    "sevenn",
    "xgboost",
    "matplotlib",
    "skorch",
    "shap",
    "ase",
    "pooch",
    "mapie",
    "torch_geometric",
}


NETWORKS = {"torch", "skorch", "torch_geometric"}
#: Statements in an order in which none loads for the next one what that must not load itself.
LIGHT = {
    "import sklmat": set(),
    "import sklmat.datasets": set(),
    "import sklmat.plotting": set(),
    "from sklmat import CompositionFeaturizer, StructureFeaturizer, infer_lattice": set(),
    "from sklmat import StructureToGraph, check_structures": set(),
    "from sklmat import check_dataset, load_structures, save_structures": set(),
    "import sklmat.cli": set(),
    "from sklmat import compare_estimators": set(),
    "from sklmat import ParityDisplay, ContrastDisplay, RobustnessDisplay": set(),
    "from sklmat import DisorderFeaturizer, shockley_queisser": set(),
    "from sklmat import NoiseAugmenter, MixupAugmenter, AugmentedRegressor": set(),
    "from sklmat import composition_grid, screen": set(),
    "from sklmat import enumerate_orderings": set(),
    "from sklmat import CGCNNRegressor": NETWORKS,
    "from sklmat import PotentialFeaturizer": NETWORKS,
}


@pytest.fixture(scope="module")
def loaded():
    """Heavy modules that are there after each statement, all run by one new interpreter."""
    lines = ["import json, sys", f"heavy, loaded = {sorted(HEAVY)}, {{}}"]
    for statement in LIGHT:
        lines += [statement, f"loaded[{statement!r}] = [m for m in heavy if m in sys.modules]"]
    command = [sys.executable, "-c", "\n".join([*lines, "print(json.dumps(loaded))"])]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("statement", LIGHT)
def test_imports_stay_light(statement, loaded):
    assert set(loaded[statement]) <= LIGHT[statement]


def test_import_of_the_package_takes_no_third_party_module():
    """Its time is then that of reading one file, far below the half second that was asked for."""
    code = "import sys\nbefore = set(sys.modules)\nimport sklmat\nprint(*set(sys.modules) - before)"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names == {"sklmat"}


def test_processes_that_build_graphs_load_little():
    """They start in the time of one or two imports; scikit-learn would take many times as long."""
    code = "import sys, sklmat.graphs._build_graphs\nprint(*sys.modules)"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"sklearn", "scipy", "pandas", "torch", "pymatgen.core"} & set(loaded)


@cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_modules(tree):
    """Modules named by any import of a file, however deep inside a function it stands.

    What is imported ``if TYPE_CHECKING`` is left out: it names types and is never executed.
    """
    executed = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    for node in ast.walk(ast.Module(executed, [])):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "import by the full name, so that this test can read it"
            names = [node.module]
            if node.module == "sklmat":
                names = [f"sklmat.{home(a.name)}" for a in node.names]
        else:
            continue
        for name in names:
            if name.startswith("sklmat."):
                yield name.split(".")[1]


def test_modules_import_only_from_modules_above():
    wrong = []
    for parts, path in modules():
        module = parts[0].removesuffix(".py")
        if module == "__init__":
            continue
        assert module in MODULES, f"{module} has no place in the order: add it to MODULES"
        tree = parsed(path)
        for other in imported_modules(tree):
            if MODULES.index(other) > MODULES.index(module):
                wrong.append(f"{'/'.join(parts)} imports {other}")
    assert wrong == []


def test_private_names_are_not_imported_across_modules():
    wrong = []
    for parts, path in modules():
        own = parts[0].removesuffix(".py")
        for node in ast.walk(parsed(path)):
            if not isinstance(node, ast.ImportFrom) or not node.module.startswith("sklmat"):
                continue
            names = [*node.module.split(".")[1:], *(alias.name for alias in node.names)]
            if names[0] != own and any(name.startswith("_") for name in names):
                wrong.append(f"{'/'.join(parts)}:{node.lineno} imports {'.'.join(names)}")
    assert wrong == []


#: Underscored attributes of other packages that have no public counterpart: scikit-learn's
#: interface for developers of estimators, its Gaussian processes, and pymatgen's given charge.
FOREIGN = {
    "_parameter_constraints",
    "_validate_params",
    "_y_train_mean",
    "_y_train_std",
    "_charge",
}


def names_written_in(tree):
    """Names that a file defines or assigns to, attributes of objects included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def test_private_attributes_are_not_read_across_modules():
    """Whatever underscored attribute a module reads, of whatever object, it defines itself."""
    trees = {}
    for parts, path in modules():
        own = parts[0].removesuffix(".py")
        trees.setdefault(own, {})["/".join(parts)] = parsed(path)
    wrong = []
    for files in trees.values():
        defined = {name for tree in files.values() for name in names_written_in(tree)} | FOREIGN
        for file, tree in files.items():
            for node in ast.walk(tree):
                is_private = isinstance(node, ast.Attribute) and re.match(r"_[^_]", node.attr)
                if is_private and node.attr not in defined:
                    wrong.append(f"{file}:{node.lineno} reads {ast.unparse(node)}")
    assert wrong == []


def test_packages_hold_only_imports():
    """An ``__init__.py`` has a docstring, imports, and the lists of its names."""
    allowed = {"__all__", "__version__", "__getattr__", "__dir__"}
    for parts, path in modules():
        if parts[-1] != "__init__.py":
            continue
        docstring, *rest = parsed(path).body
        assert isinstance(docstring, ast.Expr)
        for node in rest:
            if isinstance(node, ast.Assign):
                names = {n.id for n in ast.walk(node.targets[0]) if isinstance(n, ast.Name)}
                assert names <= allowed, f"{'/'.join(parts)} defines {names}"
            else:
                assert isinstance(node, ast.Import | ast.ImportFrom), "/".join(parts)


def test_progress_bars_suit_notebooks():
    """`tqdm.auto` shows a widget in a notebook, and text elsewhere."""
    code = [path.read_text(encoding="utf-8") for _, path in modules()]
    bars = [re.findall(r"from (tqdm[.\w]*)", text) for text in code]
    assert {name for names in bars for name in names} == {"tqdm.auto"}


def test_only_training_knows_skorch():
    def knows(path):
        return re.search(r"^\s*(from|import) skorch", path.read_text(encoding="utf-8"), re.M)

    assert {parts[0] for parts, path in modules() if knows(path)} == {"training"}
