"""What sampling the classes of a softmax costs in truth, and saves in time and memory.

    python bench/sampled.py [--only learns,value,cost] [--out docs/sampled.md]

The text is Python's own standard library: every other of its top-level modules, each word and sign
to be foretold from the three before it; those seen fewer than four times are one. A loss is tuned
by its learning rate on validation text with one seed; quoted is the full cross-entropy on test text
of others.
"""

import argparse
import collections
import functools
import gc
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from lossmith import LinearCrossEntropy, LossScheduler, Progress, SampledLinearCrossEntropy
from lossmith.core import Loss
from speed import resident

WIDTH, BEFORE, ROWS, BLOCK = 64, 3, 512, 1000
RATES, SEEDS = (0.001, 0.003, 0.01), (1, 2)
SAMPLES = (32, 128, 512)
MILLION = {"rows": 1024, "width": 64, "classes": 1_000_000, "samples": 8192}

HEADER = """# Sampled softmax: its bias, measured

`SampledLinearCrossEntropy` trains a linear head on some of its classes at each step; see its
documentation for the formula. Made by `python bench/sampled.py`, torch {torch}.

What follows from the tables:

- Draw classes by how frequent they are (`log_uniform` for sorted classes, or `counts`): 128 such
  samples teach more than 512 uniform ones, and a twelfth of the classes as much as all.
- Leave the target corrected, as it is by default: the value is then no estimate of the full loss,
  but a model learns more, all the more where samples are few. Judge by the value after `.eval()`,
  which is the full one.
- Without that correction the value is nearly right, some hundredths too low at 32 samples, but what
  is learnt is worse: classes likelier than they are drawn are taught to be too likely.
- Few samples want a lower learning rate than the full loss: tune it anew.
- At a million classes take `sparse=True` with an optimizer that knows sparse gradients.
"""


@functools.cache
def text() -> tuple[dict[str, tuple[Tensor, Tensor]], list[float]]:
    """Return contexts and next words for training, validation and test, and the words' counts."""
    modules = sorted(Path(os.__file__).parent.glob("*.py"))[::2]
    names = [re.findall(r"\w+|[^\w\s]", p.read_text("utf-8", "ignore")) for p in modules]
    words = [word for one in names for word in one]
    common = [w for w, count in collections.Counter(words).most_common() if count >= 4]
    places = {word: place + 1 for place, word in enumerate(common)}
    tokens = torch.tensor([places.get(word, 0) for word in words])
    order = torch.bincount(tokens).argsort(descending=True, stable=True)
    tokens = order.argsort()[tokens]  # from frequent to rare
    windows = tokens.unfold(0, BEFORE + 1, 1)
    block = torch.arange(len(windows)) // BLOCK % 10
    parts = {"train": block < 8, "validation": block == 8, "test": block == 9}
    chosen = {name: windows[rows] for name, rows in parts.items()}
    counts = torch.bincount(chosen["train"].flatten(), minlength=len(order)).double() + 1
    return {n: (w[:, :-1], w[:, -1]) for n, w in chosen.items()}, counts.tolist()


class Reader(nn.Module):
    """What the head reads: the words before, each as a vector, through one layer."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, WIDTH)
        self.layer = nn.Linear(BEFORE * WIDTH, WIDTH)

    def forward(self, before: Tensor) -> Tensor:
        """Return what the head reads."""
        return self.layer(self.words(before).flatten(1)).tanh() * WIDTH**0.5


def trained(build: Callable[[], Loss], rate: float, seed: int) -> tuple[Reader, Loss]:
    """Return a reader and its loss after one pass over the training text."""
    torch.manual_seed(seed)
    (before, target), counts = text()[0]["train"], text()[1]
    reader, loss = Reader(len(counts)), build()
    optimizer = torch.optim.Adam([*reader.parameters(), *loss.parameters()], lr=rate)
    clock = LossScheduler(loss, optimizer=optimizer)
    steps = len(target) // ROWS
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for rows in torch.randperm(len(target)).split(ROWS)[:steps]:
        optimizer.zero_grad()
        loss(reader(before[rows]), target[rows]).backward()
        optimizer.step()
        decay.step()
        clock.step()
    return reader, loss


@torch.no_grad()
def truth(reader: Reader, loss: Loss, part: str) -> float:
    """Return the full cross-entropy on a part of the text."""
    before, target = text()[0][part]
    return float(loss.eval()(reader(before), target))


def sampled(**given: object) -> Callable[[], Loss]:
    """Return what builds a sampled loss over the text's words."""
    return lambda: SampledLinearCrossEntropy(
        in_features=WIDTH, classes=len(text()[1]), bias=True, **given
    )


def full() -> Loss:
    """Return the loss without sampling."""
    return LinearCrossEntropy(in_features=WIDTH, classes=len(text()[1]), bias=True)


def score(build: Callable[[], Loss]) -> float:
    """Return the mean test value at the best of the learning rates."""
    tuned = [truth(*trained(build, rate, 0), "validation") for rate in RATES]
    rate = RATES[tuned.index(min(tuned))]
    found = statistics.mean(truth(*trained(build, rate, seed), "test") for seed in SEEDS)
    print(f"{found:.3f} at {rate}, tuned {tuned}", file=sys.stderr, flush=True)
    return found


def learns() -> str:
    """Return the table of what models learn from each loss."""
    lines = [
        "\n## What a model learns\n",
        f"Full cross-entropy on test text, in nats, after training by each loss; {len(text()[1])} "
        f"classes,\n{len(SEEDS)} seeds. Without sampling: **{score(full):.3f}**.\n",
        "| classes drawn by | target corrected | "
        + " | ".join(f"{samples} samples" for samples in SAMPLES)
        + " |",
        "|---|---|" + "---|" * len(SAMPLES),
    ]
    for name in ("uniform", "log_uniform"):  # words are sorted from frequent to rare
        for correct in (True, False):
            cells = [
                score(sampled(samples=samples, correct_target=correct, distribution=name))
                for samples in SAMPLES
            ]
            row = " | ".join(f"{cell:.3f}" for cell in cells)
            lines.append(f"| {name} | {'yes' if correct else 'no'} | {row} |")
    return "\n".join(lines)


def value(draws: int = 200) -> str:
    """Return the table of a sampled value against the full one, at a model that was trained."""
    reader, whole = trained(full, RATES[0], 0)
    whole_text = text()[0]["test"]
    before, target = (part[:: len(part) // ROWS][:ROWS] for part in whole_text)
    hidden, exact = reader(before).detach().requires_grad_(), whole.eval()
    worth = exact(hidden, target)
    (aim,) = torch.autograd.grad(worth, hidden)
    lines = [
        "\n## What a value and a gradient are worth\n",
        f"At a model trained without sampling, over {draws} draws of words by their counts: how "
        f"far the value\nis from the full one ({worth.item():.3f}) on average and from draw to "
        "draw, and what angle the gradient by\nthe head's input makes with the full one.\n",
        "| samples | target corrected | mean error of the value | its spread | cosine of the "
        "mean gradient | of one gradient |",
        "|---|---|---|---|---|---|",
    ]
    for samples in (*SAMPLES, 2048):
        for correct in (True, False):
            loss = sampled(samples=samples, correct_target=correct, counts=text()[1])()
            loss.head.load_state_dict(whole.head.state_dict())
            lines.append(_compared(loss, hidden, target, worth.detach(), aim, draws))
    return "\n".join(lines)


def _compared(
    loss: Loss, hidden: Tensor, target: Tensor, worth: Tensor, aim: Tensor, draws: int
) -> str:
    errors, slopes, cosines = [], torch.zeros_like(aim), []
    for step in range(draws):
        loss.observe(Progress(step=step))
        found = loss(hidden, target)
        (slope,) = torch.autograd.grad(found, hidden)
        errors.append(float(found.detach() - worth))
        slopes += slope
        cosines.append(_cosine(slope, aim))
    cells = (statistics.mean(errors), statistics.stdev(errors), _cosine(slopes, aim),
             statistics.mean(cosines))  # fmt: skip
    shown = " | ".join(f"{cell:.3f}" for cell in cells)
    return f"| {loss.samples} | {'yes' if loss.correct_target else 'no'} | {shown} |"


def _cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.cosine_similarity(one.flatten(), other.flatten(), 0))


def cost() -> str:
    """Return the table of time and memory at a million classes, each in a fresh process."""
    rows, width, classes, samples = MILLION.values()
    lines = [
        "\n## Time and memory at a million classes\n",
        f"Draw, forward and backward of one step: {rows:,} × {width} → {classes:,}, {samples:,} "
        "samples,\nfloat32, one thread, processor seconds; the peak is above what was there.\n",
        "| loss | seconds | peak |",
        "|---|---|---|",
    ]
    for name in ("full", "sampled, dense gradient", "sampled, sparse gradient"):
        command = [sys.executable, __file__, "--step", name]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        lines.append(f"| {name} | {float(told[0]):.2f} | {float(told[1]):.0f} MiB |")
    return "\n".join(lines)


def one_step(name: str) -> None:
    """Print the seconds and the MiB of one step."""
    torch.set_num_threads(1)
    rows, width, classes, samples = MILLION.values()
    given = {"in_features": width, "classes": classes}
    if name == "full":
        loss: Loss = LinearCrossEntropy(**given)
    else:
        loss = SampledLinearCrossEntropy(**given, samples=samples, sparse="sparse" in name)
    nn.init.normal_(loss.head.weight)
    hidden, target = torch.randn(rows, width), torch.randint(classes, (rows,))
    hidden.requires_grad_()
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, start = resident("VmRSS"), time.process_time()
    loss.observe(Progress(step=1))
    loss(hidden, target).backward()
    print(time.process_time() - start, (resident("VmHWM") - before) / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="learns,value,cost")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        one_step(options.step)
        return
    torch.set_num_threads(1)
    parts = {"learns": learns, "value": value, "cost": cost}
    found = [HEADER.format(torch=torch.__version__)]
    found += [part() for name, part in parts.items() if name in options.only.split(",")]
    document = "\n".join(found) + "\n"
    if options.out:
        options.out.write_text(document, encoding="utf-8")
    else:
        print(document)


if __name__ == "__main__":
    main()
