"""Modules: names, state_dict, copies, modes, text; and the names of places in messages."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_rnn as tg

LAYERS = [
    ("Linear", (3, 4), {}),
    ("Linear", (3, 4), {"bias": False}),
    ("Embedding", (5, 3), {}),
    ("RNNCell", (3, 4), {}),
    ("LSTMCell", (3, 4), {"bias": False}),
    ("GRUCell", (3, 4), {}),
    ("RNN", (3, 4, 2), {"bidirectional": True}),
    ("LSTM", (3, 4, 3), {"bidirectional": True}),
    ("LSTM", (3, 4, 2), {"bias": False}),
    ("GRU", (3, 4, 1), {"bidirectional": True, "bias": False}),
]
LSTM_NAMES = [
    "weight_ih_l0",
    "weight_hh_l0",
    "bias_ih_l0",
    "bias_hh_l0",
    "weight_ih_l0_reverse",
    "weight_hh_l0_reverse",
    "bias_ih_l0_reverse",
    "bias_hh_l0_reverse",
    "weight_ih_l1",
    "weight_hh_l1",
    "bias_ih_l1",
    "bias_hh_l1",
    "weight_ih_l1_reverse",
    "weight_hh_l1_reverse",
    "bias_ih_l1_reverse",
    "bias_hh_l1_reverse",
]


class Tagger(tg.nn.Module):
    """A model with modules inside, in a list, in a dict, and a parameter of its own."""

    def __init__(self, dtype=np.float32):
        self.embedding = tg.nn.Embedding(7, 3, dtype=dtype, rng=0)
        self.lstm = tg.nn.LSTM(3, 4, 2, dtype=dtype, rng=1)
        self.heads = [tg.nn.Linear(4, 2, dtype=dtype, rng=2), tg.nn.Linear(4, 3, rng=3)]
        self.extra = {"gain": tg.nn.Parameter([1.0], dtype=dtype)}
        self.note = "not a parameter"

    def forward(self, ids):
        output, _ = self.lstm(self.embedding(ids))
        return self.heads[0](output) * self.extra["gain"]


IDS = np.array([[1, 2], [3, 4], [0, 6]])


class Tied(tg.nn.Module):
    def __init__(self):
        self.embedding = tg.nn.Embedding(5, 4)
        self.out = tg.nn.Linear(4, 5)
        self.out.weight = self.embedding.weight

    def forward(self, ids):
        return self.out(self.embedding(ids))


# Parameters and their names


def test_parameters_of_lstm_are_named_and_ordered_as_in_torch():
    lstm = tg.nn.LSTM(3, 4, 2, bidirectional=True)
    assert [n for n, _ in lstm.named_parameters()] == LSTM_NAMES
    assert [p.shape for p in list(lstm.parameters())[8:12]] == [(16, 8), (16, 4), (16,), (16,)]
    assert list(lstm.state_dict()) == LSTM_NAMES


@pytest.mark.parametrize(("kind", "sizes", "options"), LAYERS)
def test_parameters_are_named_ordered_and_shaped_as_in_torch(kind, sizes, options):
    torch = pytest.importorskip("torch")
    ours = getattr(tg.nn, kind)(*sizes, **options)
    theirs = getattr(torch.nn, kind)(*sizes, **options)
    expected = [(n, tuple(p.shape)) for n, p in theirs.named_parameters()]
    assert [(n, p.shape) for n, p in ours.named_parameters()] == expected


def test_parameters_in_lists_and_dicts_are_found():
    names = [n for n, _ in Tagger().named_parameters()]
    assert names[0] == "extra.gain"  # its own before those of the modules inside, as in torch
    assert names[1:3] == ["embedding.weight", "lstm.weight_ih_l0"]
    assert names[-2:] == ["heads.1.weight", "heads.1.bias"]
    assert len(names) == 1 + 1 + 8 + 4


def test_modules_are_named():
    model = Tagger()
    names = [n for n, _ in model.named_modules()]
    assert names == ["", "embedding", "lstm", "heads.0", "heads.1"]
    assert next(iter(model.modules())) is model


def test_parameters_of_nested_modules_come_depth_first():
    nested = tg.nn.Sequential(
        tg.nn.Sequential(tg.nn.Linear(1, 1), tg.nn.Linear(1, 1)), tg.nn.Linear(1, 1)
    )
    names = [n for n, _ in nested.named_parameters()]
    assert names[::2] == ["0.0.weight", "0.1.weight", "1.weight"]


def test_shared_parameter_is_listed_once_and_updated_once():
    model = Tied()
    assert [n for n, _ in model.named_parameters()] == ["embedding.weight", "out.bias"]
    assert len(list(model.parameters())) == 2
    model([[1, 2]]).sum().backward()
    before = model.embedding.weight.data.copy()
    tg.optim.SGD(model.parameters(), lr=1.0).step()
    np.testing.assert_allclose(
        model.out.weight.data, before - model.embedding.weight.grad.data, rtol=1e-6
    )


def test_shared_parameter_stands_in_state_dict_under_all_its_names():
    assert list(Tied().state_dict()) == ["embedding.weight", "out.weight", "out.bias"]


def test_names_of_parameters_are_dotted_inside_a_model():
    class Outer(tg.nn.Module):
        def __init__(self):
            self.tagger = Tagger()

    outer = Outer()
    assert outer.tagger.lstm.weight_ih_l0.name == "tagger.lstm.weight_ih_l0"
    assert outer.tagger.heads[1].bias.name == "tagger.heads.1.bias"
    assert outer.tagger.extra["gain"].name == "tagger.extra.gain"
    for name, p in outer.named_parameters():
        assert p.name == name


def test_names_of_parameters_of_a_layer_alone_are_flat():
    assert tg.nn.LSTM(2, 2).weight_hh_l0.name == "weight_hh_l0"


def test_module_appended_to_a_list_later_has_its_name():
    class Stack(tg.nn.Module):
        def __init__(self):
            self.layers = []
            for _ in range(2):
                self.layers.append(tg.nn.Linear(2, 2))

    model = Stack()
    assert [p.name for p in model.parameters()] == [n for n, _ in model.named_parameters()]


def test_shared_parameter_has_the_name_it_is_listed_under():
    model = Tied()
    assert [p.name for p in model.parameters()] == ["embedding.weight", "out.bias"]


def test_shared_module_stands_in_state_dict_under_all_its_names():
    class Twice(tg.nn.Module):
        def __init__(self):
            self.a = tg.nn.Linear(2, 2)
            self.b = self.a

    assert [n for n, _ in Twice().named_parameters()] == ["a.weight", "a.bias"]
    assert list(Twice().state_dict()) == ["a.weight", "a.bias", "b.weight", "b.bias"]


def test_own_name_of_a_parameter_stays():
    linear = tg.nn.Linear(2, 2)
    linear.weight.named("W")
    assert linear.weight.name == "W"


def test_private_attributes_are_listed_as_in_pytorch():
    class Hidden(tg.nn.Module):
        def __init__(self):
            self._w = tg.nn.Parameter([1.0])
            self._drop = tg.nn.Dropout(0.5)

    model = Hidden().eval()
    assert [n for n, _ in model.named_parameters()] == ["_w"]
    assert not model._drop.training


@pytest.mark.parametrize("value", [np.ones((1, 2)), tg.Tensor(np.ones((1, 2))), 3.0])
def test_parameter_is_not_replaced_by_what_is_none(value):
    linear = tg.nn.Linear(2, 1)
    with pytest.raises(TypeError, match=r"Linear\.weight is a Parameter.*weight\.data"):
        linear.weight = value
    assert [n for n, _ in linear.named_parameters()] == ["weight", "bias"]
    linear.bias = None
    assert [n for n, _ in linear.named_parameters()] == ["weight"]


def test_unreadable_values_change_nothing():
    model = tg.nn.Linear(2, 1, rng=0)
    before = model.state_dict()
    with pytest.raises(ValueError, match="values: bias"):
        model.load_state_dict({"weight": np.zeros((1, 2)), "bias": [["x"]]})
    assert (model.weight.data == before["weight"]).all()
    with pytest.raises(TypeError, match="takes a dict"):
        model.load_state_dict(None)


# Places in messages and graphs


def test_error_in_a_step_names_layer_and_step():
    def cell(x, h):
        return h @ (np.ones((4, 4)) if x.data[0] < 3 else np.ones((5, 4)))

    class Model(tg.nn.Module):
        def forward(self, xs):
            with tg.scope("own"):
                return tg.rnn.scan(cell, xs, tg.Tensor(np.ones(4)))

    with pytest.raises(ValueError, match=r"model\.own\[t=3\]\.matmul"):
        Model()(tg.Tensor(np.arange(5.0)[:, None]))


def test_error_in_a_layer_names_attribute_layer_direction_and_step():
    model = Tagger()
    model.lstm.weight_hh_l1 = tg.nn.Parameter(np.ones((16, 5)))
    with pytest.raises(ValueError, match=r"tagger\.lstm\.l1\[t=0\]\.linear"):
        model(IDS)

    class Pair(tg.nn.Module):
        def __init__(self):
            self.reader = tg.nn.GRU(3, 4, bidirectional=True)

        def forward(self, x):
            return self.reader(x)

    pair = Pair()
    pair.reader.weight_hh_l0_reverse = tg.nn.Parameter(np.ones((12, 5)))
    with pytest.raises(ValueError, match=r"pair\.reader\.l0_reverse\[t=4\]\.linear"):
        pair(np.ones((5, 1, 3)))


def test_results_say_where_they_were_made():
    model = Tagger()
    output, _ = model.lstm(model.embedding(IDS))
    assert "lstm" in repr(output)
    assert "made by tagger.multiply" in repr(model(IDS))


# state_dict and load_state_dict


def test_state_dict_gives_copies():
    linear = tg.nn.Linear(3, 2)
    state = linear.state_dict()
    assert all(type(a) is np.ndarray for a in state.values())
    state["weight"][:] = 0
    assert linear.weight.data.all()
    linear.bias.data[:] = 7
    assert not (state["bias"] == 7).any()


def test_load_state_dict_copies_and_casts():
    model, other = Tagger(), Tagger(np.float64)
    other.lstm.weight_hh_l1.data += 0.25
    state = other.state_dict()
    assert model.load_state_dict(state) == ([], [])
    assert model.lstm.weight_hh_l1.dtype == np.float32
    np.testing.assert_allclose(model(IDS).data, other(IDS).data, rtol=1e-4, atol=1e-6)
    before = model.lstm.weight_hh_l1.data.copy()
    state["lstm.weight_hh_l1"][:] = 0
    assert np.array_equal(model.lstm.weight_hh_l1.data, before)
    state = Tagger().state_dict()  # of one dtype, too
    model.load_state_dict(state)
    state["lstm.weight_hh_l1"][:] = 0
    assert model.lstm.weight_hh_l1.data.all()


def test_load_state_dict_takes_tensors_and_lists():
    linear = tg.nn.Linear(2, 1)
    linear.load_state_dict({"weight": tg.nn.Parameter([[1.0, 2.0]]), "bias": [3]})
    assert linear([[1.0, 1.0]]).tolist() == [[6.0]]


def test_load_state_dict_lists_all_faults_and_changes_nothing():
    lstm = tg.nn.LSTM(3, 4)
    before = lstm.state_dict()
    state = {n: a + 1 for n, a in before.items()}
    state["weight_hh_10"] = state.pop("weight_hh_l0")
    state["weight_ih_l0"] = np.zeros((16, 5))
    state["bias_ih_l0"] = np.zeros((1, 16))
    del state["bias_hh_l0"]
    with pytest.raises(ValueError, match="load_state_dict of LSTM, nothing was changed") as error:
        lstm.load_state_dict(state)
    for text in (
        "missing: weight_hh_l0 (16, 4)",
        "missing: bias_hh_l0 (16,)",
        "unexpected: weight_hh_10. Did you mean 'weight_hh_l0'?",
        "shape: weight_ih_l0 is (16, 3), got (16, 5)",
        "shape: bias_ih_l0 is (16,), got (1, 16)",
    ):
        assert text in str(error.value)
    assert all(np.array_equal(a, before[n]) for n, a in lstm.state_dict().items())


def test_load_state_dict_not_strict_tells_what_it_left():
    linear = tg.nn.Linear(2, 1)
    bias = linear.bias.data.copy()
    found = linear.load_state_dict({"weight": [[1, 2]], "scale": [1]}, strict=False)
    assert found == (["bias"], ["scale"])
    assert linear.weight.tolist() == [[1, 2]]
    assert np.array_equal(linear.bias.data, bias)
    with pytest.raises(ValueError, match="nothing was changed"):
        linear.load_state_dict({"weight": [[1, 2, 3]]}, strict=False)


def test_load_state_dict_between_forward_and_backward_is_caught():
    linear = tg.nn.Linear(2, 1)
    x = tg.Tensor(np.ones((3, 2), np.float32), requires_grad=True)
    loss = linear(x).sum()
    linear.load_state_dict(linear.state_dict())
    with pytest.raises(RuntimeError, match="'weight' was changed in place after linear"):
        loss.backward()


@pytest.mark.parametrize(("kind", "sizes", "options"), LAYERS)
def test_state_dicts_pass_from_torch_and_back(kind, sizes, options):
    torch = pytest.importorskip("torch")
    ours = getattr(tg.nn, kind)(*sizes, **options)
    theirs = getattr(torch.nn, kind)(*sizes, **options)
    x = np.array([[1, 0], [4, 2]]) if kind == "Embedding" else np.ones((2, 3), np.float32)

    def same_output():
        out, expected = ours(x), theirs(torch.tensor(x))
        if isinstance(out, tuple):
            out, expected = out[0], expected[0]
        np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-5, atol=1e-6)

    ours.load_state_dict(theirs.state_dict())
    same_output()
    ours = getattr(tg.nn, kind)(*sizes, **options, rng=9)
    theirs.load_state_dict({n: torch.tensor(a) for n, a in ours.state_dict().items()})
    same_output()


# Copies


@pytest.fixture(params=["deepcopy", "pickle"])
def duplicate(request):
    if request.param == "deepcopy":
        return copy.deepcopy
    return lambda module: pickle.loads(pickle.dumps(module))


def test_copy_of_a_model_is_equal_and_independent(duplicate):
    model = Tagger()
    twin = duplicate(model)
    expected = model(IDS).data
    assert np.array_equal(twin(IDS).data, expected)
    assert [n for n, _ in twin.named_parameters()] == [n for n, _ in model.named_parameters()]
    for p in twin.parameters():
        assert p.requires_grad
        p.data += 1
    assert np.array_equal(model(IDS).data, expected)
    assert not np.array_equal(twin(IDS).data, expected)


def test_copy_of_a_layer_trains_its_own_parameters(duplicate):
    lstm = tg.nn.LSTM(3, 4, 2, bidirectional=True)
    twin = duplicate(lstm)
    output, _ = twin(np.ones((3, 1, 3)))
    output.sum().backward()
    assert all(p.grad is not None for p in twin.parameters())
    assert all(p.grad is None for p in lstm.parameters())


def test_copy_keeps_names_and_places(duplicate):
    twin = duplicate(Tagger())
    for name, p in twin.named_parameters():
        assert p.name == name
    assert duplicate(Tagger().lstm).weight_ih_l0.name == "weight_ih_l0"
    twin.lstm.weight_hh_l1 = tg.nn.Parameter(np.ones((16, 5)))
    with pytest.raises(ValueError, match=r"tagger\.lstm\.l1\[t=0\]"):
        twin(IDS)


def test_copy_keeps_sharing(duplicate):
    twin = duplicate(Tied())
    assert twin.out.weight is twin.embedding.weight
    assert len(list(twin.parameters())) == 2


def test_copy_keeps_mode_and_frozen_parameters_and_leaves_gradients(duplicate):
    model = Tagger().eval()
    model.embedding.weight.requires_grad = False
    model(IDS).sum().backward()
    twin = duplicate(model)
    assert not twin.lstm.training
    assert not twin.embedding.weight.requires_grad
    assert all(p.grad is None for p in twin.parameters())


# Replacing, freezing, modes, dtypes


def test_replaced_parameter_is_used_and_trained():
    lstm = tg.nn.LSTM(3, 4)
    x = np.ones((2, 1, 3))
    lstm(x)
    lstm.weight_ih_l0 = tg.nn.Parameter(np.zeros((16, 3), np.float32))
    new = lstm.weight_ih_l0
    expected = tg.nn.LSTM(3, 4)
    expected.load_state_dict(lstm.state_dict())
    output, _ = lstm(x)
    assert np.array_equal(output.data, expected(x)[0].data)
    output.sum().backward()
    assert new.grad is not None
    assert dict(lstm.named_parameters())["weight_ih_l0"] is new
    assert new.name == "weight_ih_l0"


def test_computed_weight_is_used_afresh_at_every_call():
    rnn = tg.nn.RNN(3, 4)
    v = rnn.weight_ih_l0
    x = np.ones((2, 1, 3))
    outputs = []
    for factor in (1.0, 0.0):
        rnn.weight_ih_l0 = v * factor
        output, _ = rnn(x)
        outputs.append(output.data)
    assert not np.array_equal(*outputs)
    output.sum().backward()
    assert v.grad is not None


def test_frozen_parameter_gets_no_gradient():
    model = Tagger()
    model.embedding.weight.requires_grad = False
    model(IDS).sum().backward()
    assert model.embedding.weight.grad is None
    assert model.lstm.weight_ih_l0.grad is not None


def test_train_and_eval_reach_all_modules():
    model = tg.nn.Sequential(tg.nn.Linear(3, 3), tg.nn.Sequential(tg.nn.Dropout(0.9)))
    assert model.training
    assert model.eval() is model
    assert not any(m.training for m in model.modules())
    x = np.ones((20, 3))
    assert model(x).data.all()
    assert model.train() is model
    assert not model(x).data.all()


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"])
def test_layer_made_double_computes_in_double(kind):
    rng = np.random.default_rng(0)
    single = getattr(tg.nn, kind)(3, 4, rng=1)
    double = getattr(tg.nn, kind)(3, 4, dtype=np.float64)
    double.load_state_dict(single.state_dict())
    assert single.to(np.float64) is single
    x = rng.normal(size=(2, 3))
    (found, expected) = single(x), double(x)
    if isinstance(found, tuple):
        found, expected = found[0], expected[0]
    assert found.dtype == np.float64
    assert np.array_equal(found.data, expected.data)
    assert single.float()(x)[0].dtype == np.float32


def test_to_converts_everything_and_drops_gradients():
    model = Tagger()
    model(IDS).sum().backward()
    model.double()
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float64)}
    assert all(p.grad is None for p in model.parameters())
    assert model(IDS).dtype == np.float64
    with pytest.raises(TypeError, match="parameters need a floating dtype, not int64"):
        model.to(np.int64)


def test_zero_grad_sets_none():
    model = Tagger()
    model(IDS).sum().backward()
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


# Text


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (tg.nn.Linear(3, 4), "Linear(in_features=3, out_features=4, bias=True)"),
        (tg.nn.Linear(3, 4, bias=False), "Linear(in_features=3, out_features=4, bias=False)"),
        (tg.nn.Embedding(10, 3), "Embedding(10, 3)"),
        (tg.nn.Embedding(10, 3, padding_idx=-1), "Embedding(10, 3, padding_idx=9)"),
        (tg.nn.RNN(3, 4), "RNN(3, 4)"),
        (tg.nn.RNN(3, 4, 2, "relu"), "RNN(3, 4, num_layers=2)"),
        (tg.nn.LSTM(10, 20, 2, batch_first=True), "LSTM(10, 20, num_layers=2, batch_first=True)"),
        (
            tg.nn.GRU(3, 4, 2, False, True, 0.5, True),
            "GRU(3, 4, num_layers=2, bias=False, batch_first=True, dropout=0.5, "
            "bidirectional=True)",
        ),
        (tg.nn.RNNCell(3, 4, False, "relu"), "RNNCell(3, 4, bias=False, nonlinearity=relu)"),
        (tg.nn.LSTMCell(3, 4), "LSTMCell(3, 4)"),
        (tg.nn.GRUCell(3, 4, bias=False), "GRUCell(3, 4, bias=False)"),
        (tg.rnn.Recurrent(tg.nn.GRUCell, 3, 4, 2), "Recurrent(GRUCell, 3, 4, num_layers=2)"),
        (tg.nn.CrossEntropyLoss(), "CrossEntropyLoss()"),
        (tg.nn.MSELoss(), "MSELoss()"),
        (
            tg.nn.Sequential(tg.nn.LSTM(3, 4), tg.nn.Sequential(tg.nn.Linear(4, 2))),
            "Sequential(\n  (0): LSTM(3, 4)\n  (1): Sequential(\n"
            "    (0): Linear(in_features=4, out_features=2, bias=True)\n  )\n)",
        ),
    ],
    ids=lambda value: value.replace("\n", "") if isinstance(value, str) else type(value).__name__,
)
def test_repr_is_that_of_torch(module, text):
    assert repr(module) == text


# Sequential, Dropout


def test_sequential_hands_on_the_output_of_a_recurrent_layer():
    lstm, linear = tg.nn.LSTM(3, 4), tg.nn.Linear(4, 2)
    model = tg.nn.Sequential(lstm, np.tanh, linear)
    x = np.ones((5, 2, 3))
    assert np.array_equal(model(x).data, linear(np.tanh(lstm(x)[0])).data)
    assert [n for n, _ in model.named_parameters()][-2:] == ["2.weight", "2.bias"]
    assert (len(model), model[0], model[-1]) == (3, lstm, linear)
    with pytest.raises(IndexError, match="3 layers, no layer 3"):
        model[3]


def test_sequential_names_what_is_not_a_layer():
    with pytest.raises(TypeError, match="layer 1 isn't callable: 3"):
        tg.nn.Sequential(np.tanh, 3)


def test_dropout_drops_its_share_and_scales_the_rest():
    x = tg.Tensor(np.ones(20000), requires_grad=True)
    out = tg.nn.Dropout(0.25, rng=0)(x)
    kept = out.data != 0
    assert abs(kept.mean() - 0.75) < 0.013  # 4 standard deviations
    np.testing.assert_allclose(out.data[kept], 1 / 0.75)
    out.sum().backward()
    assert np.array_equal(x.grad.data, out.data)


def test_dropout_of_nothing_and_of_all():
    x = tg.Tensor(np.ones(5))
    assert tg.nn.Dropout(0.0)(x).tolist() == [1] * 5
    assert tg.nn.Dropout(1.0)(x).tolist() == [0] * 5
    assert tg.nn.Dropout(1.0).eval()(x).tolist() == [1] * 5


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), True, "0.5", None])
def test_dropout_refuses_what_is_no_probability(p):
    with pytest.raises(ValueError, match=r"dropout should be a number in range \[0, 1\]"):
        tg.nn.Dropout(p)


# Wrong use


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tg.nn.Linear(3, 4, bais=False), "Linear has no argument 'bais'.*'bias'"),
        (lambda: tg.nn.LSTMCell(3, hiden_size=4), "Did you mean 'hidden_size'"),
        (lambda: tg.nn.Embedding(5, 3, padding_index=0), "Did you mean 'padding_idx'"),
        (lambda: tg.nn.Dropout(prob=0.1), "Dropout has no argument 'prob'.*It takes p, rng"),
        (
            lambda: tg.rnn.Recurrent(tg.nn.GRUCell, 3, 4, bidirectionl=True),
            "Recurrent of GRUCell has no argument 'bidirectionl'.*'bidirectional'",
        ),
        (lambda: tg.rnn.Recurrent(tg.nn.GRUCell, 3, 4, bais=True), "Did you mean 'bias'"),
        (lambda: Tagger(dtyp=np.float64), "Tagger has no argument 'dtyp'.*'dtype'"),
    ],
)
def test_misspelt_keyword_names_the_right_one(make, words):
    with pytest.raises(TypeError, match=words):
        make()


def test_module_without_forward_says_so():
    class Empty(tg.nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty has no forward method"):
        Empty()(1)
