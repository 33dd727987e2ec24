"""Each finding: fires on what is broken, silent where it is put right, and nothing is changed."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import lossmith
from lossmith import check_setup
from lossmith.doctor import Finding, Findings
from lossmith.doctor.registry import CHECKS
from shared.setups import CASES, CLASSES, LABELS, NUMBERS, ROWS, Flat, X, classes, net, numbers

IDS = [f"{place}-{name}".replace(" ", "_") for place, (name, _, _) in enumerate(CASES)]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(("name", "broken", "right"), CASES, ids=IDS)
def test_a_finding_fires_on_what_is_broken_alone(
    name: str, broken: dict[str, Any], right: dict[str, Any]
) -> None:
    found = check_setup(**broken)
    assert name in found.names
    said = next(one for one in found if one.name == name)
    assert said.evidence
    assert said.remedy
    assert "\n" not in str(said)
    assert check_setup(**right) == ()


def test_every_check_has_a_case() -> None:
    fired = set()
    for _, broken, _ in CASES:
        from lossmith.doctor import registry

        before = registry.CHECKS
        try:
            for check in CHECKS:
                registry.CHECKS = (check,)
                found = check_setup(**broken)
                if any("fails" not in one.name for one in found):
                    fired.add(check)
        finally:
            registry.CHECKS = before
    assert {check.__name__ for check in set(CHECKS) - fired} == set()


def test_a_set_up_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3))
    generator = torch.Generator().manual_seed(3)
    data = DataLoader(TensorDataset(X, CLASSES), batch_size=16, shuffle=True, generator=generator)
    nn.functional.cross_entropy(model(X), CLASSES).backward()
    model[1].eval()
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    grads = [one.grad.clone() for one in model.parameters() if one.grad is not None]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    own = generator.get_state()
    check_setup(model, nn.CrossEntropyLoss(), data)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.state_dict().items())
    assert all(torch.equal(a.grad, b) for a, b in zip(model.parameters(), grads, strict=True))
    assert [part.training for part in model] == [True, False, True, True]
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert states[2] == np.random.get_state()[1].tolist()
    assert torch.equal(own, generator.get_state())


def test_what_a_function_reaches_is_left_as_it_was_too() -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    check_setup(lambda x: model(x).squeeze(-1), nn.MSELoss(), (X, NUMBERS))
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.state_dict().items())
    assert all(one.grad is None for one in model.parameters())


def test_a_right_set_up_trains_the_same_after_it() -> None:
    def train(looked_at: bool) -> torch.Tensor:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loss = lossmith.CrossEntropy()
        for _ in range(3):
            if looked_at:
                check_setup(model, loss, (X, CLASSES), optimizer=optimizer)
            optimizer.zero_grad()
            loss(model(X), CLASSES).backward()
            optimizer.step()
        return torch.cat([one.flatten() for one in model.parameters()])

    assert torch.equal(train(True), train(False))


def test_findings_print_a_line_each_the_gravest_first() -> None:
    given = {"evidence": "seen", "remedy": "mend"}
    found = Findings(Finding(name=n, severity=n, **given) for n in ("note", "error", "warning"))  # type: ignore[arg-type]
    assert found.names == ["error", "warning", "note"]
    assert str(found).splitlines()[0] == "error: error: seen; mend"
    assert repr(Findings()) == "nothing wrong was found"


@pytest.mark.parametrize("compiled", ["model", "loss", "both", "in place"])
def test_what_is_compiled_is_seen_through(compiled: str) -> None:
    model: Any = net(3, nn.Softmax(1))
    loss: Any = lossmith.CrossEntropy() if compiled == "in place" else nn.CrossEntropyLoss()
    if compiled in ("model", "both"):
        model = torch.compile(model)
    if compiled in ("loss", "both"):
        loss = torch.compile(loss)
    if compiled == "in place":
        loss.compile()
    assert check_setup(**classes(model, loss)).names == ["probabilities passed as logits"]


def test_a_model_of_transformers_is_called_by_name() -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = transformers.BertConfig(vocab_size=20, intermediate_size=8, num_labels=2, **sizes)
    model = transformers.BertForSequenceClassification(config)
    words = torch.randint(20, (8, 6))
    batch = {"input_ids": words, "attention_mask": words.ne(0).long(), "labels": CLASSES[:8] % 2}
    assert check_setup(model, lossmith.CrossEntropy(), batch) == ()
    wrong = {**batch, "labels": CLASSES[:8]}
    found = check_setup(model, nn.CrossEntropyLoss(), wrong).names
    assert found == ["classes that the head does not have"]


def test_outputs_and_targets_by_name() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.price, self.grade = Flat(), net(3, nn.Softmax(1))

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"price": self.price(x), "grade": self.grade(x)}

    loss = lossmith.Hybrid(price=lossmith.MSE(), grade=lossmith.CrossEntropy())
    target = {"price": 3000 + NUMBERS, "grade": CLASSES}
    found = check_setup(Two(), loss, (X, target)).names
    assert found == [
        "probabilities passed as logits",
        "unscaled targets",
        "terms of unlike gradients",
    ]


def test_a_loss_without_a_target() -> None:
    def views(x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"real": model(x), "fake": model(-x)}

    model = Flat()
    assert check_setup(views, lossmith.HingeGAN(), X) == ()


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        ({"x": X}, "a mapping with 'x'"),
        ((X, X, X), "got tuple of 3"),
        ([], "the loader is empty"),
        ((X[:0], NUMBERS[:0]), "the first batch has no rows"),
    ],
)
def test_a_batch_that_is_none(batch: Any, error: str) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        check_setup(Flat(), nn.MSELoss(), batch)


SHAPES = ((), (1,), (7,), (7, 1), (7, 3), (7, 3, 4))
PLAIN: dict[str, Any] = {
    "cross-entropy": nn.CrossEntropyLoss(),
    "binary": nn.BCEWithLogitsLoss(),
    "nll": nn.NLLLoss(),
    "huber": nn.HuberLoss(),
    "divergence": nn.KLDivLoss(reduction="batchmean"),
    "overlap": lambda o, y: 1 - (o * y).sum() / (o + y).sum(),
}


@pytest.mark.parametrize("name", PLAIN)
def test_whatever_the_shapes_and_kinds_it_says_something_and_never_raises(name: str) -> None:
    kinds: list[Any] = [
        lambda y: y,
        lambda y: (y > 0).long(),
        lambda y: y > 0,
        lambda y: y * np.nan,
    ]
    for shape in SHAPES:
        for target, kind in ((torch.randn(one), kind) for one in SHAPES for kind in kinds):
            output = torch.randn(shape)
            check_setup(lambda _, o=output: o, PLAIN[name], (X, kind(target)))


def test_accumulate_is_a_count() -> None:
    with pytest.raises(ValueError, match="accumulate must be 1 or more"):
        check_setup(**numbers(nn.MSELoss()), accumulate=0)


def test_a_trained_classifier_is_no_alarm() -> None:
    model = lambda x: 40.0 * (2 * LABELS - 1) + 0 * x.sum(1)  # noqa: E731
    assert check_setup(model, nn.BCEWithLogitsLoss(), (X, LABELS)) == ()
    assert len(X) == ROWS
