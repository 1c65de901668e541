"""demos/one_to_many.py: the names of numbers, the arrays, the network, and a small run."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg

sys.path.insert(0, str(Path(__file__).parent.parent / "demos"))

one_to_many = importlib.import_module("one_to_many")

SMALL = ("--largest", "99", "--numbers", "50", "--hidden", "8", "--epochs", "1")


@pytest.fixture
def letters():
    return tg.data.Vocabulary(one_to_many.LANGUAGES["english"].characters + "\n", padding="_")


def speller(letters, cell="gru", feed="at every step"):
    return one_to_many.Speller(cell, feed, digits=20, symbols=len(letters), hidden=8, seed=0)


# The names of numbers


@pytest.mark.parametrize(
    ("number", "english", "korean"),
    [
        (0, "zero", "영"),
        (1, "one", "일"),
        (9, "nine", "구"),
        (10, "ten", "십"),
        (11, "eleven", "십일"),
        (12, "twelve", "십이"),
        (15, "fifteen", "십오"),
        (19, "nineteen", "십구"),
        (20, "twenty", "이십"),
        (23, "twenty-three", "이십삼"),
        (40, "forty", "사십"),
        (99, "ninety-nine", "구십구"),
        (100, "one hundred", "백"),
        (101, "one hundred one", "백일"),
        (110, "one hundred ten", "백십"),
        (111, "one hundred eleven", "백십일"),
        (123, "one hundred twenty-three", "백이십삼"),
        (666, "six hundred sixty-six", "육백육십육"),
        (1000, "one thousand", "천"),
        (1006, "one thousand six", "천육"),
        (1111, "one thousand one hundred eleven", "천백십일"),
        (1900, "one thousand nine hundred", "천구백"),
        (2024, "two thousand twenty-four", "이천이십사"),
        (8080, "eight thousand eighty", "팔천팔십"),
        (9999, "nine thousand nine hundred ninety-nine", "구천구백구십구"),
        (10_000, "ten thousand", "만"),
        (10_001, "ten thousand one", "만일"),
        (11_000, "eleven thousand", "만천"),
        (20_000, "twenty thousand", "이만"),
        (54_321, "fifty-four thousand three hundred twenty-one", "오만사천삼백이십일"),
        (100_000, "one hundred thousand", "십만"),
        (110_000, "one hundred ten thousand", "십일만"),
        (
            999_999,
            "nine hundred ninety-nine thousand nine hundred ninety-nine",
            "구십구만구천구백구십구",
        ),
    ],
)
def test_names_are_those_written_by_hand(number, english, korean):
    assert one_to_many.spell_english(number) == english
    assert one_to_many.spell_korean(number) == korean


@pytest.mark.parametrize(
    "language", list(one_to_many.LANGUAGES.values()), ids=lambda each: each.name
)
def test_no_two_numbers_share_a_name_and_all_characters_are_listed(language):
    names = language.names(np.arange(12_000))
    assert len(set(names)) == 12_000
    assert set("".join(names)) <= set(language.characters)
    assert max(map(len, names)) < one_to_many.MOST_CHARACTERS


# Numbers and names as arrays


def test_digits_are_one_hot_with_zeros_in_front():
    found = one_to_many.digits_of(np.array([7, 205]), places=3).reshape(2, 3, 10)
    assert found.sum(axis=-1).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert found.argmax(axis=-1).tolist() == [[0, 0, 7], [2, 0, 5]]


def test_what_is_read_is_what_was_written_one_step_before(letters):
    read, write = one_to_many.read_and_write(["six", "forty"], letters)
    texts = [["".join(letters.symbols[k] for k in row) for row in part] for part in (read, write)]
    assert texts == [["\nsix\n_", "\nforty"], ["six\n__", "forty\n"]]


def test_no_number_is_in_two_parts():
    training, validation, test = one_to_many.split_numbers(999, 500, seed=0)
    assert (len(training), len(validation), len(test)) == (200, 50, 250)
    everything = np.concatenate([training, validation, test])
    assert len(set(everything.tolist())) == 500
    assert everything.min() >= 0
    assert everything.max() <= 999


def test_the_split_follows_from_the_seed_and_takes_what_there_is():
    first, again, other = (one_to_many.split_numbers(99, 5000, seed)[2] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert sum(map(len, one_to_many.split_numbers(99, 5000, 0))) == 100


# Measures and baselines


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("", "", 0), ("", "abc", 3), ("ten", "ten", 0), ("kitten", "sitting", 3), ("이십", "십", 1)],
)
def test_edit_distance(a, b, distance):
    assert one_to_many.edit_distance(a, b) == distance
    assert one_to_many.edit_distance(b, a) == distance


def test_measure_counts_names_and_characters():
    found = one_to_many.measure(["ten", "fore", "six"], ["ten", "four", "sixty"])
    assert found["exact_match"] == pytest.approx(1 / 3)
    assert found["character_error_rate"] == pytest.approx((0 + 2 + 2) / (3 + 4 + 5))


def test_nearest_numbers():
    known = np.array([190, 299, 811])
    numbers = np.array([200, 291, 812])
    assert one_to_many.nearest_by_value(numbers, known).tolist() == [190, 299, 811]
    # 291 shares two digits with 299, 200 one with 190 (the last) and one with 299: 190 is closer
    assert one_to_many.nearest_by_digits(numbers, known, 3).tolist() == [190, 299, 811]
    # by digits 891 is like 811, by value it is nearer to 900
    assert one_to_many.nearest_by_digits(np.array([891]), np.array([811, 900]), 3) == 811
    assert one_to_many.nearest_by_value(np.array([891]), np.array([811, 900])) == 900


def test_the_margin_is_that_over_the_stronger_baseline():
    def row(exact, rate):
        return {"exact_match": exact, "character_error_rate": rate}

    found = one_to_many.compare(
        {
            "digits at the start": row(0.9, 0.01),
            "digits at every step": row(0.5, 0.25),
            "nearest by value": row(0.0, 0.75),
            "nearest by digits": row(0.0, 0.5),
        }
    )
    assert found == {"baseline": "nearest by digits", "margin": row(0.5, 0.25)}


# The network


@pytest.mark.parametrize("feed", one_to_many.FEEDS)
@pytest.mark.parametrize("cell", one_to_many.LAYERS)
def test_what_it_writes_is_the_likeliest_after_its_own_characters(letters, rng, cell, feed):
    """Step by step it is what the whole sequence gives when the written text is read."""
    model = speller(letters, cell, feed)
    for parameter in model.parameters():  # large ones, or all texts would be alike
        parameter.data = rng.normal(0, 2, parameter.shape).astype(np.float32)
    model.scores.bias.data[letters.encode("\n")] = -1000  # no name ends
    digits = one_to_many.digits_of(np.array([7, 42]), 2)
    written = one_to_many.spell_out(model, digits, letters)
    assert [len(name) for name in written] == [one_to_many.MOST_CHARACTERS] * 2
    assert written[0] != written[1]
    read, _ = one_to_many.read_and_write(written, letters)
    scores = model(digits, read).data[:, :-1]
    scores[:, :, letters.padding_id] = -np.inf
    assert [letters.decode(row) for row in scores.argmax(axis=-1)] == written


def test_a_name_ends_at_the_end_symbol(letters):
    model = speller(letters)
    model.scores.bias.data[letters.encode("\n")] = 100
    assert one_to_many.spell_out(model, one_to_many.digits_of(np.array([5]), 2), letters) == [""]


@pytest.mark.parametrize(("feed", "felt"), [("at the start", False), ("at every step", True)])
def test_the_digits_are_given_beside_the_characters_or_not(letters, feed, felt):
    model = speller(letters, feed=feed)
    ids = letters.encode("\n")
    one, other = (
        model.step(one_to_many.digits_of(np.array([n]), 2), ids, None)[0].data for n in (5, 6)
    )
    assert np.array_equal(one, other) != felt
    states = [model.first_state(one_to_many.digits_of(np.array([n]), 2)).data for n in (5, 6)]
    assert not np.array_equal(*states)


def test_padding_is_not_learnt(letters):
    """Neither the loss nor a gradient sees what stands after the end."""
    args = one_to_many.parser().parse_args(["--epochs", "1"])
    read, write = one_to_many.read_and_write(["six", "seventeen"], letters)
    other = np.where(write == letters.padding_id, letters.encode("x"), read)
    digits = one_to_many.digits_of(np.array([6, 17]), 2)
    losses = []
    for text in (read, other):
        parts = (digits, text, write)
        losses.append(one_to_many.train(speller(letters), parts, parts, letters, args)["loss"][0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


# The whole


def test_it_learns_to_spell_numbers_that_it_has_not_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(one_to_many, "FEEDS", ("at every step",))
    monkeypatch.setattr(one_to_many, "pictures", lambda *_: [])
    figures = one_to_many.main(
        [
            *("--language", "korean", "--largest", "999", "--numbers", "1000", "--hidden", "32"),
            *("--epochs", "15", "--lr", "0.03", "--out", str(tmp_path)),
        ]
    )
    scores = figures["korean"]["scores"]
    assert scores["digits at every step"]["exact_match"] > 0.9
    assert figures["korean"]["margin"]["character_error_rate"] > 0.1
    assert scores["nearest by digits"]["exact_match"] == 0


def test_a_small_run_of_both_languages(tmp_path, capsys):
    figures = one_to_many.main([*SMALL, "--out", str(tmp_path)])
    assert figures["numbers"] == {"training": 20, "validation": 5, "test": 25}
    for language in ("english", "korean"):
        scores = figures[language]["scores"]
        assert all(0 <= row["exact_match"] <= 1 for row in scores.values())
        assert len(scores) == 4
    kept = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert kept.pop("options")["hidden"] == 8
    assert kept == figures
    printed = capsys.readouterr().out
    assert "25 held out for the test" in printed
    made = sorted(path.name for path in tmp_path.iterdir())
    assert len(made) == 11
    assert all(str(tmp_path / name) in printed for name in made)


def test_the_graph_has_one_input_and_an_output_for_each_character(letters):
    read, _ = one_to_many.read_and_write(["six"], letters)
    digits = one_to_many.digits_of(np.array([6]), 2)
    graph = one_to_many.graph_of_writing(
        speller(letters, feed="at the start"), digits, read, ["s", "i", "x", "end"]
    )
    names = [node.name for node in graph.nodes]
    assert names.count("digits") == 1
    assert [name for name in names if name in ("s", "i", "x", "end")] == ["s", "i", "x", "end"]


def test_the_same_seed_gives_the_same_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(one_to_many, "FEEDS", ("at every step",))
    monkeypatch.setattr(one_to_many, "pictures", lambda *_: [])
    arguments = [*SMALL, "--language", "korean", "--cell", "lstm", "--out", str(tmp_path)]
    first, again, other = (one_to_many.main([*arguments, "--seed", seed]) for seed in "001")
    assert first == again
    assert first != other


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as stopped:
        one_to_many.main(["--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert one_to_many.__doc__.splitlines()[0] in printed
    for option in (
        "--language",
        "--cell",
        "--largest",
        "--numbers",
        "--hidden",
        "--epochs",
        "--lr",
    ):
        assert option in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--largest", "1000000"], "argument --largest: names are known up to 999999"),
        (["--language", "latin"], "argument --language: invalid choice"),
        (["--hidden", "0"], "argument --hidden: '0'"),
    ],
)
def test_wrong_arguments_get_one_line_and_exit_code_2(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        one_to_many.main([*arguments, "--out", str(tmp_path)])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err.strip().split("\n")[-1]
