// Makes explorers move, and lets the keyboard scroll what is too wide. Without it the first frame of each explorer shows.
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

  function reachable() {
    const wide = "mjx-container[display], .wk-scroll, .cell_output .text_html, .pst-scrollable-table-container, pre";
    for (const box of document.querySelectorAll(wide)) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }

  window.addEventListener("load", () => {
    for (const explorer of document.querySelectorAll(".wk-explore")) {
      explorer.addEventListener("input", () => show(explorer));
      show(explorer); // a browser may have kept the slider's place from before
    }
    reachable();
    window.addEventListener("resize", reachable);
    document.addEventListener("toggle", reachable, true); // a fold has opened
    window.MathJax?.startup?.promise?.then(reachable);
  });
}
