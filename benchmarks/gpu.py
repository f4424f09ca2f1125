"""On a GPU: is it right, and how fast is it beside transformers' Trainer? Ends by itself within 8 minutes.

Needs torch, numpy and this checkout; with transformers and accelerate it measures Trainer as well.
No network: the encoder has the size of XLM-R base and random weights, sentences have random ids and
lengths like those of Universal Dependencies, 16 a step. Prints what it finds, and writes it as JSON.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / part) for part in ("harness", "plugins", "tasks")]

import numpy as np
import torch
import torch.nn.functional as F
from xlmr_base import BASE

from xbench.api.batch import Vocabulary
from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.encoder_config import EncoderConfig
from xbench.nn.encoders.vocabulary import TrimmedVocabulary
from xbench.nn.heads import Head
from xbench.nn.optimise import Optimiser, ParameterGroup, Schedule, prepare_process
from xbench.nn.pair_views import PairTexts, PairViews
from xbench.nn.stack.batch import ReplicaBatch
from xbench.nn.stack.build import stack_encoders
from xbench.nn.stack.model import StackedModel
from xbench.nn.stack.optimise import StackedOptimiser
from xbench.nn.stack.training import StackedTraining
from xbench.nn.text import Text, TextFormat, pad
from xbench.nn.text_view import TextView

BEGIN, PAD, END, MASK = 0, 1, 2, 250_001
WORDS, CLASSES, BATCH, PAIRS = 9_000, 17, 16, 32
LAYERS = 85_054_464  # parameters that every token passes through
FORMAT = TextFormat(Vocabulary(250_002, (BEGIN, PAD, END, MASK), PAD, MASK), (BEGIN, END))
KNOWN = np.random.default_rng(0).permutation(249_000)[:WORDS] + 10
Found = dict[str, Any]


def sentences(count: int, stream: int) -> list[np.ndarray]:
    """Random ids; lengths follow a gamma distribution with a mean of 25 pieces."""
    draw = np.random.default_rng(stream)
    lengths = np.minimum(120, 3 + draw.gamma(2, 12.5, count).astype(int))
    return [np.r_[BEGIN, draw.choice(KNOWN, length), END] for length in lengths]


def tagged(stream: int) -> ReplicaBatch:
    """A step's sentences with a label for two of three pieces."""
    ids = sentences(BATCH, stream)
    places = [np.arange(1, len(text) - 1)[:: 2 if n % 3 else 1] for n, text in enumerate(ids)]
    labels = np.concatenate([text[own] % CLASSES for text, own in zip(ids, places, strict=True)])
    return ReplicaBatch(ids, places, labels)


def random_encoder() -> Encoder:
    """On the GPU, where drawing 278 million weights takes no time."""
    with torch.device("cuda"):
        encoder = Encoder(EncoderConfig.from_json(BASE))
        for parameter in encoder.parameters():
            if parameter.dim() == 3:
                torch.nn.init.normal_(parameter, std=0.02)
    return encoder


def milliseconds(step: Callable[[int], Any], warm_up: int, steps: int) -> float:
    """Of a step, in the mean over ``steps`` of them."""
    for number in range(warm_up):
        step(number)
    torch.cuda.synchronize()
    began = time.perf_counter()
    for number in range(warm_up, warm_up + steps):
        step(number)
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / steps * 1000


def stack(replicas: int) -> Callable[[int], Any]:
    """A step of R fine-tunings."""
    every = torch.from_numpy(np.r_[BEGIN, PAD, END, KNOWN])
    encoder = stack_encoders((random_encoder() for _ in range(replicas)), replicas, every, "cuda")
    heads = [Head(768, CLASSES, 0.1, replica) for replica in range(replicas)]
    model = StackedModel(encoder, heads, half=True).to("cuda")
    groups = [
        (list(encoder.parameters()), [2e-5] * replicas),
        (model.head, [1e-3] * replicas),
    ]
    training = StackedTraining(model, StackedOptimiser(groups, Schedule(1000), 0.01, 1.0))

    def step(number: int) -> Any:
        batches = [tagged(number * 100 + replica) for replica in range(replicas)]
        return training.step(number, batches, [(replica, number) for replica in range(replicas)])

    return step


def plain(trimmed: bool) -> Callable[[int], Any]:
    """A step as xbench takes it where a fine-tuning is no part of a stack."""
    encoder = random_encoder().train()
    if trimmed:
        TrimmedVocabulary(encoder, torch.from_numpy(np.r_[BEGIN, PAD, END, KNOWN]).cuda())
    head = Head(768, CLASSES, 0.1, 0).cuda().train()
    groups = [
        ParameterGroup(tuple(encoder.parameters()), 2e-5, encoder.matrix_dims),
        ParameterGroup(tuple(head.parameters()), 1e-3, 2),
    ]
    optimiser = Optimiser(groups, Schedule(1000), 0.01, 1.0, "bf16")

    def step(number: int) -> None:
        batch = tagged(number)
        owner = np.repeat(np.arange(BATCH), [len(own) for own in batch.places])
        with optimiser.autocast():
            text = Text(pad(batch.ids, PAD).cuda())
            states = TextView(encoder, text, FORMAT, ("benchmark", number)).states(1.0)
            chosen = states[owner, np.concatenate(batch.places)]
            loss = F.cross_entropy(head(chosen), torch.from_numpy(batch.labels).cuda())
        optimiser.backward(loss)
        optimiser.step(number)

    return step


def trainer(best: bool, warm_up: int, steps: int) -> float:
    """Milliseconds of a step of transformers' Trainer: as it is, or at its best."""
    from transformers import (
        Trainer,
        TrainerCallback,
        TrainingArguments,
        XLMRobertaConfig,
        XLMRobertaForTokenClassification,
    )

    class Clock(TrainerCallback):  # type: ignore[misc]
        times: list[float] = []

        def on_step_end(self, *_: Any, **__: Any) -> None:
            torch.cuda.synchronize()
            self.times.append(time.perf_counter())

    rows = [row for number in range(warm_up + steps + 1) for row in _rows(tagged(number))]
    with torch.device("cuda"):
        model = XLMRobertaForTokenClassification(XLMRobertaConfig(**BASE, num_labels=CLASSES))

    def collate(chosen: Sequence[Found]) -> Found:
        ids = pad([row["input_ids"] for row in chosen], PAD)
        labels = pad([row["labels"] for row in chosen], -100)
        return {"input_ids": ids, "attention_mask": ids != PAD, "labels": labels}

    extra: Found = {"dataloader_num_workers": 2} if best else {}
    torch.backends.cuda.enable_cudnn_sdp(not best)  # torch's default, which a user may not know of
    if best:
        extra["train_sampling_strategy"] = "group_by_length"
    arguments = TrainingArguments(
        output_dir="/tmp/trainer",
        per_device_train_batch_size=BATCH,
        max_steps=warm_up + steps,
        bf16=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        remove_unused_columns=False,
        **extra,
    )
    clock = Clock()
    Trainer(model, arguments, data_collator=collate, train_dataset=rows, callbacks=[clock]).train()  # type: ignore[arg-type]
    taken = np.diff(clock.times)[warm_up - 1 :]
    return float(taken.mean() * 1000)


def _rows(batch: ReplicaBatch) -> Iterator[Found]:
    start = 0
    for ids, places in zip(batch.ids, batch.places, strict=True):
        labels = np.full(len(ids), -100)
        labels[places] = batch.labels[start : start + len(places)]
        start += len(places)
        yield {"input_ids": ids.tolist(), "labels": labels.tolist(), "length": len(ids)}


def alignment() -> Callable[[int], Any]:
    """A step of HiCTL S1W1M1."""
    from xbench_plugins.objectives.hictl import HiCTL

    encoder = random_encoder().train()
    objective = HiCTL(HiCTL.variants["S1W1M1"])
    objective.setup(encoder)
    objective.to("cuda")
    groups = [
        ParameterGroup(tuple(encoder.parameters()), 2e-5, encoder.matrix_dims),
        ParameterGroup(tuple(objective.parameters()), 2e-5, 2),
    ]
    optimiser = Optimiser(groups, Schedule(1000), 0.0, 1.0, "bf16")

    def step(number: int) -> None:
        first, second = (sentences(PAIRS, 2 * number + side) for side in (0, 1))
        joint = [np.r_[one, END, other[1:]] for one, other in zip(first, second, strict=True)]
        sides = [
            np.r_[-1, [0] * (len(one) - 2), -1, -1, [1] * (len(other) - 2), -1]
            for one, other in zip(first, second, strict=True)
        ]
        both = Text(pad(joint, PAD), sides=pad(sides, -1)).to("cuda")
        texts = PairTexts(Text(pad(first, PAD)).to("cuda"), Text(pad(second, PAD)).to("cuda"), both)
        with optimiser.autocast():
            views = PairViews(encoder, texts, FORMAT, ("benchmark", number))
            loss = torch.stack([term.mean for term in objective.terms(views).values()]).sum()
        optimiser.backward(loss)
        optimiser.step(number)

    return step


def matmul_rate() -> float:
    """TFLOP/s of a large product of bfloat16 matrices: the card's own measure."""
    left, right = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2 * 8192**3 / milliseconds(lambda _: left @ right, 5, 20) / 1e9


def tokens_a_step() -> float:
    """Of one fine-tuning, in the mean."""
    return statistics.mean(sum(map(len, tagged(number).ids)) for number in range(50))


def fine_tuning(stacks: Sequence[int], steps: int) -> Iterator[Found]:
    """A line for each way of training."""
    tokens = tokens_a_step()
    ways: dict[str, tuple[int, Callable[[], float]]] = {
        "Trainer, bf16": (1, lambda: trainer(False, 60, steps)),
        "Trainer, bf16, its best": (1, lambda: trainer(True, 60, steps)),
        "one by one, all word embeddings": (1, lambda: milliseconds(plain(False), 10, steps)),
        "one by one": (1, lambda: milliseconds(plain(True), 10, steps)),
    }
    for count in stacks:
        ways[f"stack of {count}"] = (
            count,
            lambda count=count: milliseconds(stack(count), 40, steps),
        )
    for name, (count, measure) in ways.items():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        try:
            taken = measure() / count
        except ImportError as error:
            yield {"name": name, "error": str(error)}
            continue
        rate = 6 * LAYERS * tokens / taken / 1e9
        peak = torch.cuda.max_memory_allocated() / 2**30
        yield {"name": name, "milliseconds": taken, "tflops": rate, "peak": peak}
    gc.collect()
    torch.cuda.empty_cache()  # what follows are other processes


def together(counts: Sequence[int], steps: int) -> Iterator[Found]:
    """Alignments in several processes at once."""
    for count in counts:
        command = [sys.executable, __file__, "--aligning", str(steps)]
        pipes: Found = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        workers = [subprocess.Popen(command, **pipes) for _ in range(count)]
        for worker in workers:
            worker.stdout.readline()  # type: ignore[union-attr]
        for worker in workers:
            worker.stdin.write("go\n")  # type: ignore[union-attr]
            worker.stdin.flush()  # type: ignore[union-attr]
        taken = max(float(worker.stdout.readline()) for worker in workers)  # type: ignore[union-attr]
        for worker in workers:
            worker.communicate()
        yield {"name": f"{count} at once", "milliseconds": taken / count}


def aligning(steps: int) -> None:
    """One of several: waits for the others, then says how long a step took."""
    torch.set_num_threads(1)
    step = alignment()
    milliseconds(step, 3, 3)
    print("ready", flush=True)
    sys.stdin.readline()
    print(milliseconds(step, 0, steps), flush=True)


def profile(replicas: int) -> str:
    """Where a stack's time goes, by kernel; with 0 replicas an alignment's."""
    step = stack(replicas) if replicas else alignment()
    milliseconds(step, 40, 1)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as found:
        milliseconds(lambda number: step(number + 100), 0, 10)
    table = found.key_averages().table(
        sort_by="self_cuda_time_total", row_limit=30, max_name_column_width=90
    )
    return "\n".join(line[:92] + line[-90:] for line in table.splitlines())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--stacks", default="1,4,12,24")
    parser.add_argument("--at-once", default="1,4,7")
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--profile",
        type=int,
        metavar="R",
        help="Where the time of a stack of R goes; 0: an alignment's.",
    )
    parser.add_argument("--aligning", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    prepare_process()
    if options.aligning:
        aligning(options.aligning)
        return
    if options.profile is not None:
        print(profile(options.profile))
        return
    card = torch.cuda.get_device_name()
    found: Found = {"card": card, "torch": torch.__version__, "matmul": matmul_rate()}
    print(f"{card}, torch {torch.__version__}, products of matrices {found['matmul']:.0f} TFLOP/s")
    print(f"a step: {BATCH} sentences, {tokens_a_step():.0f} tokens in the mean", flush=True)
    found["fine-tuning"] = []
    counts = [int(part) for part in options.stacks.split(",") if part]
    for line in fine_tuning(counts, options.steps):
        found["fine-tuning"].append(line)
        print(_text(line, found["fine-tuning"][0]), flush=True)
    at_once = [int(part) for part in options.at_once.split(",") if part]
    found["alignment"] = []
    for line in together(at_once, options.steps):
        found["alignment"].append(line)
        print(_text(line, found["alignment"][0]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _text(line: Found, first: Found) -> str:
    if "error" in line:
        return f"{line['name']:<34} not measured: {line['error']}"
    text = f"{line['name']:<34}{line['milliseconds']:>9.2f} ms a step of one"
    if "milliseconds" in first:
        text += f"{first['milliseconds'] / line['milliseconds']:>8.1f}x"
    if "tflops" in line:
        text += f"{line['tflops']:>8.0f} TFLOP/s{line['peak']:>7.1f} GiB"
    return text


if __name__ == "__main__":
    main()
