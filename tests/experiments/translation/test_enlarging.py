"""Models that make pictures larger: tiles, kinds of pictures, what is refused."""

import dataclasses
import functools
import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import config as configs
from experiments.rundir.checkpoint import Checkpoints
from experiments.sampling.model import Model
from experiments.translation import folder, picture, tiles
from experiments.translation.folder import Count
from gans import averaging, core
from gans.data import bicubic

SHAPES = tiles.Shapes(first=8, multiple=1, tile=32)


@pytest.fixture(scope="session")
def workdirs(tiny, tmp_path_factory):
    """Two runs of 4 times, whose generators are untrained: of two seeds."""
    config = tiny("srgan")
    init = jax.jit(functools.partial(core.init, configs.build(config)))
    made = []
    for seed in range(2):
        path = tmp_path_factory.mktemp("srgan")
        (path / "config.json").write_text(configs.to_json(config))
        checkpoints = Checkpoints(path, keep=None)
        state = init(jax.random.key(seed)).replace(step=jnp.int32(3))
        checkpoints.save(3, state, {})
        checkpoints.close()
        made.append(path)
    return made


@pytest.mark.parametrize("size", [(1, 3), (8, 8), (20, 33), (100, 47), (200, 31)])
@pytest.mark.parametrize("scale", [1, 3])
def test_tiles_without_seams(size, scale):
    x = np.random.default_rng(0).standard_normal((*size, 2)).astype(np.float32)
    bands = []

    def repeated(tile):
        return tile.repeat(scale, 0).repeat(scale, 1)

    def encode(band):
        bands.append(len(band))
        return np.rint(1000 * band).astype(np.int32)

    made = tiles.run(repeated, x, SHAPES, scale=scale, encode=encode)
    assert made.dtype == np.int32 and made.shape == (
        scale * size[0],
        scale * size[1],
        2,
    )
    np.testing.assert_allclose(made, 1000 * repeated(x), atol=0.51)
    # Never more than a row of tiles is held.
    assert max(bands) <= scale * 32 and sum(bands) == len(made)


def run(workdir, source, out, **options):
    options = {"enlarging": True, "tile": 16, **options}
    return folder.translate(workdir, source=str(source), out=str(out), **options)


def test_a_folder_of_all_kinds(workdirs, photos, tmp_path, capsys):
    source = photos(
        a_png=("RGB", 20, 31),
        grey_png=("L", 9, 8),
        alpha_png=("RGBA", 12, 10),
        wide_png=("I;16", 8, 11),
        one_png=("RGB", 1, 1),
    )
    (source / "broken.jpg").write_text("x")
    turned = Image.open(source / "a.png")
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(source / "turned.png", exif=exif)
    out = tmp_path / "out"
    assert run(workdirs[0], source, out) == Count(made=6, failed=1)
    said = capsys.readouterr().err
    assert str(source / "broken.jpg") in said and "--colour" not in said
    sizes = {"a": (80, 124), "grey": (36, 32), "alpha": (48, 40), "wide": (32, 44)}
    sizes |= {"one": (4, 4), "turned": (124, 80)}
    modes = {"grey": "L", "alpha": "RGBA", "wide": "I;16"}
    for name, size in sizes.items():
        with Image.open(out / f"{name}.png") as made:
            assert made.size == size and made.mode == modes.get(name, "RGB")
    alpha = Image.open(source / "alpha.png").getchannel("A")
    alpha = alpha.resize((48, 40), Image.Resampling.BICUBIC)
    with Image.open(out / "alpha.png") as made:
        np.testing.assert_array_equal(made.getchannel("A"), alpha)
    # What is finished stays.
    (source / "broken.jpg").unlink()
    before = (out / "a.png").stat().st_mtime_ns
    assert run(workdirs[0], source, out) == Count(kept=6)
    assert (out / "a.png").stat().st_mtime_ns == before


def test_bytes_are_those_of_floats(workdirs):
    """Of large pictures only bytes are held; the network's result is the same."""
    translator = Model.load(workdirs[0]).translator(tile=16)
    assert (translator.scale, translator.size) == (4, "full")
    x = np.random.default_rng(0).integers(0, 256, (21, 40, 3), np.uint8)
    key = jax.random.key(0)
    floats, made = translator(x, key), translator(x, key, as_bytes=True)
    assert floats.shape == (84, 160, 3) and floats.dtype == np.float32
    wanted = np.rint((np.clip(floats, -1, 1) + 1) * 127.5)
    np.testing.assert_allclose(made, wanted, atol=1)
    assert np.mean(made == wanted) > 0.99
    # An untrained network adds little to its bilinear base.
    assert np.abs(made - bicubic.resize(x, 4).astype(float)).mean() < 40


def test_what_cannot_be(workdirs, unpaired, photos, tmp_path):
    source, out = photos(a_png=("RGB", 20, 31)), tmp_path / "out"
    with pytest.raises(ValueError, match="scale=2: this run was trained .* 4 times"):
        run(workdirs[0], source, out, scale=2)
    with pytest.raises(ValueError, match="as large as they are; experiments.translate"):
        run(unpaired, source, out)
    with pytest.raises(ValueError, match="size=12: .* sees them as they are"):
        run(workdirs[0], source, out, size=12)
    with pytest.raises(ValueError, match="blend=1.5: wanted a share from 0 to 1"):
        run(workdirs[0], source, out, blend=(workdirs[1], 1.5))
    with pytest.raises(ValueError, match="blend_with=.*no network in common"):
        run(workdirs[0], source, out, blend=(unpaired, 0.5))


@pytest.mark.slow
def test_weights_between_two_runs(workdirs, photos, tmp_path):
    source, pixels = photos(a_png=("RGB", 20, 31)), {}
    for share in (None, 0.0, 0.5, 1.0):
        blend = None if share is None else (workdirs[1], share)
        run(workdirs[0], source, tmp_path / str(share), blend=blend)
        with Image.open(tmp_path / str(share) / "a.png") as image:
            pixels[share] = np.asarray(image)
    np.testing.assert_array_equal(pixels[None], pixels[1.0])
    assert (pixels[0.0] != pixels[1.0]).any() and (pixels[0.5] != pixels[1.0]).any()
    a, b = (Model.load(path).state for path in workdirs)
    middle = averaging.between(a, b, 0.25)
    jax.tree.map(
        lambda x, y, z: np.testing.assert_allclose(z, 0.75 * x + 0.25 * y, atol=1e-6),
        a.ema["g"],
        b.ema["g"],
        middle.ema["g"],
    )
    other = dataclasses.replace(b, params={"g": {"kernel": jnp.zeros(3)}})
    with pytest.raises(ValueError, match="'g': its arrays differ in shape"):
        averaging.between(a, other, 0.5)


ENV = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}


def command_of(workdir, source, out):
    command = [sys.executable, "-m", "experiments.upscale", f"--workdir={workdir}"]
    return [*command, f"--input={source}", f"--out={out}"]


@pytest.mark.slow
def test_command(workdirs, photos, tmp_path):
    source, out = photos(a_png=("RGB", 20, 31)), tmp_path / "out"
    command = command_of(workdirs[0], source, out)
    for flags, code, said in (
        ([], 0, f"{out}: 1 made\n"),
        ([], 0, f"{out}: 0 made, 1 were there already\n"),
        (["--scale=3"], 1, ""),
        (["--blend=0.5"], 1, ""),
    ):
        done = subprocess.run(command + flags, capture_output=True, text=True, env=ENV)
        assert (done.returncode != 0) == bool(code), done.stderr
        assert done.stdout == said and "Traceback" not in done.stderr


@pytest.mark.slow
def test_killed_and_begun_again(workdirs, photos, tmp_path):
    """One of a hundred is damaged: it is named, and what is finished is kept."""
    named = {f"{i:03d}_png": ("RGB", 24, 20) for i in range(100)}
    source, out = photos(**named), tmp_path / "out"
    (source / "070.png").write_bytes((source / "070.png").read_bytes()[:300])
    command = command_of(workdirs[0], source, out)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=ENV)
    while not out.exists() or len([*out.glob("*.png")]) < 10:
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    process.kill()
    process.communicate()
    # Whatever stands under its name is finished.
    done = {path: path.stat().st_mtime_ns for path in out.glob("*.png")}
    assert 10 <= len(done) < 99 and all(map(picture.record_of, done))
    again = subprocess.run(command, capture_output=True, text=True, env=ENV)
    said = f"{99 - len(done)} made, {len(done)} were there already, 1 failed"
    assert again.returncode == 1 and again.stdout == f"{out}: {said}\n"
    assert f"cannot translate {source / '070.png'}: " in again.stderr
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert len([*out.iterdir()]) == 99
