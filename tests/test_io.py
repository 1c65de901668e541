"""Files of weights, checkpoints, and PyTorch's files: what comes back is what went in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from golden.make_pt import numbers

import tinygrad_rnn as tg
from tinygrad_rnn.core import files
from tinygrad_rnn.errors import FileFormatError
from tinygrad_rnn.io import load_checkpoint, read_pytorch, save_checkpoint

GOLDEN = Path(__file__).parent / "golden"
FORMATS = [".npz", pytest.param(".safetensors", id="safetensors")]
SHARED = ["?", *(f"{kind}{n}" for kind in "iu" for n in (1, 2, 4, 8)), "f2", "f4", "f8", "c8"]


@pytest.fixture(autouse=True)
def needs_package(request):
    if "safetensors" in request.node.name:
        pytest.importorskip("safetensors")


def same(a, b):
    """Whether two arrays are the same to the bit, in dtype and shape too."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def assert_same(found, expected):
    assert list(found) == list(expected) or sorted(found) == sorted(expected)
    for name, array in expected.items():
        assert same(found[name], np.asarray(array)), name


# Weights


@pytest.mark.parametrize("suffix", FORMATS)
def test_all_dtypes_shapes_and_names_come_back(tmp_path, suffix, rng):
    arrays = {code: rng.integers(0, 2, (2, 3)).astype(code) for code in SHARED}
    arrays |= {
        "0-d": np.array(2.5),
        "empty": np.zeros((0, 3), np.float32),
        "transposed": rng.normal(size=(3, 4)).T,
        "every other": rng.normal(size=(4, 6))[:, ::2],
        "special": np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324]),
        "순환.가중치": np.arange(3),
        "file": np.ones(1),
        "a.npy": np.ones(2),
        "scope/kernel:0": np.ones(3),
    }
    tg.save(arrays, tmp_path / f"all{suffix}", metadata={"언어": "한국어 🙂", "empty": ""})
    found = tg.load(tmp_path / f"all{suffix}")
    assert_same(found, arrays)
    assert found.metadata == {"언어": "한국어 🙂", "empty": ""}
    assert all(a.flags.writeable for a in found.values())


def test_npz_keeps_what_else_numpy_has(tmp_path):
    arrays = {
        "big": np.arange(3, dtype=">f8"),
        "long": np.ones(2, np.longdouble),
        "text": np.array(["가", "나다"]),
        "bytes": np.array([b"ab"]),
        "complex": np.ones(2, complex),
    }
    tg.save(arrays, tmp_path / "a.npz")
    assert_same(tg.load(tmp_path / "a.npz"), arrays)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as opened:
        assert_same(dict(opened), arrays)


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_what_numpy_wrote_is_read(tmp_path, write):
    arrays = {"zeros": np.zeros((3000, 1000)), "fortran": np.asfortranarray(np.ones((2, 3)))}
    write(tmp_path / "a.npz", **arrays)
    assert_same(tg.load(tmp_path / "a.npz"), arrays)


def test_safetensors_as_the_package_has_it(tmp_path):
    package = pytest.importorskip("safetensors.numpy")
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.ones(2, np.float16)}
    package.save_file(arrays, tmp_path / "theirs.safetensors", metadata={"format": "np"})
    found = tg.load(tmp_path / "theirs.safetensors")
    assert_same(found, arrays)
    assert found.metadata == {"format": "np"}
    tg.save(arrays, tmp_path / "ours.safetensors")
    assert_same(package.load_file(tmp_path / "ours.safetensors"), arrays)


def test_bfloat16_in_safetensors_becomes_float32(tmp_path):
    pytest.importorskip("safetensors")
    header = json.dumps({"a": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [0, 4]}}).encode()
    data = len(header).to_bytes(8, "little") + header + bytes([0x80, 0x3F, 0, 0xC0])
    (tmp_path / "a.safetensors").write_bytes(data)
    assert_same(tg.load(tmp_path / "a.safetensors"), {"a": np.array([[1, -2]], np.float32)})


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_module_goes_through_a_file(tmp_path, suffix):
    model, other = (tg.nn.LSTM(3, 4, num_layers=2, bidirectional=True) for _ in range(2))
    tg.save(model, str(tmp_path / f"lstm{suffix}"))
    assert other.load_state_dict(tg.load(str(tmp_path / f"lstm{suffix}"))) == ([], [])
    assert_same(other.state_dict(), model.state_dict())


def test_the_same_weights_give_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        tg.save({"w": np.arange(3)}, tmp_path / name, metadata={"k": "v"})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    ("what", "kind", "message"),
    [
        ({"w": np.array([None])}, TypeError, "'w' holds object"),
        ({"w": {"v": np.ones(1)}}, TypeError, "save_checkpoint"),
        ({"w": [1.0]}, TypeError, "'w' is a list"),
        ({3: np.ones(1)}, ValueError, "3 .* is a int"),
        ({"": np.ones(1)}, ValueError, "is empty"),
        ({"a/../b": np.ones(1)}, ValueError, "leads out"),
        ({"/a": np.ones(1)}, ValueError, "leads out"),
        ({"a\0b": np.ones(1)}, ValueError, "control"),
        ({"a\ud800": np.ones(1)}, ValueError, "half"),
        ({"__metadata__": np.ones(1)}, ValueError, "metadata"),
        ([np.ones(1)], TypeError, "a Module or a dict"),
    ],
)
def test_what_cant_be_saved_is_named_and_nothing_written(tmp_path, what, kind, message):
    with pytest.raises(kind, match=message):
        tg.save(what, tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())


def test_metadata_are_text(tmp_path):
    with pytest.raises(TypeError, match=r"'epoch': int\. json\.dumps"):
        tg.save({}, tmp_path / "a.npz", metadata={"epoch": 3})
    with pytest.raises(ValueError, match="surrogates"):
        tg.save({}, tmp_path / "a.npz", metadata={"epoch": "\ud800"})
    assert not list(tmp_path.iterdir())


def test_unknown_suffixes_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"should end in \.npz, \.safetensors$"):
        tg.save({}, tmp_path / "a.pkl")
    with pytest.raises(ValueError, match=r"\.npz, \.safetensors, \.pt, \.pth$"):
        tg.load(tmp_path / "a.pkl")


def test_safetensors_without_the_package(tmp_path, monkeypatch):
    (tmp_path / "a.safetensors").write_bytes(b"12345678")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for attempt in (
        lambda: tg.save({"w": np.ones(1)}, tmp_path / "b.safetensors"),
        lambda: tg.load(tmp_path / "a.safetensors"),
    ):
        with pytest.raises(ImportError, match=r'pip install "tinygrad-rnn\[safetensors\]"'):
            attempt()
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_safetensors_names_a_dtype_it_lacks(tmp_path):
    pytest.importorskip("safetensors")
    with pytest.raises(TypeError, match=r"'w' holds complex128.*\.npz"):
        tg.save({"w": np.ones(1, complex)}, tmp_path / "a.safetensors")


# PyTorch's files


def found_in(name):
    return read_pytorch(GOLDEN / f"pytorch_{name}.pt")


def arrays_in(value, name):
    if isinstance(value, dict):
        return {k: a for n, v in value.items() for k, a in arrays_in(v, f"{name}/{n}").items()}
    return {name: value} if isinstance(value, np.ndarray) else {}


@pytest.mark.parametrize("name", ["lstm", "nested", "dtypes", "views"])
def test_pytorch_files_hold_what_pytorch_says(name):
    with np.load(GOLDEN / "pytorch_files.npz") as opened:
        expected = {k: opened[k] for k in opened.files if k.startswith(f"{name}/")}
    assert len(expected) >= 4
    assert_same(arrays_in(found_in(name), name), expected)


def test_pytorch_containers_are_as_they_were():
    found = found_in("nested")
    assert found["best"] == [0.1, None, True, "가장 좋은", 2**70, -1, 70000]
    assert found["size"] == (3, 4)
    assert found["names"] == ("a", (), {"b": []})
    assert found["optimizer"]["param_groups"][0]["betas"] == (0.9, 0.999)
    assert sorted(found["optimizer"]["state"]) == [0, 1, 2, 3]


def test_tensors_that_shared_memory_are_arrays_of_their_own():
    views = found_in("views")
    assert not any(
        np.shares_memory(a, b) for n, a in views.items() for m, b in views.items() if n != m
    )
    views["expanded"][0, 0] = -1
    assert views["expanded"][0, 1] == 0


def test_a_pytorch_state_dict_goes_into_a_module():
    lstm = tg.nn.LSTM(2, 3)
    lstm.load_state_dict(tg.load(GOLDEN / "pytorch_lstm.pt"))
    assert_same(lstm.state_dict(), found_in("lstm"))


def test_load_says_what_a_pytorch_file_holds_instead():
    with pytest.raises(FileFormatError, match=r"a dict with 'model', 'optimizer'.*read_pytorch"):
        tg.load(GOLDEN / "pytorch_nested.pt")


def test_pytorch_files_are_read_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None; import tinygrad_rnn as tg; "
        f"print(len(tg.load({str(GOLDEN / 'pytorch_lstm.pt')!r})))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "4\n"


def test_pytorch_files_made_now(tmp_path):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    base = torch.tensor(rng.normal(size=(4, 5, 6)))
    views = {}
    for i in range(30):
        view = base.permute(*map(int, rng.permutation(3)))
        view = view[int(rng.integers(0, 3)) :, :: int(rng.integers(1, 4))]
        views[str(i)] = view.squeeze() if i % 2 else view[..., 1:2].expand(-1, -1, 3)
    torch.save(views, tmp_path / "a.pt")
    assert_same(tg.load(tmp_path / "a.pt"), {n: v.numpy() for n, v in views.items()})
    assert numbers(views, "v").keys() == {f"v/{n}" for n in views}


# Checkpoints


class Counter:
    """Something with a state."""

    def __init__(self, value, refuses=False):
        self.value = value
        self.refuses = refuses

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        if self.refuses:
            raise ValueError("doesn't fit")
        self.value = state["value"]


STATE = {
    "numbers": [0.1, 5e-324, -0.0, float("inf"), float("-inf"), 2**127 - 1, True, None],
    "moments": {7: {"step": np.int64(3)}, 1: (), None: "none", 1.5: [], False: 1},
    "scalars": (np.float32(0.1), np.float64("nan"), np.bool_(True)),
    "$array": "a key that looks like a mark",
    "한글": {"..": np.arange(3), "a/b": np.ones(1), "a": {"b": np.zeros(1)}},
    "empty": {},
}


def equal(a, b):
    if isinstance(b, np.ndarray | np.generic):
        return type(a) is type(b) and same(np.asarray(a), np.asarray(b))
    if isinstance(b, dict):
        return list(a) == list(b) and all(equal(a[k], b[k]) for k in b)
    if isinstance(b, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return type(a) is type(b) and (repr(a) == repr(b))


def test_any_state_comes_back_to_the_bit(tmp_path):
    save_checkpoint(tmp_path / "run.npz", extra=STATE, part=Counter(np.arange(2)))
    found = load_checkpoint(tmp_path / "run.npz")
    assert equal(found, {"extra": STATE, "part": {"value": np.arange(2)}})


def test_tensors_in_a_state_come_back_as_arrays(tmp_path):
    save_checkpoint(tmp_path / "run.npz", h=tg.Tensor([1.0, 2.0]))
    assert same(load_checkpoint(tmp_path / "run.npz")["h"], np.array([1.0, 2.0]))


def test_a_run_goes_on_as_if_it_hadnt_stopped(tmp_path):
    shuffle = np.random.default_rng(5)

    def draw(model):
        x = tg.Tensor(np.ones((2, 3), np.float32))
        return [
            model(x).numpy(),
            shuffle.permutation(10),
            np.random.random(3),
            tg.nn.Linear(2, 2).weight.numpy(),
        ]

    def made():
        return tg.nn.Sequential(
            tg.nn.Linear(3, 4), tg.nn.Dropout(0.5, rng=np.random.default_rng(1)), tg.nn.Dropout(0.5)
        )

    before = np.random.get_state()
    try:
        model = made()
        draw(model)
        save_checkpoint(tmp_path / "run.npz", generators={"shuffle": shuffle}, model=model)
        expected = draw(model)
        draw(model)
        other = made()
        load_checkpoint(tmp_path / "run.npz", generators={"shuffle": shuffle}, model=other)
        assert equal(draw(other), expected)
        load_checkpoint(tmp_path / "run.npz", random=False, model=other)
        assert not equal(draw(other), expected)
    finally:
        np.random.set_state(before)


def test_training_goes_on_step_for_step(tmp_path):
    def made(seed):
        tg.manual_seed(seed)
        model = tg.nn.Sequential(tg.nn.Linear(3, 4), tg.nn.Dropout(0.3), tg.nn.Linear(4, 1))
        optimiser = tg.optim.Adam(model.parameters(), lr=0.1)
        schedule = tg.optim.lr_scheduler.StepLR(optimiser, 3, 0.5)
        return {"model": model, "optimiser": optimiser, "schedule": schedule}

    def step(run):
        loss = (run["model"](tg.Tensor(np.ones((5, 3), np.float32))) ** 2).sum()
        run["optimiser"].zero_grad()
        loss.backward()
        run["optimiser"].step()
        run["schedule"].step()
        return loss.item()

    run = made(0)
    first = [step(run) for _ in range(4)]
    save_checkpoint(tmp_path / "run.npz", losses=first, **run)
    expected = [step(run) for _ in range(6)]
    resumed = made(1)
    assert load_checkpoint(tmp_path / "run.npz", **resumed)["losses"] == first
    assert [step(resumed) for _ in range(6)] == expected
    assert_same(resumed["model"].state_dict(), run["model"].state_dict())


def test_only_reading_sets_no_generator(tmp_path):
    rng = tg.manual_seed(3)
    save_checkpoint(tmp_path / "run.npz", step=1)
    a = rng.random()
    load_checkpoint(tmp_path / "run.npz")
    assert rng.random() != a


def test_if_one_part_refuses_nothing_has_changed(tmp_path):
    model, counter, last = tg.nn.Linear(2, 2), Counter(1), Counter(1, refuses=False)
    save_checkpoint(tmp_path / "run.npz", model=model, counter=counter, last=last)
    model.weight.data = model.weight.data + 1
    counter.value, last.value = 2, 2
    rng = tg.manual_seed(9)
    before, state = model.state_dict(), rng.bit_generator.state
    last.load_state_dict = Refusing(last)
    with pytest.raises(ValueError, match="doesn't fit"):
        load_checkpoint(tmp_path / "run.npz", model=model, counter=counter, last=last)
    assert_same(model.state_dict(), before)
    assert (counter.value, last.value) == (2, 2)
    assert rng.bit_generator.state == state


class Refusing:
    """A load_state_dict that takes half of what it refuses, the first time."""

    def __init__(self, counter):
        self.counter = counter
        self.calls = 0

    def __call__(self, state):
        self.calls += 1
        self.counter.value = state["value"]
        if self.calls == 1:
            raise ValueError("doesn't fit")


def test_a_generator_of_another_kind_changes_nothing(tmp_path):
    model, rng = tg.nn.Linear(2, 2), np.random.default_rng(0)
    save_checkpoint(tmp_path / "run.npz", generators={"data": rng}, model=model)
    model.weight.data = model.weight.data + 1
    before = model.state_dict()
    other = np.random.Generator(np.random.MT19937(0))
    for given, message in (({"data": other}, "state must be"), ({"date": rng}, "no state of date")):
        with pytest.raises(ValueError, match=message):
            load_checkpoint(tmp_path / "run.npz", generators=given, model=model)
        assert_same(model.state_dict(), before)


def test_faults_of_use_are_explained(tmp_path):
    path = tmp_path / "run.npz"
    with pytest.raises(TypeError, match=r"extra/a/0 is a set"):
        save_checkpoint(path, extra={"a": [{1}]})
    with pytest.raises(TypeError, match=r"key of type tuple"):
        save_checkpoint(path, extra={(1, 2): 3})
    loop = []
    loop.append(loop)
    with pytest.raises(ValueError, match="contains itself"):
        save_checkpoint(path, extra=loop)
    with pytest.raises(ValueError, match="limit"):
        save_checkpoint(path, limit=1)
    with pytest.raises(ValueError, match="random=False"):
        save_checkpoint(path, random=False, generators={"a": np.random.default_rng(0)})
    with pytest.raises(TypeError, match=r"np\.random\.Generator, got 'a': int"):
        save_checkpoint(path, generators={"a": 3})
    assert not path.exists()
    save_checkpoint(path, random=False, model=Counter(1))
    with pytest.raises(KeyError, match=r"Did you mean 'model'"):
        load_checkpoint(path, modell=Counter(1))
    with pytest.raises(TypeError, match=r"without load_state_dict.*\['model'\]"):
        load_checkpoint(path, model=3)
    with pytest.raises(ValueError, match="no random states"):
        load_checkpoint(path, generators={"a": np.random.default_rng(0)})
    assert load_checkpoint(path, model=Counter(0)) == {"model": {"value": 1}}


def test_weights_arent_a_checkpoint_nor_one_of_a_later_form(tmp_path):
    tg.save({"w": np.ones(1)}, tmp_path / "w.npz")
    with pytest.raises(FileFormatError, match=r"isn't a checkpoint.*tg\.load"):
        load_checkpoint(tmp_path / "w.npz")
    later = json.dumps({"version": 2, "library": "9.0", "parts": {}})
    tg.save({}, tmp_path / "l.npz", metadata={"tinygrad_rnn.checkpoint": later})
    with pytest.raises(FileFormatError, match=r"of form 2, written by tinygrad_rnn 9\.0"):
        load_checkpoint(tmp_path / "l.npz")


# Whole files


@pytest.mark.parametrize("fault", ["write", "fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch, fault):
    path = tmp_path / "w.npz"
    tg.save({"w": np.zeros(3)}, path)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    owner, name = {
        "write": (np.lib.format, "write_array"),
        "fsync": (os, "fsync"),
        "replace": (Path, "replace"),
    }[fault]
    monkeypatch.setattr(owner, name, full)
    with pytest.raises(OSError, match="No space left") as caught:
        tg.save({"w": np.ones(3)}, path)
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error_of_the_system(tmp_path, monkeypatch):
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(files, "_claimed_part", lambda target: (tmp_path / "p", full))
        with pytest.raises(OSError, match="No space left"):
            tg.save({"w": np.ones(3)}, tmp_path / "w.npz")
    assert not list(tmp_path.iterdir())


def test_a_link_stays_a_link_and_a_mode_stays(tmp_path):
    real, link = tmp_path / "real.npz", tmp_path / "latest.npz"
    tg.save({"w": np.zeros(1)}, real)
    real.chmod(0o600)
    link.symlink_to(real)
    tg.save({"w": np.ones(1)}, link)
    assert link.is_symlink()
    assert tg.load(real)["w"][0] == 1
    assert real.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with a name")
def test_a_pipe_isnt_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="pipe"):
        save_checkpoint(tmp_path / "pipe", step=1)
    assert (tmp_path / "pipe").is_fifo()


def test_a_name_as_long_as_names_can_be(tmp_path):
    path = tmp_path / ("가" * 83 + ".npz")
    tg.save({"w": np.ones(1)}, path)
    assert tg.load(path)["w"][0] == 1


def test_parts_in_use_arent_cleared_away(tmp_path):
    path = tmp_path / "w"
    with files.whole_file(path) as outer:
        outer.write(b"outer")
        files.write_whole(path, b"inner")
        assert path.read_bytes() == b"inner"
    assert path.read_bytes() == b"outer"
    assert list(tmp_path.iterdir()) == [path]


# Each number it is given, it forks a process that saves from that step on, until that is killed.
SAVES_FOR_EVER = """
import os, sys
import numpy as np
from tinygrad_rnn.io import save_checkpoint
for line in sys.stdin:
    step, pid = int(line), os.fork()
    while not pid:
        step += 1
        save_checkpoint(sys.argv[1], step=step, w=np.full(200_000, float(step)), random=False)
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("gone", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_while_saving_fifty_times(tmp_path, rng):
    path = tmp_path / "run.npz"
    began = time.perf_counter()
    save_checkpoint(path, step=0, w=np.zeros(200_000), random=False)
    some_saves = max(0.05, 3 * (time.perf_counter() - began))
    step, littered = 0, 0
    command = [sys.executable, "-c", SAVES_FOR_EVER, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        for _ in range(50):
            process.stdin.write(f"{step}\n")
            process.stdin.flush()
            pid = int(process.stdout.readline())
            time.sleep(rng.uniform(0, some_saves))
            os.kill(pid, signal.SIGKILL)
            assert process.stdout.readline() == "gone\n"
            found = load_checkpoint(path)
            assert found["step"] >= step
            assert (found["w"] == found["step"]).all()
            step = found["step"]
            left = len(list(tmp_path.iterdir()))
            assert left <= 2
            littered += left == 2
        process.stdin.close()
    assert step > 0
    assert littered > 0  # else nothing was killed in the middle
    save_checkpoint(path, step=step, random=False)
    assert list(tmp_path.iterdir()) == [path]
