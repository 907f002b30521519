// The socket to the server, which connects again after a loss of the connection.

const RETRY_MS = [300, 700, 1500, 2500];
const GIVE_UP_MS = 60_000;
const SILENCE_MS = 12_000;
const ATTEST_MS = 7000; // the server waits ten seconds for the hello
const PROTOCOL = { http: "ws", https: "wss" };

export class Transport {
  #options;
  #handlers;
  #socket = null;
  #device;
  #storageKey;
  #lostAt = null;
  #tries = 0;
  #timer = null;
  #silence = null;
  #closed = false;
  #watching = false;
  #keys;
  #nonce = "";

  /** `handlers`: onMessage(message), onLost(), onGone(). */
  constructor(options, handlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#storageKey = `likeness:${options.sessionId}`;
    this.#device = recall(this.#storageKey);
    this.#keys = makeKeys();
  }

  connect() {
    const { server, sessionId, token, maxAttempts, minimumMatchLevel, returnDataForIncompleteSession } = this.#options;
    const [scheme, rest] = server.split("://");
    const socket = new WebSocket(`${PROTOCOL[scheme] ?? "wss"}://${rest}/api/v1/capture/${sessionId}`);
    socket.binaryType = "arraybuffer";
    const tightened = { maxAttempts, minimumMatchLevel };
    const hello = {
      type: "hello",
      token,
      device: this.#device,
      watch: this.#watching,
      ...tightened,
      returnDataForIncompleteSession,
    };
    socket.onopen = async () => {
      const key = (await this.#keys)?.shown;
      const attestation = await this.#attest(key);
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ ...hello, key, attestation }));
    };
    socket.onmessage = (event) => this.#hear(socket, event);
    socket.onclose = () => this.#lose(socket);
    this.#socket = socket;
  }

  // The token of the app around the page, if there is one. Without it, the result says so.
  async #attest(key) {
    const { attest, sessionId } = this.#options;
    if (!attest || !key) return undefined;
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${sessionId}.${key}`));
    const late = new Promise((resolve) => setTimeout(resolve, ATTEST_MS));
    try {
      const token = await Promise.race([attest(base64url(digest)), late]);
      return typeof token === "string" ? token : undefined;
    } catch {
      return undefined;
    }
  }

  /** Send one message, if there is a connection. Expects an answer within some seconds. */
  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify(message));
    this.#expectAnswer();
  }

  /**
   * Sign and send one frame: two bytes of header length, the header, the JPEG. Expects an answer within some seconds. Give
   * whether it was sent.
   */
  async sendFrame(jpeg, header) {
    const socket = this.#socket;
    const signature = await sign(await this.#keys, this.#nonce, jpeg);
    if (socket !== this.#socket || socket?.readyState !== WebSocket.OPEN) return false;
    const head = new TextEncoder().encode(JSON.stringify({ ...header, signature }));
    const packed = new Uint8Array(2 + head.length + jpeg.length);
    new DataView(packed.buffer).setUint16(0, head.length);
    packed.set(head, 2);
    packed.set(jpeg, 2 + head.length);
    socket.send(packed);
    this.#expectAnswer();
    return true;
  }

  #expectAnswer() {
    this.#silence ??= setTimeout(() => this.#socket?.close(), SILENCE_MS);
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#socket?.close();
  }

  #hear(socket, event) {
    if (socket !== this.#socket || this.#closed) return;
    clearTimeout(this.#silence);
    this.#silence = null;
    const message = JSON.parse(event.data);
    if (message.type !== "error") {
      this.#lostAt = null;
      this.#tries = 0;
    }
    if (message.done) this.#expectAnswer(); // the decision
    if (message.type === "elsewhere") this.#watching = true;
    if (message.type === "ready") {
      this.#watching = false;
      this.#device = message.device;
      this.#nonce = message.nonce;
      remember(this.#storageKey, message.device);
    }
    this.#handlers.onMessage(message);
  }

  #lose(socket) {
    if (socket !== this.#socket || this.#closed) return;
    clearTimeout(this.#silence);
    this.#silence = null;
    this.#lostAt ??= Date.now();
    if (Date.now() - this.#lostAt > GIVE_UP_MS) {
      this.close();
      this.#handlers.onGone();
      return;
    }
    this.#handlers.onLost();
    const wait = RETRY_MS[Math.min(this.#tries++, RETRY_MS.length - 1)];
    this.#timer = setTimeout(() => this.connect(), wait);
  }
}

// The key that signs the frames. Its private half cannot leave the browser. Without a secure context there is none, and no
// camera either.
async function makeKeys() {
  if (!crypto.subtle) return null;
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const { privateKey, publicKey } = await crypto.subtle.generateKey(algorithm, false, ["sign"]);
  return { privateKey, shown: base64url(await crypto.subtle.exportKey("raw", publicKey)) };
}

async function sign(keys, nonce, jpeg) {
  if (!keys) return null;
  const start = new TextEncoder().encode(nonce);
  const signed = new Uint8Array(start.length + jpeg.length);
  signed.set(start);
  signed.set(jpeg, start.length);
  return base64url(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, keys.privateKey, signed));
}

function base64url(buffer) {
  const text = btoa(String.fromCharCode(...new Uint8Array(buffer)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// The device's key survives a reload of the page only. If storage is forbidden, a reload makes a new device.
function recall(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

function remember(key, device) {
  try {
    sessionStorage.setItem(key, device);
  } catch {
    // Then a reload makes a new device.
  }
}
