// The course of a session in the browser: it shows the server's messages, and sends the person's actions to the server.
// It decides nothing: the server guides, judges and ends the session.

import { Camera, withoutPicture } from "./camera.js";
import { FaceSessionError, mediaFault } from "./errors.js";
import { tracer } from "./trace.js";
import { Transport } from "./transport.js";

const CANCEL_WAIT_MS = 3000;
const STALL_MS = 6000; // longest time without a new picture; the server gives up the attempt after eight seconds
const FAILURE = /_(DETECTED|FAILED|TIMEOUT|NO_MATCH|UNUSABLE)$/;

export class Conductor {
  #options;
  #view;
  #trace;
  #camera;
  #transport;
  #outcome;
  #settle;
  #phase = "connecting";
  #ready = null;
  #flash = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  #credit = 0;
  #pumping = false;
  #painted = null;
  #tracedCode = null;
  #cameraId = null;
  #pictureAt = 0;
  #watch = null;

  constructor(options, view) {
    this.#options = options;
    this.#view = view;
    this.#trace = tracer(options.sessionId, options.onTrace);
    this.#camera = new Camera(view.video, () => this.#onCameraLost());
    this.#transport = new Transport(options, {
      onMessage: (message) => this.#hear(message),
      onLost: () => this.#onLost(),
      onGone: () => this.#fail("UNEXPECTED_ERROR", "the server cannot be reached"),
    });
    this.#outcome = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
  }

  /** Carry out the session. Give `{jws, redirectUrl}`, or throw FaceSessionError. */
  run() {
    this.#trace("INIT");
    this.#view.waiting("connecting");
    this.#transport.connect();
    return this.#outcome;
  }

  /** Ask the person whether to end the session. */
  askToCancel() {
    if (this.#phase !== "over" && this.#phase !== "cancelling") this.#view.askToCancel(() => this.cancel());
  }

  /** End the session because the person cancels it. */
  cancel() {
    if (this.#phase === "over" || this.#phase === "cancelling") return;
    this.#phase = "cancelling";
    this.#camera.close();
    this.#view.waiting("checking");
    this.#transport.send({ type: "cancel" });
    setTimeout(() => this.#fail("USER_CANCEL", "cancelled by the user"), CANCEL_WAIT_MS);
  }

  /** Leave without a message to the server: the element was removed from the page. */
  abandon() {
    this.#fail("USER_CANCEL", "the page was left");
  }

  #hear(message) {
    if (this.#phase === "over") return;
    const hear = {
      ready: () => this.#onReady(message),
      elsewhere: () => this.#onElsewhere(),
      started: () => this.#onStarted(message),
      busy: () => this.#onBusy(message),
      instruct: () => this.#onInstruct(message),
      skipped: () => this.#grant(message.credit),
      attempt: () => this.#onAttemptFailed(message),
      qr: () => this.#view.qr(message, () => this.#showIntro()),
      end: () => this.#onEnd(message),
      error: () => this.#onError(message),
    }[message.type];
    hear?.();
  }

  #onReady(message) {
    this.#ready = message;
    this.#view.notice(null);
    if (this.#phase === "cancelling") {
      this.#transport.send({ type: "cancel" });
    } else if (message.underWay && this.#camera.isLive) {
      this.#phase = "capturing";
      this.#credit = 0;
      this.#grant(message.credit);
    } else if (message.underWay) {
      this.#openCamera(); // the page was loaded again in the middle of an attempt
    } else if (message.failed) {
      // The attempt failed while the connection was lost.
      this.#onAttemptFailed({ statusCode: message.failed, attemptsLeft: message.attemptsLeft });
    } else if (this.#phase === "opening") {
      if (this.#camera.isLive) this.#askToStart(); // an earlier request may not have arrived
    } else if (this.#phase !== "problem" && this.#phase !== "between") {
      this.#showIntro();
    }
  }

  #showIntro() {
    this.#phase = "intro";
    this.#camera.close();
    this.#view.intro({
      hasFlash: this.#ready.flash,
      flash: this.#flash,
      privacy: this.#ready.privacy,
      onStart: (flash) => {
        this.#flash = flash;
        this.#openCamera();
      },
      onPhone: isDesktop() ? () => this.#askForQr() : null,
      onCancel: () => this.askToCancel(),
    });
    this.#trace("VIEW");
  }

  #askForQr() {
    this.#transport.send({ type: "qr" });
  }

  // An attempt begins only after the camera has given pictures.
  async #openCamera(deviceId = this.#cameraId) {
    this.#phase = "opening";
    this.#cameraId = deviceId;
    const actions = [["cancel", () => this.askToCancel()]];
    this.#view.waiting("waitingForCamera", { hintKey: "waitingForCameraHint", actions });
    try {
      await this.#camera.open(deviceId);
      if (this.#phase === "opening") this.#view.waiting("startingCamera", { actions });
      await this.#camera.prove();
    } catch (fault) {
      if (this.#phase === "opening") this.#onMediaFault(fault);
      return;
    }
    if (this.#phase !== "opening") {
      this.#camera.close();
      return;
    }
    await this.#showCapture();
    if (this.#ready.underWay) {
      this.#ready.underWay = false;
      this.#phase = "capturing";
      this.#grant(this.#ready.credit);
    } else {
      this.#askToStart();
    }
  }

  async #askToStart() {
    const camera = this.#camera.label.slice(0, 200) || null;
    const track = await this.#camera.facts();
    if (this.#phase === "opening") this.#transport.send({ type: "start", flash: this.#flash, camera, track });
  }

  async #showCapture() {
    this.#view.capture({
      cameras: await this.#camera.list(),
      current: this.#camera.deviceId,
      onCancel: () => this.askToCancel(),
      onCamera: (deviceId) => this.#changeCamera(deviceId),
    });
  }

  async #changeCamera(deviceId) {
    this.#cameraId = deviceId;
    try {
      await this.#camera.open(deviceId);
      await this.#camera.prove();
      this.#pump();
    } catch (fault) {
      this.#onMediaFault(fault);
    }
  }

  async #onMediaFault(fault) {
    if (this.#phase === "over" || this.#phase === "cancelling") return;
    this.#phase = "problem";
    this.#camera.close();
    this.#trace("START", { status: "FAILURE", statusCode: fault.code, statusMessage: fault.message });
    const cameras = await this.#camera.list();
    if (this.#phase !== "problem") return;
    const elsewhere = {
      inAppBrowser: [["copyLink", () => this.#copyLink()]],
      insideFrame: [["openTab", () => open(this.#captureUrl, "_blank", "noopener")]],
    };
    this.#view.message({
      kind: "camera",
      titleKey: "cameraProblem",
      textKey: fault.advice,
      cameras: { cameras, current: this.#cameraId, onCamera: (deviceId) => this.#openCamera(deviceId) },
      actions: [
        ...(elsewhere[fault.advice] ?? []),
        ["retry", () => this.#openCamera()],
        ...(isDesktop() ? [["usePhone", () => this.#askForQr(), "phone"]] : []),
        ["leave", () => this.#fail(fault.code, fault.message)],
      ],
    });
  }

  get #captureUrl() {
    const { server, sessionId, token } = this.#options;
    return `${server}/capture/${sessionId}#${new URLSearchParams({ token })}`;
  }

  async #copyLink() {
    try {
      await navigator.clipboard.writeText(this.#captureUrl);
      this.#view.note("linkCopied");
    } catch {
      this.#view.note(null, this.#captureUrl); // the person can copy it by hand
    }
  }

  #onCameraLost() {
    if (this.#phase === "capturing" || this.#phase === "opening") {
      this.#onMediaFault(mediaFault({ message: "the camera was taken away" }));
    }
  }

  #onStarted(message) {
    this.#phase = "capturing";
    this.#credit = 0;
    this.#tracedCode = null;
    this.#painted = null;
    this.#view.notice(null);
    this.#trace("START");
    this.#grant(message.credit);
  }

  #onBusy(message) {
    this.#view.notice("busy");
    setTimeout(() => this.#phase === "opening" && this.#askToStart(), message.retryAfterSeconds * 1000);
  }

  #onInstruct(message) {
    if (this.#phase !== "capturing") return;
    this.#view.guide(message);
    this.#paint(message);
    if (message.statusCode !== this.#tracedCode) {
      this.#tracedCode = message.statusCode;
      const status = FAILURE.test(message.statusCode) ? "FAILURE" : "SUCCESS";
      this.#trace("IN_PROGRESS", { status, statusCode: message.statusCode });
    }
    if (message.done) {
      this.#phase = "deciding";
      this.#camera.close();
      this.#view.waiting("checking");
    } else {
      this.#grant(message.credit);
    }
  }

  // A colour counts as shown two animation frames after it was set: the first draws it, the second follows its display.
  #paint({ colour, flashIndex }) {
    this.#view.paint(colour);
    requestAnimationFrame(() => requestAnimationFrame(() => (this.#painted = flashIndex)));
  }

  #grant(credit) {
    this.#credit += credit;
    this.#pump();
  }

  async #pump() {
    if (this.#pumping) return;
    this.#pumping = true;
    this.#pictureAt = performance.now();
    this.#watch ??= setInterval(() => this.#lookForStall(), 1000);
    try {
      while (this.#phase === "capturing" && this.#credit > 0 && this.#camera.isLive) {
        const { media, number } = await this.#camera.nextPicture();
        const header = { t: performance.timeOrigin + performance.now(), flash: this.#painted, media, number };
        const picture = await this.#camera.take(this.#ready.frame.longSide);
        if (!picture || this.#phase !== "capturing" || this.#credit <= 0) continue;
        this.#pictureAt = performance.now();
        this.#view.oval.setFrame(picture.width, picture.height);
        if (!(await this.#transport.sendFrame(picture.bytes, header))) break;
        this.#credit -= 1;
      }
    } finally {
      this.#pumping = false;
    }
  }

  // Notice a camera that stops during an attempt. The attempt continues if pictures come again before the server ends it.
  #lookForStall() {
    if (!this.#pumping || document.hidden) this.#pictureAt = performance.now();
    const stalled = this.#phase === "capturing" && performance.now() - this.#pictureAt > STALL_MS;
    if (stalled && this.#camera.isLive) this.#onMediaFault(withoutPicture());
  }

  #onAttemptFailed({ statusCode, attemptsLeft, advice = null }) {
    this.#phase = "between";
    this.#camera.close();
    this.#trace("COMPLETE", { status: "FAILURE", statusCode });
    this.#view.message({
      kind: "failure",
      titleKey: "attemptTitle",
      textKey: statusCode,
      notes: [...(advice ? [[advice]] : []), ["attemptsLeft", { count: attemptsLeft }]],
      actions: [
        ["retry", () => this.#showIntro()],
        ["cancel", () => this.askToCancel()],
      ],
    });
  }

  // A server that is full or starting closes the connection. The transport connects again.
  #onError({ code, message }) {
    if (code !== "SERVICE_UNAVAILABLE") this.#fail(code, message);
  }

  #onElsewhere() {
    if (this.#phase === "cancelling") return;
    const stillBusy = this.#phase === "elsewhere";
    this.#phase = "elsewhere";
    this.#camera.close();
    this.#view.message({
      kind: "phone",
      titleKey: "elsewhereTitle",
      textKey: stillBusy ? "elsewhereBusy" : "elsewhereText",
      actions: [["useThisDevice", () => this.#transport.send({ type: "take" })]],
    });
  }

  #onLost() {
    this.#credit = 0;
    if (this.#phase === "capturing" || this.#phase === "opening") this.#view.notice("reconnecting");
    else if (this.#phase === "connecting" || this.#phase === "deciding") {
      this.#view.waiting("reconnecting", { actions: [["cancel", () => this.askToCancel()]] });
    }
  }

  #onEnd({ code, statusCode, jws, redirectUrl }) {
    if (code) {
      this.#fail(code, statusCode ?? code, jws, redirectUrl, statusCode);
      return;
    }
    this.#trace("COMPLETE");
    this.#stop("FINISH", {});
    this.#view.message({
      kind: "success",
      titleKey: "successTitle",
      textKey: redirectUrl ? "redirecting" : "successText",
      actions: this.#options.onward({ code: null, redirectUrl }),
    });
    this.#settle.resolve({ jws, redirectUrl });
  }

  #fail(code, message, jws = null, redirectUrl = null, reason = null) {
    if (this.#phase === "over") return;
    const fault = Object.assign(new FaceSessionError(code, message, jws), { redirectUrl });
    if (fault.code === "USER_CANCEL") this.#trace("SKIP", { status: "FAILURE", statusCode: fault.code });
    else this.#trace("COMPLETE", { status: "FAILURE", statusCode: reason ?? fault.code, statusMessage: message });
    this.#stop("FINISH", { status: "FAILURE", statusCode: fault.code });
    this.#view.fault(fault.code, {
      reason,
      leaves: Boolean(redirectUrl),
      actions: this.#options.onward({ code: fault.code, redirectUrl }),
    });
    this.#settle.reject(fault);
  }

  #stop(event, details) {
    this.#phase = "over";
    clearInterval(this.#watch);
    this.#camera.close();
    this.#transport.close();
    this.#trace(event, details);
  }
}

/** Whether this looks like a desktop computer. Then a phone can continue the session. */
function isDesktop() {
  return !matchMedia("(pointer: coarse)").matches;
}
