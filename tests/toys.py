"""A small world to train in: made-up languages, a random encoder, toy plugins, a suite of its own."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tokenizers
import torch
import torch.nn.functional as F
from pydantic.dataclasses import dataclass as checked
from tokenizers import models, pre_tokenizers, processors, trainers
from torch import Tensor, nn

from xbench.api import (
    FitView,
    LabelledPair,
    LabelledText,
    Language,
    Merge,
    MissingData,
    Objective,
    ParallelText,
    Source,
    TaggedSentence,
    Task,
    Term,
    Transform,
)
from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.discovery import Plugin, PluginTable
from xbench.catalogue.registry import Registry
from xbench.engine.job import JobRunner, function_of
from xbench.engine.todo import find_work, stacked
from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.encoder_config import EncoderConfig
from xbench.plan import Plan, Stage, build_plan
from xbench.spec.request import RunSpec
from xbench.spec.resolve import resolve
from xbench.stages import finetune
from xbench.stages.resources import Progress, Resources
from xbench.store import Store

from .command import in_order

TAGS = ("NAME", "VERB", "THING")
TOPICS = ("food", "sport")
SYLLABLES = {"aaa": "ba be bi bo bu da de di do du", "bbb": "ka ke ki ko ku ta te ti to tu"}
ALL_SYLLABLES = {**SYLLABLES, "ccc": " ".join(SYLLABLES.values())}  # ccc is a mixture of both


def words(language: str, count: int, stream: random.Random) -> list[str]:
    """Words of one to four syllables."""
    syllables = ALL_SYLLABLES[language].split()
    return ["".join(stream.choices(syllables, k=stream.randint(1, 4))) for _ in range(count)]


def tag(word: str) -> str:
    """A word's class is decided by its last letter."""
    return TAGS["aeiou".index(word[-1]) % len(TAGS)]


class Made(Source):
    """Options: ``count`` items of ``shortest`` to ``longest`` words."""

    needs_place = False

    def fingerprint(self, languages: Sequence[Language], split: str) -> Mapping[str, Any]:
        return {"codes": [each.code for each in languages], "split": split, **self.options}

    def sentences(self, language: Language, split: str) -> Iterator[list[str]]:
        stream = random.Random(f"{language.code} {split}")
        for _ in range(self.options.get("count", 24)):
            length = stream.randint(self.options.get("shortest", 1), self.options.get("longest", 7))
            yield words(language.code, length, stream)


class Bitext(Made):
    """Pairs of sentences; nothing but their place says that they belong together.

    With ``links`` each word is linked with the one at its place. ``lacking`` maps a language to the
    items that are not there in it; ``missing`` names languages that there is nothing of.
    """

    languages_per_read = 2

    def fingerprint(self, languages: Sequence[Language], split: str) -> Mapping[str, Any]:
        for language in languages:
            if language.code in self.options.get("missing", ()):
                raise MissingData(f"there is no text in {language.code}")
        return super().fingerprint(languages, split)

    def read(self, languages: Sequence[Language], split: str) -> Iterator[ParallelText]:
        first, second = (self.sentences(language, split) for language in languages)
        lacking = self.options.get("lacking", {}).get(languages[1].code, ())
        for index, (source, target) in enumerate(zip(first, second, strict=True)):
            if index not in lacking:
                known = range(min(len(source), len(target)) if self.options.get("links") else 0)
                links = tuple((place, place) for place in known)
                yield ParallelText(" ".join(source), " ".join(target), f"pair-{index}", links)


class Lexicon(Bitext):
    """Translations of words: the first word of each pair of sentences."""

    def read(self, languages: Sequence[Language], split: str) -> Iterator[ParallelText]:
        for pair in super().read(languages, split):
            yield ParallelText(pair.source.split()[0], pair.target.split()[0], pair.id)


class Tagged(Made):
    """Sentences whose words are tagged by their last letter."""

    def read(self, languages: Sequence[Language], split: str) -> Iterator[TaggedSentence]:
        for index, sentence in enumerate(self.sentences(languages[0], split)):
            tags = tuple(map(tag, sentence))
            yield TaggedSentence(tuple(sentence), tags, id=f"{split}-{index}-é")


class Topical(Made):
    """Texts whose topic is decided by the last letter of the first word."""

    def read(self, languages: Sequence[Language], split: str) -> Iterator[LabelledText]:
        for index, sentence in enumerate(self.sentences(languages[0], split)):
            topic = TOPICS["aeiou".index(sentence[0][-1]) % len(TOPICS)]
            yield LabelledText(" ".join(sentence), topic, id=f"{split}-{index}")


class Paired(Made):
    """Two texts; the label says whether their first words have the same tag."""

    def read(self, languages: Sequence[Language], split: str) -> Iterator[LabelledPair]:
        sentences = list(self.sentences(languages[0], split))
        for index, (one, two) in enumerate(zip(sentences, sentences[::-1], strict=True)):
            label = "same" if tag(one[0]) == tag(two[0]) else "different"
            yield LabelledPair(" ".join(one), " ".join(two), label, id=f"{split}-{index}")


class Tagging(Task):
    level = "token"
    labels = TAGS


class TopicTask(Task):
    level = "sentence"
    labels = TOPICS


class PairTask(Task):
    level = "pair"
    labels = ("same", "different")


class Finding(Task):
    level = "retrieval"
    metrics = ("retrieval_accuracy", "retrieval_forward", "retrieval_backward")


class Everything(Objective):
    """A contrast between pairs, masked LM, states of the joint text, and the word embeddings."""

    coupled = frozenset({"contrast"})

    @checked(frozen=True)
    class Config:
        """``only`` names the one term that is wanted."""

        only: str = ""

    variants = {"all": Config(), "contrast": Config(only="contrast")}

    def setup(self, encoder: nn.Module) -> None:
        assert isinstance(encoder, Encoder)
        self.projection = nn.Linear(encoder.config.hidden_size, 5, bias=False)

    def terms(self, batch: Any) -> dict[str, Term]:
        parts = {
            "contrast": self.contrast,
            "mlm": self.masked,
            "joint": self.joint,
            "embedding": self.embedding,
        }
        wanted = [self.config.only] if self.config.only else parts
        return {name: parts[name](batch) for name in wanted}

    def contrast(self, batch: Any) -> Term:
        u, v = self.projection(batch.source.pooled(0.5)), self.projection(batch.target.pooled(1.0))
        logits = F.normalize(u, dim=-1) @ F.normalize(v, dim=-1).T / 0.2
        truth = torch.arange(len(u), device=u.device)
        return Term(F.cross_entropy(logits, truth, reduction="sum"), len(u))

    def masked(self, batch: Any) -> Term:
        view = batch.source.masked
        return Term(F.cross_entropy(view.logits(), view.labels, reduction="sum"), len(view.labels))

    def joint(self, batch: Any) -> Term:
        states, mask = batch.joint.states(0.5), batch.joint.content_mask
        return Term((states.square().sum(-1) * mask).sum(), mask.sum())

    def embedding(self, batch: Any) -> Term:
        vectors = batch.embeddings(batch.target.ids)
        similar = F.cosine_similarity(vectors, batch.target.pooled(1.0, "cls")[:, None], dim=-1)
        return Term(-(similar * batch.target.content_mask).sum(), batch.target.content_mask.sum())


class Remembering(Everything):
    """Pulls towards a running mean, which is a buffer, and which it updates after each step.

    It draws from torch itself, before and after it asks for states.
    """

    centre: Tensor

    def setup(self, encoder: nn.Module) -> None:
        super().setup(encoder)
        self.register_buffer("centre", torch.zeros(encoder.config.hidden_size))  # type: ignore
        self.noise = nn.Dropout(0.3)

    def terms(self, batch: Any) -> dict[str, Term]:
        weight = torch.rand(())
        pooled = self.noise(batch.source.pooled(1.0)) * weight
        self.latest = pooled.detach().mean(0)
        away = (pooled - self.centre).square().sum()
        return {**super().terms(batch), "centre": Term(away, len(pooled))}

    def after_step(self, encoder: nn.Module, step: int) -> None:
        self.centre.mul_(0.9).add_(self.latest, alpha=0.1)


class Diverging(Objective):
    """Finite until the fourth step, which is step 3."""

    def setup(self, encoder: nn.Module) -> None:
        self.steps = 0

    def terms(self, batch: Any) -> dict[str, Term]:
        self.steps += 1
        scale = torch.tensor(1.0 if self.steps <= 3 else torch.nan)
        return {
            "harmless": Term(batch.source.pooled().sum(), 1),
            "bad": Term(batch.target.pooled().sum() * scale, 1),
        }


class Linked(Objective):
    """Pulls linked words together."""

    needs = frozenset({"pairs", "links"})

    def terms(self, batch: Any) -> dict[str, Term]:
        row, first, second = batch.links.unbind(1)
        away = batch.source.words()[row, first] - batch.target.words()[row, second]
        return {"links": Term(away.square().sum(), len(row))}


class Smooth(Objective):
    """Scores of the task must not change much under noise; it has a buffer and a weight."""

    needs = frozenset({"task"})
    phases = frozenset({"during"})
    seen: Tensor

    def setup(self, encoder: nn.Module) -> None:
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("seen", torch.zeros(()))

    def terms(self, batch: Any) -> dict[str, Term]:
        task = batch.task
        away = task.logits(task.view) - task.logits(task.view.perturbed(noise))
        return {"smooth": Term((self.scale * away).square().sum(), len(away))}

    def after_step(self, encoder: nn.Module, step: int) -> None:
        self.seen += 1


def noise(states: Tensor, stream: torch.Generator) -> Tensor:
    return states + 0.1 * torch.randn(states.shape, generator=stream)


class Translating(Objective):
    """An example and its translation get the same vector."""

    needs = frozenset({"task", "translated_task"})
    phases = frozenset({"during"})

    def terms(self, batch: Any) -> dict[str, Term]:
        away = batch.task.view.pooled() - batch.task.translated.pooled()
        return {"translated": Term(away.square().sum(), len(away))}


class Centre(Transform):
    """Moves the mean of each language to that of the source language."""

    @checked(frozen=True)
    class Config:
        """``factor`` scales what is added; one that is not finite spoils it."""

        factor: float = 1.0
        spoilt: bool = False

    def fit(self, view: FitView) -> None:
        means = {code: view.vectors(code).mean(0) for code in view.languages}
        factor = self.config.factor * (torch.nan if self.config.spoilt else 1.0)
        self.fitted = {code: factor * (means[view.source] - means[code]) for code in means}

    def forward(self, states: Tensor, language: str) -> Tensor:
        return states + self.fitted[language].to(states)


class Latest(Merge):
    """The mean of the last few steps."""

    @checked(frozen=True)
    class Config:
        count: int = 3

    def steps(self, steps: int) -> Sequence[int]:
        return range(steps - self.config.count + 1, steps + 1)

    def combine(self, snapshots: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        every = list(snapshots)
        return {name: torch.stack([each[name] for each in every]).mean(0) for name in every[0]}


def tokenizer_folder(folder: Path) -> Path:
    """Unigram subwords with XLM-R's formats; ``<mask>`` is the last id."""
    stream = random.Random(0)
    text = [" ".join(words(code, 6, stream)) for code in SYLLABLES for _ in range(200)]
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=60,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(text, trainer)
    tokenizer.add_special_tokens([tokenizers.AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    # A class that takes tokenizer.json as it stands; XLM-R's own would make another pre-tokenizer.
    settings = '{"tokenizer_class": "PreTrainedTokenizerFast"}'
    (folder / "tokenizer_config.json").write_text(settings)
    return folder


def config(vocab_size: int, **changes: Any) -> EncoderConfig:
    """Two layers of width 16."""
    values: dict[str, Any] = {
        "model_type": "xlm-roberta",
        "vocab_size": vocab_size,
        "hidden_size": 16,
        "num_layers": 2,
        "num_heads": 2,
        "intermediate_size": 24,
        "max_positions": 40,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "hidden_dropout": 0.1,
        "attention_dropout": 0.1,
        "activation": "gelu",
        "pad_id": 1,
    }
    return EncoderConfig(**{**values, **changes})


def model_folder(folder: Path, **changes: Any) -> Path:
    """A random encoder with its tokenizer, in the Hugging Face format."""
    tokenizer_folder(folder)
    size = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()
    Encoder.random(config(size, **changes), seed=1).save(folder)
    return folder


BUILT_IN = {
    ("objectives", "hictl"): "objectives.hictl:HiCTL",
    ("metrics", "accuracy"): "metrics.accuracy:Accuracy",
    ("metrics", "retrieval_accuracy"): "metrics.retrieval:RetrievalAccuracy",
    ("metrics", "retrieval_forward"): "metrics.retrieval:RetrievalForward",
    ("metrics", "retrieval_backward"): "metrics.retrieval:RetrievalBackward",
    ("aligners", "given"): "aligners.given:Given",
    ("aligners", "argmax"): "aligners.argmax:Argmax",
    ("aligners", "dictionary"): "aligners.dictionary:Dictionary",
}


class ToyDiscovery:
    """Plugins of this file, and a few of the built-in ones."""

    def __init__(self) -> None:
        mine = {
            "objectives": {
                "everything": Everything,
                "remembering": Remembering,
                "diverging": Diverging,
                "linked": Linked,
                "smooth": Smooth,
                "translating": Translating,
                "centre": Centre,
                "latest": Latest,
            },
            "tasks": {
                "tags": Tagging,
                "topics": TopicTask,
                "pairs": PairTask,
                "finding": Finding,
            },
            "sources": {
                "bitext": Bitext,
                "tagged": Tagged,
                "topical": Topical,
                "paired": Paired,
                "lexicon": Lexicon,
            },
        }
        plugins = [
            Plugin(kind, name, f"{__name__}:{plugin.__name__}", "toys", "1")
            for kind, named in mine.items()
            for name, plugin in named.items()
        ]
        plugins += [
            Plugin(kind, name, f"xbench_plugins.{target}", "xbench", "1")
            for (kind, name), target in BUILT_IN.items()
        ]
        self.table = PluginTable(plugins)


def registry(
    corpus: Mapping[str, Any],
    data: Mapping[str, Any],
    text: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Registry:
    """One suite, ``toy``; ``corpus``, ``data`` and ``text`` are the options of its sources.

    ``changes`` are further fields of the suite; ``compositions`` are the registry's.
    """
    suite = {
        "model": "unused",
        "source_language": "aaa",
        "languages": ["aaa", "bbb"],
        "pairs": ["aaa-bbb"],
        "corpus": {"source": "bitext", "options": dict(corpus)},
        "tasks": {
            "tags": {"source": "tagged", "options": dict(data)},
            "topics": {"source": "topical", "options": dict(data)},
            "pairs": {"source": "paired", "options": dict(data)},
            "finding": {"source": "bitext", "options": dict(data)},
        },
        "text": {"source": "bitext", "options": dict(text or {})},
        "dictionary": {"source": "lexicon"},
        "arms": ["aligned"],
        "modes": ["full"],
        "seeds": [15],
        "align_seeds": [42],
        "align": {
            "steps": 12,
            "batch_size": 6,
            "learning_rate": 1e-3,
            "max_length": 40,
            "aligner": "given",
        },
        "finetune": {
            "steps": 12,
            "batch_size": 4,
            "encoder_learning_rate": 1e-3,
            "head_learning_rate": 1e-2,
            "max_length": 40,
        },
        "evaluate": {},
    }
    own = dict(changes or {})
    compositions = own.pop("compositions", {})
    languages = {code: {"name": code, "script": "Latn"} for code in ALL_SYLLABLES}
    return Registry.model_validate(
        {
            "version": 1,
            "models": {},
            "controls": {},
            "aliases": {},
            "compositions": compositions,
            "suites": {"toy": {**suite, **own}},
            "languages": languages,
        }
    )


@dataclass
class World:
    """A store, a model and toy data; stages are planned as a run plans them."""

    model: Path
    store: Store
    corpus: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    text: dict[str, Any] = field(default_factory=dict)
    suite: dict[str, Any] = field(default_factory=dict)
    state_interval: float = 60.0

    @property
    def catalogue(self) -> Catalogue:
        made = registry(self.corpus, self.data, self.text, self.suite)
        return Catalogue(made, ToyDiscovery())  # type: ignore[arg-type]

    def plan(self, **spec: Any) -> Plan:
        """The plan of a run; ``spec`` are fields of a run's spec."""
        defaults = {"objective": ("everything:all",), "task": ("tags",), "language": ("bbb",)}
        asked = RunSpec(suite="toy", model=str(self.model), device="cpu", **{**defaults, **spec})
        return build_plan(resolve(asked, self.catalogue), self.catalogue)

    def stage(self, kind: str, **spec: Any) -> Stage:
        """The only stage of its kind in the plan."""
        plan = self.plan(**spec)
        (key,) = plan.of_kind(kind)
        return plan.stages[key]

    def resources(self, progress: Progress = lambda step, steps, values: None) -> Resources:
        """Resources of its own, as a new process would have."""
        return Resources(self.store, self.catalogue, progress, self.state_interval)

    def run(
        self, stage: Stage, resources: Resources | None = None, parent: Stage | None = None
    ) -> Path:
        """Compute a stage into the store; returns its folder.

        ``parent`` is the fine-tuning of an evaluation or of a transform's fit, where there is one.
        """
        resources = resources or self.resources()
        if parent is not None:
            model = finetune.load(parent, resources)
            resources.model = lambda key: model
        with self.store.write(stage.kind, stage.key, stage.spec) as entry:
            function_of(stage)(stage, resources, entry)
        return self.store.folder(stage.kind, stage.key)

    def finish(self, plan: Plan, keep: bool = False, stack: int = 0) -> list[str]:
        """Compute all that the store lacks of a plan, as workers do; what happened to each stage.

        ``keep`` keeps the weights of full fine-tunings, ``stack`` of which are one program.
        """
        heard: list[str] = []
        lost: set[str] = set()

        def hear(event: str, stage: Stage, details: Mapping[str, Any]) -> None:
            if event != "started":
                heard.append(f"{stage.kind} {event} {details.get('error', '')}".strip())
            if event in ("failed", "blocked"):
                lost.add(stage.key)

        work = find_work(plan, self.store)
        for job in in_order(stacked(work, plan, stack, workers=1)):
            left = []
            for key in job.stages:
                if lost.isdisjoint(plan.stages[key].parents):
                    left.append(key)
                else:
                    hear("blocked", plan.stages[key], {})
            JobRunner(plan.stages, self.resources(), hear, keep, stack).run(left)
        return heard
