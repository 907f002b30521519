// The face session for a page: the function `faceSession()` and the element `<face-session>`.

/** @import { FaceSession as ShippedElement, FaceSessionOptions } from "./index.js" */

import { Conductor } from "./conductor.js";
import { h } from "./dom.js";
import { ERROR_CODES, FaceSessionError } from "./errors.js";
import { readOptions } from "./options.js";
import style from "./style.js";
import { chooseLanguage, loadTexts } from "./texts.js";
import { View } from "./view.js";

export { ERROR_CODES, FaceSessionError };

const CLOSE_AFTER_MS = 1400;
const STRING_ATTRIBUTES = {
  "capture-url": "captureUrl",
  "session-id": "sessionId",
  token: "token",
  server: "server",
  language: "language",
};
const NUMBER_ATTRIBUTES = { "max-attempts": "maxAttempts", "minimum-match-level": "minimumMatchLevel" };

/**
 * A face session in the page. See index.d.ts for its attributes, properties and events.
 *
 * @implements {ShippedElement}
 */
export class FaceSession extends HTMLElement {
  #conductor = null;

  /**
   * Options beyond the attributes: `texts`, `assets`, callbacks.
   *
   * @type {FaceSessionOptions}
   */
  options = {};

  connectedCallback() {
    if (!this.shadowRoot) this.attachShadow({ mode: "open" }).adoptedStyleSheets = [style];
    // So a listener that is added right after the element still gets every event.
    if (!this.hasAttribute("manual")) queueMicrotask(() => this.isConnected && this.run().catch(() => {}));
  }

  disconnectedCallback() {
    this.#conductor?.abandon();
    this.#conductor = null;
  }

  /** Carry out the session. Give the signed result, or throw FaceSessionError. Callbacks and events get the same. */
  async run() {
    const given = this.#collect();
    try {
      const { jws, redirectUrl } = await this.#conduct(given);
      this.#tell("success", given.onSuccess, jws, { jws, redirectUrl });
      return jws;
    } catch (error) {
      const fault = error instanceof FaceSessionError ? error : new FaceSessionError("UNEXPECTED_ERROR", String(error));
      /** @type {FaceSessionError & { redirectUrl?: string | null }} */
      const { code, message, data, redirectUrl = null } = fault;
      this.#tell("error", given.onError, { code, message, data }, { code, message, data, redirectUrl });
      throw fault;
    } finally {
      this.#tell("finally", given.onFinally, undefined, null);
      this.#conductor = null;
    }
  }

  /** End the session because the person cancels it. With `ask`, the person must confirm first. */
  cancel({ ask = false } = {}) {
    if (ask) this.#conductor?.askToCancel();
    else this.#conductor?.cancel();
  }

  async #conduct(given) {
    const view = await this.#show(given);
    let options;
    try {
      view.waiting("connecting");
      options = await readOptions(given);
    } catch (fault) {
      view.fault(fault.code, {
        actions: typeof given.onward === "function" ? given.onward({ code: fault.code, redirectUrl: null }) : [],
      });
      throw fault;
    }
    if (!this.isConnected) throw new FaceSessionError("USER_CANCEL", "the page was left");
    const onTrace = (event) => this.#tell("trace", given.onTrace, event, event);
    this.#conductor = new Conductor({ ...options, onTrace }, view);
    return this.#conductor.run();
  }

  async #show({ language, texts, assets }) {
    const chosen = chooseLanguage(language);
    const say = await loadTexts(chosen, texts ?? {});
    for (const [name, value] of Object.entries(assets?.colours ?? {}))
      this.style.setProperty(`--likeness-${name}`, value);
    const root = h("div", { class: "root", lang: chosen, dir: say.direction });
    this.shadowRoot.replaceChildren(root);
    return new View(root, say, assets ?? {});
  }

  /** @returns {FaceSessionOptions} */
  #collect() {
    const given = {};
    for (const [attribute, name] of Object.entries(STRING_ATTRIBUTES))
      given[name] = this.getAttribute(attribute) ?? undefined;
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

/**
 * Carry out a session in a dialog over the page. Give the signed result, or throw FaceSessionError.
 *
 * @type {typeof import("./index.js").faceSession}
 */
export function faceSession(options) {
  const outcome = runInDialog(options ?? {});
  outcome.catch(() => {}); // a caller that uses only callbacks need not handle the promise
  return outcome;
}

/**
 * Give a client with default options. Options of its `faceSession(options)` replace them.
 *
 * @type {typeof import("./index.js").create}
 */
export function create(defaults = {}) {
  return { faceSession: (options) => faceSession({ ...defaults, ...options }) };
}

export default { create, faceSession };

async function runInDialog(options) {
  const element = h("face-session", { manual: true });
  const dialog = h("dialog", { "aria-label": document.title || "Face session" }, element);
  const fullscreen = {
    position: "fixed",
    inset: "0",
    width: "100%",
    height: "100%",
    maxWidth: "none",
    maxHeight: "none",
    margin: "0",
    padding: "0",
    border: "0",
  };
  Object.assign(dialog.style, fullscreen);
  let over = false;
  const close = () => {
    dialog.close(); // this returns the focus
    dialog.remove();
  };
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    if (over) close();
    else element.cancel({ ask: true });
  });
  // An error stays until the person has read it.
  const staysOpen = (code) => code !== null && code !== "USER_CANCEL";
  element.options = { onward: ({ code }) => (staysOpen(code) ? [["close", close]] : []), ...options };
  (options.container ?? document.body).append(dialog);
  dialog.showModal();
  try {
    const jws = await element.run();
    setTimeout(close, CLOSE_AFTER_MS);
    return jws;
  } catch (fault) {
    if (!staysOpen(fault.code)) setTimeout(close, CLOSE_AFTER_MS);
    throw fault;
  } finally {
    over = true;
  }
}
