# SPDX-License-Identifier: Apache-2.0
"""Metal kernel of the rotary embedding: a thread turns one pair in every batch."""

from __future__ import annotations

from benchmarks.cpp import edits

_SOURCE = """import mlx.core as mx

# Metal has no double: the frequencies are computed here, in Python's, and rounded once.
SOURCE = '''
    uint i = thread_position_in_grid.x, s = thread_position_in_grid.y;
    uint seq = x_shape[1], dim = x_shape[2], half_dim = dim / 2;
    float angle = float(s) * frequency[i];
    float c = metal::precise::cos(angle), t = metal::precise::sin(angle);
    uint i1 = i, i2 = half_dim + i;
    for (uint b = 0; b < uint(x_shape[0]); ++b) {
        auto from = x + (b * seq + s) * dim;
        device T *to = y + (b * seq + s) * dim;
        float first = float(from[i1]), second = float(from[i2]);
        to[i1] = static_cast<T>(first * c - second * t);
        to[i2] = static_cast<T>(second * c + first * t);
    }
'''
run = mx.fast.metal_kernel(
    name="rope",
    input_names=["x", "frequency"],
    output_names=["y"],
    source=SOURCE,
)


def kernel(x, base):
    if x.size == 0:
        return mx.zeros_like(x)
    seq, half = x.shape[-2], x.shape[-1] // 2
    frequency = mx.array([base ** (-i / half) for i in range(half)])
    return run(
        inputs=[x, frequency],
        template=[("T", x.dtype)],
        grid=(half, seq, 1),
        threadgroup=(min(half, 256), 1, 1),
        output_shapes=[x.shape],
        output_dtypes=[x.dtype],
    )[0]
"""
NAMES = frozenset({"rope"})


def solution(name: str) -> str:
    """A right kernel."""
    return _SOURCE


def wrong(name: str) -> dict[str, str]:
    """Mistakes of pairing, of the angle, and of the launch."""
    return edits(
        _SOURCE,
        {
            "interleaved": (("i1 = i, i2 = half_dim + i", "i1 = 2 * i, i2 = 2 * i + 1"),),
            "turns_backwards": (("t = metal", "t = -metal"),),
            "ignores_base": (("base ** (", "10000.0 ** ("),),
            "angle_in_half": (("float angle = float(s) * frequency[i];",
                               "half angle = half(s) * half(frequency[i]);"),),
            "fixed_grid": (("grid=(half, seq, 1)", "grid=(half, 16, 1)"),),
            "first_batch_only": (("b < uint(x_shape[0])", "b < 1"),),
            "in_place": (("(second * c + first * t)", "(second * c + float(to[i1]) * t)"),),
            "ignores_strides": (("source=SOURCE", "source=SOURCE, ensure_row_contiguous=False"),),
        },
    )  # fmt: skip
