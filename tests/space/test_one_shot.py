from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from stzoo import nets
from stzoo.inference import video_scores
from stzoo.nets.reestimation import reestimate_batch_norm
from stzoo.space.one_shot import Answers, SelectionScore, one_shot_score, pruned
from tests.space.clips import CONTRACT, VIDEOS, data, make_template


@pytest.fixture(scope="module")
def template() -> nn.Module:
    return make_template()


def test_a_one_shot_score_is_that_of_the_pruned_net_with_its_own_statistics(template: nn.Module) -> None:
    strategy = nets.posterior(template).sample(0, 0)
    net = nets.prune(template, strategy).eval()
    reestimate_batch_norm(net, data().calibration())  # type: ignore[misc]
    scores, labels = video_scores(net, data().clips, CONTRACT), data().labels
    score = one_shot_score(template, strategy, data())
    assert score.accuracy == pytest.approx((scores.argmax(1) == labels).mean(), abs=1e-6)
    assert score.cross_entropy == pytest.approx(-np.log(scores[np.arange(VIDEOS), labels]).mean(), abs=1e-5)


def test_a_net_is_asked_about_the_rows_that_are_wanted(template: nn.Module) -> None:
    net = pruned(template, nets.posterior(template).sample(0, 1), data())
    everything, some = data().answers(net), data().answers(net, np.array([5, 2]))
    np.testing.assert_allclose(some.likelihoods, everything.likelihoods[[5, 2]], rtol=1e-5)
    assert some.right.tolist() == everything.right[[5, 2]].tolist()


def test_an_impossible_answer_has_a_finite_loss() -> None:
    answers = Answers(np.array([0.0, 1.0, 0.5], np.float32), np.array([False, True, True]))
    assert answers.losses == pytest.approx([-np.log(1e-12), 0.0, np.log(2)])
    assert answers.score() == SelectionScore(0.666667, round((-np.log(1e-12) + np.log(2)) / 3, 6))


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2]), st.sampled_from([0.5, 0.6])), min_size=1))
def test_least_cross_entropy_is_best_then_most_accuracy(scores: list[tuple[float, float]]) -> None:
    best = min((SelectionScore(accuracy, loss) for loss, accuracy in scores), key=lambda score: score.sort_key)
    assert best.cross_entropy == min(loss for loss, _ in scores)
    assert best.accuracy == max(accuracy for loss, accuracy in scores if loss == best.cross_entropy)


def test_a_pruned_net_has_batch_norm_statistics_of_its_own_if_wanted(template: nn.Module) -> None:
    strategy = nets.architecture(template).uniform("ST")
    kept, renewed = (pruned(template, strategy, data(calibrated)) for calibrated in (False, True))
    buffers = dict(template.named_buffers())
    assert not kept.training
    assert not renewed.training
    assert all((buffer == buffers[name]).all() for name, buffer in kept.named_buffers())
    means = [name for name in dict(renewed.named_buffers()) if name.endswith("running_mean")]
    assert not any((renewed.get_buffer(name) == buffers[name]).all() for name in means)
    assert all(parameter is dict(template.named_parameters())[name] for name, parameter in renewed.named_parameters())
