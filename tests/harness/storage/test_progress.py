"""What is told of a part reaches whoever listens to the whole."""

from facebench.harness.storage.progress import SILENT, ProgressShare, ProgressStep
from tests.progress import Told


def test_a_step_tells_under_its_name() -> None:
    told = Told()
    step = ProgressStep(told, "embedded")
    step.at(3, 8)
    step.newest("an image")
    step.say("one is broken")
    assert told.reached == [(3, 8, "embedded")]
    assert told.news == ["an image"]
    assert told.said == ["one is broken"]


def test_shares_make_up_the_whole() -> None:
    told = Told()
    for number in range(2):
        share = ProgressShare(told, number, 2, "rounds")
        for done in range(5):
            share.at(done, 4)
        share.newest(f"round {number}")
    shares = [done for done, _, _ in told.reached]
    assert shares == [0, 0.25, 0.5, 0.75, 1, 1, 1.25, 1.5, 1.75, 2]
    assert {(total, step) for _, total, step in told.reached} == {(2, "rounds")}
    assert told.news == ["round 0", "round 1"]


def test_a_share_of_unknown_or_no_length_counts_as_begun_and_over() -> None:
    told = Told()
    for total in (None, 0):
        ProgressShare(told, 1, 4, "cases").at(0, total)
    assert told.reached == [(1, 4, "cases")] * 2


def test_who_does_not_listen_may_be_told_all() -> None:
    SILENT.at(1, 2, "step")
    SILENT.newest("text")
    SILENT.say("sentence")
