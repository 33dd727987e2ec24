"""Hybrids: several losses as one, added, scaled, routed."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar, Literal, Self

from torch import Tensor, nn

from lossmith.core.adaptive import Number
from lossmith.core.card import Card, Example
from lossmith.core.loss import Loss, UnknownHeadError
from lossmith.core.plain import shown
from lossmith.core.schedule import Schedule
from lossmith.core.serial import plain
from lossmith.core.weighting import Equal, Fixed, Weighting

Route = tuple[str | None, str | None]  # of input and target, None for the whole


class Hybrid(Loss, composes=True):
    r"""Several losses as one: terms by name, and the weighting that makes one scalar of them.

    .. math:: L = \mathrm{weighting}(L_1, \dots, L_K)

    With names as keywords, each loss reads the part of that name: dict in, dict target. `+`, `*`
    and `.on(...)` write the same; `switch`, `blend` and `sequence` give hybrids of losses that all
    read one head.

    Args:
        losses: by name; each reads input[name] and target[name].
        weighting: how the terms become one scalar; None is their sum.

    Raises:
        TypeError: if a loss is none, or what is passed are not dicts where losses are routed.
        ValueError: if there is no loss, or losses that share a head need different ones.

    >>> from lossmith import MAE, MSE
    >>> both = Hybrid(a=MSE(), b=MAE())
    >>> both({"a": torch.zeros(1), "b": torch.zeros(1)}, {"a": torch.ones(1), "b": torch.ones(1)})
    tensor(2.)
    """

    card: ClassVar[Card] = Card(
        key="hybrid",
        tasks=(),
        input="values",
        target="values",
        example=Example(input=[0.0], target=[1.0], value=1.0),
    )

    def __init__(self, *, weighting: Weighting | None = None, **losses: Loss) -> None:
        self._build({name: (loss, (name, name)) for name, loss in losses.items()}, weighting)

    def _build(
        self, terms: Mapping[str, tuple[Loss, Route | None]], weighting: Weighting | None
    ) -> None:
        super().__init__()
        if not terms:
            raise ValueError("Hybrid needs at least one loss")
        for name, (loss, _) in terms.items():
            if not isinstance(loss, Loss):
                raise TypeError(f"Hybrid: {name} must be a lossmith loss, got {shown(loss)}")
        self.losses = nn.ModuleDict({name: loss for name, (loss, _) in terms.items()})
        self.routes = {name: route for name, (_, route) in terms.items()}
        _check_heads(self.losses, self.routes)  # type: ignore[arg-type]
        rule = Equal() if weighting is None else weighting
        self.weighting = rule.start(dict(self.losses.items()))  # type: ignore[arg-type]

    @classmethod
    def of(
        cls, terms: Mapping[str, tuple[Loss, Route | None]], weighting: Weighting | None = None
    ) -> Self:
        """Return the hybrid of losses with the names (input, target) that each reads, or None."""
        hybrid = cls.__new__(cls)
        hybrid._build(terms, weighting)
        return hybrid

    @classmethod
    def of_plain(cls, arguments: Mapping[str, Any]) -> Self:
        """Return the hybrid of the terms and the weighting that its `config` told."""
        routes = ((one["name"], one["loss"], tuple(one["route"])) for one in arguments["terms"])
        terms = {name: (loss, route or None) for name, loss, route in routes}
        return cls.of(terms, arguments["weighting"])

    @classmethod
    def routed(cls, loss: Loss, input: str | None, target: str | None) -> Self:
        """Return one loss as a term on input[input] and target[target], None for the whole."""
        return cls.of({target or input or loss.card.key: (loss, (input, target))}, Fixed())

    @classmethod
    def scaled(cls, loss: Loss, weight: Number) -> Self:
        """Return one loss, or a weighted sum, times a weight."""
        weight = float(weight) if isinstance(weight, Real) else weight
        if not isinstance(weight, (float, Schedule, nn.Parameter)):
            raise TypeError(
                f"a loss is multiplied by a number, a schedule or a parameter, got {weight!r}"
            )
        terms, weights = _terms(loss)
        return cls.of(terms, Fixed({name: _times(weights[name], weight) for name in terms}))

    @classmethod
    def summed(cls, *losses: Loss) -> Self:
        """Return the sum of losses and of the terms of hybrids; names that clash are numbered."""
        terms: dict[str, tuple[Loss, Route | None]] = {}
        weights: dict[str, Number] = {}
        for loss in losses:
            if not isinstance(loss, Loss):
                raise TypeError(f"only losses can be added to a loss, got {shown(loss)}")
            own, factors = _terms(loss)
            for name, term in own.items():
                free = _free(name, terms)
                terms[free], weights[free] = term, factors[name]
        return cls.of(terms, Fixed(weights))

    @classmethod
    def weighed(cls, losses: Sequence[Loss], weights: Iterable[Schedule]) -> Self:
        """Return the sum of losses, each times its schedule; names that clash are numbered."""
        terms: dict[str, tuple[Loss, Route | None]] = {}
        by_name: dict[str, Number] = {}
        for loss, weight in zip(losses, weights, strict=True):
            if not isinstance(loss, Loss):
                raise TypeError(f"a hybrid is made of lossmith losses, got {shown(loss)}")
            name = _free(loss.card.key, terms)
            terms[name], by_name[name] = (loss, None), weight
        return cls.of(terms, Fixed(by_name))

    @classmethod
    def for_target(
        cls, target: Any, *, losses: Sequence[Loss | type[Loss]] = (), **hypers: Any
    ) -> Self:
        """Return the sum of losses fitted to the training targets.

        Args:
            target: of all losses, or a dict of targets where they are routed.
            losses: classes, fitted as they are by default, and losses, whose arguments are kept.
            hypers: those of each class's `for_target`.

        >>> from lossmith import CrossEntropy, Dice
        >>> masks = torch.tensor([[[0, 1], [2, 2]]])
        >>> Hybrid.for_target(masks, losses=[CrossEntropy, Dice(squared=False)]).out_features
        3
        """
        if not losses:
            raise ValueError("Hybrid.for_target needs losses=[…], classes or losses of their sum")
        fitted = [
            one.for_target(target, **hypers) if isinstance(one, type) else one.refitted(target)
            for one in losses
        ]
        return cls.summed(*fitted)

    def refitted(self, target: Any, **known: Any) -> Self:
        """Return the same terms and weighting, each loss fitted to its training targets."""
        found = copy.deepcopy(self)
        for name, loss in self.losses.items():
            route = self.routes[name]
            found.losses[name] = loss.refitted(_part(target, route, 1), **known)  # type: ignore[operator]
        _check_heads(found.losses, found.routes)  # type: ignore[arg-type]
        return found

    @property
    def out_features(self) -> int:
        """The width of the shared head; UnknownHeadError if none knows it or each reads a part."""
        if self.named("input"):
            raise UnknownHeadError(
                "this hybrid reads named parts; ask each loss in .losses for its out_features"
            )
        known = [width for loss in self._children() if (width := _width(loss)) is not None]
        return known[0] if known else next(self._children()).out_features  # which says why

    def decode(self, output: Any) -> Any:
        """Read the head, or each named part of it, by the loss that weighs most now."""
        return self._read(output, lambda loss, part: loss.decode(part))

    def quantile(self, output: Any, level: float) -> Any:
        """Read the head, or each named part of it, at a level by the loss that weighs most now."""
        return self._read(output, lambda loss, part: loss.quantile(part, level))

    def _read(self, output: Any, read: Callable[[Any, Any], Any]) -> Any:
        parts = self.named("input")
        if not parts:
            return read(self.reader(None), output)
        if not isinstance(output, Mapping):
            raise TypeError(
                f"Hybrid: output must be a dict with {', '.join(parts)}; got "
                f"{type(output).__name__}"
            )
        return {part: read(self.reader(part), output[part]) for part in parts if part in output}

    def named(self, of: Literal["input", "target"]) -> list[str]:
        """Return the names of the parts that terms read, none where each reads the whole."""
        names = {_name(route, ("input", "target").index(of)) for route in self.routes.values()}
        return sorted(name for name in names if name)

    def reader(self, part: str | None) -> Loss:
        """Return the loss that weighs most now of those that read a part, None for the whole.

        >>> from lossmith import CrossEntropy, Huber
        >>> (CrossEntropy().on("label") + Huber().on("price")).reader("price")
        Huber(delta=1.0)
        """
        names = [name for name, route in self.routes.items() if _name(route, 0) == part]
        return self.losses[self._heaviest(names)]  # type: ignore[return-value]

    def _heaviest(self, names: Sequence[str]) -> str:
        weights = self.weighting.weights()
        return max(names, key=lambda name: weights.get(name, 1.0))

    def check_given(self, input: Any, target: Any) -> None:
        """Raise TypeError or ValueError unless every name that a term reads is there."""
        for what, data in (("input", input), ("target", target)):
            wanted = self.named(what)  # type: ignore[arg-type]
            if not wanted:
                continue
            if not isinstance(data, Mapping):
                raise TypeError(
                    f"Hybrid: {what} must be a dict with {', '.join(wanted)}; "
                    f"got {type(data).__name__}"
                )
            missing = [name for name in wanted if name not in data]
            if missing:
                raise ValueError(
                    f"Hybrid: {what} lacks {', '.join(missing)}; it has {', '.join(data)}"
                )

    def terms(
        self,
        input: Any,
        target: Any = None,
        *,
        weight: Any = None,
        denominator: Any = None,
    ) -> dict[str, Tensor]:
        """Return each loss's value by name; weight and denominator may be dicts by name."""
        weights = _by_term("weight", weight, self.losses)
        denominators = _by_term("denominator", denominator, self.losses)
        found = {}
        for name, loss in self.losses.items():
            route = self.routes[name]
            given = (_part(input, route, 0), _part(target, route, 1))
            found[name] = loss(*given, weight=weights[name], denominator=denominators[name])
        return found

    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Make one scalar of the terms, by the weighting."""
        return self.weighting.combine(terms)

    def config(self) -> dict[str, Any]:
        """Return losses, routes and weighting as plain data."""
        terms = [
            {"name": name, "loss": plain(loss), "route": list(self.routes[name] or ())}
            for name, loss in self.losses.items()
        ]
        return {"terms": terms, "weighting": self.weighting.to_dict()}

    def extra_state(self) -> dict[str, Tensor]:
        """Return the weighting's state; that of the losses stands with each of them."""
        state = self.weighting.state_dict()
        return {f"weighting.{name}": value for name, value in state.items()}

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        cards = {name: one.card for name, one in self.losses.items() if isinstance(one, Loss)}
        for name, card in cards.items():
            number = name.removeprefix(card.key)
            for former in (key + number for key in card.former_keys):  # of an older version
                if former not in self.losses and number != name:
                    _rename(state, prefix, former, name)
        super()._load_from_state_dict(state, prefix, *rest)

    def extra_repr(self) -> str:
        """Show which part each term reads; losses and weighting show themselves."""
        read = {name: route[1] or route[0] for name, route in self.routes.items() if route}
        return ", ".join(f"{name}: {part}" for name, part in read.items() if part)

    def _children(self) -> Iterator[Loss]:
        yield from (loss for loss in self.losses.values() if isinstance(loss, Loss))


def _by_term(what: str, given: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return what each term gets of something that is given by name, or once for all."""
    if not isinstance(given, Mapping):
        return dict.fromkeys(names, given)
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise ValueError(
            f"Hybrid: {what} names {', '.join(unknown)}; the terms are {', '.join(names)}"
        )
    return {name: given.get(name) for name in names}


def _terms(loss: Loss) -> tuple[dict[str, tuple[Loss, Route | None]], dict[str, Number]]:
    """Return the terms and weights of a weighted sum; any other loss is one term."""
    if isinstance(loss, Hybrid) and isinstance(loss.weighting, (Fixed, Equal)):
        given = loss.weighting.given() if isinstance(loss.weighting, Fixed) else {}
        terms = {name: (part, loss.routes[name]) for name, part in loss.losses.items()}
        return terms, {name: given.get(name, 1.0) for name in terms}  # type: ignore[return-value]
    return {loss.card.key: (loss, None)}, {loss.card.key: 1.0}


def _times(present: Number, weight: Number) -> Number:
    if isinstance(present, (int, float)):
        return (
            present * weight
            if isinstance(weight, (int, float))
            else (weight if present == 1 else _refuse(present, weight))
        )
    unchanged = isinstance(weight, (int, float)) and weight == 1
    return present if unchanged else _refuse(present, weight)


def _refuse(present: Number, weight: Number) -> Number:
    raise TypeError(
        f"a term of weight {present!r} cannot be multiplied by {weight!r}; "
        "give the schedule the numbers it should have"
    )


def _free(name: str, taken: Mapping[str, Any]) -> str:
    if name not in taken:
        return name
    return next(f"{name}_{i}" for i in range(2, len(taken) + 3) if f"{name}_{i}" not in taken)


def _rename(state: dict[str, Any], prefix: str, former: str, name: str) -> None:
    """Give the entries of a term and of its weight in a state_dict the term's name of today."""
    for place in (f"{prefix}losses.", f"{prefix}weighting.weight_"):
        for entry in [entry for entry in state if entry.startswith(place + former)]:
            rest = entry.removeprefix(place + former)
            if rest.startswith(".") or rest in ("", "_memory"):  # else it is of another term
                state[place + name + rest] = state.pop(entry)


def _name(route: Route | None, place: int) -> str | None:
    """Return the name that a route has for input or target, None for the whole."""
    return route[place] if route else None


def _part(data: Any, route: Route | None, place: int) -> Any:
    name = _name(route, place)
    return data if name is None else data[name]


def _width(loss: Loss) -> int | None:
    """Return the width of a loss's head; None where it has any, or parts of its own."""
    try:
        return loss.out_features
    except UnknownHeadError:
        return None


def _check_heads(losses: Mapping[str, Loss], routes: Mapping[str, Route | None]) -> None:
    """Raise ValueError where losses that read one tensor need heads of different width."""
    by_part: dict[str, list[str]] = {}
    for name, route in routes.items():
        by_part.setdefault(_name(route, 0) or "", []).append(name)
    for part, names in by_part.items():
        found = {name: _width(losses[name]) for name in names}
        widths = {name: width for name, width in found.items() if width is not None}
        if len(set(widths.values())) > 1:
            where = f"the part {part!r}" if part else "one head"
            told = ", ".join(f"{name} needs {width}" for name, width in widths.items())
            raise ValueError(
                f"losses that share {where} need heads of different width: {told}; give them "
                "parts of their own with .on(...), or wrap one so that both read the same head"
            )
