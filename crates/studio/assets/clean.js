// One card, one key. A decision is sent before the next card comes; what could not be sent waits, can be seen, and is sent again.
import { Refused, ask, byId, el, listen, say, state, tell } from "./studio.js";

/** @typedef {{ content: string, path: string, label: string, action: string, to: string | null,
 *   reason: string, likely: [string, number][] }} Photo */
/** @typedef {{ id: string, question: string, proposal: string, is_audit: boolean, is_sheet: boolean, photos: Photo[] }} Card */
/** @typedef {{ path: string, content: string, old: string, action: string, new: string | null, time: string }} Decision */
/** @typedef {{ cards: Card[], cluster: number, postponed: number, labels: string[], decided: number, wrong: number, photos: number, standing: number, can_undo: boolean, to_look_at: number,
 *   is_done: boolean, errors_left: { estimate: number, interval: { low: number, high: number } } | null, left: number, expected_left: number, changes: number, notes: string[] }} Desk */

const desk = byId("desk");
/** @type {Desk | null} */
let view = state();
/** What is shown: `card`, `apply` or `history`. */
let mode = location.hash === "#apply" ? "apply" : "card";
/** Decisions that are not on the disk yet. @type {any[]} */
let waiting = [];
let sending = false;
/** Photos of the card that are marked: those to be set aside, on a sheet the exceptions. @type {Set<number>} */
let away = new Set();
let cardShown = "";
/** Whether somebody wants to go on although it is a good moment to stop. */
let goesOn = false;
/** Whether a label is being typed, and what of it. */
let typing = false;
let typed = "";
/** Whether another page decided something while this one sent. */
let missed = false;
/** Why nothing can be saved at present. */
let why = "";
/** Has what waits be sent now. */
let wake = () => {};
/** Whether something runs, after which there may be cards. */
let looking = true;
/** Whether the photos could not be looked at, or somebody stopped it. */
let failed = false;

/** Sends what waits, one after another; after a fault, again. */
async function send() {
  if (sending) return;
  sending = true;
  let pause = 250;
  while (waiting.length > 0) {
    try {
      const { url, body } = waiting[0];
      const answer = await ask(url, body);
      waiting.shift();
      [pause, why] = [250, ""];
      if (waiting.length === 0) take(answer);
    } catch (problem) {
      // A studio that starts again has to look at the photos first.
      const isLater = !(problem instanceof Refused) || problem.status === 503 || problem.status === 403;
      why = problem instanceof Refused && problem.status === 503 ? problem.message : "the studio does not answer";
      if (!isLater) {
        waiting.shift();
        tell(problem);
        await reload();
        continue;
      }
      saved();
      if (problem instanceof Refused && problem.status === 503) await look();
      await new Promise((done) => {
        const later = setTimeout(done, pause);
        wake = () => (clearTimeout(later), done(undefined));
      });
      pause = Math.min(4000, pause * 2);
    }
  }
  sending = false;
  saved();
  if (missed) reload();
  missed = false;
}

/** Has the photos looked at, unless something else is being done. */
async function look() {
  // After one that failed or was stopped, somebody has to ask for it.
  if (!failed) await ask("/clean/look", {}).catch((problem) => (why = problem instanceof Refused ? problem.message : why));
}

function saved() {
  const line = byId("saved");
  if (!line) return;
  const count = why ? waiting.length : 0;
  line.textContent =
    count > 0
      ? `This decision is not saved yet: ${why || "it is being sent"}. This page tries again by itself.`
      : "Every decision is on the disk before the next photo appears. Nothing moves until you press Apply.";
}

/** @param {Desk} answer */
function take(answer) {
  view = answer;
  draw();
}

async function reload() {
  try {
    take(await ask("/clean/state"));
  } catch (problem) {
    if (problem instanceof Refused && problem.status === 503) {
      view = null;
      // A studio that was started again while this page was open has not looked yet.
      if (!looking) look();
    }
    draw();
  }
}

/** @param {any} choice @param {string} words */
function decide(choice, words) {
  const card = view?.cards[0];
  if (!view || !card || waiting.length > 0) return;
  const photos = card.photos.map(({ path, content }) => ({ path, content }));
  waiting.push({ url: "/clean/decide", body: { card: card.id, photos, ...choice } });
  [typing, typed] = [false, ""];
  say(words);
  send();
}

/** @param {string} url @param {string} words @param {any} [body] */
function act(url, words, body = {}) {
  if (waiting.length > 0) return;
  waiting.push({ url, body });
  say(words);
  send();
}

function undo() {
  if (view?.standing) act("/clean/undo", "taken back", { standing: view.standing });
}

/** Accepts what is proposed, or, where each photo is decided by itself, what is marked. */
function accept() {
  const card = view?.cards[0];
  if (!card) return;
  if (card.photos.length === 1) return decide({ choice: "as_proposed" }, card.proposal);
  const places = [...away].sort((a, b) => a - b);
  if (card.is_sheet) return decide({ choice: "as_proposed_except", with: places }, `${card.photos.length - places.length} as proposed, ${places.length} kept`);
  decide({ choice: "set_aside_only", with: places }, `${places.length} set aside, ${card.photos.length - places.length} kept`);
}

/** Gives the card a label: its number, or how it begins, then enter. @param {string} label */
function relabel(label) {
  decide({ choice: "relabel", with: label }, `made ${label}`);
}

/** Does something with the card that is shown. @param {string} what @param {string} words */
function withCard(what, words) {
  const card = view?.cards[0];
  if (card) act(`/clean/${what}`, words, { card: card.id });
}

const sheet = () => (view?.cards[0]?.is_sheet ? withCard("apart", "one after the other") : withCard("sheet", "together"));
const later = () => withCard("later", "later");

/** Shows something else than the card. @param {string} what */
function go(what) {
  mode = what;
  draw();
}

/** @param {string} text @param {string | null} key @param {() => void} click @param {string} [kind] */
const button = (text, key, click, kind = "") => el("button", { class: kind, click }, text, key ? el("kbd", {}, key) : "");

function draw() {
  if (!desk) return;
  saved();
  if (!view) {
    desk.replaceChildren(
      el("header", {}, el("h1", {}, "Looking at every photo"), el("p", { class: "lead" }, "Then you decide, one key a photo. Most of it is remembered for the next time.")),
      looking ? "" : el("p", {}, button("Look at the photos", null, () => ((failed = false), look()), "do")),
    );
    return;
  }
  desk.dataset.ready = "";
  const card = view.cards[0];
  if (mode === "apply") return void apply();
  if (mode === "history") return void history();
  if (!card) return desk.replaceChildren(...end("Every photo has been decided", "There is nothing left to look at."));
  if (view.is_done && !goesOn && !card.is_audit) return desk.replaceChildren(...end("You can stop now", "Few of the last photos were wrong, so few mistakes are left."));
  one(view, card);
}

/** @param {Desk} view */
function head(view, /** @type {string} */ title) {
  const about = view.to_look_at > 10 ? Math.ceil(view.to_look_at / 10) * 10 : view.to_look_at;
  const mistakes = view.errors_left ? `, probably ${Math.round(view.errors_left.estimate)} mistakes left (${Math.round(view.errors_left.interval.low)} to ${Math.round(view.errors_left.interval.high)})` : "";
  return el(
    "header",
    { class: "head" },
    el(
      "div",
      {},
      el("h1", {}, title),
      el("p", { class: "lead" }, el("strong", {}, String(view.decided)), ` decided, ${view.wrong} of them wrong${mistakes}, of ${view.photos} photos`),
    ),
    el("span", { class: "stop" }, view.to_look_at > 0 ? `About ${about} more, then you can stop` : "You can stop"),
    el("progress", { max: view.decided + Math.max(view.to_look_at, 1), value: view.decided, "aria-label": "How far the review is" }),
  );
}

/** A card. @param {Desk} view @param {Card} card */
function one(view, card) {
  if (!desk) return;
  if (cardShown !== card.id) {
    cardShown = card.id;
    [typing, typed] = [false, ""];
    say(card.question);
    away = new Set(card.is_sheet ? [] : card.photos.flatMap((photo, place) => (photo.action === "set_aside" ? [place] : [])));
  }
  const many = card.photos.length > 1;
  const [first] = card.photos;
  const figures = card.photos.map((photo, place) => figure(view, card, photo, place));
  const kept = card.photos.length - away.size;
  const why = card.is_sheet
    ? el("div", {}, el("p", { class: "ask" }, `${card.photos.length} photos that are alike`), el("p", { class: "why" }, ...sentence(first.reason)), el("p", { class: "why" }, "Press those that are exceptions; they are kept."))
    : many
      ? el("div", {}, el("p", { class: "ask" }, `${card.photos.length} photos`), el("p", { class: "why" }, "Those that are paler would be set aside."))
      : el("div", {}, asked(first), el("p", { class: "why" }, ...sentence(first.reason)), el("p", { class: "why touch" }, "Swipe: to the right keeps it, to the left sets it aside."));
  const proposal = card.is_sheet && away.size > 0 ? `${card.proposal}, but ${away.size}` : many && !card.is_sheet ? `Set ${away.size} aside, keep ${kept}` : card.proposal;
  const keys = [
    button(proposal, "↵", accept, "do"),
    button(many ? "Keep them all" : `Keep ${first.label}`, "K", () => decide({ choice: "keep" }, "kept")),
    button(many ? "Set them all aside" : "Set aside", "X", () => decide({ choice: "set_aside" }, "set aside")),
    button("Look again later", "N", later),
    card.is_sheet ? button("One after the other", "S", sheet) : view.cluster > 1 ? button(`${view.cluster} are like it: all at once`, "S", sheet) : "",
    view.can_undo ? button("Undo", "U", undo) : "",
    view.standing > 0 ? button("History", "H", () => go("history"), "rarely") : "",
  ].filter((key) => key !== "");
  const near = el("div", { class: many ? "" : "likes" });
  desk.replaceChildren(
    head(view, card.question),
    el(
      "section",
      { class: "desk" },
      el("div", { class: `photos ${card.is_sheet ? "sheet" : many ? "many" : "one"}` }, ...figures),
      el("aside", {}, why, labels(view, card), el("div", { class: "keys" }, ...keys), applies(view), near, ...view.notes.map((note) => el("p", { class: "soft" }, note))),
    ),
  );
  if (!many) similar(first, near);
  // What comes next is there before it is asked for.
  for (const next of view.cards.slice(1)) for (const photo of next.photos) new Image().src = `/photo/${photo.content}`;
}

/** @param {Desk} view @param {Card} card @param {Photo} photo @param {number} place */
function figure(view, card, photo, place) {
  const many = card.photos.length > 1;
  const marked = away.has(place);
  const kind = card.is_sheet ? "thumb" : "photo";
  const picture = el("img", { src: `/${kind}/${photo.content}`, alt: photo.path, error: () => picture.replaceWith(el("div", { class: "none" }, "This file has no picture")) });
  const toggle = () => {
    if (!away.delete(place)) away.add(place);
    one(view, card);
    /** @type {HTMLElement | null | undefined} */ (desk?.querySelectorAll("figure")[place]?.querySelector("button"))?.focus();
  };
  const digit = place < 9 ? el("kbd", {}, String(place + 1)) : "";
  if (card.is_sheet) {
    return el("figure", { class: marked ? "kept" : "" }, el("button", { class: "plain", click: toggle, "aria-pressed": String(marked), title: photo.path }, picture, el("span", {}, marked ? "kept" : photo.path.split("/").pop() ?? ""), digit));
  }
  const words = many ? ` · ${photo.reason.replaceAll("`", "")} ` : "";
  const side = many ? el("button", { click: toggle, "aria-pressed": String(marked) }, marked ? "Keep it" : "Set it aside", digit) : "";
  return el("figure", { class: many && marked ? "away" : "" }, picture, el("figcaption", {}, `${many ? `${place + 1}. ` : ""}${photo.path}`, words, side));
}

/** @param {Photo} photo */
function asked(photo) {
  if (photo.action === "relabel" && photo.to) return el("p", { class: "ask" }, "Labelled ", el("em", {}, photo.label), ", but it looks ", el("em", {}, photo.to), ".");
  if (photo.action === "set_aside") return el("p", { class: "ask" }, "It may not belong here. It is labelled ", el("em", {}, photo.label), ".");
  return el("p", { class: "ask" }, "Labelled ", el("em", {}, photo.label), ".");
}

/** A reason as a sentence, with the names in it set off. @param {string} reason */
function sentence(reason) {
  const whole = reason.charAt(0).toUpperCase() + reason.slice(1) + (reason.endsWith(".") ? "" : ".");
  return whole.split("`").map((part, place) => (place % 2 === 1 ? el("em", {}, part) : part));
}

/** @param {Photo} photo @param {HTMLElement} place */
async function similar(photo, place) {
  const card = cardShown;
  try {
    const near = await ask(`/clean/similar?path=${encodeURIComponent(photo.path)}`);
    if (card !== cardShown || near.length === 0) return;
    const cell = (/** @type {[string, string, number]} */ [content, label]) => el("div", {}, el("img", { src: `/thumb/${content}`, alt: "" }), label);
    place.replaceChildren(el("h2", {}, "Most like it"), el("div", { class: "near" }, ...near.slice(0, 8).map(cell)));
  } catch {
    // The card can be decided without.
  }
}

/** Labels that the card can be given: the likeliest first, each with its digit; or those that begin as what is typed.
 * @param {Desk} view @param {Card} card */
function labels(view, card) {
  if (typing) {
    const fits = fitting(view).slice(0, 12);
    const none = fits.length === 0 ? el("p", { class: "soft" }, "No label begins so.") : "";
    return el("div", {}, el("h2", {}, `Label: ${typed}…`, el("kbd", {}, "↵")), none, el("div", { class: "labels" }, ...fits.map((label) => button(label, null, () => relabel(label)))));
  }
  const more = view.labels.length > choices(view, card).length || card.photos.length > 1 ? el("p", { class: "soft" }, el("kbd", {}, "/"), " and how a label begins: any other") : "";
  if (card.photos.length > 1) return view.labels.length <= 12 ? el("div", {}, el("h2", {}, "Another label for all"), el("div", { class: "labels" }, ...view.labels.map((label) => button(label, null, () => relabel(label))))) : more;
  const row = (/** @type {[string, number]} */ [label, probability], /** @type {number} */ place) => [
    el("button", { class: "plain", click: () => relabel(label) }, el("kbd", {}, String(place + 1)), label),
    el("meter", { min: 0, max: 1, value: probability, "aria-label": `${label}: ${(100 * probability).toFixed(0)} percent` }),
    el("span", { class: "n" }, probability > 0 ? `${(100 * probability).toFixed(0)} %` : ""),
  ];
  return el("div", {}, el("h2", {}, "Or another label"), el("div", { class: "odds" }, ...choices(view, card).flatMap(row)), more);
}

/** The labels that digits stand for. @param {Desk} view @param {Card} card @returns {[string, number][]} */
function choices(view, card) {
  const { likely } = card.photos[0];
  return likely.length > 0 ? likely : view.labels.slice(0, 9).map((label) => [label, 0]);
}

/** The labels that begin as what is typed. @param {Desk} view */
const fitting = (view) => view.labels.filter((label) => label.toLowerCase().startsWith(typed.trim().toLowerCase()));

const many = () => (view?.cards[0]?.photos.length ?? 0) > 1;

/** @param {Desk} view */
function applies(view) {
  return view.changes === 0 ? null : el("p", {}, button(`Apply ${view.changes} change${view.changes === 1 ? "" : "s"}`, "A", () => ((mode = "apply"), draw())));
}

/** What the scores promise of the photos that nobody looked at. @param {Desk} view */
function promised(view) {
  if (view.left === 0) return "";
  const others = view.left === 1 ? "the other photo" : `the other ${view.left} photos`;
  const expected = Math.round(view.expected_left);
  const promise = expected === 0 ? `nothing is wrong with ${others}` : `about ${expected} of ${others} ${expected === 1 ? "is" : "are"} wrong`;
  return `By their scores, ${promise}. Fifty at random would tell more.`;
}

/** @param {string} title @param {string} words */
function end(title, words) {
  if (!view) return [];
  const left = view.errors_left;
  const estimate = left ? `Among the photos that nobody looked at there are probably ${Math.round(left.estimate)} mistakes (95 %: ${Math.round(left.interval.low)} to ${Math.round(left.interval.high)}).` : promised(view);
  return [
    el(
      "div",
      { class: "done" },
      el("h1", {}, title),
      el("p", { class: "lead" }, `${words} ${view.decided} decided, ${view.wrong} of them wrong.`),
      el("p", {}, estimate),
      el(
        "div",
        { class: "keys" },
        view.changes > 0 ? button(`Apply ${view.changes} change${view.changes === 1 ? "" : "s"}`, "A", () => ((mode = "apply"), draw()), "do") : el("a", { class: "button do", href: "/train" }, "Train again"),
        view.postponed > 0 ? button(`Look at ${view.postponed} again`, "N", () => ((goesOn = true), act("/clean/again", "again"))) : "",
        view.cards.length > 0 ? button("Look at fifty at random", "R", () => act("/clean/audit", "fifty at random")) : "",
        view.cards.length > 0 ? button("Go on", "G", () => ((goesOn = true), draw())) : "",
        view.can_undo ? button("Undo", "U", undo) : "",
        view.standing > 0 ? button("History", "H", () => go("history")) : "",
      ),
    ),
  ];
}

/** The decisions as a slider: where it is moved to, the review can go back to. */
async function history() {
  if (!desk) return;
  try {
    /** @type {Decision[]} */
    const decisions = await ask("/clean/history");
    const standing = view?.standing ?? decisions.length;
    if (mode !== "history" || decisions.length === 0) return go("card");
    const first = standing - decisions.length;
    const slider = /** @type {HTMLInputElement} */ (el("input", { type: "range", min: 1, max: decisions.length, value: decisions.length, id: "moment", "aria-label": "Decision" }));
    const place = el("div", { class: "moment", "aria-live": "polite" });
    const back = button("", null, () => {
      act("/clean/rewind", "taken back", { standing, to: first + Number(slider.value) });
      go("card");
    });
    const show = () => {
      const at = Number(slider.value);
      const one = decisions[at - 1];
      const became = one.action === "relabel" ? `became ${one.new}` : one.action === "set_aside" ? "was set aside" : `stayed ${one.old}`;
      place.replaceChildren(el("img", { src: `/photo/${one.content}`, alt: one.path }), el("p", {}, el("strong", {}, `${first + at} of ${standing}: `), `${one.path} ${became}`), el("p", { class: "soft" }, new Date(one.time).toLocaleString()));
      back.textContent = at === decisions.length ? "This is the last one" : `Take back the ${decisions.length - at} after it`;
      /** @type {HTMLButtonElement} */ (back).disabled = at === decisions.length;
    };
    slider.addEventListener("input", show);
    show();
    desk.replaceChildren(el("div", { class: "done wide" }, el("h1", {}, "What was decided"), slider, place, el("div", { class: "keys" }, button("Back to the photos", "Esc", () => go("card"), "do"), back)));
    slider.focus();
  } catch (problem) {
    go("card");
    tell(problem);
  }
}

/** What would move, before it does. */
async function apply() {
  if (!desk) return;
  const back = () => {
    mode = "card";
    window.history.replaceState(null, "", "/clean");
    draw();
  };
  try {
    const { count, moves } = await ask("/clean/moves");
    if (mode !== "apply") return;
    const line = (/** @type {any} */ move) => el("li", {}, el("code", {}, move.path), move.action === "relabel" ? ` becomes ${move.to}` : " is set aside");
    desk.replaceChildren(
      el(
        "div",
        { class: "done" },
        el("h1", {}, count === 0 ? "Nothing to apply" : `Move ${count} file${count === 1 ? "" : "s"}?`),
        el("p", { class: "lead" }, "Files are moved, never deleted: what is set aside goes into the folder _set_aside. One press moves them back."),
        el("ul", { class: "files moves", tabindex: 0, "aria-label": "What would move" }, ...moves.map(line), count > moves.length ? el("li", { class: "soft" }, `and ${count - moves.length} more`) : ""),
        el(
          "div",
          { class: "keys" },
          count > 0 ? button("Apply", null, () => ask("/clean/apply", {}).then(back).catch(tell), "do") : "",
          button("Back to the photos", "Esc", back),
          button("Move back what was moved last", null, () => ask("/clean/back", {}).then(back).catch(tell)),
        ),
      ),
    );
  } catch (problem) {
    back();
    tell(problem);
  }
}

document.addEventListener("keydown", (event) => {
  // A key that is held decides one card.
  if (!view || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (mode === "history" && event.key === "Escape") return go("card");
  if (event.target instanceof HTMLInputElement || mode === "history") return;
  const card = view.cards[0];
  const button = event.target instanceof HTMLButtonElement || event.target instanceof HTMLAnchorElement;
  const key = event.key;
  if (mode === "apply") {
    if (key === "Escape") {
      mode = "card";
      draw();
    }
    return;
  }
  const isEnd = !card || (view.is_done && !goesOn && !card.is_audit);
  if (isEnd) {
    if (key === "a" && view.changes > 0) (mode = "apply"), draw();
    if (key === "r" && card) act("/clean/audit", "fifty at random");
    if (key === "g") (goesOn = true), draw();
    if (key === "u") undo();
    if (key === "h" && view.standing > 0) go("history");
    if (key === "n" && view.postponed > 0) (goesOn = true), act("/clean/again", "again");
    return;
  }
  const digit = Number(key) - 1;
  if (typing || key === "/") return type(event);
  if (key === "Enter" && !button) accept();
  else if (key === "k") decide({ choice: "keep" }, "kept");
  else if (key === "x") decide({ choice: "set_aside" }, "set aside");
  else if (key === "n") later();
  else if (key === "s" && (card.is_sheet || view.cluster > 1)) sheet();
  else if (key === "h" && view.standing > 0) go("history");
  else if (key === "u") undo();
  else if (key === "a" && view.changes > 0) (mode = "apply"), draw();
  else if (digit >= 0 && digit < 9 && many() && digit < card.photos.length) {
    if (!away.delete(digit)) away.add(digit);
    draw();
  } else if (digit >= 0 && !many() && digit < choices(view, card).length) relabel(choices(view, card)[digit][0]);
  else return;
  event.preventDefault();
});

/** Typing a label, where there are more than digits. @param {KeyboardEvent} event */
function type(event) {
  if (!view) return;
  event.preventDefault();
  if (!typing) typing = true;
  else if (event.key === "Escape") [typing, typed] = [false, ""];
  else if (event.key === "Backspace") typed = typed.slice(0, -1);
  else if (event.key === "Enter") {
    const begun = typed.trim().toLowerCase();
    const fits = fitting(view);
    const exact = fits.find((label) => label.toLowerCase() === begun) ?? (fits.length === 1 ? fits[0] : null);
    if (exact) return relabel(exact);
    say(`${fits.length} labels begin so`);
  } else if (event.key.length === 1) typed += event.key;
  draw();
}

/** Pixels of the page that a swipe must go to count. */
const SWIPE = 90;
/** Where a finger began, on a photo that is alone on its card. @type {{ x: number, y: number, photo: HTMLElement } | null} */
let swipe = null;

// Under a thumb: to the right keeps the photo, to the left sets it aside. Until the finger is lifted it can be taken back.
desk?.addEventListener("touchstart", (event) => {
  const photo = event.target instanceof Element ? event.target.closest(".photos.one figure") : null;
  const [finger, second] = event.touches;
  swipe = photo instanceof HTMLElement && !second ? { x: finger.clientX, y: finger.clientY, photo } : null;
}, { passive: true });
desk?.addEventListener("touchmove", (event) => {
  if (!swipe) return;
  const [x, y] = [event.touches[0].clientX - swipe.x, event.touches[0].clientY - swipe.y];
  const across = Math.abs(x) > Math.abs(y) ? x : 0;
  swipe.photo.style.transform = `translateX(${across}px)`;
  swipe.photo.dataset.swipe = across > SWIPE ? "keep" : across < -SWIPE ? "away" : "";
}, { passive: true });
for (const name of ["touchend", "touchcancel"]) {
  desk?.addEventListener(name, () => {
    if (!swipe) return;
    const wanted = name === "touchend" ? swipe.photo.dataset.swipe : "";
    swipe.photo.style.transform = "";
    swipe.photo.dataset.swipe = "";
    swipe = null;
    if (wanted === "keep") decide({ choice: "keep" }, "kept");
    if (wanted === "away") decide({ choice: "set_aside" }, "set aside");
  });
}

window.addEventListener("beforeunload", (event) => {
  if (waiting.length > 0) event.preventDefault();
});

listen((message) => {
  const jobs = message.jobs ?? (message.job ? [message.job] : null);
  if (jobs) {
    const was = looking;
    looking = jobs.some((job) => job.status === "running");
    failed = ["failed", "stopped"].includes(jobs.filter((job) => job.kind === "look").pop()?.status ?? "");
    if (!view && was !== looking) draw();
    if (!view && !looking) look();
  }
  // A studio that is there again, or has looked, can take what waits.
  if (["jobs", "looked"].includes(message.event)) wake();
  if (message.event === "decided" && sending) missed = true;
  else if (["looked", "decided", "changed"].includes(message.event)) reload();
  // A card that somebody looks at stays; the new order comes with the next one.
  else if (message.event === "ranked" && !view?.cards.length) reload();
  if (message.event === "folder") {
    view = null;
    draw();
    reload();
  }
});

draw();
