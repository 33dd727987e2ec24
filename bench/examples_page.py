"""docs/examples.md, from the examples' docstrings and what `bench/examples.py` measured."""

import ast
from pathlib import Path
from typing import Any

HEAD = """# Examples

Each runs by itself, `python examples/<name>.py`, on small real data that installs with `pip
install '.[select,data]'`; some need an extra more (`applications`, `lightning`, `transformers`,
`skorch`), and say what is missing. `make examples` runs all of them, one after the other, and
makes this page: pictures, figures and seconds (of one core, that it was busy) are those of one
run. They show the use of a family and are no benchmark, and other machines give slightly different
ones.

A study compares the losses ([how](own_loop.md)): every loss on the same folds and seeds, at
learning rates of its own, until one is proven better than the default, by a paired test that allows
for all that were tried, or none is left that might be. Many keep their default, and that is a
result too. A picture shows the differences to the default with 95 % intervals. The folder of the
study is the argument of an example, `runs/<name>` if none is given: stopped and run again, it goes
on, and `lossmith report runs/<name>` writes the whole report. A table needs no loop and no example:
`lossmith select` does [all of this](study.md), also for [several
targets](study.md#several-targets).
"""
GROUPS = {
    "applications": "Applications",
    "own_loop": "Your own loop, as it is",
    ".": "One a family",
}


def page(measured: dict[str, dict[str, Any]], folder: Path) -> str:
    """Return the page; folder: of the examples."""
    parts = [HEAD]
    for group, title in GROUPS.items():
        names = sorted(name for name in measured if str(Path(name).parent) == group)
        if names:
            parts += [f"## {title}\n", overview(names, measured, folder)]
            parts += [entry(name, measured[name], folder) for name in names]
    return "\n".join(parts)


def overview(names: list[str], measured: dict[str, dict[str, Any]], folder: Path) -> str:
    """Return a group's table: the question, the answer, and what it takes."""
    rows = [
        f"| [{Path(name).name}](#{anchor(name)}) | {measured[name]['cpu']:.0f} "
        f"| {question(described(folder, name))} *{shown(measured[name]['output'])}* |"
        for name in names
    ]
    return "\n".join(["| example | seconds | question and verdict |", "|---|---|---|", *rows, ""])


def entry(name: str, one: dict[str, Any], folder: Path) -> str:
    """Return an example's part of the page."""
    first, *rest = described(folder, name).split("\n\n")
    text = [part for part in rest if not part.startswith("python examples/")]
    picture = f"![What {name} found](pictures/{one['picture']})" if one["picture"] else ""
    parts = [
        f'<a id="{anchor(name)}"></a>\n\n### {name}',
        f"{first} [The example](../examples/{name}.py).",
        *text,
        picture,
        f"```text\n{one['output']}\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def anchor(name: str) -> str:
    """Return the place of an example on the page."""
    return f"example-{name.replace('/', '-')}"


def described(folder: Path, name: str) -> str:
    """Return an example's docstring."""
    tree = ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").strip()


def question(text: str) -> str:
    """Return the first sentence of a docstring."""
    first = " ".join(text.split("\n\n")[0].split())
    end = first.find("? ")
    return first[: end + 1] if end > 0 else first


def shown(output: str) -> str:
    """Return the verdict in what an example printed, or else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or [""]
    return next((one for one in lines if one.startswith(("Keep", "Switch"))), lines[-1])
