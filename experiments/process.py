"""Settings of the process, which must be made before JAX is imported.

Set GANS_PLAIN_PROCESS=1 to run without them. WGAN-GP's CNN at 32x32 takes 231 ms a step
with them, 293 ms without, and 250 ms without the XLA flag alone (2 cores, medians of 4
rounds of 12 steps).
"""

import ctypes
import errno
import importlib.metadata
import io
import os
import pathlib
import platform
import sys
import tempfile

# Turns YNN's convolutions off: its kernel gradients and strided convolutions are slower
# than Eigen's. XLA aborts at a flag that it does not know, so the flag is set only for
# versions with which it was tested.
YNN_FLAG = (
    "--xla_cpu_experimental_ynn_fusion_type=-LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION"
)
YNN_VERSIONS = ("0.10.",)

# glibc's mallopt parameters (malloc.h).
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8


def configure(*, cores_apart: bool = False) -> None:
    """Sets the allocator and XLA's flags. Call it before jax is imported.

    cores_apart: JAX sees each core as a device, for work that consists of many small
    runs (see `experiments.training.vmapped`), and a matrix decomposition uses one
    thread: the threads of several that share the cores wait for each other (128x128:
    17 ms with them, 2 ms without). A number of CPU devices that is set in XLA_FLAGS, or
    of threads in OPENBLAS_NUM_THREADS, takes precedence.
    """
    if os.environ.get("GANS_PLAIN_PROCESS") == "1":
        return
    if platform.system() == "Linux" and platform.libc_ver()[0] == "glibc":
        keep_pages()
    if importlib.metadata.version("jaxlib").startswith(YNN_VERSIONS):
        _flag(YNN_FLAG)
    if not cores_apart:
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if hasattr(os, "sched_getaffinity"):
        host_devices(len(os.sched_getaffinity(0)))


def host_devices(n: int) -> None:
    """Has JAX see n devices on the CPU, unless XLA_FLAGS says how many."""
    _flag(f"--xla_force_host_platform_device_count={n}")


def _flag(flag: str) -> None:
    """Adds a flag to XLA's unless the user has set it."""
    flags = os.environ.get("XLA_FLAGS", "")
    if flag.partition("=")[0] not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {flag}".strip()


def lasting_streams() -> None:
    """Makes stdout and stderr outlast a closed terminal or pipe, as of `| head`.

    From then on what is written there is lost, and nothing else. Streams
    that the process was started without are opened, or a file would get their number.
    Characters that the stream's encoding lacks are written as escapes.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    for number, name in ((1, "stdout"), (2, "stderr")):
        before = getattr(sys, name)
        encoding = getattr(before, "encoding", None) or "utf-8"
        utf_8 = encoding.lower().replace("-", "") == "utf8"
        stream = io.TextIOWrapper(
            io.BufferedWriter(_Lasting(number, "w", closefd=False)),
            encoding=encoding,
            errors="surrogateescape" if utf_8 else "backslashreplace",
            line_buffering=number == 2 or os.isatty(number),
        )
        if before is not None:
            before.flush()
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


class _Lasting(io.FileIO):
    """An output that is replaced by /dev/null when nobody reads it any more.

    A full disk is an error to stdout, which has results, and none to stderr.
    """

    def write(self, data):
        try:
            return super().write(data)
        except OSError as error:
            gone = error.errno in (errno.EPIPE, errno.EIO, errno.EBADF)
            if self.fileno() == 1 and not gone:
                raise
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            return len(data)


def keep_pages() -> None:
    """Never returns memory to the kernel, so that each page is faulted in only once.

    By default glibc maps every large buffer again, and the page faults cost more than
    the elementwise work on it. The price is that the process keeps its peak memory.
    """
    libc = ctypes.CDLL("libc.so.6")
    libc.mallopt(M_ARENA_MAX, 1)  # other arenas cannot hold buffers above 64 MB
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(M_TOP_PAD, 1 << 28)


def cache_folder() -> pathlib.Path:
    """The folder for results that are expensive to compute and can be recomputed."""
    root = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    try:
        return root.expanduser() / "jax-gans"
    except RuntimeError:  # no home: a container, with a user that it does not know
        return pathlib.Path(tempfile.gettempdir()) / f"jax-gans-{os.getuid()}"


def compilation_cache() -> None:
    """Keeps compiled programs across runs (in $JAX_COMPILATION_CACHE_DIR, if set).

    If that folder cannot be written to, a line says so and nothing is kept.
    """
    import jax  # after `configure`

    given = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    folder = os.path.expanduser(given) if given else str(cache_folder())
    why = None if "://" in folder else _refusal(folder)
    if why:
        print(
            f"warning: the cache folder {folder} cannot be written ({why}): compiled "
            "programs are not kept; $JAX_COMPILATION_CACHE_DIR names another place",
            file=sys.stderr,
        )
    jax.config.update("jax_compilation_cache_dir", None if why else folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def _refusal(folder):
    """Why nothing can be written to a folder; None if it can."""
    try:
        os.makedirs(folder, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return error.strerror
    return None
