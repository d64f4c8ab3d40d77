"""Rank and size come from torchrun's variables, or from those of a Slurm step."""

import pytest

from vitreous.errors import ConfigError
from vitreous.training.processes import Process, first_host, this_process

SLURM = {
    "SLURM_PROCID": "5",
    "SLURM_NTASKS": "8",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_ID": "0",
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_NODELIST": "gpu[003-004]",
}


@pytest.fixture(autouse=True)
def without_scontrol(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


def test_without_a_launcher_there_is_one_process():
    assert this_process({}) == Process(rank=0, size=1)
    assert this_process({}).first


def test_torchrun_says_rank_size_and_place_on_the_machine():
    given = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
    assert this_process(given) == Process(rank=3, size=4, local_rank=1)
    assert this_process(SLURM | given).size == 4


def test_a_slurm_step_meets_at_its_first_host_and_a_port_of_the_job():
    process = this_process(SLURM)
    assert (process.rank, process.size, process.local_rank) == (5, 8, 1)
    host, port = process.address.split(":")
    assert host == "gpu003"
    assert 20_000 <= int(port) < 40_000
    assert {this_process(SLURM | {"SLURM_PROCID": str(rank)}).address for rank in range(8)} == {
        process.address
    }
    assert this_process(SLURM | {"SLURM_JOB_ID": "4712"}).address != process.address


def test_the_meeting_place_can_be_given():
    given = SLURM | {"MASTER_ADDR": "node9", "MASTER_PORT": "1234"}
    assert this_process(given).address == "node9:1234"


def test_a_batch_script_without_srun_is_one_process():
    script = {name: value for name, value in SLURM.items() if name != "SLURM_STEP_ID"}
    assert this_process(script | {"SLURM_PROCID": "0"}).size == 1
    assert this_process(SLURM | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}).size == 1


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("gpu7", "gpu7"),
        ("gpu7,gpu8", "gpu7"),
        ("gpu[003-006,9],cpu1", "gpu003"),
        ("a-[1,3]-b,c", "a-1-b"),
        ("rack[1-2]n[04-05]", "rack1n04"),
        ("localhost", "localhost"),
    ],
)
def test_the_first_host_of_a_list_is_read_without_scontrol(nodes, host):
    assert first_host(nodes) == host


def test_scontrol_is_believed_where_it_is(tmp_path):
    tool = tmp_path / "scontrol"
    tool.write_text("#!/bin/sh\necho first\necho second\n")
    tool.chmod(0o755)
    assert first_host("gpu[1-2]") == "first"


@pytest.mark.parametrize("given", [("4", "4"), ("-1", "2"), ("one", "2")])
def test_variables_that_contradict_each_other_are_refused(given):
    rank, size = given
    with pytest.raises(ConfigError, match=f"rank {rank} of {size} processes"):
        this_process({"RANK": rank, "WORLD_SIZE": size})
