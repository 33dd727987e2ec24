"""A tiny language model that repeats itself, and two losses that teach it not to.

python examples/text.py [--picture FILE]

The text is Python's own help on its language (`pydoc_data`), in pieces of 25 words. A small GRU
learns it by cross-entropy, padding and rare words ignored. Given the first words of untouched
pieces it then goes on by itself, always with the likeliest word. It is tuned further with
unlikelihood, or with SimPO on pairs: how a piece really goes on, chosen over how the model went on.
More cross-entropy of the same length is the baseline. A word counts as repeated where it occurred
before in the same continuation; real text repeats some as well. Real is preferred where a piece's
own continuation is likelier a word than the one that the model gave before tuning.

Unlikelihood lowers repetition, at alpha 5 for some perplexity; SimPO learns the preference and
repeats as before.
"""

import argparse
import collections
import copy
import re
from collections.abc import Callable
from pydoc_data.topics import topics

import torch
from matplotlib import pyplot as plt
from torch import Tensor, nn

import lossmith
from lossmith.functional import sequence_log_probability

WORDS, LENGTH, PROMPT, HELD, IGNORED = 1000, 25, 5, 500, -100
RARE = 0


def load() -> tuple[Tensor, Tensor]:
    """Return pieces (N, LENGTH) of words as numbers, and the same with what to ignore marked."""
    texts = [re.findall(r"[a-z]+|[.,;:]", text.lower()) for text in topics.values()]
    counts = collections.Counter(word for text in texts for word in text)
    number = {word: 1 + place for place, (word, _) in enumerate(counts.most_common(WORDS - 1))}
    pieces = [text[i : i + LENGTH] for text in texts for i in range(0, len(text), LENGTH)]
    words = torch.zeros(len(pieces), LENGTH, dtype=torch.long)
    for row, piece in zip(words, pieces, strict=True):
        row[: len(piece)] = torch.tensor([number.get(word, RARE) for word in piece])
    order = torch.randperm(len(words), generator=torch.Generator().manual_seed(0))
    words = words[order]
    return words, words.masked_fill(words == RARE, IGNORED)


class Model(nn.Module):
    """A recurrent network over words."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 64)
        self.memory = nn.GRU(64, 128, batch_first=True)
        self.head = nn.Linear(128, WORDS)

    def forward(self, words: Tensor) -> Tensor:
        """Return logits (N, C, T) of the word after each."""
        return self.head(self.memory(self.words(words))[0]).movedim(2, 1)


def steps(model: nn.Module, rows: int, epochs: int, value: Callable[[Tensor], Tensor]) -> None:
    """Take the steps of training; `value` is the loss of some rows."""
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    torch.manual_seed(1)
    for _ in range(epochs):
        for batch in torch.randperm(rows).split(50):
            optimizer.zero_grad()
            value(batch).backward()
            optimizer.step()


@torch.no_grad()
def go_on(model: nn.Module, words: Tensor) -> Tensor:
    """Return the first words of each piece with the model's likeliest continuation."""
    words = words[:, :PROMPT]
    while words.shape[1] < LENGTH:
        logits = model(words)[:, :, -1]
        logits[:, RARE] = -torch.inf
        words = torch.cat([words, logits.argmax(1, keepdim=True)], 1)
    return words


def repeated(target: Tensor) -> float:
    """Return the share of words after the prompt that occurred before in the continuation."""
    after = target[:, PROMPT:]
    same = (after.unsqueeze(2) == after.unsqueeze(1)).tril(-1).any(2)
    return same[after != IGNORED].float().mean().item()


def continued(model: nn.Module, words: Tensor, target: Tensor) -> Tensor:
    """Return the mean log-probability a word of each continuation."""
    after = target[:, 1:].clone()
    after[:, : PROMPT - 1] = IGNORED
    return sequence_log_probability(model(words[:, :-1]), after, mean=True)


def draw(found: dict[str, tuple[float, float]], real: float, picture: str) -> None:
    """Draw repetition over perplexity; lower and further left is better, down to real text."""
    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    for name, place in found.items():
        axes.plot(*place, "o", label=name)
    axes.axhline(real, color="grey", linestyle="--", label="real text")
    axes.set(xlabel="perplexity", ylabel="share of repeated words")
    axes.legend(bbox_to_anchor=(1, 1), frameon=False)
    figure.savefig(picture, dpi=110)


def main(picture: str | None = None) -> None:
    """Train, tune in three ways, and print repetition and perplexity on untouched pieces."""
    words, target = load()
    rows, tuned = len(words) - HELD, 1000
    test = slice(rows, None)
    likelihood, simpo = lossmith.CrossEntropy(), lossmith.SimPO()
    torch.manual_seed(0)
    base = Model()

    def tokens(model: nn.Module, loss: lossmith.Loss, batch: Tensor | slice) -> Tensor:
        return loss(model(words[batch, :-1]), target[batch, 1:])

    found: dict[str, tuple[float, float]] = {}

    def report(name: str, model: nn.Module) -> None:
        with torch.no_grad():
            perplexity = tokens(model, likelihood, test).exp()
            own = go_on(model, words[test])
            real = continued(model, words[test], target[test])
            better = (real > continued(model, made, made)).float().mean()
        found[name] = float(perplexity), repeated(own)
        print(
            f"{name:26} repeated {repeated(own):6.1%}   perplexity {perplexity:6.1f}   "
            f"real preferred {better:6.1%}"
        )

    print(f"{'real text':26} repeated {repeated(target[test]):6.1%}")
    steps(base, rows, 4, lambda batch: tokens(base, likelihood, batch))
    made = go_on(base, words[test])
    report("cross-entropy", base)

    tuning: dict[str, lossmith.Loss] = {
        "+ more cross-entropy": likelihood,
        "+ unlikelihood, alpha 1": lossmith.Unlikelihood(),
        "+ unlikelihood, alpha 5": lossmith.Unlikelihood(alpha=5.0),
    }
    for name, loss in tuning.items():
        model = copy.deepcopy(base)
        steps(model, tuned, 3, lambda batch, m=model, one=loss: tokens(m, one, batch))
        report(name, model)

    preferring, own = copy.deepcopy(base), go_on(base, words[:tuned])

    def preference(batch: Tensor) -> Tensor:
        real = continued(preferring, words[batch], target[batch])
        made = continued(preferring, own[batch], own[batch])
        return simpo({"chosen": real, "rejected": made}) + tokens(preferring, likelihood, batch)

    steps(preferring, tuned, 3, preference)
    report("+ SimPO + cross-entropy", preferring)
    if picture:
        draw(found, repeated(target[test]), picture)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--picture", metavar="FILE", help="draw the results")
    main(**vars(parser.parse_args()))
