// All photos as dots: like lies beside like. Dots are drawn into a buffer of pixels, which takes a few milliseconds for a hundred
// thousand of them; a line drawn around some selects them.

/** What there is to draw, by the place of a photo in the list.
 * @typedef {{ colour: (photo: number) => number, shown: (photo: number) => boolean, selected: (photo: number) => boolean }} Look */
/** @typedef {{ select: (photos: number[]) => void, pick: (photo: number) => void, hover: (photo: number, x: number, y: number) => void }} Heard */

/** A photo that has no place. */
const NOWHERE = 65535;
/** How far from a dot a press counts, in pixels of the page. */
const REACH = 12;
const EDGE = 12;

/** Colours that are told apart on paper and on ink, also by most who see colours differently. */
export const COLOURS = [0x2f8f6f, 0xd0691f, 0x3b74c8, 0xb04a8b, 0x8a7a1c, 0x1f9aa8, 0x8855c9, 0xc0392b, 0x6b6f6a, 0x5c8f2f];

/** From calm to what wants to be looked at. @param {number} score 0 to 1 */
export function heat(score) {
  const mixed = [16, 8, 0].map((shift) => {
    const [calm, hot] = [0x9aa39b, 0xc4401a].map((colour) => (colour >> shift) & 255);
    return Math.round(calm + (hot - calm) * Math.min(1, Math.max(0, score))) << shift;
  });
  return mixed[0] | mixed[1] | mixed[2];
}

export class PhotoMap {
  /** @param {HTMLCanvasElement} canvas @param {Look} look @param {Heard} heard */
  constructor(canvas, look, heard) {
    this.canvas = canvas;
    this.look = look;
    this.heard = heard;
    /** Two numbers for each photo. */
    this.places = new Uint16Array(0);
    /** The line that is being drawn, in pixels of the page. @type {[number, number][]} */
    this.line = [];
    this.isDrawing = false;
    this.due = 0;
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", () => this.end());
    canvas.addEventListener("pointercancel", () => this.stop());
    canvas.addEventListener("pointerleave", () => this.heard.hover(-1, 0, 0));
  }

  /** @param {ArrayBuffer} bytes */
  put(bytes) {
    this.places = new Uint16Array(bytes);
    this.draw();
  }

  /** Draws with the next frame. */
  draw() {
    cancelAnimationFrame(this.due);
    this.due = requestAnimationFrame(() => this.paint());
  }

  /** Where a photo lies, in pixels of the page. @param {number} photo @param {number} width @param {number} height */
  at(photo, width, height) {
    const side = Math.min(width, height) - 2 * EDGE;
    const [left, top] = [(width - side) / 2, (height - side) / 2];
    return [left + (this.places[2 * photo] / NOWHERE) * side, top + (this.places[2 * photo + 1] / NOWHERE) * side];
  }

  paint() {
    const { canvas, places } = this;
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const context = canvas.getContext("2d");
    if (!context || width === 0 || height === 0) return;
    [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
    const image = context.createImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    const count = places.length / 2;
    // Few dots are larger.
    const dot = Math.max(2, Math.round((count < 1500 ? 7 : 4) * scale));
    // What is filtered away lies below, what is selected above.
    for (const layer of [0, 1, 2]) {
      for (let photo = 0; photo < count; photo++) {
        if (places[2 * photo] === NOWHERE) continue;
        const of = !this.look.shown(photo) ? 0 : this.look.selected(photo) ? 2 : 1;
        if (of !== layer) continue;
        const [x, y] = this.at(photo, width, height);
        const colour = this.look.colour(photo);
        const ink = ((layer === 0 ? 0x28 : 0xff) << 24) | ((colour & 255) << 16) | (colour & 0xff00) | (colour >> 16);
        if (layer === 2) square(pixels, canvas, x * scale, y * scale, dot + 4, 0xff1446e0);
        square(pixels, canvas, x * scale, y * scale, dot, ink);
      }
    }
    context.putImageData(image, 0, 0);
    if (this.line.length > 1) {
      context.scale(scale, scale);
      context.beginPath();
      this.line.forEach(([x, y], place) => (place === 0 ? context.moveTo(x, y) : context.lineTo(x, y)));
      context.closePath();
      context.fillStyle = "rgb(164 72 20 / .12)";
      context.strokeStyle = "#a44814";
      context.fill();
      context.stroke();
    }
  }

  /** @param {PointerEvent} event */
  begin(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.line = [[event.offsetX, event.offsetY]];
    this.isDrawing = true;
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (this.isDrawing) {
      this.line.push([event.offsetX, event.offsetY]);
      this.draw();
    } else {
      this.heard.hover(this.nearest(event.offsetX, event.offsetY), event.offsetX, event.offsetY);
    }
  }

  end() {
    if (!this.isDrawing) return;
    const line = this.line;
    this.stop();
    const [[x, y]] = line;
    const isPress = line.every(([a, b]) => Math.hypot(a - x, b - y) < 4);
    if (isPress) {
      const photo = this.nearest(x, y);
      if (photo >= 0) this.heard.pick(photo);
      return;
    }
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const inside = [];
    for (let photo = 0; photo < this.places.length / 2; photo++) {
      if (this.places[2 * photo] === NOWHERE || !this.look.shown(photo)) continue;
      const [a, b] = this.at(photo, width, height);
      if (isInside(line, a, b)) inside.push(photo);
    }
    this.heard.select(inside);
  }

  /** Forgets the line that is being drawn. */
  stop() {
    this.isDrawing = false;
    this.line = [];
    this.draw();
  }

  /** The photo at a place, -1 if there is none. @param {number} x @param {number} y */
  nearest(x, y) {
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    let [best, least] = [-1, REACH];
    for (let photo = 0; photo < this.places.length / 2; photo++) {
      if (this.places[2 * photo] === NOWHERE || !this.look.shown(photo)) continue;
      const [a, b] = this.at(photo, width, height);
      const far = Math.hypot(a - x, b - y);
      if (far < least) [best, least] = [photo, far];
    }
    return best;
  }
}

/** @param {Uint32Array} pixels @param {{ width: number, height: number }} size @param {number} x @param {number} y @param {number} side @param {number} ink */
function square(pixels, { width, height }, x, y, side, ink) {
  const [left, top] = [Math.round(x - side / 2), Math.round(y - side / 2)];
  const [from, to] = [Math.max(0, left), Math.min(width, left + side)];
  for (let row = Math.max(0, top); row < Math.min(height, top + side); row++) pixels.fill(ink, row * width + from, row * width + to);
}

/** Whether a place is inside of a closed line: it is if a ray from it crosses the line an odd number of times.
 * @param {[number, number][]} line @param {number} x @param {number} y */
function isInside(line, x, y) {
  let inside = false;
  for (let at = 0, before = line.length - 1; at < line.length; before = at++) {
    const [[ax, ay], [bx, by]] = [line[at], line[before]];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}
