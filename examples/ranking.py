"""Lists put in order: NDCG of ranking losses beside regression on the grades.

python examples/ranking.py

There is no small public set of real queries that installs from a registry, so the lists are made:
ten images of scikit-learn's digits each, the grade of an image is its digit modulo 5. A linear
scorer cannot solve it; the network is small, and images of the test lists are not in training.
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import lossmith

LENGTH, LISTS, STEPS = 10, 32, 120


def ndcg(scores: Tensor, grades: Tensor) -> float:
    """Return the mean NDCG of lists: ApproxNDCG where its sigmoid is a step."""
    exact = lossmith.get("approx_ndcg", alpha=1e9)
    return 1 - exact(scores.double(), grades).item()


def draw(images: Tensor, grades: Tensor, lists: int) -> tuple[Tensor, Tensor]:
    """Draw lists of images and their grades."""
    rows = torch.randint(len(images), (lists, LENGTH))
    return images[rows], grades[rows]


def main() -> None:
    """Train a scorer by each loss from three starts and print NDCG on lists of unseen images."""
    digits = load_digits()
    images = torch.tensor(digits.data / 16, dtype=torch.float32)
    grades = torch.tensor(digits.target % 5)
    half = len(images) // 2
    torch.manual_seed(99)
    test = draw(images[half:], grades[half:], 1000)
    chance = ndcg(torch.rand(test[1].shape), test[1])
    print(f"NDCG on {len(test[1])} lists of unseen images; in random order {chance:.3f}")
    for key in ("mse", "ranknet", "listnet", "listmle", "lambda_loss", "approx_ndcg"):
        found = []
        for seed in range(3):
            torch.manual_seed(seed)
            model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1), nn.Flatten(0))
            loss, optimizer = lossmith.get(key), torch.optim.Adam(model.parameters(), lr=3e-3)
            for _ in range(STEPS):
                x, y = draw(images[:half], grades[:half], LISTS)
                scores = model(x.flatten(0, 1)).reshape(y.shape)
                optimizer.zero_grad()
                loss(scores, y).backward()
                optimizer.step()
            with torch.no_grad():
                found.append(ndcg(model(test[0].flatten(0, 1)).reshape(test[1].shape), test[1]))
        print(f"{key:12} {sum(found) / 3:.3f}   ({min(found):.3f} to {max(found):.3f})")


if __name__ == "__main__":
    main()
