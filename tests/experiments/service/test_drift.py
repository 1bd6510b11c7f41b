"""Whether a model still makes what it made."""

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="extra serve")
from experiments.service import drift  # noqa: E402
from experiments.service.drift import Canary, Recent  # noqa: E402


@pytest.mark.parametrize("kept", [True, False])
def test_fixed_samples_are_compared_with_the_first(tmp_path, kept):
    folder = tmp_path / "canary" if kept else None
    first = {"image": np.zeros((2, 4, 4, 1), np.float32)}
    canary = Canary(folder)
    assert canary.levels("m", 3, "o", first) == 0
    made = {"image": first["image"].copy()}
    made["image"][1, 2, 3, 0] = 3 / 127.5
    assert canary.levels("m", 3, "o", made) == pytest.approx(3, rel=1e-6)
    later = Canary(folder)  # another process
    assert later.levels("m", 3, "o", made) == pytest.approx(3 * kept, rel=1e-6)
    assert later.levels("m", 4, "o", made) == 0  # another checkpoint has its own
    for broken in (np.full((2, 4, 4, 1), np.nan), np.zeros((2, 4, 4, 3))):
        assert later.levels("m", 4, "o", {"image": broken}) == np.inf


def test_a_service_checks_itself(service):
    from experiments.service import upkeep

    metrics = service.service.metrics
    canary = Canary()
    service.run(upkeep.check(service.service, canary))
    levels = metrics.canary.labels("digits", "sample")
    assert levels._value.get() == 0
    place = ("digits", "sample", 7)
    canary._first[place] = {k: x + 0.02 for k, x in canary._first[place].items()}
    service.run(upkeep.check(service.service, canary))
    assert levels._value.get() == pytest.approx(0.02 * 127.5, rel=1e-3)


@pytest.mark.slow
def test_recent_samples_are_scored_by_the_statistics_of_the_run(service, tmp_path):
    from experiments.evaluation import comparison
    from gans.data.kinds.image import encode

    digits = service.models["digits"]
    images = encode(digits.model.sample(96, seed=1)["image"])
    np.save(tmp_path / "real.npy", images)
    stats = tmp_path / drift.STATISTICS
    options = {"extractor": "random", "save_stats": str(stats)}
    comparison.measure(str(tmp_path / "real.npy"), None, ("fid",), **options)
    found = {}
    for name, shift in (("same", 0), ("other", 1)):
        recent = Recent()
        made = digits.model.sample(96, seed=2)["image"]
        recent.put(digits.model.spec, {"image": np.clip(made + shift, -1, 1)})
        (found[name],) = drift.scores(tmp_path, recent.images()).values()
    assert 0 <= found["same"] < found["other"] / 5
    few = Recent()
    few.put(digits.model.spec, {"image": made[:10]})
    assert few.images() is None
    assert drift.scored(tmp_path) and not drift.scored(digits.workdir)


def test_a_newer_checkpoint_takes_over(service, classes_run, capsys, monkeypatch):
    """With the same programs; what cannot be opened leaves the older one."""
    from experiments.service import models, upkeep
    from gans.data.kinds.image import encode

    from .conftest import SIZE, save
    from .test_app import URL, arrays

    def opened(before):
        return models.opened(
            before.name, before.workdir, "last", (SIZE,), service.limits, before
        )

    before = service.models["digits"]
    asked = {"seed": 1, "format": "npz"}
    old = arrays(service.ask("POST", URL, asked))["image"]
    service.run(upkeep.reload(service.service, opened))
    assert service.models["digits"] is before  # there is none
    save(classes_run, 8)
    monkeypatch.setattr(models, "opened", _fails)
    service.run(upkeep.reload(service.service, opened))
    assert service.models["digits"] is before
    assert "cannot be served: half written" in capsys.readouterr().err
    monkeypatch.undo()
    service.run(upkeep.reload(service.service, opened))
    after = service.models["digits"]
    assert (
        after.step == 8 and service.ask("POST", URL, {}).headers["x-model-step"] == "8"
    )
    programs = [x.outputs["sample"].programs for x in (before, after)]
    assert programs[0][SIZE] is programs[1][SIZE]
    new = arrays(service.ask("POST", URL, asked))["image"]
    wanted = encode(after.model.sample(1, seed=1, batch_size=SIZE)["image"])
    np.testing.assert_array_equal(new, wanted)
    assert (new != old).any()
    service.service.put(before)


def _fails(*given):
    raise ValueError("half written")
