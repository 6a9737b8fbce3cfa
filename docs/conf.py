"""Sphinx configuration."""

import warnings

import tqdm

import sklmat

project = "sklmat"
author = "The sklmat developers"
copyright = f"2026, {author}"
version = release = sklmat.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "auto_examples/*.ipynb", "auto_examples/*.py"]
templates_path = ["_templates"]
default_role = "py:obj"
extlinks = {
    "doi": ("https://doi.org/%s", "doi:%s"),
    "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s"),
}

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_validation_checks = {
    "GL01",
    "GL02",
    "GL03",
    "GL05",
    "GL06",
    "GL07",
    "GL08",
    "PR01",
    "PR02",
    "PR03",
    "RT01",
    "SS01",
    "SS02",
    "YD01",
}
numpydoc_validation_exclude = {
    # Results that users receive and never make.
    r"\.Comparison$",
    r"\.LabelNoise$",
    r"\.LearningCurves$",
    r"\.Orderings$",
    # A protocol: users write a function, and make no object of this class.
    r"\.PotentialModel$",
    # The parameters are scikit-learn's, or torch's.
    r"\.get_n_splits$",
    r"\.CrystalBatch\.to$",
    r"\.CGCNN\.train$",
}

# References into sklmat must lead somewhere; those to other projects are left as text, so that the
# site builds without a network.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!sklmat(\.|$)).*")]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "ignore_pattern": r"benchmarks",
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("sklmat",),
    "reference_url": {"sklmat": None},
    "show_memory": False,
    "download_all_examples": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"sklmat {version}"
html_static_path = ["_static"]
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"changelog": [], "contributing": [], "security": []}

# A page cannot show a progress bar that moves.
tqdm.tqdm.display = lambda *args, **kwargs: None
# torch-geometric calls a deprecated function while it is imported.
warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=DeprecationWarning)


def resolve_module(app, env, node, contnode):
    """Let ``sklmat.graphs.CrystalGraphs`` lead to where ``sklmat.CrystalGraphs`` is described."""
    first, _, rest = node.get("reftarget", "").partition(".")
    module, _, name = rest.partition(".")
    public = sklmat.__all__
    if first != "sklmat" or name.partition(".")[0] not in public or module in public:
        return None
    return env.get_domain("py").resolve_xref(
        env, node["refdoc"], app.builder, "obj", f"sklmat.{name}", node, contnode
    )


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out members from scikit-learn, pandas or torch, and attributes that are classes."""
    if what == "class" and isinstance(obj, type):
        return True
    home = getattr(getattr(obj, "fget", obj), "__module__", None) or ""
    return skip if home.startswith("sklmat") else True


def setup(app):
    """Connect the handlers."""
    app.connect("missing-reference", resolve_module)
    app.connect("autodoc-skip-member", skip_foreign)
