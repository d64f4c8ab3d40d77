"""How the command ends: at once, with one sentence, with the right exit code, without a secret."""

import inspect
import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vitreous import DataError, DivergedError, StoppedError, VerifyError
from vitreous.cli import main as module
from vitreous.cli.main import VERBS, main

pytestmark = pytest.mark.quiet  # some of it holds the command to half a second

COMMAND = [sys.executable, "-m", "vitreous"]
AT_ONCE_S = 0.5


def shell(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=120)


def ends(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and the one line on stderr."""
    code = main(words)
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("vitreous: "), captured.err
    return code, lines[0].removeprefix("vitreous: ")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["train", "--help"], 0),
        (["--version"], 0),
        (["trian"], 2),
        (["train", "--epchs", "3"], 2),
        (["predict", "--tip", "3"], 2),
    ],
)
def test_help_and_mistakes_answer_within_half_a_second(words: list[str], code: int) -> None:
    times = []
    for _ in range(8):
        start = time.perf_counter()
        assert shell(*words).returncode == code
        times.append(time.perf_counter() - start)
        if times[-1] < AT_ONCE_S:
            return
    pytest.fail(f"the fastest of {len(times)} took {min(times):.2f} s")


def test_options_are_understood_before_a_heavy_library_is_imported() -> None:
    code = (
        "import sys\nfrom vitreous.cli.main import main\n"
        "codes = [main(w.split()) for w in sys.argv[1:]]\n"
        "heavy = {'torch', 'numpy', 'timm', 'matplotlib', 'sklearn', 'PIL'} & set(sys.modules)\n"
        "print(codes, heavy, file=sys.stderr)"
    )
    words = [
        "train --help",
        "train --lr abc",
        "train --print-config",
        "evaluate --help",
        "evaluate",
        "predict --help",
    ]
    words += ["models --help", "models show --help", "--version", "nonsense", "selftest --help"]
    words += ["convert --help", "convert x --as y", "search --help", "search --spase x"]
    words += ["recipes", "recipes show cct_cifar10", "train --config cct_cifar10 --print-config"]
    out = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert (
        out.stderr.strip().splitlines()[-1] == "[0, 2, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 2, 0, 2, 0, 0, 0] set()"
    )


def test_the_version_names_what_it_stands_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("vitreous ") and "torch 2." in out and "torchvision 0." in out and "timm 1." in out


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--help"], ["-h"], ["help"]):
        assert main(words) == 0
        out = capsys.readouterr().out
        assert all(f"  {verb} " in out for verb in VERBS)


def test_an_unknown_verb_or_option_gets_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    code, line = ends("trian", capsys=capsys)
    assert (
        code == 2
        and line.startswith("trian is not a verb of vitreous")
        and line.endswith("did you mean train?")
    )
    code, line = ends("--hlep", capsys=capsys)
    assert code == 2 and line.endswith("did you mean --help?")


def test_train_without_images_says_how_to_give_some(capsys: pytest.CaptureFixture[str]) -> None:
    code, line = ends("train", capsys=capsys)
    assert code == 2 and "--data FOLDER" in line and "for example: vitreous train --data" in line


def test_a_real_process_gives_exit_code_and_one_sentence_and_no_traceback() -> None:
    done = shell("models", "show", "eit_mni")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("vitreous: unknown model 'eit_mni'; did you mean eit_mini")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("no images"), 3),
        (DivergedError("loss is nan at step 7"), 4),
        (VerifyError("differs"), 5),
        (StoppedError("stopped"), 75),
        (StoppedError("stopped", 130), 130),
        (KeyboardInterrupt(), 130),
        (KeyError("x"), 1),
        (OSError(28, "No space left on device"), 1),
    ],
)
def test_every_error_ends_in_its_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(words: list[str]) -> int:
        raise error

    monkeypatch.setattr(module, "_run", fail)
    assert ends("train", capsys=capsys)[0] == code


def test_an_unexpected_error_says_what_and_how_to_see_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(words: list[str]) -> int:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(module, "_run", fail)
    assert ends("train", capsys=capsys) == (1, "unexpected RuntimeError: first line (--debug shows where)")
    assert main(["train", "--debug"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_traceback_is_shown_only_with_debug(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--lr", "x"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert main(["train", "--lr", "x", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_secret_in_an_argument_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STORE_TOKEN", "abcdefgh-12345")
    for words in (["train", "--lr", "https://me:pass@host/x"], ["train", "--seed", "abcdefgh-12345"]):
        assert main(words) == 2
        assert main([*words, "--debug"]) == 2
        told = capsys.readouterr().err
        assert "***" in told and "pass@" not in told and "abcdefgh-12345" not in told


def test_what_is_logged_goes_to_stderr_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def talk(words: list[str]) -> int:
        logging.getLogger("vitreous").info("reading %s", "s3://me:pass@host/x")
        logging.getLogger("vitreous").debug("unseen")
        return 0

    monkeypatch.setattr(module, "_run", talk)
    assert main(["train"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "reading s3://***@host/x\n" and captured.out == ""
    assert not logging.getLogger("vitreous").handlers, "nothing is left behind"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"'{sys.executable}' -m vitreous train --help | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "" and done.stdout.startswith("usage")


def test_a_selftest_that_does_not_exist_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    code, line = ends("selftest", "nothing", capsys=capsys)
    assert code == 2 and "resume" in line


def test_the_defaults_of_the_selftest_are_those_of_its_function() -> None:
    from vitreous.cli.selftest import SelftestSettings
    from vitreous.training.resume_proof import prove_resume

    for name, parameter in inspect.signature(prove_resume).parameters.items():
        if name != "folder":
            assert getattr(SelftestSettings, name) == parameter.default


def test_the_command_is_the_same_by_its_own_name() -> None:
    installed = Path(sys.executable).with_name("vitreous")
    done = subprocess.run([installed, "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == shell("--version").stdout
