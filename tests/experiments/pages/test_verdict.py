import numpy as np
import pytest

from experiments.pages import evidence, trends
from experiments.pages.verdict import verdict
from experiments.training import health
from gans.losses import adversarial

CONFIG = {"variant": "dcgan", "loss": "non_saturating", "steps": 4000}
WGAN = CONFIG | {"variant": "wgan_gp", "loss": "wasserstein"}
FINISHED = {"status": "finished"}
HEALTHY = {
    "d/loss": 1.1,
    "g/loss": 1.0,
    "d/accuracy_real": 0.75,
    "d/accuracy_fake": 0.72,
    "d/score_gap": 1.5,
    "d/diversity": 0.95,
    "d/grad_norm": 1.0,
    "g/grad_norm": 1.0,
}
SURE = {"d/accuracy_real": 0.99, "d/accuracy_fake": 0.99}


def lines(last=4000, every=100, **changes):
    """Records; a change is a value, or a function of the share of the steps done."""
    found = []
    for step in range(every, last + 1, every):
        values = HEALTHY | {k.replace("__", "/"): x for k, x in changes.items()}
        t = step / last
        found.append(
            {"step": step, **{k: x(t) if callable(x) else x for k, x in values.items()}}
        )
    return found


def scored(values, name="fd_classifier", better="lower", every=1000, **result):
    return [
        {
            "step": every * (i + 1),
            "results": {name: {"value": value, "better": better, **result}},
            "protocol": {"extractor": "classifier", "n_fake": 1000},
        }
        for i, value in enumerate(values)
    ]


def judged(records=(), evaluations=(), run=FINISHED, config=CONFIG):
    return verdict(config, run, records, evaluations)


def text(found):
    return " ".join([found.headline, *found.evidence])


def test_healthy_without_scores():
    found = judged(lines())
    # Nothing says that it is good, either.
    assert (found.kind, found.tone) == ("healthy", "neutral")
    assert "no score measures the quality: look at the samples" in found.headline
    flat = judged(lines(d__diversity=0.5))
    assert flat.tone == "neutral"
    assert "vary less than the data, 0.5 times as much: look at" in flat.headline
    assert "diversity is 0.95 of the data's" in text(found)
    assert "75%" in text(found)


def test_improving():
    values = [900, 412, 200, 96]  # the last third begins after step 2,667
    found = judged(lines(), scored(values))
    assert (found.kind, found.tone) == ("improving", "good")
    assert found.headline == (
        "Still improving when it ended: fd_classifier fell from 412 at step 2,000 to "
        "96 now"
    )
    running = judged(lines(), scored(values), run={"status": "running"})
    assert running.headline.startswith("Still improving: ")


def test_higher_is_better():
    up, down = [0.1, 0.3, 0.5, 0.7], [0.7, 0.5, 0.3, 0.1]
    name = {"name": "recall_classifier", "better": "higher"}
    assert judged(lines(), scored(up, **name)).kind == "improving"
    rose = judged(lines(), scored(up, **name)).headline
    assert "rose from 0.3 at step 2,000 to 0.7 now" in rose
    assert judged(lines(), scored(down, **name)).kind == "worse"
    # Negative control: the other way round.
    assert judged(lines(), scored(up)).kind == "worse"


def test_scores_far_apart_are_no_trend():
    """A run that was ended after a tenth, and then trained to its end."""
    evaluations = scored([0.477, *9 * [0], 0.994], name="quality", better="higher")
    ends = [evaluations[0], evaluations[-1]]
    assert judged(lines(), ends).kind == "healthy"


def test_plateau():
    found = judged(lines(6000), scored([400, 150, 100, 99, 101, 100]))
    assert (found.kind, found.tone) == ("done", "good")
    assert found.headline == "Done: the score has not improved since step 3,000"
    assert "99 at best" in text(found) and "400 at first" in text(found)


def test_a_bad_score_that_no_longer_improves_is_not_done():
    values = [4000, 3200, 3120, 3115, 3118, 3115]
    far, near = (scored(values) for _ in range(2))
    for evaluations, real in ((far, 500.0), (near, 2000.0)):
        evaluations[-1]["baseline"] = {"fd_classifier": {"value": real}}
    found = judged(lines(6000), far)
    assert (found.kind, found.tone) == ("stalled", "warning")
    assert found.headline == (
        "No longer improving, and not good: fd_classifier is 3,115, real images have "
        "500"
    )
    assert "4,000 at first" in text(found)
    assert judged(lines(6000), near).kind == "done"
    # One that has come nearly all the way is not far off, however near to 0 that is.
    little = scored([0.3, 0.02, 0.01, 0.01, 0.01, 0.01])
    little[-1]["baseline"] = {"fd_classifier": {"value": 1e-5}}
    assert judged(lines(6000), little).kind == "done"
    # Where nobody knows what is good, it has at least to have become better.
    assert judged(lines(6000), scored(values)).kind == "done"
    never = judged(lines(6000), scored([3115, 3200, 3120, 3115, 3118, 3115]))
    assert (never.kind, never.tone) == ("stalled", "warning")
    assert never.headline == (
        "No longer improving: fd_classifier is 3,115, as in its first evaluation"
    )


def test_higher_is_better_of_real_images_too():
    name = {"name": "recall_classifier", "better": "higher"}
    low, high = (
        scored(x, **name) for x in ([0.1, 0.2, 0.2, 0.2], [0.1, 0.6, 0.6, 0.6])
    )
    for evaluations in (low, high):
        evaluations[0]["baseline"] = {"recall_classifier": {"value": 0.9}}
    assert judged(lines(), low).kind == "stalled"
    assert judged(lines(), high).kind == "done"


def test_a_change_within_the_noise_is_none():
    values = [400, 100, 100, 90]
    assert judged(lines(), scored(values)).kind == "improving"
    noisy = scored(values, standard_error=8.0)
    assert judged(lines(), noisy).kind == "done"


def test_past_its_best():
    found = judged(lines(), scored([200, 96, 150, 300]))
    assert (found.kind, found.tone) == ("worse", "warning")
    assert found.headline == (
        "Past its best: fd_classifier was 96 at step 2,000 and is 300 now"
    )
    assert "--checkpoint=best" in found.advice


def test_evaluations_of_other_protocols_are_not_compared():
    evaluations = scored([400, 150, 100, 100, 100, 100])
    other = scored([5.0])[0] | {"step": 6000, "protocol": {"n_fake": 50}}
    assert judged(lines(6000), [*evaluations, other]).kind == "done"


def test_a_changed_reference_is_a_break():
    evaluations = scored([400, 150, 100, 50])
    for i, evaluation in enumerate(evaluations):
        evaluation["protocol"]["n_real"] = 300 if i < 2 else 290
        evaluation["protocol"]["b/n_real"] = 10 + i  # of another output
    assert trends.breaks(evaluations) == {
        "fd_classifier": [(3000, "290 real images, before 300")]
    }
    assert trends.breaks(scored([400, 150])) == {}


def test_collapsed_is_not_calm():
    for last in (400, 4000):
        found = judged(lines(last, 20, d__diversity=0.06, **named(SURE)))
        assert (found.kind, found.tone) == ("collapsed", "bad")
        assert found.headline == (
            "Collapsed: the samples' diversity is 0.06 of the data's"
        )
        assert "99%" in text(found) or "accuracy 0.99" in text(found)
        assert found.advice


def named(values):
    return {name.replace("/", "__"): x for name, x in values.items()}


def test_samples_that_become_diverse_are_no_collapse():
    records = lines(300, 20, d__diversity=lambda t: 0.01 + 0.09 * t**2)
    assert judged(records, run={"status": "running"}).kind == "early"
    # Negative control: those that do not.
    records = lines(300, 20, d__diversity=0.05)
    assert judged(records, run={"status": "running"}).kind == "collapsed"


def test_collapse_wins_over_a_score_that_improves():
    found = judged(lines(d__diversity=0.05), scored([900, 412, 200, 96]))
    assert found.kind == "collapsed"
    assert "still improving" in text(found)


@pytest.mark.parametrize("value, kind", [(3, "collapsed"), (8, "done")])
def test_missing_modes(value, kind):
    modes = scored([value] * 4, "modes/modes", "higher", of=8)
    found = judged(lines(), modes)
    assert found.kind == kind
    assert ("3 of 8 modes" in found.headline) == (kind == "collapsed")


def test_samples_far_from_the_data_are_no_collapse():
    near = {"value": 0.01, "better": "higher"}
    (last,) = scored([0.0], name="modes/modes", better="higher")
    last["results"]["modes/modes"]["of"] = 8
    assert judged(lines(), [last]).kind == "collapsed"
    last["results"]["modes/high_quality"] = near
    assert judged(lines(), [last]).kind != "collapsed"


def test_discriminator_too_strong():
    records = lines(d__score_gap=lambda t: 4 + 8 * t, **named(SURE))
    found = judged(records)
    assert (found.kind, found.tone) == ("strong", "warning")
    assert found.headline == (
        "The discriminator is too strong: accuracy 0.99, score gap growing"
    )
    assert "d/score_gap went from" in text(found)
    assert "by heart" not in text(found)
    few = judged(records, run=FINISHED | {"examples_in_data": {"a": 40, "b": 5000}})
    assert "the 40 training images by heart" in text(few)
    early = judged(lines(600, 20, d__score_gap=lambda t: 4 + 8 * t, **named(SURE)))
    assert early.kind == "strong"
    # What is advised about a key is advised to those whose config has it.
    assert "augment" not in found.advice and "r1" in found.advice
    assert "augment" in judged(records, config=CONFIG | {"augment": ()}).advice
    # As long as samples get better, it is not too strong.
    assert judged(records, scored([900, 412, 200, 96])).kind == "improving"


@pytest.mark.parametrize(
    "loss",
    [
        "wasserstein",
        "relativistic_average(base='hinge')",
        {"name": "relativistic_pairing", "base": "logistic"},
    ],
)
def test_accuracy_without_a_boundary_means_nothing(loss):
    records = lines(d__score_gap=lambda t: 4 + 8 * t, **named(SURE))
    found = judged(records, config=CONFIG | {"loss": loss})
    assert found.kind == "healthy"
    assert "99" not in text(found)
    # Of an older run, whose config names no loss.
    assert judged(records, config={"variant": "wgan"}).kind == "healthy"


def test_losses_without_a_boundary_are_those_that_say_so():
    without = {n for n in adversarial.LOSSES if adversarial.make(n).boundary is None}
    assert without == {*evidence.NO_BOUNDARY}


def test_an_untaught_discriminator_is_the_cause_of_a_collapse():
    """As in a run on photos whose discriminator has a learning rate of nearly 0."""
    fooled = {"d/accuracy_real": 0.61, "d/accuracy_fake": 0.0, "d/score_gap": -9.5}
    found = judged(lines(d__diversity=0.068, **named(fooled)))
    assert found.kind == "weak"
    assert text(found).count("too weak") == 1
    assert "collapsed: the samples' diversity is 0.068" in text(found)
    # One that has known better has lost to a generator that collapsed.
    right = {k: (lambda t, x=x: 0.9 if t < 0.2 else x) for k, x in fooled.items()}
    assert judged(lines(d__diversity=0.068, **named(right))).kind == "collapsed"


def test_discriminator_too_weak():
    guess = {"d/accuracy_real": 0.51, "d/accuracy_fake": 0.5, "d/score_gap": 0.01}
    records = lines(d__diversity=0.5, **named(guess))
    assert judged(records).kind == "weak"
    assert "n_critic" not in judged(records).advice
    assert "n_critic" in judged(records, config=CONFIG | {"n_critic": 1}).advice
    assert "never much better than guessing" in judged(records).headline
    # At the game's end a discriminator guesses, too: it has known better before.
    right = {k: (lambda t, x=x: 0.9 if t < 0.2 else x) for k, x in guess.items()}
    assert judged(lines(d__diversity=0.5, **named(right))).kind == "healthy"
    assert judged(lines(**named(guess)), scored([400, 20, 19, 19])).kind == "done"
    for config in (CONFIG, WGAN):
        fooled = lines(d__score_gap=-0.5, d__accuracy_fake=0.1, d__diversity=0.5)
        assert judged(fooled, config=config).kind == "weak"


@pytest.mark.parametrize("value, shown", [("nan", "NaN"), ("inf", "infinite")])
def test_not_finite(value, shown):
    error = (
        f"stopped: the loss of update 'd' is {value} at step 1234; the metrics of that "
        "step: d/loss nan  g/loss 1"
    )
    found = judged(lines(1200), run={"status": error})
    assert (found.kind, found.tone) == ("diverged", "bad")
    assert found.headline == f"Stopped: d/loss is {shown} at step 1,234"
    assert "d/loss 1.1" in text(found)
    state = {"status": "stopped: not finite after step 7: params/g"}
    assert judged([], run=state).kind == "diverged"
    # Negative control: it was stopped by something else.
    other = judged(lines(), run={"status": "stopped: the disk is full"})
    assert other.kind == "stopped" and "the disk is full" in other.headline


def test_diverged_without_nan():
    found = judged(lines(d__loss=lambda t: 10 ** (8 * t)))
    assert (found.kind, found.tone) == ("diverged", "bad")
    assert "d/loss went to 1e+08" in found.headline
    lost = lines(d__loss=lambda t: None if t > 0.9 else 1.0)
    assert judged(lost).kind == "diverged"
    # A loss that is negative, or large all along, has not diverged.
    assert judged(lines(d__loss=-20.0), config=WGAN).kind == "healthy"
    assert judged(lines(d__loss=2e4)).kind == "healthy"


def test_memorising():
    name = "memorisation_share_classifier"
    found = judged(lines(), scored([0.7], name))
    assert (found.kind, found.tone) == ("memorising", "warning")
    assert "70%" in found.headline and "copies" in found.headline
    assert judged(lines(), scored([0.012], name)).kind == "healthy"


@pytest.mark.parametrize("status", ["running", "stopped after step 200"])
def test_too_early(status):
    found = judged(lines(200, 20), run={"status": status})
    assert (found.kind, found.tone) == ("early", "neutral")
    assert found.headline.startswith("Too early to say (")
    assert "step 200" in found.headline


def test_a_run_stopped_between_two_lines():
    found = judged(lines(100), run={"status": "stopped after step 150"})
    assert found.headline == "Too early to say (stopped at step 150 of 4,000)"


def test_a_score_is_heard_before_step_1000():
    found = judged(lines(600, 20), scored([900, 400, 100], every=200))
    assert found.kind == "improving"


@pytest.mark.parametrize("config, run", [({}, {}), (CONFIG, {}), (CONFIG, FINISHED)])
def test_an_empty_or_old_run(config, run):
    assert verdict(config, run, [], []).kind == "early"
    old = [{"step": i, "d/loss": 1.0, "g/loss": 0.5} for i in range(100, 5000, 100)]
    found = verdict(config, run, old, [])
    assert (found.kind, found.tone) == ("unknown", "neutral")
    assert "look at the samples" in found.headline


def test_unresolved_warnings_are_heard():
    monitor = health.HealthMonitor({"d": ("d",), "g": ("g",)})
    records = lines(g__grad_norm=lambda t: 1.0 if t < 0.5 else 1e-9)
    for record in records:
        monitor(record["step"], record)
    assert monitor.messages
    found = judged(records, run=FINISHED | {"warnings": monitor.messages})
    assert (found.kind, found.tone) == ("stuck", "warning")
    assert "the generator's gradient has vanished" in found.headline
    assert "another loss" in found.advice
    over = {"step": 1, "message": monitor.messages[0]["message"]}
    over["message"] = over["message"].replace("warning", "resolved")
    run = FINISHED | {"warnings": [*monitor.messages, over]}
    assert judged(records, run=run).kind == "healthy"


def test_two_discriminators_are_judged_each():
    records = [
        {k.replace("d/", f"{d}/"): x for d in ("d_a", "d_b") for k, x in r.items()}
        for r in lines()
    ]
    for i, record in enumerate(records):
        record |= {"d_b/accuracy_real": 1.0, "d_b/accuracy_fake": 1.0}
        record["d_b/score_gap"] = 1 + i
    assert "(d_b)" in judged(records).headline


def test_values_that_are_no_numbers_are_no_error():
    odd = scored([None, float("nan"), 3.0, 2.0])
    odd.append({"step": 4000, "results": {}, "failed": {"kid": "no weights"}})
    records = [*lines(), {"step": 4001, "x": None, "d/diversity": np.nan}]
    assert judged(records, odd).kind in ("healthy", "improving", "done")
