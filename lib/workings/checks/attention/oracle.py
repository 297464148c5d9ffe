"""The paper's model once more, in NumPy, one sentence and one word at a time, with the wrong turns that it can take."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from workings.attention import Translator

SOURCES, TARGETS = ([3, 5, 4, 7, 1], [6, 4, 1]), ([4, 3, 6, 1], [5, 1])  # EOS is 1


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return the logistic function."""
    value: np.ndarray = 1 / (1 + np.exp(-x))
    return value


def model(context: str = "attention", **options: Any) -> Translator:
    """Return a small model in float64, always the same, with weights large enough to matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        ours = Translator(8, 7, embedding=4, hidden=5, align=6, readout=3, context=context, **options)
        return ours.double().eval()


def padded(sentences: tuple[list[int], ...], device: torch.device) -> Tensor:
    """Return a batch of sentences, the shorter ones padded with zeros."""
    longest = max(map(len, sentences))
    return torch.tensor([s + [0] * (longest - len(s)) for s in sentences], device=device)


class Naive:
    """A model's weights as arrays, and its steps one by one.

    Args:
        model: whose weights are taken.

    """

    def __init__(self, model: Translator) -> None:
        self.w = {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}

    def unit(
        self,
        name: str,
        x: np.ndarray,
        h: np.ndarray,
        context: np.ndarray | None = None,
        after: bool = False,
        keeps: bool = False,
        exchanged: bool = False,
    ) -> np.ndarray:
        """Return f(x, h) of the unit ``name``.

        ``after`` resets after the product, ``keeps`` has the update gate say how much stays, ``exchanged`` swaps gates.
        """
        n = len(h)
        products = self.w[f"{name}.of_input.weight"] @ x + self.w[f"{name}.of_input.bias"]
        if context is not None:
            products = products + self.w["of_context.weight"] @ context
        r, z = (sigmoid(products[k * n : (k + 1) * n] + self.w[f"{name}.of_state.weight"][k * n : (k + 1) * n] @ h)
                for k in ((1, 0) if exchanged else (0, 1)))  # fmt: skip
        u = self.w[f"{name}.of_reset.weight"]
        new = np.tanh(products[2 * n :] + (r * (u @ h) if after else u @ (r * h)))
        if keeps:
            z = 1 - z
        value: np.ndarray = (1 - z) * h + z * new
        return value

    def read(self, name: str, xs: list[np.ndarray], start: float = 0.0, late: bool = False) -> list[np.ndarray]:
        """Return the states along a sequence; ``late`` reads at each step the input before."""
        h = np.full(len(self.w[f"{name}.of_reset.weight"]), start)
        states = []
        for t in range(len(xs)):
            x = (xs[t - 1] if t else np.zeros_like(xs[0])) if late else xs[t]
            h = self.unit(name, x, h)
            states.append(h)
        return states

    def vectors(self, sentence: list[int], side: str = "source") -> list[np.ndarray]:
        """Return the vectors of a sentence's words."""
        return [self.w[f"{side}.weight"][word] for word in sentence]

    def backward(self, xs: list[np.ndarray], printed: bool = False) -> list[np.ndarray]:
        """Return the backward states; as ``printed``, that of the last word is zero."""
        name = "encoder.backwards.unit"
        if printed:
            zero = np.zeros(len(self.w[f"{name}.of_reset.weight"]))
            return [*self._down(name, xs[:-1], zero), zero]
        return self.read(name, xs[::-1])[::-1]

    def _down(self, name: str, xs: list[np.ndarray], h: np.ndarray) -> list[np.ndarray]:
        states = []
        for x in reversed(xs):
            h = self.unit(name, x, h)
            states.append(h)
        return states[::-1]

    def annotations(self, sentence: list[int]) -> np.ndarray:
        """Return h_j, (S, 2n)."""
        xs = self.vectors(sentence)
        both = (self.read("encoder.forwards.unit", xs), self.backward(xs))
        return np.concatenate([np.array(states) for states in both], 1)

    def energies(self, s: np.ndarray, h: np.ndarray, bent: bool = True) -> np.ndarray:
        """Return e_ij for one state and annotations (S, 2n), word by word; not ``bent`` is without the tanh."""
        wa, ua = self.w["attention.of_state.weight"], self.w["attention.of_annotation.weight"]
        sums = [wa @ s + ua @ one for one in h]
        return np.array([self.w["attention.energy.weight"][0] @ (np.tanh(x) if bent else x) for x in sums])

    def decode(
        self, sentence: list[int], target: list[int], current: bool = False, start: bool = True, early: bool = False
    ) -> dict[str, np.ndarray]:
        """Go through a translation; return states s_0 ... s_T, contexts, weights, energies and log p of each word.

        With ``current`` the state just made reads out, ``start`` off begins at zero, ``early`` takes c_{i-1} for c_i.
        """
        h = self.annotations(sentence)
        n = h.shape[1] // 2
        s = np.tanh(self.w["start.weight"] @ h[0, n:]) if start else np.zeros(n)
        states, logp = [s], []
        found: dict[str, list[np.ndarray]] = {"contexts": [], "weights": [], "energies": []}
        last = np.zeros(2 * n)
        for before, word in zip([0, *target[:-1]], target, strict=True):
            y = self.w["target.weight"][before]
            e = self.energies(s, h)
            alpha = np.exp(e) / np.exp(e).sum()
            c = sum(a * one for a, one in zip(alpha, h, strict=True))
            used, last = (last if early else c), c
            after = self.unit("unit", y, s, used)
            logits = self.readout(after if current else s, y, c)
            logp.append(logits[word] - np.log(np.exp(logits).sum()))
            s = after
            states.append(s)
            for name, one in (("contexts", c), ("weights", alpha), ("energies", e)):
                found[name].append(one)
        return {name: np.array(values) for name, values in {**found, "states": states, "logp": logp}.items()}

    def readout(self, s: np.ndarray, y: np.ndarray, c: np.ndarray, how: str = "pairs") -> np.ndarray:
        """Return logits from s_{i-1}, E y_{i-1} and c_i, by the larger of each pair; or its sum, or of both halves."""
        t = self.w["readout_state.weight"] @ s + self.w["readout_context.weight"] @ c
        t = t + self.w["readout_word.weight"] @ y + self.w["readout_word.bias"]
        half = len(t) // 2
        if how == "halves":
            top = np.array([max(t[k], t[half + k]) for k in range(half)])
        else:
            join = sum if how == "sum" else max
            top = np.array([join(t[2 * k : 2 * k + 2]) for k in range(half)])
        logits: np.ndarray = self.w["words.weight"] @ top + self.w["words.bias"]
        return logits


def largest(ours: Tensor | np.ndarray, true: np.ndarray) -> float:
    """Return the largest absolute difference."""
    values = ours.detach().cpu().numpy() if isinstance(ours, Tensor) else ours
    return float(np.abs(values - true).max())
