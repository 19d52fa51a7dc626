# SPDX-License-Identifier: Apache-2.0
# what: y[M] = a[M, K] @ x[K]
# why: the tail of K is summed like the rest: a lane that is past it adds nothing
import mlx.core as mx

SOURCE = '''
    uint row = thread_position_in_grid.y, lane = thread_position_in_grid.x;
    uint K = a_shape[1];
    float sum = 0.0f;
    for (uint k = lane; k < K; k += 32) sum += float(a[row * K + k]) * float(x[k]);
    sum = simd_sum(sum);
    if (lane == 0) y[row] = static_cast<T>(sum);
'''
matvec = mx.fast.metal_kernel(
    name="matvec", input_names=["a", "x"], output_names=["y"], source=SOURCE
)


def kernel(a, x):
    if a.size == 0:
        return mx.zeros((a.shape[0],), a.dtype)
    return matvec(
        inputs=[a, x], template=[("T", a.dtype)], output_shapes=[(a.shape[0],)],
        output_dtypes=[a.dtype], grid=(32, a.shape[0], 1), threadgroup=(32, 1, 1),
    )[0]
