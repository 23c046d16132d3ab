/**
 * The one table of operating errors, and the class that carries them. Every process loads it.
 *
 * A code is stable and is what callers match on, across processes too (never `instanceof`). A message says what
 * failed, what was expected, what came, and what to do next. `docs/reference/errors.md` is tested against the table.
 */

/** Whose mistake it is: the caller's, the function's (or its application's), or the platform's. */
export type Fault = 'caller' | 'function' | 'platform';

export interface ErrorEntry {
  /** HTTP status of the answer; 0 for errors that stop a boot or a command and never become an answer. */
  readonly status: number;
  /** Whether the same request may be sent again as it is. */
  readonly retryable: boolean;
  readonly fault: Fault;
  /** What failed, as the start of a sentence. */
  readonly title: string;
  /** What to do next, as a whole sentence. */
  readonly remedy: string;
}

const entry = (status: number, fault: Fault, retryable: boolean, title: string, remedy: string): ErrorEntry =>
  Object.freeze({ status, fault, retryable, title, remedy });

export const ERRORS = Object.freeze({
  CARTON_CLI_NOT_AN_APPLICATION: entry(0, 'caller', false, 'this directory is not an Egg application', 'Run the command in the application\'s root directory, where package.json and config/ are.'),
  CARTON_CLI_CANNOT_EDIT: entry(0, 'caller', false, 'a file cannot be changed by the command', 'Make the change that the message shows by hand; nothing was written.'),
  CARTON_CLI_BAD_USAGE: entry(0, 'caller', false, 'the command was called wrongly', 'Run `egg-carton --help` for the commands and their options.'),
  CARTON_CLI_PORT_IN_USE: entry(0, 'caller', false, 'the port is taken', 'Stop what listens there, or choose another port with --port.'),

  CARTON_CONFIG_INVALID: entry(0, 'caller', false, 'the configuration of carton is not valid', 'Correct the key in config/config.*.ts; docs/reference/config.md lists them all.'),

  CARTON_FORK_ARGUMENT: entry(0, 'caller', false, 'an argument cannot be handed to a fork', 'Hand over what JSON can hold, in less than 64 KiB; put more into a file, and its path into the argument.'),
  CARTON_FORK_BOOT_FAILED: entry(503, 'function', true, 'a template could not be booted', 'See the host\'s log for the cause; until then instances are spawned.'),
  CARTON_FORK_ENDED: entry(503, 'platform', true, 'a template ended', 'Nothing to do; another one is made for the next launch.'),
  CARTON_FORK_FAILED: entry(503, 'platform', true, 'a template could not fork', 'Look for the limit that is used up: memory, processes, descriptors, or requests to fork at once.'),
  CARTON_FORK_REFUSED: entry(503, 'function', false, 'a template holds what its forks cannot share', 'Close it in a beforeCheckpoint hook and open it again in afterRestore; until then instances are spawned.'),
  CARTON_FORK_TIMEOUT: entry(503, 'function', true, 'a template was not ready in time', 'Find what its boot waits for.'),
  CARTON_FORK_UNAVAILABLE: entry(503, 'platform', false, 'processes cannot be forked here', 'Install on Linux, with a C compiler where no binary fits, or set carton.launcher to "spawn".'),

  CARTON_HOST_NO_FRAMEWORK: entry(0, 'caller', false, 'the framework of the application cannot be found', 'Install it, or correct egg.framework in package.json.'),
  CARTON_HOST_DIRECTORY_UNSAFE: entry(0, 'platform', false, 'the directory for sockets is not safe to use', 'Remove it, or set carton.directory to one that belongs to this user alone.'),
  CARTON_HOST_PATH_TOO_LONG: entry(0, 'caller', false, 'the path of a socket is too long for the operating system', 'Set carton.directory to a shorter path.'),

  CARTON_INGRESS_BAD_PATH: entry(400, 'caller', false, 'the path cannot be decoded', 'Percent-encode the path as UTF-8.'),
  CARTON_INGRESS_BODY_ABORTED: entry(400, 'caller', false, 'the request ended before its body was complete', 'Send as many bytes as Content-Length says, or end the chunked body.'),
  CARTON_INGRESS_BODY_TOO_LARGE: entry(413, 'caller', false, 'the body is too large', 'Send less, or raise bodyLimitBytes in the function\'s spec.'),
  CARTON_INGRESS_CALLER_GONE: entry(499, 'caller', false, 'the caller closed the connection before the answer', 'Nothing to do; the function\'s signal was aborted.'),
  CARTON_INGRESS_CLOSING: entry(503, 'platform', true, 'the host is shutting down', 'Send the request again; another worker or host will take it.'),
  CARTON_INGRESS_METHOD_NOT_ALLOWED: entry(405, 'caller', false, 'the method is not allowed here', 'Use a method that the Allow header lists.'),
  CARTON_INGRESS_ORIGIN_REFUSED: entry(403, 'caller', false, 'the origin may not call functions', 'Call from the same origin, or add the origin to carton.ingress.allowedOrigins.'),
  CARTON_INGRESS_QUEUE_FULL: entry(503, 'platform', true, 'the queue of the function is full', 'Send the request again after Retry-After, or raise queueLimit, concurrency or maxInstances.'),
  CARTON_INGRESS_RATE_LIMITED: entry(429, 'caller', true, 'the rate limit of the function is used up', 'Send the request again after Retry-After, or raise rateLimit in the function\'s spec.'),
  CARTON_INGRESS_ROUTE_SHADOWED: entry(0, 'function', false, 'a function\'s path takes requests from a route of the application', 'Give the function another path, or remove the route once it has moved.'),
  CARTON_INGRESS_UNKNOWN_FUNCTION: entry(404, 'caller', false, 'there is no such function', 'Check the name against the files in app/function.'),
  CARTON_INGRESS_UNSUPPORTED_MEDIA_TYPE: entry(415, 'caller', false, 'the content type is not supported', 'Send the arguments as application/json.'),
  CARTON_INGRESS_USER_REQUIRED: entry(401, 'caller', false, 'the function needs a signed-in user', 'Sign in, or set auth to "optional" or "none" in the function\'s spec.'),
  CARTON_INGRESS_USER_RESOLVER_FAILED: entry(500, 'function', false, 'the user resolver of the application failed', 'Mend carton.resolveUser; the host\'s log has the error with its stack.'),

  CARTON_INSTANCE_BACKING_OFF: entry(503, 'function', true, 'the function failed to start several times and waits before the next try', 'See the launch error in the host\'s log; the next try comes after Retry-After.'),
  CARTON_INSTANCE_CRASHED: entry(502, 'function', false, 'the instance ended while it ran the invocation', 'See the host\'s log for its exit; mark the function idempotent if it may be tried again.'),
  CARTON_INSTANCE_LAUNCH_FAILED: entry(503, 'function', true, 'the instance could not be launched', 'See the host\'s log for the cause.'),
  CARTON_INSTANCE_LAUNCH_TIMEOUT: entry(503, 'function', true, 'the instance was not ready in time', 'Find what its boot waits for, or raise carton.launchTimeoutMs.'),
  CARTON_INSTANCE_UNRESPONSIVE: entry(504, 'function', false, 'the instance did not answer by the deadline and was replaced', 'Look for a loop that never yields.'),

  CARTON_RPC_BAD_FRAME: entry(502, 'platform', false, 'a frame on a session is malformed', 'Run the same version of egg-carton on both sides; a foreign peer was disconnected.'),
  CARTON_RPC_BAD_VALUE: entry(500, 'function', false, 'a value cannot travel to another process', 'Pass data, Buffers, errors, callbacks, streams or signals; objects of other classes only where the client\'s adapter knows them.'),
  CARTON_RPC_CLOSED: entry(503, 'platform', true, 'the session closed before the call ended', 'Call again once the peer is back.'),
  CARTON_RPC_CANCELLED: entry(499, 'caller', false, 'a remote call was cancelled', 'Nothing to do; whoever made the call took it back. It may have had its effect.'),
  CARTON_RPC_CREDIT_EXCEEDED: entry(502, 'platform', false, 'a peer sent more of a stream than it had credit for', 'A foreign peer was disconnected; run the same version on both sides.'),
  CARTON_RPC_DEADLINE: entry(504, 'platform', false, 'a remote call was not answered in time', 'Find what the peer waits for, or allow more time. The call may have had its effect.'),
  CARTON_RPC_FRAME_TOO_LARGE: entry(502, 'platform', false, 'a frame is larger than the limit', 'Send large payloads as streams.'),
  CARTON_RPC_HANDSHAKE_TIMEOUT: entry(503, 'platform', true, 'the peer did not finish the handshake in time', 'Call again; see the host\'s log if it persists.'),
  CARTON_RPC_NO_METHOD: entry(500, 'function', false, 'an object in another process has no such method', 'Check the name against the client\'s own methods.'),
  CARTON_RPC_NO_TARGET: entry(403, 'platform', false, 'there is no such object in the other process, or not for this one', 'Check the name, and whether the function\'s spec names the client.'),
  CARTON_RPC_OBJECT_GONE: entry(500, 'function', false, 'an object in another process has ended', 'Use it only while it lives: a transaction until its commit or rollback, a callback until its call has ended.'),
  CARTON_RPC_PEER_STALLED: entry(503, 'platform', true, 'the peer does not read what it is sent', 'Call again; see what blocks the peer\'s event loop.'),
  CARTON_RPC_THREW: entry(500, 'function', false, 'what was called in another process threw', 'See the error that it threw.'),
  CARTON_RPC_TOO_MANY_CALLS: entry(503, 'platform', true, 'the session has too many open calls', 'Wait for open calls to end.'),
  CARTON_RPC_TOO_MANY_OBJECTS: entry(503, 'platform', true, 'a process holds too many objects for another one', 'End transactions, cursors and the like when they are done.'),
  CARTON_RPC_UNAUTHORIZED: entry(403, 'platform', false, 'the session\'s token does not fit', 'Connect with the token that the host gave to this process.'),
  CARTON_RPC_VALUE_TOO_LARGE: entry(413, 'function', false, 'arguments or result of a remote call are too large', 'Ask for less at once, or use a stream.'),
  CARTON_RPC_VERSION: entry(503, 'platform', false, 'the peer speaks another version of the protocol', 'Run the same version of egg-carton on both sides.'),

  CARTON_RUNTIME_ARGUMENTS_NOT_ARRAY: entry(400, 'caller', false, 'the arguments are not an array', 'Send a JSON array with one element per argument.'),
  CARTON_RUNTIME_BAD_ARGUMENT: entry(400, 'caller', false, 'an argument cannot be read', 'Send the argument in the form that the function\'s http trigger declares.'),
  CARTON_RUNTIME_BAD_JSON: entry(400, 'caller', false, 'the body is not valid JSON', 'Send well-formed JSON in UTF-8.'),
  CARTON_RUNTIME_BUSY: entry(503, 'platform', true, 'the instance runs as many invocations as it may', 'Send the request again after Retry-After.'),
  CARTON_RUNTIME_CANCELLED: entry(499, 'caller', false, 'the invocation was cancelled', 'Nothing to do; the caller went away or took its call back.'),
  CARTON_RUNTIME_CONTEXT_PROPERTY: entry(500, 'function', false, 'a function has no HTTP context', 'Pass the value to the service as an argument, or read ctx.user.'),
  CARTON_RUNTIME_DRAINING: entry(503, 'platform', true, 'the instance is ending and takes no new invocations', 'Send the request again.'),
  CARTON_RUNTIME_FUNCTION_THREW: entry(500, 'function', false, 'the function threw', 'See the function\'s log for the error with its stack.'),
  CARTON_RUNTIME_LOAD_FAILED: entry(500, 'function', false, 'the function could not be loaded', 'Correct the file that the message names and save it.'),
  CARTON_RUNTIME_NOT_A_FUNCTION: entry(404, 'function', false, 'the export is not a function', 'Export a function `(ctx, ...args) => result` under this name.'),
  CARTON_RUNTIME_RESULT_NOT_SERIALIZABLE: entry(500, 'function', false, 'the result is not a JSON value', 'Return a JSON value, an async iterable or a Readable.'),
  CARTON_RUNTIME_RESULT_TOO_LARGE: entry(500, 'function', false, 'the result is too large for one answer', 'Return an async iterable, which is sent as a stream.'),
  CARTON_RUNTIME_STALE: entry(503, 'platform', true, 'the instance runs files that have changed since', 'Send the request again.'),
  CARTON_RUNTIME_TIMEOUT: entry(504, 'function', false, 'the invocation passed its deadline', 'Make the function faster, or raise timeoutMs in its spec.'),

  CARTON_RUNTIME_UNKNOWN_SERVICE: entry(0, 'caller', false, 'there is no such service or method to mock', 'Name an existing service as in ctx.service, such as "user" or "user.profile", and one of its methods.'),

  CARTON_SANDBOX_BAD_BOOT: entry(0, 'platform', false, 'an instance was started without what it needs', 'Instances are started by the host; do not run the entry by hand.'),

  CARTON_SCHEDULER_HOST_FULL: entry(503, 'platform', true, 'the host has no room for another instance', 'Send the request again after Retry-After, or raise carton.maxInstances.'),
  CARTON_SCHEDULER_UNAVAILABLE: entry(503, 'platform', true, 'the scheduler could not be reached in time', 'Send the request again; the agent is restarted by Egg\'s master.'),

  CARTON_SIDECAR_BOOT_FAILED: entry(0, 'function', false, 'the sidecar\'s plugins do not boot', 'See whether what they connect to is up; the sidecar is started again by itself.'),
  CARTON_SIDECAR_CANNOT_TRAVEL: entry(500, 'function', false, 'a client in a sidecar cannot do this for another process', 'Do it as the message says.'),
  CARTON_SIDECAR_LOST: entry(503, 'platform', true, 'the sidecar ended while it worked on a call', 'Call again where that does no harm: the call may have had its effect. The sidecar is started again by itself.'),
  CARTON_SIDECAR_MESSAGES_LOST: entry(503, 'platform', false, 'a subscription was interrupted, and messages may have been missed', 'Nothing to do for the subscription, which is made again by itself; read again what the messages would have told.'),
  CARTON_SIDECAR_SHARED_CONNECTION: entry(500, 'function', false, 'the connection is shared, and its state cannot be changed', 'Configure another client in the plugin\'s own config, with the database, user or options that are wanted. Put WAIT into one pipeline with the writes that it is about.'),
  CARTON_SIDECAR_TOO_MANY_CONNECTIONS: entry(503, 'platform', true, 'a client has too many connections for single users', 'Let blocking commands, subscriptions and watched transactions end, or use fewer at once.'),
  CARTON_SIDECAR_UNAVAILABLE: entry(503, 'platform', true, 'the sidecar could not be reached in time', 'Call again: nothing was sent. See the host\'s log for what keeps the sidecar from starting.'),
  CARTON_SIDECAR_WIRE_BUSY: entry(503, 'platform', true, 'no connection of the sidecar to the database became free in time', 'Send the statement again: nothing was sent. End transactions sooner, or give the client in the sidecar more connections.'),
  CARTON_SIDECAR_WIRE_LOST: entry(503, 'platform', false, 'the sidecar\'s connection to the database ended while it worked on a statement', 'See the database\'s log. The statement may have had its effect, and is not sent again.'),
  CARTON_SIDECAR_WIRE_PREVIOUS: entry(500, 'function', false, 'a statement asks about the one before it, which ran on a connection that others have used since', 'Put both into a transaction or into one request. From now on this connection keeps its own one to the database, so that the same two statements will do.'),
  CARTON_SIDECAR_WIRE_PROTOCOL: entry(502, 'platform', false, 'a connection to the sidecar does not follow the database\'s protocol', 'Use a driver that speaks it; a foreign peer was disconnected.'),
  CARTON_SIDECAR_WIRE_REFUSED: entry(403, 'caller', false, 'the sidecar refused a connection for a database', 'Connect with the user, password and database that the host gave to this process.'),
  CARTON_SIDECAR_WIRE_UNREACHABLE: entry(503, 'platform', true, 'the sidecar could not connect to the database', 'Send the statement again: nothing was sent. See the sidecar\'s log for the cause.'),
  CARTON_SIDECAR_WIRE_UNSUPPORTED: entry(500, 'function', false, 'the sidecar does not pass on what concerns the connection to the database itself', 'Do without it; connections to the database are shared by all functions.'),

  CARTON_SNAPSHOT_BUILD_FAILED: entry(0, 'function', false, 'the application could not be recorded for a snapshot', 'Start the application in the same environment to see the failure; until then it loads without a snapshot.'),
  CARTON_SNAPSHOT_DAMAGED: entry(0, 'platform', false, 'the snapshot is damaged', 'Remove it, or build it again with `egg-carton snapshot`; until then the application loads without it.'),
  CARTON_SNAPSHOT_MISMATCH: entry(0, 'platform', false, 'the snapshot was built for something else', 'Build it with `egg-carton snapshot` from the same files and under the same Node, flags and environment; until then the application loads without it.'),
  CARTON_SNAPSHOT_MISSING: entry(0, 'caller', false, 'there is no snapshot', 'Build one with `egg-carton snapshot`.'),
  CARTON_SNAPSHOT_NOT_WRITTEN: entry(0, 'platform', false, 'the snapshot cannot be written', 'Give the directory space and write permission, or set EGG_CARTON_SNAPSHOT_DIR to one that has them.'),
  CARTON_SNAPSHOT_STALE: entry(0, 'caller', false, 'files differ from those that the snapshot was built from', 'Build it again with `egg-carton snapshot`.'),
  CARTON_SNAPSHOT_UNSAFE: entry(0, 'platform', false, 'the snapshot could be changed by another user', 'Let it and its directory belong to this user or root, with write permission for nobody else.'),

  CARTON_SPEC_DUPLICATE_PATH: entry(0, 'caller', false, 'two functions claim the same method and path', 'Give one of them another path.'),
  CARTON_SPEC_GROUP_DISAGREES: entry(0, 'caller', false, 'functions of one group disagree about a limit that they share', 'Give the limit the same value in each, or in one of them only.'),
  CARTON_SPEC_INVALID: entry(0, 'caller', false, 'a function spec is not valid', 'Correct config/function.ts; docs/reference/config.md lists all keys.'),
  CARTON_SPEC_MISSING_FILE: entry(0, 'caller', false, 'a spec names a function that no file in app/function exports', 'Correct the name, or write the function.'),
  CARTON_SPEC_NAME_INVALID: entry(0, 'caller', false, 'the path of a function\'s file is not a valid name', 'Use letters, digits, "-" and "_" in the names of files and folders.'),
} as const satisfies Record<string, ErrorEntry>);

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorDetail {
  /** What the error is about, such as `function "hello"`. */
  readonly of?: string;
  readonly expected?: string;
  readonly got?: string;
  /** A line of its own, such as the nearest known name or the file and line of a cause. */
  readonly hint?: string;
  /** Milliseconds after which the same request may succeed; becomes `Retry-After`. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
  /** What the function itself threw, for `CARTON_RUNTIME_FUNCTION_THREW`. */
  readonly thrown?: ThrownError;
  /** HTTP status that stands in for the table's, for errors that a function threw with one. */
  readonly status?: number;
}

/** What a caller may learn of an error that a function threw. */
export interface ThrownError {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  /** In development only. */
  readonly stack?: string;
}

/** An operating error from the table. `message` is complete: title, subject, expected, got, remedy. */
export class CartonError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly retryable: boolean;
  readonly fault: Fault;
  readonly retryAfterMs: number | undefined;
  readonly thrown: ThrownError | undefined;

  constructor(code: ErrorCode, detail: ErrorDetail = {}) {
    const row: ErrorEntry = ERRORS[code];
    super(messageOf(row, detail), detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = 'CartonError';
    this.code = code;
    this.status = detail.status ?? row.status;
    this.retryable = row.retryable;
    this.fault = row.fault;
    this.retryAfterMs = detail.retryAfterMs;
    this.thrown = detail.thrown;
  }
}

function messageOf(row: ErrorEntry, detail: ErrorDetail): string {
  const subject = detail.of === undefined ? '' : ` (${detail.of})`;
  const facts = [
    detail.expected === undefined ? undefined : `expected ${detail.expected}`,
    detail.got === undefined ? undefined : `got ${detail.got}`,
  ].filter((fact) => fact !== undefined);
  const told = facts.length === 0 ? '' : `: ${facts.join(', ')}`;
  const hint = detail.hint === undefined ? '' : ` ${detail.hint}`;
  return `${row.title}${subject}${told}.${hint} ${row.remedy}`;
}

/** The code of whatever was thrown, if it is one of the table's. */
export function codeOf(error: unknown): ErrorCode | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : undefined;
}

/** An error's text for a log line or an answer, whatever was thrown. */
export function describe(error: unknown): string {
  try {
    return error instanceof Error ? String(error.message) : String(error);
  } catch {
    // Code that is not ours throws anything, objects without a prototype or with getters that throw among them.
    return 'a value that cannot be shown';
  }
}

/** For a log: with the code, where the error has one of the table's. */
export function describeWithCode(error: unknown): string {
  return error instanceof CartonError ? `${error.code} ${error.message}` : describe(error);
}

/** The same error as it crosses a process boundary: plain data, without its stack. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly status: number;
  readonly retryAfterMs?: number;
  readonly thrown?: ThrownError;
}

export function toWire(error: CartonError): WireError {
  return {
    code: error.code,
    message: error.message,
    status: error.status,
    retryAfterMs: error.retryAfterMs,
    thrown: error.thrown,
  };
}

/** Rebuilds an error that came over the wire; an unknown code becomes `CARTON_RPC_BAD_FRAME`. */
export function fromWire(wire: WireError): CartonError {
  if (!Object.hasOwn(ERRORS, wire.code)) return new CartonError('CARTON_RPC_BAD_FRAME', { got: `error code ${String(wire.code)}` });
  const error = new CartonError(wire.code, { retryAfterMs: wire.retryAfterMs, thrown: wire.thrown, status: wire.status });
  error.message = String(wire.message);
  return error;
}
