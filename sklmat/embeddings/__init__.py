"""Structures to learned tables."""

from sklmat.embeddings._ecnet_featurizer import ECNetFeaturizer
from sklmat.embeddings._graph_embedding import GraphEmbedding

__all__ = ["ECNetFeaturizer", "GraphEmbedding"]
