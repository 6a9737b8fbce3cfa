"""The sections about how to repeat the report, and what to cite."""

from __future__ import annotations

import hashlib
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from sklmat.reports._attribution_section import kind_of_attribution
from sklmat.reports._page import Section

if TYPE_CHECKING:
    from sklmat.reports._study import Study

_PACKAGES = (
    "numpy",
    "pandas",
    "scikit-learn",
    "pymatgen",
    "torch",
    "skorch",
    "xgboost",
    "spglib",
    "shap",
)
#: Class of sklmat -> keys of the papers to cite for it, as on the page "How to cite".
_KEYS = {
    "CGCNNRegressor": ["xie2018cgcnn"],
    "CGCNNClassifier": ["xie2018cgcnn"],
    "ECNetRegressor": ["wang2022ecnet"],
    "ECNetClassifier": ["wang2022ecnet"],
    "ECNetFeaturizer": ["wang2022ecnet"],
    "EFTGANRegressor": ["sun2025eftgan", "wang2022ecnet", "chen2016infogan"],
    "InfoGANAugmenter": ["chen2016infogan", "sun2025eftgan"],
    "MixupAugmenter": ["zhang2018mixup"],
    "AdversarialFeatureBuilder": ["wang2024adversarial"],
    "StructureFeaturizer": ["cowley1950order", "hoppe1979coordination", "togo2024spglib"],
    "DisorderFeaturizer": ["robinson1971elongation", "baur1974distortion", "glazer1972tilts"],
    "CompositionFeaturizer": ["ward2016magpie"],
    "RobustGaussianProcessRegressor": ["rasmussen2006gaussian", "jylanki2011robust"],
    "OrderingRegressor": ["rasmussen2006gaussian", "ginsbourger2016invariances"],
    "OrderingClassifier": ["rasmussen2006gaussian", "ginsbourger2016invariances"],
    "DeltaRegressor": ["ramakrishnan2015delta"],
    "ConformalRegressor": ["barber2021jackknife", "dunn2023hierarchical", "lee2023hierarchical"],
    "ConformalClassifier": ["sadinle2019sets", "dunn2023hierarchical", "lee2023hierarchical"],
    "CalibratedStdRegressor": ["palmer2022calibration"],
}
_ALWAYS = ["sklmat", "nadeau2003inference"]
_BY_METHOD = {"elements": ["sundararajan2017gradients"], "shap": ["lundberg2020shap"]}


def environment_section(study: Study) -> Section:
    """Versions, the computer, the parameters, the seeds, and a hash of the data."""
    section = Section("Environment", "environment")
    versions = {"sklmat": _sklmat_version(), "Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    parameters = {k: repr(v) for k, v in sorted(study.estimator.get_params(deep=False).items())}
    section.facts.update(
        versions=versions,
        platform=platform.platform(),
        estimator=repr(study.estimator),
        parameters=parameters,
        data_hash=_hash(study),
    )
    section.table(["package", "version"], versions.items())
    section.say(f"Platform: {section.facts['platform']}.")
    section.say(
        f"SHA-256 of the rows and labels: {section.facts['data_hash']}. The same rows in the same "
        "order have the same hash."
    )
    section.heading("Parameters of the estimator")
    section.table(["parameter", "value"], parameters.items())
    return section


def _sklmat_version():
    import sklmat

    return sklmat.__version__


def _hash(study):
    """Hash of the crystals (or the table) and the labels."""
    digest = hashlib.sha256()
    rows = study.rows
    if rows.structures is not None:
        for structure in rows.structures:
            for array in (
                structure.lattice.matrix,
                structure.frac_coords,
                np.asarray(structure.atomic_numbers, dtype=float),
            ):
                digest.update(np.ascontiguousarray(np.round(array, 8) + 0.0).tobytes())
    else:
        items = rows.X.to_numpy() if hasattr(rows.X, "to_numpy") else rows.X
        digest.update("\n".join(str(item) for item in items).encode())
    digest.update("\n".join(str(label) for label in study.y.tolist()).encode())
    return digest.hexdigest()


def citation_section(study: Study) -> Section:
    """BibTeX entries of the software and of the methods that were used."""
    section = Section("How to cite", "citation")
    names = {type(each).__name__ for each in _parts(study.estimator)}
    keys = [*_ALWAYS, *(key for name in sorted(names) for key in _KEYS.get(name, []))]
    keys += _BY_METHOD.get(kind_of_attribution(study) or "", [])
    keys = list(dict.fromkeys(keys))
    entries = bibtex_entries()
    section.facts.update(keys=keys, bibtex="\n\n".join(entries[key] for key in keys))
    section.say("The software, and the papers of the methods that the estimator and this page use.")
    section.code(section.facts["bibtex"])
    return section


def _parts(estimator):
    """The estimator and all estimators in its parameters."""
    yield estimator
    for value in estimator.get_params(deep=True).values():
        if hasattr(value, "get_params") and not isinstance(value, type):
            yield value


def bibtex_entries() -> dict[str, str]:
    """Key -> BibTeX entry of all papers that sklmat names."""
    text = (files("sklmat.reports") / "sklmat.bib").read_text(encoding="utf-8")
    found = re.findall(r"^(@\w+\{([\w-]+),\n.*?^\})", text, flags=re.MULTILINE | re.DOTALL)
    return {key: entry for entry, key in found}
