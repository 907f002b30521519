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
  /** The signed result of an ending without success, where it was asked for here or as the session was opened; else null. */
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
  /**
   * Colours and shapes by name: `accent`, `on-accent`, `ground`, `card`, `ink`, `soft`, `line`, `control`, `bad`, `corner`, `font`.
   * The shipped colours are dark where the page's `color-scheme` is.
   */
  colours?: Record<string, string>;
}

/** How a session ended: `code` is null for success. */
export interface Ending {
  code: FaceSessionErrorCode | null;
  redirectUrl: string | null;
}

export interface FaceSessionOptions {
  /** The session's id: alone with `getCaptureUrl`, or with `token`. `captureUrl` carries both. */
  sessionId?: string;
  /** The address that opening the session answered with; it carries the session's capture token in its fragment. */
  captureUrl?: string;
  /** Asks your backend for the address of a session of which the page knows the id alone. */
  getCaptureUrl?(sessionId: string): string | Promise<string>;
  /** The capture token alone. */
  token?: string;
  /** Origin of the Likeness server; by default that of `captureUrl`, else the one this module was loaded from. */
  server?: string;
  /** 1 to 3; anything else is passed over. Can only lower what the session was opened with. */
  maxAttempts?: number;
  /** 1 to 5; anything else is passed over. Can only raise what the session was opened with. */
  minimumMatchLevel?: number;
  /** Have `data` in `onError`, unless the session was opened with `false`. */
  returnDataForIncompleteSession?: boolean;
  onSuccess?(jws: string): void;
  onError?(fault: FaceSessionFault): void;
  onTrace?(event: TraceEvent): void;
  onFinally?(): void;
  /** The buttons of the last screen: keys of texts, and what they do. A dialog has one to close it, where something went wrong. */
  onward?(ending: Ending): [textKey: string, onPress: () => void][];
  /** `en` or `ar`; by default the browser's choice. */
  language?: string;
  /** Texts to put in place of the shipped ones, by key (see texts/en.js). */
  texts?: Record<string, string>;
  assets?: Assets;
  /** Where the dialog is put; by default the page's body. Of `faceSession()` alone. */
  container?: HTMLElement;
}

/**
 * Carry a session out in a dialog over the page; the promise gives the signed result. The dialog closes by itself after a success and
 * when the person cancels. Where something went wrong, it stays until the person closes it.
 */
export declare function faceSession(options: FaceSessionOptions): Promise<string>;

/** Give a client: its `faceSession(options)` lays what it is called with over these options. */
export declare function create(defaults?: FaceSessionOptions): {
  faceSession(options?: FaceSessionOptions): Promise<string>;
};

declare const client: { create: typeof create; faceSession: typeof faceSession };
export default client;

/**
 * `<face-session capture-url="…">`. Attributes: `capture-url`, `session-id`, `token`, `server`, `language`, `max-attempts`,
 * `minimum-match-level`, `return-data-for-incomplete-session`, `manual` (wait for `run()`).
 */
export declare class FaceSession extends HTMLElement {
  /** Laid over the attributes. */
  options: FaceSessionOptions;
  run(): Promise<string>;
  /** End the session; with `ask`, once the person has said yes. */
  cancel(how?: { ask?: boolean }): void;
  addEventListener(
    type: "success",
    listener: (event: CustomEvent<{ jws: string; redirectUrl: string | null }>) => void,
  ): void;
  addEventListener(
    type: "error",
    listener: (event: CustomEvent<FaceSessionFault & { redirectUrl: string | null }>) => void,
  ): void;
  addEventListener(type: "trace", listener: (event: CustomEvent<TraceEvent>) => void): void;
  addEventListener(type: "finally", listener: (event: CustomEvent<null>) => void): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "face-session": FaceSession;
  }
}
