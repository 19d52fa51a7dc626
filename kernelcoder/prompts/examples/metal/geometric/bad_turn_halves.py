# SPDX-License-Identifier: Apache-2.0
# what: the halves of the last dim turned by an angle
# why: neighbors are paired: another layout, and the same only where dim is 2
import math

import mlx.core as mx

SOURCE = '''
    uint half_of = x_shape[x_ndim - 1] / 2, i = thread_position_in_grid.x;
    uint row = thread_position_in_grid.y * 2 * half_of;
    uint first = row + 2 * i, second = row + 2 * i + 1;
    float a = float(x[first]), b = float(x[second]);
    y[first] = static_cast<T>(a * c - b * s);
    y[second] = static_cast<T>(b * c + a * s);
'''
turn_halves = mx.fast.metal_kernel(
    name="turn_halves", input_names=["x", "c", "s"], output_names=["y"], source=SOURCE
)


def kernel(x, angle):
    c, s = math.cos(angle), math.sin(angle)
    if x.size == 0:
        return mx.zeros(x.shape, x.dtype)
    return turn_halves(
        inputs=[x, c, s], template=[("T", x.dtype)], output_shapes=[x.shape],
        output_dtypes=[x.dtype], grid=(x.shape[-1] // 2, x.size // x.shape[-1], 1), threadgroup=(64, 1, 1),
    )[0]
