"""A model in files, and as text that another is made of."""

from __future__ import annotations

import json
import os
from typing import Any

from ..configs import object_config
from .saving import save_model
from .weight_files import load_weights, save_weights


class Stored:
    """What writes a model, and reads its weights."""

    def save(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        include_optimizer: bool = True,
    ) -> None:
        """Writes the whole model into a file, for `load_model`.

        Kept are the architecture (`get_config`), the weights, the states of stateful layers and of
        the generators of layers that have a seed; and of a compiled model what `compile` was given,
        and the optimizer's state. Until all is on the disk, a file that was there stays as it was.

        Args:
            filepath: ends in .npz. The format is this package's own, which Keras doesn't read;
                Keras' formats, .keras and .h5, aren't written.
            overwrite: whether a file that is there may be replaced.
            include_optimizer: whether what `compile` was given is kept, and the optimizer's state.

        Raises:
            ValueError: for another suffix.
            FileExistsError: for a file that is there, with overwrite=False.
            TypeError: for what has no name by which it could be found again, such as a lambda.
            OSError: if the file can't be written.
        """
        save_model(self, filepath, overwrite, include_optimizer)

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Writes the weights into a file, each under its path, such as ``lstm/lstm_cell/kernel``.

        Args:
            filepath: ends in .npz, which `numpy.load` reads as well, or in .safetensors.
            overwrite: whether a file that is there may be replaced.

        Raises:
            ValueError: for another suffix, or if the model isn't built.
            FileExistsError: for a file that is there, with overwrite=False.
            OSError: if the file can't be written.
        """
        save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Takes the weights that `save_weights` wrote for a model built like this one.

        Names that layers were given count; those that they have by themselves, such as ``lstm_1``,
        may have other numbers.

        Args:
            filepath: ends in .npz or .safetensors.

        Raises:
            FileFormatError: if the file was cut short or altered.
            ValueError: if the model isn't built, or listing every weight that is missing,
                unexpected or of another shape.
            OSError: if the file can't be read.

        Whatever is raised, nothing has changed.
        """
        load_weights(self, filepath)

    def to_json(self, **options: Any) -> str:
        """The architecture as text, for `model_from_json`; `options` are those of json.dumps."""
        return json.dumps(object_config(self), **options)
