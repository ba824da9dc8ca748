"""Probability density distillation, of Parallel WaveNet (van den Oord et al. 2018, arXiv 1711.10433).

    min_S  KL(p_S || p_T) = E_{z}[log p_S(x) - log p_T(x)],      x = f_S^-1(z),  z ~ N(0, I)

The teacher, an autoregressive flow, is trained on data and gives densities in one pass, samples number by number. The student, an inverse
autoregressive flow, draws x with its density in one pass, and one pass of the teacher scores it: no slow direction is ever run.
B batch, D shape of a data point, n samples.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepcanon.flows.flow import Flow
from deepcanon.flows.iaf_flow import draw
from deepcanon.layers.contract import checked
from deepcanon.layers.modes import evaluating


@checked
class Distillation(nn.Module):
    """A student that learns to draw what a frozen teacher finds likely.

    Args:
        student: a flow whose inverse is fast.
        teacher: a trained flow whose density is fast.
    """

    def __init__(self, student: Flow, teacher: Flow):
        super().__init__()
        self.student, self.teacher = student, teacher.requires_grad_(False)

    def loss(self, batch) -> Float[Tensor, ""]:
        """KL(p_S || p_T) in nats, from as many draws as the batch has examples; of its data nothing is used."""
        return self.divergence(len(batch[0])).mean()

    def metrics(self, batch) -> dict[str, Float[Tensor, "B"]]:
        return {"kl": self.divergence(len(batch[0]))}

    def divergence(self, n: int) -> Float[Tensor, "n"]:
        """log p_S(x) - log p_T(x) at n draws of the student."""
        x, log_student = draw(self.student, n)
        with evaluating(self.teacher):
            return log_student - self.teacher.log_prob(x)

    @torch.no_grad()
    def sample(self, n: int) -> Float[Tensor, "n *D"]:
        """n draws of the student, in one pass."""
        return self.student.sample(n)
