"""The same training under Lightning's Trainer and under `fit`, for one method of each shape."""

from dataclasses import replace

import lightning
import pytest
import torch

from deepcanon.engine import Adam, AdamW, cosine, evaluate, fit, options
from deepcanon.integrations.lightning import MethodModule
from tests.engine.shapes import SHAPES, build

pytestmark = pytest.mark.filterwarnings("ignore")                      # Lightning's advice on workers and loggers

STEPS = 5


class Seed(lightning.Callback):
    """Both trainings start from the same random numbers."""

    def on_train_start(self, trainer, module):
        torch.manual_seed(1)


class Batches:
    """The first few batches of some data."""

    def __init__(self, data, n: int):
        self.batches = [data.at(step) for step in range(n)]

    def __iter__(self):
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def lightning_trainer(folder, epochs: int = 1, **settings) -> lightning.Trainer:
    return lightning.Trainer(accelerator="cpu", max_epochs=epochs, default_root_dir=folder, logger=False, enable_progress_bar=False,
                             enable_model_summary=False, num_sanity_val_steps=0, callbacks=[Seed()], **{"enable_checkpointing": False} | settings)


def assert_equal(ours, theirs):
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in ours.state_dict().items())


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_trains_as_under_fit(name, tmp_path):
    optimizers = {player: AdamW(1e-2, schedule=cosine(warmup=2)) for player in SHAPES[name].players}
    theirs, data = build(name)
    module = MethodModule(theirs, optimizers, steps=STEPS, clip_norm=1.0, clip_value=0.1)
    lightning_trainer(tmp_path).fit(module, Batches(data, STEPS))
    ours, data = build(name)
    torch.manual_seed(1)
    with options(quiet=True):
        fit(ours, data, optimizers, steps=STEPS, clip_norm=1.0, clip_value=0.1)
    assert_equal(ours, theirs)


def test_parts_have_their_rates_as_under_fit(tmp_path):
    optimizer = replace(AdamW(1e-2, schedule=cosine(warmup=2)), slower={"encoder": 0.1})
    trained = []
    for under_lightning in (True, False):
        method, data = build("vq_vae")
        torch.manual_seed(1)
        if under_lightning:
            lightning_trainer(tmp_path).fit(MethodModule(method, optimizer, steps=STEPS), Batches(data, STEPS))
        else:
            with options(quiet=True):
                fit(method, data, optimizer, steps=STEPS)
        trained.append(method)
    assert_equal(*trained)


def test_schedules_and_optimizers_go_on_after_a_lightning_checkpoint(tmp_path):
    optimizers = Adam(1e-2, schedule=cosine(warmup=2))

    def train(epochs, checkpoint=None):
        method, data = build("vq_vae")
        trainer = lightning_trainer(tmp_path, epochs, enable_checkpointing=True)
        trainer.fit(MethodModule(method, optimizers, steps=10), Batches(data, 5), ckpt_path=checkpoint)
        trainer.save_checkpoint(tmp_path / "last.ckpt")
        return method

    whole = train(2)
    train(1)
    assert_equal(whole, train(2, tmp_path / "last.ckpt"))


def test_validation_is_the_mean_over_the_examples(tmp_path):
    method, data = build("vae")
    method.metrics = lambda x: {"size": x.square().mean(-1)}
    batches = Batches(data, 2)
    batches.batches[1] = batches.batches[1][:5]
    trainer = lightning_trainer(tmp_path)
    (found,) = trainer.validate(MethodModule(method, Adam(1e-3)), batches, verbose=False)
    assert found["size"] == pytest.approx(evaluate(method, batches)["size"], rel=1e-5)


def test_a_player_without_an_optimizer_is_named(tmp_path):
    method, data = build("sac")
    with pytest.raises(ValueError, match=r"SAC trains the player 'critic'; optimizers were given for \[''\]"):
        lightning_trainer(tmp_path).fit(MethodModule(method, Adam(1e-3)), Batches(data, 1))
