"""What files of pictures say of their origin, and what they lose."""

import io
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from experiments import origin
from experiments.origin import files, reports, xmp
from experiments.sampling import animation, pictures
from experiments.translation import picture

PIXELS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
KNOWN = {"run": 'a "run" <&> ü', "seed": 3, "index": 17}
SAID = {"generator": "jax-gans", "source": origin.MADE, "run": 'a "run" <&> ü'}
SAID |= {"seed": "3", "index": "17"}


def test_every_format_says_the_same(tmp_path):
    with origin.noted(**KNOWN):
        pictures.save_png(tmp_path / "a.png", PIXELS)
        for form in ("gif", "webp"):
            animation.save(tmp_path / f"a.{form}", [PIXELS, PIXELS[::-1]])
        for form in ("png", "webp", "jpg"):
            image = Image.fromarray(PIXELS)
            picture.save(tmp_path / f"b.{form}", image, {"step": 5, "levels": [1, 2]})
    for path in tmp_path.glob("a.*"):
        assert files.read(path) == SAID, path
        assert animation.is_ours(path)
    edited = SAID | {"source": origin.EDITED, "step": "5"}
    for path in tmp_path.glob("b.*"):
        assert files.read(path) == edited, path
        assert picture.record_of(path) == {"step": 5, "levels": [1, 2]}
    assert len([*tmp_path.iterdir()]) == 6


def test_bytes_depend_on_what_is_known_alone():
    found = set()
    for index in (1, 1, 2):
        with origin.noted(index=index):
            found.add(files.encoded(PIXELS))
    assert len(found) == 2
    assert b"index" not in files.encoded(PIXELS)  # it was known in the blocks alone
    jpeg = files.encoded(PIXELS, "JPEG", quality=95)
    assert xmp.read(jpeg)["source"] == origin.MADE


def test_what_a_picture_loses(tmp_path):
    path = tmp_path / "a.png"
    pictures.save_png(path, PIXELS)
    with Image.open(path) as image:
        image.save(tmp_path / "again.png")
    assert files.read(tmp_path / "again.png") == {}
    with origin.noted(source=origin.NONE):  # real examples
        pictures.save_png(path, PIXELS)
    assert files.read(path) == {"generator": "jax-gans"}


def test_other_packets():
    text = xmp.packet({"source": origin.MADE, "run": "x"})
    elements = text.replace(
        'rdf:about=""', 'rdf:about="" xml:lang="x"'
    )  # other attributes are no matter
    assert xmp.read(b"\0" + elements.encode() + b"\0") == xmp.read(text.encode())
    bomb = text.replace('meta/">', 'meta/"><!ENTITY a "b">', 1)
    assert xmp.read(bomb.encode()) == {}
    assert xmp.read(b"<x:xmpmeta <x:xmpmeta></x:xmpmeta>") == {}
    assert xmp.read(text.encode() + b" " * 9)["run"] == "x"
    odd = xmp.packet({"run": "lat\udcff\x01ü"}).encode()  # a folder's, not UTF-8
    assert xmp.read(odd)["run"] == "lat\ufffd\ufffdü"
    long = xmp.packet({"run": "x" * 2**20})
    assert xmp.read(long.encode()) == {}


def test_the_command(tmp_path, capsys):
    path = tmp_path / "a.png"
    with origin.noted(**KNOWN):
        pictures.save_png(path, PIXELS)
    assert reports.show([str(tmp_path)]) == 0
    assert "a.png: says that it was made by a model" in capsys.readouterr().out
    Image.fromarray(PIXELS).save(tmp_path / "b.png")
    assert reports.show([str(tmp_path)], as_json=True) == 1
    assert '"seed": "3"' in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match="no such file"):
        reports.show([str(tmp_path / "none")])
    with pytest.raises(ValueError, match="both are needed to sign"):
        reports.sign([str(path)], "a.pem", None, None)
    command = [sys.executable, "-m", "experiments.provenance", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(command[:-1], capture_output=True, text=True)
    assert done.stderr == "error: wanted one file or folder at least\n"


CNF = """[v3]
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=critical,emailProtection
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


@pytest.fixture
def credentials(tmp_path):
    """(certificate, key) of a signer, and of who vouches for it."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    (tmp_path / "cnf").write_text(CNF)

    def run(text):
        subprocess.run(
            ["openssl", *text.split()], cwd=tmp_path, check=True, capture_output=True
        )

    for name in ("ca", "own"):
        run(f"genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}.key")
    run("req -x509 -new -key ca.key -days 9 -subj /O=Test/CN=CA -out ca.pem")
    run("req -new -key own.key -subj /O=Test/CN=signer -out own.csr")
    run(
        "x509 -req -in own.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 "
        "-extfile cnf -extensions v3 -out own.pem"
    )
    chain = (tmp_path / "own.pem").read_text() + (tmp_path / "ca.pem").read_text()
    (tmp_path / "chain.pem").write_text(chain)
    return tmp_path / "chain.pem", tmp_path / "own.key"


def test_a_signed_picture(credentials, tmp_path):
    pytest.importorskip("c2pa", reason="c2pa-python is not installed (extra c2pa)")
    from experiments.origin import c2pa

    path = tmp_path / "a.png"
    with origin.noted(**KNOWN):
        pictures.save_png(path, PIXELS)
    before = path.stat().st_size
    assert reports.sign([str(path)], *map(str, credentials), None) == 0
    assert c2pa.read(path) == {"state": "Valid", "issuer": "Test"}
    assert path.stat().st_size - before < 8000  # no thumbnail
    assert files.read(path) == SAID
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), PIXELS)
    content = path.read_bytes()
    forged = content.replace(b'gan:seed="3"', b'gan:seed="4"')
    path.write_bytes(forged)
    assert c2pa.read(path)["state"] == "Invalid"
    Image.open(io.BytesIO(content)).save(path)
    assert c2pa.read(path) == {}
    with pytest.raises(ValueError, match="does not say that a model made it"):
        reports.sign([str(path)], *map(str, credentials), None)
