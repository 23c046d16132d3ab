/**
 * A program whose template has garbage all over its two heaps, of V8 and of the C library, and between it what lives.
 * Forks tell how many pages each takes from them.
 */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Fork } from '../../../lib/fork/program';

/** Pages that became a fork's own while it wrote to all objects that live, and while it allocated. */
export interface Written {
  readonly objects: number;
  readonly allocations: number;
}

interface Item {
  at: number;
  readonly rest: readonly number[];
}

const COUNT = 64_000;
/** Of so many one lives on; of the pieces of the C library's heap, all but one. */
const ONE_OF = 32;
/** Bytes, less than what the C library keeps for the next of that size. */
const PIECE = 200;

export function warm(): { readonly live: Item[]; readonly pieces: Buffer[] } {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const pieces = Array.from({ length: COUNT }, () => Buffer.allocUnsafeSlow(PIECE)).filter((_piece, at) => at % ONE_OF !== 0);
  gc();
  const all = Array.from({ length: COUNT }, (_, at): Item => ({ at, rest: [at, at, at, at, at, at] }));
  // Into the old generation, where nothing is moved without need.
  gc();
  return { live: all.filter(({ at }) => at % ONE_OF === 0), pieces };
}

export function run({ channel }: Fork, state: unknown): void {
  const { live } = state as ReturnType<typeof warm>;
  const before = ownPages();
  for (const item of live) item.at += 1;
  const between = ownPages();
  const pieces = Array.from({ length: COUNT / ONE_OF }, () => Buffer.allocUnsafeSlow(PIECE));
  const written: Written = { objects: between - before, allocations: ownPages() - between };
  channel.end(JSON.stringify({ ...written, pieces: pieces.length }));
}

function ownPages(): number {
  return Number(/^Private_Dirty: +(\d+) kB/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))?.[1]) / 4;
}
