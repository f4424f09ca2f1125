"""A device that is none: tensors that say they are on ``cuda``, and compute on the CPU.

As on a real GPU, an operation on tensors of two devices is an error, scalars apart, and so is
reading a tensor's numbers into numpy without :meth:`torch.Tensor.cpu`. Mixes of devices are found
where there is no GPU; kernels, precisions and memory are not.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

PRETENDED = torch.device("cuda", 0)
# A GPU waits and copies for a list, and has storage and addresses of its own.
_ALLOWED = (Tensor.tolist, Tensor.untyped_storage, Tensor.data_ptr)
_COPYING = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
_INDEXING = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default)  # by CPU indices too
_DEVICE = torch.Tensor.device.__get__  # type: ignore[attr-defined]


class DeviceMix(RuntimeError):
    """An operation got tensors of two devices."""


class Pretended(Tensor):
    """Holds a CPU tensor and says that it is on the pretended device."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Pretended":
        made: Pretended = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device="cpu",  # what autograd's engine sees: it knows devices that are there only
            requires_grad=False,
        )
        made.inner = inner
        return made

    def __repr__(self, **options: Any) -> str:
        return f"Pretended({self.inner!r})"

    @classmethod
    def __torch_dispatch__(
        cls,
        function: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(options or {})
        stays = options.get("device", PRETENDED)
        _check(function, (arguments, options))
        if "device" in options:
            options["device"] = torch.device("cpu")
        inner = tree_map_only(Pretended, lambda t: t.inner, (arguments, options))
        with torch.inference_mode(False):  # whose tensors are no views of what was made before it
            results = function(*inner[0], **inner[1])
            return _given_back(function, results, (arguments, options), torch.device(stays))


def _given_back(function: Any, results: Any, given: Any, device: torch.device) -> Any:
    """What the caller gets: what it gave where that was changed in place, else new tensors."""
    if function._schema.is_mutable:
        return _same(results, given)
    if device.type == "cpu":
        return results
    return tree_map_only(Tensor, Pretended, results)


def _same(results: Any, given: Any) -> Any:
    """What an operation changed in place is given back as it came."""
    by_inner = {}

    def remember(t: Pretended) -> None:
        by_inner[id(t.inner)] = t

    tree_map_only(Pretended, remember, given)
    return tree_map_only(
        Tensor, lambda t: by_inner[id(t)] if id(t) in by_inner else Pretended(t), results
    )


def _check(function: Any, given: Any) -> None:
    if torch._C._current_autograd_node() is not None:  # formulas of torch's own make CPU tensors
        return
    devices = set()

    def note(t: Tensor) -> None:
        if t.dim() > 0 or isinstance(t, Pretended):
            devices.add(isinstance(t, Pretended))

    if function in _INDEXING and isinstance(given[0][0], Pretended):
        return
    if function not in _COPYING:
        tree_map_only(Tensor, note, given)
    if len(devices) > 1:
        raise DeviceMix(f"{function}: some tensors are on the CPU and some on {PRETENDED}")


class _Pretending(TorchFunctionMode):
    """What Python code says to and asks of tensors about devices."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        arguments: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(options or {})
        first = arguments[0] if arguments else None
        if function is Tensor.to and _has_tensor(arguments):
            like = arguments[1]
            arguments = (first, PRETENDED if isinstance(like, Pretended) else "cpu", like.dtype)
        if isinstance(first, Pretended):
            if function == _DEVICE:
                return PRETENDED
            if function in _ALLOWED:
                return function(first.inner)
            goes = [one for one in (*arguments[1:], *options.values()) if _names_a_device(one)]
            if function is Tensor.cpu or (function is Tensor.to and goes and not _is_there(goes)):
                return _Back.apply(first)
        asked = _is_there([*arguments[1:], *options.values()])
        rest = [torch.device("cpu") if _is_there([one]) else one for one in arguments[1:]]
        named = {n: torch.device("cpu") if _is_there([one]) else one for n, one in options.items()}
        result = function(*arguments[:1], *rest, **named)
        if asked and isinstance(result, Tensor) and not isinstance(result, Pretended):
            return _There.apply(result)
        return result


def _has_tensor(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) > 1 and isinstance(arguments[1], Tensor)


def _names_a_device(one: Any) -> bool:
    return isinstance(one, torch.device) or (isinstance(one, str) and one[:4] in ("cpu", "cuda"))


def _is_there(values: Iterable[Any]) -> bool:
    """Whether one of the values names the pretended device."""
    return any(_names_a_device(one) and str(one).startswith("cuda") for one in values)


class _There(torch.autograd.Function):
    """To the pretended device; the gradient comes back."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return Pretended(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.inner if isinstance(gradient, Pretended) else gradient


class _Back(torch.autograd.Function):
    """To the CPU; the gradient goes there."""

    @staticmethod
    def forward(ctx: Any, tensor: Pretended) -> Tensor:
        return tensor.inner.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return Pretended(gradient)


@contextmanager
def pretending() -> Iterator[None]:
    """In this context ``cuda`` is a device like the CPU, whose tensors mix with no others."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    # A module's parameters are replaced by others: these are of another class.
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with _Pretending():
            yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)
