// The errors of a face session, with the contract's codes.

/** @import { FaceSessionError as ShippedError, FaceSessionErrorCode } from "./index.js" */

/** @type {readonly FaceSessionErrorCode[]} */
export const ERROR_CODES = Object.freeze([
  "USER_CANCEL",
  "SESSION_EXPIRED_OR_NOT_FOUND",
  "MEDIA_NOT_ALLOWED_ERROR",
  "MEDIA_NOT_FOUND_ERROR",
  "MEDIA_SECURITY_ERROR",
  "MEDIA_UNKNOWN_ERROR",
  "UNAUTHORIZED",
  "FORBIDDEN",
  "INVALID_CONFIG",
  "UNEXPECTED_ERROR",
  "SESSION_INVALIDATED_FACE_RECOGNITION_TOO_MANY_ATTEMPTS",
]);

/**
 * The error of a face session without success. `data` is the signed result, if the session gives one for every ending.
 *
 * @implements {ShippedError}
 */
export class FaceSessionError extends Error {
  constructor(code, message, data = null) {
    super(message);
    this.name = "FaceSessionError";
    this.code = ERROR_CODES.includes(code) ? code : "UNEXPECTED_ERROR";
    this.data = data;
  }
}

/**
 * Turn a fault of getUserMedia (W3C Media Capture and Streams, §10.2) into an error of the contract. Its `advice` is the
 * key of the text that helps the person. Without a better one, it is the code.
 */
export function mediaFault(fault, advice = null) {
  const code = mediaErrorCode(fault?.name);
  const told = advice ?? whoWithholds(code) ?? code;
  return Object.assign(new FaceSessionError(code, fault?.message ?? String(fault)), { advice: told });
}

// Names in the user agent of browsers inside social networks' apps, and of Android's browser inside any app.
const IN_APP =
  /FBA[NV]|FB_IAB|Instagram|\bLine\/|MicroMessenger|LinkedInApp|Snapchat|Twitter|musical_ly|Bytedance|TikTok|Pinterest|; wv\)/i;

function whoWithholds(code) {
  const allowed = /** @type {any} */ (document).featurePolicy?.allowsFeature("camera"); // undefined in some browsers
  if (allowed === false) return "insideFrame";
  if (code !== "MEDIA_NOT_ALLOWED_ERROR" && code !== "MEDIA_SECURITY_ERROR") return null;
  if (IN_APP.test(navigator.userAgent)) return "inAppBrowser";
  return window.top !== window && allowed === undefined ? "insideFrame" : null;
}

function mediaErrorCode(name) {
  switch (name) {
    case "NotAllowedError":
      return "MEDIA_NOT_ALLOWED_ERROR";
    case "NotFoundError":
    case "OverconstrainedError":
      return "MEDIA_NOT_FOUND_ERROR";
    case "SecurityError":
      return "MEDIA_SECURITY_ERROR";
    default:
      return "MEDIA_UNKNOWN_ERROR";
  }
}
