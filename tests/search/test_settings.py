"""What a search may build."""

import pytest
from omegaconf import OmegaConf

from neuralsde.errors import ConfigError
from neuralsde.search.settings import refuse_foreign_method


def test_nothing_within_a_method_is_built_that_is_none_of_ours():
    nested = {"_target_": "neuralsde.search.SuccessiveHalving", "rungs": {"_target_": "os.getcwd"}}
    with pytest.raises(ConfigError, match=r"search\.method\._target_ is os\.getcwd"):
        refuse_foreign_method(OmegaConf.create({"search": {"method": nested}}))
