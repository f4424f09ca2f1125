"""xTune's example consistency: a task's predictions stay the same when the input is disturbed."""

from collections.abc import Mapping
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from xbench.api.batch import PairBatch
from xbench.api.objective import Objective, Term
from xbench_plugins.losses.consistency import symmetric_kl


@plain_dataclass(frozen=True)
class GaussianNoise:
    """Adds independent noise from N(0, std^2) to every entry: [B, T, D] -> [B, T, D]."""

    std: float

    def __call__(self, states_BTD: Tensor, stream: torch.Generator) -> Tensor:
        """``stream`` lives on the CPU, so the noise is the same on every device."""
        dtype = torch.promote_types(states_BTD.dtype, torch.float32)
        noise_BTD = torch.randn(states_BTD.shape, generator=stream, dtype=dtype)
        return states_BTD + self.std * noise_BTD.to(states_BTD)


class XTuneR1(Objective):
    """The task's prediction p on an example and q on a noised copy of it are pulled together.

    ``weight * 1/N sum_n KL(sg p_n || q_n) + KL(sg q_n || p_n)`` over the N labelled places with
    logits [N, C]; sg stops the gradient, so each side learns from the other as from a label. The
    copy has Gaussian noise on its embedding output [B, T, D]: that representations near each other
    get the same label is what should carry over to other languages. Labels are not used.

    The trap of the reduction: the authors' code calls ``F.kl_div`` with its default, which divides
    by N * C and not by N. Their weight of 5 is thus 5/3 per example on XNLI (C = 3) and 5/17 per
    word on POS. ``reduction="elements"`` is their code's mean over N * C; ``examples`` is the mean
    over N, a divergence.

    The paper has four ways to disturb an example; its published commands use code-switching and
    subword sampling. Noise is the one that needs neither a dictionary nor another tokenisation.
    Its code adds the noise to the word embeddings, before positions and layer norm, here it comes
    after these.

    Source: Zheng et al. 2021, *Consistency Regularization for Cross-Lingual Fine-Tuning* (arXiv
    2106.08226), the regulariser R_1 (example consistency); code: github.com/bozheng-hit/xTune.
    """

    version = 1
    needs: ClassVar[frozenset[str]] = frozenset({"task"})
    phases: ClassVar[frozenset[str]] = frozenset({"during"})

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """How strong the noise is, and what its cost weighs."""

        noise: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.1  # standard deviation
        weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 5.0  # lambda_1
        reduction: Literal["elements", "examples"] = "elements"

    sources: ClassVar[Mapping[str, str]] = {
        "noise": "reconstruction (guess): the code's option defaults to 1e-5 (uniform), and no "
        "published command uses noise",
        "weight": "code: xTune (XNLI; UD-POS too)",
        "reduction": "code: xTune; alternative examples",
    }

    config: Config

    def terms(self, batch: PairBatch) -> dict[str, Term]:
        """``consistency``, counted in labelled places, times classes for ``elements``."""
        task = batch.task
        noised = task.view.perturbed(GaussianNoise(self.config.noise))
        logits_NC = task.logits(task.view)
        total, count = symmetric_kl(logits_NC, task.logits(noised))
        if self.config.reduction == "elements":
            count *= logits_NC.shape[1]
        return {"consistency": Term(self.config.weight * total, count)}
