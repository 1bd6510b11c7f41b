"""--help and --list, as a user types them, in a folder without the repository."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from configs import keys
from experiments.config import document, files

ROOT = pathlib.Path(__file__).parents[2]
COMMANDS = (
    "run sample evaluate metrics report benchmark ablate sweep collapse check".split()
)


def command(folder, name, *flags):
    """(exit code, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, "-m", f"experiments.{name}", *flags],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_all_flags_of_a_command(tmp_path, name):
    code, shown, said = command(tmp_path, name, "--help")
    assert (code, said) == (0, "") and shown.startswith(
        tuple("ABCDEFGHIJKLMNOPQRSTUVW")
    )
    assert f"python -m experiments.{name}" in shown
    source = (ROOT / "experiments" / f"{name}.py").read_text()
    wanted = set(re.findall(r'(?:DEFINE_\w+|path_flag)\(\s*"([\w-]+)"', source))
    if "score_flags.define()" in source:  # of a module that commands share
        wanted |= {"metrics", "extractor", "inception-weights", "seed", "out", "n"}
    if "config_flag()" in source:
        wanted |= {"config", "list"}
    found = {name for _, name in re.findall(r"^  --(\[no\])?([\w-]+)", shown, re.M)}
    assert wanted <= found and "alsologtostderr" not in shown


@pytest.mark.parametrize("flag", ["-h", "--h", "-help", "--helpfull", "help"])
def test_other_ways_to_ask(tmp_path, flag):
    assert command(tmp_path, "report", flag) == command(tmp_path, "report", "--help")


def test_the_list_has_a_line_for_each_preset(tmp_path):
    code, shown, said = command(tmp_path, "run", "--list")
    assert (code, said) == (0, "")
    rows = [line for line in shown.splitlines() if line.startswith("  ")]
    titles = [line for line in shown.splitlines() if not line.startswith("  ")]
    lines = {line.split()[0]: line for line in rows}
    wanted = lines["wgan_gp:digits"]
    assert "digits 16x16" in wanted and wanted.endswith("3 minutes on 2 CPU cores")
    cells = re.split(" {2,}", lines["cgan:digits32"].strip())
    assert cells[2:] == ["3,500 steps", "2 min 18 s on 2 CPU cores"]
    assert lines["wgan_gp:mnist"].endswith("100,000 steps")  # nothing was timed
    assert titles.count("WGAN-GP, Gulrajani et al. 2017 (arXiv 1704.00028).") == 1
    presets = [
        f"{name}:{preset}"
        for name, path in files.packaged().items()
        if "/" not in name
        for preset in files.presets_of(files.loaded(path))
    ]
    assert [*lines] == presets and len(rows) == len(presets)
    assert max(map(len, rows)) <= 120
    code, shown, _ = command(tmp_path, "ablate", "--list")
    assert code == 0 and "  ttur:ring8 " in shown and "wgan_gp:digits" not in shown


@pytest.mark.parametrize(
    "spec, near",
    [
        ("wganp", "'wgan_gp'"),
        ("WGAN-GP", "'wgan_gp'"),
        ("wgangp:cifar10", "'wgan_gp:cifar10'"),
        ("digits32", "'cgan:digits32'"),
        ("folder_small", "'dcgan:folder_small' or 'lsgan:folder_small'"),
        ("foldersmal", "'dcgan:folder_small' or 'lsgan:folder_small'"),
        ("configs/dcgn", "'dcgan'"),
        ("ttru", "'ttur'"),
    ],
)
def test_a_name_of_no_config_is_answered_by_the_nearest(spec, near):
    with pytest.raises(ValueError) as caught:
        files.found(spec)
    said = str(caught.value)
    assert said.index(f"did you mean {near}") < said.index("Those of runs are cgan")
    assert "\n" not in said and "loss_zoo" not in said and len(said) < 400


def test_a_name_that_is_like_none_gets_no_nonsense():
    with pytest.raises(ValueError) as caught:
        files.found("xyzzy")
    assert "did you mean" not in str(caught.value) and "--list" in str(caught.value)


def test_presets_for_folders():
    assert files.of_folders("dcgan") == ["dcgan:folder", "dcgan:folder_small"]
    assert files.of_folders("gan") == ["gan:folder"]
    assert files.of_folders("mine.own") == []


def test_help_of_a_config_has_every_key_with_value_and_sentence(tmp_path):
    code, shown, said = command(tmp_path, "run", "--config=wgan_gp:ring8", "--help")
    assert (code, said) == (0, "")
    text = " ".join(shown.split())
    for name, key in (keys.RUN | keys.GAME).items():
        assert f"--config.{name}=" in text and key.help in text
    assert "--config.batch_size=256 Real examples in each step. [a whole" in text
    assert "--config.discriminator.slope=0.0 (default) Of LeakyReLU" in text
    assert "--config.generator.optimizer.warmup=0 (default)" in text
    assert "r1(weight=10.0, every=1)" in text
    code, shown, _ = command(tmp_path, "ablate", "--config=ttur", "--help")
    assert code == 0 and "--config.seeds=5" in shown and "Arms: g0.25_d0.25" in shown
    assert "--config.base.generator.optimizer.b1=0.5" in shown
    code, _, said = command(tmp_path, "run", "--config=wgan_pg", "--help")
    assert code == 1 and "did you mean 'wgan_gp'?" in said and said.count("\n") == 1


@pytest.mark.parametrize(
    "name, flags, said",
    [
        ("evaluate", ["--metric=fid"], "did you mean --metrics?"),
        ("sample", ["--wordir=x"], "did you mean --workdir?"),
        ("metrics", ["a", "b", "--resise=8"], "did you mean --resize?"),
        ("report", [], "--workdir is missing: Folder of "),
        ("ablate", ["--config=ttru"], "did you mean 'ttur'?"),
        ("sweep", ["--trails=3"], "did you mean --trials?"),
        ("sample", ["--workdir=x", "n=3"], "did you mean --n=3?"),
        ("sample", ["--workdir=/my", "runs", "x"], "--workdir='/my runs x'"),
        ("sample", ["--workdir", "/my", "runs", "--n=3"], "--workdir='/my runs'"),
        (
            "run",
            ["--config=dcgan", "--config.data=folder:/my", "photos", "--workdir=x"],
            "needs quotes: --config.data='folder:/my photos'",
        ),
    ],
)
def test_a_wrong_flag_gets_the_nearest(tmp_path, name, flags, said):
    code, shown, error = command(tmp_path, name, *flags)
    assert code == 1 and shown == "" and error.count("\n") == 1
    assert error.startswith("error: ") and said in error


def test_configs_are_found_by_name_and_files_by_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = "from configs import gan\nget_config = gan.get_config\n"
    (tmp_path / "wgan_gp.py").write_text(own)
    packaged = ROOT / "configs"
    for spec, wanted in (
        ("wgan_gp", (packaged / "wgan_gp.py", "")),
        ("wgan_gp:cifar10", (packaged / "wgan_gp.py", "cifar10")),
        ("wgan_gp.py", (pathlib.Path("wgan_gp.py"), "")),
        ("./wgan_gp.py:ring8", (pathlib.Path("wgan_gp.py"), "ring8")),
        ("ttur", (packaged / "ablations" / "ttur.py", "")),
        ("ablations/ttur:ring8", (packaged / "ablations" / "ttur.py", "ring8")),
        ("configs/wgan_gp.py", (packaged / "wgan_gp.py", "")),
    ):
        assert files.found(spec) == wanted
    assert files.load_file("wgan_gp.py")[1] == "circle"
    (tmp_path / "mine.py").write_text(own)
    with pytest.raises(ValueError, match="did you mean mine.py?"):
        files.found("mine")
    with pytest.raises(ValueError, match="'wgan_g.py'.* did you mean 'wgan_gp.py'"):
        files.found("wgan_g.py")


def test_the_page_of_keys_is_up_to_date():
    assert document.PAGE.read_text() == document.document(), (
        "python -m experiments.config.document writes docs/config.md"
    )
