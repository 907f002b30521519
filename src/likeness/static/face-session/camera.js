// The camera: opens it, chooses among several, and takes one picture for each new camera frame.

import { mediaFault } from "./errors.js";

const JPEG_QUALITY = 0.85;
const PICTURE_MS = 12_000; // a slow camera or computer needs so long for its first picture
const LOOK_MS = 60;
const LOOK_SIDE = 320;

export class Camera {
  #video;
  #stream = null;
  #live = false;
  #canvas = document.createElement("canvas");
  #context = this.#canvas.getContext("2d", { alpha: false });
  #taken = new Uint8Array();
  #onLost;

  /** `video` shows the picture. `onLost` is called when the camera is lost. */
  constructor(video, onLost) {
    this.#video = video;
    this.#onLost = onLost;
  }

  /** Whether the open camera has proved that it gives pictures. */
  get isLive() {
    return this.#live;
  }

  /** The open camera's name in the system. */
  get label() {
    return this.#stream?.getVideoTracks()[0]?.label ?? "";
  }

  get deviceId() {
    return this.#stream?.getVideoTracks()[0]?.getSettings?.().deviceId ?? null;
  }

  /**
   * Open the camera that faces the person, or a chosen one. Then wait with `prove` for its pictures. Throws
   * FaceSessionError with a MEDIA_ code.
   */
  async open(deviceId = null) {
    this.close();
    if (!navigator.mediaDevices?.getUserMedia) {
      throw mediaFault({ name: "SecurityError", message: "the camera needs a secure context" });
    }
    const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" };
    const wanted = { ...which, width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: wanted });
      this.#stream.getVideoTracks()[0].addEventListener("ended", this.#onLost);
      this.#video.srcObject = this.#stream;
      this.#video.play().catch(() => {}); // `prove` notices a failure, because no pictures come
    } catch (fault) {
      this.close();
      throw mediaFault(fault);
    }
  }

  /**
   * Wait for two different pictures: the pictures of a real camera differ by their noise. Throws FaceSessionError with a
   * MEDIA_ code.
   */
  async prove() {
    const stream = this.#stream;
    this.#taken = new Uint8Array();
    let end = performance.now() + PICTURE_MS;
    for (let pictures = 0; pictures < 2;) {
      if (this.#stream !== stream) return; // closed meanwhile
      if (document.hidden) end = performance.now() + PICTURE_MS;
      if (performance.now() > end) {
        this.close();
        throw pictures
          ? mediaFault({ message: "the camera's picture does not change" }, "cameraStill")
          : withoutPicture();
      }
      if (await this.take(LOOK_SIDE)) pictures += 1;
      else await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    this.#live = this.#stream === stream;
  }

  close() {
    this.#live = false;
    for (const track of this.#stream?.getTracks() ?? []) {
      track.removeEventListener("ended", this.#onLost);
      track.stop();
    }
    this.#stream = null;
    this.#video.srcObject = null;
  }

  /** Give the cameras. The browser gives their names only after one was opened. */
  async list() {
    const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
    return devices.filter((device) => device.kind === "videoinput" && device.deviceId);
  }

  /** Give what the browser says about the open camera, in the words of the socket's `track`. */
  async facts() {
    const track = this.#stream?.getVideoTracks()[0];
    const { width, height, frameRate, deviceId } = track?.getSettings?.() ?? {};
    const most = track?.getCapabilities?.() ?? {};
    const listed = (await this.list()).map((device) => device.deviceId);
    return {
      kind: track?.constructor.name.slice(0, 64),
      listed: deviceId && listed.length ? listed.includes(deviceId) : null,
      native: isNative(navigator.mediaDevices.getUserMedia),
      width,
      height,
      frameRate,
      mostWidth: most.width?.max,
      mostHeight: most.height?.max,
      mostFrameRate: most.frameRate?.max,
    };
  }

  /** Wait for the camera's next picture. Give its time by the camera's clock in milliseconds, and its number, if known. */
  nextPicture() {
    const video = this.#video;
    if ("requestVideoFrameCallback" in HTMLVideoElement.prototype) {
      return new Promise((resolve) =>
        video.requestVideoFrameCallback((_now, facts) =>
          resolve({ media: facts && 1000 * facts.mediaTime, number: facts?.presentedFrames }),
        ),
      );
    }
    const seen = video.currentTime;
    return new Promise((resolve) => {
      const look = () => (video.currentTime === seen ? requestAnimationFrame(look) : resolve({}));
      requestAnimationFrame(look);
    });
  }

  /**
   * Take the current picture as JPEG bytes, its long side at most `longSide` pixels. Give null if there is no new one.
   * A busy browser may draw a picture before it announces it, and so gives it twice. The server would take the copy for
   * an injected picture.
   */
  async take(longSide) {
    const { videoWidth, videoHeight } = this.#video;
    if (!videoWidth) return null;
    const scale = Math.min(1, longSide / Math.max(videoWidth, videoHeight));
    const width = Math.round(videoWidth * scale);
    const height = Math.round(videoHeight * scale);
    if (this.#canvas.width !== width || this.#canvas.height !== height) Object.assign(this.#canvas, { width, height });
    this.#context.drawImage(this.#video, 0, 0, width, height);
    const blob = await new Promise((resolve) => this.#canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
    const bytes = blob && new Uint8Array(await blob.arrayBuffer());
    if (!bytes || equal(bytes, this.#taken)) return null;
    this.#taken = bytes;
    return { bytes, width, height };
  }
}

/** The fault of an open camera that gives no picture. */
export function withoutPicture() {
  return mediaFault({ message: "the camera gives no picture" }, "cameraWithoutPicture");
}

function isNative(call) {
  return /\{\s*\[native code\]\s*\}\s*$/.test(Function.prototype.toString.call(call));
}

function equal(some, others) {
  return some.length === others.length && some.every((byte, index) => byte === others[index]);
}
