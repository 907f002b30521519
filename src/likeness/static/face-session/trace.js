// Trace events, in the contract's form.

/** Give a function that passes events to the caller. A fault in the caller's code never ends the session. */
export function tracer(sessionId, onTrace) {
  return (event, { status = "SUCCESS", statusCode = null, statusMessage = null } = {}) => {
    const told = {
      sessionId,
      category: "FACE_SESSION",
      event,
      status,
      page: "FACE",
      statusCode,
      statusMessage,
      timestamp: new Date().toISOString(),
    };
    try {
      onTrace(told);
    } catch (fault) {
      console.error("face session: onTrace failed", fault);
    }
  };
}
