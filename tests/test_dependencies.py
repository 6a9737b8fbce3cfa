"""What sklmat imports is declared, and errors name the extra of what is missing."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
from crystals import bcc_fe
from sklearn.linear_model import LogisticRegression, Ridge

import sklmat
from sklmat import ConformalClassifier, ConformalRegressor, PotentialFeaturizer

PACKAGE = Path(sklmat.__file__).parent
ROOT = PACKAGE.parent

pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").is_file(), reason="needs the sources of sklmat"
)

#: Packages whose names are not those of their modules.
MODULES = {
    "imbalanced-learn": "imblearn",
    "pymatgen-core": "pymatgen",
    "ruamel.yaml": "ruamel",
    "scikit-learn": "sklearn",
    "torch-geometric": "torch_geometric",
}
#: Modules of no extra that sklmat imports: triton comes with torch where it can be used; the
#: others are there if a user passes their objects, or runs tests.
BROUGHT_BY_OTHERS = {"lightgbm", "polars", "pytest", "triton"}


def read_project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def module_of(requirement):
    name = re.match(r"[\w.-]+", requirement).group()
    return MODULES.get(name, name)


def imported_modules(tree):
    """Yield the third-party modules that a file imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module]
        else:
            continue
        for name in names:
            module = name.partition(".")[0]
            if module != "sklmat" and module not in sys.stdlib_module_names:
                yield module


def test_imports_are_declared():
    project = read_project()
    extras = project["optional-dependencies"]
    core = {module_of(requirement) for requirement in project["dependencies"]}
    optional = {module_of(name) for extra in ("potentials", "uq") for name in extras[extra]}
    imported = set()
    for path in PACKAGE.rglob("*.py"):
        imported.update(imported_modules(ast.parse(path.read_text(encoding="utf-8"))))
    assert imported - optional - BROUGHT_BY_OTHERS == core
    assert optional | BROUGHT_BY_OTHERS <= imported


def test_extra_all_holds_the_others():
    extras = read_project()["optional-dependencies"]
    (everything,) = extras.pop("all")
    assert set(everything.removeprefix("sklmat[").removesuffix("]").split(",")) == set(extras)


def fit_potential(model):
    PotentialFeaturizer(model, columns="energy").fit([bcc_fe()])


@pytest.mark.parametrize(
    ("package", "extra", "fit"),
    [
        ("chgnet", "potentials", lambda: fit_potential("chgnet")),
        ("sevenn", "potentials", lambda: fit_potential("sevennet")),
        ("mapie", "uq", lambda: ConformalRegressor(Ridge()).fit([[0.0]] * 40, [0.0, 1.0] * 20)),
        (
            "mapie",
            "uq",
            lambda: ConformalClassifier(LogisticRegression()).fit([[0.0]] * 40, [0, 1] * 20),
        ),
    ],
)
def test_missing_packages_are_named_with_their_extra(package, extra, fit, monkeypatch):
    # Python's mark for a module that cannot be imported.
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf'{package}: pip install "sklmat\[{extra}\]"'):
        fit()
    assert package in {module_of(name) for name in read_project()["optional-dependencies"][extra]}
