"""Sphinx configuration."""

import sys
import tomllib
import warnings
from pathlib import Path

import tqdm
from docutils import nodes
from sphinx.ext import intersphinx

import sklmat
from sklmat.estimators import Architecture

sys.path.insert(0, str(Path(__file__).parent))
from foreign_names import PROJECTS, TYPES, full_names

project = "sklmat"
author = "The sklmat developers"
copyright = f"2026, {author}"
version = release = sklmat.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    # The site shows formulas without another server.
    "sphinx-mathjax-offline",
]
exclude_patterns = ["_build", "_inventories", "auto_examples/*.ipynb", "auto_examples/*.py"]
templates_path = ["_templates"]
default_role = "py:obj"
extlinks = {
    "doi": ("https://doi.org/%s", "doi:%s"),
    "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s"),
}

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
# tests/test_docstrings.py applies the same rules to every public name.
numpydoc_validation_checks = {
    "all",
    # Without these:
    "ES01",  # For most methods one sentence says everything.
    "EX01",  # Methods need none; tests/test_public_api.py requires those of classes and functions.
    "RT02",  # A result may have a name, as in scikit-learn.
    "SA01",  # Not every name is related to others.
}
numpydoc_validation_overrides = {
    # Results and protocols: users never call the class itself.
    "PR01": [r"^Result of `", r"^A model of your own"],
}

numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = TYPES

# Inventories that are part of the repository: the site is built without a network.
intersphinx_mapping = {
    name: (address, f"_inventories/{name}.inv") for name, (address, _) in PROJECTS.items()
}

# References into sklmat must lead somewhere; names of other projects that `foreign_names` lacks are
# left as text.
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
    "backreferences_dir": "api/backreferences",
    "doc_module": ("sklmat",),
    "reference_url": {"sklmat": None},
    "show_memory": False,
    "download_all_examples": False,
}

# Quotes in types, such as {"mae", "mse"}, are those of Python.
smartquotes = False
# Prompts are no part of what is copied.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

with open("../pyproject.toml", "rb") as file:
    urls = tomllib.load(file)["project"]["urls"]
owner, repository = urls["Source"].removeprefix("https://github.com/").split("/")

sections = ("start/**", "user_guide/**", "theory/**", "benchmarks/**")
single_pages = ("faq", "glossary", "compared_with", "how_to_cite")
single_pages += ("changelog", "contributing", "security")

html_theme = "pydata_sphinx_theme"
html_title = f"sklmat {version}"
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["sklmat.css"]
html_context = {
    "github_user": owner,
    "github_repo": repository,
    "github_version": "main",
    "doc_path": "docs",
    "default_mode": "auto",
}
html_theme_options = {
    "logo": {"text": "sklmat"},
    "header_links_before_dropdown": 6,
    "icon_links": [
        {"name": "Source", "url": urls["Source"], "icon": "fa-brands fa-github"},
    ],
    "use_edit_page_button": True,
    "show_prev_next": True,
    "navigation_with_keys": False,
    "secondary_sidebar_items": {
        # Pages of the reference and of the examples are made from docstrings and scripts.
        **{pages: ["page-toc"] for pages in ("api/**", "auto_examples/**")},
        **{pages: ["page-toc", "edit-this-page"] for pages in (*sections, *single_pages)},
    },
}
html_sidebars = {page: [] for page in single_pages}

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


def resolve_foreign(app, env, node, contnode):
    """Let ``GridSearchCV`` lead to the page of scikit-learn."""
    full = full_names().get(node.get("reftarget"))
    if full is None:
        return None
    node["reftarget"] = full
    return intersphinx.missing_reference(app, env, node, contnode)


def keep_our_types(app):
    """Leave out the links that numpydoc adds, which need inventories of Python and NumPy."""
    app.config.numpydoc_xref_aliases_complete = TYPES


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out members from scikit-learn, pandas or torch, and attributes that are classes."""
    if what == "class" and isinstance(obj, type | Architecture):
        return True
    home = getattr(getattr(obj, "fget", obj), "__module__", None) or ""
    return skip if home.startswith("sklmat") else True


def strip_blocks(app, doctree):
    """Remove the empty line at the end of a block, which doctest needs."""
    for block in doctree.findall(nodes.literal_block):
        if block.rawsource == block.astext():
            block.rawsource = block.astext().rstrip()
            block.children = [nodes.Text(block.rawsource)]


def setup(app):
    """Connect the handlers."""
    app.connect("doctree-read", strip_blocks)
    app.connect("builder-inited", keep_our_types, priority=900)
    app.connect("missing-reference", resolve_module)
    app.connect("missing-reference", resolve_foreign)
    app.connect("autodoc-skip-member", skip_foreign)
