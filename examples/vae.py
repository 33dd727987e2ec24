"""Train a variational autoencoder on scikit-learn's digits, and measure its bound on unseen ones.

python examples/vae.py
"""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

import lossmith
from lossmith import functional as F

LATENT, EPOCHS, BATCH = 8, 100, 64


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


def train(loss: lossmith.BernoulliELBO, images: Tensor) -> VAE:
    """Train a VAE on shuffled batches."""
    model = VAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            loss(model(images[rows]), images[rows]).backward()
            optimizer.step()
    return model


@torch.no_grad()
def bound(model: VAE, images: Tensor, draws: int = 50) -> dict[str, float]:
    """Return the mean terms of the negative bound, nats an image, over several draws."""
    elbo = lossmith.BernoulliELBO()
    found = [elbo.terms(model(images), images) for _ in range(draws)]
    return {name: sum(one[name].item() for one in found) / draws for name in found[0]}


def main() -> None:
    """Train with three weights of the divergence and print the bound on unseen digits."""
    torch.manual_seed(0)
    pixels = torch.tensor(load_digits().data > 7, dtype=torch.float32)
    seen, unseen = train_test_split(pixels, test_size=0.3, random_state=0)
    rate = (seen.sum(0) + 1) / (len(seen) + 2)
    alone = lossmith.BinaryCrossEntropy()(rate.logit().expand_as(unseen), unseen) * 64
    print("negative bound on unseen binary digits, nats an image")
    print(f"{'pixels independent, no model':30} {alone.item():7.2f}")
    untrained = bound(VAE(), unseen)
    print(f"{'untrained VAE':30} {sum(untrained.values()):7.2f}")
    for beta in (0.25, 1.0, 4.0):
        terms = bound(train(lossmith.BernoulliELBO(beta=beta), seen), unseen)
        parts = ", ".join(f"{name} {value:.2f}" for name, value in terms.items())
        print(f"{f'VAE trained at beta {beta:g}':30} {sum(terms.values()):7.2f}  ({parts})")


if __name__ == "__main__":
    main()
