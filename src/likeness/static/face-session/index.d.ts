/** The face session for a page: `faceSession()` and `<face-session>`. */

export type FaceSessionErrorCode =
  | "USER_CANCEL"
  | "SESSION_EXPIRED_OR_NOT_FOUND"
  | "MEDIA_NOT_ALLOWED_ERROR"
  | "MEDIA_NOT_FOUND_ERROR"
  | "MEDIA_SECURITY_ERROR"
  | "MEDIA_UNKNOWN_ERROR"
  | "UNAUTHORIZED"
  | "FORBIDDEN"
  | "INVALID_CONFIG"
  | "UNEXPECTED_ERROR"
  | "SESSION_INVALIDATED_FACE_RECOGNITION_TOO_MANY_ATTEMPTS";

export declare const ERROR_CODES: readonly FaceSessionErrorCode[];

export interface FaceSessionFault {
  code: FaceSessionErrorCode;
  message: string;
  /** The signed result of an ending without success, where session and caller asked for it; else null. */
  data: string | null;
}

export declare class FaceSessionError extends Error implements FaceSessionFault {
  readonly code: FaceSessionErrorCode;
  readonly data: string | null;
}

export interface TraceEvent {
  sessionId: string;
  category: "FACE_SESSION";
  event: "INIT" | "VIEW" | "START" | "IN_PROGRESS" | "COMPLETE" | "SKIP" | "FINISH";
  status: "SUCCESS" | "FAILURE";
  page: "FACE";
  /** A status code such as FACE_NO_MATCH or FACE_LIVENESS_MOVE_CLOSER, or an error code. */
  statusCode: string | null;
  statusMessage: string | null;
  /** ISO 8601, UTC. */
  timestamp: string;
}

export interface Assets {
  /** Address of an image shown above the first screen. */
  logo?: string;
  /** Colours and shapes by name: `accent`, `on-accent`, `ground`, `card`, `ink`, `soft`, `line`, `bad`, `corner`, `font`. */
  colours?: Record<string, string>;
}

export interface FaceSessionOptions {
  /** The session's id. Together with `token`, or leave both and give `captureUrl`. */
  sessionId?: string;
  /** The address that opening the session answered with; it carries the session's capture token in its fragment. */
  captureUrl?: string;
  /** The capture token alone. */
  token?: string;
  /** Origin of the Likeness server; by default that of `captureUrl`, else the one this module was loaded from. */
  server?: string;
  /** 1 to 3. Can only lower what the session was opened with. */
  maxAttempts?: number;
  /** 1 to 5. Can only raise what the session was opened with. */
  minimumMatchLevel?: number;
  /** Have `data` in `onError`; the session must have been opened with it too. */
  returnDataForIncompleteSession?: boolean;
  onSuccess?(jws: string): void;
  onError?(fault: FaceSessionFault): void;
  onTrace?(event: TraceEvent): void;
  onFinally?(): void;
  /** `en` or `ar`; by default the browser's choice. */
  language?: string;
  /** Texts to put in place of the shipped ones, by key (see texts/en.js). */
  texts?: Record<string, string>;
  assets?: Assets;
  /** Where the dialog is put; by default the page's body. Of `faceSession()` alone. */
  container?: HTMLElement;
}

/** Carry a session out in a dialog over the page; the promise gives the signed result. */
export declare function faceSession(options: FaceSessionOptions): Promise<string>;

/**
 * `<face-session capture-url="…">`. Attributes: `capture-url`, `session-id`, `token`, `server`, `language`, `max-attempts`,
 * `minimum-match-level`, `return-data-for-incomplete-session`, `manual` (wait for `run()`).
 */
export declare class FaceSession extends HTMLElement {
  /** Laid over the attributes. */
  options: FaceSessionOptions;
  run(): Promise<string>;
  cancel(): void;
  addEventListener(type: "success", listener: (event: CustomEvent<{ jws: string; redirectUrl: string | null }>) => void): void;
  addEventListener(type: "error", listener: (event: CustomEvent<FaceSessionFault & { redirectUrl: string | null }>) => void): void;
  addEventListener(type: "trace", listener: (event: CustomEvent<TraceEvent>) => void): void;
  addEventListener(type: "finally", listener: (event: CustomEvent<null>) => void): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "face-session": FaceSession;
  }
}
