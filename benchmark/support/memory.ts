/**
 * Memory of processes and of the machine, as Linux counts it under /proc. All in bytes.
 */
import { readFileSync } from 'node:fs';
import { readProcFile } from '../../scripts/support/processes';

export interface Memory {
  /** Pages that nobody else maps, clean and dirty. */
  readonly private: number;
  /** Each page divided by the number of processes that map it. */
  readonly proportional: number;
}

/** Undefined where the process has ended. */
export function memoryOf(pid: number): Memory | undefined {
  const rollup = readProcFile(pid, 'smaps_rollup');
  if (rollup === undefined) return undefined;
  return { private: sumOf(rollup, /^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm), proportional: sumOf(rollup, /^Pss:\s+(\d+) kB$/gm) };
}

/** What could still be taken without anything being given up, by the kernel's own reckoning. */
export function availableMemory(): number {
  return sumOf(readFileSync('/proc/meminfo', 'utf8'), /^MemAvailable:\s+(\d+) kB$/gm);
}

function sumOf(text: string, pattern: RegExp): number {
  let kilobytes = 0;
  for (const match of text.matchAll(pattern)) kilobytes += Number(match[1]);
  return kilobytes * 1024;
}
