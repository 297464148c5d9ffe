"""`workings.attention` beside loops as tutorials write them: a training step, and beam search.

    python benchmarks/bench_attention.py [--quick] [--write]

All that share a unit share their weights, and must come to the same loss or the same scores, or nothing is printed. The
model without attention is ``torch.nn.GRU`` twice: what a step costs at least, whatever one attends to.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import timing
import torch
from timing import Row, Tables, interleaved
from torch import Tensor, nn
from torch.nn import functional

from workings.attention import EOS, PAD, UNITS, UNK, GatedRNN, GatedUnit, Translator, beam_search, nll


def translator(words: int, size: int, unit: str = "torch") -> Translator:
    """Return a model with fixed weights, all of one size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Translator(words, words, embedding=size, hidden=size, align=size, readout=size // 2, unit=unit)


def sentences(count: int, length: int, words: int, seed: int) -> Tensor:
    """Return sentences of one length, so that no contender needs a mask."""
    drawn = torch.randint(UNK + 1, words, (count, length), generator=torch.Generator().manual_seed(seed))
    drawn[:, -1] = EOS
    return drawn


# ---- a training step -----------------------------------------------------------------------------------------------


class Textbook(nn.Module):
    """The same model as tutorials write it: cells in loops, and every product where it is needed."""

    def __init__(self, model: Translator) -> None:
        super().__init__()
        assert model.attention is not None
        self.source, self.target = model.source, model.target
        self.forwards, self.backwards = (cell_of(layer) for layer in (model.encoder.forwards, model.encoder.backwards))
        self.unit = widened(model)
        self.start, self.attention, self.words = model.start, model.attention, model.words
        self.readout = joined(model.readout_state, model.readout_word, model.readout_context)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Return the logits (B, T, V)."""
        x = self.source(source).unbind(1)
        h = zeros = x[0].new_zeros(len(source), self.start.in_features)
        forward: list[Tensor] = []
        for vector in x:
            h = self.forwards(vector, h)
            forward.append(h)
        backward, h = [], zeros
        for vector in reversed(x):
            h = self.backwards(vector, h)
            backward.append(h)
        annotations = torch.cat((torch.stack(forward, 1), torch.stack(backward[::-1], 1)), -1)
        s, word, logits = torch.tanh(self.start(h)), torch.full_like(target[:, 0], PAD), []
        for following in target.unbind(1):
            y = self.target(word)
            keys = self.attention.of_annotation(annotations)
            energies = self.attention.energy(torch.tanh(self.attention.of_state(s)[:, None] + keys))[..., 0]
            context = (torch.softmax(energies, -1)[..., None] * annotations).sum(1)
            t = self.readout(torch.cat((s, y, context), -1))
            logits.append(self.words(t.unflatten(-1, (-1, 2)).amax(-1)))
            s, word = self.unit(torch.cat((y, context), -1), s), following
        return torch.stack(logits, 1)


def joined(*layers: nn.Linear) -> nn.Linear:
    """Return the layer of all inputs side by side; its bias is that of the one layer which has one."""
    weight = torch.cat([layer.weight for layer in layers], 1).detach()
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    [bias] = [one.bias for one in layers if one.bias is not None]
    layer.load_state_dict({"weight": weight, "bias": bias.detach()})
    return layer


def cell_of(layer: nn.Module | None) -> nn.Module:
    """Return the cell of a recurrent layer."""
    if isinstance(layer, GatedRNN):
        return layer.unit
    assert isinstance(layer, nn.GRU)
    cell = nn.GRUCell(layer.input_size, layer.hidden_size)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    return cell


def widened(model: Translator) -> nn.Module:
    """Return the decoder's cell with word and context as one input."""
    inputs = joined(model.unit.of_input, model.of_context)
    states = model.unit.of_state
    if isinstance(model.unit, GatedUnit):
        unit = UNITS["paper"](inputs.in_features, model.unit.hidden)
        unit.load_state_dict({
            "of_input.weight": inputs.weight, "of_input.bias": inputs.bias, "of_state.weight": states.weight,
            "of_reset.weight": model.unit.of_reset.weight,
        })  # fmt: skip
        return unit
    cell = nn.GRUCell(inputs.in_features, model.unit.hidden)
    cell.load_state_dict({
        "weight_ih": inputs.weight, "bias_ih": inputs.bias, "weight_hh": states.weight, "bias_hh": states.bias,
    })  # fmt: skip
    return cell


class Plain(nn.Module):
    """An encoder and a decoder of ``torch.nn.GRU``, without attention: the decoder begins where the encoder ended."""

    def __init__(self, words: int, size: int) -> None:
        super().__init__()
        self.source, self.target = (nn.Embedding(words, size, padding_idx=PAD) for _ in range(2))
        self.encoder = nn.GRU(size, size, batch_first=True, bidirectional=True)
        self.start = nn.Linear(2 * size, size)
        self.decoder = nn.GRU(size, size, batch_first=True)
        self.words = nn.Linear(size, words)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Return the logits (B, T, V)."""
        last = self.encoder(self.source(source))[1]
        start = torch.tanh(self.start(torch.cat((last[0], last[1]), -1)))
        before = functional.pad(target[:, :-1], (1, 0), value=PAD)
        logits: Tensor = self.words(self.decoder(self.target(before), start[None])[0])
        return logits


def step(model: nn.Module, source: Tensor, target: Tensor) -> float:
    """Go forward and backward once; return the loss."""
    logits = model(source, target)
    loss = nll(logits[0] if isinstance(logits, tuple) else logits, target)
    torch.autograd.grad(loss, list(model.parameters()))
    return loss.item()


def same(values: dict[str, float], tolerance: float = 1e-5) -> None:
    """Stop unless all values agree: contenders must solve the same problem."""
    if max(values.values()) - min(values.values()) > tolerance * abs(min(values.values())):
        raise RuntimeError(f"contenders do not agree: {values}")


def training(length: int, batch: int, words: int, size: int, rounds: int) -> Iterator[Row]:
    """Time the loss and its gradient for sentences of so many words, with either unit."""
    source, target = (sentences(batch, length, words, seed) for seed in (0, 1))
    models: dict[str, nn.Module] = {"no attention": Plain(words, size)}
    for unit in UNITS:
        models[f"workings, {unit} unit"] = model = translator(words, size, unit)
        models[f"textbook, {unit} unit"] = Textbook(model)
    losses = {name: step(model, source, target) for name, model in models.items()}
    for unit in UNITS:
        same({name: loss for name, loss in losses.items() if name.endswith(f"{unit} unit")})
    times = interleaved({name: partial(step, model, source, target) for name, model in models.items()}, rounds)
    for name, time in times.items():
        yield {
            "problem": f"{length} words", "contender": name, "ms": 1e3 * time,
            "times no attention": time / times["no attention"],
            "times workings": time / times.get(name.replace("textbook", "workings"), time) if "unit" in name else "",
            "loss": losses[name],
        }  # fmt: skip


# ---- beam search ---------------------------------------------------------------------------------------------------


def each_sentence(model: Translator, source: Tensor, width: int, longest: int) -> list[float]:
    """Search one sentence after the other; return the best scores."""
    return [beam_search(model, one[None], width, longest=longest)[0][0].score for one in source]


@torch.no_grad()
def each_hypothesis(model: Translator, source: Tensor, width: int, longest: int) -> list[float]:
    """Extend one hypothesis after the other, kept in lists; return the best scores."""
    scores = []
    for one in source:
        memory = model.encode(one[None])
        alive, ended, room = [(0.0, PAD, memory.start[:, None])], [], width
        for _ in range(longest):
            extended = []
            for score, word, state in alive:
                logits, after, _ = model.step(torch.tensor([[word]]), state, memory)
                logp = torch.log_softmax(logits[0, 0], -1)
                logp[[PAD, UNK]] = -torch.inf
                best = logp.topk(room)
                extended += [
                    (score + value, following, after)
                    for value, following in zip(best.values.tolist(), best.indices.tolist(), strict=True)
                ]
            extended.sort(key=lambda e: -e[0])
            extended = extended[:room]
            ended += [score for score, word, _ in extended if word == EOS]
            alive = [e for e in extended if e[1] != EOS]
            room = len(alive)
            if not alive:
                break
        scores.append(max(ended or [score for score, _, _ in alive]))
    return scores


def batched(model: Translator, source: Tensor, width: int, longest: int) -> list[float]:
    """Search all sentences at once; return the best scores."""
    return [found[0].score for found in beam_search(model, source, width, longest=longest)]


SEARCHES = {"workings": batched, "each sentence": each_sentence, "each hypothesis": each_hypothesis}


def search(count: int, length: int, longest: int, width: int, words: int, size: int, rounds: int) -> Iterator[Row]:
    """Time the search for translations of so many sentences; no hypothesis ends before ``longest``."""
    model, source = translator(words, size).eval(), sentences(count, length, words, 0)
    with torch.no_grad():
        model.words.weight.mul_(10)  # scores that differ
        model.words.bias[EOS] = -1e4
    runs = {name: partial(run, model, source, width, longest) for name, run in SEARCHES.items()}
    found = {name: run() for name, run in runs.items()}
    for scores in zip(*found.values(), strict=True):
        same(dict(zip(found, scores, strict=True)))
    times = interleaved(runs, rounds)
    for name, time in times.items():
        yield {
            "problem": f"{count} sentences, width {width}, {longest} steps", "contender": name, "ms": 1e3 * time,
            "times workings": time / times["workings"], "mean score": sum(found[name]) / count,
        }  # fmt: skip


def run(quick: bool) -> Tables:
    """Measure everything; ``quick`` uses toy sizes, to see that it runs. Returns the rows of each table."""
    torch.set_num_threads(1)
    if quick:
        return {"training": list(training(4, 3, 20, 8, 1)), "search": list(search(3, 4, 5, 3, 20, 8, 1))}
    rows = [row for length in (20, 50) for row in training(length, 64, 1000, 128, 7)]
    return {"training": rows, "search": list(search(32, 20, 20, 5, 1000, 128, 5))}


def store(tables: Tables) -> None:
    """Write the tables as records of the chapter."""
    timing.store("attention", ("Translator", "beam_search", "nll"), tables)


if __name__ == "__main__":
    timing.command(__doc__, run, store)
