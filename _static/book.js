// Makes explorers and the cover move, lets the keyboard scroll what is too wide, readies the page for paper, and keeps
// what was read for times without a network. Without it each picture shows a still.
"use strict";
{
  function show(explorer) {
    const slider = explorer.querySelector("input[type=range]");
    const form = explorer.querySelector(".wk-switch")?.checked ? "printed" : "right";
    for (const frame of explorer.querySelectorAll(".wk-frame")) {
      frame.hidden = frame.dataset.frame !== slider.value || frame.dataset.form !== form;
      if (frame.hidden) continue;
      slider.setAttribute("aria-valuetext", frame.dataset.label);
      explorer.querySelector("output").value = frame.dataset.label;
    }
  }

  // The lines of the cover's picture are where its points go, at equally spaced times: a frame is their beginnings.
  function cover(picture) {
    const lines = [...picture.querySelectorAll("polyline")].map((line) => [line, [...line.points].map((p) => [p.x, p.y])]);
    play(picture, (time) => {
      for (const [line, way] of lines) {
        const [passed, head] = between(way, time);
        line.setAttribute("points", [...way.slice(0, passed + 1), head].join(" "));
      }
    });
  }

  // A line of a part's picture carries all its places at equally spaced times.
  function parts(pictures) {
    const lines = [...pictures.querySelectorAll("polyline[data-frames]")].map((line) =>
      [line, line.dataset.frames.split("|").map((frame) => frame.split(/[ ,]/).map(Number))]);
    play(pictures, (time) => {
      for (const [line, frames] of lines) line.setAttribute("points", between(frames, time)[1].join(" "));
    });
  }

  // How many moments have passed at a time from 0 to 1, and where things are between this one and the next.
  function between(moments, time) {
    const last = moments.length - 1, passed = Math.min(Math.floor(time * last), last - 1), rest = time * last - passed;
    return [passed, moments[passed].map((from, i) => from + rest * (moments[passed + 1][i] - from))];
  }

  // Plays once when it comes into view, again on demand, and by hand.
  function play(picture, draw) {
    const seconds = 4;
    picture.insertAdjacentHTML("afterend", `<div class="wk-controls"><button type="button">Play again</button>
      <label>time <input type="range" min="0" max="1" step="0.01" value="1"></label></div>`);
    const [again, slider] = picture.nextElementSibling.querySelectorAll("button, input");
    let waiting;

    function show(time) {
      draw(time);
      slider.value = time;
    }

    function move(start, now) {
      const time = Math.min((now - start) / 1000 / seconds, 1);
      show(time);
      if (time < 1) waiting = requestAnimationFrame((next) => move(start, next));
    }

    function begin() {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame((now) => move(now, now));
    }

    again.addEventListener("click", begin);
    slider.addEventListener("input", () => {
      cancelAnimationFrame(waiting);
      draw(slider.valueAsNumber);
    });
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    new IntersectionObserver((seen, observer) => {
      if (!seen.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      begin();
    }, {threshold: 0.5}).observe(picture);
  }

  function reachable() {
    const wide = "mjx-container[display], dl.py mjx-container, .wk-scroll, .cell_output .text_html, .pst-scrollable-table-container, pre";
    for (const box of document.querySelectorAll(wide)) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }

  // On paper colours are light, and answers open, for nobody can open them there. (Solutions open by the theme's script.)
  function paper() {
    const root = document.documentElement, theme = root.dataset.theme;
    const answers = [...document.querySelectorAll("details.sd-dropdown:not([open])")];
    root.dataset.theme = "light";
    for (const answer of answers) answer.open = true;
    window.addEventListener("afterprint", () => {
      root.dataset.theme = theme;
      for (const answer of answers) answer.open = false;
    }, {once: true});
  }

  // The worker keeps what this page loads, also what it loaded before the worker was there.
  async function keep() {
    const root = new URL(document.documentElement.dataset.content_root, location.href);
    await navigator.serviceWorker.register(new URL("worker.js", root));
    const registration = await navigator.serviceWorker.ready;
    const tell = (addresses) => registration.active.postMessage(addresses);
    tell([location.href]);
    new PerformanceObserver((list) => tell(list.getEntries().map((entry) => entry.name)))
      .observe({type: "resource", buffered: true});
  }

  window.addEventListener("load", () => {
    for (const explorer of document.querySelectorAll(".wk-explore")) {
      explorer.addEventListener("input", () => show(explorer));
      show(explorer); // a browser may have kept the slider's place from before
    }
    document.querySelectorAll(".wk-cover > svg").forEach(cover);
    document.querySelectorAll(".wk-parts").forEach(parts);
    reachable();
    window.addEventListener("resize", reachable);
    document.addEventListener("toggle", reachable, true); // a fold has opened
    window.MathJax?.startup?.promise?.then(reachable);
    if (location.protocol.startsWith("http") && navigator.serviceWorker) keep().catch(() => {}); // the book works without
  });
  window.addEventListener("beforeprint", paper);
}
