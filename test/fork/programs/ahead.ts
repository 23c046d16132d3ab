/**
 * A program for forks ahead of time: each notes in a file that it runs, tells what it finds, and then obeys.
 */
import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Fork } from '../../../lib/fork/program';

export interface Warm {
  /** Each fork that runs the program adds its pid. */
  readonly notes: string;
}

/** What a fork tells first. */
export interface Told {
  readonly pid: number;
  readonly argument: unknown;
  readonly descriptors: number;
  readonly nowMs: number;
  readonly uptimeMs: number;
  readonly random: readonly unknown[];
}

/** `listens` accepts at its first descriptor; `writes` writes the template's memory; `waits` tells when its timer fired. */
export type Deed = 'listens' | 'writes' | 'waits' | 'nothing';

/** Of the timer that is pending in the template. */
export const TIMER_MS = 300;
export const BALLAST_BYTES = 16 * 1024 * 1024;

interface State extends Warm {
  readonly ballast: Buffer;
  onTimer(): void;
}

export function warm(argument: unknown): State {
  const state: State = { ...(argument as Warm), ballast: Buffer.alloc(BALLAST_BYTES, 1), onTimer: () => undefined };
  setTimeout(() => state.onTimer(), TIMER_MS);
  return state;
}

export function run({ channel, argument, descriptors }: Fork, state: State): void {
  const [nowMs, uptimeMs] = [performance.now(), process.uptime() * 1000];
  appendFileSync(state.notes, `${process.pid}\n`);
  const { deed } = argument as { deed?: Deed };
  const say = (what: unknown): void => void channel.write(`${JSON.stringify(what)}\n`);
  if (deed === 'listens') createServer((socket) => socket.end(String(process.pid))).listen({ fd: descriptors[0] });
  if (deed === 'writes') state.ballast.fill(2);
  if (deed === 'waits') state.onTimer = () => say(performance.now());
  say({ pid: process.pid, argument, descriptors: descriptors.length, nowMs, uptimeMs, random: [Math.random(), randomUUID()] } satisfies Told);
  channel.on('end', () => process.exit(0));
}
