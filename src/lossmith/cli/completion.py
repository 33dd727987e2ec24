"""The script that completes the command line in a shell, made by shtab from the parser."""

import argparse
from collections.abc import Iterator

from lossmith.cli.index import index
from lossmith.cli.verbs import UserError

SHELLS = ("bash", "zsh", "tcsh")
PLACES = ("address", "file", "folder", "out", "run")  # arguments that are paths


def add(commands: "argparse._SubParsersAction", parser: argparse.ArgumentParser) -> None:
    """Add the verb to the command line."""
    completion = commands.add_parser(
        "completion",
        help="print the script that completes commands in your shell",
        description="Prints the script that completes commands in your shell.",
        epilog='example, in ~/.bashrc:\n  eval "$(lossmith completion bash)"',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    completion.add_argument("shell", choices=SHELLS)
    completion.set_defaults(verb=complete, parser=parser)


def complete(options: argparse.Namespace) -> None:
    """Print the script, which knows the keys of losses and where paths stand."""
    try:
        import shtab
    except ModuleNotFoundError as error:
        raise UserError(
            "completion needs shtab; install it with: pip install 'lossmith[completion]'"
        ) from error
    for action in _actions(options.parser):
        if action.dest == "key":
            action.choices = list(index()["pages"])
        elif action.dest in PLACES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(options.parser, options.shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                yield from _actions(verb)
