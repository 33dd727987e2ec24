"""Which loss trains your own model best? A small CNN on scikit-learn's digits, in one call.

python examples/digits.py

`lossmith.select` trains the model itself, here several losses at a time, and keeps some rows apart
that no decision has seen. Where the loop is yours, a `lossmith.Study` does the same.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

import lossmith


def make_model(out_features: int) -> nn.Module:
    """Return a fresh CNN for 8 × 8 images with a head of the width that the loss asks for."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, out_features),
    )


def main() -> None:
    """Study the catalogue's losses for ten classes and print the evidence."""
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(digits.target)
    selection = lossmith.select(
        model=make_model,
        train=(images, labels),
        metric="accuracy",
        candidates=["cross_entropy", "focal", "brier", "generalized_cross_entropy", "poly1"],
        epochs=15,
        out="runs/digits",
        force=True,  # replace the run before
    )
    result = selection.result
    for row in result.candidates:
        change, p = row.difference_to_default, row.p_value
        told = "default" if row.status == "default" else f"{change:+.4f}  p {p:.2g}" if p else ""
        print(f"{row.name:40} {row.score:.4f}  {told}")
    print(result.sentence)
    print(f"On {result.rows['test']} untouched digits: {result.test['selected']:.4f}")
    print("Report: runs/digits/report.html")


if __name__ == "__main__":
    main()
