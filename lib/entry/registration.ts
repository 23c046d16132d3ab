/**
 * Whether `egg-carton/register` runs in this process, and what it found. On the global object, because it may be another
 * copy of these files than the plugin that Egg loads.
 */
import type { Replay } from '../snapshot/replay';

const REGISTRATION = Symbol.for('egg-carton.registration');

export interface Registration {
  /** Undefined where the application is loaded from its files. */
  readonly replay: Replay | undefined;
  /** No snapshot that fits was there. */
  readonly isMissing: boolean;
}

const holder = globalThis as { [REGISTRATION]?: Registration };

export function registration(): Registration | undefined {
  return holder[REGISTRATION];
}

export function setRegistration(value: Registration): void {
  holder[REGISTRATION] = value;
}
