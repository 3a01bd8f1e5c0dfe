// All photos in a grid that holds only the cells that can be seen, and on a map; filters, and many photos decided at once.
import { COLOURS, PhotoMap, heat } from "./map.js";
import { close, isOpen, open } from "./photo.js";
import { Refused, ask, byId, el, listen, say, tell } from "./studio.js";

/** @typedef {import("./photo.js").Photo} Photo */

const grid = byId("grid");
const filters = /** @type {HTMLFormElement | null} */ (byId("filters"));
const bar = byId("selected");
const GAP = 4;
/** Browsers cap the height of an element; a higher grid scrolls faster than its bar. */
const TALLEST = 8_000_000;
/** Pixels a frame. What flies by faster gets no pictures: nobody would see them, and those where it stops would come later. */
const FAST = 70;

/** @type {Photo[]} */
let all = [];
/** @type {Photo[]} */
let shown = [];
/** Whether a photo, by its place in `all`, is in `shown`. */
let visible = new Uint8Array(0);
/** @type {string[]} */
let labels = [];
/** Paths of the photos that are selected: copies have one content. @type {Set<string>} */
const selected = new Set();
/** Cells by their place in `shown`. @type {Map<number, HTMLElement>} */
const cells = new Map();
/** Places whose cells have no picture yet. @type {Set<number>} */
const bare = new Set();
/** Where the grid was when it was drawn last. */
let lastTop = 0;
/** Whether the next frame looks if it has come to rest. */
let resting = false;
/** Where a range begins. */
let anchor = 0;
/** The cell that the keys move. */
let focus = 0;
let canDecide = false;
/** What the colours of the map say: `class` or `score`. */
let coloured = "class";
/** @type {Map<string, number>} */
let colours = new Map();

/** How many columns there are, and how large a cell is. */
function layout() {
  const width = grid?.clientWidth ?? 0;
  const columns = Math.max(2, Math.floor((width + GAP) / (width < 600 ? 110 : 152)));
  return { columns, side: Math.floor((width - GAP * (columns - 1)) / columns) };
}

/** Puts the cells in place that can be seen. Only those that change are touched. */
function draw() {
  if (!grid) return;
  const { columns, side } = layout();
  const step = side + GAP;
  const height = Math.ceil(shown.length / columns) * step;
  const drawn = Math.min(height, TALLEST);
  const sizer = /** @type {HTMLElement} */ (grid.querySelector(".sizer"));
  sizer.style.height = `${drawn}px`;
  const room = Math.max(1, drawn - grid.clientHeight);
  const scale = drawn < height ? (height - grid.clientHeight) / room : 1;
  const top = grid.scrollTop * scale;
  const first = Math.max(0, Math.floor(top / step) - 2) * columns;
  const last = Math.min(shown.length, (Math.ceil((top + grid.clientHeight) / step) + 2) * columns);
  for (const [place, cell] of cells) {
    if (place < first || place >= last) {
      // A picture that is still on its way makes room for those that will be seen.
      const picture = cell.querySelector("img");
      if (picture && !picture.complete) picture.removeAttribute("src");
      cell.remove();
      cells.delete(place);
      bare.delete(place);
    }
  }
  for (let place = first; place < last; place++) {
    const cell = cells.get(place) ?? made(place);
    const y = Math.floor(place / columns) * step - top + grid.scrollTop;
    cell.style.width = cell.style.height = `${side}px`;
    cell.style.transform = `translate(${(place % columns) * step}px, ${y}px)`;
  }
  const moved = Math.abs(grid.scrollTop - lastTop);
  lastTop = grid.scrollTop;
  if (moved <= FAST || moved > grid.clientHeight) fill(Math.floor(top / step) * columns);
  else if (!resting) rest();
}

/** Fills the grid when it has come to rest. */
function rest() {
  resting = true;
  requestAnimationFrame(() => {
    resting = false;
    if (grid?.scrollTop === lastTop) draw();
    else rest();
  });
}

/** Gives the cells their pictures, those that can be seen first. @param {number} seen The first place that can be seen. */
function fill(seen) {
  for (const place of [...bare].sort((a, b) => Number(a < seen) - Number(b < seen) || a - b)) {
    const picture = cells.get(place)?.querySelector("img");
    if (picture) [picture.alt, picture.src] = [shown[place].path, `/thumb/${shown[place].content}`];
  }
  bare.clear();
}

/** @param {number} place */
function made(place) {
  const photo = shown[place];
  const words = [photo.label, photo.issue.replaceAll("_", " ")].filter(Boolean).join(" · ");
  const cell = el(
    "button",
    { class: "cell", "aria-pressed": String(selected.has(photo.path)), tabindex: place === focus ? 0 : -1, title: photo.path, "data-place": place },
    el("img", { alt: "" }),
    el("span", {}, words),
  );
  cells.set(place, cell);
  bare.add(place);
  grid?.append(cell);
  return cell;
}

/** Applies the filters. */
function filter() {
  if (!filters || !grid) return;
  const fields = new FormData(filters);
  const wanted = (/** @type {string} */ name) => String(fields.get(name) ?? "");
  const name = wanted("name").toLowerCase();
  const is = (/** @type {string} */ field, /** @type {string} */ value) => wanted(field) === "" || wanted(field) === value;
  const least = Number(wanted("loss"));
  const matches = (/** @type {Photo} */ photo) =>
    is("class", photo.label) && is("split", photo.split) && is("issue", photo.issue) && photo.path.toLowerCase().includes(name) && (least <= 0 || (photo.loss ?? -1) >= least);
  visible = Uint8Array.from(all, (photo) => Number(matches(photo)));
  shown = all.filter((_, place) => visible[place]);
  if (wanted("sort") === "score") shown.sort((a, b) => b.score - a.score);
  if (wanted("sort") === "loss") shown.sort((a, b) => (b.loss ?? -1) - (a.loss ?? -1));
  if (wanted("sort") === "size") shown.sort((a, b) => a.pixels - b.pixels);
  for (const cell of cells.values()) cell.remove();
  cells.clear();
  bare.clear();
  focus = Math.min(focus, Math.max(0, shown.length - 1));
  anchor = focus;
  grid.querySelector(".empty")?.remove();
  if (shown.length === 0) grid.append(el("p", { class: "empty" }, "No photo matches. Take a filter away."));
  count();
  draw();
  map?.draw();
}

function count() {
  const line = byId("count");
  const photos = (/** @type {number} */ number) => `${number} photo${number === 1 ? "" : "s"}`;
  if (line) line.textContent = shown.length === all.length ? photos(all.length) : `${photos(shown.length)} of ${all.length}`;
  if (!bar) return;
  bar.hidden = selected.size === 0;
  if (selected.size === 0) return;
  const matching = shown.filter((photo) => !selected.has(photo.path)).length;
  const button = (/** @type {string} */ text, /** @type {() => void} */ click, /** @type {string} */ kind = "") =>
    el("button", { class: kind, click, disabled: !canDecide && kind !== "plain" }, text);
  bar.replaceChildren(
    el("strong", {}, `${photos(selected.size)} selected`),
    matching > 0 ? button(`Select all ${shown.length} that match`, () => (shown.forEach((photo) => selected.add(photo.path)), marked()), "plain") : "",
    button("Clear", clear, "plain"),
    ...labels.map((label) => button(`Make them ${label}`, () => decide({ choice: "relabel", with: label }))),
    button("Keep them", () => decide({ choice: "keep" })),
    button("Set them aside", () => decide({ choice: "set_aside" }), "do"),
    canDecide ? "" : el("a", { href: "/clean" }, "Let the photos be looked at first"),
  );
}

function clear() {
  selected.clear();
  marked();
}

/** Shows what is selected. */
function marked() {
  for (const [place, cell] of cells) cell.setAttribute("aria-pressed", String(selected.has(shown[place].path)));
  count();
  map?.draw();
}

/** Shows the photo that the keys are at. */
function show() {
  const photo = shown[focus];
  if (!photo) return;
  const mark = () => (toggle(focus, false), show());
  const next = (/** @type {number} */ by) => () => (move(focus + by), show());
  const actions = [
    { text: selected.has(photo.path) ? "Selected" : "Select", key: "X", act: mark, kind: "do" },
    { text: "Before", key: "←", act: next(-1) },
    { text: "Next", key: "→", act: next(1) },
    { text: "Close", key: "Esc", act: close },
  ];
  open(photo, actions, goTo);
}

/** Goes to a photo, which a filter may hide. @param {string} path */
function goTo(path) {
  let place = shown.findIndex((photo) => photo.path === path);
  if (place < 0) {
    filters?.reset();
    filter();
    place = shown.findIndex((photo) => photo.path === path);
  }
  if (place < 0) return;
  move(place);
  show();
}

const dots = /** @type {HTMLCanvasElement | null} */ (byId("dots"));
const map = dots
  ? new PhotoMap(
      dots,
      {
        colour: (place) => (coloured === "score" ? heat(all[place]?.score ?? 0) : (colours.get(all[place]?.label) ?? COLOURS[8])),
        shown: (place) => visible[place] === 1,
        selected: (place) => selected.has(all[place]?.path),
      },
      {
        select: (places) => {
          for (const place of places) selected.add(all[place].path);
          marked();
          say(`${places.length} photos inside, ${selected.size} selected`);
        },
        pick: (place) => goTo(all[place].path),
        hover: (place, x, y) => hover(place, x, y),
      },
    )
  : null;

/** @param {number} place @param {number} x @param {number} y */
function hover(place, x, y) {
  const panel = byId("map");
  panel?.querySelector(".over")?.remove();
  if (place < 0 || !panel || !all[place]) return;
  const over = el("div", { class: "over" }, el("img", { src: `/thumb/${all[place].content}`, alt: "" }), all[place].label);
  const side = dots?.clientWidth ?? 0;
  over.style.transform = `translate(${Math.min(x + 12, side - 132)}px, ${y + 12}px)`;
  panel.append(over);
}

/** Whether places are being asked for, and whether there are newer ones. */
let [asking, stale] = [false, false];

/** Asks where the photos lie. */
async function places() {
  const panel = byId("map");
  const line = byId("refining");
  if (!map || !panel || panel.hidden || !line) return;
  if (asking) {
    stale = true;
    return;
  }
  asking = true;
  try {
    const answer = await fetch("/look/map");
    if (answer.status === 503) {
      line.textContent = "The photos have to be looked at first.";
      await ask("/clean/look", {});
    } else if (answer.ok) {
      const round = answer.headers.get("x-round");
      map.put(await answer.arrayBuffer());
      line.textContent = round === "final" ? "Draw around photos to select them; press one to see it." : "The map is getting better; it can be used meanwhile.";
    }
  } catch (problem) {
    if (!(problem instanceof Refused)) tell(problem);
  }
  asking = false;
  if (stale) {
    stale = false;
    await places();
  }
}

function legend() {
  const place = byId("legend");
  const choice = filters?.elements.namedItem("class");
  if (!place) return;
  const swatch = (/** @type {string} */ label) => {
    const dot = el("i", {});
    dot.style.background = `#${(colours.get(label) ?? 0).toString(16).padStart(6, "0")}`;
    const only = () => {
      if (choice instanceof HTMLSelectElement) choice.value = choice.value === label ? "" : label;
      filter();
    };
    return el("button", { class: "plain", click: only }, dot, label);
  };
  const by = (/** @type {string} */ what, /** @type {string} */ text) =>
    el("button", { "aria-pressed": String(coloured === what), click: () => ((coloured = what), legend(), map?.draw()) }, text);
  place.replaceChildren(by("class", "By class"), by("score", "By suspicion"), ...(coloured === "class" ? labels.slice(0, 24).map(swatch) : [el("span", { class: "soft" }, "the redder, the more suspicious")]));
}

function toggleMap() {
  const panel = byId("map");
  if (!panel) return;
  panel.hidden = !panel.hidden;
  byId("mapped")?.setAttribute("aria-pressed", String(!panel.hidden));
  byId("looking")?.classList.toggle("both", !panel.hidden);
  legend();
  draw();
  places();
}

/** @param {any} choice */
async function decide(choice) {
  try {
    const { decided } = await ask("/look/decide", { paths: [...selected], ...choice });
    say(`${decided} decided`);
    const saved = byId("saved");
    const before = selected.size - decided;
    if (saved) saved.textContent = `${decided} decided and on the disk${before > 0 ? `; ${before} had been decided before` : ""}. Apply them on the Clean page.`;
    clear();
    await load();
  } catch (problem) {
    tell(problem);
  }
}

/** @param {number} place @param {boolean} range */
function toggle(place, range) {
  const one = shown[place]?.path;
  if (!one) return;
  if (range) {
    for (let at = Math.min(anchor, place); at <= Math.max(anchor, place); at++) selected.add(shown[at].path);
  } else {
    if (!selected.delete(one)) selected.add(one);
    anchor = place;
  }
  marked();
}

/** @param {number} place */
function move(place) {
  if (!grid || shown.length === 0) return;
  const { columns, side } = layout();
  focus = Math.min(shown.length - 1, Math.max(0, place));
  const y = Math.floor(focus / columns) * (side + GAP);
  if (y < grid.scrollTop) grid.scrollTop = y;
  if (y + side > grid.scrollTop + grid.clientHeight) grid.scrollTop = y + side - grid.clientHeight;
  draw();
  for (const [at, cell] of cells) cell.tabIndex = at === focus ? 0 : -1;
  cells.get(focus)?.focus();
}

async function load() {
  const { labels: known, photos, issues, losses } = await ask("/look/photos");
  labels = known;
  colours = new Map(labels.map((label, place) => [label, COLOURS[place % COLOURS.length]]));
  canDecide = issues !== null;
  /** @type {Map<string, [string, number]>} */
  const found = new Map((issues ?? []).map((/** @type {[string, string, number]} */ [content, issue, score]) => [content, [issue, score]]));
  all = photos.map((/** @type {any[]} */ [content, place, split, path, width, height]) => {
    const [issue, score] = found.get(path) ?? ["", 0];
    return { content, label: labels[place] ?? "", split, path, pixels: width * height, size: `${width} × ${height} pixels`, issue, score, loss: null };
  });
  for (const [place, loss] of losses) all[place].loss = loss;
  const bound = filters?.elements.namedItem("loss");
  if (bound instanceof HTMLInputElement) [bound.disabled, bound.title] = losses.length === 0 ? [true, "Train a model first"] : [false, "Of the newest run, in nats"];
  const choices = filters?.elements.namedItem("issue");
  if (choices instanceof HTMLSelectElement) {
    const kept = choices.value;
    const names = [...new Set([...found.values()].map(([issue]) => issue))].sort();
    choices.replaceChildren(el("option", { value: "" }, "all"), ...names.map((name) => el("option", { value: name }, name.replaceAll("_", " "))));
    choices.value = names.includes(kept) ? kept : "";
  }
  legend();
  filter();
  places();
}

if (grid && filters) {
  grid.replaceChildren(el("div", { class: "sizer" }));
  grid.classList.add("live");
  const wanted = new URLSearchParams(location.hash.slice(1));
  for (const [name, value] of wanted) {
    const field = filters.elements.namedItem(name);
    if (field instanceof HTMLSelectElement || field instanceof HTMLInputElement) field.value = value;
  }
  filters.addEventListener("input", () => {
    focus = grid.scrollTop = 0;
    filter();
  });
  filters.addEventListener("submit", (event) => event.preventDefault());
  let due = 0;
  grid.addEventListener("scroll", () => {
    cancelAnimationFrame(due);
    due = requestAnimationFrame(draw);
  });
  new ResizeObserver(draw).observe(grid);
  byId("mapped")?.addEventListener("click", toggleMap);
  grid.addEventListener("dblclick", (event) => {
    if (event.target instanceof Element && event.target.closest(".cell")) show();
  });
  grid.addEventListener("click", (event) => {
    const cell = event.target instanceof Element ? event.target.closest(".cell") : null;
    if (cell instanceof HTMLElement) {
      focus = Number(cell.dataset.place);
      toggle(focus, event.shiftKey);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement || event.ctrlKey || event.metaKey || event.altKey) return;
    const { columns } = layout();
    const page = columns * Math.max(1, Math.floor(grid.clientHeight / (layout().side + GAP)));
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowRight: () => move(focus + 1),
      ArrowLeft: () => move(focus - 1),
      ArrowDown: () => move(focus + columns),
      ArrowUp: () => move(focus - columns),
      PageDown: () => move(focus + page),
      PageUp: () => move(focus - page),
      Home: () => move(0),
      End: () => move(shown.length - 1),
      x: () => toggle(focus, false),
      X: () => toggle(focus, true),
      o: show,
      m: toggleMap,
      Escape: clear,
    };
    if (isOpen()) {
      // The keys go on below; Esc closes by itself.
      if (event.key === "Escape" || !["ArrowRight", "ArrowLeft", "x"].includes(event.key)) return;
    }
    const act = keys[event.key];
    if (act) {
      event.preventDefault();
      act();
      if (isOpen()) show();
    }
  });
  load().catch(tell);
  listen((message) => {
    if (["folder", "looked", "trained", "changed"].includes(message.event)) load().catch(tell);
    if (message.event === "map") places();
  });
} else {
  listen((message) => {
    if (message.event === "folder") location.reload();
  });
}
