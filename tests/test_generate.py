"""Generation: the probabilities, the draws, and that the model is left as it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.data import Vocabulary
from tinygrad_rnn.train import probabilities

LETTERS = Vocabulary("abcde")


class Model(tg.nn.Module):
    """Scores for the next symbol; with a layer that behaves otherwise while training."""

    def __init__(self, symbols: int = 5) -> None:
        rng = np.random.default_rng(2)
        self.embedding = tg.nn.Embedding(symbols, 6, rng=rng)
        self.lstm = tg.nn.LSTM(6, 8, rng=rng)
        self.drop = tg.nn.Dropout(0.5)
        self.out = tg.nn.Linear(8, symbols, rng=rng)

    def forward(self, ids, state=None):
        outputs, state = self.lstm(self.embedding(ids), state)
        return self.out(self.drop(outputs)), state


def direct(scores, temperature, top_k, top_p):
    """The same, written out symbol by symbol."""
    p = np.exp(scores / temperature) / np.exp(scores / temperature).sum()
    ranked = sorted(range(len(p)), key=lambda k: (-p[k], k))
    if top_k is not None:
        for k in ranked[top_k:]:
            p[k] = 0
        p = p / p.sum()
    if top_p is not None:
        together = 0.0
        for k in ranked:
            if together >= top_p:
                p[k] = 0
            together += p[k]
    return p / p.sum()


@given(
    st.lists(st.integers(-400, 400), min_size=1, max_size=9, unique=True),
    st.floats(0.3, 3),
    st.none() | st.integers(1, 9),
    st.none() | st.floats(0.05, 0.95),
)
def test_probabilities_against_a_direct_computation(scores, temperature, top_k, top_p):
    scores = np.array(scores) / 100
    found = probabilities(scores, temperature, top_k, top_p)
    expected = direct(scores, temperature, top_k, top_p)
    ranked = np.sort(direct(scores, temperature, top_k, None))[::-1]
    if top_p is not None and np.abs(np.cumsum(ranked) - top_p).min() < 1e-9:
        return  # either is right: one more symbol, or not
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_probabilities_by_hand():
    scores = np.log([0.1, 0.4, 0.3, 0.2])
    np.testing.assert_allclose(probabilities(scores), [0.1, 0.4, 0.3, 0.2])
    squares = np.array([0.01, 0.16, 0.09, 0.04]) / 0.3
    np.testing.assert_allclose(probabilities(scores, 0.5), squares)
    np.testing.assert_allclose(probabilities(scores, top_k=2), [0, 4 / 7, 3 / 7, 0])
    np.testing.assert_allclose(probabilities(scores, top_p=0.39), [0, 1, 0, 0])
    np.testing.assert_allclose(probabilities(scores, top_p=0.69), [0, 4 / 7, 3 / 7, 0])
    np.testing.assert_allclose(probabilities(scores, top_p=0.71), [0, 4 / 9, 3 / 9, 2 / 9])
    # the probability to be reached is that after top_k: 4/7 alone is 0.57
    np.testing.assert_allclose(probabilities(scores, top_k=2, top_p=0.5), [0, 1, 0, 0])
    np.testing.assert_array_equal(probabilities(scores, 0), [0, 1, 0, 0])
    np.testing.assert_array_equal(probabilities([1.0, 1.0, 0.0], 0), [1, 0, 0])
    np.testing.assert_allclose(probabilities([1e4, -np.inf, 1e4 - 1], 1e-3), [1, 0, 0])


def test_the_smallest_temperature_is_that_of_the_likeliest():
    smallest = np.nextafter(0, 1)
    np.testing.assert_array_equal(probabilities([0.0, 2.0, 1.0], smallest), [0, 1, 0])
    np.testing.assert_array_equal(probabilities([1e308, -1e308], 0.5), [1, 0])
    options = {"vocabulary": LETTERS, "seed": 0}
    written = tg.generate(Model(), "a", 9, temperature=smallest, **options)
    assert written == tg.generate(Model(), "a", 9, temperature=0, **options)


@pytest.mark.parametrize(
    "options",
    [{"temperature": -1}, {"temperature": np.nan}, {"top_k": 0}, {"top_p": 0}, {"top_p": 1.5}],
)
def test_settings_that_make_no_sense(options):
    with pytest.raises(ValueError, match=r"temperature|top_k|top_p"):
        probabilities([0.0, 1.0], **options)
    with pytest.raises(ValueError, match=r"temperature|top_k|top_p"):
        tg.train.stream(Model(), "a", 3, vocabulary=LETTERS, **options)  # at once


@pytest.mark.parametrize("scores", [[], [np.nan, 0.0], [-np.inf, -np.inf], [[1.0]]])
def test_scores_that_are_none(scores):
    with pytest.raises(ValueError, match="scores"):
        probabilities(scores)


def test_draws_follow_the_probabilities():
    scores = np.log([0.5, 0.3, 0.2])
    found = tg.generate(lambda ids, _: (np.tile(scores, (1, 1, 1)), None), [0], 5_000, seed=1)
    np.testing.assert_allclose(np.bincount(found) / 5_000, [0.5, 0.3, 0.2], atol=0.025)


def test_temperature_0_is_the_likeliest_of_each_step():
    model, prompt = Model().eval(), [1, 3, 2]
    read = list(prompt)
    for _ in range(6):  # without a carried state: all is read again each time
        scores, _ = model(np.array(read)[:, None])
        read.append(int(scores.data[-1, 0].argmax()))
    np.testing.assert_array_equal(tg.generate(model, prompt, 6, temperature=0), read[3:])


def test_the_state_is_carried():
    def model(ids, state):  # next comes the sum of all that was read
        total = np.cumsum(ids, axis=0) + (0 if state is None else state)
        return np.eye(5)[total % 5], total[-1]

    assert tg.generate(model, [1, 1], 5, temperature=0).tolist() == [2, 4, 3, 1, 2]


def test_seeds():
    def write(seed):
        return tg.generate(Model(), "ab", 30, vocabulary=LETTERS, seed=seed)

    assert write(4) == write(4) != write(5)
    assert write(np.random.default_rng(4)) == write(4)
    tg.manual_seed(8)
    one = write(None)
    tg.manual_seed(8)
    assert write(None) == one


@pytest.mark.parametrize("kind", ["characters", "words", "bytes"])
def test_a_stream_gives_the_same_text(kind: str):
    text = "to be or not to be é"
    made = Vocabulary.from_text(text, kind, unknown="<unk>", padding="<pad>")
    options = {"vocabulary": made, "seed": 3, "temperature": 2.0}
    pieces = list(tg.train.stream(Model(len(made)), text, 40, **options))
    assert "".join(pieces) == tg.generate(Model(len(made)), text, 40, **options)
    assert len(pieces) >= 40
    assert "<" not in "".join(pieces) or kind == "bytes"


def test_unknown_and_padding_are_never_drawn():
    made = Vocabulary("ab", unknown="?", padding="_")

    def model(ids, state):
        return np.array([[[9.0, 9.0, 0.0, 0.0]]]), None

    assert set(tg.generate(model, "a", 50, vocabulary=made, seed=0)) == {"a", "b"}


def test_stop():
    def model(ids, state):  # the alphabet
        return np.eye(5)[(ids + 1) % 5], None

    options = {"temperature": 0, "vocabulary": LETTERS}
    assert tg.generate(model, "a", 9, stop="d", **options) == "bc"
    assert tg.generate(model, "a", 9, stop=["e", 2], **options) == "b"
    assert tg.generate(model, [0], 9, temperature=0, stop=3).tolist() == [1, 2]
    assert tg.generate(model, [0], 9, temperature=0, stop=np.array([4, 3])).tolist() == [1, 2]
    assert tg.generate(model, "a", 0, **options) == ""
    with pytest.raises(ValueError, match="'de' is 2 of them"):
        tg.generate(model, "a", 9, stop="de", **options)


def test_the_model_is_left_as_it_was():
    model = Model()
    model.drop.eval()
    before = [m.training for m in model.modules()]
    seen = []
    for _ in tg.train.stream(model, [1], 3, seed=0):
        seen.append([m.training for m in model.modules()])
        assert (model.out.weight * 2).requires_grad  # no switch reaches the one who reads
    assert seen == [before] * 3
    assert (
        tg.generate(model, [1], 9, seed=0).tolist()
        == tg.generate(model.eval(), [1], 9, seed=0).tolist()
    )
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_that_fails_is_restored():
    class Fails(Model):
        def forward(self, ids, state=None):
            raise ZeroDivisionError

    model = Fails()
    with pytest.raises(ZeroDivisionError):
        tg.generate(model, [1], 3)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("prompt", "error", "message"),
    [
        ("", ValueError, "at least one symbol"),
        ([[1]], ValueError, "in one row"),
        ([1.5], TypeError, "whole numbers"),
        ("axe", ValueError, "'x', number 1"),
    ],
)
def test_prompts_that_make_no_sense(prompt, error, message: str):
    with pytest.raises(error, match=message):
        tg.generate(Model(), prompt, 3, vocabulary=LETTERS)


def test_errors_that_teach():
    with pytest.raises(ValueError, match="a text needs a vocabulary"):
        tg.generate(Model(), "a", 3)
    with pytest.raises(ValueError, match="isn't negative"):
        tg.generate(Model(), [1], -1)
    with pytest.raises(TypeError, match=r"returns \(scores, state\); this one returned a ndarray"):
        tg.generate(lambda ids, _: np.eye(3)[ids], [1], 3)
    for symbols in (4, 9):
        message = f"the model gives {symbols} scores, but the vocabulary has 5 symbols"
        with pytest.raises(ValueError, match=message):
            tg.generate(Model(symbols), "a", 30, vocabulary=LETTERS)
    with pytest.raises(tg.errors.ShapeError, match=r"scores \(1, 3\), not \(T, N, symbols\)"):
        tg.generate(lambda ids, _: (np.eye(3)[ids[0]], None), [1], 3)
