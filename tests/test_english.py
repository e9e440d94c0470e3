"""Docstrings, help texts and messages are plain English: complete sentences in the field's words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "regraft"
FILES = sorted(SOURCE.rglob("*.py"))
COMMANDS = sorted((SOURCE / "cli").rglob("*.py"))
# What is rare, translated or a metaphor, and the word to use instead.
INSTEAD = {
    r"mend(s|ed|ing)?": "fix",
    r"dear(er|est)?": "expensive",
    r"nought": "zero",
    r"at hand": "available",
    r"goes on": "resumes, or continues",
    r"as ever": "as before",
    r"so many": "the number itself",
    r"whoever": "the process or the user",
    r"beside": "next to",
    r"(is|are) told": "receives, or reports to",
    r"judg(e|es|ed|ing)": "evaluate, or predict",
    r"(is|are) no numbers?": "is not a number, or NaN",
    r"hold us to": "enforce",
}
REPORTS = {"print", "note", "warn", "decided"}


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and text of every docstring, those of fields included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield from literals(node)


def messages(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and text of every literal that is raised, reported, printed or given as help."""
    for node in ast.walk(tree):
        is_report = isinstance(node, ast.Call) and name_of(node.func) in REPORTS
        is_help = isinstance(node, ast.keyword) and node.arg == "help"
        if is_report or is_help or isinstance(node, ast.Raise):
            yield from literals(node)


def name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def literals(node: ast.AST) -> Iterator[tuple[int, str]]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.lineno, part.value


def words_to_replace(code: str) -> list[tuple[int, str, str]]:
    """`(line, word found, what to write instead)`."""
    tree = ast.parse(code)
    found = []
    for line, text in [*docstrings(tree), *messages(tree)]:
        prose = re.sub(r"`[^`]*`|--[\w-]+", "", text)  # names of code and of flags are not prose
        for word, better in INSTEAD.items():
            match = re.search(rf"\b{word}\b", prose, re.IGNORECASE)
            found += [(line, match[0], better)] if match else []
    return found


def test_texts_are_plain_english() -> None:
    found = [(str(path), *word) for path in FILES for word in words_to_replace(path.read_text())]
    assert not found, "\n".join(
        f"{path}:{line}: {word} (write: {better})" for path, line, word, better in found
    )


def test_docstrings_begin_with_what_they_describe() -> None:
    texts = [(path, *text) for path in FILES for text in docstrings(ast.parse(path.read_text()))]
    found = [(str(path), line, text) for path, line, text in texts if text.lstrip().startswith("Of ")]
    assert not found, "\n".join(f"{path}:{line}: {text}" for path, line, text in found)


def test_help_of_a_flag_begins_with_what_it_sets() -> None:
    texts = [text for path in COMMANDS for _, text in docstrings(ast.parse(path.read_text()))]
    assert not [line for text in texts for line in re.findall(r"^ +\w+: of .*", text, re.MULTILINE)]


@pytest.mark.parametrize(
    "code", ['"""It mends."""', 'print(f"{x} is dearer")', 'raise ValueError("mend it")', 'f(help="at hand")']
)
def test_texts_of_every_kind_are_read(code: str) -> None:
    assert words_to_replace(code)


@pytest.mark.parametrize("code", ['x = "mend"', '"""See `judge`."""', 'print("regraft zoo --at-hand")'])
def test_names_of_code_are_not_read(code: str) -> None:
    assert not words_to_replace(code)
