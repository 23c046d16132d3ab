/**
 * What an adapter for a client library is, and what adapters share. Runs in templates. Adding one: a file beside this,
 * a line in `index.ts`, and a line in `shapes.ts` if it looks for objects.
 */
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../../support/clock';
import type { OpenSocket } from '../inspection/handles';
import type { Origins } from '../origins';

export interface Client {
  /**
   * Closes connections that nobody uses at this moment and that the library, or a hook that is registered here, opens
   * again in a fork. What is in use stays open, and so a reason. Does not throw for a library of an unknown version.
   */
  close(origins: Origins, sockets: readonly OpenSocket[]): Promise<void>;
  /** Whose a connection is that stayed open, and why it stays, as `of mysql2, outside a pool`. */
  describe?(origins: Origins, socket: Socket): string | undefined;
}

/** Milliseconds in which a client may come to rest. */
const REST_MS = 500;
const LOOK_MS = 2;

/** Waits for a condition that no event tells of; tells whether it came true. */
export async function comesTrue(condition: () => boolean): Promise<boolean> {
  const until = systemClock.now() + REST_MS;
  while (!condition()) {
    if (systemClock.now() > until) return false;
    await delay(LOOK_MS);
  }
  return true;
}

/** A value under a symbol that only its description tells, on an object or what it inherits from. */
export function underSymbol(target: object, description: string): unknown {
  for (let object: unknown = target; typeof object === 'object' && object !== null; object = Object.getPrototypeOf(object)) {
    const symbol = Object.getOwnPropertySymbols(object).find((own) => own.description === description);
    if (symbol !== undefined) return (target as Record<symbol, unknown>)[symbol];
  }
  return undefined;
}
