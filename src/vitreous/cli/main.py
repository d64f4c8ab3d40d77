"""`vitreous VERB …`: finds the verb, runs it, and turns every way to end into an exit code.

A verb's module is imported only when it is called, and the heavy libraries only when its options have been
understood, so that help and a mistyped option answer at once.
"""

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence

from vitreous.errors import ConfigError, DivergedError, StoppedError, VitreousError, did_you_mean
from vitreous.redaction import redact

VERBS = {
    "train": "train a model on your images",
    "evaluate": "measure a trained model: accuracy, table by class, confusion, worst mistakes",
    "predict": "name what is on pictures",
    "analyze": "see what happens inside models, ours or timm's, side by side",
    "report": "one page about runs: result, training, mistakes, model, what happens inside",
    "search": "learn an architecture from your images, within a budget",
    "runs": "list training runs, compare two, replay a batch that failed",
    "models": "list the models that can be trained, or show one",
    "recipes": "list the training recipes of the papers and ours, show one, or copy it to edit",
    "data": "check a data set before anything is trained on it",
    "convert": "turn weights that a paper's authors released into a model",
    "selftest": "prove on this machine that an interrupted training continues exactly",
}
USAGE = "\n".join(
    [
        "usage: vitreous VERB [options]",
        "",
        "Vision transformers to train on your own images.",
        "",
        *(f"  {verb:<10} {summary}" for verb, summary in VERBS.items()),
        "",
        "  --version  versions of vitreous, torch, torchvision and timm",
        "",
        "For example: vitreous train --data FOLDER     More: vitreous VERB --help",
    ]
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: words after `vitreous`; those of the process by default.

    Returns:
        The exit code: 0 done, 1 unexpected, 2 usage, 3 data, 4 diverged, 5 verification failed,
        6 no model within a budget, 75 stopped and can be continued, 130 Ctrl-C.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    log = _log_to_stderr()
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except SystemExit as ended:  # help was printed
        return ended.code if isinstance(ended.code, int) else 0
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            print(redact(traceback.format_exc()), file=sys.stderr, end="")
        message, code = _ending(error)
        if _is_ours(error):
            print(redact(f"vitreous: {message}"), file=sys.stderr)
        if "TORCHELASTIC_ERROR_FILE" in os.environ:
            importlib.import_module("vitreous.training.launch").record(error)
        return code
    finally:
        logging.getLogger("vitreous").removeHandler(log)


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE)
        return 0
    if words[0] == "--version":
        print(_versions())
        return 0
    if words[0] not in VERBS:
        is_option = words[0].startswith("-")
        kind, known = ("option", ["--help", "--version"]) if is_option else ("verb", list(VERBS))
        raise ConfigError(
            f"{words[0]} is not a{'n' * is_option} {kind} of vitreous ({', '.join(known)})"
            + did_you_mean(words[0], known, most=1)
        )
    verb = importlib.import_module(f"vitreous.cli.{words[0]}")
    code: int = verb.run(words[1:])
    return code


def _ending(error: BaseException) -> tuple[str, int]:
    if isinstance(error, VitreousError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", 130
    first = (str(error).splitlines() or [""])[0]
    return f"unexpected {type(error).__name__}: {first} (--debug shows where)", 1


def _is_ours(error: BaseException) -> bool:
    """Whether this process tells an error: of several processes the first one tells what is true of all."""
    alike = (ConfigError, DivergedError, StoppedError, KeyboardInterrupt)
    return _speaks() or not (isinstance(error, alike) or getattr(error, "told", False))


def _speaks() -> bool:
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"


def _versions() -> str:
    from importlib.metadata import PackageNotFoundError, version

    def installed(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "missing"

    others = ", ".join(f"{name} {installed(name)}" for name in ("torch", "torchvision", "timm"))
    return f"vitreous {installed('vitreous')} ({others}, Python {sys.version.split()[0]})"


def _log_to_stderr() -> logging.Handler:
    """Progress and remarks go to stderr; `VITREOUS_LOG=debug` shows more."""
    logger = logging.getLogger("vitreous")
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_redacted)
    if not _speaks():
        handler.setLevel(logging.CRITICAL)
    logger.addHandler(handler)
    level = os.environ.get("VITREOUS_LOG", "info").upper()
    logger.setLevel(level if level in logging.getLevelNamesMapping() else logging.INFO)
    return handler


def _redacted(record: logging.LogRecord) -> bool:
    record.msg, record.args = redact(record.getMessage()), None
    return True
