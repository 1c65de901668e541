"""An LSTM's forward and backward written by hand in NumPy, as fast as its author could make it.

What it does that the equations don't say:

* arrays have features first, (F, N) for one step, so that each gate is contiguous;
* h, x and a row of ones stand below one another: one product makes all gates, biases included;
* σ(a) = (1 + tanh(a/2)) / 2, the half taken into the weights: one tanh for all gates;
* the gates are in the order o, i, f, g and the old c stands below g: i·g and f·c are one product;
* backward, all that doesn't depend on cotangents is computed for as many steps at once as the cache
  holds; what is left of a step is two products with factors, two sums and one product with W_hh;
* the gradients of the weights are one product over all steps;
* every array and view is made once for a shape, and written into with ``out=``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

CACHE = 2**18  # bytes that a block of steps may take


class NumpyLSTM:
    """``i, f, g, o = σ, σ, tanh, σ (W_ih x + b_ih + W_hh h + b_hh)``, ``c = f c + i g``,
    ``h = o tanh(c)``, from a zero state.

    Args:
        weight_ih, weight_hh, bias_ih, bias_hh: as PyTorch has them, (4H, I), (4H, H), (4H,), (4H,).
            They are read anew at each call.
    """

    def __init__(
        self,
        weight_ih: np.ndarray,
        weight_hh: np.ndarray,
        bias_ih: np.ndarray,
        bias_hh: np.ndarray,
    ) -> None:
        self.parameters = weight_ih, weight_hh, bias_ih, bias_hh
        self.hidden_size = weight_hh.shape[1]
        self._shape: tuple[int, int] | None = None

    def _allocate(self, T: int, N: int, dtype: Any) -> None:
        H, rows = self.hidden_size, self.hidden_size + self.parameters[0].shape[1] + 1
        self._shape = T, N
        self.z = np.ones((T + 1, rows, N), dtype)  # h, x, 1
        self.a = np.zeros((T + 1, 5, H, N), dtype)  # o, i, f, g, and c of the step before
        self.tanh_c = np.empty((T, H, N), dtype)
        self.W = np.empty((4 * H, rows), dtype)
        pair = np.empty((2, H, N), dtype)
        self.steps = [
            (
                self.z[t],
                self.a[t, :4].reshape(4 * H, N),
                self.a[t, :3],
                (self.a[t, 1:3], self.a[t, 3:5], pair),
                (pair[0], pair[1], self.a[t + 1, 4]),
                self.tanh_c[t],
                self.a[t, 0],
                self.z[t + 1, :H],
            )
            for t in range(T)
        ]
        self.block = max(1, min(T, CACHE // (6 * H * N * np.dtype(dtype).itemsize)))
        self.g = np.empty((self.block, 6, H, N), dtype)
        self.back = [
            (g[:2], g[0], g[2:], g[1:5].reshape(4 * H, N), g[5])
            for g in self.g  # rows: dc by way of h; o, i, f, g; the c before
        ]
        self.all_g = np.empty((4, H, T, N), dtype)
        self.all_z = np.empty((rows, T, N), dtype)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """(T, N, I) to (T, N, H)."""
        T, N, _ = x.shape
        H = self.hidden_size
        if self._shape != (T, N):
            self._allocate(T, N, x.dtype)
        weight_ih, weight_hh, bias_ih, bias_hh = self.parameters
        W = self.W
        W[:, :H] = gates_in_order(weight_hh)
        W[:, H:-1] = gates_in_order(weight_ih)
        W[:, -1] = gates_in_order(bias_ih + bias_hh)
        W[: 3 * H] *= 0.5
        self.z[:T, H:-1] = x.transpose(0, 2, 1)
        self.z[0, :H] = 0
        self.a[0, 4] = 0
        for z, gates, sigmoids, products, sums, tanh_c, o, h in self.steps:
            np.matmul(W, z, out=gates)
            np.tanh(gates, out=gates)
            np.multiply(sigmoids, 0.5, out=sigmoids)
            np.add(sigmoids, 0.5, out=sigmoids)
            np.multiply(*products)
            np.add(*sums)
            np.tanh(sums[2], out=tanh_c)
            np.multiply(o, tanh_c, out=h)
        return self.z[1:, :H].transpose(0, 2, 1).copy()

    def backward(self, gy: np.ndarray, of_x: bool = True) -> tuple[np.ndarray | None, ...]:
        """Cotangents of x (None unless `of_x`) and of the parameters, for `gy` (T, N, H).

        It is for the last `forward`. The parameters' are in the order that they were given.
        """
        T, N, H = gy.shape
        weight_ih, weight_hh = self.parameters[:2]
        W_T = np.ascontiguousarray(gates_in_order(weight_hh).T)
        dh, dc, late_h = (np.zeros((H, N), gy.dtype) for _ in range(3))
        late_c = np.zeros((H, N), gy.dtype)
        for start in reversed(range(0, T, self.block)):
            stop = min(start + self.block, T)
            self._factors(start, stop)
            gys = gy[start:stop].transpose(0, 2, 1)
            for k in reversed(range(stop - start)):
                of_h, to_c, of_c, gates, to_late_c = self.back[k]
                np.add(gys[k], late_h, out=dh)
                np.multiply(dh, of_h, out=of_h)
                np.add(to_c, late_c, out=dc)
                np.multiply(dc, of_c, out=of_c)
                np.matmul(W_T, gates, out=late_h)
                late_c = to_late_c
            late_c = late_c.copy()  # the next block takes its memory
            self.all_g[:, :, start:stop] = self.g[: stop - start, 1:5].transpose(1, 2, 0, 3)
        flat = self.all_g.reshape(4 * H, T * N)
        self.all_z[...] = self.z[:T].transpose(1, 0, 2)
        g_W = gates_as_given(flat @ self.all_z.reshape(-1, T * N).T)
        gx = (flat.T @ gates_in_order(weight_ih)).reshape(T, N, -1) if of_x else None
        return gx, g_W[:, H:-1], g_W[:, :H], g_W[:, -1], g_W[:, -1]

    def _factors(self, start: int, stop: int) -> None:
        """By what dh and dc are multiplied: dh for c and o, dc for i, f, g and the c before."""
        a, tanh_c, g = self.a[start:stop], self.tanh_c[start:stop], self.g[: stop - start]
        slopes = g[:, 1:4]
        np.multiply(a[:, :3], a[:, :3], out=slopes)
        np.subtract(a[:, :3], slopes, out=slopes)
        np.multiply(slopes[:, 0], tanh_c, out=slopes[:, 0])
        np.multiply(slopes[:, 1:], a[:, 3:], out=slopes[:, 1:])
        for square, of, factor in ((g[:, 0], tanh_c, a[:, 0]), (g[:, 4], a[:, 3], a[:, 1])):
            np.multiply(of, of, out=square)
            np.subtract(1, square, out=square)
            np.multiply(square, factor, out=square)
        g[:, 5] = a[:, 2]


def gates_in_order(array: np.ndarray) -> np.ndarray:
    """Rows i, f, g, o as o, i, f, g."""
    i, f, g, o = np.split(array, 4)
    return np.concatenate([o, i, f, g])


def gates_as_given(array: np.ndarray) -> np.ndarray:
    """Rows o, i, f, g as i, f, g, o."""
    o, i, f, g = np.split(array, 4)
    return np.concatenate([i, f, g, o])
