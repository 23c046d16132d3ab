/**
 * Errors that come from another process, checked before anything is done with them: an instance runs code that is not
 * ours, and what it calls an error becomes the status, headers and body of an HTTP answer in an app worker.
 */
import { CartonError, ERRORS, type ErrorCode, type ThrownError, type WireError } from '../support/errors';

/** Throws `CARTON_RPC_BAD_FRAME`. Fields that are not a WireError's are left out. */
export function readWireError(value: unknown): WireError {
  const { code, message, status, retryAfterMs, thrown } = recordOf(value);
  if (typeof code !== 'string' || !Object.hasOwn(ERRORS, code)) throw bad('a code of the error table', `a ${typeof code}`);
  if (typeof message !== 'string') throw bad('a message', `a ${typeof message}`);
  // Anything else is no status of an answer, and node:http throws at it. 0: an error that was to stop a boot.
  if (status !== 0 && !(Number.isInteger(status) && (status as number) >= 400 && (status as number) <= 599)) throw bad('a status from 400 to 599', String(status).slice(0, 20));
  if (retryAfterMs !== undefined && !(Number.isFinite(retryAfterMs) && (retryAfterMs as number) >= 0)) throw bad('retryAfterMs of 0 or more', `a ${typeof retryAfterMs}`);
  return {
    code: code as ErrorCode,
    message,
    status: status === 0 ? 500 : (status as number),
    retryAfterMs: retryAfterMs as number | undefined,
    thrown: thrown === undefined ? undefined : readThrown(thrown),
  };
}

/** As `readWireError`, from the payload of a frame. */
export function decodeWireError(payload: Buffer): WireError {
  try {
    return readWireError(JSON.parse(payload.toString('utf8')));
  } catch (cause) {
    if (cause instanceof CartonError) throw cause;
    throw new CartonError('CARTON_RPC_BAD_FRAME', { expected: 'an error as JSON', got: `${payload.length} bytes`, cause });
  }
}

export function encodeWireError(error: WireError): Buffer {
  return Buffer.from(JSON.stringify(error));
}

function readThrown(value: unknown): ThrownError {
  const { name, message, code, stack } = recordOf(value);
  if (typeof name !== 'string' || typeof message !== 'string') throw bad('name and message of what was thrown', `${typeof name} and ${typeof message}`);
  return {
    name,
    message,
    code: typeof code === 'string' ? code : undefined,
    stack: typeof stack === 'string' ? stack : undefined,
  };
}

function recordOf(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw bad('an object', value === null ? 'null' : typeof value);
}

function bad(expected: string, got: string): CartonError {
  return new CartonError('CARTON_RPC_BAD_FRAME', { of: 'an error of the peer', expected, got });
}
