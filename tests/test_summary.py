"""`tg.summary`: counts against PyTorch's, formulas by evaluation, the text as a whole."""

import pathlib
import unicodedata

import numpy as np
import pytest
from recurrent_kinds import KINDS, OwnModule

import tinygrad_rnn as tg
from tinygrad_rnn.core import random as default
from tinygrad_rnn.inventory import count_layers
from tinygrad_rnn.module import looking_on
from tinygrad_rnn.restoring import everything_in

nn = tg.nn


def text_of(made):
    return str(made).splitlines()


def shapes(made):
    return {row.name: row.output_shape for row in made.rows}


# Counts


# counted with PyTorch 2.13: sum(p.numel() for p in module.parameters())
COUNTED = {
    "LSTM(32, 64)": (lambda: nn.LSTM(32, 64), 25088),
    "LSTM(10, 20, 2, both)": (lambda: nn.LSTM(10, 20, 2, bidirectional=True), 15040),
    "LSTM(10, 20, 2, projected, both)": (
        lambda: nn.LSTM(10, 20, 2, proj_size=5, bidirectional=True),
        5840,
    ),
    "GRU(10, 20, 3)": (lambda: nn.GRU(10, 20, 3), 6960),
    "GRU without bias": (lambda: nn.GRU(10, 20, bias=False), 1800),
    "RNN(10, 20)": (lambda: nn.RNN(10, 20), 640),
    "RNN(20, 20, 2)": (lambda: nn.RNN(20, 20, 2), 1680),
    "LSTMCell": (lambda: nn.LSTMCell(10, 20), 2560),
    "GRUCell": (lambda: nn.GRUCell(10, 20), 1920),
    "Linear(32, 32)": (lambda: nn.Linear(32, 32), 1056),
    "Linear without bias": (lambda: nn.Linear(32, 10, bias=False), 320),
    "Embedding": (lambda: nn.Embedding(10000, 32), 320000),
    "LayerNorm": (lambda: nn.LayerNorm((4, 8)), 64),
    "RMSNorm": (lambda: nn.RMSNorm(8), 8),
    "PReLU": (lambda: nn.PReLU(3), 3),
}


@pytest.mark.parametrize("name", COUNTED)
def test_counts_are_those_of_pytorch(name):
    make, count = COUNTED[name]
    made = tg.summary(make())
    assert (made.parameters, made.trainable, made.not_trainable) == (count, count, 0)
    assert made.bytes == 4 * count
    assert sum(formula.total for formula in made.rows[0].formulas) == count


def evaluated(formula):
    """A formula's numbers as Python reads them."""
    return eval(formula.numbers.replace("·", "*"))


@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 3}, {"num_layers": 2, "bidirectional": True}]
)
@pytest.mark.parametrize("sizes", [(3, 5), (4, 4), (8, 2), (20, 5)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_formula_of_every_layer_evaluates_to_its_count(kind, sizes, options):
    if kind == "Residual":
        sizes, options = (4, 4), {"num_layers": options.get("num_layers", 1)}
    if "proj" in kind and sizes[1] <= 2:
        sizes = (8, 3)
    layer = KINDS[kind](*sizes, **options)
    (row,) = tg.summary(layer).rows
    assert row.parameters == sum(p.size for p in layer.parameters())
    assert sum(map(evaluated, row.formulas)) == row.parameters
    for formula in row.formulas:
        assert evaluated(formula) == formula.total


def test_formulas_have_the_letters_of_the_layer_also_where_sizes_are_equal():
    def formulas(module):
        (row,) = tg.summary(module).rows
        return [formula.symbols for formula in row.formulas]

    for sizes in ((3, 5), (4, 4), (8, 2), (16, 4)):  # I = H, I = 4·H
        assert formulas(nn.LSTM(*sizes)) == ["4·(I·H + H·H + 2·H)"]
        assert formulas(nn.GRU(*sizes)) == ["3·(I·H + H·H + 2·H)"]
        assert formulas(nn.RNN(*sizes)) == ["I·H + H·H + 2·H"]
        assert formulas(nn.LSTMCell(*sizes)) == ["4·(I·H + H·H + 2·H)"]
        assert formulas(nn.Linear(*sizes)) == ["I·O + O"]
        assert formulas(nn.Embedding(*sizes)) == ["V·E"]
    assert formulas(nn.LSTM(3, 5, bias=False)) == ["4·(I·H + H·H)"]
    assert formulas(nn.LSTM(3, 5, proj_size=3)) == ["4·(I·H + P·H + 2·H) + P·H"]
    assert formulas(nn.GRU(3, 5, num_layers=2)) == ["3·(I·H + H·H + 2·H)", "3·(H·H + H·H + 2·H)"]
    assert formulas(nn.LSTM(3, 5, num_layers=2, bidirectional=True)) == [
        "2·4·(I·H + H·H + 2·H)",
        "2·4·(2·H·H + H·H + 2·H)",
    ]
    assert formulas(nn.RNN(3, 5, bidirectional=True)) == ["2·(I·H + H·H + 2·H)"]
    peephole = tg.rnn.Recurrent(tg.rnn.PeepholeLSTMCell, 4, 4)
    assert formulas(peephole) == ["4·(I·H + H·H + 2·H) + 3·H"]
    assert formulas(tg.rnn.Recurrent(tg.rnn.IndRNNCell, 4, 4)) == ["I·H + 3·H"]
    assert formulas(tg.rnn.Recurrent(OwnModule, 3, 5)) == ["3·5 + 5·5 + 5·1"]
    assert formulas(nn.LSTM(3, 5, wrap=tg.rnn.Zoneout)) == ["4·(I·H + H·H + 2·H)"]
    assert formulas(tg.rnn.Zoneout(nn.LSTMCell(3, 5))) == ["4·(I·H + H·H + 2·H)"]


class Own(nn.Module):
    def __init__(self):
        self.W = nn.Parameter(np.zeros((2, 3), np.float32))
        self.b = nn.Parameter(np.zeros(3), requires_grad=False)
        self.scale = nn.Parameter(np.float32(1.0))

    def forward(self, x):
        return x @ self.W * self.scale + self.b


def test_a_module_of_ones_own_is_counted_by_its_shapes():
    made = tg.summary(Own())
    (row,) = made.rows
    assert row.formulas[0].symbols == row.formulas[0].numbers == "2·3 + 3 + 1"
    assert (row.parameters, row.trainable) == (10, 7)
    assert (made.trainable, made.not_trainable, made.bytes) == (7, 3, 4 * 7 + 8 * 3)


class Tied(nn.Module):
    """Shares a layer, and a weight; has a list of layers, and one without parameters."""

    def __init__(self):
        self.embedding = nn.Embedding(9, 4, rng=0)
        self.body = nn.Sequential(nn.Linear(4, 4, rng=0), nn.Tanh())
        self.again = self.body[0]
        self.stack = [nn.Dropout(0.5), nn.Linear(4, 4, rng=0)]
        self.out = nn.Linear(4, 9, bias=False, rng=0)
        self.out.weight = self.embedding.weight
        self.unused = nn.Linear(2, 2, rng=0)

    def forward(self, words):
        x = self.again(self.body(self.embedding(words)))
        for layer in self.stack:
            x = layer(x)
        return self.out(x)


def test_what_is_shared_is_counted_once_and_marked():
    model = Tied()
    made = tg.summary(model)
    assert made.parameters == sum(p.size for p in model.parameters()) == 36 + 20 + 20 + 6
    notes = {row.name: row.note for row in made.rows if row.note}
    assert notes == {"again": "same as body.0", "out": "weight is embedding.weight"}
    assert [row.parameters for row in made.rows if row.name in ("again", "out")] == [0, 0]
    assert [layer.depth for layer in count_layers(model)] == [0, 1, 1, 2, 2, 1, 1, 1, 1, 1]


def test_a_module_inside_itself_is_gone_through_once():
    model = nn.Sequential(nn.Linear(2, 3))
    model.me = model
    rows = tg.summary(model).rows
    assert [(row.name, row.note) for row in rows] == [
        ("", ""),
        ("0", ""),
        ("me", "same as the module itself"),
    ]


# Shapes


def test_shapes_seen_in_a_run_have_batch_and_time_by_name():
    time_first = nn.Sequential(nn.Embedding(9, 4), nn.LSTM(4, 8, bidirectional=True), nn.ReLU())
    seen = shapes(tg.summary(time_first, np.zeros((5, 3), int)))
    assert seen == {
        "": "(time, batch, 16)",
        "0": "(time, batch, 4)",
        "1": "(time, batch, 16)",
        "2": "(time, batch, 16)",
    }
    batch_first = nn.Sequential(nn.Linear(2, 4), nn.GRU(4, 8, batch_first=True), nn.Linear(8, 3))
    seen = shapes(tg.summary(batch_first, np.zeros((3, 5, 2), np.float32)))
    assert seen["0"] == "(batch, time, 4)"
    assert seen[""] == seen["2"] == "(batch, time, 3)"
    alone = shapes(tg.summary(batch_first, np.zeros((5, 2), np.float32)))
    assert alone["0"] == "(time, 4)"
    assert alone["1"] == "(time, 8)"


def test_features_of_the_size_of_batch_or_time_stay_numbers():
    class Last(nn.Module):
        def __init__(self):
            self.lstm = nn.LSTM(5, 5, batch_first=True)
            self.act = nn.Tanh()
            self.out = nn.Linear(5, 3)

        def forward(self, x):
            states, _ = self.lstm(x)
            return self.out(self.act(states[:, -1]))

    for batch in (3, 5):  # the second as long as the sequence, and as wide as the features
        seen = shapes(tg.summary(Last(), np.zeros((batch, 5, 5))))
        assert seen == {
            "": "(batch, 3)",
            "lstm": "(batch, time, 5)",
            "act": "(batch, 5)",
            "out": "(batch, 3)",
        }


def test_of_two_axes_of_one_size_the_one_that_is_left_is_the_batch():
    class Last(nn.Module):
        def __init__(self):
            self.rnn, self.act = nn.RNN(2, 3), nn.Tanh()

        def forward(self, x):
            return self.act(self.rnn(x)[0][-1])

    seen = shapes(tg.summary(Last(), np.zeros((4, 4, 2))))
    assert seen == {"": "(batch, 3)", "rnn": "(time, batch, 3)", "act": "(batch, 3)"}


def test_calls_are_looked_at_inside_only():
    seen = []
    layer = nn.ReLU()
    x = np.ones(2)
    with looking_on(lambda module, args, result: seen.append((module, args, result.tolist()))):
        layer(x)
    layer(-x)
    assert seen == [(layer, (x,), [1.0, 1.0])]


def test_several_results_several_calls_and_lengths():
    class Loop(nn.Module):
        def __init__(self):
            self.cell = nn.LSTMCell(4, 6)
            self.out = nn.Linear(6, 2)
            self.gru = nn.GRU(4, 3)

        def forward(self, x, lengths):
            self.gru(x, lengths=lengths)
            state = None
            for x_t in x:
                state = self.cell(x_t, state)
            return {
                "y": self.out(state.h),
                "all": (self.out(x[..., :1] @ np.ones((1, 6))), state.c),
            }

    made = tg.summary(Loop(), np.zeros((7, 3, 4), np.float32), lengths=[7, 1, 2])
    assert shapes(made) == {
        "": "y (batch, 2), all (time, batch, 2), all (batch, 6)",
        "cell": "h (batch, 6), c (batch, 6)",
        "out": "(batch, 2) or (time, batch, 2)",
        "gru": "(time, batch, 3)",
    }
    assert [row.calls for row in made.rows] == [1, 7, 2, 1]


def test_shapes_known_before_a_run():
    known = {
        "(…, 2)": nn.Linear(3, 2),
        "(…, 7)": nn.Embedding(3, 7),
        "(…, 4, 5)": nn.LayerNorm((4, 5)),
        "(time, batch, 6)": nn.GRU(2, 3, bidirectional=True),
        "(batch, time, 4)": nn.LSTM(2, 8, proj_size=4, batch_first=True),
        "(batch, 8)": nn.GRUCell(2, 8),
        "(time, batch, 5)": tg.rnn.Recurrent(OwnModule, 3, 5),
        "(…, 9)": nn.Sequential(nn.ReLU(), nn.Linear(2, 9)),
        "?": nn.ReLU(),
    }
    for text, module in known.items():
        assert tg.summary(module).rows[0].output_shape == text
    assert tg.summary(nn.Sequential()).rows[0].output_shape == "?"


def test_a_packed_sequence_and_a_loss():
    packed = nn.utils.rnn.pack_padded_sequence(np.zeros((5, 3, 2), np.float32), [5, 3, 1])
    assert tg.summary(nn.GRU(2, 4), packed).rows[0].output_shape == "(steps, 4)"
    loss = tg.summary(nn.MSELoss(), np.zeros((3, 2)), np.zeros((3, 2)))
    assert loss.rows[0].output_shape == "()"


# Nothing is changed


class Restless(nn.Module):
    """Changes all that it can reach when it runs."""

    def __init__(self):
        self.lstm = nn.LSTM(2, 3, wrap=lambda cell: tg.rnn.Zoneout(cell, 0.3))
        self.drop = nn.Dropout(0.5, rng=4)
        self.frozen = nn.Dropout(0.5).eval()
        self.rng = np.random.default_rng(7)
        self.mean = np.zeros(3)
        self.buffer = tg.Tensor([1.0, 2.0])
        self.seen = []
        self.table = {}
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        self.new = x
        self.mean += self.rng.random(3) + np.random.rand()
        self.buffer.data = self.buffer.data + default.generator().random()
        self.seen.append(x)
        self.table["x"] = x
        assert not self.training
        assert not self.lstm._cells[0].training
        y = self.drop(self.lstm(x)[0])
        assert not y.requires_grad
        return y


def snapshot(module):
    spaces = []
    for each in everything_in(module):
        space = {k: v for k, v in vars(each).items() if k != "_place"}
        for name, value in space.items():
            if isinstance(value, np.random.Generator):
                space[name] = str(value.bit_generator.state)
            elif isinstance(value, tg.Tensor):
                space[name] = value.data.tolist()
            elif isinstance(value, (np.ndarray, list, dict)):
                space[name] = repr(value)
        spaces.append((each.training, space))
    return spaces


@pytest.mark.parametrize("mode", [True, False])
def test_a_run_leaves_everything_as_it_was(mode):
    tg.manual_seed(3)
    model = Restless().train(mode)
    model.frozen.training = False
    before = snapshot(model)
    general, legacy = default._default.bit_generator.state, np.random.get_state()[1].copy()
    x = np.ones((4, 2, 2), np.float32)
    with tg.record() as recording:
        tg.summary(model, x)
    assert snapshot(model) == before
    assert default._default.bit_generator.state == general
    np.testing.assert_array_equal(np.random.get_state()[1], legacy)
    assert not recording.values
    assert not recording.loops
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("quick", [False, True])
def test_training_goes_on_as_if_it_had_not_been_looked_at(quick):
    def losses(look):
        tg.manual_seed(3)
        model = nn.LSTM(2, 3, num_layers=2, dropout=0.5, wrap=tg.rnn.Zoneout)
        x = np.ones((2 if quick else 6, 2, 2), np.float32)  # two steps run on plain arrays
        found = []
        for _ in range(3):
            if look:
                tg.summary(model, x)
            with tg.no_grad() if quick else tg.enable_grad():
                found.append(float(model(x)[0].sum()))
        return found

    assert losses(look=True) == losses(look=False)


def test_all_is_put_back_when_the_call_fails():
    model = Restless()
    before = snapshot(model)
    with pytest.raises(tg.errors.ShapeError, match=r"LSTM 'lstm'.*input_size. Expected 2, got 5"):
        tg.summary(model, np.ones((4, 2, 5)))
    assert snapshot(model) == before


# Text


class Small(nn.Module):
    def __init__(self):
        self.단어 = nn.Embedding(1000, 32)
        self.lstm = nn.LSTM(32, 64, batch_first=True)
        self.head = nn.Sequential(nn.Dropout(0.1), nn.Linear(64, 2))
        self.단어.weight.requires_grad = False

    def forward(self, words):
        return self.head(self.lstm(self.단어(words))[0])


GOLDEN = pathlib.Path(__file__).parent / "golden"


def golden(name):
    return (GOLDEN / f"summary_{name}.txt").read_text(encoding="utf-8").rstrip("\n")


def columns(text):
    """The columns of a terminal that a text takes."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def test_columns_are_aligned_in_a_terminal_also_with_korean_names():
    lines = text_of(tg.summary(Small(), np.zeros((3, 5), int)))
    rule = lines.index(lines[1])
    table = lines[rule + 1 : lines.index(lines[1], rule + 1)]
    for word in ("Embedding", "LSTM ", "Sequential", "Dropout", "Linear"):
        (row,) = [line for line in table if word in line]
        assert columns(row[: row.index(word)]) == lines[0].index("Type")
    for row in table[1:]:
        assert columns(row[: row.index("(batch")]) == lines[0].index("Output shape")


def test_the_text_after_a_run():
    assert str(tg.summary(Small(), np.zeros((3, 5), int))) == golden("after")


def test_the_text_before_a_run():
    assert str(tg.summary(Small())) == golden("before")
    assert repr(tg.summary(Small())) == golden("before")


def test_the_text_of_layers_in_layers():
    model = nn.LSTM(10, 20, 4, bidirectional=True, proj_size=5)
    assert str(tg.summary(model)) == golden("stacked")


def test_the_text_of_what_is_shared():
    assert str(tg.summary(Tied(), np.zeros((2, 3), int))) == golden("shared")


def test_the_text_of_nothing():
    assert text_of(tg.summary(nn.ReLU()))[-4:] == [
        "Parameters: 0",
        "  trainable: 0",
        "  not trainable: 0",
        "Memory of the parameters: 0 bytes",
    ]


# Wrong use


def test_summary_teaches():
    with pytest.raises(TypeError, match=r"takes a Module, such as nn.LSTM\(3, 8\), got the class"):
        tg.summary(nn.LSTM)
    with pytest.raises(
        TypeError, match=r"got ndarray: first the module, then what to call it with"
    ):
        tg.summary(np.zeros(3), nn.ReLU())
