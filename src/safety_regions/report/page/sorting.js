// Tables sorted by their heads, and long ones filtered by typing. Without it they are whole, in the order of the run.
(() => {
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    let by = 0; // The number of a column from 1; negative: the largest first; 0: as the run has it.

    function sort(column) {
      by = column;
      heads.forEach((head, at) => {
        if (at + 1 === Math.abs(by)) head.setAttribute("aria-sort", by > 0 ? "ascending" : "descending");
        else head.removeAttribute("aria-sort");
      });
      body.append(...(by ? inOrder(rows, Math.abs(by) - 1, Math.sign(by)) : rows));
    }

    function makeHead(head, column) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        sort(by === column ? -column : by === -column ? 0 : column);
        address.changed(button);
      });
    }

    function makeFilter() {
      const label = document.createElement("label"), input = document.createElement("input");
      const about = document.createElement("span"), said = document.createElement("output");
      const scroll = table.closest(".scroll");
      input.type = "search";
      input.autocomplete = "off";
      input.spellcheck = false;
      about.className = "unseen";
      about.textContent = ` of the table: ${scroll.getAttribute("aria-label")}`;
      label.append("Filter rows", about, input);
      const box = document.createElement("p");
      box.className = "filter";
      box.append(label, said);
      scroll.before(box);

      let texts = null, shown = "";
      function filter() {
        const asked = input.value.trim();
        if (asked === shown) return;
        shown = asked;
        texts ??= rows.map((row) => plain([...row.cells].map((cell) => cell.textContent).join(" ")));
        const words = plain(asked).split(/\s+/);
        rows.forEach((row, at) => { row.hidden = !words.every((word) => texts[at].includes(word)); });
        const n = rows.filter((row) => !row.hidden).length;
        said.textContent = asked ? `${n || "none"} of ${rows.length} rows` : "";
      }
      input.addEventListener("input", () => { filter(); address.changed(input); });
      address.hold(table.id, () => shown, (value) => { input.value = value; filter(); });
    }

    heads.forEach((head, at) => makeHead(head, at + 1));
    if (table.matches(".filterable")) makeFilter();
    address.hold(`${table.id}.sort`, () => (by ? String(by) : ""), (value) => {
      const column = /^-?[1-9]\d*$/.test(value) && Math.abs(value) <= heads.length ? Number(value) : 0;
      if (column !== by) sort(column);
    });
  }

  function plain(text) {
    return text.toLowerCase().replaceAll("\u2212", "-");
  }

  // As numbers where all that is there begins with one, else as names; what is not there comes last. Equals stay as they were.
  function inOrder(rows, column, sign) {
    const collator = new Intl.Collator("en", { numeric: true });
    const keyed = rows.map((row) => [row, value(row.cells[column])]);
    const there = keyed.filter(([, text]) => text !== "");
    const number = /^[<>+]?-?\d*\.?\d+(e[+-]?\d+)?%?(?=$|[ ,([])/;
    const least = (text) => parseFloat(text.replace(/^[<>+]/, ""));
    const compare = there.every(([, text]) => number.test(text)) ? (a, b) => least(a) - least(b) : collator.compare;
    there.sort(([, a], [, b]) => sign * compare(a, b));
    return [...there, ...keyed.filter(([, text]) => text === "")].map(([row]) => row);
  }

  function value(cell) {
    const text = plain(cell.dataset.value ?? cell.textContent).trim();
    return text === "\u2013" ? "" : text;
  }
})();
