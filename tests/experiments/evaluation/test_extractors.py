"""Extractors by name: which network, with which weights, and what it is called."""

import functools
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments.evaluation import distances, extractors, perceptual_weights, scores
from experiments.evaluation.extractors import find
from experiments.evaluation.pretrained import INCEPTION, checksum
from gans import data
from gans.metrics.classifiers import small as classifier
from gans.metrics.features import inception, lpips, pth

ROOT = pathlib.Path(__file__).parents[3]
WEIGHTS = ROOT.parent / "shared" / "data" / "weights"
SQUEEZENET = WEIGHTS / "squeezenet_v1.1_full_fp16_ncnn.npz"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("INCEPTION", "SQUEEZENET", "LPIPS_TRUNK", "LPIPS_HEADS"):
        monkeypatch.delenv(f"GANS_{name}", raising=False)
    return tmp_path / "cache" / "jax-gans" / "classifiers"


@pytest.mark.parametrize(
    "name, message",
    [
        ("inceptoin", "extractor.*'inceptoin' is not one of .*; did you mean 'incept"),
        ("vgg", "'vgg' is not one of classifier, .*inception, lpips_al.*MODULE.NAME"),
        ("classifier", "needs labelled data to learn from: .*--classifier-data"),
        ("no_such_module:f", "'no_such_module:f': there is no module 'no_such_module'"),
        ("no_such_module.f", "'no_such_module.f': there is no module 'no_such_module'"),
        ("math:sinn", "'math:sinn': math has no 'sinn'; did you mean 'sin'"),
        ("math.sinn", "'math.sinn': math has no 'sinn'; did you mean 'sin'"),
        ("math:", "'math:' is not of the form"),
        (":f", "':f' is not of the form"),
        (".math:f", "'.math:f' is not of the form"),
        ("math:pi", "'math:pi' is of type float; wanted is a function"),
    ],
)
def test_what_is_no_extractor_is_said_at_once(name, message):
    with pytest.raises(ValueError, match=message):
        find(name)


@pytest.mark.parametrize("name", ["inception", "squeezenet"])
def test_missing_weights_are_said_at_once(name):
    message = f"--{name}-weights=/no/x: no such file"
    with pytest.raises(FileNotFoundError, match=message):
        find(name, weights={name: "/no/x"})


# --- a user's own -------------------------------------------------------------------


@pytest.fixture
def mine(tmp_path, monkeypatch):
    functions = ("mean_colour", "inception", "squeezenet_2", "classifier", "lpips_vgg")
    lines = [
        f"def {f}(images): return {{'features': images.mean((1, 2))}}"
        for f in functions
    ]
    (tmp_path / "my_networks.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_networks", None)


def test_a_function_of_the_users(mine):
    found = find("my_networks:mean_colour")()
    images = np.arange(2 * 3 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 3)
    features = found.apply(found.variables, images)["features"]
    np.testing.assert_allclose(features, images.mean((1, 2)))
    assert found.name == "mean-colour"
    # It says that nobody has a checksum of it.
    assert found.protocol == {"function": "my_networks:mean_colour", "weights": None}


@pytest.mark.parametrize(
    "function", ["inception", "squeezenet_2", "classifier", "lpips_vgg"]
)
def test_a_function_is_not_taken_for_one_of_ours(mine, function):
    name = find(f"my_networks:{function}")().name
    assert name == f"user-{function}".replace("_", "-")
    assert scores.named("fid", name) == f"fd_{name}"


# --- networks with weights from elsewhere -------------------------------------------


@pytest.fixture
def stubbed(monkeypatch):
    """Files of weights hold whatever they like, and none of it is a network."""
    monkeypatch.setattr(pth, "read", lambda path: {"size": path.stat().st_size})
    monkeypatch.setattr(inception, "from_pth", lambda arrays: arrays)


def test_other_weights_of_inception_are_not_called_so(stubbed, tmp_path):
    path = tmp_path / "random.pth"
    path.write_bytes(b"random")
    found = find("inception", weights={"inception": str(path)}, resize="clean")()
    sha256 = checksum(path)
    assert found.name == f"inception-{sha256[:8]}"
    assert found.protocol["weights"] == sha256
    assert found.protocol["resize"] == "299x299 clean"
    assert found.variables == {"size": len(b"random")}
    for quantity in ("fid", "fid_infinity", "kid", "intra_fid"):
        assert scores.named(quantity, found.name) != quantity
    assert scores.named("fid", found.name) == f"fd_inception-{sha256[:8]}"


def test_its_own_are(stubbed, tmp_path, monkeypatch):
    path = tmp_path / "genuine.pth"
    path.write_bytes(b"genuine")
    sha256 = INCEPTION.sha256 + "0" * 56
    monkeypatch.setattr(extractors.files, "checksum", lambda path: sha256)
    monkeypatch.setenv("GANS_INCEPTION", str(path))
    found = find("inception")()
    assert (found.name, found.protocol["weights"]) == ("inception", sha256)
    assert scores.named("fid", found.name) == "fid"


def test_weights_are_not_read_before_they_are_needed(tmp_path):
    path = tmp_path / "damaged.pth"
    path.write_bytes(b"damaged")
    make = find("inception", weights={"inception": str(path)})
    with pytest.raises(ValueError, match="damaged.pth: not a readable .pth"):
        make()


@pytest.mark.skipif(not SQUEEZENET.exists(), reason="no weights of SqueezeNet here")
def test_squeezenet_with_real_weights():
    found = find("squeezenet", weights={"squeezenet": str(SQUEEZENET)})()
    assert found.name == "squeezenet"
    assert found.protocol["weights"] == checksum(SQUEEZENET)
    images = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
    out = found.apply(found.variables, images)
    assert out["features"].shape == (1, 512) and out["logits"].shape == (1, 1000)


# --- LPIPS, and distances along a path ----------------------------------------------


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    """A file of SqueezeNet as torchvision's, with random weights."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = jax.ShapeDtypeStruct((1, 64, 64, 3), np.float32)
    module = lpips.Trunk(lpips.NETS["squeeze"])
    tree = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    arrays = {}
    for name, layer in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = lpips._torch_name("/".join(part.key for part in name))
        shape = lpips._channels_first(layer).shape
        fan_in = np.prod(shape[1:])
        arrays[name] = torch.tensor(rng.normal(0, (2 / fan_in) ** 0.5, shape)).float()
    path = tmp_path_factory.mktemp("lpips") / "trunk.pth"
    torch.save(arrays, path)
    return path


def heads(net):
    path = WEIGHTS / f"lpips_v0.1_{net}.pth"
    if not path.exists():
        pytest.skip("no heads of LPIPS here")
    return path


def test_lpips_is_the_distance_and_its_name_is_of_its_own_trunk_alone(
    trunk, monkeypatch
):
    files = {"lpips-trunk": str(trunk), "lpips-heads": str(heads("squeeze"))}
    found = find("lpips_squeeze", weights=files)()
    sha256 = {"trunk": checksum(trunk), "heads": checksum(heads("squeeze"))}
    assert found.name == f"lpips_squeeze-{sha256['trunk'][:8]}"
    assert found.protocol["weights"] == sha256
    images = np.random.default_rng(1).integers(0, 256, (2, 3, 32, 24, 3), np.uint8)
    x, y = (jnp.asarray(side / 127.5 - 1, jnp.float32) for side in images)
    wanted = jax.jit(functools.partial(lpips.distance, "squeeze"))(
        found.variables, x, y
    )
    distance, said = distances.distance(found)
    assert said == "LPIPS"
    np.testing.assert_allclose(jax.jit(distance)(x, y), wanted, rtol=1e-5)
    apply = jax.jit(found.apply)
    features = [apply(found.variables, side)["features"] for side in images]
    squares = jnp.sum((features[0] - features[1]) ** 2, axis=1)
    np.testing.assert_allclose(squares, wanted, rtol=1e-5)
    with pytest.raises(ValueError, match="sees nothing of 24x16 pixels.*at least 17"):
        found.apply(found.variables, images[0][:, :16])
    # The genuine files have the plain name.
    genuine = {trunk: "b8a52dc0", heads("squeeze"): sha256["heads"]}
    monkeypatch.setattr(extractors.files, "checksum", lambda path: genuine[path])
    assert find("lpips_squeeze", weights=files)().name == "lpips_squeeze"


def test_the_heads_that_are_known_are_the_genuine_ones():
    for net, sha256 in perceptual_weights.HEADS.items():
        assert checksum(heads(net)).startswith(sha256)


def test_the_smallest_images_of_lpips():
    for net, least in extractors.SMALLEST.items():
        module = lpips.Trunk(lpips.NETS[net])

        def taps(side, module=module):
            x = jnp.zeros((1, side, 64, 3))
            run = lambda key: module.init_with_output(key, x)[0]  # noqa: E731
            return [tap.shape[1] for tap in jax.eval_shape(run, jax.random.key(0))]

        assert min(taps(least)) >= 1
        try:
            assert min(taps(least - 1)) == 0
        except (ValueError, ZeroDivisionError):
            pass  # nothing comes out at all


def test_what_lpips_lacks_is_said_at_once(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError) as error:
        find("lpips_alex", weights={"lpips-heads": "/no/x"})
    said = str(error.value)
    assert said.startswith("--lpips-heads-weights=/no/x: no such file; wanted lpips/")
    assert "lpips/weights/v0.1/alex.pth" in said
    assert "torchvision's alexnet-owt-7be5be79.pth, 233 MB, by --lpips-trunk-we" in said
    (tmp_path / "heads.pth").write_bytes(b"heads")
    monkeypatch.setenv("GANS_LPIPS_HEADS", str(tmp_path / "heads.pth"))
    monkeypatch.setenv("GANS_LPIPS_TRUNK", "/no/y")
    message = "GANS_LPIPS_TRUNK=/no/y: no such file; wanted torchvision's vgg16-39"
    with pytest.raises(FileNotFoundError, match=message):
        find("lpips_vgg")


def test_images_that_an_extractor_cannot_see():
    extractors.check("lpips_vgg", (16, 16, 3))
    extractors.check("inception", (8, 8, 1))
    message = "extractor 'lpips_alex' sees nothing of 64x30 pixels; at least 31"
    with pytest.raises(ValueError, match=message):
        extractors.check("lpips_alex", (30, 64, 3))


STEPS = """
import jax.numpy as jnp
def good(images): return {"features": (images / 255).mean((1, 2))}
def levels(images): return {"features": jnp.floor(images / 1.0)[:, 0, 0]}
def table(images): return {"features": jnp.arange(256.0)[images][:, 0, 0]}
def other(images):
    scale = 255 if images.dtype == jnp.uint8 else 1
    return {"features": (images / scale).mean((1, 2))}
"""


@pytest.fixture
def steps(tmp_path, monkeypatch):
    (tmp_path / "my_steps.py").write_text(STEPS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_steps", None)


@pytest.mark.parametrize(
    "name, problem",
    [
        ("inception", "it accepts only uint8"),
        ("my_steps:levels", "it rounds floats"),
        ("my_steps:table", "of floats it raises TypeError: Indexer must have integer"),
        ("my_steps:other", "other features than of the same uint8"),
    ],
)
def test_steps_below_a_level_need_an_extractor_that_sees_them(name, problem, steps):
    message = f"'{name}' sees no steps smaller than a level.*{problem}.*those that do"
    with pytest.raises(ValueError, match=message):
        extractors.check(name, (4, 4, 3), floats=True)
    extractors.check(name, (4, 4, 3))
    extractors.check("my_steps:good", (4, 4, 3), floats=True)


@pytest.mark.parametrize("name", ["squeezenet", "classifier", "lpips_squeeze"])
def test_ours_see_them(name, trainings, request):
    extractors.check(name, (32, 32, 3), floats=True)
    weights = {"squeezenet": str(SQUEEZENET)}
    if name == "squeezenet" and not SQUEEZENET.exists():
        pytest.skip("no weights of SqueezeNet here")
    if name == "lpips_squeeze":
        trunk = request.getfixturevalue("trunk")
        weights = {"lpips-trunk": str(trunk), "lpips-heads": str(heads("squeeze"))}
    found = find(name, weights=weights, trained_on=DIGITS)()
    shape = (16, 16, 1) if name == "classifier" else (32, 32, 3)
    apply = jax.jit(lambda images: found.apply(found.variables, images))
    assert extractors._float_problem(apply, shape) is None


# --- the classifier -----------------------------------------------------------------


@pytest.fixture
def trainings(monkeypatch):
    """What was trained: (images, labels, seed) each time."""
    seen, train = [], classifier.train

    def counted(images, labels, n_classes, *, seed, **options):
        seen.append((images, labels, seed))
        return train(images, labels, n_classes, seed=seed, **options)

    monkeypatch.setattr(classifier, "train", counted)
    monkeypatch.setattr(extractors, "CLASSIFIER_STEPS", 20)
    return seen


DIGITS = {"name": "digits", "resolution": 16}


def test_a_classifier_is_trained_once(trainings, folder):
    first = find("classifier", trained_on=DIGITS)
    assert trainings == []
    first, again = first(), find("classifier", trained_on=DIGITS)()
    ((images, labels, seed),) = trainings
    assert (len(images), len(labels), seed) == (1437, 1437, 0)
    (file,) = folder.iterdir()
    assert first.protocol == again.protocol
    assert first.protocol["weights"] == checksum(file)
    test = data.load(split="test", **DIGITS).arrays
    for found in (first, again):
        out = found.apply(found.variables, test["image"])
        guesses = np.asarray(out["logits"]).argmax(axis=1)
        accuracy = float(np.mean(guesses == test["label"]))
        assert found.protocol["test_accuracy"] == accuracy > 0.3
    expected = {
        "trained_on": "digits",
        "image_shape": [16, 16, 1],
        "training_seed": 0,
        "training_steps": 20,
        "n_train": 1437,
        "n_test": 360,
        "resize": "none",
    }
    assert expected.items() <= first.protocol.items()
    most = np.bincount(test["label"]).max() / 360  # who guesses is right so often
    assert first.protocol["chance"] == most
    assert first.name == "classifier"


def test_the_file_is_a_function_of_data_and_seed(trainings, folder, tmp_path):
    def file(**more):
        return find("classifier", trained_on=DIGITS | more)().protocol["weights"]

    first, other = file(), file(seed=1)
    assert first != other and len(list(folder.iterdir())) == 2
    for path in folder.iterdir():
        path.unlink()
    assert file() == first
    assert [seed for _, _, seed in trainings] == [0, 1, 0]
    assert file(resolution=8) != first


def test_other_steps_are_another_classifier(trainings, monkeypatch):
    find("classifier", trained_on=DIGITS)()
    monkeypatch.setattr(extractors, "CLASSIFIER_STEPS", 21)
    assert find("classifier", trained_on=DIGITS)().protocol["training_steps"] == 21
    assert len(trainings) == 2


def squares(n, seed=0):
    """Images of two classes, dark and bright, and their labels."""
    labels = np.arange(n) % 2
    noise = np.random.default_rng(seed).integers(0, 100, (n, 8, 8, 3))
    return (noise + 155 * labels[:, None, None, None]).astype(np.uint8), labels


def test_an_array_without_a_test_split(trainings, tmp_path):
    images, labels = squares(50)
    np.savez(tmp_path / "a.npz", image=images, label=labels)
    name = f"array:{tmp_path}/a.npz"
    protocol = find("classifier", trained_on={"name": name})().protocol
    assert (protocol["n_train"], protocol["n_test"]) == (40, 10)
    assert protocol["test_accuracy"] > 0.8 and protocol["trained_on"] == name
    # What it is tested on it has not seen.
    ((seen, _, _),) = trainings
    assert len({x.tobytes() for x in seen}) == 40
    # One pixel is another data set.
    images[0, 0, 0] ^= 1
    np.savez(tmp_path / "a.npz", image=images, label=labels)
    find("classifier", trained_on={"name": name})()
    assert len(trainings) == 2


def test_a_folder_of_folders(trainings, tmp_path):
    for i, (image, label) in enumerate(zip(*squares(20), strict=True)):
        folder = tmp_path / "all" / "ab"[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{i}.png")
    trained_on = {"name": f"folder:{tmp_path}/all", "resolution": 8, "channels": 3}
    protocol = find("classifier", trained_on=trained_on)().protocol
    assert (protocol["n_train"], protocol["n_test"]) == (16, 4)


def test_what_a_classifier_cannot_learn(trainings, tmp_path):
    images, labels = squares(4)
    np.save(tmp_path / "a.npy", images)
    np.savez(tmp_path / "b.npz", image=images, label=labels)
    with pytest.raises(ValueError, match="a.npy has no labels to learn from"):
        find("classifier", trained_on={"name": f"array:{tmp_path}/a.npy"})()
    with pytest.raises(ValueError, match="b.npz has 4 images, fewer than 5"):
        find("classifier", trained_on={"name": f"array:{tmp_path}/b.npz"})()
    with pytest.raises(ValueError, match="did you mean digits"):
        find("classifier", trained_on={"name": "digit"})()
    assert trainings == []


@pytest.mark.parametrize("terminal", [True, False])
def test_training_is_shown_on_terminals(terminal, trainings, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    find("classifier", trained_on=DIGITS)()
    assert ("classifier of digits" in capsys.readouterr().err) == terminal


# --- auto -----------------------------------------------------------------------------


@pytest.fixture
def no_weights(monkeypatch, tmp_path):
    monkeypatch.delenv("GANS_INCEPTION", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    "shape, n, n_classes, wanted",
    [
        ((16, 16, 1), 1437, 10, "classifier"),
        ((64, 64, 3), 300, None, "random"),  # no labels
        ((128, 128, 3), 1000, 2, "random"),  # takes long to learn
        ((32, 32, 3), 1000, 1, "random"),  # one class teaches nothing
        ((32, 32, 3), 50, 10, "random"),  # five of each
        ((4, 4, 1), 1000, 2, "random"),
    ],
)
def test_auto_without_weights(shape, n, n_classes, wanted, no_weights):
    name, why = extractors.choose(shape, n=n, n_classes=n_classes)
    assert name == wanted
    assert "Inception's weights are not at hand" in why


def test_auto_with_weights(no_weights, monkeypatch, tmp_path):
    monkeypatch.setenv("GANS_INCEPTION", str(tmp_path / "inception.pth"))
    found = extractors.choose((16, 16, 1), n=1437, n_classes=10)
    assert found == ("inception", "its weights are at hand")
    # Classes of the data's own are not Inception's.
    found = extractors.choose((16, 16, 1), n=1437, n_classes=10, photographs=False)
    assert found[0] == "classifier"


def test_random_needs_nothing(no_weights):
    found = extractors.find("random")()
    assert found.name == "random" and len(found.protocol["weights"]) == 64
    assert scores.named("fid", found.name) == "fd_random"


# --- a cache that is of no use --------------------------------------------------------


def test_without_a_cache_that_can_be_written(monkeypatch, tmp_path, capsys):
    from experiments.evaluation import cache

    file = tmp_path / "file"
    file.write_text("")
    cache.cannot_write.cache_clear()
    for name in ("a", "b"):
        cache.keep(file / "jax-gans" / "features" / f"{name}.npz", {"x": np.zeros(1)})
    assert capsys.readouterr().err.count("cannot be written") == 1
    assert cache.read(file / "jax-gans" / "features" / "a.npz") is None


def test_a_damaged_file_of_the_cache_is_made_again(tmp_path):
    from experiments.evaluation import cache

    path = tmp_path / "features" / "x.npz"
    cache.keep(path, {"x": np.arange(100)})
    np.testing.assert_array_equal(cache.read(path)["x"], np.arange(100))
    path.write_bytes(path.read_bytes()[:50])
    assert cache.read(path) is None
    cache.keep(path, {"x": np.arange(100)})
    np.testing.assert_array_equal(cache.read(path)["x"], np.arange(100))


def test_a_classifier_loads_its_data_as_the_run_does(monkeypatch):
    from gans.data.sets import NoSplit

    seen = []

    def load(name, **options):
        seen.append(options)
        if options.get("split"):
            raise NoSplit("no split")
        raise ValueError("enough")

    monkeypatch.setattr("gans.data.load", load)
    with pytest.raises(ValueError, match="enough"):
        extractors.classifier("mine", skip_corrupt=True, data_seed=3)
    assert seen[0]["skip_corrupt"] is True and seen[0]["seed"] == 3


def test_a_full_disk_is_done_without_a_cache(monkeypatch, tmp_path, capsys):
    import errno

    from experiments.evaluation import cache

    def savez(*_args, **_arrays):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", savez)
    cache.cannot_write.cache_clear()
    cache.keep(tmp_path / "features" / "x.npz", {"x": np.zeros(1)})
    assert "(No space left on device)" in capsys.readouterr().err
    assert list((tmp_path / "features").iterdir()) == []
