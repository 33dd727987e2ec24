"""What the default alone would cost by plain sequential training, on the same cells."""

import time

import torch
from torch import Tensor, nn

from lossmith.core.loss import Loss
from lossmith.study.average import Average
from lossmith.study.body import DROPOUT, WIDTH
from lossmith.study.fleet import WEIGHT_DECAY
from lossmith.study.members import batches

WARM_UP = 10  # steps before the clock starts
STEPS = 60  # steps on the clock


def plain_mlp(in_features: int, out_features: int) -> nn.Sequential:
    """Return the default body as one model, written as anyone would."""
    return nn.Sequential(
        nn.Linear(in_features, WIDTH),
        nn.SiLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(WIDTH, WIDTH),
        nn.SiLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(WIDTH, out_features),
    )


def plain_training(
    loss: Loss, features: Tensor, target: Tensor, *, rate: float, batch: int, seed: int, steps: int
) -> nn.Sequential:
    """Train the default body on a loss in the ordinary loop; return it after some steps."""
    torch.manual_seed(seed)
    model = plain_mlp(features.shape[1], loss.out_features)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=rate, weight_decay=WEIGHT_DECAY, fused=True
    )
    average, order = Average(model), torch.Generator().manual_seed(seed)
    while average.steps < steps:
        for index in batches(len(target), batch, order)[: steps - average.steps]:
            output = model(features[index])
            output = output.squeeze(-1) if loss.out_features == 1 else output
            optimizer.zero_grad()
            loss(output, target[index]).backward()
            optimizer.step()
            average.update(model)
    return model


def seconds_per_step(loss: Loss, features: Tensor, target: Tensor, batch: int) -> float:
    """Time one step of the ordinary loop."""
    options = {"rate": 1e-3, "batch": batch, "seed": 0}
    plain_training(loss, features, target, steps=WARM_UP, **options)  # type: ignore[arg-type]
    start = time.perf_counter()
    plain_training(loss, features, target, steps=STEPS, **options)  # type: ignore[arg-type]
    return (time.perf_counter() - start) / STEPS
