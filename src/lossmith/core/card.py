"""The card: the frozen facts of a loss, from which tests, listings and documentation follow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Task = Literal[
    "regression",
    "binary",
    "multiclass",
    "ordinal",
    "multilabel",
    "survival",
    "series",
    "ranking",
    "segmentation",
    "detection",
    "image",
    "audio",
    "metric_learning",
    "self_supervised",
    "gan",
    "diffusion",
    "autoencoder",
    "text",
    "preference",
    "distillation",
    "transfer",
    "divergence",
    "anomaly",
    "reinforcement",
]
# What one tensor holds. Any real number: values, logits, parameters of a distribution, scores,
# embeddings. Within bounds: log_probabilities (at most 0), probabilities (of dimension 1, summing
# to 1), labels (0 to 1), positive, counts (0, 1, 2 …), boxes (x1, y1, x2, y2 of dimension 1).
# Integers: classes, indices (all different).
Kind = Literal[
    "values",
    "logits",
    "parameters",
    "scores",
    "embeddings",
    "log_probabilities",
    "probabilities",
    "labels",
    "positive",
    "counts",
    "boxes",
    "classes",
    "indices",
]
Kinds = Kind | Mapping[str, Kind]
Reduction = Literal["mean", "coupled", "statistic", "set"]
_HEADS = frozenset({"regression", "binary", "multiclass", "ordinal"})
Elicits = Literal["mean", "median", "quantile", "expectile", "mode", "probabilities", "balanced"]


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What a loss claims of its values as a function of its input; every field has a test.

    convex: in the input. lipschitz: the gradient is bounded. bounded: the values are bounded.
    proper: expected value is least at the true probabilities or distribution. elicits: the
    functional of the target that the decoded minimiser gives.
    """

    convex: bool = False
    lipschitz: bool = False
    bounded: bool = False
    proper: bool = False
    elicits: Elicits | None = None


@dataclass(frozen=True, kw_only=True)
class Example:
    """A worked value: constructor arguments, input, target, and the mean value expected."""

    input: Any
    target: Any
    value: float
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Card:
    """The facts of one loss.

    key: its name in the catalogue. tasks: what it can train. input, target: the kind of tensor
    that is passed, or a kind for each name where named tensors are; target is None where a loss
    has none. optional: the names that may be left out. required_signals: those of training that its
    state follows. double_backward, vmap, fullgraph: what it can do beyond training, fullgraph that
    it compiles to one full graph. detached: its gradient
    holds a part of the value constant, as its paper says, so that finite differences do not apply.
    learns: it has parameters of its own, which must be given to the optimizer. studied: whether a
    study tries it; not where it asks what no data tell, as what an error costs. former_keys: what
    files and records of older versions call it.

    symmetric: gradients flow into the target as into the input: two views, two samples.
    """

    key: str
    tasks: tuple[Task, ...]
    target: Kinds | None
    input: Kinds
    example: Example
    claims: Claims = Claims()
    optional: tuple[str, ...] = ()
    required_signals: tuple[str, ...] = ()
    symmetric: bool = False
    detached: bool = False
    learns: bool = False
    studied: bool = True
    former_keys: tuple[str, ...] = ()
    double_backward: bool = True
    vmap: bool = True
    fullgraph: bool = True

    @property
    def trains_head(self) -> bool:
        """Whether it trains the head of a model of rows: one tensor in, one target a row."""
        alone = isinstance(self.input, str) and isinstance(self.target, str)
        return alone and bool(_HEADS & set(self.tasks))
