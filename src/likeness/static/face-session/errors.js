// What can go wrong, in the contract's words.

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

/** Why a face session has no success. `data` is the signed result where the session was to give one for every ending. */
export class FaceSessionError extends Error {
  constructor(code, message, data = null) {
    super(message);
    this.name = "FaceSessionError";
    this.code = ERROR_CODES.includes(code) ? code : "UNEXPECTED_ERROR";
    this.data = data;
  }
}

/** Tell a fault of getUserMedia (W3C Media Capture and Streams, §10.2) in the contract's words. */
export function mediaErrorCode(fault) {
  switch (fault?.name) {
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
