"""The folder of a model: what was asked for, how far the training has come, and the model."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import FileFormatError
from ..core.files import write_whole
from ..data import Vocabulary
from ..io import load, load_checkpoint, save
from .model import Architecture, LanguageModel
from .running import CommandError

# What run.json has: all that must be equal for a run to go on. How long it goes is for each call to
# say.
SETTINGS = (
    "kind", "encoding", "least", "most", "cell", "embedding", "hidden", "layers", "dropout",
    "batch", "seq_len", "lr", "validation", "seed", "sha256",
)  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """A model and the symbols that it knows."""

    model: LanguageModel
    shape: Architecture
    vocabulary: Vocabulary


class Folder:
    """The files of a model.

    Each is replaced as a whole. What belongs together stands in one file, so that no two of them
    can be of different trainings.

    Attributes:
        settings: run.json, the options that the training was begun with.
        checkpoint: checkpoint.npz, all that it needs to go on, see `tg.fit`.
        model: model.npz, the weights; its metadata have the architecture and the vocabulary.
        ids: the text in numbers, while it is trained on.
        temporary: what is removed in the end.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.settings = self.path / "run.json"
        self.checkpoint = self.path / "checkpoint.npz"
        self.model = self.path / "model.npz"
        self.ids = self.path / "tinygrad_rnn.ids.tmp"
        self.temporary = (self.ids, self.path / f"{self.ids.name}.part")

    def check(self) -> None:
        """Looks whether a model may be written here, before anything is.

        Raises:
            CommandError: if the folder is a file, or has files that have the names of a model's,
                and nothing that shows that they are.
        """
        if self.path.exists() and not self.path.is_dir():
            raise CommandError(f"{self.path} is a file, and the model needs a folder")
        kept = (self.settings, self.checkpoint, self.model)
        strange = [path.name for path in kept if path.exists()]
        if not strange or self._read_settings() is not None:
            return
        try:
            self.load()
        except (CommandError, FileFormatError):
            raise CommandError(
                f"{self.path} has {' and '.join(strange)}, not of this command line or altered: "
                "give another --out, or take that away"
            ) from None

    def check_apart(self, text: str) -> None:
        """Raises CommandError for a text that is one of the files that are written here."""
        for path in (self.settings, self.checkpoint, self.model, *self.temporary):
            if os.path.exists(text) and path.exists() and os.path.samefile(text, path):
                raise CommandError(f"{text} would be written over: give another --out")

    def make(self) -> None:
        """Makes the folder, unless it is there.

        Raises:
            OSError: if it can't be made.
        """
        self.path.mkdir(parents=True, exist_ok=True)

    def clear(self) -> None:
        """Removes what is temporary."""
        for path in self.temporary:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def begun_with(self) -> dict[str, Any] | None:
        """The settings of the training that was begun here; None if there is none."""
        if not self.settings.exists():
            return None
        found = self._read_settings()
        if found is None:
            raise CommandError(f"{self.settings} was altered; --no-resume begins anew")
        return found

    def _read_settings(self) -> dict[str, Any] | None:
        """What run.json has, if it is whole and of this command line."""
        try:
            found = json.loads(self.settings.read_bytes().decode("utf-8"))
        except (FileNotFoundError, ValueError, RecursionError):
            return None
        whole = isinstance(found, dict) and set(found) == set(SETTINGS)
        return found if whole and all(_plain(value) for value in found.values()) else None

    def begin(self, settings: dict[str, Any]) -> None:
        """Notes what a new training is begun with. A model that was here stays until there is
        something better than no model."""
        self.checkpoint.unlink(missing_ok=True)
        text = json.dumps(settings, indent=2, ensure_ascii=False)
        write_whole(self.settings, (text + "\n").encode("utf-8", "backslashreplace"))

    def progress(self) -> tuple[int, float]:
        """Steps and seconds of the training so far."""
        if not self.checkpoint.exists():
            return 0, 0.0
        try:
            at = load_checkpoint(self.checkpoint)["training"]
            return int(at["step"]), float(at["seconds"])
        except (FileFormatError, KeyError, TypeError, ValueError) as error:
            raise CommandError(f"{error}; --no-resume begins anew") from None

    def save(self, trained: Trained) -> None:
        """Writes the model."""
        kept = {
            "architecture": json.dumps(asdict(trained.shape)),
            "vocabulary": json.dumps(trained.vocabulary.to_dict()),
        }
        save(trained.model, self.model, metadata=kept)

    def load(self) -> Trained:
        """Reads the model.

        Raises:
            CommandError: if there is none.
            FileFormatError: if it was cut short or altered.
        """
        if not self.model.is_file():
            raise CommandError(
                f"{self.path} isn't the folder of a model: there is no {self.model.name} in it"
                if self.path.is_dir()
                else f"{self.path}: there is no such folder"
            )
        weights = load(self.model)
        try:
            vocabulary = Vocabulary.from_dict(json.loads(weights.metadata["vocabulary"]))
            shape = Architecture(**json.loads(weights.metadata["architecture"]))
            _check(shape, weights, vocabulary)
            model = LanguageModel(shape, rng=0)
            model.load_state_dict(weights)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            reason = str(error)[:200]
            raise FileFormatError(
                f"{self.model} isn't a model of this command line, or was altered: {reason}"
            ) from None
        return Trained(model, shape, vocabulary)


def _plain(value: Any) -> bool:
    return isinstance(value, (str, int, float))


def _check(shape: Architecture, weights: Any, vocabulary: Vocabulary) -> None:
    """Raises ValueError for weights that are no numbers, or fit no model of this shape: such a
    model is not even made, as it could be of any size."""
    found = weights["embedding.weight"].shape, weights["out.weight"].shape
    if found != ((shape.symbols, shape.embedding), (shape.symbols, shape.hidden)):
        raise ValueError(f"{shape} has other sizes than its weights")
    if not all(np.isfinite(array).all() for array in weights.values()):
        raise ValueError("some of its weights are no numbers")
    if len(vocabulary) != shape.symbols or shape.layers > len(weights):
        raise ValueError(f"{shape} doesn't fit {len(vocabulary)} symbols")
