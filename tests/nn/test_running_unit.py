import torch

from neuralsde.nn.running_unit import FARTHEST, RATE, RunningUnit


def test_the_unit_is_the_root_of_a_running_mean_of_squares_and_stays_after_training():
    torch.manual_seed(0)
    unit, batches = RunningUnit(2), torch.randn(30, 8, 5, 2) * torch.tensor([1e-3, 40.0])
    square = batches[0].square().mean((0, 1))
    for batch in batches:
        square = (1 - RATE) * square + RATE * batch.square().mean((0, 1))
        out = unit(batch)
    torch.testing.assert_close(out, batches[-1] / square.sqrt())
    torch.testing.assert_close(unit.eval()(batches[0]), batches[0] / square.sqrt())
    assert unit(torch.zeros(1, 1, 2)).eq(0).all()
    assert unit(torch.full((1, 1, 2), 1e6)).eq(FARTHEST).all()
    assert RunningUnit(2)(torch.zeros(1, 1, 2)).eq(0).all()  # nothing has been seen to move
