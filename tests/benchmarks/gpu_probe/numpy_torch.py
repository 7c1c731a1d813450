"""The few functions of PyTorch that the decode loop uses, on NumPy, with PyTorch's shape rules.

It lets the loop run where PyTorch is not installed. A shape that does not fit raises here as there.
"""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np

Number: TypeAlias = Any
long, float32, bfloat16 = np.int64, np.float32, np.float32


class Tensor:
    """An array with PyTorch's method names."""

    def __init__(self, array: Number) -> None:
        self.a = np.asarray(array)

    @property
    def dtype(self) -> Number:
        """Type of the elements."""
        return self.a.dtype

    def __add__(self, other: Number) -> Tensor:
        return Tensor(self.a + raw(other))

    def __mul__(self, other: Number) -> Tensor:
        return Tensor(self.a * raw(other))

    def __truediv__(self, other: Number) -> Tensor:
        return Tensor(self.a / raw(other))

    def __mod__(self, other: Number) -> Tensor:
        return Tensor(self.a % raw(other))

    def __neg__(self) -> Tensor:
        return Tensor(-self.a)

    def __gt__(self, other: Number) -> Tensor:
        return Tensor(self.a > raw(other))

    def __matmul__(self, other: Tensor) -> Tensor:
        return Tensor(self.a @ other.a)

    def __rpow__(self, base: float) -> Tensor:
        return Tensor(base**self.a)

    def mul_(self, factor: float) -> Tensor:
        """In place, keeping the type."""
        self.a = (self.a * factor).astype(self.a.dtype)
        return self

    def add_(self, other: float) -> Tensor:
        """In place."""
        self.a += np.asarray(other, self.a.dtype)
        return self

    def remainder_(self, other: int) -> Tensor:
        """In place."""
        self.a %= other
        return self

    def copy_(self, other: Tensor) -> Tensor:
        """In place; the shapes must agree."""
        assert self.a.shape == other.a.shape, (self.a.shape, other.a.shape)
        self.a[...] = other.a
        return self

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Rows by number; the numbers are one-dimensional."""
        assert index.a.ndim == 1
        return Tensor(np.take(self.a, index.a, axis=dim))

    def index_copy_(self, dim: int, index: Tensor, source: Tensor) -> Tensor:
        """Write slices by number; the source must have one slice per number."""
        expected = list(self.a.shape)
        expected[dim] = len(index.a)
        assert list(source.a.shape) == expected, (source.a.shape, expected)
        place: list[Any] = [slice(None)] * self.a.ndim
        place[dim] = index.a
        self.a[tuple(place)] = source.a
        return self

    def split(self, sizes: tuple[int, ...], dim: int) -> list[Tensor]:
        """Parts of given sizes, which must add up."""
        assert sum(sizes) == self.a.shape[dim]
        return [Tensor(part) for part in np.split(self.a, np.cumsum(sizes)[:-1], axis=dim)]

    def chunk(self, parts: int, dim: int) -> list[Tensor]:
        """Equal parts."""
        return [Tensor(part) for part in np.split(self.a, parts, axis=dim)]

    def view(self, *shape: int) -> Tensor:
        """Another shape of as many elements."""
        return Tensor(self.a.reshape(shape))

    reshape = view

    def unsqueeze(self, dim: int) -> Tensor:
        """A new axis of length one."""
        return Tensor(np.expand_dims(self.a, dim))

    def transpose(self, first: int, second: int) -> Tensor:
        """Two axes exchanged."""
        return Tensor(np.swapaxes(self.a, first, second))

    def masked_fill(self, mask: Tensor, value: float) -> Tensor:
        """The value wherever the mask is true."""
        return Tensor(np.where(mask.a, np.float32(value), self.a))

    def softmax(self, dim: int) -> Tensor:
        """Exponentials that add up to one."""
        power = np.exp(self.a - self.a.max(axis=dim, keepdims=True))
        return Tensor(power / power.sum(axis=dim, keepdims=True))

    def mean(self, dim: int, keepdim: bool = False) -> Tensor:
        """Mean over an axis."""
        return Tensor(self.a.mean(axis=dim, keepdims=keepdim))

    def pow(self, exponent: int) -> Tensor:
        """A power."""
        return Tensor(self.a**exponent)

    def argmax(self, dim: int) -> Tensor:
        """Place of the largest."""
        return Tensor(self.a.argmax(axis=dim))

    def float(self) -> Tensor:
        """As 32-bit floats."""
        return self.to(np.float32)

    def to(self, dtype: Number) -> Tensor:
        """As another type."""
        return Tensor(self.a.astype(dtype))

    def cos(self) -> Tensor:
        """Cosine."""
        return Tensor(np.cos(self.a))

    def sin(self) -> Tensor:
        """Sine."""
        return Tensor(np.sin(self.a))

    def tolist(self) -> list[Any]:
        """As Python numbers."""
        return list(self.a.tolist())


def raw(value: Number) -> Number:
    """The array of a tensor, or the number itself."""
    return value.a if isinstance(value, Tensor) else value


_random = np.random.default_rng(0)
no_grad = contextlib.nullcontext


def manual_seed(seed: int) -> None:
    """Start the random numbers anew."""
    _random.bit_generator.state = np.random.default_rng(seed).bit_generator.state


def randn(*shape: int, device: str, dtype: Number) -> Tensor:
    """Normal random numbers."""
    assert device == "cpu"
    return Tensor(_random.standard_normal(shape).astype(dtype))


def arange(*bounds: int, device: str, dtype: Number = long) -> Tensor:
    """Numbers in a row."""
    assert device == "cpu"
    return Tensor(np.arange(*bounds, dtype=dtype))


def full(shape: tuple[int, ...], value: int, device: str, dtype: Number) -> Tensor:
    """One number everywhere."""
    assert device == "cpu"
    return Tensor(np.full(shape, value, dtype=dtype))


def outer(first: Tensor, second: Tensor) -> Tensor:
    """Every product."""
    return Tensor(np.outer(first.a, second.a))


def cat(parts: tuple[Tensor, ...], dim: int) -> Tensor:
    """Joined along an axis."""
    return Tensor(np.concatenate([part.a for part in parts], axis=dim))


def rsqrt(x: Tensor) -> Tensor:
    """One over the square root."""
    return Tensor(1 / np.sqrt(x.a))


def _silu(x: Tensor) -> Tensor:
    return Tensor(x.a / (1 + np.exp(-x.a)))


nn = SimpleNamespace(functional=SimpleNamespace(silu=_silu))
