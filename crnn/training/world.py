"""The devices of a run and the processes that share it, as torchrun starts them."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Iterator, List, Optional, Sequence

import torch
import torch.distributed as dist

from crnn.errors import InputError, UnavailableError, UsageError, needs

BACKENDS = {"cpu": "gloo", "cuda": "nccl", "npu": "hccl"}


@dataclass(frozen=True)
class World:
    """This process's device and its place among the others: ``rank`` of ``size``."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def sum(self, values: Sequence[float]) -> List[float]:
        """Return the sums over all processes."""
        if self.size == 1:
            return list(values)
        # Not every backend knows float64.
        if self.device.type != "npu":
            kind = torch.float64
        else:
            kind = torch.float32
        tensor = torch.tensor(values, dtype=kind, device=self.device)
        dist.all_reduce(tensor)
        return [float(value) for value in tensor.tolist()]

    def average(self, tensors: Sequence[torch.Tensor]) -> None:
        """Put the mean over all processes in the place of tensors."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors])):
            tensor.copy_(part.view_as(tensor))

    def copy_from_first(self, tensors: Sequence[torch.Tensor]) -> None:
        """Put the first process's values in the place of tensors."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def wait(self) -> None:
        """Wait for the others."""
        if self.size > 1:
            dist.barrier()


@contextlib.contextmanager
def open_world(device: str = "auto", devices: Optional[Sequence[int]] = None) -> Iterator[World]:
    """Join the processes that torchrun started, or be the only one; leave them at the end.

    Args:
        device: auto (cuda, else npu, else cpu), cpu, cuda or npu, the latter two with a number
            (cuda:1) for one process.
        devices: the numbers that the processes of this machine take, by default 0, 1 and so on.

    Returns:
        A context that gives this process's device and its place among the others.

    Raises:
        UsageError: the devices named cannot be these processes'.
        InputError: the environment is not torchrun's.
        UnavailableError: the device is not there.
    """
    rank, size, local = (_environment(name, default) for name, default in _PLACE)
    own = _own_device(device, devices, size, local)
    _set(own)
    # A program of one's own may have joined them already.
    joining = size > 1 and not dist.is_initialized()
    if joining:
        _join(own.type, rank, size)
    try:
        yield World(own, rank, size)
    finally:
        if joining:
            dist.destroy_process_group()


def _own_device(
    device: str, devices: Optional[Sequence[int]], size: int, local: int
) -> torch.device:
    """Return the device of the process with the number ``local`` on this machine, of ``size``."""
    kind, _, number = device.partition(":")
    if kind == "auto":
        kind = _find()
    if kind not in BACKENDS or (number and not number.isdigit()):
        raise UsageError(
            f"--device {device}: expected auto, cpu, cuda or npu, or a numbered one such as cuda:1"
        )
    if number and (size > 1 or devices):
        raise UsageError(
            f"--device {device} names one device; several processes take theirs with --devices 0,1"
        )
    index = int(number or local)
    if devices:
        index = _named_index(devices, local)
    if kind == "cpu":
        _refuse_numbered_cpu(device, number, devices)
        return torch.device("cpu")
    if kind == "npu":
        # PyTorch knows of such a device only then.
        with needs("torch_npu"):
            import torch_npu  # noqa: F401
    return torch.device(kind, index)


def _named_index(devices: Sequence[int], local: int) -> int:
    if local >= len(devices):
        raise UsageError(
            f"--devices names {len(devices)} devices; there are more processes on this machine"
        )
    return devices[local]


def _refuse_numbered_cpu(device: str, number: str, devices: Optional[Sequence[int]]) -> None:
    given = ""
    if devices:
        given = "--devices"
    if number:
        given = f"--device {device}"
    if given:
        raise UsageError(f"there is one cpu; {given} is for cuda and npu")


def _join(kind: str, rank: int, size: int) -> None:
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        if name not in os.environ:
            raise InputError(
                f"WORLD_SIZE is {size} but {name} is not set; torchrun sets both, and more"
            )
    # DistributedDataParallel imports this module, whose functions hold, as a default argument, the
    # group that there is at that moment. Imported before there is one, it holds none: a group that
    # is held for ever keeps its threads, and one of those that wants the interpreter while that
    # ends takes the process down ("terminate called without an active exception").
    import torch.distributed.nn  # noqa: F401

    dist.init_process_group(BACKENDS[kind], rank=rank, world_size=size)


_PLACE = (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))


def is_first() -> bool:
    """Say, before any device is touched, whether this process is the one that speaks.

    Returns:
        True in the first of the processes that torchrun started, and in a single one.
    """
    return os.environ.get("RANK", "0") == "0"


def _environment(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdigit():
        raise InputError(
            f"the environment variable {name} is {text!r}; expected what torchrun sets, a number"
        )
    return int(text)


def _find() -> str:
    if torch.cuda.is_available():
        return "cuda"
    try:
        # Registers torch.npu; fails where CANN is not there.
        import torch_npu  # noqa: F401
    except (ImportError, OSError):
        return "cpu"
    return "npu" if torch.npu.is_available() else "cpu"  # type: ignore[attr-defined]


def _set(device: torch.device) -> None:
    if device.type == "npu":
        torch.npu.set_device(device)  # type: ignore[attr-defined]
    elif device.type == "cuda":
        count = torch.cuda.device_count()
        if not torch.cuda.is_available() or (device.index or 0) >= count:
            raise UnavailableError(
                f"there is no {device}: PyTorch {torch.__version__} here sees {count} GPUs",
                hint=(
                    "Look at: python -c 'import torch; print(torch.version.cuda,"
                    " torch.cuda.device_count())'"
                ),
            )
        torch.cuda.set_device(device)
