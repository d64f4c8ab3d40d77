"""`vitreous selftest resume`: the proof of exact continuation, on the user's own machine."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vitreous.cli.options import Verb, parse
from vitreous.errors import ConfigError, VerifyError, did_you_mean


@dataclass(frozen=True, kw_only=True)
class SelftestSettings:
    """A training run that is killed again and again, and must end bit-equal to one left alone.

    Args:
        what: `resume`.
        kills: how many times the run is killed.
        epochs: length of the runs, 12 steps each.
        seed: chooses the moments of the kills.
        compiled: train through torch.compile.
    """

    what: Literal["resume"]
    kills: int = 10
    epochs: int = 8
    seed: int = 0
    compiled: bool = False


VERB = Verb(
    name="selftest",
    settings=SelftestSettings,
    example="vitreous selftest resume --kills 3 --epochs 3",
    positionals=("what",),
)


def run(words: Sequence[str]) -> int:
    """Parse, prove, print; 5 where the runs differ."""
    asked = parse(VERB, words)
    settings = asked.settings
    if settings.what != "resume":
        raise ConfigError(f"selftest {settings.what}: resume works{did_you_mean(settings.what, ['resume'])}")
    most = 12 * settings.epochs - 3
    if not 1 <= settings.kills <= most:
        raise ConfigError(f"--kills is {settings.kills}; 1 to {most} fit into {settings.epochs} epochs")
    from vitreous.training.resume_proof import prove_resume

    proof = prove_resume(
        kills=settings.kills, epochs=settings.epochs, seed=settings.seed, compiled=settings.compiled
    )
    print(json.dumps({**dataclasses.asdict(proof), "equal": proof.equal}) if asked.as_json else proof)
    return 0 if proof.equal else VerifyError.exit_code
