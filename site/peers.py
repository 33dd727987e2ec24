"""Write docs/from_torch.md and docs/guides/from_others.md: what others call losses.

python site/peers.py docs

Their rows are those of `lossmith.catalogue.peers`.
"""

import re
import sys
from pathlib import Path

from lossmith.catalogue import find
from lossmith.catalogue.peers import PEERS, WORDS, Peer, bare

KEYS = {kind.__name__: key for key, kind in find().items()}

FROM_TORCH = """# From torch

Made by `make pages` from the table in `lossmith.catalogue.peers`; tests compare its rows with
torch.

`loss(input, target)` reads what a loss of `torch.nn` reads, in the same shapes, and gives the mean.
What is the same in all rows:

- **`reduction`, `size_average`.** There are none: a loss gives the weighted mean. The sum is
  `loss(input, target, denominator=1)`; values without a reduction are `loss.values(input, target)`.
- **`weight`.** Weights of rows or elements are an argument of the call, `loss(input, target,
  weight=weight)`: 2 equals the sample twice, and the mean divides by their sum. `denominator`
  divides by something else.
- **Arguments** are given by name: `Huber(delta=2.0)`.
- **Shapes** must fit exactly; torch broadcasts (N, 1) against (N,) with a warning at most. Classes
  are in dimension 1, as in torch: logits (batch, time, classes) need `input.movedim(-1, 1)`.
- **`ignore_index`** leaves targets out as in torch; where all are ignored the value is 0 with a
  gradient of 0, torch's NaN.
- **Half precision** is computed in float32, and the value is float32.

`lossmith.get`, and whatever else reads a loss's name, takes torch's names, those of its functions
and the short ones wherever the value is the same; otherwise, and for `lossmith.BCEWithLogitsLoss`
and its like, the error says what to use. The names of other libraries, and of papers, are in
[from others](guides/from_others.md).

| torch.nn | also called | here | same value | differs |
|---|---|---|---|---|
"""
FROM_OTHERS = """# From other names and libraries

What papers call a loss, and what {libraries} call theirs. Made by `make pages` from the table in
`lossmith.catalogue.peers`, which `lossmith.get`, `lossmith show` and the errors read too:
`lossmith show charbonnier` says what to write. [torch](../from_torch.md) has a page of its own.

*Value* says *same* where what to write gives theirs for the same input and target, at the settings
shown and their defaults otherwise: a test computes both by their definition. *Held* says that a
parity test holds value and gradient of the two together at the settings named in the last column;
the row with figures is on the loss's page. Where it says neither, the idea is the same, the numbers
may not be. A name that is the same at both defaults is one that `lossmith.get` takes. What is not
listed was not matched.

What is the same in all rows: input is logits, so leave the softmax or sigmoid out; classes are
integers in dimension 1, one-hot targets are not needed; the mean of rows is the only reduction,
also where theirs is none, and weights are an argument of the call ([from torch](../from_torch.md)
has more). A loss that sums over the whole batch there is the mean over images here.

```python
import lossmith
import torch

logits, masks = torch.randn(2, 3, 16, 16), torch.randint(3, (2, 16, 16))
loss = lossmith.Dice(squared=False)  # MONAI's DiceLoss
both = lossmith.CrossEntropy() + loss  # MONAI's DiceCELoss
print(loss(logits, masks), both(logits, masks))

embeddings, labels = torch.randn(12, 8), torch.arange(12) % 3
loss = lossmith.ProxyAnchor(classes=3, features=8)  # has proxies to optimize
print(loss(embeddings, labels))
```
"""
TITLES = {WORDS: "Papers and talk"}
NOTES = {
    "pytorch-metric-learning": "Its losses read embeddings and labels, as ours do; miners are a "
    "hyperparameter here where the paper has them, and several processes need no wrapper.\n\n",
    "trl": "What its trainers call `loss_type`.\n\n",
}


def from_torch() -> str:
    """Return the page of torch's losses as text."""
    rows = []
    for peer in PEERS["torch"]:
        names = ", ".join(f"`{name}`" for name in peer.names) or "–"
        same = "yes" if peer.same else "no"
        rows.append(
            f"| {peer.theirs} | {names} | {_here(peer, '')} | {same} | {_told(peer) or '–'} |\n"
        )
    return FROM_TORCH + "".join(rows)


def from_others() -> str:
    """Return the page of all others' losses as text."""
    others = {library: rows for library, rows in PEERS.items() if library != "torch"}
    *most, last = [library for library in others if library != WORDS]
    parts = [FROM_OTHERS.format(libraries=f"{', '.join(most)} and {last}")]
    for library, peers in others.items():
        title = TITLES.get(library, library)
        head = f"## {title}\n\n{NOTES.get(library, '')}"
        head += f"| {title.lower() if library in TITLES else title} | here | value | differs |\n"
        parts.append(f"{head}|---|---|---|---|\n{''.join(map(_row, peers))}")
    return "\n".join(parts)


def _row(peer: Peer) -> str:
    names = ", ".join(f"`{name}`" for name in (peer.theirs, *peer.names))
    value = "same" if peer.same else "held" if peer.held else ""
    return f"| {names} | {_here(peer, '../')} | {value} | {_told(peer)} |\n"


def _here(peer: Peer, up: str) -> str:
    """Return what to write, each linked to the page of the loss, or of its first term."""
    links = []
    for option in peer.options:
        kind = bare(option)
        first = kind or re.findall(r"\b([A-Z]\w*)\(", option)[0]
        links.append(f"[{kind or f'`{option}`'}]({up}losses/{KEYS[first]}.md)")
    return ", ".join(links) or "–"


def _told(peer: Peer) -> str:
    return peer.differs.replace("|", "\\|")


def documents(docs: Path) -> dict[Path, str]:
    """Return both pages by path."""
    others = docs / "guides" / "from_others.md"
    return {docs / "from_torch.md": from_torch(), others: from_others()}


if __name__ == "__main__":
    for path, text in documents(Path(sys.argv[1])).items():
        path.write_text(text, encoding="utf-8")
