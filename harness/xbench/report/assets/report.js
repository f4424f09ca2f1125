"use strict";

const data = JSON.parse(document.getElementById("data").textContent);

// Elements, built without ever reading text as HTML.
function make(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

// ---- Light and dark ------------------------------------------------------------------------

const THEMES = ["system", "light", "dark"];
const themeButton = document.getElementById("theme");

function remembered() {
  try {
    return localStorage.getItem("xbench-theme");
  } catch {
    return null; // a page opened from a file may not be allowed to remember
  }
}

function showTheme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  themeButton.textContent = `Theme: ${name}`;
  try {
    localStorage.setItem("xbench-theme", name);
  } catch {
    // it holds until the page is left
  }
}

themeButton.hidden = false;
showTheme(THEMES.includes(remembered()) ? remembered() : "system");
themeButton.addEventListener("click", () => {
  const current = document.documentElement.dataset.theme ?? "system";
  showTheme(THEMES[(THEMES.indexOf(current) + 1) % THEMES.length]);
});

// ---- Sorting and filtering -----------------------------------------------------------------

function numberOf(text) {
  return text.trim() === "" || !Number.isFinite(Number(text)) ? null : Number(text);
}

// What a row is sorted by in each column; a cell that spans columns counts in all of them.
function sortKeys(row) {
  const keys = [];
  for (const cell of row.cells) {
    const text = cell.textContent.trim();
    const stated = cell.dataset.value;
    const gap = cell.dataset.gap !== undefined || text === "";
    const number = gap ? null : numberOf(stated ?? text);
    for (let i = 0; i < cell.colSpan; i += 1) keys.push({ number, text: gap ? null : text });
  }
  return keys;
}

// Numbers, then words; a gap comes last whichever way it is sorted.
function compare(a, b, sign) {
  if ((a.text === null) !== (b.text === null)) return a.text === null ? 1 : -1;
  if (a.text === null) return 0;
  if (a.number !== null && b.number !== null) return sign * (a.number - b.number);
  if ((a.number === null) !== (b.number === null)) return a.number === null ? 1 : -1;
  return sign * a.text.localeCompare(b.text, undefined, { numeric: true });
}

function sortBy(table, column, order) {
  const sign = order === "descending" ? -1 : 1;
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
    rows.sort((a, b) => {
      const places = Number(a.dataset.place) - Number(b.dataset.place);
      if (order === "none") return places;
      return compare(a.keys[column], b.keys[column], sign) || places;
    });
    body.append(...rows);
  }
}

const NEXT = { none: "ascending", ascending: "descending", descending: "none" };

function sortOnClick(table) {
  const headers = [...table.tHead.querySelectorAll("[aria-sort]")];
  headers.forEach((header, column) => {
    header.querySelector("button").addEventListener("click", () => {
      const order = NEXT[header.ariaSort];
      headers.forEach((other) => other.setAttribute("aria-sort", "none"));
      header.setAttribute("aria-sort", order);
      sortBy(table, column, order);
    });
  });
}

function filterOnInput(section, table) {
  const rows = [...table.querySelectorAll("tbody tr:not(.group)")];
  const texts = rows.map((row) => {
    const group = row.parentElement.querySelector(".group");
    return `${group ? group.textContent : ""} ${row.textContent}`.toLowerCase();
  });
  const input = section.querySelector("input");
  const output = section.querySelector("output");
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, i) => {
      row.hidden = !words.every((word) => texts[i].includes(word));
    });
    for (const group of table.querySelectorAll(".group")) {
      group.hidden = !group.parentElement.querySelector("tr:not(.group):not([hidden])");
    }
    output.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
    reachable(table);
  });
}

// ---- The keyboard --------------------------------------------------------------------------

// One cell of a table is reached with Tab, the others from there with the arrow keys.
function reachable(table, wanted) {
  const cells = [...table.querySelectorAll(".cell")];
  const shown = cells.filter((cell) => !cell.closest("tr").hidden);
  const current = wanted ?? shown.find((cell) => cell.tabIndex === 0) ?? shown[0];
  cells.forEach((cell) => {
    cell.tabIndex = cell === current ? 0 : -1;
  });
}

// The button at a column of a row: that of the spanning cell, where one lies there.
function cellAt(row, column) {
  let place = 0;
  for (const cell of row.cells) {
    if (column < place + cell.colSpan) return cell.querySelector(".cell");
    place += cell.colSpan;
  }
  return null;
}

function columnOf(cell) {
  let place = 0;
  for (const other of cell.parentElement.cells) {
    if (other === cell) return place;
    place += other.colSpan;
  }
  return place;
}

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function moveOnKey(table) {
  let column = null; // kept while going up and down past cells that span columns
  table.addEventListener("focusin", (event) => {
    if (event.target.classList.contains("cell")) reachable(table, event.target);
  });
  table.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    const from = event.target.closest(".cell");
    if (!step || !from || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const [down, right] = step;
    const cell = from.closest("td");
    const here = columnOf(cell);
    if (column === null || right || column < here || column >= here + cell.colSpan) column = here;
    if (right) column = right > 0 ? here + cell.colSpan : here - 1;
    const rows = [...table.querySelectorAll("tbody tr:not(.group):not([hidden])")];
    let next = rows.indexOf(cell.parentElement);
    for (next += down; next >= 0 && next < rows.length; next += down) {
      const target = cellAt(rows[next], column);
      if (target) return target.focus();
      if (right) column += right;
      if (right && (column < 0 || column > 1000)) return undefined;
    }
    return undefined;
  });
}

// What is scrolled to must not end up under the headers that stay.
function keepClearOfHeaders(table) {
  const corner = table.querySelector("thead tr:last-child .corner");
  new ResizeObserver(() => {
    const scroll = table.parentElement;
    scroll.style.scrollPadding = `${table.tHead.offsetHeight}px 0 0 ${corner.offsetWidth}px`;
  }).observe(corner);
}

// ---- Where a number comes from -------------------------------------------------------------

const dialog = document.getElementById("provenance");
const COLUMNS = ["metric", "language", "layer", "seed", "value", "n", "status", "reason"];
const short = (key) => key.slice(0, 12);

function shown(value) {
  if (value === undefined || value === null) return "";
  if (typeof value !== "number" || Number.isInteger(value)) return String(value);
  return String(Number(value.toFixed(6)));
}

// Words stand left, numbers right; a column is of words where any of its values is.
function grid(columns, lines) {
  const words = columns.map((_, i) => lines.some((line) => typeof line[i] === "string"));
  const kind = (value, i) => {
    if (!words[i]) return "";
    return typeof value === "string" && value.length > 30 ? "text long" : "text";
  };
  const head = make("tr", {}, ...columns.map((name, i) =>
    make("th", { scope: "col", className: kind(name, i) }, name)));
  const rows = lines.map((line) =>
    make("tr", {}, ...line.map((value, i) => {
      const title = typeof value === "number" ? String(value) : "";
      return make("td", { className: kind(value, i), title }, shown(value));
    })));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
  return make("div", { className: "scroll", tabIndex: 0 }, table);
}

// Only the columns that say anything of these rows, and what all rows share once.
function rowGrid(numbers) {
  const rows = numbers.map((number) => ({ ...data.rows[number], ...data.values[data.rows[number].at] }));
  const known = ["arm", "objective", "variant", "pair", "align_step", "align_seed", "task", "mode"];
  const varying = known.filter((name) => new Set(rows.map((row) => row[name])).size > 1);
  const columns = [...varying, ...COLUMNS].filter((name) => rows.some((row) => name in row));
  const lines = rows.map((row) => [
    ...columns.map((name) => row[name]),
    short((data.stages[row.stages?.at(-1)] ?? { key: "" }).key),
  ]);
  return grid([...columns, "key"], lines);
}

// Without the column of alignment seeds where nothing was aligned.
function seedGrid(means) {
  const columns = ["metric", "align seed", "seed", "mean", "values"];
  const kept = columns.map((_, i) => i !== 1 || means.some((line) => line[1] !== null));
  const cut = (line) => line.filter((_, i) => kept[i]);
  return grid(cut(columns), means.map(cut));
}

function facts(pairs) {
  const lines = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return make("dl", { className: "facts" }, ...lines.flatMap(([name, value]) =>
    [make("dt", {}, name), make("dd", {}, shown(value))]));
}

function sharedFacts(numbers) {
  const places = numbers.map((number) => data.values[data.rows[number].at]);
  const first = places[0] ?? {};
  return Object.entries(first).filter(([name, value]) => places.every((p) => p[name] === value));
}

function stageElement(stage) {
  const spec = Object.fromEntries(
    Object.entries(stage.spec ?? {}).map(([name, number]) => [name, data.values[number]]));
  const environment = data.values[stage.environment] ?? {};
  const took = stage.seconds === undefined ? "" : `, ${stage.seconds.toFixed(2)} s`;
  const summary = make("summary", {}, make("code", {}, short(stage.key)), ` ${stage.state}${took}`);
  const opened = make("details", {}, summary);
  opened.addEventListener("toggle", () => {
    if (opened.childElementCount > 1) return;
    const started = stage.started && new Date(stage.started * 1000).toISOString();
    opened.append(
      facts([
        ["key", stage.key],
        ["error", stage.error],
        ["started", started && `${started.slice(0, 19).replace("T", " ")} UTC`],
        ["seconds", stage.seconds],
        ["peak memory", stage.memory && `${Math.round(stage.memory / 2 ** 20)} MiB`],
        ...Object.entries(environment),
      ]),
      make("pre", { tabIndex: 0 }, JSON.stringify(spec, null, 1)),
    );
  });
  return opened;
}

function stageList(numbers) {
  const places = [...new Set(numbers.flatMap((number) => data.rows[number].stages ?? []))];
  const groups = Map.groupBy
    ? Map.groupBy(places, (place) => data.stages[place].kind)
    : places.reduce((found, place) => {
      const { kind } = data.stages[place];
      return found.set(kind, [...(found.get(kind) ?? []), place]);
    }, new Map());
  return make("div", { className: "stages" }, ...[...groups].map(([kind, members]) => {
    const stages = members.map((place) => data.stages[place]);
    const times = stages.map((stage) => stage.seconds).filter((time) => time !== undefined);
    const took = times.length ? `, ${times.reduce((sum, time) => sum + time, 0).toFixed(1)} s` : "";
    const bad = stages.filter((stage) => stage.state === "failed").length;
    const count = `${stages.length} ${kind}${took}${bad ? `, ${bad} failed` : ""}`;
    const open = stages.length === 1 || bad > 0;
    return make("details", { open }, make("summary", {}, count), ...stages.map(stageElement));
  }));
}

function titled(title, ...content) {
  return make("section", {}, make("h3", {}, title), ...content);
}

function interval(difference) {
  if (!difference) return undefined;
  const [mean, low, high, n] = difference;
  const ends = low === null ? "" : ` [${shown(low)}, ${shown(high)}]`;
  return `${shown(mean)}${ends}, n = ${n}`;
}

const WITHOUT_STAGE = {
  absent: "Not part of what was run, or not defined here: nothing was computed.",
  missing: "Not computed yet.",
  other: "No stage of its own is behind this cell: it is a setting, a value of the literature, or "
    + "was computed from other cells of this report. The caption and the notes of its table say "
    + "which.",
};

function provenanceOf(cell) {
  const rows = cell.rows ?? [];
  const gaps = cell.gaps ?? [];
  const against = cell.against ?? [];
  const all = [...rows, ...gaps];
  const [text, ...details] = cell.text ?? [""];
  const parts = [
    make("p", { className: "number" }, text, make("small", {}, details.join(" "))),
    facts([
      ["table", cell.table],
      ["status", cell.status],
      ["value", cell.value],
      ["standard deviation", cell.spread],
      ["n", cell.n],
      ["difference", interval(cell.difference)],
      ...sharedFacts(all),
    ]),
  ];
  if (gaps.length) parts.push(titled(`Lacking (${gaps.length})`, rowGrid(gaps)));
  if (cell.seeds) parts.push(titled("Mean of each seed", seedGrid(cell.seeds)));
  if (rows.length) parts.push(titled(`Values behind it (${rows.length})`, rowGrid(rows)));
  if (against.length) parts.push(titled(`Compared with (${against.length})`, rowGrid(against)));
  if (all.length) parts.push(titled("Computed by", stageList([...all, ...against])));
  else parts.push(make("p", {}, WITHOUT_STAGE[cell.status] ?? WITHOUT_STAGE.other));
  return parts;
}

function openProvenance(button) {
  const cell = data.cells[Number(button.dataset.cell)];
  document.getElementById("place").textContent = cell.place.filter(Boolean).join(" · ");
  document.getElementById("facts").replaceChildren(...provenanceOf(cell));
  dialog.showModal();
  dialog.scrollTop = 0;
}

document.getElementById("close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("button.cell");
  if (button) openProvenance(button);
});

// ---- Everything together -------------------------------------------------------------------

for (const section of document.querySelectorAll("section.table")) {
  const table = section.querySelector("table");
  [...table.querySelectorAll("tbody tr:not(.group)")].forEach((row, place) => {
    row.dataset.place = place;
    row.keys = sortKeys(row);
  });
  sortOnClick(table);
  filterOnInput(section, table);
  moveOnKey(table);
  keepClearOfHeaders(table);
  reachable(table);
}
// What is folded on the screen is not folded on paper.
addEventListener("beforeprint", () => {
  document.querySelectorAll("main details").forEach((details) => { details.open = true; });
});
if (matchMedia("(max-width: 69.99rem)").matches) document.querySelector("nav details").open = false;
