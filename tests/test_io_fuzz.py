"""Files that are cut short, altered or hostile: one clear error, bounded memory, nothing run."""

from __future__ import annotations

import collections
import importlib.util
import io
import json
import os
import pickle
import re
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import FileFormatError
from tinygrad_rnn.io import load_checkpoint, read_pytorch, save_checkpoint

pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

GOLDEN = Path(__file__).parent / "golden"
BOUND = 100 << 20  # the limit for a small file, and as much again for what reading needs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def originals(folder):
    """A whole file of each kind, how it is read, and how to tell what was read apart."""
    weights = {"w": np.arange(24.0).reshape(4, 6), "순환": np.arange(5), "empty": np.zeros((0, 2))}
    tg.save(weights, folder / "whole.npz", metadata={"note": "가나다"})
    np.savez_compressed(folder / "deflated.npz", **weights)
    save_checkpoint(folder / "run.npz", random=False, model=weights, step=3, more=[(1, 2.5), None])
    found = {
        "npz": (folder / "whole.npz", tg.load),
        "deflated": (folder / "deflated.npz", tg.load),
        "checkpoint": (folder / "run.npz", load_checkpoint),
        "pt": (GOLDEN / "pytorch_lstm.pt", read_pytorch),
        "nested": (GOLDEN / "pytorch_nested.pt", read_pytorch),
    }
    if importlib.util.find_spec("safetensors"):
        tg.save(weights, folder / "whole.safetensors", metadata={"note": "가나다"})
        found["safetensors"] = (folder / "whole.safetensors", tg.load)
    return found


def told(value):
    """What was read, as text that differs if anything differs."""
    if isinstance(value, dict):
        return [[repr(k), told(v)] for k, v in value.items()]
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.shape, value.tobytes()]
    return [told(v) for v in value] if isinstance(value, (list, tuple)) else repr(value)


def names(error, path):
    assert str(error).startswith(str(path))


def outcome(read, path, data):
    """What reading changed bytes gives: the contents, or None for the one error there may be."""
    path.write_bytes(data)
    try:
        return told(read(path))
    except FileFormatError as error:
        return names(error, path)


KINDS = ["npz", "deflated", "checkpoint", "pt", "nested", "safetensors"]


@pytest.fixture(params=KINDS)
def whole(request, folder):
    if request.param == "safetensors":
        pytest.importorskip("safetensors")
    path, read = originals(folder)[request.param]
    return path.read_bytes(), read, folder / f"changed{path.suffix}", told(read(path))


def test_every_truncation_is_an_error(whole):
    data, read, path, _ = whole
    for length in {*range(0, len(data), 7), *range(len(data) - 80, len(data))}:
        assert outcome(read, path, data[:length]) is None, length


def test_flipped_bytes_are_an_error_or_change_nothing(whole):
    data, read, path, before = whole
    refused = 0

    @settings(max_examples=400)
    @given(st.integers(0, len(data) - 1), st.integers(1, 255))
    def flipped(place, change):
        nonlocal refused
        changed = bytearray(data)
        changed[place] ^= change
        found = outcome(read, path, bytes(changed))
        refused += found is None
        assert found is None or found == before

    flipped()
    assert refused > 50


@settings(max_examples=150)
@given(st.binary(max_size=300), st.sampled_from([".npz", ".pt", ".safetensors"]), st.booleans())
def test_noise_is_an_error(tmp_path_factory, data, suffix, begins_well):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    starts = {".safetensors": struct.pack("<Q", max(0, len(data) - 3))}
    path = tmp_path_factory.getbasetemp() / f"noise{suffix}"
    start = starts.get(suffix, b"PK\x03\x04") if begins_well else b""
    assert outcome(tg.load, path, start + data) is None


def refused(read, path, match):
    """Reading raises the one error, and takes no more memory than is allowed."""
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError) as caught:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < BOUND
    finally:
        tracemalloc.stop()
    names(caught.value, path)
    assert re.search(match, str(caught.value).removeprefix(str(path)))


# Hostile headers and archives


def npy(descr="'<f4'", shape="(1000000000000,)", data=b"", extra=""):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, {extra}}}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (npy(), "takes 4,000,000,000,"),
        (npy(shape="(" + "9999999999999999999," * 40 + ")"), "takes .* bytes"),
        (npy(shape="(0, " + "9999999999999999999," * 40 + ")"), "whole"),
        (npy("'|O'", "(1,)", b"cos\nsystem\n(S'true'\ntR."), "of object kind"),
        (npy("[('a', '<f4')]", "(1,)", bytes(4)), "of another kind"),
        (npy("'<U0'", "(1000000000000,)"), "of another kind"),
        (npy("'<V8'", "(1,)", bytes(8)), "of another kind"),
        (npy(shape="(-1,)", data=bytes(4)), "of another kind"),
        (npy(shape="(" * 3000 + ")" * 3000), "of another kind"),
        (npy(shape="(" + "1" * 3000 + ")"), "of another kind"),
        (npy(shape="(" + "1," * 65 + ")", data=bytes(4)), "whole"),
        (npy(shape="(2,)", data=bytes(4)), "the file has"),
        (npy(shape="(1,)", data=bytes(5)), "file has"),
        (npy(shape="(__import__('os').system('true'),)"), "of another kind"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "of another kind"),
        (b"\x93NUMPY\x09\x00" + npy()[8:], "of another kind"),
        (b"", "of another kind"),
    ],
)
def test_hostile_npy_headers(tmp_path, member, message):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w.npy", member)
    refused(tg.load, path, message.replace("whole", "altered|takes"))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.npy", "a.npy"], "comes twice"),
        (["../a.npy"], "leads out"),
        (["/etc/passwd.npy"], "leads out"),
        (["a/../../b.npy"], "leads out"),
        (["a\\b.npy"], "leads out"),
        ([".npy"], "is empty"),
        (["a" * 5000 + ".npy"], "longer"),
        (["a.txt"], "isn't an array"),
        (["__metadata__.npy"], "dict of text"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_names(tmp_path, names, message):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, npy(shape="(1,)", data=bytes(4)))
    refused(tg.load, path, message)


@pytest.mark.parametrize(("suffix", "inside"), [(".npz", "w.npy"), (".pt", "a/data.pkl")])
def test_zip_bombs(tmp_path, suffix, inside):
    path = tmp_path / f"bomb{suffix}"
    unpacked = npy(shape="(75000000,)") + bytes(300_000_000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(inside, unpacked)
    del unpacked
    assert path.stat().st_size < 400_000
    refused(tg.load, path, r"more than the limit of 67,108,864.*limit=")


def test_a_limit_may_be_raised_and_lowered(tmp_path):
    np.savez_compressed(tmp_path / "zeros.npz", w=np.zeros(10_000_000))
    refused(tg.load, tmp_path / "zeros.npz", "limit")
    assert tg.load(tmp_path / "zeros.npz", limit=100_000_000)["w"].shape == (10_000_000,)
    with pytest.raises(FileFormatError, match="limit of 1,000"):
        tg.load(tmp_path / "zeros.npz", limit=1000)


def test_a_bomb_that_hides_its_size(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.npy", npy(shape="(30000000,)") + bytes(120_000_000))
    data = path.read_bytes()
    size = len(npy(shape="(30000000,)")) + 120_000_000
    small = len(npy(shape="(30000000,)"))
    path.write_bytes(data.replace(struct.pack("<I", size), struct.pack("<I", small)))
    refused(tg.load, path, "takes 120,000,000 bytes|Bad CRC")


def test_an_entry_that_swallows_the_next(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.ones(1), b=np.ones(1))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    first, second = (m.start() for m in re.finditer(b"PK\x01\x02", data))
    data[first + 32 : first + 34] = struct.pack("<H", data.index(b"PK\x05\x06") - second)
    (tmp_path / "a.npz").write_bytes(data)
    refused(tg.load, tmp_path / "a.npz", "1 members of 2")


def test_members_that_overlap(tmp_path):
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr("w.npy", npy(shape="(250000,)", data=bytes(1_000_000)))
    data = stored.getvalue()
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = data[start:end]
    entries = b"".join(entry.replace(b"w.npy", b"%c.npy" % (97 + i)) for i in range(20))
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 20, 20, len(entries), start, 0)
    (tmp_path / "a.npz").write_bytes(data[:start] + entries + tail)
    refused(tg.load, tmp_path / "a.npz", "overlap")


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"w": entry(shape=[10**12], offsets=[0, 4 * 10**12])}, "more than the limit"),
        ({"w": entry(shape=[10**6], offsets=[0, 4 * 10**6])}, "altered"),
        ({"w": entry(shape=[0, 2**62, 2**62], offsets=[0, 0])}, "altered"),
        ({"w": entry(shape=[-1])}, "shape"),
        ({"w": entry(shape=[1.0])}, "shape"),
        ({"w": entry("BF16", [1], [0, 10**12])}, "altered"),
        ({"w": entry("OBJ")}, "holds 'OBJ'; what is read: BOOL"),
        ({"w": entry(), "v": entry()}, "altered"),
        ({"../w": entry()}, "leads out"),
        ({"w": 3}, "altered"),
        (b'{"w":{"dtype":"F32"},"w":{"dtype":"F32"}}', "twice"),
        (b"[" * 100_000, "altered"),
        (b"[]", "isn't a dict"),
        (b"\xff\xfe", "altered"),
    ],
)
def test_hostile_safetensors(tmp_path, header, message):
    pytest.importorskip("safetensors")
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    refused(tg.load, path, message)


def test_a_safetensors_header_that_is_too_long(tmp_path):
    pytest.importorskip("safetensors")
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", 10**15) + b"{}")
    refused(tg.load, tmp_path / "a.safetensors", "claims 1,000,000,000,000,000 bytes")


@pytest.mark.parametrize(
    "parts",
    [
        {"a": {"$array": "w"}, "b": {"$array": "w"}},
        {"a": {"$array": "missing"}},
        {"a": {"$array": ["w"]}},
        {"a": {"$what": 1}},
        {"a": {"$tuple": 3}},
        {"a": {"$dict": [[1]]}},
        {"a": {"$dict": [[[1], 2]]}},
        {"a": {"$array": "w", "b": 1}},
        [1],
        None,
    ],
)
def test_hostile_checkpoints(tmp_path, parts):
    written = json.dumps({"version": 1, "library": "0", "parts": parts})
    metadata = {"tinygrad_rnn.checkpoint": written}
    tg.save({"w": np.ones(1)}, tmp_path / "a.npz", metadata=metadata)
    refused(load_checkpoint, tmp_path / "a.npz", ".")


@pytest.mark.parametrize("text", ["[" * 100_000, "3", "{}", '{"version": 1}', "9" * 5000])
def test_a_checkpoint_whose_description_is_nonsense(tmp_path, text):
    tg.save({}, tmp_path / "a.npz", metadata={"tinygrad_rnn.checkpoint": text})
    refused(load_checkpoint, tmp_path / "a.npz", ".")


def test_random_states_that_are_nonsense_change_nothing(tmp_path):
    model = tg.nn.Linear(2, 2)
    for states in ({}, 3, {"numpy": {}, "default": {}, "named": {}}, [1]):
        save_checkpoint(tmp_path / "a.npz", random=False, model=model)
        with zipfile.ZipFile(tmp_path / "a.npz") as archive:
            arrays = {n: np.load(io.BytesIO(archive.read(n))) for n in archive.namelist()}
        outer = json.loads(str(arrays.pop("__metadata__.npy")))
        written = json.loads(outer["tinygrad_rnn.checkpoint"])
        written["parts"]["random"] = states
        outer["tinygrad_rnn.checkpoint"] = json.dumps(written)
        tg.save({n[:-4]: a for n, a in arrays.items()}, tmp_path / "a.npz", metadata=outer)
        before = model.weight.numpy().copy()
        model.weight.data = before + 1
        with pytest.raises(ValueError, match="random"):
            load_checkpoint(tmp_path / "a.npz", model=model)
        assert (model.weight.numpy() == before + 1).all()


# Pickles


def archive(path, pickled, **storages):
    """A file as torch.save makes one, of a pickle and of storages."""
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("a/data.pkl", pickled)
        for key, data in storages.items():
            made.writestr(f"a/data/{key.lstrip('_')}", data)
    return path


class Calls:
    """What pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.called = function, arguments

    def __reduce__(self):
        return self.called


CANARY = "open('{path}', 'w').close()"


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "argument"),
    [
        (os.system, "touch {path}"),
        (eval, CANARY),
        (exec, CANARY),
        (getattr, "upper"),
        (open, "{path}"),
        (__import__, "antigravity"),
        (np.fromfile, "{path}"),
        (collections.defaultdict, None),
        (pickle.loads, b"cos\nsystem\n."),
    ],
)
def test_calls_are_refused_by_name(tmp_path, protocol, function, argument):
    canary = tmp_path / "canary"
    if isinstance(argument, str):
        argument = argument.replace("{path}", str(canary))
    data = pickle.dumps({"w": Calls(function, argument)}, protocol)
    path = archive(tmp_path / "a.pt", data)
    # Before protocol 2 other instructions come first, and before 3 names of Python 2.
    name = f"{function.__module__}.{function.__name__}: only" if protocol > 2 else ""
    refused(read_pytorch, path, f"refuses {re.escape(name)}")
    assert not canary.exists()


TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = (
    b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
)


def number(n):
    return b"\x8a\x10" + n.to_bytes(16, "little", signed=True)


def tensor(offset, shape, stride):
    sizes = [b"(" + b"".join(map(number, values)) + b"t" for values in (shape, stride)]
    hooks = b"ccollections\nOrderedDict\n)R"
    return (
        b"\x80\x02"
        + TENSOR
        + b"("
        + STORAGE
        + number(offset)
        + sizes[0]
        + sizes[1]
        + b"\x89"
        + hooks
        + b"tR."
    )


def test_the_handmade_tensor_is_read(tmp_path):
    path = archive(tmp_path / "a.pt", tensor(1, [2], [2]), _0=np.arange(4, dtype="<f4").tobytes())
    assert read_pytorch(path).tolist() == [1, 3]


@pytest.mark.parametrize(
    ("offset", "shape", "stride", "message"),
    [
        (0, [5], [1], "doesn't fit"),
        (3, [2], [1], "doesn't fit"),
        (0, [2], [4], "doesn't fit"),
        (-1, [2], [1], "doesn't fit"),
        (0, [2], [-1], "doesn't fit"),
        (0, [-1], [1], "doesn't fit"),
        (0, [2, 2], [1], "doesn't fit"),
        (4, [], [], "doesn't fit"),
        (2**100, [1], [1], "doesn't fit"),
        (0, [10**12], [0], "more than the limit"),
        (0, [10**6, 10**6], [0, 0], "more than the limit"),
        (0, [1] * 65, [0] * 65, "tuple of integers"),
        (0, [0, 2**63], [1, 1], "altered"),
    ],
)
def test_windows_out_of_their_storage(tmp_path, offset, shape, stride, message):
    refused(
        read_pytorch,
        archive(tmp_path / "a.pt", tensor(offset, shape, stride), _0=bytes(16)),
        message,
    )


@pytest.mark.parametrize(
    ("pickled", "message"),
    [
        (b"\x80\x02}q\x00cposix\nsystem\nb.", r"refuses posix\.system"),
        (b"\x80\x02ccollections\nOrderedDict\n.", r"refuses collections\.OrderedDict"),
        (b"\x80\x02]ctorch\nFloatStorage\na.", r"refuses torch\.FloatStorage"),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", r"refuses torch\.FloatStorage"),
        (b"\x80\x02}}b.", "attributes of anything but an OrderedDict"),
        (b"\x80\x02(cposix\nsystem\nX\x04\x00\x00\x00trueo.", "posix.system"),
        (b"\x80\x02(iposix\nsystem\n.", "INST"),
        (b"\x80\x02P0\n.", "PERSID"),
        (b"\x80\x02K\x01K\x02R.", "calls what isn't a function"),
        (b"\x80\x02K\x01Q.", "isn't a storage"),
        (b"\x80\x02(K\x01\x85.", "altered|end in one"),
        (b"\x80\x02(\x85.", "mark"),
        (b"\x80\x02K\x01K\x02.", "one object"),
        (b"\x80\x02.", "one object"),
        (b"\x80\x02h\x07.", "altered"),
        (b"\x80\x02]K\x01s.", "altered|dict"),
        (b"\x80\x02}(K\x01u.", "dict"),
        (b"\x80\x02}]K\x01s.", "list as a key"),
        (b"\x80\x02})K\x01s.", "tuple as a key"),
        (b"\x80\x02K\x01K\x02a.", "isn't a list"),
        (b"\x80\x02r\xff\xff\xff\xff.", "altered"),
        (b"\x80\x02K\x01r\xff\xff\xff\xff0.", "POP"),
        (b"\x80\x04\x8e\x00\x00\x00\x00\x00\x10\x00\x00.", "altered"),
        (b"\x80\x04\x8d\x00\x00\x00\x00\x00\x10\x00\x00.", "altered"),
        (b"\x80\x02X\xff\xff\xff\x7f.", "altered"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f.", "altered"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x05\x96\x00\x00\x00\x00\x00\x00\x00\x00.", "BYTEARRAY8"),
        (b"", "altered"),
        (b"\xff", "altered"),
        (b"}" * 5_000_000 + b".", "larger than"),
    ],
)
def test_hostile_pickles(tmp_path, pickled, message):
    refused(read_pytorch, archive(tmp_path / "a.pt", pickled), message)


def test_what_doubles_sixty_times_stays_small(tmp_path):
    """A pair of twice a pair of twice a pair…: small in memory, endless to walk or to print."""
    pairs = b"".join(b"h%c\x86q%c" % (i, i + 1) for i in range(60))
    pickled = b"\x80\x02}X\x01\x00\x00\x00w]q\x00" + pairs + b"s."
    refused(tg.load, archive(tmp_path / "a.pt", pickled), r"a dict with 'w'")


def test_old_files_of_pytorch_are_explained(tmp_path):
    (tmp_path / "old.pt").write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")
    refused(tg.load, tmp_path / "old.pt", r"PyTorch 1\.6.*torch\.save")


@settings(max_examples=300)
@given(st.data())
def test_pickles_of_random_instructions(tmp_path_factory, data):
    opcodes = [
        b"}",
        b"]",
        b")",
        b"(",
        b"t",
        b"u",
        b"s",
        b"a",
        b"e",
        b"R",
        b"b",
        b"Q",
        b"\x85",
        b"K\x01",
        b"q\x01",
        b"h\x01",
        b"\x94",
        b"\x93",
        b"N",
        TENSOR,
        STORAGE,
        b"ccollections\nOrderedDict\n",
        b"X\x01\x00\x00\x00a",
        b"ctorch\nSize\n",
        b"0",
        b"2",
    ]
    body = b"".join(data.draw(st.lists(st.sampled_from(opcodes), max_size=30)))
    path = tmp_path_factory.getbasetemp() / "random.pt"
    archive(path, b"\x80\x02" + body + b".", _0=bytes(16))
    try:
        read_pytorch(path)
    except FileFormatError as error:
        names(error, path)
