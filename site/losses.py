"""Write docs/losses.md, all losses by task, and docs/losses/<key>.md, a page a loss.

python site/losses.py docs

Everything on them is read from the classes, the drawings of site/shapes.py, and docs/parity.md.
"""

import inspect
import re
import sys
from pathlib import Path
from typing import get_args

import lossmith
from lossmith.catalogue import find
from lossmith.catalogue.formula import readable
from lossmith.catalogue.names import peers
from lossmith.catalogue.pages import called, default, facts, searched
from lossmith.core import Loss
from lossmith.core.card import Task
from lossmith.core.docstring import math, summary
from shapes import words

HEAD = """# Losses

{count} losses by task; those of several tasks stand under each. Made from the classes by
`make pages`, as are the pages behind the links. `lossmith list` and `lossmith show huber` tell the
same in a terminal, `lossmith list face recognition` and `lossmith.find("face recognition")` find
losses by words, and [from others](guides/from_others.md) has the names that they have elsewhere.
[How to choose](choosing.md) says how to find the one that serves you.
"""
NAMES = {"gan": "GAN", "metric_learning": "Metric learning", "self_supervised": "Self-supervised"}
_LEFT = re.compile(r"  # doctest: .*|^>>> (?:import torch|from lossmith import .*)\n", re.MULTILINE)
_NAMES = {name for name in lossmith.__all__ if name[0].isupper()}
_INLINE = re.compile(r":math:`([^`]+)`")


def index() -> str:
    """Return the losses by task as Markdown."""
    lines = [HEAD.format(count=len(find()))]
    for task in get_args(Task):
        rows = [f"| {link(key, kind)} | {summary(kind)} |" for key, kind in find(task).items()]
        if rows:
            lines += [f"## {NAMES.get(task, task.capitalize())}", ""]
            lines += ["| loss | what it is |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def link(key: str, kind: type[Loss]) -> str:
    """Return a link to a loss's page, from the folder above it."""
    return f"[{kind.__name__}](losses/{key}.md)"


def page(key: str, kind: type[Loss], shape: str, parity: list[str]) -> str:
    """Return the page of one loss as Markdown: with its drawing, and its rows of parity."""
    told = facts(kind)
    parts = [
        f"# {kind.__name__}\n\n{summary(kind)} As `lossmith.{kind.__name__}`, or by key "
        f'`lossmith.get("{key}")`.',
        f"```math\n{math(kind)}\n```",
        shape,
        f"- **Use when:** {told.pop('use when')}\n- **Avoid when:** {told.pop('avoid when')}\n"
        f"- **Shapes:** {told.pop('shapes')}\n- **Source:** {told.pop('source')}",
        _hyperparameters(kind),
        _examples(kind),
        _facts(told),
        _others(kind),
        _parity(parity),
    ]
    return _INLINE.sub(r"$\1$", "\n\n".join(part for part in parts if part)) + "\n"


def _hyperparameters(kind: type[Loss]) -> str:
    if not kind.hyperparameters:
        return ""
    rows = [
        f"| `{name}` | {default(hyper)} | {_cell(hyper.range or '–')} | "
        f"{searched(hyper) or 'the default'} | {_cell(readable(hyper.doc))} |"
        for name, hyper in kind.hyperparameters.items()
    ]
    head = "| name | default | range | a study tries | meaning |\n|---|---|---|---|---|"
    return "\n".join(["## Hyperparameters", "", head, *rows])


def _examples(kind: type[Loss]) -> str:
    paragraphs = (inspect.getdoc(kind) or "").split("\n\n")
    examples = [_LEFT.sub("", one.strip()) for one in paragraphs if one.startswith(">>> ")]
    used = set(re.findall(r"\b[A-Za-z_]\w*\b(?! ?=)", "\n".join(examples)))
    imports = ">>> import torch\n" * ("torch" in used)
    imports += f">>> from lossmith import {', '.join(sorted(used & _NAMES))}\n"
    blocks = [imports + examples[0], *examples[1:]]
    return "\n\n".join(["## Example", *(f"```pycon\n{one}\n```" for one in blocks)])


def _facts(told: dict[str, str]) -> str:
    rows = [f"| {' | '.join(told)} |", "|---" * len(told) + "|"]
    return "\n".join(["## Facts", "", *rows, f"| {' | '.join(map(_cell, told.values()))} |"])


def _others(kind: type[Loss]) -> str:
    """Return what others call the loss, alone or in a sum, as `lossmith show` tells it."""
    rows = [f"- **{library}:** {called(kind, peer)}" for library, peer in peers(kind)]
    told = "What others call it, and what to write ([all names](../guides/from_others.md)):"
    return "\n".join(["## Called elsewhere", "", told, "", *rows]) if rows else ""


def _parity(rows: list[str]) -> str:
    if not rows:
        return (
            "## Parity\n\nNo reference; held by tests of its definition and of known limits "
            "([all losses](../parity.md))."
        )
    head = "| reference | version | called | cases | value | gradient | deviation |"
    told = "Largest relative differences from references ([how they are measured](../parity.md)):"
    return "\n".join(["## Parity", "", told, "", head, "|---" * 7 + "|", *rows])


def parity_rows(table: str) -> dict[str, list[str]]:
    """Return the rows of docs/parity.md by key, without the columns of the loss and its paper."""
    rows: dict[str, list[str]] = {}
    for key, rest in re.findall(r"^\| \[\w+\]\(losses/(\w+)\.md\) \|[^|]*\|(.*)$", table, re.M):
        rows.setdefault(key, []).append(f"|{rest}")
    return rows


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def documents(docs: Path) -> dict[Path, str]:
    """Return all pages by path."""
    rows = parity_rows((docs / "parity.md").read_text(encoding="utf-8"))
    pages = {docs / "losses.md": index()}
    for key, kind in find().items():
        caption, alternative = words((docs / "shapes" / f"{key}.svg").read_text(encoding="utf-8"))
        shape = f"![{alternative}](../shapes/{key}.svg)\n\n*{caption}*"
        pages[docs / "losses" / f"{key}.md"] = page(key, kind, shape, rows.get(key, []))
    return pages


def main(out: str) -> None:
    """Write the pages, and remove those of losses that are no more."""
    pages = documents(Path(out))
    (Path(out) / "losses").mkdir(exist_ok=True)
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    for path in (Path(out) / "losses").glob("*.md"):
        if path not in pages:
            path.unlink()


if __name__ == "__main__":
    main(sys.argv[1])
