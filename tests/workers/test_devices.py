import os

import pytest
import torch
from omegaconf import OmegaConf

from medfit.errors import UserError
from medfit.tracking import provenance
from medfit.workers import devices
from medfit.workers.devices import Device, assign, visible_gpus


@pytest.fixture
def machine(monkeypatch):
    """Sets the cores, the GPUs and the environment that are seen."""

    def seen(cores=8, gpus=0, **environment):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(provenance, "_SEEN", {})
        for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return seen


def config_of(workers, accelerator="auto", threads=None, workers_per_gpu=1):
    sweep = {"workers": workers, "threads": threads, "workers_per_gpu": workers_per_gpu}
    return OmegaConf.create({"sweep": sweep, "regime": {"accelerator": accelerator}})


@pytest.mark.parametrize(
    ("cores", "workers", "threads"), [(8, 1, 8), (8, 2, 4), (8, 3, 2), (8, 8, 1), (8, 20, 1), (1, 2, 1)]
)
def test_workers_share_the_cores(machine, cores, workers, threads):
    machine(cores)
    assert assign(config_of(workers)) == [Device(threads)] * workers


def test_threads_are_as_many_as_are_asked_for(machine):
    machine(cores=8)
    assert assign(config_of(2, threads=3)) == [Device(3)] * 2


@pytest.mark.parametrize(
    ("asked", "threads"), [("4", 2), ("1", 1), ("64", 4), ("0", 4), ("4,2", 4), ("", 4), ("many", 4)]
)
def test_the_environment_may_ask_for_fewer_cores(machine, asked, threads):
    machine(cores=8, OMP_NUM_THREADS=asked)
    assert assign(config_of(2)) == [Device(threads)] * 2


def test_where_the_system_tells_no_affinity_all_cores_are_shared(machine, monkeypatch):
    machine()
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert assign(config_of(2)) == [Device(3)] * 2


def test_workers_take_gpus_in_turn(machine):
    machine(gpus=2)
    assert [device.gpu for device in assign(config_of(4, workers_per_gpu=2))] == ["0", "1", "0", "1"]


def test_fewer_workers_than_gpus_take_the_first(machine):
    machine(gpus=4)
    assert [device.gpu for device in assign(config_of(2))] == ["0", "1"]


@pytest.mark.parametrize(
    ("named", "count", "gpus"),
    [
        ("3,5", 2, ["3", "5"]),
        ("GPU-ab,MIG-cd", 2, ["GPU-ab", "MIG-cd"]),
        ("1,-1,0", 1, ["1"]),
        ("-1", 0, []),
        ("", 0, []),
    ],
)
def test_gpus_are_those_that_the_environment_names(machine, named, count, gpus):
    machine(gpus=count, CUDA_VISIBLE_DEVICES=named)
    assert visible_gpus() == gpus


def test_more_workers_than_gpus_are_refused_with_what_to_change(machine):
    machine(gpus=2)
    with pytest.raises(UserError) as caught:
        assign(config_of(3))
    assert str(caught.value) == (
        "sweep.workers=3: there are 2 GPUs, for sweep.workers_per_gpu=1 workers each; raise that if they fit, or "
        "lower sweep.workers"
    )


def test_a_training_on_the_processor_leaves_gpus_alone(machine):
    machine(cores=8, gpus=2)
    assert assign(config_of(4, accelerator="cpu")) == [Device(2)] * 4


def test_a_worker_takes_its_threads_and_its_gpu(machine, monkeypatch):
    machine()
    before = torch.get_num_threads()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    try:
        Device(2, "GPU-ab").take()
        assert (torch.get_num_threads(), os.environ["CUDA_VISIBLE_DEVICES"]) == (2, "GPU-ab")
    finally:
        Device(before).take()


def test_a_worker_without_a_gpu_leaves_the_environment_alone(machine, monkeypatch):
    machine(CUDA_VISIBLE_DEVICES="7")
    Device(torch.get_num_threads()).take()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "7"
    assert devices.visible_gpus() == []
