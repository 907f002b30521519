// The window onto the camera: an ellipse that follows the server's oval, in a sheet that shows the flash colours.

import { svg } from "./dom.js";

const EASE = 0.18;
const RING_GAP = 7;
const NEAR = { width: 0.61, height: 0.86 }; // the near oval's size as a fraction of the frame's shorter side
const STEADY = 1.35;

export class Oval {
  #stage;
  #room;
  #video;
  #sheet = svg("path", { class: "sheet", "fill-rule": "evenodd" });
  #rim = svg("ellipse", { class: "rim" });
  #done = svg("path", { class: "done", pathLength: "1" });
  #frame = { width: 640, height: 480 };
  #wanted = null;
  #whole = false;
  #shown = null;
  #moving = null;
  #calm;
  #onMove;

  /**
   * `stage` is the element that it fills, `room` the element in which the window may be, `video` the picture that it
   * places. `onMove` gets each new place of the window.
   */
  constructor({ stage, room, video }, onMove) {
    this.#stage = stage;
    this.#room = room;
    this.#onMove = onMove;
    this.#video = video;
    this.#calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.element = svg("svg", { class: "oval", "aria-hidden": "true" }, this.#sheet, this.#rim, this.#done);
    new ResizeObserver(() => this.#place(true)).observe(stage);
  }

  /** Set the size of the frames that the server gets. The server's coordinates refer to them. */
  setFrame(width, height) {
    if (width === this.#frame.width && height === this.#frame.height) return;
    this.#frame = { width, height };
    this.#place(true);
  }

  /**
   * Move to the server's oval ({x, y, width, height} in pixels of the frame) and show the progress (0..1). `whole`
   * shows the camera's whole picture, for a person who has not found their place in it.
   */
  follow(oval, progress, whole) {
    this.#wanted = oval;
    this.#whole = whole;
    this.#done.style.strokeDasharray = `${progress} 1`;
    this.#place(false);
  }

  #target() {
    const { offsetLeft: left, offsetTop: top, offsetWidth: width, offsetHeight: height } = this.#room;
    const room = { width, height: Math.max(height, 120) };
    const frame = this.#frame;
    const oval = this.#wanted ?? {
      x: frame.width / 2,
      y: frame.height / 2,
      width: frame.height * 0.42,
      height: frame.height * 0.56,
    };
    // Far and near have nearly the same scale, so a person who comes closer sees a larger face.
    const short = Math.min(frame.width, frame.height);
    const steady = STEADY * Math.min(room.width / (NEAR.width * short), room.height / (NEAR.height * short));
    const near = Math.min(steady, room.width / oval.width, room.height / oval.height);
    const all = { width: this.#stage.clientWidth, height: this.#stage.clientHeight };
    const scale = this.#whole ? Math.min(near, all.width / frame.width, all.height / frame.height) : near;
    // The picture is mirrored: the camera's left is shown on the right.
    const centre = this.#whole
      ? { x: all.width / 2, y: all.height / 2 }
      : { x: left + width / 2, y: top + room.height / 2 };
    return {
      x: centre.x,
      y: centre.y,
      rx: (oval.width / 2) * scale,
      ry: (oval.height / 2) * scale,
      left: centre.x - (frame.width - oval.x) * scale,
      top: centre.y - oval.y * scale,
      scale,
    };
  }

  #place(atOnce) {
    if (!this.#stage.clientWidth) return;
    const target = this.#target();
    if (atOnce || this.#calm || !this.#shown) {
      cancelAnimationFrame(this.#moving);
      this.#moving = null;
      this.#draw(target);
      return;
    }
    const step = () => {
      const end = this.#target();
      const now = {};
      let far = 0;
      for (const name of Object.keys(end)) {
        const gap = end[name] - this.#shown[name];
        now[name] = this.#shown[name] + gap * EASE;
        far = Math.max(far, Math.abs(gap));
      }
      this.#draw(far < 0.5 ? end : now);
      this.#moving = far < 0.5 ? null : requestAnimationFrame(step);
    };
    this.#moving ??= requestAnimationFrame(step);
  }

  #draw(shape) {
    this.#shown = shape;
    const { x, y, rx, ry } = shape;
    const { clientWidth: width, clientHeight: height } = this.#stage;
    const hole = `M${x - rx} ${y}a${rx} ${ry} 0 1 0 ${2 * rx} 0a${rx} ${ry} 0 1 0 ${-2 * rx} 0Z`;
    this.#sheet.setAttribute("d", `M0 0H${width}V${height}H0Z${hole}`);
    for (const [name, value] of Object.entries({ cx: x, cy: y, rx, ry })) this.#rim.setAttribute(name, value);
    // From the top, clockwise.
    const [a, b] = [rx + RING_GAP, ry + RING_GAP];
    this.#done.setAttribute("d", `M${x} ${y - b}a${a} ${b} 0 0 1 0 ${2 * b}a${a} ${b} 0 0 1 0 ${-2 * b}`);
    Object.assign(this.#video.style, {
      width: `${this.#frame.width * shape.scale}px`,
      height: `${this.#frame.height * shape.scale}px`,
      left: `${shape.left}px`,
      top: `${shape.top}px`,
    });
    this.#onMove(shape);
  }
}
