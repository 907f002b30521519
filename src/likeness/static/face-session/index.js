// The face session for a page: the function `faceSession()` and the element `<face-session>`.

import { Conductor } from "./conductor.js";
import { h } from "./dom.js";
import { ERROR_CODES, FaceSessionError } from "./errors.js";
import { readOptions } from "./options.js";
import style from "./style.js";
import { chooseLanguage, loadTexts } from "./texts.js";
import { View } from "./view.js";

export { ERROR_CODES, FaceSessionError };

const CLOSE_AFTER_MS = 1400;
const STRING_ATTRIBUTES = { "capture-url": "captureUrl", "session-id": "sessionId", token: "token", server: "server", language: "language" };
const NUMBER_ATTRIBUTES = { "max-attempts": "maxAttempts", "minimum-match-level": "minimumMatchLevel" };

/** A face session in the page. See index.d.ts for its attributes, properties and events. */
export class FaceSession extends HTMLElement {
  #conductor = null;
  #options = null;

  /** Options beyond the attributes: `texts`, `assets`, callbacks. */
  options = {};

  connectedCallback() {
    if (!this.shadowRoot) this.attachShadow({ mode: "open" }).adoptedStyleSheets = [style];
    // A listener added right after the element is put into the page still hears everything.
    if (!this.hasAttribute("manual")) queueMicrotask(() => this.isConnected && this.run().catch(() => {}));
  }

  disconnectedCallback() {
    this.#conductor?.abandon();
    this.#conductor = null;
  }

  /** Carry the session out. Gives the signed result, or throws FaceSessionError; callbacks and events say the same. */
  async run() {
    try {
      const { jws, redirectUrl } = await this.#conduct();
      this.#tell("success", this.#options.onSuccess, jws, { jws, redirectUrl });
      return jws;
    } catch (error) {
      const fault = error instanceof FaceSessionError ? error : new FaceSessionError("UNEXPECTED_ERROR", String(error));
      const { code, message, data } = fault;
      const onError = this.#options?.onError ?? this.options.onError;
      this.#tell("error", onError, { code, message, data }, { code, message, data, redirectUrl: fault.redirectUrl ?? null });
      throw fault;
    } finally {
      this.#tell("finally", this.#options?.onFinally ?? this.options.onFinally, undefined, null);
      this.#conductor = null;
    }
  }

  /** End the session as the person wishes. */
  cancel() {
    this.#conductor?.cancel();
  }

  async #conduct() {
    this.#options = readOptions(this.#collect());
    const { onTrace } = this.#options;
    const language = chooseLanguage(this.#options.language);
    const say = await loadTexts(language, this.#options.texts);
    const root = h("div", { class: "root", lang: language, dir: say.direction });
    const { assets } = this.#options;
    for (const [name, value] of Object.entries(assets.colours ?? {})) this.style.setProperty(`--likeness-${name}`, value);
    this.shadowRoot.replaceChildren(root);
    const tell = (event) => this.#tell("trace", onTrace, event, event);
    this.#conductor = new Conductor({ ...this.#options, onTrace: tell }, new View(root, say, assets), say);
    return this.#conductor.run();
  }

  #collect() {
    const given = {};
    for (const [attribute, name] of Object.entries(STRING_ATTRIBUTES)) given[name] = this.getAttribute(attribute) ?? undefined;
    for (const [attribute, name] of Object.entries(NUMBER_ATTRIBUTES)) {
      if (this.hasAttribute(attribute)) given[name] = Number(this.getAttribute(attribute));
    }
    if (this.hasAttribute("return-data-for-incomplete-session")) given.returnDataForIncompleteSession = true;
    return { ...given, ...this.options };
  }

  #tell(name, callback, argument, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: false }));
    try {
      if (typeof callback === "function") callback(argument);
    } catch (fault) {
      console.error(`face session: the ${name} callback failed`, fault);
    }
  }
}

if (!customElements.get("face-session")) customElements.define("face-session", FaceSession);

/** Carry a session out in a dialog over the page. Gives the signed result, or throws FaceSessionError. */
export function faceSession(options) {
  const outcome = runInDialog(options ?? {});
  outcome.catch(() => {}); // who uses callbacks alone need not handle the promise
  return outcome;
}

async function runInDialog(options) {
  const element = Object.assign(h("face-session", { manual: true }), { options });
  const dialog = h("dialog", { "aria-label": document.title || "Face session" }, element);
  const fullscreen = { position: "fixed", inset: "0", width: "100%", height: "100%", maxWidth: "none", maxHeight: "none", margin: "0", padding: "0", border: "0" };
  Object.assign(dialog.style, fullscreen);
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    element.cancel();
  });
  (options.container ?? document.body).append(dialog);
  dialog.showModal();
  try {
    return await element.run();
  } finally {
    setTimeout(() => dialog.remove(), CLOSE_AFTER_MS);
  }
}
