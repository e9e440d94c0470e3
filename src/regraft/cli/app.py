"""The command line: which commands there are, and how they end.

Exit codes: 0 done, 1 an error that the message explains, 2 a command that can't be obeyed, 130 Ctrl-C.
Every command lives in a file of its own and is imported when it is called, so `--help` needs neither
torch nor numpy.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

import cyclopts

from regraft import __version__
from regraft.cli.zoo import list_networks
from regraft.errors import RegraftError, SettingsError

app = cyclopts.App(
    name="regraft",
    version=__version__,
    help="Transfer a pretrained vision network to a folder of images, on this machine.\n\n"
    "Start with `regraft demo`, or `regraft fit photos/` where photos/ holds a folder per class. "
    "Add --debug to any command for a traceback, --json for machine-readable lines.",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
app.command("regraft.cli.fit:fit", name="fit", help="Transfer a pretrained network to your images.")
app.command(
    "regraft.cli.advise:advise", name="advise", help="What to freeze, what to train, and why: measured first."
)
app.command("regraft.cli.compare:compare", name="compare", help="Which run is better, if that can be told.")
app.command(
    "regraft.cli.report:report", name="report", help="One page about a run: how good, why, where it fails."
)
app.command(
    "regraft.cli.explain:explain", name="explain", help="Where the model looks, and what is alike to it."
)
app.command(
    "regraft.cli.features:features",
    name="features",
    help="What a network has learned: edges to parts.",
)
app.command("regraft.cli.export:export", name="export", help="The model as a file that others can run.")
app.command("regraft.cli.serve:serve", name="serve", help="The model on the web, with a page for people.")
app.command("regraft.cli.runs:runs", name="runs", help="All runs of a folder, the most accurate first.")
app.command(
    "regraft.cli.doctor:doctor", name="doctor", help="What this machine has, what is wrong, what to do."
)
app.command("regraft.cli.plan:plan", name="plan", help="What fit would do, as a file to edit and run.")
app.command(
    "regraft.cli.find_lr:find_lr", name="find-lr", help="The loss over learning rates, before you train."
)
app.command(
    "regraft.cli.plot_schedule:plot_schedule",
    name="plot-schedule",
    help="See a learning-rate schedule before using it.",
)
app.command("regraft.cli.predict:predict", name="predict", help="Labels and probabilities for images.")
app.command(
    "regraft.cli.check:check",
    name="check",
    help="What is in a folder of images, and what is wrong with it, before any training.",
)
zoo = cyclopts.App(name="zoo", help="Which networks there are, what they are made of, and why.")
zoo.default(list_networks)
zoo.command("regraft.cli.zoo:show", name="show", help="One network as a tree of its stages, in numbers.")
zoo.command("regraft.cli.zoo:compare", name="compare", help="Why networks are built so, computed.")
app.command(zoo)
weights = cyclopts.App(name="weights", help="Pretrained weights: list, download, verify, import.")
weights.command("regraft.cli.weights:list_weights", name="list", help="Whose weights are on this machine.")
weights.command("regraft.cli.weights:fetch", name="fetch", help="Download a network's published weights.")
weights.command("regraft.cli.weights:verify", name="verify", help="Read weights back and try them.")
weights.command("regraft.cli.weights:import_file", name="import", help="Take weights from a file.")
app.command(weights)
app.command(
    "regraft.cli.demo:demo",
    name="demo",
    help="The main job on handwritten digits that come with scikit-learn; no network, a minute.",
)
cache = cyclopts.App(name="cache", help="What has been computed and is kept.")
cache.command("regraft.cli.cache:info", name="info", help="What the cache holds.")
cache.command(
    "regraft.cli.cache:verify", name="verify", help="Read everything back and compare with its hashes."
)
cache.command("regraft.cli.cache:prune", name="prune", help="Delete what was used longest ago.")
cache.command("regraft.cli.cache:clear", name="clear", help="Delete everything that can be computed again.")
app.command(cache)
app.register_install_completion_command()


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    is_debug = "--debug" in arguments
    # A lone hyphen is a place to read from, not an option.
    rest = ["/dev/stdin" if a == "-" else a for a in arguments if a != "--debug"]
    if {"--help", "-h"} & set(rest):
        whole_help(rest)
    try:
        code = app(rest, exit_on_error=False)
        return code if isinstance(code, int) else 0
    except cyclopts.CycloptsError:
        return 2  # cyclopts has printed what was wrong
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has left, for example `head`
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except RegraftError as error:
        if is_debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingsError) else 1
    except Exception as error:
        if is_debug:
            raise
        kind = type(error).__name__
        print(f"error: {kind}: {error}\nThis is a defect of regraft; --debug shows where.", file=sys.stderr)
        return 1


def whole_help(words: Sequence[str]) -> None:
    """A command's own help is its docstring, with examples; the one line here is for the list of commands."""
    place = app
    for word in words:
        if word.startswith("-") or word not in place:
            break
        place = place[word]
    if place.default_command is not None and place is not zoo:
        place.help = None


def main() -> None:
    """Entry point of the `regraft` command."""
    sys.exit(run(sys.argv[1:]))
