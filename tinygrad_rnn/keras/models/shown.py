"""A model in text and pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from ..summary import print_summary
from .pictures import drawn, traced


class Shown:
    """What shows a model."""

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
        style: str = "text",
    ) -> None:
        """Prints the layers, the shapes of what they put out, and how many parameters they have.

        Args:
            line_length: 65 by default; lines become longer where a name needs it. With
                style="box" 88, or what the terminal has.
            positions: where the columns end, as shares of the line, or in characters.
            print_fn: called with each line in place of `print`; with style="box" once, with all.
            expand_nested: whether the layers of models inside are shown too.
            show_trainable: whether a column says if the layers are learnt.
            layer_range: the names of the first and the last layer to show, or patterns of them.
            style: "text" for the table of Keras 2; "box" for that of Keras 3, where long names are
                wrapped and the optimizer's parameters count as well.

        What isn't known before the model is built is shown as "?" and "0 (unbuilt)". Parameters
        that stand in several places count once in the totals.

        Raises:
            ValueError: for names that no layer has, or a line that is too short for a box.

        >>> from tinygrad_rnn import keras
        >>> model = keras.Sequential(name="reader")
        >>> model.add(keras.layers.Embedding(10000, 32, name="embedding"))
        >>> model.add(keras.layers.SimpleRNN(32, name="simple_rnn"))
        >>> model.summary(print_fn=lambda line: print(line.rstrip()))
        Model: "reader"
        _________________________________________________________________
         Layer (type)                Output Shape              Param #
        =================================================================
         embedding (Embedding)       (None, None, 32)          320000
        <BLANKLINE>
         simple_rnn (SimpleRNN)      (None, 32)                2080
        <BLANKLINE>
        =================================================================
        Total params: 322,080
        Trainable params: 322,080
        Non-trainable params: 0
        _________________________________________________________________
        """
        print_summary(
            self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range,
            style,
        )  # fmt: skip

    def draw(
        self,
        path: str | os.PathLike[str] | None = None,
        view: str | None = "cells",
        x: Any = None,
        **options: Any,
    ) -> Any:
        """A picture of what the model does: the graph of one call.

        Args:
            path: of the file to write, such as "model.svg"; see `tg.draw`.
            view: "cells", "ops", "rolled", "modules" or None; see `tg.draw`.
            x: what the model is called with. By default made-up data of its input shape, small
                where any size will do.
            options: further ones of `tg.draw`, such as ``steps=2``.

        Returns:
            The path of the file; without a path the `Graph`, which notebooks show.

        Raises:
            ValueError: without x, if the input shape isn't known.

        >>> from tinygrad_rnn import keras
        >>> gru = keras.layers.GRU(3, name="gru")
        >>> model = keras.Sequential([keras.layers.Embedding(10, 4), gru])
        >>> [node.name for node in model.draw(view="rolled").nodes if node.kind == "rolled"]
        ['gru']
        """
        return drawn(self, path, view, x, **options)

    def trace(self, x: Any, **options: Any) -> Any:
        """A look inside the recurrent layers as the model reads x; see `tg.rnn.trace`.

        Args:
            x: what the model is called with.
            options: those of `tg.rnn.trace`.
        """
        return traced(self, x, **options)
