// Run inside a page: each function returns its faults as a list of sentences, empty when there is none.
({
  mathematics(inline, display) {
    const all = [...document.querySelectorAll("mjx-container")];
    const wide = all.filter((m) => m.hasAttribute("display")).length;
    const flat = all.filter((m) => m.getClientRects().length && !m.getBoundingClientRect().width).length;
    const faults = [...document.querySelectorAll("mjx-merror")].map(
      (e) => `TeX error: ${e.querySelector("[title]")?.title || e.textContent || e.outerHTML.slice(0, 120)}`);
    if (flat) faults.push(`${flat} formulas without a width`);
    if (wide !== display) faults.push(`${display} displayed formulas in the source, ${wide} on the page`);
    if (all.length - wide !== inline) faults.push(`${inline} inline formulas in the source, ${all.length - wide} on the page`);
    return faults;
  },

  sideways() {
    const root = document.documentElement, faults = [];
    if (root.scrollWidth > innerWidth) faults.push(`the page is ${root.scrollWidth} px wide in a window of ${innerWidth}`);
    const held = (e) => {
      for (let up = e.parentElement; up && up !== document.body; up = up.parentElement)
        if (["auto", "scroll"].includes(getComputedStyle(up).overflowX)) return true;
      return false;
    };
    for (const e of document.querySelectorAll("article *")) {
      const box = e.getBoundingClientRect();
      if (box.width > 1 && box.right > innerWidth + 1 && !e.closest("mjx-assistive-mml") && !held(e))
        faults.push(`reaches ${Math.round(box.right)} px: ${e.outerHTML.slice(0, 120)}`);
    }
    return faults.slice(0, 5);
  },

  cut() {
    return [...document.querySelectorAll("mjx-container[display]:not(dl.py *)")] // a docstring's may be scrolled
      .filter((m) => m.scrollWidth > m.clientWidth + 1)
      .map((m) => `a formula of ${m.scrollWidth} px in ${m.clientWidth}: ${m.closest("[id]")?.id}`);
  },

  lightBoxes() {
    const faults = [];
    for (const e of document.querySelectorAll(".cell_output, .cell_output *, .wk-card, .wk-card *")) {
      if (e.closest(".wk-asis, .tag_wk-asis") || !e.getClientRects().length || e.matches("input, button")) continue;
      const [r, g, b, a = 1] = this.parts(getComputedStyle(e).backgroundColor);
      if (a > 0.2 && (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255 > 0.4)
        faults.push(`light box: ${e.outerHTML.slice(0, 120)}`);
      if (e.matches("img") && !getComputedStyle(e).filter.includes("invert(1)"))
        faults.push(`black ink in the dark: ${e.outerHTML.slice(0, 120)}`);
    }
    return faults.slice(0, 5);
  },

  faint() {
    const seen = new Set(), faults = [];
    const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const inked = new Set(document.querySelectorAll("mjx-container, mjx-container mjx-mstyle, mjx-container [style*=color]"));
    while (words.nextNode()) if (words.currentNode.data.trim()) inked.add(words.currentNode.parentElement);
    for (const e of inked) {
      if (!e.checkVisibility({visibilityProperty: true, opacityProperty: true}) || e.matches("script, style, :disabled")) continue;
      const style = getComputedStyle(e), ground = this.behind(e), size = parseFloat(style.fontSize);
      const wanted = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
      const pair = `${style.color} on ${ground}, at least ${wanted}`;
      if (seen.has(pair)) continue;
      seen.add(pair);
      const [light, dark] = [this.luminance(this.over(style.color, ground)), this.luminance(ground)].sort((x, y) => y - x);
      const ratio = (light + 0.05) / (dark + 0.05);
      if (ratio < wanted) faults.push(`${ratio.toFixed(2)} to 1: ${pair}: ${e.outerHTML.slice(0, 120)}`);
    }
    return faults;
  },

  async images() {
    const faults = [];
    for (const e of document.images) {
      const name = e.currentSrc.slice(0, 120) || e.outerHTML.slice(0, 120);
      try { await e.decode(); } catch { faults.push(`does not decode: ${name}`); }
      if (!e.hasAttribute("alt") || (e.closest("article") && !e.alt.trim())) faults.push(`no alt text: ${name}`);
    }
    return faults;
  },

  async icons() {
    const faults = [];
    for (const e of document.querySelectorAll(".fa-solid, .fa-brands, .fa-regular, .fas, .fab, .far")) {
      const drawn = getComputedStyle(e, "::before"), sign = drawn.content.slice(1, -1);
      if (["none", "normal", '""'].includes(drawn.content)) { faults.push(`no icon: ${e.outerHTML}`); continue; }
      const fonts = await document.fonts.load(`${drawn.fontWeight} 16px ${drawn.fontFamily}`, sign).catch(() => []);
      if (!fonts.length) faults.push(`no font for ${e.outerHTML}`);
      const control = e.closest("button, a");
      const names = ["aria-label", "title", "data-bs-original-title"].map((key) => control?.getAttribute(key));
      if (control && ![...names, control.textContent].some((text) => text?.trim()))
        faults.push(`no name: ${control.outerHTML.slice(0, 160)}`);
    }
    return faults;
  },

  parts(colour) { return colour.match(/[\d.]+/g).map(Number); },

  luminance(colour) {
    return [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
      const x = colour[i] / 255;
      return sum + weight * (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    }, 0);
  },

  over(colour, ground) {
    const [r, g, b, a = 1] = this.parts(colour);
    return [r, g, b].map((x, i) => a * x + (1 - a) * ground[i]);
  },

  behind(e) {
    const colour = getComputedStyle(e).backgroundColor, a = this.parts(colour)[3] ?? 1;
    if (a === 1) return this.over(colour, [0, 0, 0]);
    return this.over(colour, e.parentElement ? this.behind(e.parentElement) : [255, 255, 255]);
  },
})
