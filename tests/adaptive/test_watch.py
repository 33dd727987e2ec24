"""Watching a loss: what is read is right, and training is the same to the bit."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

import lossmith
from lossmith import (
    MAE,
    MSE,
    CrossEntropy,
    Huber,
    Hybrid,
    Linear,
    LossScheduler,
    Uncertainty,
    watch,
)
from lossmith.core.rows import of_half
from lossmith.integrations.logs import scalars
from lossmith.integrations.readings import Reading

ROWS = 24
X = torch.randn(ROWS, 5, generator=torch.Generator().manual_seed(0))
Y = X.sum(1)
CLASSES = torch.arange(ROWS) % 3
LARGE = torch.randn(3000, 5, generator=torch.Generator().manual_seed(1))


class Pair(nn.Module):
    """Two outputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.price, self.grade = nn.Linear(5, 1), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"price": self.price(x).squeeze(-1), "grade": self.grade(x)}


def both() -> Hybrid:
    return Hybrid(
        price=Huber(delta=Linear(2.0, 0.5)), grade=CrossEntropy(), weighting=Uncertainty()
    )


Case = tuple[Callable[[], nn.Module], Callable[[], nn.Module], Tensor, Any]
CASES: dict[str, Case] = {
    "one": (lambda: nn.Linear(5, 3), CrossEntropy, X, CLASSES),
    "torch's": (lambda: nn.Linear(5, 3), nn.CrossEntropyLoss, X, CLASSES),
    "sum": (
        lambda: nn.Sequential(nn.Linear(5, 1), nn.Flatten(0)),
        lambda: MSE() + 0.3 * MAE(),
        X,
        Y,
    ),
    "routed": (Pair, both, X, {"price": Y, "grade": CLASSES}),
    "coupled": (lambda: nn.Linear(5, 4), lossmith.NTXent, X, X[:, :4].flip(0)),
    "swept": (lambda: nn.Linear(5, 4), lossmith.NTXent, LARGE, LARGE[:, 1:].flip(0)),
    "blocks": (lambda: nn.Linear(5, 700), CrossEntropy, LARGE, torch.arange(3000) % 700),
    "linear head": (
        lambda: nn.Linear(5, 8),
        lambda: lossmith.LinearCrossEntropy(in_features=8, classes=5),
        LARGE,
        torch.arange(3000) % 5,
    ),
    "sampled": (
        lambda: nn.Linear(5, 8),
        lambda: lossmith.SampledLinearCrossEntropy(in_features=8, classes=500, samples=20),
        LARGE,
        torch.arange(3000) % 500,
    ),
}


def train(case: Case, watched: bool, compiled: bool = False, steps: int = 5) -> list[Tensor]:
    make, make_loss, x, target = case
    torch.manual_seed(0)
    model, loss = make(), make_loss()
    run = torch.compile(model, backend="aot_eager") if compiled else model
    parts = list(dict.fromkeys([*model.parameters(), *loss.parameters()]))
    optimizer = torch.optim.Adam(parts, lr=0.05)
    driven = isinstance(loss, lossmith.Loss)
    clock = LossScheduler(loss, total_steps=steps, optimizer=optimizer) if driven else None
    handle = watch(loss, every=2, to=None) if watched else None
    for _ in range(steps):
        optimizer.zero_grad()
        loss(run(x), target).backward()
        optimizer.step()
        if clock is not None:
            clock.step()
    if handle is not None:
        assert handle.step == steps
        assert handle.last is not None
        assert handle.last.step == 5
        assert all(term.gradient > 0 for term in handle.last.terms.values())
        handle.remove()
        assert not any(part._forward_hooks for part in loss.modules())
    return [one.detach().clone() for one in (*parts, torch.get_rng_state())]


@pytest.mark.parametrize("name", CASES)
def test_training_is_the_same_to_the_bit(name: str) -> None:
    pairs = zip(train(CASES[name], True), train(CASES[name], False), strict=True)
    assert all(torch.equal(mine, theirs) for mine, theirs in pairs)


def test_so_it_is_of_a_compiled_model() -> None:
    case = CASES["sum"]
    pairs = zip(train(case, True, compiled=True), train(case, False, compiled=True), strict=True)
    assert all(torch.equal(mine, theirs) for mine, theirs in pairs)


def test_what_is_read_is_right() -> None:
    output = (Y + torch.linspace(-1, 3, ROWS)).requires_grad_()
    loss = MSE() + 0.5 * MAE()
    seen: list[Reading] = []
    with watch(loss, to=seen.append):
        loss(output, Y).backward()
    terms = seen[0].terms
    error = (output - Y).detach()
    slopes = {"mse": 2 * error / ROWS, "mae": 0.5 * error.sign() / ROWS}
    sizes = {name: slope.norm().item() for name, slope in slopes.items()}
    assert terms["mse"].value == pytest.approx(error.square().mean().item())
    assert terms["mae"].value == pytest.approx(error.abs().mean().item())
    assert terms["mae"].weight == 0.5
    for name, term in terms.items():
        assert term.gradient == pytest.approx(sizes[name], rel=1e-5)
        assert term.share == pytest.approx(sizes[name] / sum(sizes.values()), rel=1e-5)
    assert terms["mse"].hardest == tuple(error.abs().topk(5).indices.tolist())
    assert terms["mse"].half == of_half(error.abs())[0]
    assert terms["mae"].half == pytest.approx(0.5)


def test_only_every_so_many_steps_of_training_are_read() -> None:
    loss, steps = MSE(), []
    with watch(loss, every=3, to=lambda reading: steps.append(reading.step)):
        for _ in range(7):
            loss(torch.ones(4, requires_grad=True), torch.zeros(4)).backward()
            with torch.no_grad():
                loss(torch.ones(4), torch.zeros(4))
    assert steps == [1, 4, 7]
    loss(torch.ones(4, requires_grad=True), torch.zeros(4))
    assert steps == [1, 4, 7]


def test_terms_by_themselves_nested_hybrids_and_modules_are_watched() -> None:
    loss = both()
    names = []
    with watch(loss, to=lambda reading: names.extend(reading.terms)):
        terms = loss.terms(Pair()(X), {"price": Y, "grade": CLASSES})
        loss.combine(terms).backward()
    assert names == ["price", "grade"]
    inner = Hybrid(a=MSE(), b=MAE()).on("x")
    with watch(lossmith.ModelWithLoss(nn.Identity(), inner), to=None) as watching:
        part = {"a": X[:, 0].clone().requires_grad_(), "b": X[:, 1].clone().requires_grad_()}
        inner({"x": part}, {"x": {"a": Y, "b": Y}})
    assert watching.last is not None
    assert list(watching.last.terms) == ["loss/x/a", "loss/x/b"]


def test_learned_and_scheduled_numbers_are_told_and_logged_by_callbacks() -> None:
    loss = both()
    with watch(loss, to=None) as watching:
        loss(Pair()(X), {"price": Y, "grade": CLASSES})
        logged = scalars(loss)
    assert watching.last is not None
    assert watching.last.numbers["loss/losses/price/delta"] == 2.0
    assert watching.last.numbers["loss/weighting/price"] == 0.5
    assert logged == watching.last.scalars()
    assert "loss/price/value" not in scalars(loss)


class Logger:
    """One method that is to be called as a logger's, beside others of the same logger."""

    def __init__(self, method: str, *others: str) -> None:
        self.got: list[Any] = []
        for other in others:
            setattr(self, other, self._refuse)
        setattr(self, method, lambda *args, **given: self.got.append((*args, given)))

    def _refuse(self, *args: Any, **given: Any) -> None:
        raise AssertionError("another method is meant")


@pytest.mark.parametrize(
    ("methods", "wanted"),
    [
        (["add_scalar"], ("loss/mse/value", 1.0, 1, {})),  # TensorBoard
        (["log_metrics", "log_dict"], ({"loss/mse/value": 1.0}, {"step": 1})),  # MLflow
        (["log_metrics"], ({"loss/mse/value": 1.0}, {"step": 1})),  # Lightning's loggers
        (["log_dict", "log", "print"], ({"loss/mse/value": 1.0}, {})),  # a LightningModule
        (["log"], ({"loss/mse/value": 1.0, "loss/step": 1}, {})),  # W&B
        (["log", "log_metrics"], ({"loss/mse/value": 1.0, "loss/step": 1}, {})),  # Transformers
    ],
)
def test_loggers_are_called_as_they_are_meant_to(
    methods: list[str], wanted: tuple[Any, ...]
) -> None:
    logger, loss = Logger(*methods), MSE()
    with watch(loss, to=logger):
        loss(torch.ones(4, requires_grad=True), torch.zeros(4))
    got = logger.got[0]
    if methods == ["add_scalar"]:
        assert got == wanted
        return
    assert got[0].items() >= wanted[0].items()
    assert got[1:] == wanted[1:]


def test_the_handle_shows_what_was_seen_last() -> None:
    loss = MSE() + MAE()
    with watch(loss, every=10, to=None) as watching:
        assert str(watching) == repr(watching) == "<Watch of mse, mae, every 10 steps, 0 seen>"
        loss(torch.ones(4, requires_grad=True), torch.zeros(4))
        loss(torch.ones(4, requires_grad=True), torch.zeros(4))
    assert repr(watching) == "<Watch of mse, mae, every 10 steps, 2 seen>"
    assert str(watching).startswith("step 1\n  mse: 1, ")


def test_it_prints_and_draws_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    console, loss = Console(width=90), MSE()
    with watch(loss):
        loss(torch.ones(4, requires_grad=True), torch.zeros(4))
    assert "mse: 1, 100% of the gradient, half of it in 50% of the rows" in capsys.readouterr().out
    with watch(loss, to=console):
        loss(torch.ones(4, requires_grad=True), torch.zeros(4))
    assert "hardest rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("loss", "given", "error", "text"),
    [
        (lambda o, y: o, {}, TypeError, "a function has no hooks"),
        (MSE(), {"every": 0}, ValueError, "every must be 1 or more"),
        (MSE(), {"to": 3}, TypeError, "to must be a function of a reading"),
    ],
)
def test_what_cannot_be_watched(loss: Any, given: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        watch(loss, **given)


def test_a_compiled_loss_is_refused_and_a_compiled_step_sees_nothing() -> None:
    loss = MSE()
    compiled = copy.deepcopy(loss)
    compiled.compile(backend="eager")
    with pytest.raises(ValueError, match="mse is compiled"):
        watch(compiled)
    with watch(loss, to=None) as watching:
        step = torch.compile(lambda o: loss(o, torch.zeros(4)), backend="eager", fullgraph=True)
        step(torch.ones(4, requires_grad=True)).backward()
    assert watching.step == 0


def test_lightning_logs_what_is_watched() -> None:
    pl = pytest.importorskip("pytorch_lightning")
    from lossmith.integrations.lightning import LossCallback

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.loss = nn.Linear(5, 1), MSE() + 0.5 * MAE()

        def training_step(self, batch: list[Tensor], index: int) -> Tensor:
            return self.loss(self.net(batch[0]).squeeze(-1), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.01)

    quiet = dict.fromkeys(["logger", "enable_progress_bar", "enable_model_summary"], False)
    callbacks = [LossCallback("loss")]
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", callbacks=callbacks, enable_checkpointing=False, **quiet
    )
    module = Module()
    data = torch.utils.data.TensorDataset(X, Y)
    with watch(module.loss, every=2, to=None) as watching:
        trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=8))
    assert watching.last is not None
    assert watching.last.step == 3
    shown = {name: number.item() for name, number in trainer.callback_metrics.items()}
    for name, number in watching.last.scalars().items():
        assert shown[name] == pytest.approx(number, rel=1e-5)
