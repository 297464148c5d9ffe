"""One interactive figure, shown twice in one output: live sliders where a kernel runs, frames where none does."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import matplotlib.pyplot as plt
from IPython.core.getipython import get_ipython
from matplotlib.figure import Figure

from workings.book.figures import SMALLEST, png, size_of, smallest_text
from workings.book.output import publish
from workings.book.parameters import current

WIDGET = "application/vnd.jupyter.widget-view+json"


def explore(
    draw: Callable[..., Figure],
    name: str,
    values: Sequence[float],
    *,
    alt: Callable[[float], str],
    label: Callable[[float], str] | None = None,
    switch: str = "",
    colours: int = 16,
    dpi: int = 120,
    as_is: bool = False,
) -> None:
    """Show ``draw(value)`` on a slider over ``values``.

    Args:
        draw: makes the figure for one value; with ``switch`` also called as ``draw(value, True)`` for the other form.
        name: the slider's label.
        values: about a dozen; the book shows these frames, a live kernel draws them as the slider moves. A run at other
            parameters, which no book shows, keeps three of the frames.
        alt: says what is seen at a value.
        label: how a value is written; ``name = value`` if not given.
        switch: label of a box that shows the other form (the formula as printed, say), off at first.
        colours: size of the frames' palette.
        dpi: resolution of the frames.
        as_is: keep the colours in the dark too, as for photographs.

    Raises:
        ValueError: no values, an empty description, or text that is too small on a phone.

    """
    if not len(values):
        raise ValueError("values is empty: an explorer needs about a dozen values")
    write = label or (lambda value: f"{name} = {value:g}")
    forms = [(), (True,)] if switch else [()]
    kept = values if current().is_default else [values[0], values[len(values) // 2], values[-1]]
    frames = [[_frame(draw, value, form, colours, dpi) for value in kept] for form in forms]
    texts = [alt(value) for value in kept]
    if not all(text.strip() for text in texts):
        raise ValueError("alt gave an empty description: say what is seen at each value")
    html = _figure(frames, [write(v) for v in kept], texts, name, switch, as_is)
    record = {"explorer": {"name": name, "values": list(values), "switch": switch, "bytes": len(html)}}
    publish(f"explorer: {name}, {len(values)} values", html, record, more=_widget(draw, name, values, write, switch))


def _frame(draw: Callable[..., Figure], value: float, form: tuple[Any, ...], colours: int, dpi: int) -> dict[str, Any]:
    figure = draw(value, *form)
    picture, size = png(figure, colours, dpi), smallest_text(figure, drawn=True)
    if size < SMALLEST:
        raise ValueError(f"text of {size:.1f} px on a phone in the frame at {value:g}; at least {SMALLEST:g} is needed")
    data = base64.b64encode(picture).decode()
    plt.close(figure)
    return {"data": data, **size_of(figure)}


def _figure(
    frames: list[list[dict[str, Any]]], labels: list[str], alts: list[str], name: str, switch: str, as_is: bool
) -> str:
    images = "".join(
        f'<img class="wk-frame" data-form="{form}" data-frame="{i}" data-label="{escape(labels[i])}" '
        f'alt="{escape(alts[i] + (f" With the switch on: {switch}." if form == "printed" else ""))}" '
        f'width="{frame["width"]}" height="{frame["height"]}" src="data:image/png;base64,{frame["data"]}"'
        f"{'' if form == 'right' and i == 0 else ' hidden'}>"
        for form, row in zip(("right", "printed"), frames, strict=False)
        for i, frame in enumerate(row)
    )
    box = f'<label><input type="checkbox" class="wk-switch"> {escape(switch)}</label>' if switch else ""
    return (
        f'<figure class="wk-explore{" wk-asis" if as_is else ""}"><div class="wk-frames">{images}</div>'
        f'<div class="wk-controls">'
        f'<label>{escape(name)} <input type="range" min="0" max="{len(labels) - 1}" step="1" value="0" '
        f'aria-valuetext="{escape(labels[0])}"></label> <output>{escape(labels[0])}</output> {box}</div></figure>'
    )


def _widget(
    draw: Callable[..., Figure],
    name: str,
    values: Sequence[float],
    write: Callable[[float], str],
    switch: str,
) -> dict[str, Any]:
    """Return the live form's view, or nothing outside a notebook."""
    if get_ipython() is None:
        return {}
    import ipywidgets

    slider = ipywidgets.SelectionSlider(
        options=[(write(v), v) for v in values],
        description=name,
        layout={"width": "30rem", "max_width": "100%"},
    )
    box = ipywidgets.Checkbox(value=False, description=switch, indent=False)
    image = ipywidgets.Image(format="png")

    def redraw(_: object = None) -> None:
        figure = draw(slider.value, True) if switch and box.value else draw(slider.value)
        image.value = png(figure)
        plt.close(figure)

    slider.observe(redraw, "value")
    box.observe(redraw, "value")
    redraw()
    view = ipywidgets.VBox([image, slider, box] if switch else [image, slider])
    return {WIDGET: {"version_major": 2, "version_minor": 0, "model_id": view.model_id}}
