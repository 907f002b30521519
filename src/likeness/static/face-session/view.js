// The screens. They know no server and no camera: they show what the caller gives them, and call back.

import { h, icon, svg } from "./dom.js";
import { Oval } from "./oval.js";

const ANNOUNCE_MS = 1200;
const LOST_MS = 700; // a face counts as lost only after this time without it
const UNPLACED = new Set([
  "FACE_NOT_DETECTED",
  "FACE_MULTIPLE_FACES_DETECTED",
  "FACE_INCORRECT_POSITION_DETECTED",
  "FACE_DARK_ENVIRONMENT_DETECTED",
  "FACE_BRIGHT_ENVIRONMENT_DETECTED",
]);
const GESTURE_ROOM = 48; // pixels from the edge to the middle of a gesture's badge, with its movement
const TURNS = {
  FACE_LIVENESS_TURN_LEFT: ["turn", "left"],
  FACE_LIVENESS_TURN_RIGHT: ["turn", "right"],
  FACE_LIVENESS_TILT_LEFT: ["tilt", "left"],
  FACE_LIVENESS_TILT_RIGHT: ["tilt", "right"],
};
const HINTS = {
  closer: "hintCloser",
  farther: "hintFarther",
  lookStraight: "hintLookStraight",
  left: "hintLeft",
  right: "hintRight",
  up: "hintUp",
  down: "hintDown",
};
const WAYS = new Set(["left", "right", "up", "down"]);
const BADGES = { success: "done", phone: "phone", camera: "camera", failure: "problem", cancelled: "close" };
const HINTED = new Set([
  "FACE_INCORRECT_POSITION_DETECTED",
  "FACE_INCORRECT_DISTANCE_DETECTED",
  "FACE_INCORRECT_POSE_DETECTED",
]);

export class View {
  #say;
  #root;
  #panel = h("div", { class: "panel" });
  #stage;
  #guide = h("p", { class: "guide", tabindex: "-1" });
  #notice = h("p", { class: "notice", role: "alert", hidden: true });
  #spoken = h("p", { class: "spoken", role: "status", "aria-live": "polite" });
  #gesture = h("div", { class: "gesture", "aria-hidden": "true", hidden: true });
  #controls = h("div", { class: "controls" });
  #gestureName = null;
  #shape = null;
  #announcing = null;
  #lastSpokenAt = 0;
  #placedAt = -Infinity;
  #question = null;

  constructor(root, say, assets) {
    this.#say = say;
    this.#root = root;
    this.assets = assets;
    this.video = h("video", {
      playsinline: true,
      muted: true,
      disablepictureinpicture: true,
      "aria-hidden": "true",
      tabindex: "-1",
    });
    this.video.muted = true;
    this.#stage = h("div", { class: "stage", hidden: true });
    const room = h("div", { class: "room" });
    this.oval = new Oval({ stage: this.#stage, room, video: this.video }, (shape) => this.#placeGesture(shape));
    const head = h("div", { class: "head" }, h("h1", { class: "spoken" }, say("pageTitle")), this.#guide, this.#notice);
    this.#stage.append(this.video, this.oval.element, room, this.#gesture, head, this.#controls);
    root.replaceChildren(this.#panel, this.#stage, this.#spoken);
  }

  /** Give a text to a screen reader. In quick succession, only the latest text is read. */
  announce(text) {
    clearTimeout(this.#announcing);
    const wait = Math.max(0, this.#lastSpokenAt + ANNOUNCE_MS - Date.now());
    this.#announcing = setTimeout(() => {
      this.#lastSpokenAt = Date.now();
      if (this.#spoken.textContent !== text) this.#spoken.textContent = text;
    }, wait);
  }

  waiting(key, { hintKey = null, actions = [] } = {}) {
    this.#show(
      "waiting",
      [h("div", { class: "spinner", "aria-hidden": "true" }), this.#title(key), hintKey && this.#text(hintKey)],
      this.#actions(actions, "plain"),
    );
    this.announce(this.#say(key));
  }

  /** Ask whether to cancel. Calls `onYes()`. */
  askToCancel(onYes) {
    if (this.#question) return;
    const answer = (call) => () => {
      this.#question.close();
      call?.();
    };
    const title = h("h2", { id: "question" }, this.#say("cancelTitle"));
    const actions = this.#actions([
      ["keepGoing", answer()],
      ["cancelNow", answer(onYes)],
    ]);
    this.#question = h(
      "dialog",
      { class: "question", "aria-labelledby": "question" },
      title,
      this.#text("cancelText"),
      ...actions,
    );
    this.#question.addEventListener("close", () => {
      this.#question.remove();
      this.#question = null;
    });
    this.#root.append(this.#question);
    this.#question.showModal();
  }

  /** The first screen. Calls `onStart(flash)`, `onPhone()`, `onCancel()`. */
  intro({ hasFlash, flash, privacy, onStart, onPhone, onCancel }) {
    const say = this.#say;
    const tips = [
      ["light", "tipLight"],
      ["face", "tipFace"],
      ["alone", "tipAlone"],
    ];
    const gentle = h("input", {
      type: "checkbox",
      role: "switch",
      id: "gentle",
      checked: !flash,
      "aria-describedby": "gentle-text",
    });
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
        h(
          "ul",
          { class: "tips" },
          tips.map(([name, key]) => h("li", {}, icon(name), h("span", {}, say(key)))),
        ),
        privacy && this.#privacy(privacy),
      ],
      [
        hasFlash ? choice : null,
        ...this.#actions([
          ["start", () => onStart(!gentle.checked)],
          ...(onPhone ? [["usePhone", onPhone, "phone"]] : []),
          ["cancel", onCancel],
        ]),
      ],
    );
  }

  /**
   * A message with actions: a list of [text key, callback, icon]. The first is the main one. `notes` are text keys with
   * values. `cameras` is a choice as for `capture`.
   */
  message({ kind, titleKey, textKey, notes = [], cameras = null, actions = [] }) {
    this.#question?.close();
    const text = this.#say(textKey);
    this.#show(
      kind,
      [
        h("div", { class: `badge ${kind}` }, icon(BADGES[kind])),
        this.#title(titleKey),
        h("p", { class: "lead" }, text),
        h(
          "div",
          { class: "notes", role: "status" },
          notes.map((note) => h("p", { class: "note" }, this.#say(...note))),
        ),
      ],
      [cameras && this.#chooser(cameras), ...this.#actions(actions)],
    );
    this.announce(`${this.#say(titleKey)}. ${text}`);
  }

  /** Show a note below the present message: a text by its key, or `text` in no language. */
  note(key, text = null) {
    this.#panel.querySelector(".notes")?.replaceChildren(h("p", { class: "note" }, text ?? this.#say(key)));
  }

  /** Show an error by its code. `reason` is a more exact code. `leaves`: the page opens another address by itself. */
  fault(code, { reason = null, leaves = false, actions = [] } = {}) {
    const titles = { USER_CANCEL: "cancelledTitle", SESSION_EXPIRED_OR_NOT_FOUND: "expiredTitle" };
    const usedUp = code.startsWith("SESSION_INVALIDATED");
    const known = reason !== null && this.#say.has(reason);
    this.message({
      kind: code === "USER_CANCEL" ? "cancelled" : "failure",
      titleKey: titles[code] ?? (usedUp ? "failedTitle" : "problem"),
      textKey: code === "USER_CANCEL" ? "cancelledText" : known ? reason : code,
      notes: [...(usedUp && known ? [[code]] : []), ...(leaves ? [["takingBack"]] : [])],
      actions,
    });
  }

  /** A QR code: path data of its dark modules in a square of `size` units. Calls `onBack()`. */
  qr({ size, path }, onBack) {
    const drawn = svg(
      "svg",
      { viewBox: `0 0 ${size} ${size}`, "shape-rendering": "crispEdges" },
      svg("path", { d: path }),
    );
    const code = h("div", { class: "qr", role: "img", "aria-label": this.#say("qrLabel") }, drawn);
    this.#show(
      "qr-screen",
      [this.#title("qrTitle"), code],
      [this.#text("qrText"), ...this.#actions([["back", onBack]], "plain")],
    );
  }

  /** Show the camera. Calls `onCancel()`, and `onCamera(deviceId)` if there are several `cameras`. */
  capture({ cameras, current, onCamera, onCancel }) {
    const chooser = this.#chooser({ cameras, current, onCamera });
    this.#controls.replaceChildren(...(chooser ? [chooser] : []), this.#button("cancel", onCancel, "ghost"));
    this.#panel.hidden = true;
    this.#panel.replaceChildren();
    this.#stage.hidden = false;
    this.#root.dataset.screen = "capture";
    this.paint(null);
    this.#placedAt = -Infinity;
    this.guide({ statusCode: "FACE_INCORRECT_POSITION_DETECTED", hint: null, colour: null, oval: null, progress: 0 });
    this.#guide.focus({ preventScroll: true }); // the element that had the focus is hidden now
  }

  /** Show the server's instruction. */
  guide({ statusCode, hint, colour, oval, progress }) {
    const text = this.#say(HINTED.has(statusCode) && HINTS[hint] ? HINTS[hint] : statusCode);
    if (this.#guide.textContent !== text) {
      this.#guide.textContent = text;
      this.announce(text);
    }
    this.#stage.dataset.status = statusCode;
    this.#stage.dataset.mood = statusCode.endsWith("_DETECTED") ? "asking" : "good";
    if (!UNPLACED.has(statusCode)) this.#placedAt = performance.now();
    const seeking = !colour && performance.now() - this.#placedAt > LOST_MS;
    this.#stage.classList.toggle("seeking", seeking);
    this.oval.follow(oval, progress, seeking);
    this.#showGesture(TURNS[statusCode] ?? (WAYS.has(hint) ? ["move", hint] : null));
  }

  /** Fill everything around the face with a colour. Null is the page's own ground. */
  paint(colour) {
    this.#root.style.setProperty("--sheet", colour ?? "");
    this.#root.classList.toggle("flashing", colour !== null);
  }

  /** Show a notice over the camera picture, or remove it with null. */
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

  // Place the badge on the rim of the oval. The picture is a mirror: the person's left is on the left.
  #placeGesture(shape) {
    this.#shape = shape;
    const [kind, side] = this.#gestureName?.split("-") ?? [];
    if (!kind || !shape) return;
    const [across, down] = { left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1] }[side];
    const [dx, dy] = kind === "tilt" ? [across * 0.72, -0.7] : [across, down];
    const gap = kind === "move" ? GESTURE_ROOM : 0; // beside the oval, so that it does not cover the face
    const x = Math.min(Math.max(shape.x + dx * (shape.rx + gap), GESTURE_ROOM), this.#stage.clientWidth - GESTURE_ROOM);
    this.#gesture.style.translate = `calc(${x}px - 50%) calc(${shape.y + dy * (shape.ry + gap)}px - 50%)`;
  }

  /** Show a screen: its contents, and the actions below or beside them. */
  #show(screen, told, done = []) {
    this.paint(null);
    this.#stage.hidden = true;
    this.#panel.hidden = false;
    this.#root.dataset.screen = screen;
    const act = h("div", { class: "act" }, done);
    this.#panel.replaceChildren(h("div", {}, told), ...(act.childElementCount ? [act] : []));
    this.#panel.querySelector("h1")?.focus({ preventScroll: true });
  }

  #title(key) {
    return h("h1", { tabindex: "-1" }, this.#say(key));
  }

  #text(key) {
    return h("p", { class: "lead" }, this.#say(key));
  }

  /** Who asks, what for, and how long pictures stay, as the tenant and the server say it. */
  #privacy({ name, purpose, url, pictureMinutes, enrolledDays }) {
    const say = this.#say;
    const why = purpose[say.language];
    const told = [
      name && say("privacyAsks", { name: isolated(name) }),
      why && say("privacyPurpose", { purpose: isolated(why) }),
      say("privacyDeleted", { minutes: pictureMinutes }),
      enrolledDays > 0 && say("privacyEnrolled", { days: enrolledDays }),
      enrolledDays === 0 && say("privacyEnrolledOpen"),
    ];
    const notice = { href: url, target: "_blank", rel: "noopener noreferrer" };
    return h(
      "section",
      { class: "privacy", "aria-label": say("privacy") },
      told.filter(Boolean).map((text) => h("p", {}, text)),
      url && h("p", {}, h("a", notice, say("privacyNotice"))),
    );
  }

  #actions(list, first = "primary") {
    const buttons = list.map(([key, call, name], index) => this.#button(key, call, index ? "plain" : first, name));
    return buttons.length ? [h("div", { class: "actions" }, buttons)] : [];
  }

  #chooser({ cameras, current, onCamera }) {
    if (cameras.length < 2) return null;
    const name = (camera, index) => camera.label || this.#say("cameraNumber", { number: index + 1 });
    const options = cameras.map((camera, index) =>
      h("option", { value: camera.deviceId, selected: camera.deviceId === current }, name(camera, index)),
    );
    const select = h("select", { class: "cameras", "aria-label": this.#say("camera") }, options);
    select.addEventListener("change", () => onCamera(select.value));
    return h("label", { class: "chooser" }, icon("camera"), select);
  }

  #button(key, call, kind, iconName = null) {
    return h(
      "button",
      { type: "button", class: kind, onclick: call, "data-action": key },
      iconName && icon(iconName),
      h("span", {}, this.#say(key)),
    );
  }
}

/** Keep the direction of a text of others from changing that of the line around it. */
function isolated(text) {
  return `\u2068${text}\u2069`;
}
