"""What a module is made of: its layers, how many parameters each has and why, and their shapes.

Parts: `formulas` explains a count, `counting` goes through the layers, `shapes` looks at a run,
`summaries` writes it all as text.
"""

from .counting import LayerCount, count_layers
from .formulas import Formula, formulas_of
from .summaries import ModelSummary, SummaryRow, summary

__all__ = [
    "Formula",
    "LayerCount",
    "ModelSummary",
    "SummaryRow",
    "count_layers",
    "formulas_of",
    "summary",
]
