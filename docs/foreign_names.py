"""Names of other projects that the pages and docstrings use, and where they are described.

    python docs/foreign_names.py    # writes docs/_inventories, after a change of this table

Sphinx reads inventories of the other projects from their sites. The site must also be built without
a network, so the entries that are needed are kept here.
"""

import zlib
from pathlib import Path

FOLDER = Path(__file__).parent / "_inventories"
#: Project -> address, and its names: short name -> (full name, page).
SKLEARN = "modules/generated/{0}.html#{0}"
PANDAS = "reference/api/{0}.html#{0}"
PROJECTS = {
    "sklearn": (
        "https://scikit-learn.org/stable/",
        {
            name.rpartition(".")[2]: (name, SKLEARN.format(name))
            for name in (
                "sklearn.base.BaseEstimator",
                "sklearn.base.clone",
                "sklearn.calibration.CalibratedClassifierCV",
                "sklearn.compose.TransformedTargetRegressor",
                "sklearn.ensemble.GradientBoostingRegressor",
                "sklearn.ensemble.HistGradientBoostingClassifier",
                "sklearn.ensemble.HistGradientBoostingRegressor",
                "sklearn.frozen.FrozenEstimator",
                "sklearn.gaussian_process.GaussianProcessRegressor",
                "sklearn.linear_model.SGDRegressor",
                "sklearn.model_selection.FixedThresholdClassifier",
                "sklearn.model_selection.GridSearchCV",
                "sklearn.model_selection.GroupKFold",
                "sklearn.model_selection.KFold",
                "sklearn.model_selection.RepeatedKFold",
                "sklearn.model_selection.StratifiedKFold",
                "sklearn.model_selection.TunedThresholdClassifierCV",
                "sklearn.model_selection.cross_validate",
                "sklearn.model_selection.learning_curve",
                "sklearn.neural_network.MLPRegressor",
                "sklearn.preprocessing.TargetEncoder",
                "sklearn.utils.Bunch",
            )
        },
    ),
    "pandas": (
        "https://pandas.pydata.org/docs/",
        {
            name: (f"pandas.{name}", PANDAS.format(f"pandas.{name}"))
            for name in ("DataFrame", "Series")
        },
    ),
    "pymatgen": (
        "https://pymatgen.org/",
        {
            "Structure": (
                "pymatgen.core.Structure",
                "pymatgen.core.html#pymatgen.core.structure.Structure",
            ),
            "Composition": (
                "pymatgen.core.Composition",
                "pymatgen.core.html#pymatgen.core.composition.Composition",
            ),
            "Element": (
                "pymatgen.core.Element",
                "pymatgen.core.html#pymatgen.core.periodic_table.Element",
            ),
        },
    ),
    "torch": (
        "https://docs.pytorch.org/docs/stable/",
        {
            "Tensor": ("torch.Tensor", "tensors.html#torch.Tensor"),
            "autocast": ("torch.autocast", "amp.html#torch.autocast"),
            **{
                name: (f"torch.{name}", f"generated/torch.{name}.html#torch.{name}")
                for name in ("Generator", "compile", "save", "set_num_threads", "tensor")
            },
        },
    ),
    "skorch": (
        "https://skorch.readthedocs.io/en/stable/",
        {
            "EpochScoring": (
                "skorch.callbacks.EpochScoring",
                "callbacks.html#skorch.callbacks.EpochScoring",
            ),
            "NeuralNet": ("skorch.NeuralNet", "net.html#skorch.net.NeuralNet"),
        },
    ),
}
#: Names in the types of parameters -> what they lead to.
TYPES = {
    name: PROJECTS[project][1][name][0]
    for project, name in (
        ("pandas", "DataFrame"),
        ("pandas", "Series"),
        ("pymatgen", "Structure"),
        ("pymatgen", "Composition"),
        ("sklearn", "Bunch"),
        ("sklearn", "FrozenEstimator"),
        ("torch", "Tensor"),
    )
}


def full_names():
    """Short name, and full name -> full name."""
    names = [names for _, names in PROJECTS.values()]
    short = {name: full for of_project in names for name, (full, _) in of_project.items()}
    return short | {full: full for full in short.values()}


def inventory(project):
    """Bytes of the inventory of a project, in the format of Sphinx."""
    _, names = PROJECTS[project]
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
    head += "# The remainder of this file is compressed using zlib.\n"
    lines = "".join(f"{full} py:class 1 {page} -\n" for full, page in sorted(names.values()))
    return head.encode() + zlib.compress(lines.encode())


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in PROJECTS:
        (FOLDER / f"{name}.inv").write_bytes(inventory(name))
