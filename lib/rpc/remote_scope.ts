/**
 * What belongs to one remote call beside its values, at either side.
 */
import { codeOf } from '../support/errors';
import type { Received } from './remote_streams';

export interface Scope {
  /** Ids of functions that were among the arguments. */
  readonly callbacks: number[];
  /** Ids of objects that were handed out by it, and not before. */
  readonly objects: number[];
  /** A stream among the arguments, which is the call's body. */
  sent: AsyncIterable<unknown> | undefined;
  /** The same at the other side. */
  received: Received | undefined;
  /** One among the arguments. */
  signal: AbortSignal | undefined;
  hasEnded: boolean;
}

export function emptyScope(): Scope {
  return { callbacks: [], objects: [], sent: undefined, received: undefined, signal: undefined, hasEnded: false };
}

/** Whether only the call is to fail, and not the session: an honest peer may name what has ended meanwhile. */
export function isLate(error: unknown): boolean {
  return codeOf(error) === 'CARTON_RPC_OBJECT_GONE';
}
