/**
 * Payloads of remote calls: one object asks for a method of another one in the peer process. Pure; what the references
 * in the values mean is `lib/rpc/remote.ts`'s.
 *
 * CALL `remote`: flags u8 (1: the value comes as the body), milliseconds that remain u32 (2^32 - 1: any time), length of
 * the trace u8 (0 or 25), the trace, then the value `[target, method, arguments]`, or its length u32. REPLY: kind u8, then the
 * value; of one that comes as a stream, its length u32.
 */
import { CartonError } from '../support/errors';
import { LIMITS } from '../support/limits';

/** What a reference in a value stands for. */
export const REFERENCE = Object.freeze({
  /** A function of the sender, until the call that brought it has ended. */
  callback: 1,
  /** An object of the sender, until either side ends it. */
  object: 2,
  /** An object of the receiver, which it had handed out. */
  own: 3,
  /** The rest of the call's body: bytes, or values one after the other. */
  bytes: 4,
  values: 5,
  /** Aborted when the call is cancelled. */
  signal: 6,
});

/** What a reply holds. */
export const RESULT = Object.freeze({ value: 0, error: 1, bytes: 2, values: 3 });

export const TRACE_BYTES = 25;
const VALUE_FOLLOWS = 1;
const ANY_TIME = 0xffffffff;
const CALL_HEAD_BYTES = 6;

export interface RemoteCallHead {
  /** Undefined: any time. */
  readonly remainingMs: number | undefined;
  /** 25 bytes: trace id, span id, flags. */
  readonly trace: Buffer | undefined;
  /** The value itself, or how many bytes of it come as the beginning of the body. */
  readonly value: Buffer | number;
}

export function encodeCall({ remainingMs, trace, value }: RemoteCallHead): Buffer {
  const traceBytes = trace?.length ?? 0;
  const rest = typeof value === 'number' ? 4 : value.length;
  const bytes = Buffer.allocUnsafe(CALL_HEAD_BYTES + traceBytes + rest);
  bytes[0] = typeof value === 'number' ? VALUE_FOLLOWS : 0;
  bytes.writeUInt32LE(remainingMs === undefined ? ANY_TIME : Math.max(0, Math.min(ANY_TIME - 1, Math.ceil(remainingMs))), 1);
  bytes[5] = traceBytes;
  trace?.copy(bytes, CALL_HEAD_BYTES);
  putValue(bytes, CALL_HEAD_BYTES + traceBytes, value);
  return bytes;
}

/** Throws `CARTON_RPC_BAD_FRAME`. */
export function decodeCall(payload: Buffer): RemoteCallHead {
  if (payload.length < CALL_HEAD_BYTES) throw bad(`${CALL_HEAD_BYTES} bytes or more`, `${payload.length}`);
  const [flags, remainingMs, traceBytes] = [payload[0] as number, payload.readUInt32LE(1), payload[5] as number];
  if (flags > VALUE_FOLLOWS) throw bad('known flags', `${flags}`);
  const valueAt = CALL_HEAD_BYTES + traceBytes;
  if ((traceBytes !== 0 && traceBytes !== TRACE_BYTES) || payload.length < valueAt) throw bad(`a trace of 0 or ${TRACE_BYTES} bytes`, `${traceBytes}`);
  return {
    remainingMs: remainingMs === ANY_TIME ? undefined : remainingMs,
    trace: traceBytes === 0 ? undefined : payload.subarray(CALL_HEAD_BYTES, valueAt),
    value: flags === VALUE_FOLLOWS ? lengthAt(payload, valueAt) : payload.subarray(valueAt),
  };
}

export interface RemoteResult {
  /** One of `RESULT`. */
  readonly kind: number;
  /** The value, or how many bytes of it come as the stream; empty where the stream is the result. */
  readonly value: Buffer | number;
}

export function encodeResult({ kind, value }: RemoteResult): Buffer {
  const bytes = Buffer.allocUnsafe(1 + (typeof value === 'number' ? 4 : value.length));
  bytes[0] = kind;
  putValue(bytes, 1, value);
  return bytes;
}

/** Throws `CARTON_RPC_BAD_FRAME`. */
export function decodeResult(payload: Buffer, streamFollows: boolean): RemoteResult {
  const kind = payload[0];
  if (kind === undefined || kind > RESULT.values) throw bad('a known kind of result', `${kind}`);
  const isStream = kind === RESULT.bytes || kind === RESULT.values;
  if (isStream && !streamFollows) throw bad('the stream of a result', 'none');
  return { kind, value: streamFollows && !isStream ? lengthAt(payload, 1) : payload.subarray(1) };
}

function putValue(bytes: Buffer, at: number, value: Buffer | number): void {
  if (typeof value === 'number') bytes.writeUInt32LE(value, at);
  else value.copy(bytes, at);
}

function lengthAt(payload: Buffer, at: number): number {
  if (payload.length !== at + 4) throw bad('a length of 4 bytes', `${payload.length - at}`);
  const length = payload.readUInt32LE(at);
  if (length > LIMITS.remoteValueBytes) throw new CartonError('CARTON_RPC_VALUE_TOO_LARGE', { expected: `at most ${LIMITS.remoteValueBytes} bytes`, got: `${length} bytes` });
  return length;
}

function bad(expected: string, got: string): CartonError {
  return new CartonError('CARTON_RPC_BAD_FRAME', { of: 'a remote call', expected, got });
}
