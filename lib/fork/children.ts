/**
 * Who was forked from any template of this process, and how each of them ended. Whoever is the parent at that moment
 * tells: its template, the root that inherited it, or this process, to which the orphans of a root come. Runs in
 * whoever starts templates; keeps nothing of a process that has ended and was asked for.
 */
import { constants } from 'node:os';
import { forker } from './native';

export interface Exit {
  /** Exit code; null where a signal ended it, and where nobody was left to see how it ended. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const waiting = new Map<number, (exit: Exit) => void>();
/** Ends that were told before the fork itself, which another socket tells. Each stays for two rounds of the loop. */
const early = new Map<number, Exit>();
let isHeir = false;

/**
 * From now on this process inherits what root templates leave behind when they are killed, and reaps it. It becomes a
 * subreaper by that, so other orphans come to it as well. Those that were born in a session of their parents are reaped
 * at once; any other might be a child that somebody here waits for, and is reaped when nobody has done so for a while.
 */
export function inheritOrphans(): void {
  if (isHeir) return;
  isHeir = true;
  forker().adoptOrphans();
  process.on('SIGCHLD', reapOrphans);
}

/** To be called when the fork is told, before anything else can be. */
export function exitOf(pid: number): Promise<Exit> {
  const known = early.get(pid);
  early.delete(pid);
  return known !== undefined ? Promise.resolve(known) : new Promise((resolve) => waiting.set(pid, resolve));
}

/** Milliseconds between two looks at a process of whose end nobody may be left to tell. */
const LOOK_MS = 200;

/**
 * To be called when its last byte has come, or nobody reads it. Where a whole tree ends at once, with its host, all that
 * could tell how have ended, too: then both fields are null.
 */
export function lookFor(pid: number): void {
  if (!waiting.has(pid)) return;
  const isThere = isProcess(pid);
  const timer = setTimeout(() => {
    // Whoever reaps tells first: what is not told one look after its end never will be.
    if (isThere) return lookFor(pid);
    waiting.get(pid)?.({ code: null, signal: null });
    waiting.delete(pid);
  }, LOOK_MS);
  timer.unref();
}

function isProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** A parent has seen its end; one that died before it could reap leaves it to the next, which tells again. */
export function hasExited(pid: number, status: number): void {
  const exit = decode(status);
  const resolve = waiting.get(pid);
  waiting.delete(pid);
  if (resolve !== undefined) return resolve(exit);
  early.set(pid, exit);
  // What was told of it before its end is read by then. Kept longer, it would be taken for the end of a later process
  // with the same number.
  setImmediate(() => setImmediate(() => {
    if (early.get(pid) === exit) early.delete(pid);
  }));
}

/** For tests: ends that nobody has asked for yet, and processes whose end is waited for. */
export function held(): { readonly early: number; readonly waiting: number } {
  return { early: early.size, waiting: waiting.size };
}

function reapOrphans(): void {
  for (;;) {
    const ended = forker().reapAdopted();
    if (ended.length === 0) return sweepLater();
    for (let at = 0; at < ended.length; at += 2) hasExited(ended[at] as number, ended[at + 1] as number);
  }
}

/** Milliseconds after which an end that nobody took is nobody's: libuv takes those of its children at once. */
const UNCLAIMED_MS = 5_000;
let isSweeping = false;

/** Of those that have ended now, reaps those that are still there after a while in which this process could see it. */
function sweepLater(): void {
  const ended = isSweeping ? [] : forker().endedChildren();
  if (ended.length === 0) return;
  isSweeping = true;
  setTimeout(() => {
    // Timers run before what the loop has waited for: one more round lets everybody see it first.
    setImmediate(() => {
      isSweeping = false;
      const left = new Set(forker().endedChildren());
      for (const pid of ended) if (left.has(pid)) forker().reap(pid);
      sweepLater();
    });
  }, UNCLAIMED_MS).unref();
}

/** The first name of each: SIGABRT is SIGIOT, too. */
const SIGNALS = Object.fromEntries(Object.entries(constants.signals).reverse().map(([name, number]) => [number, name as NodeJS.Signals]));

/** As in wait(2): the low seven bits are the signal, 0 for an exit, whose code is the second byte. */
function decode(status: number): Exit {
  const signal = status & 0x7f;
  return signal === 0 ? { code: (status >> 8) & 0xff, signal: null } : { code: null, signal: SIGNALS[signal] ?? null };
}
