# SPDX-License-Identifier: Apache-2.0
# what: y = softmax(q k^T / sqrt(dim)) v, one head
# why: scores are taken relative to the largest so far, so no exponential overflows
import mlx.core as mx

HEADER = '''
template <typename Q, typename K>
float score(Q q, K k, uint dim, uint lane) {
    float dot = 0.0f;
    for (uint d = lane; d < dim; d += 32) dot += float(q[d]) * float(k[d]);
    return simd_sum(dot) * metal::precise::rsqrt(float(dim));
}
'''
SOURCE = '''
    uint i = thread_position_in_grid.y, lane = thread_position_in_grid.x;
    uint keys = k_shape[0], dim = k_shape[1];
    float top = -INFINITY, total = 0.0f;
    for (uint j = 0; j < keys; ++j) {
        float s = score(q + i * dim, k + j * dim, dim, lane), higher = metal::max(top, s);
        total = total * metal::precise::exp(top - higher) + metal::precise::exp(s - higher);
        top = higher;
    }
    for (uint d = lane; d < (dim + 31) / 32 * 32; d += 32) {
        float sum = 0.0f;
        for (uint j = 0; j < keys; ++j) {
            float p = metal::precise::exp(score(q + i * dim, k + j * dim, dim, lane) - top);
            if (d < dim) sum += p * float(v[j * dim + d]);
        }
        if (d < dim) y[i * dim + d] = static_cast<T>(sum / total);
    }
'''
attend = mx.fast.metal_kernel(
    name="attend", input_names=["q", "k", "v"], output_names=["y"], source=SOURCE, header=HEADER
)


def kernel(q, k, v):
    if q.size == 0:
        return mx.zeros(q.shape, q.dtype)
    return attend(
        inputs=[q, k, v], template=[("T", q.dtype)], output_shapes=[q.shape],
        output_dtypes=[q.dtype], grid=(32, q.shape[0], 1), threadgroup=(32, 1, 1),
    )[0]
