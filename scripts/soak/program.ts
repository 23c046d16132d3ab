/**
 * What the soak of forks runs: warms with drawn random numbers, as an application does, and in each fork answers one
 * request with what it draws next.
 */
import { randomInt, randomUUID } from 'node:crypto';
import type { Fork } from '../../lib/fork/program';

/** What one fork drew, as text: any of it twice among all forks is a finding. */
export interface Drawn {
  readonly pid: number;
  readonly uuids: string[];
  readonly numbers: string[];
  readonly integers: string[];
}

const DRAWS = 3;
const draw = (from: () => unknown): string[] => Array.from({ length: DRAWS }, () => String(from()));
const drawAll = (): Drawn => ({ pid: process.pid, uuids: draw(randomUUID), numbers: draw(Math.random), integers: draw(() => randomInt(2 ** 48 - 1)) });

/** The caches that these functions fill are what forks would share. */
export function warm(): Drawn {
  return drawAll();
}

export function run({ channel }: Fork): void {
  channel.once('data', () => channel.write(JSON.stringify(drawAll())));
}
