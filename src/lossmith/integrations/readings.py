"""What `watch` says of a step, and where it says it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TermReading:
    """One term at one step.

    weight: its factor in the loss. gradient: the norm of its part of the gradient at the outputs.
    share: of the sum of all terms' norms. half: the share of rows that carry half of the sum of
    the rows' norms. hardest: the places in the batch of the rows whose gradient is largest.
    """

    value: float
    weight: float = 1.0
    gradient: float = 0.0
    share: float = 0.0
    half: float = 0.0
    hardest: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was seen at a step: each term, and the numbers that are learned or on a schedule."""

    step: int
    terms: Mapping[str, TermReading]
    numbers: Mapping[str, float] = field(default_factory=dict)
    prefix: str = "loss"

    def scalars(self) -> dict[str, float]:
        """Return all of it that a logger takes, by name.

        >>> Reading(step=1, terms={"mse": TermReading(value=2.0)}).scalars()["loss/mse/value"]
        2.0
        """
        found = dict(self.numbers)
        for name, term in self.terms.items():
            place = f"{self.prefix}/{name}"
            found[f"{place}/value"] = term.value
            found[f"{place}/gradient_share"] = term.share
            found[f"{place}/rows_for_half"] = term.half
        return found

    def __str__(self) -> str:
        lines = [f"step {self.step}"]
        for name, term in self.terms.items():
            lines.append(
                f"  {name}: {term.value:.4g}, {term.share:.0%} of the gradient, half of it in "
                f"{term.half:.0%} of the rows, hardest {', '.join(map(str, term.hardest))}"
            )
        lines += [f"  {name}: {number:.4g}" for name, number in self.numbers.items()]
        return "\n".join(lines)

    def __rich__(self) -> Any:
        from rich.table import Table

        columns = ("term", "value", "of the gradient", "rows for half", "hardest rows")
        table = Table(*columns, title=f"step {self.step}", title_justify="left")
        for name, term in self.terms.items():
            hardest = ", ".join(map(str, term.hardest))
            table.add_row(
                name, f"{term.value:.4g}", f"{term.share:.0%}", f"{term.half:.0%}", hardest
            )
        for name, number in self.numbers.items():
            table.add_row(name.removeprefix(f"{self.prefix}/"), f"{number:.4g}", "", "", "")
        return table


Sink = Callable[[Reading], Any]


def sink_of(to: Any) -> Sink:
    """Return what takes a reading to a function, a console or a logger.

    Raises:
        TypeError: if `to` is none of these.
    """
    if to is None:
        return lambda reading: None
    if hasattr(to, "add_scalar"):  # TensorBoard's SummaryWriter
        return lambda reading: [
            to.add_scalar(name, number, reading.step) for name, number in reading.scalars().items()
        ]
    if hasattr(to, "log_dict") and hasattr(to, "log"):  # a LightningModule; MLflow's is another
        return lambda reading: to.log_dict(reading.scalars())
    if hasattr(to, "print"):  # a console of rich
        return lambda reading: to.print(reading)
    if hasattr(to, "log"):  # W&B, and the Trainer of Transformers, whose log_metrics is another
        return lambda reading: to.log({**reading.scalars(), f"{reading.prefix}/step": reading.step})
    if hasattr(to, "log_metrics"):  # MLflow, and Lightning's loggers
        return lambda reading: to.log_metrics(reading.scalars(), step=reading.step)
    if callable(to):
        return to  # type: ignore[no-any-return]
    raise TypeError(
        f"to must be a function of a reading, a rich Console, or a logger of TensorBoard, MLflow, "
        f"W&B, Lightning or Transformers; got {to!r}"
    )
