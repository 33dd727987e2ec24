"""Losses by key and from files, listings as data and text, and the generated documentation."""

import importlib
import json
import runpy
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch

import lossmith
from lossmith.catalogue import find, from_config, get, load
from lossmith.catalogue.formula import readable
from lossmith.catalogue.pages import entry, listing, page, prose, table
from lossmith.core import Card
from lossmith.core.docstring import allowed
from lossmith.core.loss import plain

ROOT = Path(__file__).parents[1]
KEYS = list(find())


def test_the_catalogue_is_what_the_losses_export() -> None:
    from lossmith import losses

    assert sorted(kind.__name__ for kind in find().values()) == sorted(losses.__all__)


def test_keys_and_names_are_unique() -> None:
    names = [kind.__name__ for kind in find().values()]
    assert len(set(names)) == len(names)
    assert all(kind.card.key == key for key, kind in find().items())


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_find_by_task(task: str) -> None:
    found = find(task)
    assert found
    assert found == {key: kind for key, kind in find().items() if task in kind.card.tasks}


@pytest.mark.parametrize(
    ("task", "keys"),
    [
        ("segmentation", {"cross_entropy", "binary_cross_entropy", "focal", "binary_focal"}),
        ("multilabel", {"binary_cross_entropy", "binary_focal"}),
        ("ordinal", {"cross_entropy"}),
        ("distillation", {"cross_entropy"}),
        ("transfer", {"cross_entropy"}),
    ],
)
def test_everyday_baselines_are_found_where_people_look(task: str, keys: set[str]) -> None:
    assert keys <= set(find(task))


def test_unknown_task() -> None:
    for words in ("juggling", "face juggling", "?", ""):
        with pytest.raises(
            ValueError, match=r"no loss tells of it; .* regression, binary, multicl"
        ):
            find(words)


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        ("anomaly detection", {"deep_svdd"}),
        ("super-resolution", {"pseudo_huber", "ssim", "perceptual", "relativistic_average_gan"}),
        ("depth", {"silog", "ssim"}),
        ("Face Recognition", {"arc_face", "cos_face", "triplet"}),
        ("speech", {"ctc", "rnnt", "si_sdr", "multi_resolution_stft"}),
        ("recommendation", {"gbce", "warp", "ranknet"}),
        ("forecasting", {"dilate", "mase", "quantile"}),
        ("denoising", {"denoising", "ssim"}),
        ("registration", {"ncc", "mutual_information"}),
        ("insurance claims", {"tweedie"}),
        ("label noise", {"generalized_cross_entropy"}),
        ("charbonnier", {"pseudo_huber"}),
        ("focal loss", {"focal", "binary_focal"}),
    ],
)
def test_a_field_of_application_leads_to_losses(words: str, keys: set[str]) -> None:
    assert keys <= set(find(words))


def test_unknown_key_names_the_nearest() -> None:
    with pytest.raises(KeyError) as caught:
        get("hubber")
    assert str(caught.value).startswith("no loss is called 'hubber'; did you mean huber")
    with pytest.raises(KeyError, match="lossmith list names all"):
        get("qqqqqq")


FORMER = {
    "following": "quantile_tracking",
    "on_probabilities": "probability_regression",
    "poly": "poly1",
    "square": "square_loss",
}


@pytest.mark.parametrize(("former", "key"), FORMER.items())
def test_a_former_key_gives_the_loss(former: str, key: str) -> None:
    assert former not in find()
    loss = get(former)
    assert loss.card.key == key
    assert from_config({"loss": former, "arguments": loss.config()}).config() == loss.config()
    assert page(former) == page(key)
    with pytest.raises(AttributeError, match=f"it is called {type(loss).__name__} now"):
        getattr(lossmith, former.title().replace("_", ""))


def test_former_keys_are_no_others() -> None:
    stated = {former: kind.card.key for kind in find().values() for former in kind.card.former_keys}
    assert stated == FORMER


def test_unknown_hyperparameter_names_the_nearest() -> None:
    with pytest.raises(TypeError, match="Huber has no hyperparameter 'dleta'; did you mean delta"):
        get("huber", dleta=1.0)
    with pytest.raises(TypeError, match="MSE has no hyperparameter 'delta'; it has none"):
        get("mse", delta=1.0)


def test_missing_hyperparameter_points_at_for_target() -> None:
    with pytest.raises(TypeError, match=r"HLGauss needs high; .*HLGauss.for_target\(target\)"):
        get("hl_gauss", low=0.0)


def save(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "loss.json"
    path.write_text(json.dumps(document) if not isinstance(document, str) else document)
    return path


def test_load_gives_the_saved_loss(tmp_path: Path) -> None:
    path = tmp_path / "loss.json"
    lossmith.Huber(delta=0.1).save(path)
    loss = load(path)
    assert type(loss) is lossmith.Huber
    assert loss.delta.item() == 0.1


def test_load_nested(tmp_path: Path) -> None:
    path = tmp_path / "loss.json"
    saved = lossmith.TransformedTarget(lossmith.Huber(delta=0.3), function="log1p")
    saved.save(path)
    input, target = torch.tensor([0.5, 2.0]), torch.tensor([1.0, 4.0])
    assert load(path).config() == saved.config()
    assert torch.equal(load(path)(input, target), saved(input, target))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", '"lossmith"', "{}", "\ufffe", "[" * 100_000],
    ids=["empty", "torn", "list", "number", "null", "text", "no format", "binary", "deep"],
)
def test_load_refuses_what_is_no_loss(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="is not a loss saved by lossmith"):
        load(save(tmp_path, text))


@pytest.mark.parametrize("name", ["DWA", "FAMO", "GradNorm", "Uncertainty"])
def test_load_knows_every_weighting_in_a_fresh_process(tmp_path: Path, name: str) -> None:
    path = tmp_path / "loss.json"
    weighting = getattr(lossmith, name)()
    lossmith.Hybrid(a=lossmith.MSE(), b=lossmith.MAE(), weighting=weighting).save(path)
    code = f"import lossmith; print(type(lossmith.load({str(path)!r}).weighting).__name__)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == name


def test_load_refuses_another_format(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has format 99; this lossmith reads format 1"):
        load(save(tmp_path, {"lossmith": 99, "loss": "mse", "arguments": {}}))


@pytest.mark.parametrize(
    ("loss", "arguments", "message"),
    [
        (None, {}, "a loss is written as"),
        ("mse", None, "a loss is written as"),
        ("mse", [1], "a loss is written as"),
        ("huber", {"delta": {"value": 1}}, "a loss is written as"),
        ("os.system", {}, "no loss is called 'os.system'"),
        ("huber", {"delta": "__import__('os').abort()"}, "delta must be a number"),
        ("huber", {"delta": [1.0, 2.0]}, "delta must be one number"),
        ("huber", {"delta": -1.0}, r"delta must be in \(0, inf\), got -1.0"),
        ("huber", {"__class__": 1.0}, "no hyperparameter '__class__'"),
        ("transformed", {"loss": {"loss": "pickle", "arguments": {}}}, "no loss is called"),
    ],
)
def test_load_builds_only_losses_of_the_catalogue(
    tmp_path: Path, loss: object, arguments: object, message: str
) -> None:
    path = save(tmp_path, {"lossmith": 1, "loss": loss, "arguments": arguments})
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_load_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.json")


@pytest.mark.parametrize("key", KEYS)
def test_config_builds_the_loss_again(key: str) -> None:
    kind = find()[key]
    loss = kind(**kind.card.example.arguments)
    again = from_config(plain(loss))
    assert type(again) is kind
    assert again.config() == loss.config()


@pytest.mark.parametrize("key", KEYS)
def test_an_entry_has_every_fact_as_json(key: str) -> None:
    facts = json.loads(json.dumps(entry(key), allow_nan=False))
    card = find()[key].card
    given = {**facts, **facts["capabilities"]}
    assert {field.name for field in fields(Card)} <= set(given)
    assert given["key"] == key
    assert facts["name"] == find()[key].__name__
    assert facts["claims"]["elicits"] == card.claims.elicits
    assert facts["capabilities"] == {
        "double_backward": card.double_backward,
        "vmap": card.vmap,
        "fullgraph": card.fullgraph,
    }
    assert set(facts["hypers"]) == set(find()[key].hyperparameters)
    for name, hyper in find()[key].hyperparameters.items():
        assert {"kind", "default", "required", "range", "doc"} <= set(facts["hypers"][name])
        assert facts["hypers"][name]["search"] == [plain(value) for value in hyper.search]


def test_listing_and_table_by_task() -> None:
    for task in ("regression", "binary", "multiclass", None):
        keys = list(find(task))
        assert [facts["key"] for facts in listing(task)] == keys
        assert [line.split()[0] for line in table(task).splitlines()[1:]] == keys


@pytest.mark.parametrize("key", KEYS)
def test_a_page_tells_all(key: str) -> None:
    kind, text = find()[key], page(key)
    card = kind.card
    said = prose(kind)
    assert set(said) == {"formula", "math", "shapes", "use_when", "avoid_when", "source"}
    assert "\\" not in said.pop("formula")
    assert said.pop("math") in " ".join(str(kind.__doc__).split())
    told = [kind.__name__, key, *said.values(), *kind.hyperparameters]
    told += [readable(hyper.doc) for hyper in kind.hyperparameters.values()]
    told += [allowed(hyper) for hyper in kind.hyperparameters.values() if allowed(hyper)]
    told += [card.claims.elicits] if card.claims.elicits else []
    assert [part for part in told if part not in text] == []


def test_page_of_an_unknown_loss() -> None:
    with pytest.raises(KeyError, match="no loss is called"):
        page("none")


def test_summaries_are_one_sentence() -> None:
    assert [f for f in listing() if not f["summary"].endswith(".")] == []


def test_the_committed_pages_are_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "site"))
    made = runpy.run_path(str(ROOT / "site" / "losses.py"))["documents"](ROOT / "docs")
    assert set((ROOT / "docs" / "losses").glob("*.md")) == set(made) - {ROOT / "docs" / "losses.md"}
    stale = [path.name for path, text in made.items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run `make pages`"


def test_a_function_is_not_hidden_by_a_module_of_its_name() -> None:
    from lossmith import functional

    for path in Path(functional.__file__).parent.rglob("[a-z]*.py"):
        place = path.relative_to(Path(functional.__file__).parent).with_suffix("")
        module = importlib.import_module(".".join((functional.__name__, *place.parts)))
        for name in getattr(module, "__all__", ()):
            assert getattr(functional, name) is getattr(module, name)
            assert name in functional.__all__
