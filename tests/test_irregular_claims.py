import pytest

from benchmarks.irregular_claims import claims


def runs(**accuracies):
    """Lines of one rate: by model, the accuracy of each set, over two seeds around it; paper has a third seed of its own."""
    for model, sets in accuracies.items():
        for name, accuracy in zip("AB", sets, strict=True):
            for seed, shift in enumerate((-0.01, 0.01)):
                yield {
                    "table": "ucr",
                    "set": name,
                    "missing_rate": 0.5,
                    "model": model,
                    "seed": seed,
                    "accuracy": accuracy + shift,
                }
            if model == "paper":
                yield {"table": "ucr", "set": name, "missing_rate": 0.5, "model": model, "seed": 7, "accuracy": 0.0}


def test_the_lead_counts_up_to_minirocket_and_over_seeds_in_common():
    (line,) = claims(runs(ours=(0.9, 0.7), paper=(0.6, 0.6), minirocket=(0.8, 0.9)))
    assert (line["sets"], line["met"]) == (2, True)
    assert (line["ours"], line["paper"], line["minirocket"]) == pytest.approx((0.8, 0.6, 0.85))
    assert (line["lead"], line["lead_capped"], line["asked"]) == pytest.approx((0.2, 0.15, 0.1))
    assert line["behind_minirocket"] == {"A": pytest.approx(-0.1), "B": pytest.approx(0.2)}


def test_a_lead_that_minirocket_does_not_allow_is_not_asked_for():
    (line,) = claims(runs(ours=(0.99, 0.95), paper=(0.95, 0.95), minirocket=(0.97, 0.97)))
    assert line["asked"] == pytest.approx(0.02)
    assert not line["met"]
    assert not list(claims(runs(ours=(0.9, 0.7), paper=(0.6, 0.6))))
