"""The run manifest, run.json: a run's command, hardware, versions, speed and status."""

from __future__ import annotations

import datetime
import json
import os
import resource
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from experiments.files import replacing

_PACKAGES = "jax jaxlib flax optax orbax-checkpoint grain numpy".split()


def read(workdir: Path) -> dict[str, Any]:
    """Returns the manifest of a run, {} if it has none yet."""
    path = workdir / "run.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write(workdir: Path, manifest: dict[str, Any]) -> None:
    """Writes WORKDIR/run.json, adding the time and the peak memory so far."""
    manifest = {**manifest, "stop": _now(), "peak_memory_bytes": peak_memory()}
    with replacing(workdir / "run.json") as path:
        Path(path).write_text(json.dumps(manifest, indent=2) + "\n")


def begin(command: str) -> dict[str, Any]:
    """Returns the manifest of a run that starts now."""
    devices = jax.devices()
    kind = devices[0].device_kind
    hardware = f"{len(devices)} x {kind}" if len(devices) > 1 else kind
    if devices[0].platform == "cpu":
        hardware = f"cpu ({os.cpu_count()} cores)"
    return {
        "status": "running",
        "command": command,
        "start": _now(),
        "hardware": hardware,
        "versions": {
            "python": sys.version.split()[0],
            **{name: metadata.version(name) for name in _PACKAGES},
        },
    }


def peak_memory() -> int:
    """Returns the peak memory in bytes.

    It is that of the fullest device; on CPU, that of the process.
    """
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    peaks = [s["peak_bytes_in_use"] for s in stats if "peak_bytes_in_use" in s]
    if peaks:
        return max(peaks)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def speed(n_steps: int, seconds: float, batch_size: int) -> dict[str, float]:
    """Returns {"steps_per_s", "images_per_s"}, or {} if there were no steps."""
    if not n_steps:
        return {}
    rate = n_steps / seconds
    return {"steps_per_s": rate, "images_per_s": rate * batch_size}


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
