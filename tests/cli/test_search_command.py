"""What `neuralsde search` answers to mistakes on its command line."""

import pytest


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["search", "search.space.model.context_dropout=1"], "search.space.model.context_dropout is 1; give a law"),
        (["search", "search.space.model.spread.uniform=[0,1]"], "add it with a plus, such as '+search.space.model.spread"),
        (["search", "search=grid"], "There is no search=grid; choose one of asha, base, pbt, random"),
        (["search", "search=base"], "search.method is not given; choose search=pbt, asha or random"),
        (["train", "search=pbt"], "A search is another command"),
    ],
)
def test_a_mistake_gets_a_sentence_and_status_2(words, sentence, run):
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err
