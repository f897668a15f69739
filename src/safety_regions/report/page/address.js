"use strict";
// What is chosen stands in the address, so that a link shows what one saw: #place&key=value&key=value. Only what differs
// from how the page begins is there, and what means nothing is ignored.
const address = (() => {
  const MARK = "written by this page";
  const parts = new Map();
  const readers = [];
  let place = "", written = "", last = null;

  // `read` gives the value of a key, "" for how the page begins; `put` takes any text.
  function hold(key, read, put) {
    parts.set(key, { read, put });
  }

  // `reader` is called once after several values were put.
  function afterwards(reader) {
    readers.push(reader);
  }

  // After a change by hand. Each is a step of the history, but for those of one slider or text, which are one step.
  function changed(control) {
    if (query() === written) return;
    const from = control.matches("details:not([open])") ? control.parentElement : control;
    place = from.closest("details[id], section[id]").id;
    write(control === last && control.matches("input") ? "replaceState" : "pushState");
    last = control;
  }

  function query() {
    const values = [...parts].map(([key, part]) => [key, part.read()]).filter(([, value]) => value !== "");
    return new URLSearchParams(values).toString();
  }

  function write(how) {
    written = query();
    const fragment = [place, written].filter(Boolean).join("&");
    try {
      history[how](MARK, "", fragment ? `#${fragment}` : location.pathname + location.search);
    } catch {
      // Within another document the page may have no address of its own.
    }
  }

  function restore() {
    const fragment = location.hash.slice(1);
    const [first] = fragment.split("&", 1);
    place = known(first);
    const given = new URLSearchParams(first.includes("=") ? fragment : fragment.slice(first.length));
    for (const [key, part] of parts) part.put(given.get(key) ?? "");
    for (const reader of readers) reader();
    written = query();
    last = null;
  }

  const known = (id) => (document.getElementById(id) ? id : "");

  function goToPlace() {
    if (!place) return;
    const target = document.getElementById(place);
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    target.scrollIntoView({ behavior: "instant" });
  }

  function arrive() {
    restore();
    goToPlace();
    write("replaceState");
  }

  // Back, forward, a link within the page, or another address typed over this one.
  function moved() {
    if (history.state === MARK) return restore();
    if (location.hash.includes("=")) return arrive();
    // A link to a section, to which the browser goes, leaves what is chosen as it is.
    place = known(location.hash.slice(1));
    last = null;
    write("replaceState");
  }

  function start() {
    for (const fold of document.querySelectorAll("details[id]")) {
      hold(fold.id, () => (fold.open ? "open" : ""), (value) => { fold.open = value === "open"; });
      fold.addEventListener("toggle", () => changed(fold));
    }
    addEventListener("popstate", moved);
    arrive();
  }

  return { hold, afterwards, changed, start };
})();
