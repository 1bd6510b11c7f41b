"""Settings of the test process."""

import os
import pathlib

import jax

# Tests compile many small programs, some of them in several processes: share them.
CACHE = pathlib.Path(__file__).parent.parent / "build" / "jax-cache"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
