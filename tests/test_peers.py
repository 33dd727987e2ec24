"""What others call losses: what to write builds, and is told wherever a name is read."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

import lossmith
from lossmith.catalogue import from_config
from lossmith.catalogue.names import loss_class
from lossmith.catalogue.pages import entry, page
from lossmith.catalogue.peers import PEERS, Peer, letters, plain
from lossmith.study.base.errors import InputError
from lossmith.study.candidates import with_keys
from lossmith.study.trials.contenders import contender
from lossmith.testing.golden import read
from shared.expressions import CLASSES_HERE, ROWS, build, needed

ROOT = Path(__file__).parents[1]
NAMES = {name: peer for _, peer in ROWS for name in peer.called}


def name_of(row: Any) -> str:
    return f"{row[0]}: {row[1].theirs}" if isinstance(row, tuple) else ""


# The table itself.


def test_names_are_many_and_none_says_two_things_of_one_library() -> None:
    assert len(NAMES) > 500
    for library, peers in PEERS.items():
        seen = [(plain(name), peer.here) for peer in peers for name in peer.called]
        settings = {one for one, _ in seen if sum(name == one for name, _ in seen) > 1}
        own = {plain(p.theirs.partition("(")[0]) for p in peers if "(" in p.theirs}
        doubled = {one for one in settings if len({here for n, here in seen if n == one}) > 1}
        assert doubled <= own, library


def test_letters_tell_our_own_losses_apart() -> None:
    assert len({plain(key) for key in lossmith.find()}) == len(lossmith.find())


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_what_to_write_builds(row: tuple[str, Peer]) -> None:
    peer = row[1]
    assert peer.here or "it has no peer here" in peer.differs
    for option in peer.options:
        assert isinstance(build(option), torch.nn.Module)
    for name in peer.called:  # one of our own names means our own loss
        own = lossmith.find().get(name) or CLASSES_HERE.get(name)
        assert own is None or own.__name__ in peer.classes


REFERENCES = {"mmdetection": "mmdet", "trl": "trl"}


def test_what_is_held_equal_has_golden_values() -> None:
    golden = [one for path in (ROOT / "tests" / "golden").rglob("*.json") for one in read(path)]
    held = [(library, kind) for library, peer in ROWS if peer.held for kind in peer.classes]
    assert len(held) > 40
    for library, kind in held:
        key, called = CLASSES_HERE[kind].card.key, letters(REFERENCES.get(library, library))
        assert any(one.loss == key and called in letters(one.reference) for one in golden), (
            library,
            kind,
        )


# What is told where a name is read.


@pytest.mark.parametrize("name", NAMES)
def test_a_name_gives_the_loss_or_says_what_to_write(name: str) -> None:
    found = [peer for _, peer in ROWS if plain(name) in map(plain, peer.called)]
    own = [key for key, kind in lossmith.find().items() if name in (key, kind.__name__)]
    aliases = {peer.alias for peer in found}
    if own or (len(aliases) == 1 and None not in aliases):
        kind = loss_class(name)
        assert kind.card.key in own or kind.__name__ in aliases
        assert lossmith.get(name, **needed(kind)).config() == kind(**needed(kind)).config()
        return
    with pytest.raises(KeyError) as caught:
        lossmith.get(name)
    told = str(caught.value)
    assert told.startswith(f"no loss is called {name!r}; ")
    assert "\n" not in told
    assert len(told) < 500
    assert all("did you mean" in told for peer in found if peer.here)


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_loss_of_others_is_told_on_our_page(row: tuple[str, Peer]) -> None:
    library, peer = row
    for name in peer.classes:
        key = CLASSES_HERE[name].card.key
        assert f"  {library}: {peer.theirs}" in page(key)
        assert {"library": library, **json.loads(json.dumps(vars_of(peer)))} in json.loads(
            json.dumps(entry(key)["peers"])
        )


def vars_of(peer: Peer) -> dict[str, Any]:
    return {name: getattr(peer, name) for name in Peer.__dataclass_fields__}


def test_whatever_reads_a_name_reads_those_of_others() -> None:
    config = {"loss": "L1Loss", "arguments": {}}
    for loss in (lossmith.get("l1"), from_config(config), contender("l1").fit(None)):
        assert type(loss) is lossmith.MAE
    both = contender("L1Loss + 0.5 mse_loss").fit(None)
    assert both(torch.full((4,), 3.0), torch.zeros(4)) == 3 + 9 / 2
    assert with_keys(["l1", "HuberLoss(delta=0.5)"]) == ["mae", "huber(delta=0.5)"]
    assert page("l1") == page("mae")
    for refuse in (lambda: contender("dice_ce"), lambda: with_keys(["dice_ce"])):
        with pytest.raises(InputError, match=r"did you mean CrossEntropy\(\) \+ Dice\(\)\?"):
            refuse()


def test_settings_and_sums_are_told_as_they_are_typed() -> None:
    for name, told in (
        ("dice_ce", "did you mean CrossEntropy() + Dice()? "),
        (
            "charbonnier",
            "did you mean 1000 * PseudoHuber(delta=0.001) or pseudo_huber? ε is `delta`",
        ),
        ("label_smoothing", "did you mean CrossEntropy(label_smoothing=0.1)?"),
        ("byol", "did you mean 2 * NegativeCosine()? "),
        ("focal_loss", "did you mean focal or binary_focal? "),
        ("squared_hinge", "Keras' SquaredHinge: it has no peer here"),
        # What users of two fields, or of two libraries, mean by one name.
        ("sigmoid_focal_loss", "did you mean 2 * BinaryFocal(alpha=0.5) or binary_focal?"),
        ("ms_ssim_loss", "did you mean ms_ssim or 195 * MAE() + 5 * MSSSIM()?"),
        ("coral_loss", "did you mean coral or deep_coral?"),
        ("iou_loss", "did you mean iou or jaccard or binary_jaccard?"),
        ("r2_loss", "did you mean r2 or mse?"),
        ("nt_xent_loss", "did you mean nt_xent or info_nce or NTXent(temperature=0.5)?"),
        ("nca", "did you mean proxy_nca? of proxies"),
        ("gdl", "did you mean generalized_dice? the gradient difference"),
    ):
        with pytest.raises(KeyError) as caught:
            lossmith.get(name)
        assert told in str(caught.value)
    with pytest.raises(AttributeError, match=r"did you mean lossmith.CrossEntropy\(\) \+ lossmith"):
        lossmith.DiceCELoss  # noqa: B018


def test_spelling_does_not_matter() -> None:
    for name in ("NTXent", "nt-xent", "ntxent", "NT Xent"):
        assert loss_class(name) is lossmith.NTXent
    assert loss_class("Huber") is loss_class("HuberLoss") is lossmith.Huber
    assert loss_class("wing loss") is lossmith.Wing
    assert loss_class("BinaryCrossEntropy") is lossmith.BinaryCrossEntropy
    with pytest.raises(KeyError, match="Keras' BinaryCrossentropy: it reads probabilities"):
        loss_class("binary_crossentropy")


@pytest.mark.parametrize(
    ("words", "found"),
    {
        "class imbalance": "focal",
        "heavy tails": "student_t_nll",
        "fraud detection": "ap_loss",
        "noisy labels": "forward_correction",
        "small objects": "blob_dice",
        "long tail": "seesaw",
        "speech recognition": "ctc",
        "speaker verification": "arc_face",
        "super resolution": "pseudo_huber",
        "optical flow": "pseudo_huber",
        "depth estimation": "silog",
        "churn": "cox",
        "demand forecasting": "quantile",
        "probabilistic forecasting": "ensemble_crps",
        "time to event": "weibull_aft",
        "domain shift": "mmd",
        "language modelling": "cross_entropy",
        "semantic search": "info_nce",
        "thin structures": "cl_dice",
        "rotated boxes": "prob_iou",
        "zero inflated": "zero_inflated_poisson",
    }.items(),
)
def test_the_words_of_a_field_find_its_losses(words: str, found: str) -> None:
    assert found in lossmith.find(words)


def test_the_pages_are_up_to_date() -> None:
    made = runpy.run_path(str(ROOT / "site" / "peers.py"))["documents"](ROOT / "docs")
    assert len(made) == 2
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, "run `make pages`"
