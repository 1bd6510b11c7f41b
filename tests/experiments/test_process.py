"""Process settings, in processes of their own."""

import functools
import os
import platform
import subprocess
import sys

import pytest

from experiments import process

SETTINGS = ("XLA_FLAGS", "OPENBLAS_NUM_THREADS", "GANS_PLAIN_PROCESS")


@functools.cache
def python(code, **env):
    """What the code prints; once for those who ask for the same."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={k: v for k, v in os.environ.items() if k not in SETTINGS} | env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SHOW = (
    "import os; from experiments import process; process.configure();"
    "import jax; x = float(jax.numpy.ones(3).sum()); of = os.environ.get;"
    "print(x, of('XLA_FLAGS'), of('OPENBLAS_NUM_THREADS'))"
)
MINE = {
    "XLA_FLAGS": "--xla_force_host_platform_device_count=3",
    "OPENBLAS_NUM_THREADS": "3",
}
APART = SHOW.replace("configure()", "configure(cores_apart=True)")


def test_jax_runs_with_the_settings_and_keeps_the_user_s_own():
    flag = "--xla_force_host_platform_device_count=2"
    shown = python(SHOW, XLA_FLAGS=flag)
    assert shown.startswith("3.0 ")
    assert flag in shown


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="the system does not say which cores"
)
def test_a_core_is_a_device_where_it_is_asked_for():
    n_cores, flag = len(os.sched_getaffinity(0)), "force_host_platform_device_count"
    assert f"--xla_{flag}={n_cores}" in python(APART)
    assert flag not in python(SHOW)
    assert python(APART, **MINE).count(flag) == 1


def test_they_can_be_turned_off():
    assert python(SHOW, GANS_PLAIN_PROCESS="1") == "3.0 None None"


def test_importing_the_package_changes_nothing():
    code = "import os, gans.core; print(os.environ.get('XLA_FLAGS'))"
    assert python(code) == "None"


def test_an_unknown_version_of_xla_gets_no_flag():
    code = "import importlib.metadata as m; m.version = lambda name: '99.0';" + SHOW
    assert python(code) == "3.0 None None"


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's allocator"
)
def test_freed_memory_is_kept():
    # 64 MB, freed: with the settings its pages are still there, and not by default.
    measure = """
import resource, ctypes, os
libc = ctypes.CDLL("libc.so.6")
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
def touch():
    p = libc.malloc(2**26); libc.memset(p, 1, 2**26); libc.free(p)
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    kept = "from experiments import process; process.keep_pages()" + measure
    assert int(python(kept)) < 100
    assert int(python(measure)) > 20


def test_where_cores_are_devices_a_decomposition_has_one_thread():
    threads = [shown.split()[-1] for shown in (python(SHOW), python(APART))]
    assert threads == ["None", "1"]
    assert python(APART, **MINE).split()[-1] == "3"


def test_the_cache_is_where_the_user_wants_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert process.cache_folder() == tmp_path / "jax-gans"


CACHE = (
    "from experiments import process; process.compilation_cache();"
    "import jax; print(jax.config.jax_compilation_cache_dir);"
    "print(float(jax.jit(lambda x: x + 1)(1.0)))"
)


def test_a_cache_that_cannot_be_written_is_left_out(tmp_path):
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", CACHE],
        env=os.environ | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "file" / "x")},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "None\n2.0\n", done.stderr
    assert done.stderr.count("cannot be written (Not a directory)") == 1
    assert done.stderr.count("\n") == 1


def test_home_in_the_cache_s_place(tmp_path):
    env = {"HOME": str(tmp_path), "JAX_COMPILATION_CACHE_DIR": "~/x"}
    assert python(CACHE, **env).splitlines()[0] == str(tmp_path / "x")


STREAMS = """
import os, sys
from experiments import process
process.lasting_streams()
reading, writing = os.pipe()
os.close(reading)
os.dup2(writing, int(sys.argv[1]))
for i in range(3):
    print("lost", file=sys.stdout if sys.argv[1] == "1" else sys.stderr, flush=True)
os.write(3 - int(sys.argv[1]), b"still here")
"""


@pytest.mark.parametrize("number", ["1", "2"])
def test_a_stream_that_nobody_reads_is_no_error(number):
    done = subprocess.run(
        [sys.executable, "-c", STREAMS, number], capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout + done.stderr == "still here"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_results_that_a_full_disk_does_not_take_are_an_error(tmp_path):
    (tmp_path / "config.json").write_text(
        '{"variant": "gan", "data": "circle", "steps": 1, "batch_size": 1}'
    )
    command = [sys.executable, "-m", "experiments.report", f"--workdir={tmp_path}"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: [Errno 28] No space left on device\n"


def test_a_user_without_a_home_has_a_cache(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def fail(self):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(process.pathlib.Path, "expanduser", fail)
    assert process.cache_folder().name == f"jax-gans-{os.getuid()}"
