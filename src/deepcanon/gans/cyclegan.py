"""Unpaired image-to-image translation, CycleGAN (Zhu, Park, Isola & Efros 2017, arXiv 1703.10593).

    L_cyc = E|F(G(x)) - x| + E|G(F(y)) - y|,       G: X -> Y,  F: Y -> X,   |.| the mean over the values
    discriminators:  min   E[l_D(D_Y(y), D_Y(G(x)))] + E[l_D(D_X(x), D_X(F(y)))] + penalties
    translators:     min   E[l_G(D_Y(y), D_Y(G(x)))] + E[l_G(D_X(x), D_X(F(y)))] + lam L_cyc + lam_id (E|G(y) - y| + E|F(x) - x|)

x and y are not pairs: the adversaries ask only that the translations look like the other domain, the cycle that nothing is lost on the way.
B batch, D shape of a data point.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.gans.functional import check
from deepcanon.gans.objectives import Objective, least_squares
from deepcanon.gans.penalties import Penalty
from deepcanon.layers.checks import rows
from deepcanon.layers.contract import checked
from deepcanon.layers.instance_noise import fade


def cycle_loss(there: nn.Module, back: nn.Module, x: Float[Tensor, "B *D"], y: Float[Tensor, "B *D"]) -> Float[Tensor, ""]:
    """L_cyc; zero for two maps that are each other's inverse."""
    return (back(there(x)) - x).abs().mean() + (there(back(y)) - y).abs().mean()


def scores(judge: nn.Module, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *patches"]:
    """D of each image, or of its patches."""
    return rows("scores", judge(x), len(x))


@checked
class CycleGAN(nn.Module):
    """Two translators and two discriminators.

    Args:
        there: G, (B, *D) -> (B, *D).
        back: F.
        judge_there: D_Y, (B, *D) -> (B, ...), scores of what `there` leads to.
        judge_back: D_X.
        cycle: lam.
        identity: lam_id.
        objective: of both games.
        penalty: (D, data, translations) -> what is added to a discriminator's loss.
    """

    def __init__(self, there: nn.Module, back: nn.Module, judge_there: nn.Module, judge_back: nn.Module, *, cycle: float = 10.0,
                 identity: float = 0.0, objective: Objective = least_squares, penalty: Penalty | None = None):
        super().__init__()
        self.translators = nn.ModuleDict({"there": there, "back": back})
        self.discriminators = nn.ModuleDict({"there": judge_there, "back": judge_back})
        self.cycle, self.identity, self.objective, self.penalty = cycle, identity, objective, penalty

    def losses(self, batch) -> Iterator[tuple[str, Tensor | dict[str, Tensor]]]:
        """One update each, on a batch (x, y) of as many examples of either domain.

        Raises:
            ValueError: one domain is missing, examples of other shapes than the translators', images outside [0, 1].
        """
        x, y = self.pairs(batch)
        with torch.no_grad():
            to_y, to_x = self.translate(x), self.translate_back(y)
        games = [(self.discriminators["there"], check(y, to_y), to_y), (self.discriminators["back"], check(x, to_x), to_x)]
        losses = [self.objective.discriminator(scores(judge, real), scores(judge, fake)).mean() for judge, real, fake in games]
        yield "discriminators", torch.stack(losses + ([self.penalty(*game) for game in games] if self.penalty else [])).sum()

        there, back = self.translators["there"], self.translators["back"]
        to_y, to_x = there(x), back(y)
        with torch.no_grad():
            real = scores(self.discriminators["there"], y), scores(self.discriminators["back"], x)
        adversarial = self.objective.generator(real[0], scores(self.discriminators["there"], to_y)).mean()
        adversarial = adversarial + self.objective.generator(real[1], scores(self.discriminators["back"], to_x)).mean()
        cycle = (back(to_y) - x).abs().mean() + (there(to_x) - y).abs().mean()
        loss = adversarial + self.cycle * cycle
        if self.identity:
            loss = loss + self.identity * ((there(y) - y).abs().mean() + (back(x) - x).abs().mean())
        yield "translators", {"loss": loss, "adversarial": adversarial, "cycle": cycle}
        fade(self.discriminators)

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        """How far an example is from where it comes back to, a value."""
        x, y = self.pairs(batch)
        there, back = self.translators["there"], self.translators["back"]
        return {"cycle": ((back(there(x)) - x).abs().flatten(1).mean(1) + (there(back(y)) - y).abs().flatten(1).mean(1)) / 2}

    @staticmethod
    def pairs(batch) -> tuple[Tensor, Tensor]:
        """As many examples of either domain."""
        if len(batch) < 2 or batch[0].shape != batch[1].shape:
            raise ValueError(f"expected as many examples of either domain, of one shape, got {[tuple(t.shape) for t in batch]}")
        return batch[0], batch[1]

    @torch.no_grad()
    def translate(self, x: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
        """G(x)."""
        return self.translators["there"](x)

    @torch.no_grad()
    def translate_back(self, y: Float[Tensor, "B *D"]) -> Float[Tensor, "B *D"]:
        """F(y)."""
        return self.translators["back"](y)
