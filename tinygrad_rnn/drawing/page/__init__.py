"""A graph as one self-contained interactive HTML page."""

from .assemble import page

__all__ = ["page"]
