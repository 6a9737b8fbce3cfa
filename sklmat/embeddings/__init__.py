"""Structures to learned tables."""

from sklmat.embeddings._ecnet import ECNetFeaturizer
from sklmat.embeddings._graph import GraphEmbedding

__all__ = ["ECNetFeaturizer", "GraphEmbedding"]
