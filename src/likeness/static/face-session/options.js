// The caller's options, which are checked before anything is shown.

import { FaceSessionError } from "./errors.js";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Give complete options. Throws FaceSessionError: INVALID_CONFIG, or UNEXPECTED_ERROR if `getCaptureUrl` fails. */
export async function readOptions(given) {
  if (given === null || typeof given !== "object") throw invalid("options must be an object");
  const address = readCaptureUrl(given.captureUrl ?? (given.token ? null : await askForCaptureUrl(given)));
  const sessionId = given.sessionId ?? address?.sessionId;
  const token = given.token ?? address?.token;
  if (typeof sessionId !== "string" || !UUID.test(sessionId)) throw invalid("sessionId must be the session's UUID");
  if (address && address.sessionId !== sessionId) throw invalid("captureUrl is for another session");
  if (typeof token !== "string" || !token) {
    throw invalid("sessionId alone is not enough: give captureUrl, getCaptureUrl or token");
  }
  for (const name of ["onSuccess", "onError", "onTrace", "onFinally", "getCaptureUrl", "onward", "attest"]) {
    if (given[name] != null && typeof given[name] !== "function") throw invalid(`${name} must be a function`);
  }
  for (const name of ["texts", "assets"]) {
    if (given[name] != null && typeof given[name] !== "object") throw invalid(`${name} must be an object`);
  }
  const nothing = () => {};
  return {
    sessionId: sessionId.toLowerCase(),
    token,
    server: readServer(given.server) ?? address?.origin ?? new URL(import.meta.url).origin,
    maxAttempts: integerOrNull(given.maxAttempts, 1, 3),
    minimumMatchLevel: integerOrNull(given.minimumMatchLevel, 1, 5),
    returnDataForIncompleteSession: given.returnDataForIncompleteSession === true,
    onSuccess: given.onSuccess ?? nothing,
    onError: given.onError ?? nothing,
    onTrace: given.onTrace ?? nothing,
    onFinally: given.onFinally ?? nothing,
    onward: given.onward ?? (() => []),
    attest: given.attest ?? null,
    texts: given.texts ?? {},
    assets: given.assets ?? {},
    language: given.language ?? null,
  };
}

async function askForCaptureUrl({ sessionId, getCaptureUrl }) {
  if (typeof getCaptureUrl !== "function") return null;
  try {
    return await getCaptureUrl(sessionId);
  } catch (fault) {
    throw new FaceSessionError("UNEXPECTED_ERROR", `getCaptureUrl failed: ${fault}`);
  }
}

/** Split a captureUrl into its parts. Throws FaceSessionError with INVALID_CONFIG. */
export function readCaptureUrl(text) {
  if (text == null) return null;
  let url;
  try {
    url = new URL(text);
  } catch {
    throw invalid("captureUrl is not a URL");
  }
  const sessionId = url.pathname.split("/").filter(Boolean).at(-1) ?? "";
  return { origin: url.origin, sessionId, token: new URLSearchParams(url.hash.slice(1)).get("token") };
}

function readServer(text) {
  if (text == null) return null;
  try {
    return new URL(text).origin;
  } catch {
    throw invalid("server is not a URL");
  }
}

// A number out of its range is ignored, because it cannot make the limit stricter.
function integerOrNull(value, least, most) {
  return Number.isInteger(value) && value >= least && value <= most ? value : null;
}

function invalid(message) {
  return new FaceSessionError("INVALID_CONFIG", message);
}
