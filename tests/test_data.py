"""Vocabularies, windows, batches, splits, padding and files larger than memory should be."""

from __future__ import annotations

import itertools
import json
import pathlib
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_rnn as tg
from tinygrad_rnn.data import TextFile, Vocabulary, Windows, batches, batchify, sliding_windows
from tinygrad_rnn.data.textfile import whole_words

KINDS = ("characters", "words", "bytes")
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def plain(text: str, kind: str) -> str:
    """What a text becomes by being encoded and decoded."""
    return " ".join(text.split()) if kind == "words" else text


# Vocabularies


@given(texts, st.sampled_from(KINDS), st.booleans(), st.booleans())
def test_decode_undoes_encode(text: str, kind: str, unknown: bool, padding: bool):
    if not plain(text, kind):
        text += "word"
    made = Vocabulary.from_text(
        text, kind, unknown="<unk>" if unknown else None, padding="<pad>" if padding else None
    )
    ids = made.encode(text)
    assert ids.dtype == np.int64
    assert ids.min() >= unknown + padding
    assert made.decode(ids) == plain(text, kind)
    again = Vocabulary.from_dict(json.loads(json.dumps(made.to_dict())))
    assert again == made
    assert hash(again) == hash(made)
    assert again.symbols == made.symbols
    np.testing.assert_array_equal(again.encode(text), ids)


def test_the_order_is_that_of_code_points_whatever_the_order_of_the_text():
    one, other = Vocabulary.from_text("한국어 abc"), Vocabulary.from_text("cba 어국한")
    assert one == other
    assert list(one.symbols) == sorted("한국어 abc")


def test_unknown_symbols_are_numbered_or_refused():
    made = Vocabulary.from_text("abc", unknown="?", padding="_")
    assert made.symbols == ("_", "?", "a", "b", "c")
    assert (made.padding_id, made.unknown_id) == (0, 1)
    np.testing.assert_array_equal(made.encode("axz\U0010ffff_"), [2, 1, 1, 1, 1])
    assert made.decode([0, 2, 1, 0]) == "a?"
    with pytest.raises(ValueError, match=r"'x', number 1 of the characters.*\(and 1 more"):
        Vocabulary("abc").encode("axbz")
    with pytest.raises(ValueError, match="'sea', number 2 of the words"):
        Vocabulary.from_text("to be or not", "words").encode("to be sea")


def test_rare_symbols_are_left_out():
    text = "aaaabbbccd"
    assert Vocabulary.from_text(text, unknown="?", least=2).symbols == ("?", "a", "b", "c")
    assert Vocabulary.from_text(text, unknown="?", most=2).symbols == ("?", "a", "b")
    assert Vocabulary.from_text("ba", unknown="?", most=1).symbols == ("?", "a")
    with pytest.raises(ValueError, match=r"1 of 4 symbols are left out by least=2 .*unknown="):
        Vocabulary.from_text(text, least=2)


def test_bytes_are_those_of_utf8():
    made = Vocabulary(kind="bytes", padding="<pad>")
    assert len(made) == 257
    np.testing.assert_array_equal(made.encode("é"), [0xC3 + 1, 0xA9 + 1])
    np.testing.assert_array_equal(made.encode(b"\xff"), [256])
    assert made.decode([0xC3 + 1, 0, 0xA9 + 1]) == "é"
    assert made.decode([256]) == "\ufffd"
    assert list(made.decode_each([0xC3 + 1, 0xA9 + 1])) == ["", "é", ""]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Vocabulary("aba"), "'a' would have two numbers"),
        (lambda: Vocabulary("ab", padding="a"), "'a' would have two numbers"),
        (lambda: Vocabulary(["ab"]), "can't hold 'ab'"),
        (lambda: Vocabulary(["a b"], kind="words"), "no white space"),
        (lambda: Vocabulary("ab", kind="letters"), "characters, words, bytes"),
        (lambda: Vocabulary.from_text(""), "gives no symbol"),
        (lambda: Vocabulary.from_dict({"symbols": []}), "kind, unknown, padding"),
        (lambda: Vocabulary("ab").decode([[0]]), "in one row"),
    ],
)
def test_vocabularies_that_make_no_sense(make, message: str):
    with pytest.raises(ValueError, match=message):
        make()


def test_numbers_without_a_symbol():
    with pytest.raises(IndexError, match="no symbol has the number 2"):
        Vocabulary("ab").decode([0, 2])
    with pytest.raises(IndexError, match="number -1"):
        Vocabulary("ab").decode([-1])
    with pytest.raises(TypeError, match="whole numbers"):
        Vocabulary("ab").decode([0.5])
    with pytest.raises(TypeError, match="kind='bytes'"):
        Vocabulary("ab").encode(b"ab")
    assert Vocabulary("ab").decode([]) == ""


# Files


@given(texts, st.integers(1, 7), st.sampled_from(["utf-8", "utf-16", "utf-32-le"]))
def test_pieces_break_no_character(tmp_path_factory, text: str, size: int, encoding: str):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_bytes(text.encode(encoding))
    assert "".join(TextFile(path, encoding).pieces(size)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_encoded_as_its_text(tmp_path: pathlib.Path, kind: str):
    text = "to be, or not to be: 사느냐 죽느냐\n" * 40_000  # more than one piece
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    file = TextFile(path)
    assert len(file) == len(text.encode())
    made = Vocabulary.from_text(file, kind, padding="<pad>")
    assert made == Vocabulary.from_text(text, kind, padding="<pad>")
    ids = file.encode(made, tmp_path / "ids.npy")
    assert isinstance(ids, np.memmap)
    assert ids.dtype == (np.uint16 if kind == "bytes" else np.uint8)
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["ids.npy", "text.txt"]
    np.testing.assert_array_equal(ids, made.encode(text))
    np.testing.assert_array_equal(file.bytes, np.frombuffer(text.encode(), np.uint8))


def test_a_large_file_takes_little_memory(tmp_path: pathlib.Path):
    path = tmp_path / "large.txt"
    with path.open("w", encoding="utf-8") as file:
        for _ in range(16):
            file.write("a text of a million characters, é. " * 30_000)
    tracemalloc.start()
    try:
        text = TextFile(path)
        letters = Vocabulary.from_text(text)
        windows = Windows(batchify(text.encode(letters, tmp_path / "ids.npy"), 16), 100)
        first = next(iter(windows))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(text) > 16e6
    assert peak < 32e6  # whatever the size: a piece of 1 MB, its code points and numbers
    assert letters.decode(first.inputs[:, 0]) == ("a text of a million characters, é. " * 3)[:100]


def test_files_that_are_no_text(tmp_path: pathlib.Path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is empty"):
        TextFile(path)
    path.write_bytes("aé".encode() + b"\xff")
    with pytest.raises(ValueError, match=r"isn't utf-8: .* at byte 3\. Name its encoding"):
        list(TextFile(path).pieces(2))
    path.write_bytes("é".encode()[:1])
    with pytest.raises(ValueError, match="at byte 0"):
        list(TextFile(path).pieces())
    assert list(TextFile(path, errors="replace").pieces()) == ["", "\ufffd"]
    with pytest.raises(ValueError, match="no encoding 'utf-9'"):
        TextFile(path, "utf-9")
    with pytest.raises(FileNotFoundError):
        TextFile(tmp_path / "none.txt")


def test_a_failed_encoding_leaves_nothing_behind(tmp_path: pathlib.Path):
    path = tmp_path / "text.txt"
    path.write_text("abc")
    with pytest.raises(ValueError, match="'c', number 2"):
        TextFile(path).encode(Vocabulary("ab"), tmp_path / "ids.npy")
    assert [p.name for p in tmp_path.iterdir()] == ["text.txt"]


def test_words_are_found_in_time_that_grows_with_the_text_alone():
    begin = time.process_time()
    assert list(whole_words(["a" * 2_000] * 300 + ["b c"])) == ["a" * 600_000 + "b ", "c"]
    assert time.process_time() - begin < 1.5


# Windows


@given(st.integers(1, 60), st.integers(1, 8), st.integers(1, 9))
def test_windows_follow_each_other(length: int, columns: int, steps: int):
    ids = np.arange(length * columns + columns - 1)
    side_by_side = batchify(ids, columns)
    assert side_by_side.shape == (length, columns)
    assert np.shares_memory(side_by_side, ids)
    if length < 2:
        with pytest.raises(ValueError, match="no window"):
            Windows(side_by_side, steps)
        return
    found = list(Windows(side_by_side, steps))
    assert len(found) == len(Windows(side_by_side, steps))
    assert [w.fresh for w in found] == [True] + [False] * (len(found) - 1)
    assert all(np.shares_memory(w.inputs, ids) for w in found)
    np.testing.assert_array_equal(np.concatenate([w.inputs for w in found]), side_by_side[:-1])
    np.testing.assert_array_equal(np.concatenate([w.targets for w in found]), side_by_side[1:])


def test_windows_with_targets_of_their_own(rng: np.random.Generator):
    x, y = rng.random((10, 2, 3)), rng.random((10, 2))
    found = list(Windows(x, 4, targets=y))
    assert [w.inputs.shape for w in found] == [(4, 2, 3), (4, 2, 3), (2, 2, 3)]
    np.testing.assert_array_equal(np.concatenate([w.targets for w in found]), y)
    with pytest.raises(tg.errors.ShapeError, match="differ in time steps or columns"):
        Windows(x, 4, targets=y[:-1])
    with pytest.raises(tg.errors.ShapeError, match=r"series\[:, None\]"):
        Windows(np.arange(5), 2)


@given(
    hnp.array_shapes(min_dims=1, max_dims=3, max_side=12),
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_sliding_windows(shape: tuple[int, ...], size: int, horizon: int, stride: int):
    series = np.arange(np.prod(shape)).reshape(shape)
    if len(series) < size + horizon:
        with pytest.raises(tg.errors.ShapeError, match="holds no window"):
            sliding_windows(series, size, horizon, stride)
        return
    x, y = sliding_windows(series, size, horizon, stride)
    starts = range(0, len(series) - size - horizon + 1, stride)
    np.testing.assert_array_equal(x, [series[s : s + size] for s in starts])
    np.testing.assert_array_equal(y, [series[s + size : s + size + horizon] for s in starts])
    assert np.shares_memory(x, series)
    assert np.shares_memory(y, series)
    assert not x.flags.writeable


@pytest.mark.parametrize("numbers", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_windows_of_no_size(numbers: tuple[int, int, int]):
    with pytest.raises(ValueError, match="at least 1"):
        sliding_windows(np.arange(9), *numbers)


def test_batchify_refuses_what_is_too_short():
    with pytest.raises(tg.errors.ShapeError, match="can't be cut into 4 pieces"):
        batchify(np.arange(3), 4)


# Splits


fractions = st.lists(st.integers(1, 10), min_size=1, max_size=4).map(
    lambda shares: tuple(share / sum(shares) for share in shares)
)


@given(fractions, st.integers(8, 200), st.integers(1, 5), st.integers(1, 3))
def test_windows_of_different_parts_share_no_step(
    shares: tuple[float, ...], length: int, size: int, horizon: int
):
    """No leakage: whether the series is split first, or its windows with the gap named."""
    series = np.arange(length)
    try:
        first = tg.data.split(series, shares)
        cut = [np.hstack(sliding_windows(part, size, horizon)) for part in first]
        windows = tg.data.split(
            np.hstack(sliding_windows(series, size, horizon)), shares, gap=size + horizon - 1
        )
    except ValueError:
        return  # too short
    for parts in (cut, windows):
        for earlier, later in itertools.pairwise(parts):
            assert earlier.max() < later.min()


@given(fractions, st.integers(1, 100), st.booleans())
def test_parts_together_are_the_whole(shares: tuple[float, ...], length: int, shuffle: bool):
    data = (np.arange(length), np.arange(length) * 2)
    try:
        parts = tg.data.split(data, shares, shuffle=shuffle, seed=3)
    except ValueError:
        assert min(shares) * length < 1  # a part would be empty
        return
    together = np.concatenate([x for x, _ in parts])
    assert (np.sort(together) if shuffle else together).tolist() == list(range(length))
    for (x, y), share in zip(parts, shares, strict=True):
        np.testing.assert_array_equal(y, 2 * x)
        assert abs(len(x) - share * length) <= 1
    again = tg.data.split(data, shares, shuffle=shuffle, seed=3)
    np.testing.assert_array_equal(np.concatenate([x for x, _ in again]), together)


def test_splits_of_lists_and_texts_and_by_the_default_generator():
    a, b = tg.data.split(list("abcdef"), (0.5, 0.5), shuffle=True, seed=1)
    assert sorted(a + b) == list("abcdef")
    assert isinstance(tg.data.split("abcdef", (0.5,), shuffle=True, seed=1)[0], str)
    tg.manual_seed(5)
    one = tg.data.split(np.arange(20), (0.5, 0.5), shuffle=True)
    tg.manual_seed(5)
    other = tg.data.split(np.arange(20), (0.5, 0.5), shuffle=True)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("shares", "options", "message"),
    [
        ((0.9, 0.2), {}, "add up to 1 at most"),
        ((0.5, 0.0), {}, "above 0"),
        (0.8, {}, "give both"),
        ((0.5, 0.5), {"gap": -1}, "isn't negative|not negative"),
        ((0.5, 0.5), {"gap": 9}, "empty"),
        ((0.5, 0.5), {"gap": 1, "shuffle": True}, "shuffle=True leaves none"),
    ],
)
def test_splits_that_make_no_sense(shares, options, message: str):
    with pytest.raises(ValueError, match=message):
        tg.data.split(np.arange(10), shares, **options)


def test_what_is_split_alike_is_equally_long():
    with pytest.raises(tg.errors.ShapeError, match=r"\[3, 4\]"):
        tg.data.split((np.arange(3), np.arange(4)), (0.5, 0.5))


# Padding and batches


@given(st.lists(st.lists(st.integers(-9, 9), max_size=6), min_size=1, max_size=5), st.booleans())
def test_pad(sequences: list[list[int]], batch_first: bool):
    arrays = [np.array(sequence, dtype=np.int16) for sequence in sequences]
    padded, lengths = tg.data.pad(arrays, value=-1, batch_first=batch_first)
    assert lengths.tolist() == [len(sequence) for sequence in sequences]
    assert padded.dtype == np.int16
    rows = padded if batch_first else padded.T
    for row, sequence in zip(rows.tolist(), sequences, strict=True):
        assert row == sequence + [-1] * (max(lengths) - len(sequence))


@given(st.integers(1, 30), st.integers(1, 8), st.booleans(), st.booleans())
def test_an_epoch_has_every_sample_once(samples: int, size: int, shuffle: bool, drop_last: bool):
    x = np.arange(samples)
    if drop_last and samples < size:
        with pytest.raises(ValueError, match="no batch"):
            batches(x, size, drop_last=True)
        return
    data = batches((x, x * 2), size, shuffle=shuffle, seed=4, drop_last=drop_last)
    for _ in range(2):
        epoch = list(data)
        assert len(epoch) == len(data)
        assert all((b == 2 * a).all() for a, b in epoch)
        seen = np.concatenate([a for a, _ in epoch])
        assert len(set(seen.tolist())) == len(seen)
        assert len(seen) == (samples // size * size if drop_last else samples)


def made(kind: str, seed: int = 0):
    x = np.arange(22)
    if kind == "windows":
        return Windows(batchify(x, 2), 3)
    return batches(x, 5, shuffle=kind == "shuffled", seed=seed)


@pytest.mark.parametrize("kind", ["windows", "in order", "shuffled"])
def test_a_saved_position_goes_on_with_the_next_batch(kind: str):
    whole = made(kind)
    expected = [batch for _ in range(3) for batch in whole]
    for cut in range(len(expected)):
        data, found = made(kind), []
        while len(found) < cut:
            for batch in data:
                found.append(batch)
                if len(found) == cut:
                    break
        saved = json.loads(json.dumps(data.state_dict()))
        other = made(kind, seed=9)
        other.load_state_dict(saved)
        while len(found) < len(expected):
            found.extend(other)
        for a, b in zip(found, expected, strict=True):
            for one, two in zip(a, b, strict=True):
                np.testing.assert_array_equal(one, two)


def test_each_epoch_is_shuffled_anew_and_again_alike():
    data, other = made("shuffled"), made("shuffled")
    first, second = (np.concatenate([x for (x,) in data]) for _ in range(2))
    assert first.tolist() != second.tolist()
    np.testing.assert_array_equal(first, np.concatenate([x for (x,) in other]))
    np.testing.assert_array_equal(first, np.concatenate([x for (x,) in data.from_start()]))
    assert data.epoch == 2
    tg.manual_seed(1)
    one = [x.tolist() for (x,) in batches(np.arange(9), 4, shuffle=True)]
    tg.manual_seed(1)
    assert one == [x.tolist() for (x,) in batches(np.arange(9), 4, shuffle=True)]


def test_positions_of_other_data_are_refused():
    state = made("windows").state_dict()
    with pytest.raises(ValueError, match=r"saved with shape = \[10, 2\], but here it is \[6, 3\]"):
        Windows(batchify(np.arange(22), 3), 3).load_state_dict(state)
    with pytest.raises(ValueError, match="needs position"):
        made("windows").load_state_dict({"epoch": 0})
    with pytest.raises(ValueError, match="position 4: an epoch has 4 batches"):
        made("windows").load_state_dict({**state, "position": 4})
    data = made("shuffled", seed=7)
    with pytest.raises(ValueError, match="batch_size"):
        data.load_state_dict({**made("shuffled").state_dict(), "batch_size": 4})
    assert data.state_dict()["seed"] == 7


def test_sequences_with_time_first(rng: np.random.Generator):
    x, y = rng.random((7, 4, 3)), rng.random((1, 4))
    found = list(batches((x, y), 3, axis=1))
    assert [(a.shape, b.shape) for a, b in found] == [((7, 3, 3), (1, 3)), ((7, 1, 3), (1, 1))]
    with pytest.raises(tg.errors.ShapeError, match="give axis=1"):
        batches((x, y), 3)
    with pytest.raises(tg.errors.ShapeError, match="axis 2"):
        batches((x, y), 3, axis=2)
    with pytest.raises(ValueError, match="batch_size"):
        batches(x, 0)
    with pytest.raises(ValueError, match="not negative"):
        batches(x, 1, seed=-1)
