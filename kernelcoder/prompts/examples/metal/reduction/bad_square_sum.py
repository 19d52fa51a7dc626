# SPDX-License-Identifier: Apache-2.0
# what: y = sum of x^2 over the last dim, kept as 1
# why: without a barrier, threads add what their neighbors have not written yet
import mlx.core as mx

SOURCE = '''
    threadgroup float part[256];
    uint row = threadgroup_position_in_grid.y, me = thread_position_in_threadgroup.x;
    uint n = x_shape[x_ndim - 1];
    float sum = 0.0f;
    for (uint i = me; i < n; i += 256) {
        float v = float(x[row * n + i]);
        sum += v * v;
    }
    part[me] = sum;
    for (uint by = 128; by > 0; by /= 2) {
        if (me < by) part[me] += part[me + by];
    }
    if (me == 0) y[row] = static_cast<T>(part[0]);
'''
square_sum = mx.fast.metal_kernel(
    name="square_sum", input_names=["x"], output_names=["y"], source=SOURCE
)


def kernel(x):
    shape = (*x.shape[:-1], 1)
    if x.size == 0:
        return mx.zeros(shape, x.dtype)
    return square_sum(
        inputs=[x], template=[("T", x.dtype)], output_shapes=[shape],
        output_dtypes=[x.dtype], grid=(256, x.size // x.shape[-1], 1), threadgroup=(256, 1, 1),
    )[0]
