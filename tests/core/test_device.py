"""Devices and precisions, and what the errors of a GPU mean. No GPU is needed: torch is asked."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from xbench.engine.device_errors import is_lost, ran_out_of_memory, release_memory
from xbench.engine.job import cause_of
from xbench.errors import UnknownName, XbenchError
from xbench.spec.device import computes_bf16, resolve_device, resolve_precision
from xbench.store.failures import ADVICE


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with an old card, which emulates bfloat16, and a new one."""
    current = [0]

    @contextmanager
    def use(device: str) -> Iterator[None]:
        before, current[0] = current[0], int(device.partition(":")[2] or current[0])
        yield
        current[0] = before

    def supported(including_emulation: bool = True) -> bool:
        return including_emulation or current[0] == 1

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "device", use)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)


@pytest.mark.usefixtures("cards")
def test_devices_that_are_there() -> None:
    for asked, found in {"auto": "cuda", "cpu": "cpu", "cuda": "cuda", "cuda:1": "cuda:1"}.items():
        assert resolve_device(asked) == found
    with pytest.raises(XbenchError, match="there are 2 CUDA devices, cuda:0 to cuda:1"):
        resolve_device("cuda:2")
    for wrong in ("tpu", "cuda:x", "cudax", ""):
        with pytest.raises(UnknownName):
            resolve_device(wrong)


@pytest.mark.usefixtures("cards")
def test_auto_is_bf16_on_a_card_that_computes_in_it_and_never_emulated() -> None:
    assert not computes_bf16("cuda:0")
    assert computes_bf16("cuda:1")
    assert resolve_precision("auto", "cuda") == "fp32"
    assert resolve_precision("auto", "cuda:1") == "bf16"
    assert resolve_precision("auto", "cpu") == "fp32"
    assert resolve_precision("bf16", "cuda:0") == "bf16"  # who asks for it gets it


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_memory_that_ran_out_by_all_its_names(error: Exception) -> None:
    assert ran_out_of_memory(error)
    assert cause_of(error) == "memory"


def test_memory_of_the_machine_that_ran_out() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert cause_of(caught.value) == "memory"
    assert not is_lost(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: device-side assert triggered",
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle)`",
    ],
)
def test_a_device_that_is_lost(text: str) -> None:
    assert is_lost(RuntimeError(text))
    assert cause_of(RuntimeError(text)) == "device"
    assert "new process" in ADVICE["device"]


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("CUDA error: no")])
def test_other_errors_are_neither(error: Exception) -> None:
    assert not is_lost(error)
    assert not ran_out_of_memory(error)
    assert cause_of(error) == "error"


def test_memory_is_given_back_only_where_a_gpu_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append("emptied"))
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    release_memory()
    assert calls == []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    release_memory()
    assert calls == ["emptied"]
