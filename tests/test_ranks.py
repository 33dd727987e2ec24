"""Over several processes every coupled loss is that of one process with the whole batch.

Gradients are averaged over ranks, as DistributedDataParallel does. The losses follow from the
cards: all whose reduction says that rows are coupled.
"""

import copy
import math
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lossmith import NTXent, SoftF1, VICReg
from lossmith.catalogue import find, get
from lossmith.core import Loss, reduce
from lossmith.core.distributed import Gather, all_gather_rows, all_reduce_sum
from lossmith.core.tree import tree_map
from lossmith.testing.cases import ROWS, Case, example, take, variants
from shared.processes import found_by_ranks, work
from shared.sound_losses import Gap, Views

SHARES = {2: [2, 4], 4: [1, 3, 0, 2]}  # rows of each rank; no two alike, one without any
REPLICATED = {"l2_sp"}  # what it is given are parameters: every rank holds the same
COUPLED = {
    key: kind for key, kind in find().items() if kind.reduction != "mean" and key not in REPLICATED
}
OTHERS = ("collectives", "ddp", "groups", "nan", "own", "unlike", *REPLICATED)


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each of four processes, then two of them, found wrong, by loss and number of ranks."""
    return found_by_ranks(__file__, tmp_path_factory.mktemp("ranks"))


@pytest.mark.parametrize("ranks", SHARES)
@pytest.mark.parametrize("key", [*OTHERS, *COUPLED])
def test_equals_one_process(key: str, ranks: int, reports: dict[str, str]) -> None:
    assert reports[f"{key} {ranks}"] == ""


def test_what_couples_rows_can_gather_them() -> None:
    for key, kind in COUPLED.items():
        assert "gather" in kind.hyperparameters, f"{key} couples rows and has no switch gather"
        assert kind.hyperparameters["gather"].default is True
    for key in REPLICATED:
        assert not example(find()[key]).gather


def _own_losses() -> None:
    _compare(Gap())
    _compare(Views())


def _compare_variants(key: str) -> None:
    for loss in variants(COUPLED[key]):
        _compare(loss)


def _own() -> slice:
    shares = SHARES[dist.get_world_size()]
    before = sum(shares[: dist.get_rank()])
    return slice(before, before + shares[dist.get_rank()])


def _compare(loss: Loss) -> None:
    case, own, ranks = Case(loss), _own(), dist.get_world_size()
    batch, weight = case.batch(), torch.linspace(0.0, 2.0, ROWS, dtype=torch.float64)
    given: list[dict[str, Tensor]] = [{}] if loss.reduction == "set" else [{}, {"weight": weight}]
    for one in given:
        here = {name: part[own] for name, part in one.items()}
        value, slopes, learned = _slopes(loss, batch, one, whole=True)
        got, ours, learned_here = _slopes(loss, take(batch, own), here, whole=False)
        torch.testing.assert_close(got, value, rtol=1e-10, atol=1e-12)
        for mine, right in zip(ours, slopes, strict=True):
            torch.testing.assert_close(mine / ranks, right[own], rtol=1e-9, atol=1e-12)
        for mine, right in zip(learned_here, learned, strict=True):
            dist.all_reduce(mine)
            torch.testing.assert_close(mine / ranks, right, rtol=1e-9, atol=1e-12)


def _compare_replicated(key: str) -> None:
    loss = example(find()[key])
    batch = Case(loss).batch()
    (value, slopes, _), (got, ours, _) = (_slopes(loss, batch, {}, whole=w) for w in (True, False))
    torch.testing.assert_close((got, ours), (value, slopes))


def _slopes(loss: Loss, batch: Any, given: Any, *, whole: bool) -> tuple[Tensor, Any, Any]:
    """The value, and the gradients of what is free in the batch and of what the loss learns."""
    loss = copy.deepcopy(loss).double()
    if whole:
        loss.gather = False
    case = Case(loss)
    leaves = [x.detach().clone().requires_grad_() for x in case.free(*batch)]
    learned = list(loss.parameters())
    value = loss(*case.at(*batch, leaves), **given)
    found = torch.autograd.grad(
        value, [*leaves, *learned], allow_unused=True, materialize_grads=True
    )
    return value.detach(), found[: len(leaves)], found[len(leaves) :]


class _Pairs(nn.Module):
    """A network and a loss with parameters of its own, which are trained as one module."""

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network, self.loss = nn.Linear(3, 4), loss

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        value: Tensor = self.loss(self.network(first), self.network(second))
        return value


def _distributed_data_parallel() -> None:
    """Under DDP itself, what a network and a temperature are told is what one process says."""
    first, second = torch.randn(2, ROWS, 3, generator=torch.Generator().manual_seed(1)).double()
    for key in ("clip", "vicreg"):
        alone, together = (_Pairs(get(key, gather=switch)).double() for switch in (False, True))
        alone(first, second).backward()
        everyone = DistributedDataParallel(together)
        everyone(first[_own()], second[_own()]).backward()
        for one, other in zip(alone.parameters(), together.parameters(), strict=True):
            torch.testing.assert_close(other.grad, one.grad, rtol=1e-9, atol=1e-12)


def _collectives() -> None:
    """Gathered rows keep order, dtype and second derivatives; a mean is that of all ranks."""
    own, ranks = _own(), dist.get_world_size()
    everyone = torch.arange(2.0 * ROWS, dtype=torch.float64).reshape(ROWS, 2)
    for part in (everyone, everyone.long(), everyone > 5):
        assert torch.equal(all_gather_rows(part[own]), part)
    assert all_reduce_sum(torch.ones(2)).tolist() == [ranks, ranks]
    leaf = everyone[own].clone().requires_grad_()
    value = Gather.of(leaf)(leaf).pow(3).sum()
    (slope,) = torch.autograd.grad(value, leaf, create_graph=True)
    torch.testing.assert_close(slope, ranks * 3 * leaf**2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dist, "all_reduce", None)  # a rank is sent its own rows' gradient alone
        (bend,) = torch.autograd.grad(slope.sum(), leaf)
    torch.testing.assert_close(bend, ranks * 6 * leaf)
    weight = torch.linspace(0.0, 2.0, ROWS, dtype=torch.float64)
    right = reduce(everyone, weight=weight)
    torch.testing.assert_close(reduce(everyone[own], weight=weight[own], ranks=True), right)
    torch.testing.assert_close(reduce(everyone[own], ranks=True), everyone.mean())
    none = torch.zeros_like(weight)
    assert reduce(everyone[own], weight=none[own], ranks=True) == 0
    assert tree_map(Gather.of(leaf), {"a": leaf})["a"].shape == (ROWS, 2)


def _groups() -> None:
    """In a process group the batch is that of its ranks; a loss keeps it when copied or pickled."""
    group, _ = dist.new_subgroups(2)
    shares, rank = SHARES[dist.get_world_size()], dist.get_rank()
    first = rank - rank % 2
    start = sum(shares[:first])
    whole = slice(start, start + sum(shares[first : first + 2]))
    own = slice(sum(shares[:rank]) - start, sum(shares[: rank + 1]) - start)
    for kind in (NTXent, VICReg, SoftF1):
        for loss in (kind(gather=group), kind()):
            loss.gather = group
            batch = take(Case(loss).batch(), whole)
            value, slopes, _ = _slopes(kind(gather=False), batch, {}, whole=True)
            for copied in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
                got, ours, _ = _slopes(copied, take(batch, own), {}, whole=False)
                torch.testing.assert_close(got, value, rtol=1e-10, atol=1e-12)
                for mine, right in zip(ours, slopes, strict=True):
                    torch.testing.assert_close(mine / 2, right[own], rtol=1e-9, atol=1e-12)
    assert loss.gather == group.group_name
    assert loss.config()["gather"] is True
    for wrong in (-100, "all", None):  # the first is what a rank outside has for a group
        with pytest.raises(TypeError, match=r"gather must be True, False or a process group"):
            loss.gather = wrong
        with pytest.raises(TypeError, match=r"gather must be True, False or a process group"):
            VICReg(gather=wrong)


def _unlike() -> None:
    """Ranks that gather for different calls are told so, each of them, and may go on together."""
    here, rows = dist.get_rank() == 0, torch.ones(2, 3, requires_grad=True)

    def fails(loss: Loss, input: Tensor, *words: str) -> None:
        with pytest.raises(RuntimeError, match="different calls") as told:
            loss(input, torch.ones_like(input))
        assert all(word in str(told.value) for word in words), str(told.value)

    fails(NTXent() if here else VICReg(), rows, "rank 0: nt_xent in training", "vicreg in training")
    loss = NTXent()
    fails(loss.train(not here), rows, "nt_xent in evaluation", "nt_xent in training")
    fails(loss.train(), torch.ones(2, 4) if here else rows, "(rows, 4)", "(rows, 3)")
    fails(loss, rows.double() if here else rows, "float64", "float32")
    with torch.set_grad_enabled(not here):
        fails(loss, rows, "rank 0: nt_xent in training without gradients")
    f1 = SoftF1()
    weight = torch.ones(2) if here else None
    with pytest.raises(RuntimeError, match="different calls"):
        f1(torch.zeros(2), torch.ones(2), weight=weight)
    loss.gather = not here  # validates alone
    assert loss(rows, rows).isfinite() if here else True
    loss.gather = True
    assert loss(rows, rows).isfinite()


def _nan() -> None:
    """NaN in the rows of one rank is NaN on all of them; none waits for another."""
    rows = torch.full((2, 3), math.nan if dist.get_rank() == 0 else 1.0)
    for loss in (NTXent(), VICReg()):
        assert loss(rows, torch.ones(2, 3)).isnan()


JOBS: dict[str, Callable[[], None]] = {
    "collectives": _collectives,
    "ddp": _distributed_data_parallel,
    "groups": _groups,
    "nan": _nan,
    "own": _own_losses,
    "unlike": _unlike,
    **{key: partial(_compare_replicated, key) for key in REPLICATED},
    **{key: partial(_compare_variants, key) for key in COUPLED},
}

if __name__ == "__main__":
    work(JOBS)
