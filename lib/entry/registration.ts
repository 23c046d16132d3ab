/**
 * Whether `egg-carton/register` runs in this process, and what it found. On the global object, because it may be another
 * copy of these files than the plugin that Egg loads.
 */
import type { Replay } from '../snapshot/replay';
import type { Clock } from '../support/clock';

const REGISTRATION = Symbol.for('egg-carton.registration');

export interface Registration {
  /** Undefined where the application is loaded from its files. */
  readonly replay: Replay | undefined;
  /** No snapshot that fits was there. */
  readonly isMissing: boolean;
}

/**
 * Where the plugin is enabled, it settles the replay as soon as Egg is ready. Without it nobody does: a start takes no
 * longer than this, and one that does only asks the disk for what is not there.
 */
export const SETTLE_AFTER_MS = 60_000;

const holder = globalThis as { [REGISTRATION]?: Registration };

export function registration(): Registration | undefined {
  return holder[REGISTRATION];
}

export function setRegistration(value: Registration): void {
  holder[REGISTRATION] = value;
}

/** Has the replay settled by itself, whatever else is loaded in this process. Keeps no process alive. */
export function settleInTime(replay: Replay, clock: Clock): void {
  clock.after(SETTLE_AFTER_MS, () => replay.settle());
}
