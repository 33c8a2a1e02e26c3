"""The GPUs of this machine, as torch sees them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device."""

    name: str
    memory_gb: float
    """10^9 bytes."""
    compute_capability: str
    driver: str
    cuda: str
    """That torch was built with."""
    torch: str

    HEAD: ClassVar[list[str]] = ["GPU", "memory", "compute capability", "driver", "CUDA", "torch"]

    @property
    def row(self) -> list[str]:
        """For ``tab_aligned``, below ``HEAD``."""
        return [self.name, f"{self.memory_gb:.0f} GB", self.compute_capability, self.driver, self.cuda, self.torch]


def visible_gpus() -> list[Gpu]:
    """Every device that this process may use; none without torch or CUDA."""
    try:
        import torch
    except ModuleNotFoundError:
        return []
    if not torch.cuda.is_available():
        return []
    driver, found = driver_version(), []
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        capability = f"{device.major}.{device.minor}"
        cuda = str(torch.version.cuda)
        found.append(Gpu(device.name, device.total_memory / 1e9, capability, driver, cuda, torch.__version__))
    return found


def driver_version(ask: Callable[..., str] = subprocess.check_output) -> str:
    """NVIDIA's driver by nvidia-smi; "unknown" where it cannot say."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        lines = ask(command, text=True, stderr=subprocess.DEVNULL, timeout=20).splitlines()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return lines[0].strip() if lines else "unknown"
