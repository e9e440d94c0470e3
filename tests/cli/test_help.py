"""What `regraft --help` lists, in which order, and the earlier names that are still understood."""

from __future__ import annotations

import re

import pytest

from regraft.cli.app import run


def helped(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run([*words, "--help"]) == 0
    return capsys.readouterr().out


def names_by_group(text: str) -> dict[str, list[str]]:
    """The commands in each frame of the help."""
    found: dict[str, list[str]] = {}
    for frame in re.findall(r"╭─ (.*?) ─+╮\n(.*?)╰", text, re.DOTALL):
        found[frame[0]] = re.findall(r"^│ (\S+) ", frame[1], re.MULTILINE)
    return found


def test_commands_are_listed_by_what_people_do_in_the_order_in_which_they_do_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert names_by_group(helped(capsys)) == {
        "Fit a model": [
            "demo",
            "data",
            "check",
            "advise",
            "fit",
            "runs",
            "compare",
            "find-lr",
            "plot-schedule",
            "extract",
        ],
        "Look closer": ["report", "explain", "visualize", "lab"],
        "Take it away": ["predict", "export", "serve"],
        "Boxes around objects": ["convert", "crops"],
        "Networks and weights": ["zoo", "weights"],
        "This machine": ["doctor", "cache", "--install-completion"],
        "Options": ["--help", "--version"],
    }


def sentences(frame: str) -> list[str]:
    """What stands behind each name of a frame; long ones go on in lines without a name."""
    found: list[str] = []
    for name, text in re.findall(r"^│ (\S*) +(\S.*?) *│$", frame, re.MULTILINE):
        found += [text] if name else []
        found[-1] += "" if name else f" {text}"
    return found


def test_every_line_of_the_help_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for group in ((), ("zoo",), ("weights",), ("cache",)):
        frames = re.findall(r"╭─ (.*?) ─+╮\n(.*?)╰", helped(capsys, *group), re.DOTALL)
        listed = [text for title, text in frames if title not in ("Options", "Arguments", "Parameters")]
        for sentence in sentences("".join(listed)):
            assert re.fullmatch(r"[A-Z][a-z]+,? .*\.", sentence), sentence


def test_members_of_a_group_are_listed_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert names_by_group(helped(capsys, "weights"))["Commands"] == ["list", "fetch", "verify", "import"]


@pytest.mark.parametrize(("alias", "name"), [("features", "visualize"), ("plan", "advise")])
def test_an_earlier_name_has_the_options_of_the_new_one(
    alias: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told, expected = helped(capsys, alias), helped(capsys, name)
    assert told.replace(f"regraft {alias} [", f"regraft {name} [") == expected


def test_features_says_what_it_is_called_now(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["features", "nowhere", "--steps", "0"]) != 0
    assert "features is now called visualize: regraft visualize nowhere" in capsys.readouterr().err
