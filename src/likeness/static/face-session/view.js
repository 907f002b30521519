// What is on the screen. It knows no server and no camera: it shows what it is told and calls back.

import { h, icon, svg } from "./dom.js";
import { Oval } from "./oval.js";

const ANNOUNCE_MS = 1200;
const GESTURE_ROOM = 48; // from the edge to the middle of a gesture's badge, with its swing
const TURNS = {
  FACE_LIVENESS_TURN_LEFT: ["turn", "left"],
  FACE_LIVENESS_TURN_RIGHT: ["turn", "right"],
  FACE_LIVENESS_TILT_LEFT: ["tilt", "left"],
  FACE_LIVENESS_TILT_RIGHT: ["tilt", "right"],
};
const HINTS = { closer: "hintCloser", farther: "hintFarther", lookStraight: "hintLookStraight", centre: "hintCentre" };
const BADGES = { success: "done", phone: "phone", camera: "camera", failure: "problem", cancelled: "close" };
const HINTED = new Set(["FACE_INCORRECT_POSITION_DETECTED", "FACE_INCORRECT_DISTANCE_DETECTED", "FACE_INCORRECT_POSE_DETECTED"]);

export class View {
  #say;
  #root;
  #panel = h("div", { class: "panel" });
  #stage;
  #guide = h("p", { class: "guide", tabindex: "-1" });
  #notice = h("p", { class: "notice", role: "alert", hidden: true });
  #spoken = h("p", { class: "spoken", role: "status", "aria-live": "polite" });
  #gesture = h("div", { class: "gesture", "aria-hidden": "true", hidden: true });
  #cameras = h("select", { class: "cameras" });
  #controls = h("div", { class: "controls" });
  #gestureName = null;
  #shape = null;
  #announcing = null;
  #lastSpokenAt = 0;

  constructor(root, say, assets) {
    this.#say = say;
    this.#root = root;
    this.assets = assets;
    this.video = h("video", { playsinline: true, muted: true, disablepictureinpicture: true, "aria-hidden": "true", tabindex: "-1" });
    this.video.muted = true;
    this.#stage = h("div", { class: "stage", hidden: true });
    const room = h("div", { class: "room" });
    this.oval = new Oval({ stage: this.#stage, room, video: this.video }, (shape) => this.#placeGesture(shape));
    const head = h("div", { class: "head" }, h("h1", { class: "spoken" }, say("pageTitle")), this.#guide, this.#notice);
    this.#stage.append(this.video, this.oval.element, room, this.#gesture, head, this.#controls);
    root.replaceChildren(this.#panel, this.#stage, this.#spoken);
  }

  /** Say something to a screen reader, at most once in a while and always the latest. */
  announce(text) {
    clearTimeout(this.#announcing);
    const wait = Math.max(0, this.#lastSpokenAt + ANNOUNCE_MS - Date.now());
    this.#announcing = setTimeout(() => {
      this.#lastSpokenAt = Date.now();
      if (this.#spoken.textContent !== text) this.#spoken.textContent = text;
    }, wait);
  }

  waiting(key, hintKey = null) {
    this.#show("waiting", [h("div", { class: "spinner", "aria-hidden": "true" }), this.#title(key), hintKey && this.#text(hintKey)]);
    this.announce(this.#say(key));
  }

  /** The first screen. Calls `onStart(flash)`, `onPhone()`, `onCancel()`. */
  intro({ hasFlash, flash, onStart, onPhone, onCancel }) {
    const say = this.#say;
    const tips = [["light", "tipLight"], ["face", "tipFace"], ["alone", "tipAlone"]];
    const gentle = h("input", { type: "checkbox", role: "switch", id: "gentle", checked: !flash, "aria-describedby": "gentle-text" });
    const choice = h(
      "div",
      { class: "choice" },
      h("label", { for: "gentle" }, say("flashTitle")),
      gentle,
      h("p", { id: "gentle-text" }, say("flashText")),
    );
    this.#show(
      "intro",
      [
        this.assets.logo ? h("img", { class: "logo", src: this.assets.logo, alt: "" }) : null,
        this.#title("introTitle"),
        this.#text("introLead"),
        h("ul", { class: "tips" }, tips.map(([name, key]) => h("li", {}, icon(name), h("span", {}, say(key))))),
      ],
      [
        hasFlash ? choice : null,
        h(
          "div",
          { class: "actions" },
          this.#button("start", () => onStart(!gentle.checked), "primary"),
          onPhone && this.#button("usePhone", onPhone, "plain", "phone"),
          this.#button("cancel", onCancel, "plain"),
        ),
      ],
    );
  }

  /** A message with actions: a list of [text key, callback, icon]. The first is the main one. `note`: a text key and values. */
  message({ kind, titleKey, textKey, note = null, actions = [] }) {
    const text = this.#say(textKey);
    this.#show(
      kind,
      [
        h("div", { class: `badge ${kind}` }, icon(BADGES[kind])),
        this.#title(titleKey),
        h("p", { class: "lead" }, text),
        note && h("p", { class: "note" }, this.#say(...note)),
      ],
      actions.length ? [h("div", { class: "actions" }, actions.map(([key, call, name], index) => this.#button(key, call, index ? "plain" : "primary", name)))] : [],
    );
    this.announce(`${this.#say(titleKey)}. ${text}`);
  }

  /** Say what went wrong, by its code; `reason` is the code of why, where there is more to say. */
  fault(code, reason = null) {
    const titles = { USER_CANCEL: "cancelledTitle", SESSION_EXPIRED_OR_NOT_FOUND: "expiredTitle" };
    const usedUp = code.startsWith("SESSION_INVALIDATED");
    const known = reason !== null && this.#say.has(reason);
    this.message({
      kind: code === "USER_CANCEL" ? "cancelled" : "failure",
      titleKey: titles[code] ?? (usedUp ? "failedTitle" : "problem"),
      textKey: code === "USER_CANCEL" ? "cancelledText" : known ? reason : code,
      note: usedUp && known ? [code] : null,
    });
  }

  /** A QR code: path data of its dark modules in a square of `size` units. Calls `onBack()`. */
  qr({ size, path }, onBack) {
    const drawn = svg("svg", { viewBox: `0 0 ${size} ${size}`, "shape-rendering": "crispEdges" }, svg("path", { d: path }));
    const code = h("div", { class: "qr", role: "img", "aria-label": this.#say("qrLabel") }, drawn);
    this.#show("qr-screen", [this.#title("qrTitle"), code], [this.#text("qrText"), h("div", { class: "actions" }, this.#button("back", onBack, "plain"))]);
  }

  /** Show the camera. Calls `onCancel()` and `onCamera(deviceId)`. */
  capture({ cameras, current, onCamera, onCancel }) {
    const say = this.#say;
    const names = cameras.map((camera, index) => [camera.deviceId, camera.label || say("cameraNumber", { number: index + 1 })]);
    this.#cameras.replaceChildren(...names.map(([id, name]) => h("option", { value: id, selected: id === current }, name)));
    this.#cameras.setAttribute("aria-label", say("camera"));
    this.#cameras.onchange = () => onCamera(this.#cameras.value);
    this.#controls.replaceChildren(
      ...(names.length > 1 ? [h("label", { class: "chooser" }, icon("camera"), this.#cameras)] : []),
      this.#button("cancel", onCancel, "ghost"),
    );
    this.#panel.hidden = true;
    this.#stage.hidden = false;
    this.#root.dataset.screen = "capture";
    this.paint(null);
    this.guide({ statusCode: "FACE_INCORRECT_POSITION_DETECTED", hint: "centre", oval: null, progress: 0 });
    this.#guide.focus({ preventScroll: true }); // what had the focus is hidden now
  }

  /** Show the server's instruction. */
  guide({ statusCode, hint, oval, progress }) {
    const text = this.#say(HINTED.has(statusCode) && HINTS[hint] ? HINTS[hint] : statusCode);
    if (this.#guide.textContent !== text) {
      this.#guide.textContent = text;
      this.announce(text);
    }
    this.#stage.dataset.status = statusCode;
    this.#stage.dataset.mood = statusCode.endsWith("_DETECTED") ? "asking" : "good";
    this.oval.follow(oval, progress);
    this.#showGesture(TURNS[statusCode]);
  }

  /** Fill everything around the face with a colour; null for the page's own ground. */
  paint(colour) {
    this.#root.style.setProperty("--sheet", colour ?? "");
    this.#root.classList.toggle("flashing", colour !== null);
  }

  /** Lay a notice over the camera picture, or take it away with null. */
  notice(key) {
    this.#notice.textContent = key ? this.#say(key) : "";
    this.#notice.hidden = !key;
    this.#guide.hidden = Boolean(key);
  }

  #showGesture(gesture) {
    const name = gesture?.join("-") ?? null;
    if (name === this.#gestureName) return;
    this.#gestureName = name;
    this.#gesture.hidden = !gesture;
    if (!gesture) return;
    this.#gesture.className = `gesture ${gesture.join(" ")}`;
    this.#gesture.replaceChildren(icon(gesture[0]));
    this.#placeGesture(this.#shape);
  }

  // On the rim of the oval. The picture is a mirror: the person's left is on the left.
  #placeGesture(shape) {
    this.#shape = shape;
    const [kind, side] = this.#gestureName?.split("-") ?? [];
    if (!kind || !shape) return;
    const sign = side === "left" ? -1 : 1;
    const [dx, dy] = kind === "turn" ? [shape.rx, 0] : [shape.rx * 0.72, -shape.ry * 0.7];
    const x = Math.min(Math.max(shape.x + sign * dx, GESTURE_ROOM), this.#stage.clientWidth - GESTURE_ROOM);
    this.#gesture.style.translate = `calc(${x}px - 50%) calc(${shape.y + dy}px - 50%)`;
  }

  /** Show a screen: what it tells, and below or beside it what can be done. */
  #show(screen, told, done = []) {
    this.paint(null);
    this.#stage.hidden = true;
    this.#panel.hidden = false;
    this.#root.dataset.screen = screen;
    this.#panel.replaceChildren(h("div", {}, told), ...(done.length ? [h("div", { class: "act" }, done)] : []));
    this.#panel.querySelector("h1")?.focus({ preventScroll: true });
  }

  #title(key) {
    return h("h1", { tabindex: "-1" }, this.#say(key));
  }

  #text(key) {
    return h("p", { class: "lead" }, this.#say(key));
  }

  #button(key, call, kind, iconName = null) {
    return h("button", { type: "button", class: kind, onclick: call, "data-action": key }, iconName && icon(iconName), h("span", {}, this.#say(key)));
  }
}
