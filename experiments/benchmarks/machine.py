"""What a benchmark ran on."""

from __future__ import annotations

import os
import sys
from importlib import metadata, util
from pathlib import Path
from typing import Any

# Package: the module by which its presence is known.
PACKAGES = {name: name for name in "jax jaxlib flax torch numpy scipy prdc".split()}
PACKAGES |= {"scikit-learn": "sklearn"}
PACKAGES |= {"torch-fidelity": "torch_fidelity", "pytorch-fid": "pytorch_fid"}


def hardware() -> dict[str, Any]:
    """Returns the processor, its cores, and the versions of what is installed."""
    cpu = "unknown"
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        cpu = lines[0].partition(":")[2].strip() if lines else cpu
    installed = [name for name, module in PACKAGES.items() if util.find_spec(module)]
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
        **{name: metadata.version(name) for name in installed},
    }


def has_gpu() -> bool:
    """Returns whether there is an NVIDIA GPU, without starting JAX or PyTorch."""
    return Path("/dev/nvidia0").exists()
