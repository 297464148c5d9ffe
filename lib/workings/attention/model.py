"""Translation by an encoder and a decoder, with a fixed context (RNNencdec) or with attention (RNNsearch)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from workings.attention.cells import UNITS, recurrence, reverse
from workings.attention.words import EOS, PAD
from workings.typed import Count, Floats, Integers, NonNegative, Whole

CONTEXTS = ("attention", "fixed")
INITS = ("default", "paper")


class Memory(NamedTuple):
    """What a decoder knows of B source sentences, padded to S words.

    Attributes:
        annotations: h_j, (B, S, 2n); for a fixed context the context itself, (B, 1, n).
        keys: U_a h_j, (B, S, n'), computed once for all steps; (B, 1, 0) for a fixed context.
        padding: 0 where a word is and -inf where padding is, (B, S).
        start: s_0, (B, n).

    """

    annotations: Tensor
    keys: Tensor
    padding: Tensor
    start: Tensor


class Encoder(nn.Module):
    """A recurrent encoder: both directions for attention, the forward one for a fixed context.

    Args:
        embedding: m, the size of a word's vector.
        hidden: n, the size of a state.
        unit: "paper" or "torch", see `UNITS`.
        both: whether there is a backward direction.

    """

    def __init__(self, embedding: Whole, hidden: Count, unit: str = "paper", both: bool = True) -> None:
        super().__init__()
        self.forwards = recurrence(unit, embedding, hidden)
        self.backwards = recurrence(unit, embedding, hidden) if both else None

    def forward(self, x: Floats, lengths: Integers) -> Tensor:
        """Return the annotations (B, S, 2n) or (B, S, n), and zeros at padding, for vectors (B, S, m).

        The backward direction reads each sentence from its own last word: padding comes after all words, in both
        directions, and so reaches no state of a word.
        """
        states: Tensor = self.forwards(x)[0]
        if self.backwards is not None:
            backward = self.backwards(reverse(x, lengths))[0]
            states = torch.cat((states, reverse(backward, lengths)), -1)
        inside = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        return states * inside[..., None]


class AdditiveAttention(nn.Module):
    r"""Weights :math:`\alpha_{ij}` from energies :math:`e_{ij} = v_a^\top \tanh(W_a s_{i-1} + U_a h_j)`.

    Equations ``attention:energy``, ``attention:weights`` and ``attention:context`` of the chapter.

    Args:
        state: size of s.
        annotation: size of h.
        align: n', the size of the layer between them.

    """

    def __init__(self, state: Whole, annotation: Whole, align: Whole) -> None:
        super().__init__()
        self.of_state = nn.Linear(state, align, bias=False)  # W_a
        self.of_annotation = nn.Linear(annotation, align, bias=False)  # U_a
        self.energy = nn.Linear(align, 1, bias=False)  # v_a

    def forward(self, query: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Return contexts (B, K, 2n) and weights (B, K, S) for products W_a s of K states a sentence, (B, K, n')."""
        # tanh x = 2σ(2x) - 1: a σ takes a third of the time, and softmax ignores the -1, which all words share
        hidden = torch.add(2 * query[:, :, None], memory.keys[:, None], alpha=2).sigmoid_()  # (B, K, S, n')
        energies = hidden @ (2 * self.energy.weight[0]) + memory.padding[:, None]
        weights = torch.softmax(energies, -1)
        return weights @ memory.annotations, weights


class Translator(nn.Module):
    r"""RNNsearch, or RNNencdec with one switch: from a source sentence to probabilities of a target sentence.

    .. math::
        s_i = f(E y_{i-1}, s_{i-1}, c_i), \quad
        \tilde t_i = U_o s_{i-1} + V_o E y_{i-1} + C_o c_i, \quad
        p(y_i) \propto \exp(y_i^\top W_o t_i)

    with t the larger of each pair of :math:`\tilde t` (maxout) and :math:`s_0 = \tanh(W_s \overleftarrow h_1)`; with a
    fixed context c is the last forward state and :math:`s_0 = \tanh(W_s c)`. Bahdanau et al. (2014), appendix A.

    Args:
        source_words: words of the source vocabulary, special ones included.
        target_words: words of the target vocabulary.
        embedding: m; the paper has 620.
        hidden: n; 1000.
        align: n'; 1000.
        readout: l; 500.
        context: "attention" or "fixed".
        unit: "paper", or "torch" for the faster unit of ``torch.nn.GRU``.
        init: "default", torch's own, or "paper": orthogonal recurrent matrices, the alignment's N(0, 0.001²), v_a and
            biases zero, the rest N(0, 0.01²).
        dropout: probability with which parts of word vectors and of the readout are left out in training.

    Raises:
        ValueError: for another context, unit or init, or a size that is not positive.

    >>> model = Translator(10, 12, embedding=4, hidden=6, align=5, readout=3)
    >>> logits, weights = model(torch.tensor([[3, 4, 1], [5, 1, 0]]), torch.tensor([[7, 1], [8, 1]]))
    >>> logits.shape, weights.shape
    (torch.Size([2, 2, 12]), torch.Size([2, 2, 3]))

    """

    def __init__(
        self,
        source_words: int,
        target_words: int,
        *,
        embedding: int = 620,
        hidden: int = 1000,
        align: int = 1000,
        readout: int = 500,
        context: str = "attention",
        unit: str = "paper",
        init: str = "default",
        dropout: NonNegative = 0.0,
    ) -> None:
        super().__init__()
        for name, value, choices in (
            ("context", context, CONTEXTS), ("unit", unit, tuple(UNITS)), ("init", init, INITS),
        ):  # fmt: skip
            if value not in choices:
                raise ValueError(f"{name} is {value!r}; it can be {' or '.join(map(repr, choices))}")
        sizes = {"source_words": source_words, "target_words": target_words, "embedding": embedding}
        for name, size in (sizes | {"hidden": hidden, "align": align, "readout": readout}).items():
            if size < 1:
                raise ValueError(f"{name} must be positive; got {size}")
        both = context == "attention"
        width = 2 * hidden if both else hidden
        self.source = nn.Embedding(source_words, embedding, padding_idx=PAD)
        self.target = nn.Embedding(target_words, embedding, padding_idx=PAD)  # y_0 is PAD: a vector of zeros
        self.encoder = Encoder(embedding, hidden, unit, both)
        self.start = nn.Linear(hidden, hidden, bias=False)  # W_s
        self.attention = AdditiveAttention(hidden, width, align) if both else None
        self.unit = UNITS[unit](embedding, hidden)
        self.of_context = nn.Linear(width, 3 * hidden, bias=False)  # C_r, C_z, C
        self.readout_state = nn.Linear(hidden, 2 * readout, bias=False)  # U_o
        self.readout_word = nn.Linear(embedding, 2 * readout)  # V_o
        self.readout_context = nn.Linear(width, 2 * readout, bias=False)  # C_o
        self.words = nn.Linear(readout, target_words)  # W_o
        self.dropout = nn.Dropout(dropout)
        if init == "paper":
            paper_init(self)

    def encode(self, source: Integers) -> Memory:
        """Read sentences (B, S), padded with PAD after their last word, each of one word at least.

        Raises ``ValueError`` for a sentence of no words, or padding before a word.
        """
        lengths = sentence_lengths(source)
        h = self.encoder(self.dropout(self.source(source)), lengths)
        if self.attention is None:
            context = h[torch.arange(len(h), device=h.device), lengths - 1]  # h at the last word
            none = h.new_zeros(len(h), 1, 0)
            return Memory(context[:, None], none, h.new_zeros(len(h), 1), torch.tanh(self.start(context)))
        first = h[:, 0, h.shape[-1] // 2 :]  # the backward state at the first word
        padding = h.new_zeros(source.shape).masked_fill(source == PAD, -torch.inf)
        return Memory(h, self.attention.of_annotation(h), padding, torch.tanh(self.start(first)))

    def step(self, words: Integers, s: Floats, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """Take one step with K hypotheses for each of B sentences.

        Args:
            words: y_{i-1}, (B, K); PAD before the first.
            s: s_{i-1}, (B, K, n).
            memory: of the B sentences.

        Returns:
            Logits of y_i (B, K, V), s_i (B, K, n), and weights (B, K, S).

        """
        vectors = self.dropout(self.target(words))
        joint = self._joint_weight()
        after, context, weights = self._advance(self.unit.of_input(vectors), s, memory, *joint)
        return self._read(vectors, s, context), after, weights

    def forward(self, source: Integers, target: Integers) -> tuple[Tensor, Tensor]:
        """Return the logits (B, T, V) of each word given those before it, and the weights (B, T, S).

        Args:
            source: (B, S), padded with PAD.
            target: (B, T), padded with PAD; each ends with EOS.

        """
        memory = self.encode(source)
        before = functional.pad(target[:, :-1], (1, 0), value=PAD)
        vectors = self.dropout(self.target(before))
        joint = self._joint_weight()
        s, states, contexts, weights = memory.start[:, None], [], [], []
        for from_word in self.unit.of_input(vectors).split(1, 1):  # only what needs s_{i-1} is in the loop
            states.append(s)
            s, context, weight = self._advance(from_word, s, memory, *joint)
            contexts.append(context)
            weights.append(weight)
        return self._read(vectors, torch.cat(states, 1), torch.cat(contexts, 1)), torch.cat(weights, 1)

    def _joint_weight(self) -> tuple[Tensor, Tensor | None]:
        """Return what multiplies s_{i-1}, in the unit and in the attention, as one matrix, and its bias."""
        of_state = self.unit.of_state
        bias: Tensor | None = getattr(of_state, "bias", None)
        if self.attention is None:
            return of_state.weight, bias
        weight = torch.cat((of_state.weight, self.attention.of_state.weight))
        return weight, None if bias is None else functional.pad(bias, (0, len(weight) - len(bias)))

    def _advance(
        self, from_word: Tensor, s: Tensor, memory: Memory, weight: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return s_i, c_i and the weights for s_{i-1} (B, K, n)."""
        products = functional.linear(s, weight, bias)
        if self.attention is None:
            context = memory.annotations.expand(-1, s.shape[1], -1)
            weights = context.new_ones(*s.shape[:2], 1)
        else:
            rows = len(self.unit.of_state.weight)
            context, weights = self.attention(products[..., rows:], memory)
            products = products[..., :rows]
        return self.unit.step(from_word + self.of_context(context), products, s), context, weights

    def _read(self, vectors: Tensor, s: Tensor, context: Tensor) -> Tensor:
        """Return logits from E y_{i-1}, s_{i-1} and c_i."""
        t = self.readout_state(s) + self.readout_word(vectors) + self.readout_context(context)
        logits: Tensor = self.words(self.dropout(t.unflatten(-1, (-1, 2)).amax(-1)))
        return logits


def sentence_lengths(sentences: Tensor) -> Tensor:
    """Return the number of words of each sentence (B,) of a padded batch (B, S).

    Raises ``ValueError`` for a sentence without words, and for padding before a word.
    """
    words = sentences != PAD
    lengths = words.sum(1)
    if bool((lengths == 0).any()):
        raise ValueError(f"a sentence has no word; the empty sentence is EOS ({EOS}) alone")
    last = torch.where(words, torch.arange(words.shape[1], device=words.device), 0).amax(1)
    if not torch.equal(last + 1, lengths):
        raise ValueError("padding stands before a word; sentences are padded after their last word")
    return lengths


@torch.no_grad()
def paper_init(model: Translator) -> None:
    """Draw the parameters anew as in appendix B.1 of Bahdanau et al.: attention is uniform at the start.

    Orthogonal recurrent matrices (each gate's by itself), W_a and U_a from N(0, 0.001²), v_a and biases zero, all other
    matrices from N(0, 0.01²).
    """
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1 or name == "attention.energy.weight":
            nn.init.zeros_(parameter)
        elif name.startswith("attention."):
            nn.init.normal_(parameter, std=0.001)
        elif name.endswith(("of_state.weight", "of_reset.weight")) or "weight_hh" in name:
            for gate in parameter.split(parameter.shape[1]):
                nn.init.orthogonal_(gate)
        else:
            nn.init.normal_(parameter, std=0.01)
    for table in (model.source, model.target):
        table.weight[PAD] = 0
