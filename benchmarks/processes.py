"""CPU and memory of a server process and its children, from /proc."""

import os
import resource
from pathlib import Path

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def raise_file_limit() -> int:
    """Lift the soft limit of open files to the hard one (children inherit it) and return it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def tree(root: int) -> list[int]:
    """``root`` and all its living descendants, parents before children."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def cpu_seconds(root: int) -> float:
    """CPU time of the tree so far, children that ended and were waited for included."""
    return sum(sum(map(int, fields[11:15])) for pid in tree(root) if (fields := _stat(pid))) * TICK_SECONDS


def own_cpu_seconds(pid: int) -> float:
    """CPU time of one process alone, all its threads included."""
    return sum(map(int, _stat(pid)[11:13])) * TICK_SECONDS


def thread_seconds(pids: list[int]) -> dict[str, float]:
    """CPU time of every thread so far; a thread's key is its process' place in ``pids``, its name and its id."""
    spent = {}
    for place, pid in enumerate(pids):
        for task in Path(f"/proc/{pid}/task").iterdir():
            stat = (task / "stat").read_text()
            name, fields = stat.partition("(")[2].rpartition(")")[0], stat.rpartition(")")[2].split()
            spent[f"process {place}, {name}, {task.name}"] = sum(map(int, fields[11:13])) * TICK_SECONDS
    return spent


def rss_bytes(root: int) -> int:
    """Resident memory of the tree; pages shared by several processes count for each."""
    return sum(int(fields[21]) for pid in tree(root) if (fields := _stat(pid))) * PAGE_BYTES


def machine_seconds() -> tuple[float, float]:
    """CPU time of the whole machine so far: busy, and taken away by the hypervisor."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq) * TICK_SECONDS, steal * TICK_SECONDS


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third (state) on; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
