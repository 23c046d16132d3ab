/**
 * Trace context of invocations (W3C Trace Context, https://www.w3.org/TR/trace-context/) and random ids, for the
 * processes that take requests in.
 */
import { randomFillSync } from 'node:crypto';
import type { TraceContext } from '../protocol/oneapi';

/** Only versions after 00 may say more than the four fields. */
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:(?<!^00-.{52})-.*)?$/;
const NO_PARENT = Buffer.alloc(8);
const STATE_CHARACTERS = 512;

/** Random bytes are drawn in bulk: one call per some hundred ids instead of one for each. */
const POOL_BYTES = 8 * 1024;
let pool = Buffer.alloc(0);
let used = 0;

/** Fresh random bytes; at most 64 at once. */
export function randomId(bytes: number): Buffer {
  if (used + bytes > pool.length) {
    // A new pool each time: ids that were handed out are views of the old one.
    pool = randomFillSync(Buffer.allocUnsafeSlow(POOL_BYTES));
    used = 0;
  }
  used += bytes;
  return pool.subarray(used - bytes, used);
}

/** Goes on with the caller's trace, or begins a sampled one where there is none or it is malformed. */
export function traceOf(traceparent: string | undefined, tracestate: string | undefined): TraceContext {
  const match = traceparent === undefined ? null : TRACEPARENT.exec(traceparent);
  if (match === null) {
    return { traceId: randomId(16), spanId: randomId(8), parentId: NO_PARENT, sampled: true, state: '' };
  }
  return {
    traceId: Buffer.from(match[2] as string, 'hex'),
    spanId: randomId(8),
    parentId: Buffer.from(match[3] as string, 'hex'),
    sampled: (Number.parseInt(match[4] as string, 16) & 1) === 1,
    state: tracestate === undefined ? '' : shortState(tracestate),
  };
}

/** Where it is too long, whole entries are dropped from its end: half of one would be taken for another vendor's. */
function shortState(state: string): string {
  if (state.length <= STATE_CHARACTERS) return state;
  return state.slice(0, Math.max(0, state.lastIndexOf(',', STATE_CHARACTERS)));
}
