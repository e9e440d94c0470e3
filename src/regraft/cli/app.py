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

from regraft.cli.commands.zoo import list_networks
from regraft.errors import RegraftError, SettingsError
from regraft.version import VERSION

app = cyclopts.App(
    name="regraft",
    version=VERSION,
    help="Transfer a pretrained vision network to a folder of images, on this machine.\n\n"
    "Start with `regraft demo`, or `regraft fit photos/` where photos/ holds a folder per class. "
    "Add --debug to any command for a traceback, --json for machine-readable lines.",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)


_Member = tuple[str, str, str]  # where the function is, the command's name, its line in the help


def _group(name: str, text: str, *members: _Member) -> cyclopts.App:
    """A command with commands below it, in the order given."""
    group = cyclopts.App(name=name, help=text)
    for order, (place, member, summary) in enumerate(members):
        group.command(f"regraft.cli.commands.{place}", name=member, help=summary, sort_key=order)
    return group


zoo = _group(
    "zoo",
    "List the networks that you can start from, with their sizes and licences.",
    ("zoo:show", "show", "Show one network as a tree of its stages, with counts."),
    ("zoo:compare", "compare", "Compare design choices of networks by parameters and multiply-adds."),
)
zoo.default(list_networks)
weights = _group(
    "weights",
    "List, download, verify and import pretrained weights.",
    ("weights:list_weights", "list", "List the weights that are on this machine."),
    ("weights:fetch", "fetch", "Download the published weights of a network."),
    ("weights:verify", "verify", "Check that weights are complete and fit their network."),
    ("weights:import_file", "import", "Import weights from a PyTorch, safetensors or ONNX file."),
)
cache = _group(
    "cache",
    "Show, verify, merge and shrink the cache of computed features.",
    ("cache:info", "info", "Show what the cache contains and how large it is."),
    ("cache:verify", "verify", "Read the whole cache and compare it with its hashes."),
    ("cache:merge", "merge", "Copy the features of other caches into this one."),
    ("cache:prune", "prune", "Delete the least recently used entries, down to a given size."),
    ("cache:clear", "clear", "Delete everything in the cache that can be computed again."),
)

# What people do, in the order in which they do it. The help and docs/commands/index.md follow this order.
_GROUPS: dict[str, tuple[_Member | cyclopts.App, ...]] = {
    "Fit a model": (
        ("demo:demo", "demo", "Compare transfer with training from scratch on images that come installed."),
        ("data:data", "data", "List the data sets that have a name, or download one."),
        ("check:check", "check", "Check a folder of images for unusable files, duplicates and odd labels."),
        ("advise:advise", "advise", "Measure which strategy suits your images, and write it as a plan."),
        ("fit:fit", "fit", "Transfer a pretrained network to your images."),
        ("runs:runs", "runs", "List the runs in a folder, the most accurate first."),
        ("compare:compare", "compare", "Compare runs on the same test images, with significance tests."),
        ("find_lr:find_lr", "find-lr", "Plot the loss over learning rates before you train."),
        ("plot_schedule:plot_schedule", "plot-schedule", "Plot a learning-rate schedule before you use it."),
        ("extract:extract", "extract", "Compute features before you fit, also on several machines."),
    ),
    "Look closer": (
        ("report:report", "report", "Write a page about a run: its scores, its strategy and its mistakes."),
        (
            "explain:explain",
            "explain",
            "Show where the model looks in an image, and similar training images.",
        ),
        (
            "visualize:visualize",
            "visualize",
            "Show what a network has learned, from edges to parts of objects.",
        ),
        ("lab:lab", "lab", "Run a teaching experiment, and write a page about what it found."),
    ),
    "Take it away": (
        ("predict:predict", "predict", "Predict labels and probabilities for new images."),
        ("export:export", "export", "Export the model as an ONNX file that runs without Regraft."),
        ("serve:serve", "serve", "Serve the model over HTTP, with a web page to drop images on."),
    ),
    "Boxes around objects": (
        ("convert:convert", "convert", "Convert boxes between the formats of labelling tools."),
        ("crops:crops", "crops", "Cut out single objects, as a data set for classification."),
    ),
    "Networks and weights": (zoo, weights),
    "This machine": (
        ("doctor:doctor", "doctor", "Check this installation and say how to fix it."),
        cache,
    ),
}
# Earlier names, which are understood but not listed.
_ALIASES: tuple[_Member, ...] = (
    ("plan:plan", "plan", "An alias of advise."),
    ("visualize:features", "features", "An alias of visualize."),
)


def _register() -> None:
    for number, (title, members) in enumerate(_GROUPS.items()):
        group = cyclopts.Group(title, sort_key=number)
        for order, member in enumerate(members):
            if isinstance(member, cyclopts.App):
                member.group, member.sort_key = (group,), order
                app.command(member)
            else:
                place, name, summary = member
                app.command(
                    f"regraft.cli.commands.{place}", name=name, help=summary, group=group, sort_key=order
                )
    for place, name, summary in _ALIASES:
        app.command(f"regraft.cli.commands.{place}", name=name, help=summary, show=False)
    text = "Install shell completion, so that Tab completes commands and options."
    app.register_install_completion_command(help=text, group="This machine", sort_key=len(members))
    options = cyclopts.Group("Options", sort_key=len(_GROUPS))
    for flag in ("--help", "--version"):
        app[flag].group = options


_register()


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
    except cyclopts.CycloptsError as error:  # cyclopts has printed what was wrong
        unused = error.unused_tokens if isinstance(error, cyclopts.UnusedCliTokensError) else []
        if unused and all(map(os.path.isfile, unused)):
            print("The shell has expanded a pattern of files: put it into quotes.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; run the same command again to resume", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has left, for example `head`
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except RegraftError as error:
        if is_debug:
            raise
        print(f"error: {error.with_flags}", file=sys.stderr)
        return 2 if isinstance(error, SettingsError) else 1
    except Exception as error:  # whatever it is, the user gets a sentence and a way to a traceback
        if is_debug:
            raise
        kind = type(error).__name__
        print(
            f"error: {kind}: {error}\nThis is a bug in regraft; run again with --debug for a traceback.",
            file=sys.stderr,
        )
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
