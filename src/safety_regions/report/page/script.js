// Selectors and sliders of the matrices, and the reasons of the verdicts. The tables of the first choice are there without it.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const by = (id) => document.getElementById(id);
  const STAGES = ["raw", "refined"];
  const IOU = 0, FLOOR = 1, COEFFICIENT = 2, MEANS = 3;

  function start() {
    for (const element of document.querySelectorAll(".scripted")) element.hidden = false;
    for (const button of document.querySelectorAll("button.verdict")) explain(button);
    for (const image of document.querySelectorAll("img")) image.addEventListener("error", () => sayMissing(image));
    if (data) {
      offerMethods();
      for (const control of document.querySelectorAll(".choose select, .choose input")) {
        if (control.type === "range") holdFraction(control);
        else holdName(control);
        control.addEventListener("input", () => { show(); address.changed(control); });
      }
      address.afterwards(show);
    }
    address.start();
  }

  // In the address: names as they are, fractions as numbers.
  function holdName(control) {
    const begins = control.value;
    const known = (name) => [...control.options].some((option) => option.value === name);
    address.hold(control.id, () => (control.value === begins ? "" : control.value),
      (name) => { control.value = known(name) ? name : begins; });
  }

  function holdFraction(control) {
    const begins = control.value;
    address.hold(control.id, () => (control.value === begins ? "" : String(data.grid[control.value])), (fraction) => {
      const at = fraction === "" ? -1 : data.grid.indexOf(Number(fraction));
      control.value = at < 0 ? begins : at;
    });
  }

  // Verdicts: the reason is read below the table, on focus, tap or with the pointer.
  function explain(button) {
    const claim = button.closest(".claim");
    const tell = () => {
      claim.querySelector(".why").textContent = button.dataset.why;
      for (const other of claim.querySelectorAll("button.verdict")) other.setAttribute("aria-pressed", other === button);
    };
    button.setAttribute("aria-pressed", "false");
    for (const event of ["focus", "click", "mouseenter"]) button.addEventListener(event, tell);
  }

  function sayMissing(image) {
    const note = document.createElement("span");
    note.className = "note";
    note.textContent = "The picture does not lie beside this page; the PDF shows the same.";
    image.replaceWith(note);
  }

  function chosen() {
    const q = Number(by("q").value);
    return {
      model: by("model").value, method: by("method").value, measure: by("measure").value, stage: by("stage").value,
      q, p: data.free ? Number(by("p").value) : q,
    };
  }

  function show() {
    offerMethods();
    const choice = chosen();
    by("q-now").value = percent(data.grid[choice.q]);
    by("q").setAttribute("aria-valuetext", by("q-now").value);
    if (data.free) {
      by("p-now").value = percent(data.grid[choice.p]);
      by("p").setAttribute("aria-valuetext", by("p-now").value);
    }
    for (const stage of STAGES) {
      const block = blockAt(choice, stage, choice.q);
      by(`box-${stage}`).hidden = choice.stage !== "both" && choice.stage !== stage;
      by(`mean-${stage}`).textContent = `mean ${short(block[MEANS][IOU])}, chance ${short(block[MEANS][FLOOR])}`;
      fill(by(`matrix-${stage}`), measured(block, choice.measure), block);
    }
    by("status").textContent = `${choice.method} on ${choice.model}, q = ${percent(data.grid[choice.q])}, ` +
      `p = ${percent(data.grid[choice.p])}: ${by("measure").selectedOptions[0].text}`;
    const points = data.grid.map((q, at) => STAGES.map((stage) => {
      const block = blockAt(choice, stage, at);
      return { iou: block[MEANS][IOU], floor: block[MEANS][FLOOR] };
    }));
    fillCurveTable(points);
    drawCurve(points, choice.q);
  }

  // Not every model has regions of every method.
  function offerMethods() {
    const there = data.regions[by("model").value];
    const options = [...by("method").options];
    for (const option of options) option.disabled = !(option.text in there);
    if (by("method").selectedOptions[0].disabled) by("method").value = options.find((option) => !option.disabled).value;
  }

  function blockAt(choice, stage, q) {
    const region = data.regions[choice.model][choice.method];
    return (stage === "raw" ? region.raw[q] : region.refined[q][data.free ? choice.p : q]) || [[], [], [], [null, null, null]];
  }

  function measured(block, measure) {
    if (measure === "floor") return block[FLOOR];
    if (measure === "coefficient") return block[COEFFICIENT];
    if (measure === "iou") return block[IOU];
    return block[IOU].map((iou, pair) => (iou === null || block[FLOOR][pair] === null ? null : iou - block[FLOOR][pair]));
  }

  function fill(table, values, block) {
    for (const cell of table.querySelectorAll("td[data-pair]")) {
      const pair = Number(cell.dataset.pair);
      const value = values[pair] ?? null;
      cell.textContent = short(value);
      cell.className = level(value);
      cell.dataset.value = value === null ? "" : value;
      cell.title = value === null ? "undefined: no element is left"
        : `IoU ${block[IOU][pair]}, floor ${block[FLOOR][pair]}, overlap coefficient ${block[COEFFICIENT][pair]}`;
    }
  }

  function fillCurveTable(points) {
    [...by("by-q").tBodies[0].rows].forEach((row, at) => {
      const values = points[at].flatMap(({ iou, floor }) => [iou, floor]);
      values.forEach((value, column) => { row.cells[column + 1].textContent = short(value); });
    });
  }

  // The curve: q on a logarithmic axis, the mean over pairs, both stages with their floors.
  function drawCurve(points, now) {
    const box = { left: 30, right: 330, top: 10, bottom: 215 };
    const logs = data.grid.map(Math.log);
    const span = logs[logs.length - 1] - logs[0] || 1;
    const x = (at) => box.left + 8 + ((logs[at] - logs[0]) / span) * (box.right - box.left - 16);
    const y = (value) => box.bottom - value * (box.bottom - box.top);
    const svg = by("curve");
    svg.replaceChildren();
    for (const value of [0, 0.25, 0.5, 0.75, 1]) {
      add(svg, "line", { class: "gridline", x1: box.left, x2: box.right, y1: y(value), y2: y(value) });
      add(svg, "text", { x: box.left - 5, y: y(value) + 4, "text-anchor": "end" }, short(value));
    }
    let last = -Infinity;
    data.grid.forEach((q, at) => {
      if (x(at) - last < 34) return;
      last = x(at);
      add(svg, "text", { x: x(at), y: box.bottom + 16, "text-anchor": "middle" }, percent(q));
    });
    add(svg, "text", { x: (box.left + box.right) / 2, y: box.bottom + 32, "text-anchor": "middle" }, "q");
    add(svg, "line", { class: "now", x1: x(now), x2: x(now), y1: box.top, y2: box.bottom });
    STAGES.forEach((stage, which) => {
      const line = (name) => path(points.map((point, at) => [x(at), point[which][name]]), y);
      add(svg, "path", { class: `${stage} floor`, d: line("floor") });
      add(svg, "path", { class: stage, d: line("iou") });
      points.forEach((point, at) => {
        const value = point[which].iou;
        if (value === null) return;
        if (stage === "raw") add(svg, "circle", { cx: x(at), cy: y(value), r: at === now ? 5 : 3 });
        else add(svg, "rect", square(x(at), y(value), at === now ? 9 : 6));
      });
    });
  }

  const square = (x, y, side) => ({ x: x - side / 2, y: y - side / 2, width: side, height: side });

  function path(points, y) {
    let open = false;
    return points.map(([x, value]) => {
      const step = value === null ? "" : `${open ? "L" : "M"}${x.toFixed(1)} ${y(value).toFixed(1)}`;
      open = value !== null;
      return step;
    }).join("");
  }

  function add(parent, kind, attributes, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text) element.textContent = text;
    parent.append(element);
  }

  // The same words and colours as numbers.py; of two nearest two-digit numbers the even one, as there.
  function short(value) {
    if (value === null || value === undefined) return "\u2013";
    if (value < 0) return value > -0.005 ? ">\u2212.01" : `\u2212${short(-value)}`;
    if (value === 0 || value === 1) return String(value);
    if (value < 0.005) return "<.01";
    if (value >= 0.995) return ">.99";
    const tie = value * 8 % 1 === 0 && Math.floor(value * 100) % 2 === 0;
    return (tie ? value - 1e-9 : value).toFixed(2).replace(/^0/, "");
  }

  function level(value) {
    return value === null ? "none" : `h${Math.floor(Math.min(Math.max(value, 0), 1) * 20 + 0.5)}`;
  }

  const percent = (fraction) => `${Number((100 * fraction).toPrecision(4))}%`;

  start();
})();
