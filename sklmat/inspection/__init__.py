"""What a prediction is made of: shares of sites and elements in graph networks, SHAP of tables."""

from sklmat.inspection._sites import element_attribution, site_attribution
from sklmat.inspection._tables import shap_table

__all__ = ["element_attribution", "shap_table", "site_attribution"]
