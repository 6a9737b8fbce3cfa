"""The files around the code agree with each other and with the code."""

import re
import runpy
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ruamel.yaml import YAML

import sklmat

ROOT = Path(__file__).parents[1]
WORKFLOWS = ROOT / ".github" / "workflows"

pytestmark = pytest.mark.skipif(
    not WORKFLOWS.is_dir(), reason="the workflows are not part of this copy"
)


def read_yaml(path):
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def read_project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("name", ["tests", "docs", "wheel"])
def test_workflows_only_read_the_repository(name):
    workflow = read_yaml(WORKFLOWS / f"{name}.yml")
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert all("uses" in step or "run" in step for step in job["steps"])
        assert job["timeout-minutes"] <= 60


def test_python_versions_agree():
    project = read_project()
    matrix = read_yaml(WORKFLOWS / "tests.yml")["jobs"]["tests"]["strategy"]["matrix"]["python"]
    prefix = "Programming Language :: Python :: 3."
    classified = [
        c.removeprefix(prefix[:-2]) for c in project["classifiers"] if c.startswith(prefix)
    ]
    assert classified == matrix
    assert project["requires-python"] == f">={matrix[0]}"


def test_one_version_of_ruff_formats_everything():
    hooks = read_yaml(ROOT / ".pre-commit-config.yaml")["repos"]
    (version,) = [hook["rev"] for hook in hooks if hook["repo"].endswith("ruff-pre-commit")]
    steps = read_yaml(WORKFLOWS / "tests.yml")["jobs"]["style"]["steps"]
    assert any(f"ruff=={version.removeprefix('v')}" in step.get("run", "") for step in steps)


def test_urls_name_one_repository():
    urls = read_project()["urls"]
    assert set(urls) == {"Documentation", "Source", "Issues", "Changelog"}
    owner, repository = urls["Source"].removeprefix("https://github.com/").split("/")
    # Addresses of pages are made from that of the site, as in sklmat/reference_links.py.
    assert urls.pop("Documentation") == f"https://{owner}.github.io/{repository}/"
    assert all(url.startswith(urls["Source"]) for url in urls.values())
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("sklmat/**/*.py")]
    assert [page.name for page in pages if urls["Source"] in page.read_text(encoding="utf-8")] == []


def test_citation_names_the_papers_of_all_methods():
    citation = read_yaml(ROOT / "CITATION.cff")
    assert citation["version"] == sklmat.__version__
    papers = {paper["notes"].partition(":")[0]: paper for paper in citation["references"]}
    assert list(papers) == ["CGCNN", "ECNet", "EFTGAN", "Adversarial examples as descriptors"]
    for paper in papers.values():
        assert all(author["family-names"] for author in paper["authors"])
        assert {"title", "journal", "volume", "start", "year"} <= set(paper)
        for name in paper["notes"].partition(":")[2].split(","):
            assert name.strip() in sklmat.__all__
    dois = {method: paper["doi"] for method, paper in papers.items() if "doi" in paper}
    assert all(re.fullmatch(r"10\.\d{4,}/\S+", doi) for doi in dois.values())
    assert set(papers) - set(dois) == {"EFTGAN"}, "its DOI could not be verified"


def test_module_map_shows_the_imports_of_the_code():
    script = runpy.run_path(str(ROOT / "docs" / "make_module_map.py"))
    picture = ElementTree.parse(script["PICTURE"])
    (description,) = picture.iter("{http://purl.org/dc/elements/1.1/}description")
    current = script["describe"](script["read_imports"]())
    assert description.text == current, "run python docs/make_module_map.py"


def test_module_map_leaves_out_what_a_longer_way_implies():
    script = runpy.run_path(str(ROOT / "docs" / "make_module_map.py"))
    imports = {"a": set(), "b": {"a"}, "c": {"a", "b"}, "d": {"a", "c"}, "e": {"a"}}
    drawn = {"a": set(), "b": {"a"}, "c": {"b"}, "d": {"c"}, "e": {"a"}}
    assert script["without_shortcuts"](imports) == drawn
