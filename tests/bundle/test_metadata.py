from __future__ import annotations

import huggingface_hub
import pytest
import yaml

from stzoo.bundle import Bundle
from stzoo.bundle.metadata import eval_results, front_matter
from stzoo.bundle.readme import render
from stzoo.card import Card


@pytest.fixture
def card() -> Card:
    return Card(
        name="toy-opt",
        title="Which way the toy goes",
        dataset="toy",
        task="way",
        backbone="toy",
        strategy="Opt",
        weights="none",
        license="cc-by-4.0",
        hub_dataset="lab/toy-videos",
    )


def test_the_front_matter_has_the_hubs_metadata(bundle: Bundle) -> None:
    front = yaml.safe_load(render(bundle, None, 1).split("---\n")[1])
    assert front == front_matter(bundle, None)
    assert front["library_name"] == "stzoo"
    assert front["pipeline_tag"] == "video-classification"
    assert front["model-index"][0]["name"] == "toy-opt"
    first = front["model-index"][0]["results"][0]
    assert first["dataset"] == {"type": "toy", "name": "toy", "split": "test"}
    assert first["metrics"][0]["value"] == 0.973
    assert first["metrics"][0]["args"] == {"protocol": "video level, 3 clips", "n": 600, "interval_95": [0.958, 0.984]}


def test_licence_and_dataset_are_the_cards_or_not_claimed(bundle: Bundle, card: Card) -> None:
    assert not {"license", "datasets"} & front_matter(bundle, None).keys()
    front = front_matter(bundle, card)
    assert (front["license"], front["datasets"]) == ("cc-by-4.0", ["lab/toy-videos"])
    assert front["model-index"][0]["results"][0]["dataset"]["type"] == "lab/toy-videos"


def test_a_dataset_that_is_not_on_the_hub_has_a_name_as_the_hub_writes_them(bundle: Bundle) -> None:
    result = bundle.metrics[0].model_copy(update={"dataset": "Something-Something V1"})
    measured = Bundle(bundle.config, metrics=(result,))
    dataset = front_matter(measured, None)["model-index"][0]["results"][0]["dataset"]
    assert dataset == {"type": "something-something-v1", "name": "Something-Something V1", "split": "test"}
    ((path, text),) = eval_results(measured, None).items()
    assert path == ".eval_results/something-something-v1.yaml"
    assert "id: something-something-v1" in text


def test_another_dataset_than_the_cards_keeps_its_name(bundle: Bundle, card: Card) -> None:
    elsewhere = bundle.metrics[0].model_copy(update={"dataset": "other toys"})
    measured = Bundle(bundle.config, metrics=(*bundle.metrics, elsewhere))
    results = front_matter(measured, card)["model-index"][0]["results"]
    assert {result["dataset"]["name"]: result["dataset"]["type"] for result in results} == {
        "toy": "lab/toy-videos",
        "other toys": "other-toys",
    }
    assert "id: other-toys" in eval_results(measured, card)[".eval_results/other-toys.yaml"]


def test_numbers_of_one_split_stand_together(bundle: Bundle) -> None:
    top1, loss = bundle.metrics
    top5 = top1.model_copy(update={"metric": "top5", "value": 0.98})
    front = front_matter(Bundle(bundle.config, metrics=(top1, loss, top5)), None)
    test, val = front["model-index"][0]["results"]
    assert [metric["name"] for metric in test["metrics"]] == ["top1", "top5"]
    assert [metric["name"] for metric in val["metrics"]] == ["loss"]
    assert front["metrics"] == ["accuracy", "loss"]


def test_the_hubs_own_client_reads_the_metadata(bundle: Bundle) -> None:
    data = huggingface_hub.ModelCard(render(bundle, None, 1)).data
    assert [result.metric_value for result in data.eval_results] == [0.973, 0.25]
    assert data.model_name == "toy-opt"


def test_the_hubs_own_client_reads_the_results_file(bundle: Bundle, card: Card) -> None:
    ((path, text),) = eval_results(bundle, card).items()
    assert path == ".eval_results/toy.yaml"
    top1, loss = huggingface_hub.parse_eval_result_entries(yaml.safe_load(text))
    assert (top1.dataset_id, top1.task_id, top1.value) == ("lab/toy-videos", "test-top1", 0.973)
    assert top1.notes == "video level, 3 clips; n = 600, 95 % interval 0.958 to 0.984"
    assert (loss.task_id, loss.notes) == ("val-loss", "video level, 3 clips; n = 300")
    assert eval_results(Bundle(bundle.config), card) == {}
