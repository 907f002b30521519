"""What a process and the machine have of memory, as Linux tells it."""

import resource
from pathlib import Path


class ProcessMemory:
    """What a process has of memory, in MB (1,048,576 bytes)."""

    def __init__(self, process_id: int) -> None:
        self._folder = Path(f"/proc/{process_id}")

    def resident(self) -> float:
        return self._read("status", "VmRSS")

    def own(self) -> float:
        """Give what is resident and shared with no other process."""
        return self._read("smaps_rollup", "Private_Dirty") + self._read("smaps_rollup", "Private_Clean")

    def peak(self) -> float:
        """Give the most that was resident since the start, or since ``forget_peak``."""
        return self._read("status", "VmHWM")

    def forget_peak(self) -> None:
        (self._folder / "clear_refs").write_text("5")

    def _read(self, file: str, name: str) -> float:
        return _kibibytes(self._folder / file, name) / 1024


def resident_bytes() -> int:
    """Give what this process has resident, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def available_bytes() -> int:
    """Give what the machine has free for further use, in bytes."""
    return _kibibytes(Path("/proc/meminfo"), "MemAvailable") * 1024


def _kibibytes(file: Path, name: str) -> int:
    lines = file.read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])
