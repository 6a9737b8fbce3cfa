"""Contributions of sites, elements and pairs to predictions; SHAP values of tree models."""

from sklmat.inspection._attribution_agreement import AttributionAgreement, attribution_agreement
from sklmat.inspection._pair_attribution import attribution_change, pair_attribution
from sklmat.inspection._shap_table import shap_table
from sklmat.inspection._site_attribution import element_attribution, site_attribution

__all__ = [
    "AttributionAgreement",
    "attribution_agreement",
    "attribution_change",
    "element_attribution",
    "pair_attribution",
    "shap_table",
    "site_attribution",
]
