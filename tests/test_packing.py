"""Packed and padded sequences against PyTorch, numeric differences, and wrong use."""

import copy
import itertools
import pickle
import re

import numpy as np
import pytest
from golden.make_golden import cases, label, packing, packing_inputs, relative_error

import tinygrad_rnn as tg
from tinygrad_rnn.nn.utils.rnn import (
    PackedSequence,
    invert_permutation,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)

GOLDEN = cases("packing")
LENGTHS = [[5, 3, 3, 1], [2, 7, 1, 7, 3], [1], [1, 2, 5], [2, 2, 2]]


def leaf(array, dtype=np.float64):
    return tg.Tensor(array, dtype=dtype, requires_grad=True)


def all_of(*words):
    """A pattern for a message that has all these words in it."""
    return "(?s)" + "".join(f"(?=.*{re.escape(word)})" for word in words)


def places(lengths, ordered):
    """What `pack_sequence` makes of sequences of these lengths, without the data."""
    return pack_sequence([np.zeros(n) for n in lengths], enforce_sorted=ordered)[1:]


def run(config, given):
    """What `golden.make_golden.packing` does, with this library."""
    name, lengths, options = config["name"], config["lengths"], config["options"]
    leaves = {n: leaf(a) for n, a in given.items() if n != "g"}
    sequences = list(leaves.values())
    argument = sequences if name in ("pad_sequence", "pack_sequence") else sequences[0]
    function = getattr(tg.nn.utils.rnn, name)
    if name in ("pad_packed_sequence", "unpack_sequence"):
        argument = PackedSequence(argument, *places(lengths, config["sorted"]))
    takes_lengths = name in ("pack_padded_sequence", "unpad_sequence")
    out = function(argument, *([lengths] if takes_lengths else []), **options)
    found = {}
    if isinstance(out, PackedSequence):
        found = {n: a for n, a in out._asdict().items() if a is not None and n != "data"}
        out = out.data
    elif isinstance(out, tuple):
        out, found["lengths"] = out
    elif isinstance(out, list):
        out = tg.concatenate(out)
    (out * given["g"]).sum().backward()
    return {"out": out, **found, **{f"d_{n}": t.grad for n, t in leaves.items()}}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        assert relative_error(tg.as_tensor(found[name]).numpy(), wanted) == 0, name


# Against PyTorch


@pytest.mark.parametrize(("config", "given", "expected"), GOLDEN, ids=[label(c[0]) for c in GOLDEN])
def test_equals_golden_arrays(config, given, expected):
    assert_same(run(config, given), expected)


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_equals_torch_for_all_options(lengths):
    pytest.importorskip("torch")
    rng = np.random.default_rng(len(lengths))
    descending = sorted(lengths, reverse=True) == lengths
    orders = [True, False] if descending else [False]
    names = [
        "pack_padded_sequence",
        "pad_packed_sequence",
        "pad_sequence",
        "unpad_sequence",
        "pack_sequence",
        "unpack_sequence",
    ]
    for name, first, ordered, trailing, extra in itertools.product(
        names, [False, True], orders, [[], [1], [3, 2]], [0, 2]
    ):
        options = {}
        if name not in ("pack_sequence", "unpack_sequence"):
            options["batch_first"] = first
        if name in ("pack_padded_sequence", "pack_sequence"):
            options["enforce_sorted"] = ordered
        if name == "pad_packed_sequence":
            options |= {"padding_value": float("nan"), "total_length": max(lengths) + extra}
        if name == "pad_sequence":
            options |= {"padding_value": -0.3, "padding_side": "left" if extra else "right"}
        config = {"name": name, "lengths": lengths, "trailing": trailing, "sorted": ordered}
        config["options"] = options
        if name in ("pack_padded_sequence", "unpad_sequence"):
            config["steps"] = max(lengths) + extra
        given = packing_inputs(config, rng)
        assert_same(run(config, given), packing(config, given))


@pytest.mark.parametrize("dtype", ["int64", "int16", "bool", "float32", "float64"])
def test_dtypes_equal_torch(dtype, rng):
    torch = pytest.importorskip("torch")
    functions = torch.nn.utils.rnn
    x, lengths = rng.integers(0, 3, (5, 3, 2)).astype(dtype), [2, 5, 3]
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    theirs = functions.pack_padded_sequence(torch.tensor(x), lengths, enforce_sorted=False)
    padded, counts = pad_packed_sequence(packed, padding_value=1)
    theirs_padded, theirs_counts = functions.pad_packed_sequence(theirs, padding_value=1)
    pairs = [*zip(packed, theirs, strict=True), (padded, theirs_padded), (counts, theirs_counts)]
    pairs.append((unpack_sequence(packed)[1], functions.unpack_sequence(theirs)[1]))
    parts = [x[:n, i] for i, n in enumerate(lengths)]
    pairs.append((pad_sequence(parts), functions.pad_sequence([torch.tensor(p) for p in parts])))
    for ours, wanted in pairs:
        assert type(ours) is np.ndarray
        assert ours.dtype == wanted.numpy().dtype
        np.testing.assert_array_equal(ours, wanted.numpy())


def test_order_of_ties_is_stable_for_any_number_of_sequences():
    lengths = [1, 2] * 50
    packed = pack_padded_sequence(np.arange(200).reshape(2, 100), lengths, enforce_sorted=False)
    np.testing.assert_array_equal(packed.sorted_indices, [*range(1, 100, 2), *range(0, 100, 2)])
    np.testing.assert_array_equal(packed.data[-50:], np.arange(101, 200, 2))


def test_any_batch_equals_torch_and_comes_back_masked():
    torch = pytest.importorskip("torch")
    hypothesis = pytest.importorskip("hypothesis")
    st = hypothesis.strategies

    @hypothesis.settings(max_examples=150)
    @hypothesis.given(
        lengths=st.lists(st.integers(1, 7), min_size=1, max_size=7),
        trailing=st.lists(st.sampled_from([1, 2, 3]), max_size=2),
        extra=st.integers(0, 2),
        batch_first=st.booleans(),
        ordered=st.booleans(),
        seed=st.integers(0, 2**16),
    )
    def check(lengths, trailing, extra, batch_first, ordered, seed):
        rng = np.random.default_rng(seed)
        if ordered:
            lengths = sorted(lengths, reverse=True)
        steps = max(lengths) + extra
        mask = np.arange(steps)[:, None] < lengths
        full = rng.standard_normal((*mask.shape, *trailing))
        if batch_first:
            full, mask = full.swapaxes(0, 1), mask.T
        filled = full.copy()
        filled[~mask] = np.nan  # must not be seen
        options = {"batch_first": batch_first, "enforce_sorted": ordered}

        x, theirs = leaf(filled), torch.tensor(filled, requires_grad=True)
        packed = pack_padded_sequence(x, lengths, **options)
        wanted = torch.nn.utils.rnn.pack_padded_sequence(theirs, lengths, **options)
        np.testing.assert_array_equal(packed.data.data, wanted.data.detach().numpy())
        np.testing.assert_array_equal(packed.batch_sizes, wanted.batch_sizes.numpy())
        if ordered:
            assert packed.sorted_indices is None
            assert wanted.sorted_indices is None
        else:
            np.testing.assert_array_equal(packed.sorted_indices, wanted.sorted_indices.numpy())

        padded, counts = pad_packed_sequence(packed, batch_first, total_length=steps)
        assert counts.tolist() == lengths
        np.testing.assert_array_equal(padded.data, np.where(_wide(mask, full), full, 0))

        v, w = rng.standard_normal(packed.data.shape), rng.standard_normal(padded.shape)
        ((packed.data * v).sum() + (padded * w).sum()).backward()
        theirs_padded, _ = torch.nn.utils.rnn.pad_packed_sequence(
            wanted, batch_first, total_length=steps
        )
        (wanted.data * torch.tensor(v)).sum().add(
            (theirs_padded * torch.tensor(w)).sum()
        ).backward()
        np.testing.assert_array_equal(x.grad.data, theirs.grad.numpy())

    check()


def _wide(mask, like):
    """`mask` with trailing axes of size 1, as `like` has them."""
    return mask.reshape(mask.shape + (1,) * (like.ndim - 2))


# Derivatives


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("check", [tg.gradcheck, tg.gradgradcheck])
def test_numeric_derivatives(check, batch_first, rng):
    lengths = [2, 5, 3]
    x = rng.standard_normal((3, 5, 2) if batch_first else (5, 3, 2))
    data = rng.standard_normal((10, 2))
    parts = tuple(leaf(part) for part in np.split(data, [2, 7]))

    def pack(x):
        return pack_padded_sequence(x * x, lengths, batch_first, enforce_sorted=False).data ** 2

    def pad(data):
        packed = PackedSequence(data * data, *places(lengths, False))
        return pad_packed_sequence(packed, batch_first, -2.0, total_length=7)[0] ** 2

    def pad_list(*parts):
        return pad_sequence([p * p for p in parts], batch_first, 0.5, "left") ** 2

    def list_and_back(*parts):
        packed = pack_sequence([p * p for p in parts], enforce_sorted=False)
        return [part**2 for part in unpack_sequence(packed)]

    def unpad(x):
        return [part**2 for part in unpad_sequence(x * x, lengths, batch_first)]

    for function, inputs in (
        (pack, leaf(x)),
        (pad, leaf(data)),
        (pad_list, parts),
        (list_and_back, parts),
        (unpad, leaf(x)),
    ):
        assert check(function, inputs)


def test_third_derivative_through_pack_and_pad(rng):
    x = leaf(rng.standard_normal((3, 2)))
    v = rng.standard_normal((3, 2))
    packed = pack_padded_sequence(x, [2, 3], enforce_sorted=False)
    padded, _ = pad_packed_sequence(packed)
    total = (padded**4 * v).sum()
    for _ in range(3):
        (total,) = tg.grad(total.sum(), x, create_graph=True)
    inside = np.array([[1, 1], [1, 1], [0, 1]])
    np.testing.assert_allclose(total.data, 24 * x.data * v * inside)


def test_nan_in_the_padding_reaches_neither_results_nor_gradients(rng):
    filled = rng.standard_normal((4, 2))
    filled[2:, 0] = np.nan
    x = leaf(filled)
    v = rng.standard_normal((6,))
    with np.errstate(all="raise"):
        data = pack_padded_sequence(x, [2, 4], enforce_sorted=False).data
        (tg.tanh(data) * v).sum().backward()
    assert np.isfinite(data.data).all()
    assert np.isfinite(x.grad.data).all()
    assert (x.grad.data[2:, 0] == 0).all()
    assert (x.grad.data[:2] != 0).all()

    y = leaf(filled)
    v = rng.standard_normal((6,))
    (tg.concatenate(unpad_sequence(y, [2, 4])) * v).sum().backward()
    np.testing.assert_array_equal(y.grad.data[:, 1], v[2:])
    np.testing.assert_array_equal(y.grad.data[:, 0], [*v[:2], 0, 0])


def test_infinite_cotangents_at_the_padding_stay_there():
    data = leaf([1.0, 2.0, 3.0])
    padded, _ = pad_packed_sequence(PackedSequence(data, [2, 1]))
    padded.backward([[10.0, 20.0], [30.0, np.nan]])
    np.testing.assert_array_equal(data.grad.data, [10.0, 20.0, 30.0])


# What goes in and what comes out


@pytest.mark.parametrize(
    "lengths",
    [
        [3, 1],
        (3, 1),
        np.array([3, 1], np.int32),
        np.array([3, 1], np.uint8),
        tg.Tensor([3, 1]),
        [tg.Tensor(3), tg.Tensor(1)],
        [np.int64(3), np.int64(1)],
    ],
    ids=["list", "tuple", "int32", "uint8", "Tensor", "Tensors", "scalars"],
)
def test_lengths_of_any_kind(lengths):
    packed = pack_padded_sequence(np.arange(8).reshape(4, 2), lengths)
    np.testing.assert_array_equal(packed.data, [0, 1, 2, 4])
    np.testing.assert_array_equal(packed.batch_sizes, [2, 1, 1])
    assert packed.batch_sizes.dtype == np.int64
    a, b = unpad_sequence(np.arange(8).reshape(4, 2), lengths)
    assert (a.tolist(), b.tolist()) == ([0, 2, 4], [1])


def test_plain_in_plain_out_and_tensor_in_tensor_out(monkeypatch):
    x = np.arange(6.0).reshape(3, 2)
    with monkeypatch.context() as patch:
        patch.setattr("tinygrad_rnn.core.primitive.wrap", None)  # no Tensor can be made
        packed = pack_padded_sequence(x, [2, 3], enforce_sorted=False)
        plain = [packed.data, *pad_packed_sequence(packed), *unpack_sequence(packed)]
        plain += [pad_sequence([x, x]), *unpad_sequence(x, [1, 3]), pack_sequence([x, x]).data]
    assert {type(a) for a in plain} == {np.ndarray}

    t = tg.Tensor(x)
    packed = pack_padded_sequence(t, [2, 3], enforce_sorted=False)
    made = [packed.data, pad_packed_sequence(packed)[0], *unpack_sequence(packed)]
    made += [pad_sequence([x, t]), *unpad_sequence(t, [1, 3]), pack_sequence([t, x]).data]
    assert {type(a) for a in made} == {tg.Tensor}
    assert not any(a.requires_grad for a in made)


def test_results_have_memory_of_their_own(rng):
    x = rng.standard_normal((3, 2))
    before = x.copy()
    packed = pack_padded_sequence(x, [3, 2])
    parts = unpad_sequence(x, [3, 2], batch_first=False)
    for result in (packed.data, pad_packed_sequence(packed)[0], pad_sequence([x]), *parts):
        assert not np.shares_memory(result, x)
        assert not np.shares_memory(result, packed.data) or result is packed.data
    assert x.shape == (3, 2)
    np.testing.assert_array_equal(x, before)


def test_lengths_changed_later_change_nothing():
    lengths = np.array([1, 3])
    x = leaf(np.arange(6.0).reshape(3, 2))
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    total = (packed.data * [1.0, 2.0, 3.0, 4.0]).sum()
    lengths[:] = 2
    packed.batch_sizes[:] = 1
    packed.sorted_indices[:] = 0
    total.backward()
    np.testing.assert_array_equal(x.grad.data, [[2, 1], [0, 3], [0, 4]])


def test_longest_below_T_leaves_the_rest_out():
    packed = pack_padded_sequence(np.arange(12).reshape(4, 3), [2, 2, 1])
    np.testing.assert_array_equal(packed.data, [0, 1, 2, 3, 4])
    padded, lengths = pad_packed_sequence(packed)
    np.testing.assert_array_equal(padded, [[0, 1, 2], [3, 4, 0]])
    np.testing.assert_array_equal(lengths, [2, 2, 1])


def test_pad_sequence_takes_generators_tensors_lists_and_empty_sequences():
    np.testing.assert_array_equal(pad_sequence(np.ones(n) for n in (1, 2)), [[1, 1], [0, 1]])
    rows = pad_sequence(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    np.testing.assert_array_equal(rows.data, [[1, 3], [2, 4]])
    np.testing.assert_array_equal(pad_sequence([[1], np.ones(0, int)]), [[1, 0]])
    assert pad_sequence([np.ones((0, 2)), np.ones((0, 2))]).shape == (0, 2, 2)
    parts = unpad_sequence(np.ones((3, 2, 5)), [0, 3])
    assert [p.shape for p in parts] == [(0, 5), (3, 5)]
    assert unpad_sequence(np.ones((3, 0)), []) == []


def test_pad_sequence_promotes_dtypes_and_gradients_come_back_in_their_own():
    a, b = leaf([1.0, 2.0], np.float32), leaf([3.0])
    padded = pad_sequence([a, b])
    assert padded.dtype == np.float64
    padded.backward([[5.0, 6.0], [7.0, 8.0]])
    assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)
    assert (a.grad.data.tolist(), b.grad.data.tolist()) == ([5, 7], [6])
    assert pad_sequence([leaf([1.0, 2.0], np.float32), np.ones(1, np.float32)]).dtype == np.float32


def test_padding_keeps_bits():
    data = np.array([-0.0, np.inf, np.nan, 5e-324])
    padded, _ = pad_packed_sequence(PackedSequence(data, [2, 1, 1]))
    assert padded[[0, 0, 1, 2], [0, 1, 0, 0]].tobytes() == data.tobytes()


# PackedSequence


def test_packed_sequence_is_a_named_tuple_of_four():
    packed = pack_sequence([[1], [4, 5, 6], [2, 3]], enforce_sorted=False)
    data, batch_sizes, sorted_indices, unsorted_indices = packed
    assert PackedSequence._fields == ("data", "batch_sizes", "sorted_indices", "unsorted_indices")
    np.testing.assert_array_equal(data, [4, 2, 1, 5, 3, 6])
    np.testing.assert_array_equal(batch_sizes, [3, 2, 1])
    np.testing.assert_array_equal(sorted_indices, [1, 2, 0])
    np.testing.assert_array_equal(unsorted_indices, [2, 0, 1])
    assert repr(packed) == (
        "PackedSequence(data=array([4, 2, 1, 5, 3, 6]), batch_sizes=array([3, 2, 1]), "
        "sorted_indices=array([1, 2, 0]), unsorted_indices=array([2, 0, 1]))"
    )
    replaced = packed._replace(data=leaf(np.ones(6)))
    assert isinstance(replaced, PackedSequence)
    for copied in (copy.deepcopy(packed), pickle.loads(pickle.dumps(packed))):
        assert isinstance(copied, PackedSequence)
        for ours, wanted in zip(copied, packed, strict=True):
            np.testing.assert_array_equal(ours, wanted)


def test_packed_sequence_makes_the_index_that_is_missing():
    data = tg.Tensor(np.arange(6.0))
    for packed in (
        PackedSequence(data, [3, 2, 1], [2, 0, 1]),
        PackedSequence(data, tg.Tensor([3, 2, 1]), unsorted_indices=np.array([1, 2, 0])),
        PackedSequence((data, [3, 2, 1]), sorted_indices=[2, 0, 1]),
        PackedSequence(data, [3, 2, 1], [2, 0, 1], [1, 2, 0]),
    ):
        assert packed.data is data
        assert [a.dtype for a in packed[1:]] == [np.int64] * 3
        assert [a.tolist() for a in packed[1:]] == [[3, 2, 1], [2, 0, 1], [1, 2, 0]]
    assert PackedSequence(data, [3, 2, 1])[2:] == (None, None)


def test_packed_sequence_joins_a_list_of_tensors():
    a = leaf(2.0)
    packed = PackedSequence([a, a * 3, a * 5], [2, 1])
    np.testing.assert_array_equal(packed.data.data, [2, 6, 10])
    packed.data.backward([1.0, 10.0, 100.0])
    assert a.grad.item() == 531


def test_packed_sequence_keeps_copies_of_sizes_and_indices():
    sizes, order, inverse = np.array([2, 1]), np.array([1, 0]), np.array([1, 0])
    packed = PackedSequence(np.ones(3), sizes, order, inverse)
    for given in (sizes, order, inverse):
        given[:] = 7
    assert [a.tolist() for a in packed[1:]] == [[2, 1], [1, 0], [1, 0]]


def test_packed_sequence_converts_differentiably():
    x = leaf([1.0, 2.0, 3.0], np.float32)
    packed = PackedSequence(x, [2, 1], [1, 0])
    double = packed.double()
    assert isinstance(double, PackedSequence)
    assert (double.data.dtype, double.float().data.dtype) == (np.float64, np.float32)
    assert packed.float() is packed
    assert packed.to(np.float32) is packed
    assert double.sorted_indices.tolist() == [1, 0]
    double.data.backward([1.0, 2.0, 3.0])
    assert x.grad.data.tolist() == [1, 2, 3]


def test_invert_permutation():
    rng = np.random.default_rng(3)
    order = rng.permutation(11)
    inverse = invert_permutation(tg.Tensor(order))
    np.testing.assert_array_equal(inverse[order], np.arange(11))
    assert inverse.dtype == np.int64
    assert invert_permutation(None) is None
    assert invert_permutation([]).shape == (0,)


# Wrong use

X = np.arange(12.0).reshape(4, 3)
SORTED = "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True"
POSITIVE = "Length of all samples has to be greater than 0, but found an element in 'lengths'"


@pytest.mark.parametrize(
    ("lengths", "error", "words"),
    [
        ([3, 2, 0], ValueError, [POSITIVE, "sequence 2 has 0"]),
        ([3, 2, -1], ValueError, [POSITIVE, "sequence 2 has -1"]),
        ([5, 2, 1], tg.errors.ShapeError, ["length 5 doesn't fit the 4 steps", "(4, 3)"]),
        ([3, 2], tg.errors.ShapeError, ["Expected `len(lengths)`", "got 2 (batch_size=3"]),
        ([4, 3, 2, 1], ValueError, ["got 4 (batch_size=3", "is batch_first=True meant?"]),
        ([1, 2, 3], ValueError, [SORTED, "[1 2 3]", "You can pass `enforce_sorted=False`"]),
        ([3.0, 2.0, 1.0], tg.errors.DtypeError, ["float64", ".astype(np.int64)"]),
        (tg.Tensor([3.0, 2.0, 1.0]), TypeError, ["'lengths' should be integers, got float64"]),
        ([True, True, True], TypeError, ["got bool"]),
        ([[3], [2], [1]], ValueError, ["one axis, got the shape (3, 1)"]),
        (3, ValueError, ["one axis, got the shape ()"]),
        ([], ValueError, ["got 0 (batch_size=3"]),
    ],
    ids=lambda value: str(value).replace("\n", "")[:30],
)
def test_pack_padded_sequence_refuses_lengths(lengths, error, words):
    with pytest.raises(error, match=all_of("pack_padded_sequence", *words)):
        pack_padded_sequence(tg.Tensor(X), lengths)


def test_batch_first_is_named_the_other_way_round_too():
    with pytest.raises(ValueError, match=all_of("is batch_first=False meant?")):
        pack_padded_sequence(X, [3, 2, 1], batch_first=True)
    with pytest.raises(ValueError, match=all_of("got 5 (batch_size=3")) as caught:
        pack_padded_sequence(X, [3, 2, 1, 1, 1])
    assert "meant" not in str(caught.value)


@pytest.mark.parametrize("shape", [(4, 0), (0, 3), (4, 3, 0)])
def test_pack_padded_sequence_refuses_empty_input(shape):
    with pytest.raises(tg.errors.ShapeError, match=all_of("Cannot pack empty", str(shape))):
        pack_padded_sequence(np.zeros(shape), [1] * shape[1])


@pytest.mark.parametrize("function", [pack_padded_sequence, unpad_sequence])
def test_padded_input_needs_two_axes_and_is_not_packed(function):
    with pytest.raises(ValueError, match=all_of(function.__name__, "(time, batch, ...)", "(3,)")):
        function(np.ones(3), [3])
    with pytest.raises(TypeError, match=all_of(function.__name__, "got a PackedSequence")):
        function(pack_sequence([X]), [3])


def test_unsorted_lengths_are_counted_too():
    with pytest.raises(ValueError, match=all_of("got 2 (batch_size=3")):
        pack_padded_sequence(X, [2, 3], enforce_sorted=False)
    with pytest.raises(ValueError, match=all_of(POSITIVE)):
        pack_padded_sequence(X, [2, 0, 3], enforce_sorted=False)


@pytest.mark.parametrize(
    ("lengths", "error", "words"),
    [
        ([3, 5, 1], ValueError, ["length 5 doesn't fit the 4 steps"]),
        ([3, -1, 1], ValueError, ["can't be negative, got -1"]),
        ([3, 1], ValueError, ["got 2 (batch_size=3"]),
        ([1, 1, 1, 1], ValueError, ["is batch_first=True meant?"]),
        ([1.5, 1.0, 1.0], TypeError, ["float64"]),
    ],
    ids=str,
)
def test_unpad_sequence_refuses_lengths(lengths, error, words):
    with pytest.raises(error, match=all_of("unpad_sequence", *words)):
        unpad_sequence(X, lengths)


@pytest.mark.parametrize("function", [pad_sequence, pack_sequence])
def test_lists_of_sequences_that_do_not_fit(function):
    name = function.__name__
    for sequences, error, words in (
        ([], ValueError, ["received an empty list of sequences"]),
        (3, TypeError, ["Expected iterable for input sequences", "int"]),
        ([np.ones((3, 2)), np.ones((2, 1))], ValueError, ["number 1", "(2, 1)", "(3, 2)"]),
        ([np.ones((3, 2)), tg.Tensor(np.ones(2))], ValueError, ["number 1", "(2,)"]),
        ([tg.Tensor(1.0), tg.Tensor(2.0)], ValueError, ["number 0", "()"]),
        (pack_sequence([X[:, 0], X[:1, 1]]), TypeError, ["got a PackedSequence"]),
    ):
        with pytest.raises(error, match=all_of(name, *words)):
            function(sequences)


def test_pack_sequence_refuses_unsorted_and_empty_sequences():
    with pytest.raises(ValueError, match=all_of("pack_sequence", SORTED, "[1 2]")):
        pack_sequence([np.ones(1), np.ones(2)])
    for ordered in (False, True):
        with pytest.raises(ValueError, match=all_of("pack_sequence", POSITIVE, "sequence 1 has 0")):
            pack_sequence([np.ones(1), np.ones(0)], enforce_sorted=ordered)
    with pytest.raises(ValueError, match=all_of("Cannot pack empty tensors", "(3, 0)")):
        pack_sequence([np.ones((2, 0)), np.ones((1, 0))])


@pytest.mark.parametrize("side", ["up", "Left", None, 0])
def test_padding_side_is_left_or_right(side):
    with pytest.raises(ValueError, match=all_of("one of left or right, but got", repr(side))):
        pad_sequence([np.ones(1)], padding_side=side)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (np.int64, np.nan),
        (np.int64, -1.5),
        (np.int64, np.inf),
        (np.int8, 300),
        (np.uint8, -1),
        (bool, 2),
        (np.float32, 1e300),
        (np.float64, 10**400),
        (np.float64, "0"),
        (np.float64, None),
        (np.float64, np.zeros(2)),
        (np.float64, tg.Tensor(1.0)),
    ],
    ids=str,
)
def test_padding_value_must_fit_the_dtype(dtype, value):
    for pad in (
        lambda: pad_sequence([np.ones(2, dtype), np.ones(1, dtype)], padding_value=value),
        lambda: pad_packed_sequence(pack_sequence([np.ones(2, dtype)]), padding_value=value),
    ):
        with pytest.raises(TypeError, match="padding_value"):
            pad()


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (np.float32, 0.1),
        (np.float32, np.inf),
        (np.float16, np.nan),
        (np.float32, np.float64(0.1)),
        (np.int8, -1.0),
        (np.int64, np.int32(7)),
        (bool, True),
        (bool, np.True_),
        (np.float64, False),
    ],
    ids=str,
)
def test_padding_value_that_fits_is_written(dtype, value):
    padded = pad_sequence([np.ones(2, dtype), np.ones(1, dtype)], padding_value=value)
    assert padded.dtype == dtype
    np.testing.assert_array_equal(padded[1, 1], np.array(value).astype(dtype))


def test_total_length():
    packed = pack_sequence([np.ones(3), np.ones(1)])
    words = ["Expected total_length to be at least", "total_length=2", "being 3"]
    with pytest.raises(ValueError, match=all_of("pad_packed_sequence", *words)):
        pad_packed_sequence(packed, total_length=2)
    with pytest.raises(TypeError, match="integer"):
        pad_packed_sequence(packed, total_length=3.0)
    assert pad_packed_sequence(packed, total_length=np.int64(3))[0].shape == (3, 2)


@pytest.mark.parametrize("function", [pad_packed_sequence, unpack_sequence])
def test_only_a_packed_sequence_can_be_unpacked(function):
    for wrong in (X, [X, X], tuple(pack_sequence([X]))):
        with pytest.raises(TypeError, match=all_of(function.__name__, "takes a PackedSequence")):
            function(wrong)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ([np.ones(4), [3, 2, 1]], ValueError, ["need 6 rows of data, got the shape (4,)"]),
        ([np.ones(8), [3, 2, 1]], ValueError, ["need 6 rows"]),
        ([np.ones(()), [1]], ValueError, ["need 1 rows", "()"]),
        ([np.ones(6), [1, 2, 3]], ValueError, ["never increase", "not their lengths"]),
        ([np.ones(3), [3, 0]], ValueError, ["1 or more"]),
        ([np.ones(0), []], ValueError, ["1 or more"]),
        ([np.ones(6), [3.0, 2.0, 1.0]], TypeError, ["batch_sizes should be integers"]),
        ([np.ones(6), [[3, 2, 1]]], ValueError, ["one axis"]),
        ([np.ones(6), [3, 2, 1], [0, 1]], ValueError, ["2 indices for 3 sequences"]),
        ([np.ones(6), [3, 2, 1], [0, 1, 1]], ValueError, ["permutation of 3", "[0 1 1]"]),
        ([np.ones(6), [3, 2, 1], [2, 0, 1], [2, 0, 1]], ValueError, ["inverse", "[1 2 0]"]),
        ([np.ones(6), [3, 2, 1], None, [0, 0, 1]], ValueError, ["permutation of 3"]),
        ([np.ones(6)], TypeError, ["batch_sizes is missing"]),
    ],
    ids=lambda value: None if isinstance(value, list) else value.__name__,
)
def test_packed_sequence_refuses_what_does_not_fit(arguments, error, words):
    with pytest.raises(error, match=all_of(*words)):
        PackedSequence(*arguments)


@pytest.mark.parametrize("wrong", [[3, 0, 1], [0, 0, 1], [-1, 0, 1], [1, 2, 3]], ids=str)
def test_invert_permutation_refuses(wrong):
    with pytest.raises(ValueError, match=all_of("each of 0 … 2 once")):
        invert_permutation(wrong)


def test_nothing_is_missing_that_torch_has():
    theirs = pytest.importorskip("torch.nn.utils.rnn")
    assert set(tg.nn.utils.rnn.__all__) == set(theirs.__all__)
