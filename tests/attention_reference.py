"""Attention the slow way, for one sentence and one hypothesis: NumPy, every matrix by its name in the paper, no masks.

And beam search as a list of hypotheses in plain Python, and exhaustive search. A sentence is a list of its own words:
nothing here knows of padding, but for y_0. Nothing is imported from the package.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

PAD, EOS, UNK = 0, 1, 2
Array = NDArray[np.float64]
Step = Callable[[int, Any], tuple[list[float], Any]]  # from the word before and a state: log p of each word, a state
Found = tuple[tuple[int, ...], float, bool]  # words, score, whether EOS came


def array(parameter: Tensor) -> Array:
    """Return a tensor as doubles."""
    return np.asarray(parameter.detach().cpu().double().numpy())


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


class PaperUnit:
    """Appendix A.1.1 and A.2.2 of Bahdanau et al.; ``more`` are C_r c, C_z c and C c."""

    def __init__(self, unit: nn.Module) -> None:
        w = {name: array(value) for name, value in unit.named_parameters()}
        self.W_r, self.W_z, self.W = np.split(w["of_input.weight"], 3)
        self.b_r, self.b_z, self.b = np.split(w["of_input.bias"], 3)
        self.U_r, self.U_z = np.split(w["of_state.weight"], 2)
        self.U = w["of_reset.weight"]

    def __call__(self, x: Array, h: Array, more: Any = (0.0, 0.0, 0.0)) -> Array:
        r = sigmoid(self.W_r @ x + self.b_r + self.U_r @ h + more[0])
        z = sigmoid(self.W_z @ x + self.b_z + self.U_z @ h + more[1])
        new = np.tanh(self.W @ x + self.b + self.U @ (r * h) + more[2])
        return np.asarray((1 - z) * h + z * new)


class TorchUnit:
    """The equations in the documentation of ``torch.nn.GRU``; ``more`` is added as if it were input."""

    def __init__(self, unit: nn.Module) -> None:
        w_i, w_h, b_i, b_h = sorted((array(value) for value in unit.parameters()), key=lambda a: -a.ndim)
        self.w = list(zip(*(np.split(a, 3) for a in (w_i, w_h, b_i, b_h)), strict=True))

    def __call__(self, x: Array, h: Array, more: Any = (0.0, 0.0, 0.0)) -> Array:
        (inputs, states) = zip(
            *((w_i @ x + b_i + c, w_h @ h + b_h) for (w_i, w_h, b_i, b_h), c in zip(self.w, more, strict=True)),
            strict=True,
        )
        r, z = sigmoid(inputs[0] + states[0]), sigmoid(inputs[1] + states[1])
        new = np.tanh(inputs[2] + r * states[2])
        return np.asarray((1 - z) * new + z * h)


def unit_of(module: nn.Module) -> PaperUnit | TorchUnit:
    """Return the formula of a unit, or of a recurrent layer."""
    module = getattr(module, "unit", module)
    return PaperUnit(module) if hasattr(module, "of_reset") else TorchUnit(module)


class SlowTranslator:
    """Appendix A for one sentence: `annotate` it, then go on by `step`."""

    def __init__(self, model: Any) -> None:
        self.E_x, self.E_y = array(model.source.weight), array(model.target.weight)
        self.forwards = unit_of(model.encoder.forwards)
        self.backwards = unit_of(model.encoder.backwards) if model.encoder.backwards is not None else None
        self.unit = unit_of(model.unit)
        self.n = len(array(model.start.weight))
        self.W_s = array(model.start.weight)
        self.C_r, self.C_z, self.C = np.split(array(model.of_context.weight), 3)
        self.U_o, self.V_o = array(model.readout_state.weight), array(model.readout_word.weight)
        self.b_o, self.C_o = array(model.readout_word.bias), array(model.readout_context.weight)
        self.W_o, self.b_w = array(model.words.weight), array(model.words.bias)
        if model.attention is not None:
            self.W_a, self.U_a = array(model.attention.of_state.weight), array(model.attention.of_annotation.weight)
            self.v_a = array(model.attention.energy.weight)[0]

    def annotate(self, source: list[int]) -> list[Array]:
        """Return h_1 ... h_T; for a fixed context h_T alone."""
        x, zeros = [self.E_x[word] for word in source], np.zeros(self.n)
        forward, h = [], zeros
        for one in x:
            h = self.forwards(one, h)
            forward.append(h)
        if self.backwards is None:
            return forward[-1:]
        backward: list[Array] = []
        h = zeros
        for one in reversed(x):  # the state after the last word is zero
            h = self.backwards(one, h)
            backward.insert(0, h)
        return [np.concatenate(pair) for pair in zip(forward, backward, strict=True)]

    def start(self, h: list[Array]) -> Array:
        """Return s_0, from the backward state at the first word or from the fixed context."""
        return np.asarray(np.tanh(self.W_s @ h[0][-self.n :]))

    def weigh(self, s: Array, h: list[Array]) -> tuple[Array, list[float]]:
        """Return the context and the weights for s_{i-1}."""
        if self.backwards is None:
            return h[0], [1.0]
        energies = [sum(self.v_a[k] * math.tanh(self.W_a[k] @ s + self.U_a[k] @ one) for k in range(len(self.v_a)))
                    for one in h]  # fmt: skip
        exps = [math.exp(e) for e in energies]
        weights = [e / sum(exps) for e in exps]
        return np.sum([a * one for a, one in zip(weights, h, strict=True)], axis=0), weights

    def step(self, word: int, s: Array, h: list[Array]) -> tuple[Array, Array, list[float]]:
        """Return the logits of y_i, s_i and the weights, from y_{i-1} and s_{i-1}."""
        c, weights = self.weigh(s, h)
        y = self.E_y[word]
        t = self.U_o @ s + self.V_o @ y + self.b_o + self.C_o @ c
        maxout = np.array([max(t[2 * k], t[2 * k + 1]) for k in range(len(t) // 2)])
        return self.W_o @ maxout + self.b_w, self.unit(y, s, (self.C_r @ c, self.C_z @ c, self.C @ c)), weights

    def run(self, source: list[int], target: list[int]) -> tuple[list[Array], list[list[float]]]:
        """Return the logits and weights of each target word."""
        h = self.annotate(source)
        s, word, logits, weights = self.start(h), PAD, [], []
        for following in target:
            one, s, alpha = self.step(word, s, h)
            logits.append(one)
            weights.append(alpha)
            word = following
        return logits, weights

    def stepper(self, source: list[int]) -> tuple[Step, Any]:
        """Return what a search needs: a step with log probabilities, and the first state."""
        h = self.annotate(source)

        def step(word: int, s: Array) -> tuple[list[float], Array]:
            logits, after, _ = self.step(word, s, h)
            top = logits.max()
            return [float(one) for one in logits - top - math.log(np.exp(logits - top).sum())], after

        return step, self.start(h)


def slow_beam(step: Step, start: Any, width: int, longest: int, exclude: tuple[int, ...] = (UNK,)) -> list[Found]:
    """Search with a list of hypotheses: the ``width`` best extensions; each that ends makes the beam narrower."""
    alive: list[tuple[tuple[int, ...], float, Any]] = [((), 0.0, start)]
    ended: list[Found] = []
    for _ in range(longest):
        extended = []
        for words, score, state in alive:
            logp, after = step(words[-1] if words else PAD, state)
            for word, one in enumerate(logp):
                if word != PAD and word not in exclude:
                    extended.append(((*words, word), score + one, after))
        extended.sort(key=lambda e: -e[1])
        alive = []
        for words, score, state in extended[:width]:
            if words[-1] == EOS:
                ended.append((words[:-1], score, True))
                width -= 1
            else:
                alive.append((words, score, state))
        if not alive:
            break
    by_score = [*sorted(ended, key=lambda f: -f[1])]
    return by_score + sorted(((words, score, False) for words, score, _ in alive), key=lambda f: -f[1])


def every(step: Step, start: Any, longest: int, vocabulary: int, exclude: tuple[int, ...] = (UNK,)) -> list[Found]:
    """Return every translation that ends within ``longest`` words, EOS included, and all of that length that do not."""
    found: list[Found] = []

    def extend(words: tuple[int, ...], score: float, state: Any) -> None:
        if len(words) == longest:
            found.append((words, score, False))
            return
        logp, after = step(words[-1] if words else PAD, state)
        for word in range(vocabulary):
            if word == EOS:
                found.append((words, score + logp[word], True))
            elif word != PAD and word not in exclude:
                extend((*words, word), score + logp[word], after)

    extend((), 0.0, start)
    return sorted(found, key=lambda f: (not f[2], -f[1]))
