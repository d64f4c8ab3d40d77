"""1, 2 and 4 processes with the same global batch take the same steps, count the same images, and continue
each other's runs."""

import json

import pytest
import torch

from tests.training.together import made_once, together
from tests.training.together_tasks import count, measured, run, supernet
from vitreous.models.as_json import to_json
from vitreous.models.catalog import config
from vitreous.models.init import SReTInit
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import (
    AddPosition,
    Attention,
    Block,
    ConvStem,
    FeedForward,
    GridTable,
    ImageShape,
    LearnedSum,
    MeanHead,
    Mix,
    NoPrefix,
    Recursive,
    Sliced,
)  # fmt: skip
from vitreous.training.world import World

pytestmark = pytest.mark.slow
SIZES = (2, 4)
EXACT = 1e-10


def recursive() -> VisionTransformer:
    """SReT in small: BatchNorm in the stem, a block applied twice, slices shuffled anew in every step."""
    block = Block((Mix(Sliced(Attention(2), (4, 2)), add=LearnedSum()), FeedForward(2, add=LearnedSum())))
    between = FeedForward(1, add=LearnedSum(), may_drop=False)
    return VisionTransformer(
        image=ImageShape(1, 8, 8),
        stem=ConvStem((16,)),
        prefix=NoPrefix(),
        position=AddPosition(GridTable()),
        layers=(Recursive(block, 2, between),),
        head=MeanHead(10),
        init=SReTInit(),
    )


def plain() -> VisionTransformer:
    return config("eit_digits", image_size=8, classes=10, channels=1, width=16, depth=2, heads=2)


def arguments(model: VisionTransformer, **changes) -> dict:
    """50 steps over 10 epochs with everything that is drawn, but for dropout."""
    recipe = {"drop_path": 0.0, "flip": True, "randaugment": 1, "erasing": 0.25, "mixup": 0.2, "cutmix": 1.0}
    return {
        "data": "digits",
        "model": json.dumps(to_json(model)),
        "epochs": 10,
        "batch_size": 16,
        "lr": 3e-3,
        "precision": "float64",
        "device": "cpu",
        "compile": False,
        "eval_every": 10,
        "recipe": recipe | changes.pop("recipe", {}),
        "loading": {"limit": 90} | changes.pop("loading", {}),
    } | changes


# Muon, the default, makes matrices orthogonal in bfloat16; of a matrix in parts it adds up in another order.
ADAMW = {"optimizer": "adamw"}
RUNS = {
    "plain": arguments(plain()),
    "float32": arguments(plain(), precision="float32"),
    "recursive": arguments(recursive()),
    "streaming": arguments(plain(), loading={"path": "streaming", "workers": 0}, epochs=1),
    "accumulated": arguments(plain(), recipe={"accumulate": 2}, epochs=1),
    "AdamW": arguments(plain(), recipe=ADAMW),
    "in parts": arguments(recursive(), sharding="fsdp", recipe=ADAMW),
    "in parts with Muon": arguments(recursive(), sharding="fsdp"),
}
COUNTS = [{"images": 23, "batch": 8}, {"images": 17, "batch": 16}, {"images": 3, "batch": 8}]
STOPS = {1: 12, 2: 25, 4: 38}  # one process begins, two go on with model and checkpoint in parts, then four


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITREOUS_HOME", str(tmp_path_factory.getbasetemp() / "vitreous-home"))
        yield


@pytest.fixture(scope="module")
def told(tmp_path_factory, home):
    """Every task in 1, 2 and 4 processes: `told[size][name]` is a list over ranks."""
    return made_once(tmp_path_factory, "worlds", lambda: tell(tmp_path_factory))


def tell(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds")
    relay = RUNS["AdamW"] | {"out": str(folder / "relay")}

    def tasks(size: int) -> dict[str, tuple[str, dict]]:
        runs = {name: ("run", given | {"out": str(folder / f"{name}{size}")}) for name, given in RUNS.items()}
        counts: dict[str, tuple[str, dict]] = {f"count {each['images']}": ("count", each) for each in COUNTS}
        sharding = "fsdp" if size == 2 else "ddp"
        stop = {"relay": ("run", relay | {"stop_after": STOPS[size], "told": size - 1, "sharding": sharding})}
        supernets: dict[str, tuple[str, dict]] = {
            "with norm": ("supernet", {"norm": True}),
            "accumulating": ("supernet", {"norm": False, "accumulate": 2}),
            "sharded": ("supernet", {"norm": True, "sharding": "fsdp"} | ADAMW),
        }
        measure = {"run": str(folder / "plain1"), "out": str(folder / f"measured{size}")}
        return runs | counts | stop | supernets | {"measured": ("measured", measure)}

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    known = {"run": run, "count": count, "supernet": supernet, "measured": measured}
    found = {1: {name: [known[task](**given)] for name, (task, given) in tasks(1).items()}}
    for size in SIZES:
        asked = tasks(size)
        found[size] = dict(zip(asked, together(size, folder / f"{size}", *asked.values()), strict=True))
    found[1]["relayed"] = [run(**relay)]
    torch.set_num_threads(threads)
    return found


def largest_difference(one: list[float], other: list[float]) -> float:
    assert len(one) == len(other)
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("plain", EXACT),
        ("recursive", EXACT),
        ("float32", 1e-4),
        ("streaming", EXACT),
        ("accumulated", EXACT),
        ("in parts", EXACT),
        ("in parts with Muon", 1e-3),
    ],
)
def test_every_loss_is_that_of_one_process_with_the_same_batch(told, size, name, bound):
    alone = told[1][name][0]
    assert len(alone["losses"]) == 5 * RUNS[name]["epochs"]
    for rank in range(size):
        shared = told[size][name][rank]
        assert largest_difference(alone["losses"], shared["losses"]) < bound
        for metric in ("val/top1", "val/top5"):
            assert shared["metrics"][metric] == alone["metrics"][metric]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("images", [each["images"] for each in COUNTS])
def test_every_image_counts_once_where_the_images_do_not_divide(told, size, images):
    alone = told[1][f"count {images}"][0]
    shares = told[size][f"count {images}"]
    assert sum(each["images"] for each in shares) == images
    for each in shares:
        assert (each["top1"], each["top5"]) == (alone["top1"], alone["top5"])
        assert each["loss"] == pytest.approx(alone["loss"], rel=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_evaluating_a_run_gives_the_numbers_and_the_answers_of_one_process(told, size):
    alone = told[1]["measured"][0]
    assert len(alone["answers"]) == alone["metrics"]["val/images"]
    for shared in told[size]["measured"]:
        assert shared["answers"] == alone["answers"]
        assert shared["metrics"] == pytest.approx(alone["metrics"], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_one_process_told_to_stop_stops_all_after_the_same_step(told, size):
    for each in told[size]["relay"]:
        assert f"stopped at step {STOPS[size]} of 50" in each["stopped"]


def test_other_numbers_of_processes_continue_a_run_to_the_same_end(told):
    relay = [told[1]["relay"], told[2]["relay"], told[4]["relay"], told[1]["relayed"]]
    losses = [loss for each in relay for loss in each[0]["losses"]]
    assert largest_difference(losses, told[1]["AdamW"][0]["losses"]) < EXACT
    assert told[1]["relayed"][0]["metrics"]["val/top1"] == told[1]["AdamW"][0]["metrics"]["val/top1"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["with norm", "accumulating", "sharded"])
def test_unused_weights_repeated_weights_and_batch_norm_end_as_in_one_process(told, size, name):
    alone = told[1][name][0]
    for shared in told[size][name]:
        torch.testing.assert_close(shared["told"], alone["told"], rtol=0, atol=EXACT)
        assert shared["weights"].keys() == alone["weights"].keys()
        # looser: a bias before a norm has no gradient but rounding, and Adam takes steps along that
        torch.testing.assert_close(shared["weights"], alone["weights"], rtol=0, atol=1e-7)


def test_one_process_alone_needs_no_group_and_is_told_what_it_says():
    world = World()
    assert world.alone
    assert world.from_first("plan") == world.by_first(lambda: "plan") == world.led(lambda: "plan") == "plan"
    assert world.gathered(3) == [3]
    assert torch.equal(world.sum(torch.ones(2)), torch.ones(2))
    assert not torch.distributed.is_initialized()
