"""Pictures of graphs: Tensors -> plain data -> a view -> DOT text -> a file.

Each step is a function of the one before. Only the last needs Graphviz.
"""

from .pictures import Graph, draw, graph
from .records import GraphEdge, GraphNode, Summary

__all__ = ["Graph", "GraphEdge", "GraphNode", "Summary", "draw", "graph"]
