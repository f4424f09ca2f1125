"""A model folder -> an encoder: our compact module where it knows the architecture, else transformers'."""

from pathlib import Path

from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.encoder_config import EncoderConfig, read_config
from xbench.nn.encoders.transformers_encoder import TransformersEncoder

AnyEncoder = Encoder | TransformersEncoder


def load_encoder(folder: Path) -> AnyEncoder:
    """The encoder of a Hugging Face model folder, in float32, one replica.

    Raises :class:`~xbench.nn.encoders.encoder_config.EncoderFolderError` where that fails.
    """
    config, _ = read_config(Path(folder))
    if isinstance(config, EncoderConfig):
        return Encoder.from_folder(folder)
    return TransformersEncoder.from_folder(folder)
