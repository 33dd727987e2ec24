"""The optimizer of stacks is torch's AdamW, at less cost."""

import subprocess
import sys

import torch

from lossmith.study.training.optimizer import AdamW


def _trained(kind: type[torch.optim.Optimizer]) -> list[torch.Tensor]:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    groups = [{"params": [model.weight]}, {"params": [model.bias], "weight_decay": 0.0}]
    optimizer = kind(groups, lr=0.1, weight_decay=0.05, fused=True)
    for _ in range(5):
        model(torch.ones(4, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    state = [value for own in optimizer.state_dict()["state"].values() for value in own.values()]
    return [*model.parameters(), *state]


def test_it_does_what_torch_does() -> None:
    for ours, theirs in zip(_trained(AdamW), _trained(torch.optim.AdamW), strict=True):
        assert torch.equal(ours, theirs)


def test_training_a_stack_does_not_import_what_only_compiling_needs() -> None:
    code = """
import sys, torch
from lossmith import MSE
from lossmith.study.training.budget import Budget, TrialSpec
from lossmith.study.training.stacked import Rows, StackedBatch
data = [(torch.randn(32, 2), torch.randn(32))]
trial = TrialSpec(candidate="mse", learning_rate=0.1, losses=(MSE(),))
StackedBatch(Rows(data, [data[0][0]], [0]), [trial], Budget(epochs=1, batch=8)).advance(1)
print("torch._dynamo" in sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "False"
