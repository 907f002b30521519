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
  /** The signed result of an ending without success, if these options or the session ask for it, else null. */
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
  /** Address of an image above the first screen. */
  logo?: string;
  /**
   * Colours and shapes by name: `accent`, `on-accent`, `ground`, `card`, `ink`, `soft`, `line`, `control`, `bad`,
   * `corner`, `font`. The default colours are dark if the page's `color-scheme` is dark.
   */
  colours?: Record<string, string>;
}

/** The end of a session. `code` is null for success. */
export interface Ending {
  code: FaceSessionErrorCode | null;
  redirectUrl: string | null;
}

export interface FaceSessionOptions {
  /** The session's id, together with `getCaptureUrl` or `token`. `captureUrl` contains both id and token. */
  sessionId?: string;
  /** The address in the server's answer when you open the session. Its fragment has the session's capture token. */
  captureUrl?: string;
  /** Asks your backend for the `captureUrl` of a session, if the page knows only its id. */
  getCaptureUrl?(sessionId: string): string | Promise<string>;
  /** The capture token alone. */
  token?: string;
  /** Origin of the Likeness server. By default that of `captureUrl`, else the origin of this module. */
  server?: string;
  /** 1 to 3. Other values are ignored. It can only lower the session's own number. */
  maxAttempts?: number;
  /** 1 to 5. Other values are ignored. It can only raise the session's own level. */
  minimumMatchLevel?: number;
  /** Ask for `data` in `onError`. It has no effect if the session was opened with `false`. */
  returnDataForIncompleteSession?: boolean;
  onSuccess?(jws: string): void;
  onError?(fault: FaceSessionFault): void;
  onTrace?(event: TraceEvent): void;
  onFinally?(): void;
  /**
   * Gives the buttons of the last screen: keys of texts, and functions. By default a dialog has a close button after an
   * error.
   */
  onward?(ending: Ending): [textKey: string, onPress: () => void][];
  /**
   * Gives the token in which the platform of the app around this page vouches for it and signs `nonce`. It may take seven
   * seconds. Only servers that verify attestations look at it.
   */
  attest?(nonce: string): string | undefined | Promise<string | undefined>;
  /** `en` or `ar`. By default the browser's language. */
  language?: string;
  /** Texts that replace the shipped ones, by key (see texts/en.js). */
  texts?: Record<string, string>;
  assets?: Assets;
  /** The element that gets the dialog. By default the page's body. Only for `faceSession()`. */
  container?: HTMLElement;
}

/**
 * Carry out a session in a dialog over the page. The promise gives the signed result, or rejects with FaceSessionError.
 * The dialog closes after a success, and when the person cancels. After an error it stays until the person closes it.
 */
export declare function faceSession(options: FaceSessionOptions): Promise<string>;

/** Give a client with default options. Options of its `faceSession(options)` replace them. */
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
  /** Options that replace those of the attributes. */
  options: FaceSessionOptions;
  run(): Promise<string>;
  /** End the session. With `ask`, the person must confirm first. */
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
  interface Window {
    /** An app that shows the capture page may define it: it is the page's `attest`. */
    likenessAttest?: FaceSessionOptions["attest"];
  }
  interface HTMLElementTagNameMap {
    "face-session": FaceSession;
  }
}
