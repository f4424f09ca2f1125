"""One training step at the size of XLM-R base: what each lever gives, beside a plain loop. For Linux.

Weights and text are random: 12 layers of 768, 250,002 word embeddings, sentences as long as those of
Universal Dependencies. Each line is a process of its own, with one thread. Prints CPU seconds a step
(median), the part of them that the kernel took, page faults a step, and the peak of resident memory.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from xlmr_base import BASE

from xbench.api.batch import Vocabulary
from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.encoder_config import EncoderConfig
from xbench.nn.encoders.vocabulary import TrimmedVocabulary
from xbench.nn.heads import Head
from xbench.nn.memory import keep_memory_flat
from xbench.nn.optimise import Optimiser, ParameterGroup, Schedule
from xbench.nn.pair_views import PairTexts, PairViews
from xbench.nn.replay import ReplayedBatch
from xbench.nn.text import Text, TextFormat, pad
from xbench.nn.text_view import TextView
from xbench.stages.align import total
from xbench_plugins.objectives.hictl import HiCTL

BEGIN, PAD, END, MASK = 0, 1, 2, 250_001
WORDS = 9_000  # word pieces that occur in a thousand sentences of a treebank, about
CLASSES, SENTENCES, PAIRS = 17, 16, 32
FORMAT = TextFormat(Vocabulary(250_002, (BEGIN, PAD, END, MASK), PAD, MASK), (BEGIN, END))
LEVERS = {
    "transformers": ("plain", {}),
    "xbench, all word embeddings": ("whole", {}),
    "xbench": ("trimmed", {}),
    "xbench, huge pages": ("trimmed", {"THP_MEM_ALLOC_ENABLE": "1"}),
    "xbench, all, huge pages": ("whole", {"THP_MEM_ALLOC_ENABLE": "1"}),
    "align": ("align", {}),
    "align, in 4 chunks": ("align in chunks", {}),
    "align, huge pages": ("align", {"THP_MEM_ALLOC_ENABLE": "1"}),
}
Step = Callable[[int], None]


def sentences(count: int, stream: int) -> list[list[int]]:
    """Random ids; lengths as those of sentences, 25 pieces in the mean."""
    generator = torch.Generator().manual_seed(stream)
    known = torch.randperm(249_000, generator=torch.Generator().manual_seed(0))[:WORDS] + 10
    found = []
    for _ in range(count):
        # a gamma distribution of the shape 2
        length = -torch.rand(2, generator=generator).log().sum().item() * 12.5
        drawn = torch.randint(WORDS, (min(120, 3 + int(length)),), generator=generator)
        found.append([BEGIN, *known[drawn].tolist(), END])
    return found


def tagged(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids [B, T], labels [B, T]; -100 at specials and padding)."""
    rows = sentences(SENTENCES, step)
    labels = [[-100, *(n % CLASSES for n in row[1:-1]), -100] for row in rows]
    return pad(rows, PAD), pad(labels, -100)


def fine_tuning(encoder: Encoder, trimmed: bool) -> Step:
    """The whole encoder and a head, as in mode ``full``."""
    if trimmed:
        ids = torch.cat([tagged(step)[0].flatten() for step in range(100)]).unique()
        TrimmedVocabulary(encoder, ids)
    head = Head(encoder.config.hidden_size, CLASSES, 0.1, 0, "benchmark").train()
    groups = [
        ParameterGroup(tuple(encoder.parameters()), 2e-5, encoder.matrix_dims),
        ParameterGroup(tuple(head.parameters()), 1e-3, 2),
    ]
    optimiser = Optimiser(groups, Schedule(1000), 0.01, 1.0)

    def step(number: int) -> None:
        ids, labels = tagged(number)
        states = TextView(encoder, Text(ids), FORMAT, ("benchmark", number)).states(1.0)
        chosen = labels != -100
        optimiser.backward(F.cross_entropy(head(states[chosen]), labels[chosen]))
        optimiser.step(number)

    return step


def alignment(encoder: Encoder, chunks: int) -> Step:
    """HiCTL's sentence and word contrasts and masked LM, of a batch that is whole or in chunks."""
    objective = HiCTL(HiCTL.variants["S1W1M1"])
    objective.setup(encoder)
    groups = [
        ParameterGroup(tuple(encoder.parameters()), 2e-5, encoder.matrix_dims),
        ParameterGroup(tuple(objective.parameters()), 2e-5, 2),
    ]
    optimiser = Optimiser(groups, Schedule(1000), 0.0, 1.0)

    def step(number: int) -> None:
        if chunks == 1:
            loss, _ = total(objective, views(number, 0))
            optimiser.backward(loss)
        else:
            batch = ReplayedBatch(lambda index: views(number, index), chunks)
            loss, _ = total(objective, batch)
            optimiser.backward(loss)
            batch.replay(optimiser.autocast)
        optimiser.step(number)

    def views(number: int, index: int) -> PairViews:
        mine = slice(index * PAIRS // chunks, (index + 1) * PAIRS // chunks)
        first, second = (sentences(PAIRS, 2 * number + side)[mine] for side in (0, 1))
        both = [[*one, END, *other[1:]] for one, other in zip(first, second, strict=True)]
        side = [
            [-1, *[0] * (len(one) - 2), -1, -1, *[1] * (len(other) - 2), -1]
            for one, other in zip(first, second, strict=True)
        ]
        joint = Text(pad(both, PAD), sides=pad(side, -1))
        texts = PairTexts(Text(pad(first, PAD)), Text(pad(second, PAD)), joint)
        return PairViews(encoder, texts, FORMAT, ("benchmark", number, index), index)

    return step


def plain() -> Step:
    """What one would write over transformers."""
    from transformers import XLMRobertaConfig, XLMRobertaForTokenClassification

    model = XLMRobertaForTokenClassification(XLMRobertaConfig(**BASE, num_labels=CLASSES)).train()
    adam = torch.optim.AdamW(model.parameters(), lr=2e-5, weight_decay=0.01, fused=True)

    def step(number: int) -> None:
        ids, labels = tagged(number)
        model(input_ids=ids, attention_mask=ids != PAD, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad()

    return step


def new_step(case: str) -> Step:
    """The step of a case, on a new model."""
    if case == "plain":
        return plain()
    encoder = Encoder.random(EncoderConfig.from_json(BASE), seed=0).train()
    if case.startswith("align"):
        return alignment(encoder, 1 if case == "align" else 4)
    return fine_tuning(encoder, case == "trimmed")


def measured(case: str, steps: int) -> dict[str, float]:
    """Medians over the steps of this process, the first two left out."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if case != "plain":
        keep_memory_flat()  # as workers do
    step = new_step(case)
    seconds, kernel, faults = [], [], []
    for number in range(steps + 2):
        before = resource.getrusage(resource.RUSAGE_SELF)
        step(number)
        after = resource.getrusage(resource.RUSAGE_SELF)
        of_kernel = after.ru_stime - before.ru_stime
        seconds.append(after.ru_utime - before.ru_utime + of_kernel)
        kernel.append(of_kernel)
        faults.append(after.ru_minflt - before.ru_minflt)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    middle = {"seconds": seconds[2:], "kernel": kernel[2:], "faults": faults[2:]}
    return {**{name: statistics.median(values) for name, values in middle.items()}, "peak": peak}


def main() -> None:
    """Measure every lever in a process of its own and print, or one case in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--only", help="Lines whose names hold this.", default="")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measured(options.case, options.steps)))
        return
    print(f"{platform.machine()}, torch {torch.__version__}, one thread")
    print(f"{'':<30}{'s a step':>10}{'kernel':>8}{'faults':>10}{'peak MB':>9}")
    for name, (case, changes) in LEVERS.items():
        if options.only not in name:
            continue
        command = [sys.executable, __file__, "--case", case, "--steps", str(options.steps)]
        environment: dict[str, Any] = {**os.environ, **changes, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        numbers = f"{found['seconds']:>10.2f}{found['kernel']:>8.2f}{found['faults']:>10.0f}"
        print(f"{name:<30}{numbers}{found['peak']:>9.0f}", flush=True)


if __name__ == "__main__":
    main()
