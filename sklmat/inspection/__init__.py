"""Contributions of sites and elements to predictions; SHAP values of tree models."""

from sklmat.inspection._shap_table import shap_table
from sklmat.inspection._site_attribution import element_attribution, site_attribution

__all__ = ["element_attribution", "shap_table", "site_attribution"]
