/**
 * Who was forked from any template of this process, and how each of them ended. Whoever is the parent at that moment
 * tells: its template, the root that inherited it, or this process, to which orphans of all templates come.
 */
import { constants } from 'node:os';
import { forker } from './native';

export interface Exit {
  /** Exit code, or null where a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Ends of processes that nobody asked for yet; one that is never asked for is a fork whose template died meanwhile. */
const EARLY_LIMIT = 1024;

const waiting = new Map<number, (exit: Exit) => void>();
const early = new Map<number, Exit>();
/** Children of templates that have ended: they may be this process's by now. */
const orphans = new Set<number>();
let isSubreaper = false;

/** From now on this process inherits what templates leave behind. */
export function inheritOrphans(): void {
  if (isSubreaper) return;
  isSubreaper = true;
  forker().becomeSubreaper();
  process.on('SIGCHLD', reapOrphans);
}

export function exitOf(pid: number): Promise<Exit> {
  const known = early.get(pid);
  early.delete(pid);
  return known !== undefined ? Promise.resolve(known) : new Promise((resolve) => waiting.set(pid, resolve));
}

/** A parent has reaped it. */
export function hasExited(pid: number, status: number): void {
  orphans.delete(pid);
  const exit = decode(status);
  const resolve = waiting.get(pid);
  waiting.delete(pid);
  if (resolve !== undefined) return resolve(exit);
  early.set(pid, exit);
  const [oldest] = early.keys();
  if (early.size > EARLY_LIMIT && oldest !== undefined) early.delete(oldest);
}

/** Their template has ended; the root or this process is their parent now. */
export function orphaned(pids: Iterable<number>): void {
  for (const pid of pids) if (waiting.has(pid)) orphans.add(pid);
  reapOrphans();
}

function reapOrphans(): void {
  for (const pid of orphans) {
    const status = statusOf(pid);
    if (status !== undefined) hasExited(pid, status);
  }
}

/** Undefined while it runs, and while it is another process's child. */
function statusOf(pid: number): number | undefined {
  try {
    const status = forker().reap(pid);
    return status < 0 ? undefined : status;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECHILD') return undefined;
    throw error;
  }
}

const SIGNALS = Object.fromEntries(Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]));

/** As in wait(2): the low seven bits are the signal, 0 for an exit, whose code is the second byte. */
function decode(status: number): Exit {
  const signal = status & 0x7f;
  return signal === 0 ? { code: (status >> 8) & 0xff, signal: null } : { code: null, signal: SIGNALS[signal] ?? null };
}
