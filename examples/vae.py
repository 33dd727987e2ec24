"""How much should a variational autoencoder's divergence count? Judged by the bound itself.

python examples/vae.py [folder]

Scikit-learn's digits in black and white, eight latent numbers each. The metric is the negative
bound of unseen digits, in nats an image, at beta 1; so beta 1 is the weight to beat in training.
"""

import sys

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import RepeatedKFold
from torch import Tensor, nn

import lossmith
from lossmith import Study
from lossmith import functional as F

LATENT, EPOCHS, BATCH = 8, 40, 64


class VAE(nn.Module):
    """An encoder to a Gaussian and a decoder to logits, one hidden layer each."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 2 * LATENT))
        self.decoder = nn.Sequential(nn.Linear(LATENT, width), nn.ReLU(), nn.Linear(width, 64))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return what the loss reads."""
        mean, log_variance = self.encoder(image).chunk(2, 1)
        logits = self.decoder(F.sampled(mean, log_variance))
        return {"reconstruction": logits, "mean": mean, "log_variance": log_variance}


@torch.no_grad()
def bound(model: VAE, images: Tensor, draws: int = 10) -> Tensor:
    """Return the negative bound of each image in nats, the mean over several draws."""
    elbo = lossmith.BernoulliELBO()
    return sum(sum(elbo.values(model(images), images).values()) for _ in range(draws)) / draws


def main(folder: str = "runs/vae") -> None:
    """Compare three weights of the divergence on five folds, twice, and print the verdict."""
    images = torch.tensor(load_digits().data > 7, dtype=torch.float32)
    study = Study(
        folder,
        metric="negative bound",
        better="lower",
        losses={f"beta {beta:g}": lossmith.BernoulliELBO(beta=beta) for beta in (1.0, 0.5, 2.0)},
        default="beta 1",
        splits=RepeatedKFold(n_splits=5, n_repeats=2, random_state=0).split(images),
        learning_rates=[2e-3, 5e-3],
        epochs=EPOCHS,
    )
    for trial in study:
        with trial.seeded():
            model = VAE()
            optimizer = torch.optim.Adam(model.parameters(), lr=trial.learning_rate)
            trial.restore(model=model, optimizer=optimizer)
            for _ in trial.epochs:
                for part in torch.randperm(len(trial.train)).split(BATCH):
                    rows = torch.as_tensor(trial.train)[part]
                    optimizer.zero_grad()
                    trial.loss(model(images[rows]), images[rows]).backward()
                    optimizer.step()
                trial.save(model=model, optimizer=optimizer)
                if trial.report(rows=bound(model, images[trial.valid])):
                    break
    print(study.verdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
