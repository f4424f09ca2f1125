"""Rebuilds the suite's tokenizer and encoder.

Usage: ``python -m xbench_plugins.clones.build_encoder --out DIR``
"""

import sys
from pathlib import Path

import click
import torch
import transformers

from xbench_plugins.clones.pretrain import Pretraining, Report, pretrain
from xbench_plugins.clones.tokenizer import train_tokenizer


def build(out: Path, settings: Pretraining, report: Report) -> None:
    """Writes a folder that transformers loads: tokenizer, and encoder with its MLM head in float16.

    The folder is created; files of the same names in it are replaced.
    """
    report("training the tokenizer")
    tokenizer = train_tokenizer()
    model = pretrain(tokenizer, settings, report)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(out)
    model.to(torch.float16).save_pretrained(out)
    for file in sorted(out.iterdir()):
        file.chmod(0o644)
        report(f"wrote {file} ({file.stat().st_size / 1000:.0f} kB)")


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--steps", type=click.IntRange(min=1), default=Pretraining.steps, show_default=True)
@click.option(
    "--sentences",
    type=click.IntRange(min=1),
    default=Pretraining.sentences,
    show_default=True,
    help="of each language",
)
@click.option("--seed", type=int, default=Pretraining.seed, show_default=True)
def main(out: Path, steps: int, sentences: int, seed: int) -> None:
    """Train the tokenizer and the encoder of the suite `mini` and write them to a folder."""
    torch.set_num_threads(1)
    transformers.logging.disable_progress_bar()
    build(out, Pretraining(steps=steps, sentences=sentences, seed=seed), _to_stderr)


def _to_stderr(line: str) -> None:
    click.echo(line, file=sys.stderr)


if __name__ == "__main__":
    main()
