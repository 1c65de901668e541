"""demos/many_to_many.py: its dates, its network, and a small run of the whole."""

from __future__ import annotations

import datetime
import importlib
import json
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_rnn as tg

pytest.importorskip("matplotlib")

DEMOS = Path(__file__).parent.parent / "demos"
sys.path.insert(0, str(DEMOS))

many_to_many = importlib.import_module("many_to_many")

TINY = ["--days", "120", "--hidden", "4", "--epochs", "1"]


@pytest.fixture(scope="module")
def parts():
    """Test, validation and training dates."""
    rng = np.random.default_rng(3)
    days = many_to_many.draw_days(300, rng)
    return [many_to_many.Dates(part, rng) for part in days]


def letters_of(dates):
    return tg.data.Vocabulary.from_text(dates.texts, unknown="?", padding="_")


# The dates


def test_a_day_in_every_form():
    moon, other = datetime.date(1969, 7, 20), datetime.date(2003, 11, 2)
    assert [many_to_many.write(moon, form, other) for form in many_to_many.FORMS] == [
        "20 July 1969",
        "July 20, 1969",
        "Jul. 20, 1969",
        "Sunday, July 20, 1969",
        "Sun 20 Jul 1969",
        "the 20th of July, 1969",
        "July 20th 1969",
        "Jul 20 '69",
        "20-Jul-69",
        "07/20/1969",
        "20.7.1969",
        "1969년 7월 20일",
        "19690720",
        "07/20/1969, not 11/02/2003",
        "not 11/02/2003 but 07/20/1969",
    ]


def test_the_year_2000_has_two_digits_too():
    day = datetime.date(2000, 2, 29)
    assert many_to_many.write(day, "{d}-{mon}-{yy:02}", day) == "29-Feb-00"


def test_ordinals():
    endings = "1st 2nd 3rd 4th 10th 11th 12th 13th 14th 20th 21st 22nd 23rd 24th 30th 31st"
    for ordinal in endings.split():
        assert many_to_many.ordinal(int(ordinal[:-2])) == ordinal


def test_no_text_means_two_days(parts):
    meanings = {}
    for dates in parts:
        for text, answer in zip(dates.texts, dates.answers, strict=True):
            assert meanings.setdefault(text.lower(), answer) == answer


def test_no_part_mentions_a_day_of_another(parts):
    named = []
    for dates in parts:
        days = {datetime.date.fromisoformat(answer) for answer in dates.answers}
        assert len(days) == len(dates.answers)
        for text in dates.texts:
            for month, day, year in (found.split("/") for found in dates_with_slashes(text)):
                days.add(datetime.date(int(year), int(month), int(day)))
        named.append(days)
    test, validation, training = named
    assert (len(test), len(validation), len(training)) == (1000, 500, 300)
    assert not test & validation
    assert not test & training
    assert not validation & training


def dates_with_slashes(text):
    words = (word.strip(",") for word in text.split())
    return [word for word in words if word.count("/") == 2]


def test_the_test_days_do_not_depend_on_the_number_of_training_days():
    few, many = (many_to_many.draw_days(n, np.random.default_rng(0)) for n in (100, 35025))
    assert few[:2] == many[:2]
    assert len(set().union(*many)) == 36525  # all days of a hundred years, 25 leap days among them


def test_arrays(parts):
    dates = parts[0]
    letters = letters_of(dates)
    texts, lengths, read, targets = dates.arrays(letters)
    assert [letters.decode(row) for row in texts] == dates.texts
    assert lengths.tolist() == [len(text) for text in dates.texts]
    decode = many_to_many.ANSWERS.decode
    assert [decode(row) for row in targets] == dates.answers
    assert [decode(row) for row in read] == [">" + answer[:-1] for answer in dates.answers]


# The network


@pytest.fixture
def untrained(parts):
    dates = parts[0]
    letters = letters_of(dates)
    model = many_to_many.Translator(len(letters), hidden=5, seed=0)
    return model, [array[:40] for array in dates.arrays(letters)]


@pytest.mark.parametrize("attention", [True, False])
def test_the_gradients_are_those_of_the_loss(attention):
    model = many_to_many.Translator(6, hidden=2, seed=0, attention=attention)
    for parameter in model.parameters():
        parameter.data = parameter.data.astype(np.float64)
    rng = np.random.default_rng(0)
    texts, lengths = rng.integers(1, 6, (2, 4)), np.array([4, 2])
    symbols = rng.integers(0, 12, (2, 3))
    weight = model.encoder.weight_hh_l0_reverse

    def loss():
        return many_to_many.loss(model(texts, lengths, symbols), symbols)

    loss().backward()
    kept, eps = weight.data[1, 1], 1e-6
    weight.data[1, 1] = kept + eps
    above = float(loss())
    weight.data[1, 1] = kept - eps
    below = float(loss())
    assert weight.grad.data[1, 1] == pytest.approx((above - below) / (2 * eps), rel=1e-4)


def test_attention_adds_up_to_one_and_leaves_out_the_padding(untrained):
    model, (texts, lengths, symbols, _) = untrained
    memory, state = model.read(model.letters(texts), lengths)
    states, _ = model.decoder(model.symbols(symbols), state)
    weights = model.attention(states, memory, lengths).data
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    beyond = np.arange(texts.shape[1]) >= lengths[:, None]
    assert beyond.any()
    assert not weights.swapaxes(1, 2)[beyond].any()
    assert (weights.swapaxes(1, 2)[~beyond] > 0).all()


@pytest.mark.parametrize("attention", [True, False])
def test_padding_changes_nothing(untrained, attention):
    _, (texts, lengths, symbols, _) = untrained
    model = many_to_many.Translator(80, hidden=5, seed=0, attention=attention)
    together = model(texts, lengths, symbols).data
    shortest = int(lengths.argmin())
    one = slice(shortest, shortest + 1)
    alone = model(texts[one, : lengths[shortest]], lengths[one], symbols[one]).data
    assert lengths[shortest] < texts.shape[1]
    np.testing.assert_allclose(together[one], alone, atol=1e-5)


def test_the_decoder_begins_where_both_directions_end(untrained):
    model, (texts, lengths, _, _) = untrained
    memory, state = model.read(model.letters(texts), lengths)
    (begin,) = state.data
    last_letter = memory.data[np.arange(len(texts)), lengths - 1]
    np.testing.assert_array_equal(begin[:, :5], last_letter[:, :5])
    np.testing.assert_array_equal(begin[:, 5:], memory.data[:, 0, 5:])


def test_without_attention_there_is_only_the_last_state():
    model = many_to_many.Translator(80, hidden=5, seed=0, attention=False)
    memory, state = model.read(model.letters(np.full((1, 4), 3)), np.array([4]))
    symbols = np.zeros((1, 2), int)
    scores, _ = model.write(symbols, state, memory, np.array([4]))
    blank, _ = model.write(symbols, state, 0 * memory, np.array([4]))
    assert np.array_equal(scores.data, blank.data)


def test_what_is_written_is_read_before_the_next(untrained):
    """Read with teacher forcing, the network's own answers are the likeliest at every step."""
    model, (texts, lengths, _, _) = untrained
    answers = many_to_many.translate(model, texts, lengths)
    assert len(set(answers)) > 1
    numbers = np.stack([many_to_many.ANSWERS.encode(answer) for answer in answers])
    start = np.zeros((len(texts), 1), int)
    scores = model(texts, lengths, np.append(start, numbers[:, :-1], axis=1))
    assert many_to_many.exact_match(scores, numbers) == 1


def labels(axis):
    return "".join(label.get_text() for label in axis.get_ticklabels())


def test_pictures_show_what_the_network_itself_has_written(parts, untrained):
    model, arrays = untrained
    dates = parts[0]
    which = [3, 7]
    answers = many_to_many.translate(model, *arrays[:2])
    assert all(answers[k] != dates.answers[k] for k in which)
    *panels, bar = many_to_many.draw_attention(model, arrays, dates, which).axes
    assert "adds up to 1" in bar.get_ylabel()
    for k, panel in zip(which, panels, strict=True):
        assert labels(panel.yaxis) == answers[k]
        assert dates.answers[k] in panel.get_title()
        numbers = many_to_many.ANSWERS.encode(answers[k])
        one = slice(k, k + 1)
        memory, state = model.read(model.letters(arrays[0][one]), arrays[1][one])
        for symbol, row in zip([0, *numbers[:-1]], panel.images[0].get_array(), strict=True):
            states, state = model.decoder(model.symbols(np.array([[symbol]])), state)
            looks = model.attention(states, memory, arrays[1][one]).data[0, 0]
            np.testing.assert_allclose(row, looks[: arrays[1][k]], atol=1e-6)

    felt = many_to_many.draw_connectivity(model, arrays, dates, which[0])
    assert labels(felt.figure.axes[0].yaxis) == answers[which[0]]


def test_exact_match_asks_for_every_symbol():
    targets = np.array([[1, 2], [3, 4], [5, 6], [7, 8]])
    guesses = np.array([[1, 2], [3, 5], [6, 6], [0, 0]])
    assert many_to_many.exact_match(tg.Tensor(np.eye(9)[guesses]), targets) == 0.25


def test_it_learns_a_few_dates():
    """A dozen dates, learnt by heart: forward, backward, and the way the symbols are shifted."""
    rng = np.random.default_rng(0)
    dates = many_to_many.Dates(many_to_many.draw_days(12, rng)[2], rng)
    letters = letters_of(dates)
    arrays = dates.arrays(letters)
    model = many_to_many.Translator(len(letters), hidden=16, seed=0)
    args = SimpleNamespace(seed=0, epochs=60)
    history = many_to_many.fit(model, arrays, arrays, 0.03, args)
    assert history["exact match"][0] == 0
    answers = many_to_many.translate(model, *arrays[:2])
    assert many_to_many.share_right(answers, dates) == 1


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def test_ctrl_c_ends_it_all(tmp_path, monkeypatch, capsys):
    def loss(*given, real=many_to_many.loss):
        os.kill(os.getpid(), signal.SIGINT)
        return real(*given)

    monkeypatch.setattr(many_to_many, "loss", loss)
    with pytest.raises(KeyboardInterrupt):
        many_to_many.main([*TINY, "--out", str(tmp_path)])
    assert "without attention" not in capsys.readouterr().out


# The baselines


def test_the_rule_knows_what_it_says():
    day, other = datetime.date(1979, 5, 3), datetime.date(1980, 6, 4)
    right = {
        form: many_to_many.rule(many_to_many.write(day, form, other)) == "1979-05-03"
        for form in many_to_many.FORMS
    }
    assert [form for form, is_right in right.items() if not is_right] == [
        "{mon} {d} '{yy:02}",
        "{d}-{mon}-{yy:02}",
        "{d}.{m}.{y}",
        "not {other} but {m:02}/{d:02}/{y}",
    ]
    assert many_to_many.rule("THE 22ND OF DECEMBER, 2031") == "2031-12-22"


def test_groups_of_letters():
    assert many_to_many.Groups.groups("3M") == [" ", "3", "m", " ", " 3", "3m", "m ", " 3m", "3m "]
    model = many_to_many.Groups(["3M"])
    assert model.encode(["3m", "x"]).tolist()[1][:3] == [1, 0, 1]  # blank, new, blank
    numbers = many_to_many.ANSWERS.encode("1979-05-03")
    votes = model.votes.weight.data.reshape(-1, 10, len(many_to_many.ANSWERS))
    votes[model.numbers["3m"], range(10), numbers] = 1
    assert model.translate(["3M"]) == ["1979-05-03"]


def test_the_groups_learn(parts):
    model = many_to_many.train_groups(
        dict(zip(("test", "validation", "training"), parts, strict=True)),
        SimpleNamespace(seed=0, epochs=6),
    )
    training = parts[2]
    assert many_to_many.share_right(model.translate(training.texts), training) > 0.2


# The whole


def test_shares_are_counted_form_by_form(capsys):
    dates = SimpleNamespace(
        forms=["{d} {month} {y}", "{d} {month} {y}", "{d}.{m}.{y}"], answers=["a", "b", "c"]
    )
    table = many_to_many.print_table({"mine": ["a", "x", "c"], "theirs": ["x", "x", "c"]}, dates)
    assert table["3 May 1979"] == {"mine": 0.5, "theirs": 0}
    assert table["3.5.1979"] == {"mine": 1, "theirs": 1}
    assert table["all forms"] == {"mine": pytest.approx(2 / 3), "theirs": pytest.approx(1 / 3)}
    many_to_many.print_margins({"mine": 0.5, "better": 0.75, "worse": 0.25})
    printed = capsys.readouterr().out
    assert "mine is 25.0 points BELOW better" in printed
    assert "mine is 25.0 points above worse" in printed


def test_a_small_run_and_the_same_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(many_to_many, "PICTURED", many_to_many.PICTURED[-1:])
    first = many_to_many.main([*TINY, "--out", str(tmp_path / "a")])
    printed = capsys.readouterr().out
    monkeypatch.setattr(many_to_many, "draw", lambda *given: {})  # once is enough
    again = many_to_many.main([*TINY, "--out", str(tmp_path / "b")])
    assert first == again
    made = {path.name for path in (tmp_path / "a").iterdir()}
    assert made == {"attention.png", "connectivity.png", "training.png", "figures.json"}
    for name in made:
        assert str(tmp_path / "a" / name) in printed
    kept = json.loads((tmp_path / "a" / "figures.json").read_text(encoding="utf-8"))
    assert kept["exact_match"] == first["exact_match"]
    assert kept["options"]["days"] == 120
    assert list(first["exact_match"]) == ["attention", "no attention", "letter groups", "rule"]
    assert 0.6 < first["exact_match"]["rule"] < 0.85  # 11 of the 15 forms
    assert first["exact_match_by_form"]["3 May 1979"]["rule"] == 1
    assert len(first["exact_match_by_form"]) == 15
    assert first["exact_match"]["attention"] < 0.1  # nobody learns this in two updates


def test_another_seed_gives_other_dates():
    days = [many_to_many.draw_days(100, np.random.default_rng(seed))[0] for seed in (0, 1)]
    assert days[0] != days[1]


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as stopped:
        many_to_many.main(["--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    for option in ("--days", "--hidden", "--epochs", "--lr", "--seed", "--out"):
        assert option in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--days", "99"], "argument --days: '99'"),
        (["--days", "35026"], "argument --days: there are 35025 days"),
        (["--lr", "0"], "argument --lr: '0'"),
    ],
)
def test_wrong_arguments_get_one_line_and_exit_code_2(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        many_to_many.main([*arguments, "--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err.strip().split("\n")[-1]
