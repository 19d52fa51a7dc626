# SPDX-License-Identifier: Apache-2.0
# what: y = (a - b)^2, element by element
# why: (decltype(y[i])) is a reference type and a float is no bfloat: it does not compile
import mlx.core as mx

SOURCE = '''
    uint i = thread_position_in_grid.x;
    float d = float(a[i]) - float(b[i]);
    y[i] = (decltype(y[i]))(d * d);
'''
squared_difference = mx.fast.metal_kernel(
    name="squared_difference", input_names=["a", "b"], output_names=["y"], source=SOURCE
)


def kernel(a, b):
    if a.size == 0:
        return mx.zeros(a.shape, a.dtype)
    return squared_difference(
        inputs=[a, b], template=[("T", a.dtype)], output_shapes=[a.shape],
        output_dtypes=[a.dtype], grid=(a.size, 1, 1), threadgroup=(256, 1, 1),
    )[0]
