"""What may be reported as outputs: tensors, arrays and lists alike, classes, and several parts."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor, nn

import lossmith
from lossmith.study.base.errors import InputError
from lossmith.study.metrics.resolve import as_metric
from lossmith.study.study import Study
from lossmith.study.trials.trial import Trial

torch.manual_seed(0)
X = torch.randn(60, 4)
NUMBERS = 100 + 20 * X.sum(1)  # whose named losses see them centred and scaled
CLASSES = X[:, :3].argmax(1)


class FromParts(nn.Module):
    """Cross-entropy of the second of two parts, features and logits."""

    def forward(self, parts: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(parts[1], target)


def scores(
    report: Callable[[Tensor], Any], target: Tensor, metric: str, loss: Any, **more: Any
) -> list[float]:
    """Return the scores of a loss whose outputs are reported in some way."""

    def train(trial: Trial) -> None:
        model = nn.Linear(4, 1 if target is NUMBERS else 3)
        outputs = model(X[trial.valid])
        trial.report(1, outputs=report(outputs.squeeze(-1)))

    study = Study(
        None,
        metric=metric,
        target=target,
        losses={"one": loss},
        default="one",
        learning_rates=[0.1],
        epochs=1,
        **more,
    )
    study.run(train)
    return study.frame().score.tolist()


WAYS = {
    "array": lambda outputs: outputs.detach().numpy(),
    "list": lambda outputs: outputs.tolist(),
    "double": lambda outputs: outputs.detach().double().numpy(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("target", "metric", "loss"),
    [(NUMBERS, "mae", "huber"), (CLASSES, "log_loss", "focal"), (CLASSES, "accuracy", "focal")],
)
def test_arrays_and_lists_are_raw_outputs_as_tensors_are(
    way: str, target: Tensor, metric: str, loss: str
) -> None:
    raw = scores(lambda outputs: outputs, target, metric, loss)
    assert scores(WAYS[way], target, metric, loss) == pytest.approx(raw, rel=1e-5)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
@pytest.mark.parametrize("array", [False, True])
def test_whole_numbers_are_classes(metric: str, array: bool) -> None:
    def decided(outputs: Tensor) -> Any:
        return outputs.argmax(1).numpy() if array else outputs.argmax(1)

    raw = scores(lambda outputs: outputs, CLASSES, metric, "cross_entropy")
    assert scores(decided, CLASSES, metric, "cross_entropy") == raw


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "log_loss", "auroc"])
def test_a_class_without_a_column_is_one_line(metric: str) -> None:
    with (
        pytest.raises(InputError, match="predictions have 2 and a target is class 2; a head has"),
        pytest.warns(UserWarning, match="one@0.1#0 failed"),
    ):
        scores(lambda outputs: outputs[:, :2], CLASSES, metric, "cross_entropy")


@pytest.mark.parametrize(
    "loss", ["cross_entropy", nn.CrossEntropyLoss(), "cross_entropy + brier", "focal"], ids=str
)
def test_probabilities_where_logits_are_read_are_warned_of_in_one_line(loss: Any) -> None:
    with pytest.warns(
        UserWarning, match=r"probabilities \(every row .* sums to 1\), but .* logits"
    ) as w:
        scores(lambda outputs: outputs.softmax(1), CLASSES, "log_loss", loss)
    assert all("\n" not in str(one.message) for one in w)
    assert w[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores(lambda outputs: outputs, CLASSES, "log_loss", loss)


def test_sigmoids_where_logits_are_read_are_warned_of() -> None:
    labels = (X[:, 0] > 0).long()
    for metric, loss in (("auroc", "binary_cross_entropy"), ("log_loss", nn.BCEWithLogitsLoss())):
        with pytest.warns(UserWarning, match=r"probabilities \(all lie in 0 … 1, from"):
            scores(lambda outputs: (9 * outputs[:, 0]).sigmoid(), labels, metric, loss)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scores(lambda outputs: outputs[:, 0], labels, metric, loss)


def test_decode_reads_what_has_several_parts() -> None:
    def parts(outputs: Tensor) -> Any:
        return 2 * outputs, outputs

    found = scores(
        parts, CLASSES, "log_loss", FromParts(), decode=lambda parts: parts[1].softmax(1)
    )
    assert found == scores(lambda outputs: outputs, CLASSES, "log_loss", nn.CrossEntropyLoss())


def test_several_parts_without_decode_are_one_line() -> None:
    with (
        pytest.raises(InputError, match=r"outputs= has 2 parts.* give the study decode="),
        pytest.warns(UserWarning, match="one@0.1#0 failed"),
    ):
        scores(lambda outputs: (outputs, outputs), CLASSES, "accuracy", FromParts())


def test_decode_reads_the_parts_of_a_hybrid() -> None:
    loss = lossmith.Hybrid(
        one=lossmith.CrossEntropy(classes=3), two=lossmith.CrossEntropy(classes=3)
    )
    found = scores(
        lambda outputs: {"one": -outputs, "two": outputs},
        CLASSES,
        "log_loss",
        loss,
        decode=lambda parts: parts["two"].softmax(1),
    )
    assert found == scores(lambda outputs: outputs, CLASSES, "log_loss", nn.CrossEntropyLoss())


def test_a_dict_for_a_metric_of_one_array_is_one_line_with_its_names() -> None:
    with (
        pytest.raises(InputError, match=r"no dict of logits, hidden; give the part that it reads"),
        pytest.warns(UserWarning, match="one@0.1#0 failed"),
    ):
        scores(lambda outputs: {"logits": outputs, "hidden": X}, CLASSES, "accuracy", "focal")


@pytest.mark.parametrize(
    ("metric", "reference"),
    [("auroc", roc_auc_score), ("average_precision", average_precision_score)],
)
@pytest.mark.parametrize("labels", [CLASSES == 0, torch.stack([CLASSES == 0, CLASSES == 1], 1)])
def test_metrics_of_ranks_take_any_score(metric: str, reference: Any, labels: Tensor) -> None:
    anomaly = 40 * X[:, : labels[0].numel()].reshape(labels.shape) - 3
    measure = as_metric(metric)
    found = measure.score(labels.long(), anomaly)
    assert found == pytest.approx(reference(labels, anomaly, average="macro"))
    as_probability = measure.influences(labels.long(), anomaly.double().div(30).sigmoid())
    np.testing.assert_allclose(measure.influences(labels.long(), anomaly.double()), as_probability)
    with pytest.raises(InputError, match="needs probabilities"):
        measure.score(CLASSES, X[:, :3])


def test_a_score_that_is_no_number_is_not_said_to_be_the_models_fault() -> None:
    with pytest.raises(InputError, match="its outputs or its score are not finite"):
        scores(lambda outputs: outputs, CLASSES, lambda *_: torch.nan, "focal", better="lower")


@pytest.mark.parametrize("kind", [torch.float64, torch.bool])
def test_classes_may_come_as_floats_or_booleans(kind: torch.dtype) -> None:
    labels = CLASSES.clamp(max=1)
    found = scores(lambda outputs: outputs[:, :2], labels.to(kind), "log_loss", "focal")
    assert found == scores(lambda outputs: outputs[:, :2], labels, "log_loss", "focal")


def test_frames_are_read_without_a_word() -> None:
    with warnings.catch_warnings(action="error"):
        found = scores(lambda outputs: pd.Series(outputs.detach()), NUMBERS, "mae", "mae")
    assert found == scores(lambda outputs: outputs, NUMBERS, "mae", "mae")


def test_parts_of_a_target_have_equally_many_rows() -> None:
    target = {"a": NUMBERS, "b": NUMBERS[:10]}
    with pytest.raises(InputError, match=r"equally many rows, got a: \(60,\), b: \(10,\)"):
        Study(None, metric=max, better="lower", target=target, losses=["mae"], epochs=1)


@pytest.mark.parametrize("missing", [torch.nan, None])
def test_groups_without_a_label_are_refused(missing: Any) -> None:
    groups = [missing, missing, *range(58)]
    with pytest.raises(InputError, match="groups has no label in 2 rows"):
        Study(None, metric="mae", target=NUMBERS, groups=groups, losses=["mae"], epochs=1)
