from torch import nn

from deepcanon.layers.modes import evaluating


def test_every_part_is_back_in_its_own_mode():
    net = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2))
    net[1].eval()
    with evaluating(net) as resting:
        assert resting is net
        assert not any(module.training for module in net.modules())
    assert [module.training for module in net.modules()] == [True, True, False]
