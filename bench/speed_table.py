"""The document that bench/speed.py's results make."""

from typing import Any

HEADER = """# Speed

Forward and backward on {threads} thread{s} of a CPU; medians of rounds in which all contenders take
turns, with the torch that each table names. Beside a case stands the time of what the others are
multiples of: three matrix products alone, torch's module, or lossmith itself; there, what is over 1
is slower than lossmith. Memory is the peak of a fresh process above its inputs. Differences of a
few per cent mean nothing. Made by `make pages` from `bench/results/speed.jsonl`, which
`bench/speed.py` writes.

`plain` is the mean of the loss's values at one go, without weights; `torch.compile` the compiled
loss, `loss.compile()` [value and gradients in one graph](contract.md#loss). A peer of another
package is listed where it is the same function as ours, which the benchmark checks."""
GROUPS = (
    "linear head",
    "contrastive",
    "segmentation",
    "500 classes",
    "10,000,000 numbers",
    "1,000,000 numbers",
    "1,000 numbers",
    "beside torch, 1,000 numbers",
    "beside torch, 100 numbers",
)
EXACTNESS = """
## Exactness

‖got − true‖ / ‖true‖ of the value / of the gradient by each input, for the same inputs, rounded to
the case's dtype; true is torch eager in float64.
"""
NOTES = {
    "linear head": "In bfloat16 the products are so fast that what lies between them, exponentials "
    "and the sums that are kept in float32, takes a third of their time.",
    "contrastive": "CLIP needs the sums of all columns before any slope, so that it forms its "
    "products twice: four products' time, 1.33, is its limit. Rows among themselves make a "
    "symmetric matrix, of which half will do: 0.67 is the limit of NT-Xent and SupCon.",
    "500 classes": "Cross-entropy, torch's, is another loss, and what one of many classes costs at "
    "least.",
    "1,000,000 numbers": "Binary cross-entropy looks at every label, and is exact where torch's "
    "rounds to 0: at logits of 20 for the right side, say.",
    "beside torch, 1,000 numbers": "How many times the time of torch's module a standard loss "
    "takes. What is slower looks at its batch, which at this size costs as much as the arithmetic. "
    "Binary cross-entropy makes sure that labels are 0 or 1, for then it is exact where torch's "
    "value or slope rounds to 0; torch takes any label. "
    "Cross-entropy asks whether a target is left out, of whose row no NaN may reach the gradient. "
    "KL makes sure that no two distributions are near: it cancels in torch's formula.",
    "1,000 numbers": "At this size a loss costs what a call costs: some tens of microseconds, of "
    "which the checks of shapes, classes and labels are a part that torch leaves out.",
}


def document(lines: list[dict[str, Any]]) -> str:
    """Return the page of the last result of each case."""
    last = {(line["group"], line["case"]): line for line in lines}
    one = next(iter(last.values()))
    text = [HEADER.format(**one, s="s" if one["threads"] > 1 else "")]
    for group in GROUPS:
        found = [line for (name, _), line in last.items() if name == group]
        if not found:
            continue
        text.append(f"\n## {group.capitalize()}\n")
        text += [f"{NOTES[group]}\n"] if group in NOTES else []
        text += [f"{setting(found)}\n"]
        text += table(found)
    return "\n".join([*text, *exactness(list(last.values()))])


def setting(lines: list[dict[str, Any]]) -> str:
    """Return with what the cases of a table were measured, each version and count once."""
    torch = " and ".join(dict.fromkeys(line["torch"] for line in lines))
    rounds = " or ".join(dict.fromkeys(str(line["rounds"]) for line in lines))
    return f"torch {torch}, {rounds} rounds."


def exactness(lines: list[dict[str, Any]]) -> list[str]:
    """Return how exact each contender is, where that was measured."""
    known = [line for line in lines if "errors" in line]
    names = list(dict.fromkeys(name for line in known for name in line["errors"]))
    head = ["case", *names]
    rows = [[line["case"], *(errors(line["errors"].get(name)) for name in names)] for line in known]
    found = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return [EXACTNESS, *found] if known else []


def errors(found: list[float] | None) -> str:
    return " / ".join(f"{error:.0e}" for error in found or [])


def table(lines: list[dict[str, Any]]) -> list[str]:
    """Return a row a case, a column a contender that any of them has."""
    base = lines[0]["base"]
    names = dict.fromkeys(name for line in lines for name in line["ratios"] if name != base)
    head = ["case", "products" if base == "floor" else base, *names]
    rows = [[line["case"], duration(line["seconds"]), *cells(line, names)] for line in lines]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def cells(line: dict[str, Any], names: dict[str, None]) -> list[str]:
    return [cell(line, name) if name in line["ratios"] else "" for name in names]


def cell(line: dict[str, Any], name: str) -> str:
    memory = f", {line['peaks'][name]:,.0f} MiB" if "peaks" in line else ""
    return f"{line['ratios'][name]:.2f}{memory}"


def duration(seconds: float) -> str:
    """Return seconds in a unit that fits."""
    for factor, unit in ((1, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"
