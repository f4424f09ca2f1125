"""What an objective must keep to."""

from statistics import fmean, stdev
from typing import Any, ClassVar

import torch
from torch import Tensor

from xbench.api.objective import Objective, Term
from xbench.nn.optimise import autocast
from xbench.nn.random_streams import seed_dropout
from xbench.nn.replay import ReplayedBatch
from xbench.testing.contract import expect, skip
from xbench.testing.definition import Configured, Documented
from xbench.testing.toys.batches import Layout, Undivided, chunked, toy_encoder
from xbench.testing.toys.clones import clone_pairs
from xbench.testing.toys.training import Training, interrupted, prepare, set_up
from xbench.testing.toys.trials import (
    CLEAR,
    TOLERANCE,
    Ready,
    drawn,
    is_close,
    pairing,
    some_batches,
    some_pairs,
    varies,
    whole_loss,
)

NEEDS = ("pairs", "links", "task", "translated_task")
PHASES = ("before", "during")
ROUNDS = (60, 120, 240, 480)  # steps after which it is looked whether pairing was learnt
LEARNING_RATE = 5e-3
GRADIENT_TOLERANCE = 1e-3  # of gradients in float32, relative to the largest


class ObjectiveContract(Documented, Configured):
    """``class TestMine(ObjectiveContract): objective = "mine"``.

    The objective sees batches of two made-up languages, with what its ``needs`` name and nothing
    else. An objective with no use for right pairs, as masked language modelling on each side,
    says so in its class: ``learns_pairs = False``.
    """

    kind = "objective"
    group = "objectives"
    has_reference: ClassVar[bool] = True
    objective: ClassVar[str | type[Objective]]

    def setup_method(self) -> None:
        """One thread: of several, so small an encoder is only slower."""
        self._threads = torch.get_num_threads()
        torch.set_num_threads(1)

    def teardown_method(self) -> None:
        """As it was."""
        torch.set_num_threads(self._threads)

    def test_declaration(self) -> None:
        """It says what it needs, when it acts, and which terms look at the whole batch."""
        for attribute, known in (("needs", NEEDS), ("phases", PHASES)):
            stated = getattr(self.loaded, attribute)
            expect(
                set(stated) <= set(known) and not isinstance(stated, str) and stated,
                f"{attribute} is {stated!r}",
                f"make it a frozenset of some of {', '.join(known)}",
            )
        expect(
            not {"task", "translated_task"} & set(self.loaded.needs)
            or set(self.loaded.phases) == {"during"},
            f"{self.name} needs a task's examples, and phases is {sorted(self.loaded.phases)}",
            'there is no task before fine-tuning: phases = frozenset({"during"})',
        )
        given = {
            term
            for config in self.configurations().values()
            for term in self._ready(config).values(some_pairs())
        }
        expect(
            set(self.loaded.coupled) <= given,
            f"coupled names {sorted(set(self.loaded.coupled) - given)}, but the terms are "
            f"{sorted(given)}",
            "write the names as terms() does",
        )

    def test_terms(self) -> None:
        """Every term is a finite scalar, with a count above zero."""
        for variant, config in self.configurations().items():
            for level in self._levels():
                terms = self._ready(config).terms(some_pairs(), Layout(level=level))
                for name, term in terms.items():
                    _check_term(f"the term {name!r} (configuration {variant!r})", term)

    def test_gradient(self) -> None:
        """The gradient is finite and reaches the encoder and each weight of the objective."""
        for variant, config in self.configurations().items():
            ready = self._ready(config)
            torch.autograd.backward(whole_loss(ready.terms(some_pairs())))
            _check_gradients(ready, f"configuration {variant!r}")

    def test_padding(self) -> None:
        """More padding changes nothing."""
        for variant, config in self.configurations().items():
            ready = self._ready(config, training=False)
            plain, padded = (ready.values(some_pairs(), Layout(padding=extra)) for extra in (0, 5))
            for name in plain:
                expect(
                    is_close(plain[name], padded[name]),
                    f"{name} is {plain[name]:.6g}, and {padded[name]:.6g} with five columns of "
                    f"padding more (configuration {variant!r})",
                    "use content_mask (or attention_mask) wherever you add up or draw over "
                    "positions; pooled() does so already",
                )

    def test_order(self) -> None:
        """The order of the pairs changes nothing, beyond what is drawn by chance."""
        for variant, config in self.configurations().items():
            ready = self._ready(config, training=False)
            plain = drawn(ready, shuffled=False)
            other = drawn(ready, shuffled=True)
            for name, values in plain.items():
                away = abs(fmean(values) - fmean(other[name]))
                by_chance = max(stdev(values), stdev(other[name]) if varies(values) else 0.0)
                expect(
                    away <= CLEAR * by_chance + TOLERANCE * (1 + abs(fmean(values))),
                    f"{name} is {fmean(values):.6g}, and {fmean(other[name]):.6g} with the same pairs "
                    f"in another order (configuration {variant!r})",
                    "treat all rows alike; row i of source belongs to row i of target, and to no "
                    "other place",
                )

    def test_seed(self) -> None:
        """Two trainings with the same seed are the same, bit for bit."""
        for variant, config in self.configurations().items():
            first, second = (self._training(config) for _ in range(2))
            for training in (first, second):
                training.prepare()
                training.run(0, 3)
            _check_same(
                first.state(),
                second.state(),
                f"two trainings with the same seed (configuration {variant!r})",
                "draw from batch.generator, or from torch, and from nothing else (random, numpy, a "
                "set's order)",
            )

    def test_resume(self) -> None:
        """A training that is saved and continued equals one that was left alone, bit for bit."""
        for variant, config in self.configurations().items():
            undisturbed, first, second = (self._training(config) for _ in range(3))
            undisturbed.prepare()
            undisturbed.run(0, 4)
            interrupted(first, second, at=2, end=4)
            _check_same(
                undisturbed.state(),
                second.state(),
                f"a training and its continuation from a saved state (configuration {variant!r})",
                "keep what lasts from step to step in buffers (register_buffer) or parameters, with "
                "the same shapes from setup() on: attributes are not saved, and prepare() is not "
                "called again",
            )

    def test_mixed_precision(self) -> None:
        """Values and gradients are finite with bfloat16 too."""
        for variant, config in self.configurations().items():
            ready = self._ready(config)
            with autocast("bf16", "cpu"):
                terms = ready.terms(some_pairs())
                loss = whole_loss(terms)
            for name, term in terms.items():
                _check_term(f"under bfloat16 the term {name!r} (configuration {variant!r})", term)
            torch.autograd.backward(loss)
            _check_gradients(ready, f"configuration {variant!r}, bfloat16")

    def test_chunks(self) -> None:
        """A batch that is processed in chunks has the value and the gradient of the whole."""
        if "before" not in self.loaded.phases:
            skip("batches are whole during fine-tuning")
        for variant, config in self.configurations().items():
            of = f"(configuration {variant!r})"
            whole, replayed = (self._chunked(config, kind) for kind in (Undivided, ReplayedBatch))
            largest = max(float(g.abs().max()) for g in whole[1].values() if g is not None)
            for name, gradient in whole[1].items():
                other = replayed[1][name]
                same = (gradient is None) == (other is None)
                if gradient is not None and other is not None:
                    same = float((gradient - other).abs().max()) <= GRADIENT_TOLERANCE * largest
                expect(
                    same,
                    f"the gradient of {name} is another when the batch is processed in chunks {of}",
                    "take everything from the batch that terms() was given, and return new tensors",
                )
            ready = self._ready(config, training=False)
            for name, values in drawn(ready, shuffled=False).items():
                expect(
                    varies(values) or is_close(values[0], replayed[0][name]),
                    f"{name} is {values[0]:.6g}, and {replayed[0][name]:.6g} when the batch is "
                    f"processed in chunks {of}",
                    "take everything from the batch that terms() was given, and let Term's sum and "
                    "count be those of the whole batch",
                )

    def test_true_pairs(self) -> None:
        """After some training, right pairs have a lower loss than wrong ones."""
        if not {"pairs", "links", "translated_task"} & set(self.loaded.needs):
            skip("it reads no parallel text")
        if not self.loaded.learns_pairs:
            skip("it says that it does not learn from pairs (learns_pairs = False)")
        batches = [clone_pairs(16, seed, shortest=5, longest=5) for seed in range(64)]
        training = Training(self.loaded, self.loaded.Config(), batches, 0.0, LEARNING_RATE)
        training.prepare()
        done = 0
        for steps in ROUNDS:
            training.run(done, steps)
            done = steps
            found = pairing(training)
            if found.loss_is_lower:
                break
        expect(
            found.loss_is_lower,
            f"after {done} steps the loss of right pairs is {fmean(found.right):.4g}, that of wrong "
            f"pairs {fmean(found.wrong):.4g}",
            "check which rows are compared; if pairs are not to matter, write learns_pairs = False "
            "into the class and say why",
        )
        expect(
            not found.pushed_apart,
            f"after {done} steps translations are less alike than other sentences (cosine "
            f"{fmean(found.likeness):+.2g})",
            "check the sign of the loss: it is made smaller",
        )

    def _levels(self) -> tuple[str, ...]:
        return ("sentence", "token") if "task" in self.loaded.needs else ("sentence",)

    def _ready(self, config: Any, training: bool = True) -> Ready:
        encoder = toy_encoder()
        objective = set_up(self.loaded, config, encoder)
        if {"pairs", "links"} & set(self.loaded.needs):
            prepare(objective, encoder, some_batches())
        return Ready(encoder.train(training), objective.train(training))

    def _training(self, config: Any) -> Training:
        return Training(self.loaded, config, some_batches(), dropout=0.1)

    def _chunked(
        self, config: Any, kind: type[ReplayedBatch]
    ) -> tuple[dict[str, float], dict[str, Tensor | None]]:
        """(the terms' values, the gradients) of a batch in three chunks."""
        ready = self._ready(config, training=False)
        batch = chunked(ready.encoder, some_pairs(), self.loaded.needs, 3, kind)
        seed_dropout(7, "toy")
        terms = ready.objective.terms(batch)
        torch.autograd.backward(whole_loss(terms))
        if kind is ReplayedBatch:
            batch.replay()
        values = {name: float(term.mean.detach()) for name, term in terms.items()}
        return values, ready.gradients()


def _check_term(what: str, term: Term) -> None:
    advice = "return Term(sum, count): the sum over items as a tensor, and how many items there are"
    is_scalar = isinstance(term.sum, Tensor) and term.sum.dim() == 0
    shape = list(getattr(term.sum, "shape", ())) or type(term.sum).__name__
    expect(
        is_scalar and term.sum.is_floating_point(),
        f"the sum of {what} is no scalar of a floating type but {shape}",
        advice,
    )
    expect(
        torch.isfinite(term.sum),
        f"the sum of {what} is {term.sum.item()}",
        "look for a division by zero, the log or root of zero, or an exp that overflows",
    )
    count = float(torch.as_tensor(term.count))
    expect(0 < count < float("inf"), f"the count of {what} is {count}", advice)


def _check_gradients(ready: Ready, of: str) -> None:
    found = ready.gradients()
    for name, gradient in found.items():
        expect(
            gradient is None or torch.isfinite(gradient).all(),
            f"the gradient of {name} is not finite ({of})",
            "look for the root or norm of zero, or for a division by zero",
        )
    reaches = any(
        gradient is not None and gradient.any()
        for name, gradient in found.items()
        if name.startswith("encoder.")
    )
    expect(
        reaches,
        f"no gradient reaches the encoder ({of})",
        "compute the loss from what the batch gives, without detach(), no_grad() or item()",
    )
    idle = [n for n, g in found.items() if g is None and n.startswith("objective.")]
    expect(
        not idle,
        f"no gradient reaches {', '.join(idle)} ({of})",
        "use it in terms(), create it only where the configuration does, or make it a buffer",
    )


def _check_same(one: dict[str, Tensor], other: dict[str, Tensor], what: str, advice: str) -> None:
    differing = [
        name
        for name in sorted(one.keys() | other.keys())
        if name not in one or name not in other or not torch.equal(one[name], other[name])
    ]
    expect(
        not differing,
        f"{what} end with different weights: {', '.join(differing[:3])}"
        + (f" and {len(differing) - 3} more" if len(differing) > 3 else ""),
        advice,
    )
