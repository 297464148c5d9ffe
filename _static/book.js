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
    const last = lines[0][1].length - 1, seconds = 4;
    picture.insertAdjacentHTML("afterend", `<div class="wk-controls"><button type="button">Play again</button>
      <label>time <input type="range" min="0" max="1" step="0.01" value="1"></label></div>`);
    const [play, slider] = picture.nextElementSibling.querySelectorAll("button, input");
    let waiting;

    function draw(time) {
      const passed = Math.min(Math.floor(time * last), last - 1), rest = time * last - passed;
      for (const [line, way] of lines) {
        const head = way[passed].map((from, i) => from + rest * (way[passed + 1][i] - from));
        line.setAttribute("points", [...way.slice(0, passed + 1), head].join(" "));
      }
      slider.value = time;
    }

    function move(start, now) {
      const time = Math.min((now - start) / 1000 / seconds, 1);
      draw(time);
      if (time < 1) waiting = requestAnimationFrame((next) => move(start, next));
    }

    function begin() {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame((now) => move(now, now));
    }

    play.addEventListener("click", begin);
    slider.addEventListener("input", () => {
      cancelAnimationFrame(waiting);
      draw(slider.valueAsNumber);
    });
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) begin();
  }

  function reachable() {
    const wide = "mjx-container[display], .wk-scroll, .cell_output .text_html, .pst-scrollable-table-container, pre";
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
    reachable();
    window.addEventListener("resize", reachable);
    document.addEventListener("toggle", reachable, true); // a fold has opened
    window.MathJax?.startup?.promise?.then(reachable);
    if (location.protocol.startsWith("http") && navigator.serviceWorker) keep().catch(() => {}); // the book works without
  });
  window.addEventListener("beforeprint", paper);
}
