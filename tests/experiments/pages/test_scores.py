import re

from experiments.pages import scores

RESULT = {"value": 96.0, "standard_error": 2.5, "better": "lower"}


def rows(html):
    """The cells of each row, as text."""
    body = html.partition("<tbody>")[2]
    return [
        [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in body.split("</tr>")
        if "<t" in row and "</td>" in row
    ]


def test_a_score_has_all_that_is_needed_to_read_it():
    evaluations = [
        {"step": 1000, "results": {"fid": RESULT | {"value": 50.0}}},
        {
            "step": 2000,
            "results": {"fid": RESULT, "nearest": {"value": 1.5, "better": None}},
            "baseline": {"fid": {"value": 3.0}},
            "warnings": ["few <images>"],
        },
    ]
    table = scores.table(evaluations, {}, {"fid": "How far."})
    assert rows(table) == [
        ["fid", "96 ± 2.5 at 2,000", "50 at 1,000", "lower", "3", "How far."],
        ["nearest", "1.5 at 2,000", "", "neither", "", ""],
    ]
    assert "Real images" in table and "few &lt;images&gt;" in table
    # A column without values is left out, and the reason said.
    del evaluations[1]["baseline"]
    evaluations[1]["protocol"] = {"a_to_b/baseline": "there are no test images"}
    table = scores.table(evaluations, {}, {"fid": "How far."})
    assert rows(table)[0] == [
        "fid", "96 ± 2.5 at 2,000", "50 at 1,000", "lower", "How far."
    ]  # fmt: skip
    assert "Real images" not in table
    assert "<li>real images: there are no test images</li>" in table


def test_what_stands_beside_the_model_is_a_table():
    last = {"step": 9, "title": "own, step 9", "results": {"fid": RESULT}}
    last["others"] = {"mean picture": {"results": {"l1": {"value": 0.5}}}}
    last["baseline"] = {"fid": {"value": 3.0}}
    found = rows(scores.beside([{"step": 1, "results": {}}, last]))
    assert found == [
        ["own, step 9", "96 ± 2.5", ""],
        ["mean picture", "", "0.5"],
        ["real images of the other side", "3", ""],
    ]
    assert scores.beside([{"step": 1, "results": {}}]) == ""


def test_the_best_is_the_highest_where_higher_is_better():
    evaluations = [
        {"step": i, "results": {"pr": {"value": x, "better": "higher"}}}
        for i, x in ((1, 0.2), (2, 0.6), (3, 0.4))
    ]
    assert rows(scores.table(evaluations, {}, {}))[0][1:4] == [
        "0.4 at 3",
        "0.6 at 2",
        "higher",
    ]


def test_failed_scores_are_shown_with_the_reason():
    evaluations = [
        {"step": 1, "results": {}, "failed": {"kid": "no <weights>", "fid": "x"}},
        {"step": 2, "results": {"fid": RESULT}},
    ]
    table = scores.table(evaluations, {}, {})
    assert [row[:2] for row in rows(table)] == [
        ["fid", "96 ± 2.5 at 2"],
        ["kid", "failed: no &lt;weights&gt;"],
    ]
    assert 'class="failed"' in table


def test_values_that_are_no_numbers():
    evaluations = [{"step": 1, "results": {"fid": RESULT | {"value": None}}}]
    assert rows(scores.table(evaluations, {}, {}))[0][1] == "not a number at 1"


def test_an_older_run_has_its_scores_in_the_log():
    curves = {"eval/fid": [(1, 9.0), (2, 8.0)], "d/loss": [(1, 1.0)]}
    assert rows(scores.table([], curves, {}))[0][:2] == ["fid", "8 at 2"]
    assert "Nothing has been scored" in scores.table([], {}, {})
