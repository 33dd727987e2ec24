"""For skorch: callbacks that drive a net's criterion or report to a study, and nets that decode."""

import json
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lossmith.core.driver import LossScheduler
from lossmith.core.loss import Loss
from lossmith.integrations.logs import scalars
from lossmith.integrations.reports import joined

try:
    import skorch
    from sklearn.base import ClassifierMixin
    from skorch import NeuralNet
    from skorch.callbacks import Callback
    from skorch.dataset import unpack_data
    from skorch.utils import to_tensor
except ModuleNotFoundError as error:
    raise ImportError(
        "lossmith.integrations.skorch needs skorch; install it with: pip install 'lossmith[skorch]'"
    ) from error


class LossCallback(Callback):
    """Drives the criterion of a net, a lossmith loss, one step for each batch of training.

    A step brings the signals `input`, `target` and `terms` by itself; others are put into
    `signals` before a batch ends. Metrics of an epoch that triggers wait for, such as "valid_loss",
    reach the next step. Weights and moving numbers are recorded in the history under "loss/…", and
    printed.

    `Checkpoint`, and `save_params` with `f_criterion` and `f_history`, keep all that is needed:
    where both are loaded, training goes on from there. Give the criterion as a class with
    `criterion__` arguments, or as a function that builds it, so that each `fit` starts afresh.

    >>> from lossmith import Huber, Linear
    >>> driven = {"criterion__delta": Linear(3.0, 0.5), "callbacks": [LossCallback()], "verbose": 0}
    >>> net = NeuralNet(torch.nn.Flatten(0), Huber, lr=0.1, max_epochs=2, **driven)
    """

    def initialize(self) -> "LossCallback":
        """Start afresh: the net does so before each `fit`."""
        self.clock: LossScheduler | None = None
        self.signals: dict[str, Any] = {}
        return self

    def on_train_begin(self, net: NeuralNet, *given: Any, **more: Any) -> None:
        """Warn where a classifier's probabilities would be the module's output as it is."""
        plain = isinstance(net, ClassifierMixin) and not isinstance(net, _Reading)
        if plain and net.predict_nonlinearity == "auto":
            name = type(net).__name__
            warnings.warn(
                f"predict_proba of skorch's {name} gives what the module gives, not probabilities; "
                f"use lossmith.integrations.skorch.{name}",
                stacklevel=2,
            )

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Any = None, **given: Any) -> None:
        """Build the driver, or go on where the net's history ends."""
        if self.clock is not None and self.clock.loss is net.criterion_:
            return
        batches = len(net.get_iterator(dataset_train, training=True))
        self.clock = LossScheduler(
            net.criterion_,
            total_steps=net.max_epochs * batches,
            steps_per_epoch=batches,
            optimizer=net.optimizer_,
        )
        done = sum(epoch.get("train_batch_count", 0) for epoch in net.history)
        seen = {name for epoch in net.history for name in epoch}
        self.clock.go_to({"position": done, "epoch": None, "seen": seen})

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **given: Any
    ) -> None:
        """Count the optimizer's step and hand over its signals."""
        assert self.clock is not None
        if not training:
            return
        needs, output = self.clock.required_signals, given["y_pred"]
        target = to_tensor(unpack_data(batch)[1], net.device)
        known = {"input": output, "target": target}
        if "terms" in needs:
            known["terms"] = net.criterion_.terms(output, target)
        found = {name: known[name] for name in needs if name in known}
        self.clock.step(**{**found, **self.signals})
        self.signals = {}

    def on_epoch_end(self, net: NeuralNet, **given: Any) -> None:
        """Record weights and moving numbers, and keep the epoch's metrics for the next step."""
        assert self.clock is not None
        for name, number in scalars(net.criterion_).items():
            net.history.record(name, number)
        last: Mapping[str, Any] = net.history[-1]
        self.signals |= {name: last[name] for name in self.clock.optional_signals if name in last}


class TrialCallback(Callback):
    """Reports each epoch's validation to a trial of a study, and stops the net when told to.

    The net's validation set holds the rows of `trial.valid` in their order. A loss on a schedule is
    told each epoch; put a `LossCallback` before it for one that moves with each step. Module,
    optimizer and history are kept in `trial.folder`, so that the trial can pause, and goes on where
    a process died; `max_epochs` is always the whole.

    Args:
        trial: of a `lossmith.Study`.

    In a study's loop::

        valid = predefined_split(Subset(dataset, trial.valid))
        more = {"max_epochs": trial.total_epochs, "train_split": valid}
        net = NeuralNet(model, lambda: trial.loss, callbacks=[TrialCallback(trial)], **more)
    """

    def __init__(self, trial: Any) -> None:
        self.trial = trial

    def initialize(self) -> "TrialCallback":
        """Start with nothing seen."""
        self._batches: list[Any] = []
        self._epochs = iter(self.trial.epochs)
        return self

    def on_train_begin(self, net: NeuralNet, *given: Any, **more: Any) -> None:
        """Go on from the trial's checkpoint, if it has one."""
        parts = {"module": net.module_, "optimizer": net.optimizer_}
        kept = self.trial.restore(**parts, history=None)
        if kept:
            net.history_ = type(net.history)(json.loads(kept["history"]))

    def on_epoch_begin(self, net: NeuralNet, **given: Any) -> None:
        """Tell a loss on a schedule."""
        next(self._epochs, None)

    def on_batch_end(self, net: NeuralNet, training: bool = False, **given: Any) -> None:
        """Keep a validation batch's outputs."""
        if not training:
            self._batches.append(given["y_pred"])

    def on_epoch_end(self, net: NeuralNet, **given: Any) -> None:
        """Report the epoch.

        Raises:
            ValueError: where the net has no validation set.
        """
        if not self._batches:
            raise ValueError(
                "the net validates nothing; give it train_split=predefined_split(dataset) with the "
                "rows of trial.valid"
            )
        said, self._batches = joined(self._batches), []
        epoch = len(net.history)
        history = json.dumps(net.history, default=float)
        parts = {"module": net.module_, "optimizer": net.optimizer_, "history": history}
        self.trial.save(epoch, **parts)
        if self.trial.report(epoch, **said) or epoch == self.trial.total_epochs:
            raise KeyboardInterrupt  # as skorch's own EarlyStopping ends a training


class _Reading(NeuralNet):
    """A net whose predictions are read as its criterion reads the head, where that is a loss here.

    skorch does so for torch's losses of classes alone: of any other, `predict_proba` gives what
    the module gives, logits say.
    """

    def _get_predict_nonlinearity(self) -> Callable[[Tensor], Tensor]:
        self.check_is_fitted()
        loss = getattr(self.criterion_, "_orig_mod", self.criterion_)  # within torch.compile
        if self.predict_nonlinearity != "auto" or not isinstance(loss, Loss):
            return super()._get_predict_nonlinearity()
        return partial(_columns if isinstance(self, ClassifierMixin) else _read, loss)


class NeuralNetClassifier(_Reading, skorch.NeuralNetClassifier):
    """skorch's classifier; `predict_proba` gives probabilities, as the criterion decodes them.

    >>> from lossmith import CrossEntropy
    >>> net = NeuralNetClassifier(torch.nn.Linear(3, 2), criterion=CrossEntropy, verbose=0)
    >>> net.initialize().predict_proba(torch.randn(4, 3)).sum(1).round(3)
    array([1., 1., 1., 1.], dtype=float32)
    """


class NeuralNetBinaryClassifier(_Reading, skorch.NeuralNetBinaryClassifier):
    """skorch's binary classifier; `predict_proba` gives the probabilities of 0 and of 1."""


class NeuralNetRegressor(_Reading, skorch.NeuralNetRegressor):
    """skorch's regressor; `predict` gives points, the means of a likelihood's head, say."""


def _read(loss: Loss, output: Tensor) -> Tensor:
    return loss.decode(output)


def _columns(loss: Loss, output: Tensor) -> Tensor:
    """Return one probability a class; of one logit a row, those of 0 and of 1."""
    positive = loss.decode(output)
    return torch.stack((1 - positive, positive), 1) if positive.ndim == 1 else positive
