"""Classes and texts that are not served."""

import pytest

from experiments.service.refusals import Refusals, Refused


def test_classes_by_name_and_number(tmp_path):
    path = tmp_path / "refused.txt"
    path.write_text("Cat  # all of them\n\n7\nforbidden fruit\n")
    refusals = Refusals.read(path)
    for names in (("cat", 3), ("CAT",), (7, "dog"), ("7",), ("forbidden-fruit",)):
        with pytest.raises(Refused, match="is not served here"):
            refusals.check_class(*names)
    for names in (("dog", 3), ("cats",), (70,), ("fruit",)):
        refusals.check_class(*names)


def test_phrases_in_texts():
    refusals = Refusals(["forbidden fruit", "Ünder"])
    for text in ("a FORBIDDEN,  fruit!", "forbidden\nfruit", "u\u0308nder the sea"):
        with pytest.raises(Refused):
            refusals.check_text(text)
    for text in ("forbidden fruits", "fruit, forbidden", "wunder", ""):
        refusals.check_text(text)


@pytest.mark.parametrize(
    "content, said", [(b"# nothing\n", "lists nothing"), (b"\xff\xfe", "no UTF-8")]
)
def test_lists_that_cannot_be_read(tmp_path, content, said):
    path = tmp_path / "refused.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"--refuse=.*{said}"):
        Refusals.read(path)
