"""Maps of states, one for each language: ``x -> x A_L + b_L``. D dimensions."""

from collections.abc import Mapping

import torch
from torch import Tensor

from xbench.api.transform import Transform


class Affine(Transform):
    """Applies what ``fit`` of a subclass has put into ``fitted``.

    It holds ``offset.L`` [D] for each language L, and where it is not the identity ``scale.L`` [D]
    or ``rotation.L`` [D, D]: states are scaled or rotated, then moved.
    """

    def forward(self, states: Tensor, language: str) -> Tensor:
        """[..., D] -> [..., D] of the same type, computed in float32 at least."""
        offset_D = fitted_for(self.fitted, "offset", language)
        with torch.autocast(states.device.type, enabled=False):
            result = at_least_float32(states)
            for name in ("scale", "rotation"):
                part = self.fitted.get(f"{name}.{language}")
                if part is not None:
                    part = part.to(result)
                    result = result * part if part.dim() == 1 else result @ part
            return (result + offset_D.to(result)).to(states.dtype)


def at_least_float32(states: Tensor) -> Tensor:
    """The states; half precision is raised."""
    return states.float() if states.dtype.itemsize < 4 else states


def fitted_for(fitted: Mapping[str, Tensor], name: str, language: str) -> Tensor:
    """What was fitted for a language. Raises ``KeyError`` where nothing was."""
    if f"{name}.{language}" not in fitted:
        known = sorted(key.partition(".")[2] for key in fitted if key.startswith(f"{name}."))
        raise KeyError(
            f"the transform was not fitted on {language}; it was fitted on "
            f"{', '.join(known) or 'nothing'}"
        )
    return fitted[f"{name}.{language}"]
