"""Energy of a crystal as a function of its volume, in the model of `make_prototypes`."""
from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import erfc

from sklmat.datasets._prototype_elements import GPA, MAX_NUMBER, elements
from sklmat.structures import find_pairs

COULOMB = 14.399645  # eV Å
P = dict(chi=2.9, hard=4.0, sigma=0.6, metal=3.0, ratios={1: 1.6, 2: 1.7, 3: 1.8, 4: 1.9, 6: 2.2, 12: 3.0}, ion=2.0, rep=0.0, quart=4.0, sexp=0.5)
INNER, OUTER = 1.7, 2.6
SHELLS = {12: [(12, 1.0), (6, 2**0.5), (24, 3**0.5), (12, 2.0)], 4: [(4, 1.0), (12, (8 / 3) ** 0.5)]}


class Bonds(NamedTuple):
    length: np.ndarray
    repulsion: np.ndarray
    attraction: np.ndarray
    alpha: np.ndarray
    lam: np.ndarray


def switch(x):
    t = np.clip((x - INNER) / (OUTER - INNER), 0, 1)
    return 1 - t * t * (3 - 2 * t)


@cache
def bonds():
    """Fit each element."""
    e = elements()
    out = np.full((5, MAX_NUMBER + 1), np.nan)
    for z in np.flatnonzero(np.isfinite(e.cohesion)):
        n = int(e.n_bonds[z])
        shells = SHELLS.get(n, [(n, 1.0)])
        count, x = np.array(shells).T
        q = np.sqrt(e.stiffness[z] / P["ratios"][n])
        p = P["ratios"][n] * q
        length = e.length[z]
        alpha, lam = p / length, q / length
        # ln of ratio of dimer length
        d = length
        for _ in range(50):
            def R(s):
                r = length * x * s
                return 0.5 * (count * np.exp(-alpha * (r - d)) * switch(r / d)).sum()
            def Q(s):
                r = length * x * s
                return np.sqrt((count * np.exp(-2 * lam * (r - d)) * switch(r / d)).sum())
            h = 1e-4
            m = np.array([[R(1), -Q(1)], [(R(1 + h) - R(1 - h)), -(Q(1 + h) - Q(1 - h))]])
            a, b = np.linalg.solve(m, [-e.cohesion[z], 0])
            # dimer: minimum of a/2 exp(-alpha(r-d)) - b exp(-lam(r-d)) at r = d
            new = d + np.log(alpha * a / 2 / (lam * b)) / (alpha - lam)
            if abs(new - d) < 1e-10:
                break
            d = 0.5 * (d + new)
        out[:, z] = d, a, b, alpha, lam
    return Bonds(*out)


def madelung(positions, lattice):
    """Interaction of unit charges and their images, shape (N, N), in 1/Å."""
    volume = abs(np.linalg.det(lattice))
    n = len(positions)
    eta = np.sqrt(np.pi) * (n / volume**2) ** (1 / 6)
    accuracy = 3.4
    i, j, _, r = find_pairs(positions, lattice, np.ones(3, bool), accuracy / eta)
    m = np.zeros((n, n))
    np.add.at(m, (i, j), erfc(eta * r) / r)
    recip = 2 * np.pi * np.linalg.inv(lattice).T
    kmax = 2 * accuracy * eta
    size = np.floor(kmax * np.linalg.norm(lattice, axis=1) / 2 / np.pi).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-s, s + 1) for s in size), indexing="ij"), -1).reshape(-1, 3)
    k = grid[len(grid) // 2 + 1 :] @ recip
    k2 = (k**2).sum(1)
    k, k2 = k[k2 <= kmax**2], k2[k2 <= kmax**2]
    w = 8 * np.pi / volume * np.exp(-k2 / 4 / eta**2) / k2
    phase = k @ positions.T
    c, s = np.cos(phase), np.sin(phase)
    m += (c.T * w) @ c + (s.T * w) @ s
    m -= np.pi / volume / eta**2
    m[np.diag_indices(n)] -= 2 * eta / np.sqrt(np.pi)
    return m


class Crystal:
    def __init__(self, numbers, positions, lattice):
        e, b = elements(), bonds()
        self.numbers = numbers
        n = self.n = len(numbers)
        # scale with closest contact at the bond length
        volume = abs(np.linalg.det(lattice))
        radius = 1.6 * (volume / n) ** (1 / 3)
        R = b.length / 2
        i, j, _, r = find_pairs(positions, lattice, np.ones(3, bool), radius)
        while len(r) == 0:
            radius *= 1.5
            i, j, _, r = find_pairs(positions, lattice, np.ones(3, bool), radius)
        self.s0 = 1.1 * ((R[numbers[i]] + R[numbers[j]]) / r).max()
        lattice, positions = lattice * self.s0, positions * self.s0
        self.volume = abs(np.linalg.det(lattice))
        sig = P["sigma"] * 1.3 * (e.radius / 1.3) ** P["sexp"]
        g = np.sqrt(2) * sig[numbers].max()
        rmax = max(OUTER * 2 * R[numbers].max(), 2.9 * np.sqrt(2) * g) / 0.8
        i, j, _, r = find_pairs(positions, lattice, np.ones(3, bool), rmax)
        self.i, self.j, self.r = i, j, r
        a, c = numbers[i], numbers[j]
        self.d = R[a] + R[c]
        self.alpha = (b.alpha[a] + b.alpha[c]) / 2
        self.lam = (b.lam[a] + b.lam[c]) / 2
        self.A = np.sqrt(b.repulsion[a] * b.repulsion[c])
        self.B2 = b.attraction[a] * b.attraction[c]
        self.gamma = np.sqrt(sig[a] ** 2 + sig[c] ** 2)
        self.M = madelung(positions, lattice)
        self.sig = sig[numbers]
        self.v = e.valence[numbers]
        self.chi = P["chi"] * e.electronegativity[numbers]
        self.E0 = e.cohesion[numbers].mean()

    def charges(self, s):
        n = self.n
        r = self.r * s
        A = np.zeros((n + 1, n + 1))
        A[:n, :n] = COULOMB * self.M / s
        idx = self.i * n + self.j
        A[:n, :n] -= COULOMB * np.bincount(idx, erfc(r / (np.sqrt(2) * self.gamma)) / r, n * n).reshape(n, n)
        d = np.arange(n)
        A[d, d] += P["hard"] / self.v + COULOMB / (self.sig * np.sqrt(np.pi))
        A[n, :n] = A[:n, n] = 1
        K = P["quart"]
        q = getattr(self, "q", np.zeros(n))
        for _ in range(50):
            u = q / self.v
            H = A.copy()
            H[d, d] += 3 * K / self.v * u**2
            g = self.chi + A[:n, :n] @ q + K * u**3
            step = np.linalg.solve(H, np.append(-g, 0))[:n]
            q = q + step
            if abs(step).max() < 1e-8:
                break
        self.q = q
        return q, self.chi @ q + 0.5 * q @ A[:n, :n] @ q + K / 4 * (self.v * (q / self.v) ** 4).sum()

    def energy(self, s):
        r = self.r * s
        q, es = self.charges(s)
        cut = switch(r / self.d)
        g = np.exp(-P["rep"] * (q / self.v) ** 2)
        rep = 0.5 * (self.A * np.exp(-self.alpha * (r - self.d)) * cut * g[self.i] * g[self.j]).sum()
        f = np.exp(-P["ion"] * (q / self.v) ** 2)
        w = f[self.i] * f[self.j]
        h = self.B2 * np.exp(-2 * self.lam * (r - self.d)) * cut * w
        att = np.sqrt(np.bincount(self.i, h, self.n)).sum()
        return (es + rep - att) / self.n

    def relax(self):
        x = np.linspace(np.log(0.82), np.log(1.5), 22)
        y = np.array([self.energy(np.exp(t)) for t in x])
        k = y.argmin()
        edge = k in (0, len(x) - 1)
        t = x[k]
        h = 0.01
        for _ in range(8):
            e = [self.energy(np.exp(t + m * h)) for m in (-1, 0, 1)]
            g, c = (e[2] - e[0]) / 2 / h, (e[2] - 2 * e[1] + e[0]) / h**2
            if c <= 0:
                break
            step = np.clip(-g / c, -0.05, 0.05)
            t += step
            if abs(step) < 1e-6:
                break
        s = np.exp(t)
        v = self.volume * s**3 / self.n
        return dict(s=s * self.s0, volume=v, B=c / 9 / v * GPA, E=e[1] + self.E0, q=self.charges(s)[0], edge=edge)
