"""`ReferenceLink`: estimators shown in a notebook link to their page of the reference."""

from __future__ import annotations

from functools import cache
from importlib import metadata

import sklmat


class ReferenceLink:
    """Mixin of public estimators; it stands left of ``BaseEstimator``.

    scikit-learn reads these attributes for the HTML representation of an estimator. A class that
    is defined outside sklmat gets no link, because its module is another one.
    """

    _doc_link_module = "sklmat"
    _doc_link_template = "{address}"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        name = type(self).__name__
        return {"address": page_address(name) if name in sklmat.__all__ else ""}


def page_address(name: str) -> str:
    """Return the address of the page of the reference about a name that ``sklmat`` exports.

    Parameters
    ----------
    name : str
        Name of a class or function, such as ``"CGCNNRegressor"``.

    Returns
    -------
    str
        The address, below that of the documentation in the metadata of the installed package; an
        empty string when sklmat is imported without being installed.
    """
    site = _site()
    return f"{site}api/generated/sklmat.{name}.html" if site else ""


@cache
def _site() -> str:
    """Return the address of the documentation, which stands in ``pyproject.toml``."""
    try:
        addresses = metadata.metadata("sklmat").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    return dict(address.split(", ", 1) for address in addresses).get("Documentation", "")
