"""A whole run: what it leaves, how it stops, how it continues, and what it refuses."""

import errno
import json
import logging
import math
import os
import signal
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from vitreous.errors import ConfigError, DataError, DivergedError, ResumeMismatch, StoppedError, VitreousError
from vitreous.interop.model_folder import load
from vitreous.training import checkpoint as checkpoint_module
from vitreous.training import loop as loop_module
from vitreous.training.checkpoint import list_checkpoints
from vitreous.training.loop import Loop
from vitreous.training.metrics_log import read_events
from vitreous.training.recipe import Recipe
from vitreous.training.settings import Saving, TrainSettings
from vitreous.training.step import TrainStep
from vitreous.training.train import train

STEPS = 12  # of the tiny run: 96 images, batches of 16, 2 epochs


def delivered(run: Path) -> bytes:
    return (run / "model" / "model.safetensors").read_bytes()


def events(run: Path) -> list[dict]:
    untimed = read_events(run / "metrics.jsonl")
    return [
        {k: v for k, v in event.items() if not k.startswith(("time", "wall_s", "perf"))} for event in untimed
    ]


@pytest.fixture
def finished(tiny_run):
    return tiny_run()


@pytest.fixture
def at_step(monkeypatch):
    """Do something when a step begins, once."""

    def install(step: int, act) -> None:
        original = TrainStep.backward
        done: list[bool] = []

        def backward(self, shown, number):
            if number == step and not done:
                done.append(True)
                shown = shown._replace(images=act(self, shown.images))
            return original(self, shown, number)

        monkeypatch.setattr(TrainStep, "backward", backward)

    return install


def test_a_run_leaves_everything_that_the_run_folder_promises(finished):
    names = {each.name for each in finished.run_dir.iterdir()}
    promised = (
        "run.json config.yaml config.input.yaml env.json classes.json split.csv data.json metrics.jsonl"
    )
    assert {*promised.split(), "metrics.csv", "train.log", "checkpoints", "model", "figures"} <= names
    assert (finished.run_dir / "figures" / "curves.png").read_bytes().startswith(b"\x89PNG")
    state = json.loads((finished.run_dir / "run.json").read_text())
    assert (state["state"], state["exit_code"]) == ("finished", 0)
    assert state["metrics"] == finished.metrics
    assert json.loads((finished.run_dir / "classes.json").read_text()) == [str(each) for each in range(10)]
    data = json.loads((finished.run_dir / "data.json").read_text())
    assert sum(data["per_class"]["train"].values()) == 96
    assert "\x1b" not in (finished.run_dir / "train.log").read_text()


def test_the_delivered_model_is_the_best_and_loads_with_its_classes(finished):
    best = json.loads((finished.run_dir / "run.json").read_text())["best"]
    validations = [event for event in events(finished.run_dir) if "val/loss" in event]
    assert best["top1"] == max(max(each["val/top1"], each["val_ema/top1"]) for each in validations)
    newest = list_checkpoints(finished.run_dir / "checkpoints")[0]
    stored, kept = load_file(finished.model_dir / "model.safetensors"), load_file(newest / "best.safetensors")
    assert all(torch.equal(stored[name], value) for name, value in kept.items())
    classifier = load(finished.run_dir)
    assert classifier.classes == tuple(str(each) for each in range(10))
    assert finished.metrics["val/top1"] == pytest.approx(best["top1"])


def test_metrics_have_the_promised_names_and_are_fractions(finished):
    training, validation = events(finished.run_dir)[:2]
    assert {"step", "epoch", "samples", "train/loss", "optim/lr", "optim/grad_norm"} <= training.keys()
    assert {"val/loss", "val/top1", "val/top5", "val_ema/top1", "val_ema/loss"} <= validation.keys()
    assert 0 <= validation["val/top1"] <= validation["val/top5"] <= 1
    assert [event["step"] for event in events(finished.run_dir)] == [6, 6, 12, 12]
    timed = read_events(finished.run_dir / "metrics.jsonl")[0]
    assert {"time/step_s", "time/data_s", "perf/img_s", "wall_s", "time"} <= timed.keys()


def test_the_resolved_config_gives_every_auto_a_value_and_a_reason(tiny_run):
    result = tiny_run(batch_size="auto", lr="auto", precision="auto")
    text = (result.run_dir / "config.yaml").read_text()
    resolved = yaml.safe_load(text)
    assert "auto" not in {
        str(resolved[key]) for key in ("batch_size", "lr", "precision", "epochs", "compile")
    }
    assert "auto" not in {str(value) for value in resolved["recipe"].values()}
    assert "lr: 0.001  # 2e-3 × √(16 / 64)" in text
    assert "flip: false  # a mirrored letter is another one" in text


def test_settings_and_separate_arguments_give_the_same_run(tiny, tiny_run, tmp_path):
    separate = tiny_run()
    one_value = TrainSettings(
        **tiny
        | {"data": ["digits"], "out": str(tmp_path / "other"), "recipe": Recipe(dropout=0.1)}
        | {"loading": type(TrainSettings().loading)(limit=96), "saving": Saving()}
    )
    together = train(settings=one_value)
    assert delivered(separate.run_dir) == delivered(together.run_dir)
    assert events(separate.run_dir) == events(together.run_dir)
    with pytest.raises(ConfigError, match="not both"):
        train("digits", settings=one_value)


def test_another_seed_is_another_run(tiny_run, finished, tmp_path):
    other = tiny_run(seed=1, out=str(tmp_path / "other"))
    assert delivered(other.run_dir) != delivered(finished.run_dir)


def test_the_callers_random_state_and_threads_are_untouched(tiny_run):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    tiny_run(epochs=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)]
)
def test_a_signal_stops_with_a_checkpoint_and_the_same_command_goes_on_bit_for_bit(
    number, code, tiny_run, tmp_path, at_step
):
    whole = tiny_run(out=str(tmp_path / "whole"))

    def send(step, images):
        os.kill(os.getpid(), number)
        return images

    at_step(8, send)
    with pytest.raises(StoppedError, match="stopped at step 9 of 12") as caught:
        tiny_run()
    assert caught.value.exit_code == code
    state = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (state["state"], state["exit_code"]) == ("interrupted", code)
    result = tiny_run()
    assert delivered(result.run_dir) == delivered(whole.run_dir)
    assert events(result.run_dir) == events(whole.run_dir)
    assert len(json.loads((tmp_path / "run" / "run.json").read_text())["starts"]) == 2


def test_a_finished_run_says_so_and_gives_its_result_again(tiny_run, finished, caplog):
    before = (finished.model_dir / "model.safetensors").stat().st_mtime_ns
    with caplog.at_level(logging.INFO, "vitreous"):
        again = tiny_run()
    assert again == finished
    assert "is finished already; --fresh" in caplog.text
    assert (finished.model_dir / "model.safetensors").stat().st_mtime_ns == before


def test_other_settings_for_the_same_folder_are_refused_with_the_difference(tiny_run, finished):
    with pytest.raises(ResumeMismatch, match=r"lr: 0\.005 → 0\.1"):
        tiny_run(lr=0.1)


def test_what_was_resolved_is_read_from_the_checkpoint_and_not_chosen_again(
    tiny_run, at_step, monkeypatch, tmp_path
):
    def stop(step, images):
        os.kill(os.getpid(), signal.SIGTERM)
        return images

    at_step(3, stop)
    with pytest.raises(StoppedError):
        tiny_run(lr="auto", batch_size="auto")
    monkeypatch.setattr("vitreous.training.run.decide", None)  # deciding anew would fail
    tiny_run(lr="auto", batch_size="auto")


def test_changed_data_are_noticed_when_a_run_is_continued(tiny_run, at_step, tmp_path):
    def stop(step, images):
        os.kill(os.getpid(), signal.SIGTERM)
        return images

    at_step(3, stop)
    with pytest.raises(StoppedError):
        tiny_run()
    for state in (tmp_path / "run" / "checkpoints").glob("step-*/state.json"):
        changed = state.read_text().replace('"fingerprint": "', '"fingerprint": "other')
        state.write_text(changed)
        checkpoint_module_resum(state.parent)
    with pytest.raises(ResumeMismatch, match="the data are not those"):
        tiny_run()


def checkpoint_module_resum(folder: Path) -> None:
    """Make the sums fit again."""
    import hashlib

    names = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums))


def test_a_damaged_newest_checkpoint_costs_a_few_steps_and_nothing_else(tiny_run, at_step, tmp_path, caplog):
    whole = tiny_run(out=str(tmp_path / "whole"), saving={"every_s": 0.0})

    def stop(step, images):
        os.kill(os.getpid(), signal.SIGTERM)
        return images

    at_step(8, stop)
    with pytest.raises(StoppedError):
        tiny_run(saving={"every_s": 0.0})
    newest = list_checkpoints(tmp_path / "run" / "checkpoints")[0]
    (newest / "model.safetensors").write_bytes((newest / "model.safetensors").read_bytes()[:100])
    with caplog.at_level(logging.INFO, "vitreous"):
        result = tiny_run(saving={"every_s": 0.0})
    assert f"{newest.name} is damaged" in caplog.text
    assert "from step 8 of 12" in caplog.text
    assert delivered(result.run_dir) == delivered(whole.run_dir)
    assert events(result.run_dir) == events(whole.run_dir)


def test_a_loss_that_is_not_finite_stops_within_the_step_and_keeps_the_last_good_checkpoint(
    tiny_run, at_step, tmp_path
):
    at_step(7, lambda step, images: images * math.nan)
    with pytest.raises(DivergedError) as caught:
        tiny_run(saving={"every_s": 0.0})
    assert caught.value.exit_code == 4
    for part in ("loss is nan at step 7", "epoch 1.17", "lr ", "step 7 is kept"):
        assert part in str(caught.value)
    newest = list_checkpoints(tmp_path / "run" / "checkpoints")[0]
    assert newest.name == "step-000007"
    for name in ("model", "ema"):
        assert all(torch.isfinite(each).all() for each in load_file(newest / f"{name}.safetensors").values())
    assert json.loads((tmp_path / "run" / "run.json").read_text())["exit_code"] == 4


def test_a_gradient_that_is_not_finite_is_named_with_its_parameter(tiny_run, monkeypatch):
    original = TrainStep.forward_and_backward

    def poisoned(self, shown, *, share=1.0):
        loss = original(self, shown, share=share)
        self.model.head.classifier.weight.grad[0, 0] = math.inf
        return loss

    monkeypatch.setattr(TrainStep, "forward_and_backward", poisoned)
    with pytest.raises(DivergedError, match=r"gradient norm is (inf|nan) at step 0 .*first in head\."):
        tiny_run()


def test_an_absurd_learning_rate_ends_with_the_error_and_not_with_a_model(tiny_run, tmp_path):
    with pytest.raises(DivergedError):
        tiny_run(lr=1e30, epochs=20, recipe={"warmup": 0.0, "clip_norm": 0.0})
    assert not (tmp_path / "run" / "model").exists()


def full_disk_for(steps, monkeypatch):
    original = checkpoint_module.write_synced

    def write(path: Path, content: bytes) -> None:
        if any(f"step-{step:06d}" in str(path) for step in steps):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        original(path, content)

    monkeypatch.setattr(checkpoint_module, "write_synced", write)


def test_a_disk_that_is_full_for_a_while_costs_a_warning_and_not_the_run(tiny_run, monkeypatch, caplog):
    full_disk_for((3, 4), monkeypatch)
    with caplog.at_level(logging.WARNING, "vitreous"):
        result = tiny_run(saving={"every_s": 0.0})
    assert "the disk is full: the checkpoint of step 3 could not be written, step 2 is kept" in caplog.text
    assert (result.model_dir / "model.safetensors").exists()


@pytest.mark.parametrize("step", [0, STEPS])
def test_a_full_disk_where_a_checkpoint_must_be_written_stops_with_a_sentence(
    tiny_run, monkeypatch, step: int
):
    full_disk_for((step,), monkeypatch)
    with pytest.raises(VitreousError, match=r"the disk is full: .*repeat the command to continue"):
        tiny_run()


def test_after_a_full_disk_the_same_command_continues(tiny_run, monkeypatch, tmp_path):
    whole = tiny_run(out=str(tmp_path / "whole"))
    with monkeypatch.context() as patched:
        full_disk_for((STEPS,), patched)
        with pytest.raises(VitreousError):
            tiny_run()
    assert delivered(tiny_run().run_dir) == delivered(whole.run_dir)


def test_out_of_memory_says_which_batch_fits(tiny_run, monkeypatch):
    original = TrainStep.forward_and_backward

    def small_memory(self, shown, *, share=1.0):
        if len(shown.images) > 5:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return original(self, shown, share=share)

    monkeypatch.setattr(TrainStep, "forward_and_backward", small_memory)
    with pytest.raises(ConfigError, match="a batch of 16 images does not fit, 4 do: use --batch-size 4"):
        tiny_run()


def test_another_error_in_a_step_is_not_taken_for_a_lack_of_memory(tiny_run, at_step, tmp_path):
    at_step(2, lambda step, images: images[:, 0])  # the channels are gone
    with pytest.raises(RuntimeError) as caught:
        tiny_run()
    assert "memory" not in str(caught.value)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "failed"


def test_a_time_sets_the_length_and_is_frozen(tiny_run, tmp_path):
    result = tiny_run(epochs="auto", time="4s")
    state = json.loads((list_checkpoints(result.run_dir / "checkpoints")[0] / "state.json").read_text())
    plan = state["plan"]
    assert state["step"] == plan["total_steps"] > 1
    assert "fit into 4s" in plan["reasons"]["epochs"]


def test_time_and_epochs_together_are_refused(tiny_run):
    with pytest.raises(ConfigError, match="give one of them"):
        tiny_run(time="4s")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seed": -1}, "seed -1 is negative"),
        ({"eval_every": 0}, "eval_every 0"),
        ({"saving": {"keep": 0}}, "saving.keep 0"),
        ({"recipe": {"label_smoothing": 2.0}}, "recipe.label_smoothing 2.0 is not a share"),
        (
            {"recipe": {"labelsmoothing": 0.1}},
            "recipe.labelsmoothing is not a setting; did you mean label_smoothing",
        ),
        ({"recipe": {"drop_path": 1.5}}, "drop_path is 1.5"),
        ({"model": "eit_minni"}, "unknown model 'eit_minni'; did you mean eit_mini"),
        ({"model": "eit_digits", "image_size": 1}, "image"),
    ],
)
def test_a_setting_that_cannot_work_is_one_sentence_before_anything_is_made(
    tiny_run, tmp_path, changes, sentence
):
    with pytest.raises(ConfigError) as caught:
        tiny_run(**changes)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_data_that_are_not_there_leave_no_folder(tiny_run, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        tiny_run(data=str(tmp_path / "nothing"))
    assert not (tmp_path / "run").exists()


def test_a_batch_larger_than_the_data_is_reduced_and_said(tiny_run, caplog):
    with caplog.at_level(logging.WARNING, "vitreous"):
        tiny_run(batch_size=500)
    assert "batch size 500 is more than the 96 training images; using 96" in caplog.text


def test_too_few_tokens_are_warned_of(tiny_run, caplog, monkeypatch):
    def stop(self, metrics_bytes=0):
        raise StoppedError("seen enough")

    monkeypatch.setattr(Loop, "run", stop)
    with caplog.at_level(logging.WARNING, "vitreous"), pytest.raises(StoppedError):
        tiny_run(model="eit_mini", image_size=40)
    assert "tokens, too few to learn from" in caplog.text


def test_of_equal_validations_the_first_is_best(tiny_run, monkeypatch):
    monkeypatch.setattr(loop_module, "validate", lambda *_, **__: {"loss": 1.0, "top1": 0.5, "top5": 0.9})
    result = tiny_run()
    best = json.loads((result.run_dir / "run.json").read_text())["best"]
    assert (best["step"], best["weights"]) == (6, "plain")


def test_of_equal_accuracies_the_lower_loss_is_best(tiny_run, monkeypatch):
    losses = iter([2.0, 1.5, 1.0, 1.2])
    monkeypatch.setattr(
        loop_module, "validate", lambda *_, **__: {"loss": next(losses), "top1": 0.5, "top5": 0.9}
    )
    result = tiny_run()
    best = json.loads((result.run_dir / "run.json").read_text())["best"]
    assert (best["step"], best["weights"], best["loss"]) == (12, "plain", 1.0)


def test_evaluating_the_run_gives_the_numbers_that_training_reported(finished):
    from vitreous.evaluation.evaluate import evaluate

    again = evaluate(finished.run_dir, split="val")
    for name in ("val/top1", "val/top5", "val/loss"):
        assert again.metrics[name] == pytest.approx(finished.metrics[name], rel=1e-6), name


def test_a_streamed_run_trains_as_well_and_says_its_path(tiny_run):
    result = tiny_run(epochs=1, loading={"limit": 96, "path": "streaming", "workers": 0})
    assert yaml.safe_load((result.run_dir / "config.yaml").read_text())["loading"]["path"] == "streaming"


def test_a_run_may_be_told_to_be_deterministic_and_leaves_the_caller_as_it_was(tiny_run):
    tiny_run(epochs=1, deterministic=True)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_run_outside_the_main_thread_works_without_signal_handlers(tiny_run):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(tiny_run, epochs=1).result().model_dir.exists()


def test_secrets_of_a_command_line_are_in_no_file_of_a_run(tiny_run, monkeypatch):
    monkeypatch.setenv("VITREOUS_HUB_TOKEN", "s3cr3t-v4lue-0123")
    monkeypatch.setattr(
        "sys.argv", ["vitreous", "train", "--data", "https://me:hunter2@host/s3cr3t-v4lue-0123"]
    )
    result = tiny_run(epochs=1)
    for file in result.run_dir.rglob("*"):
        if file.is_file():
            assert b"s3cr3t-v4lue-0123" not in file.read_bytes(), file
            assert b"hunter2" not in file.read_bytes(), file


def test_a_model_given_as_a_value_is_trained_as_it_is(tiny_run, tiny_config):
    result = tiny_run(epochs=1, model=tiny_config)
    assert load(result.run_dir).config == tiny_config
