"""Tokens: one class at each place of a text; negative codes, as −100, are ignored."""

from collections.abc import Mapping
from typing import Any, ClassVar

from lossmith.core.loss import Loss
from lossmith.study.tasks.arrays import ArrayTask, Baseline, whole

LIKELIHOOD = Baseline(
    "cross_entropy", "probabilities of tokens, whose log loss it is", elicited=True
)


class Tokens(ArrayTask):
    """Codes (N, T), with logits (N, V, T)."""

    name = "text"
    cards = ("multiclass", "text")  # losses of classes are the same at each place
    wanted = "token codes (N, T), negative ones, but not all, ignored,"
    start = "cross_entropy"
    defaults: ClassVar[Mapping[str, Baseline]] = {
        "perplexity": LIKELIHOOD,
        "token_accuracy": LIKELIHOOD,
    }

    def accepts(self, target: Any) -> bool:
        """Tell whether targets are codes of tokens."""
        return whole(target, 2) and bool((target >= 0).any())

    def admits(self, kind: type[Loss], target: Any) -> bool:
        """Tell whether a loss reads logits at each place and needs no counts of all classes."""
        plain = (kind.card.input, kind.card.target) == ("logits", "classes")
        return (
            plain
            and not kind.card.required_signals
            and not {"loss", "counts"} & set(kind.hyperparameters)
        )

    def width(self, loss: Loss, target: Any) -> int:
        """Return how many tokens are seen; the model's vocabulary may be larger."""
        return int(target.max()) + 1
