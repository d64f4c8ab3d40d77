"""Ten times SIGKILL, and the run is to the bit the one that nobody disturbed."""

import pytest

from vitreous.errors import VerifyError
from vitreous.training.resume_proof import ResumeProof, prove_resume


@pytest.mark.slow
def test_a_run_killed_ten_times_equals_an_uninterrupted_one_bit_for_bit(tmp_path):
    proof = prove_resume(kills=10, folder=tmp_path)
    assert proof.equal, str(proof)
    assert len(proof.kills) == 10
    assert any(writing for _, writing in proof.kills), str(proof)
    assert any(step % proof.steps_per_epoch for step, _ in proof.kills), str(proof)


@pytest.mark.slow
def test_a_compiled_run_killed_twice_equals_an_uninterrupted_one_bit_for_bit(tmp_path):
    proof = prove_resume(kills=2, epochs=3, compiled=True, folder=tmp_path)
    assert proof.equal, str(proof)


def test_a_proof_tells_its_verdict_in_a_sentence():
    proof = ResumeProof(
        kills=((5, True), (12, False)),
        steps=24,
        steps_per_epoch=12,
        compiled=False,
        differences=(),
        seconds=9.6,
    )
    assert str(proof) == (
        "2 × SIGKILL in 24 steps (1 in mid-epoch, 1 while a checkpoint was being written): "
        "weights and metrics are bit-equal to the uninterrupted run (10 s)"
    )


def test_a_child_that_fails_is_an_error_with_its_last_line(tmp_path, monkeypatch):
    monkeypatch.setattr("vitreous.training.resume_proof.CHILD", "raise SystemExit('no such luck')")
    with pytest.raises(VerifyError, match="ended with an error: no such luck"):
        prove_resume(kills=1, folder=tmp_path)
