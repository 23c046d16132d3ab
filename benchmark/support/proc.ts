/**
 * What Linux tells of processes under /proc: who descends from whom, and how much CPU time and memory each has used.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks per second in /proc/<pid>/stat. Linux reports 100 to user space on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;
/** Places of utime and stime among the fields after the command's name, which may hold blanks itself. */
const PARENT_FIELD = 1;
const UTIME_FIELD = 11;
const STIME_FIELD = 12;

/** Fields of /proc/<pid>/stat from the state on, or undefined where the process has ended. */
function statFields(pid: number): string[] | undefined {
  const text = readProcFile(pid, 'stat');
  return text?.slice(text.lastIndexOf(')') + 2).split(' ');
}

function readProcFile(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}

/** A process and all that descend from it, parents before children. */
export function processTree(root: number): number[] {
  const childrenOf = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const parent = Number(statFields(pid)?.[PARENT_FIELD]);
    childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), pid]);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(childrenOf.get(pid) ?? []));
  return tree;
}

/** CPU microseconds, user and system, that these processes have used so far. Throws where one has ended. */
export function cpuMicros(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = statFields(pid);
    if (fields === undefined) throw new Error(`process ${pid} ended while it was measured`);
    ticks += Number(fields[UTIME_FIELD]) + Number(fields[STIME_FIELD]);
  }
  return (ticks / TICKS_PER_SECOND) * 1e6;
}

/** The command line of a process, its arguments joined with blanks; empty where it has ended. */
export function commandLine(pid: number): string {
  return (readProcFile(pid, 'cmdline') ?? '').split('\0').join(' ').trim();
}

/** Bytes of memory that only this process holds, from its smaps_rollup; undefined where it has ended. */
export function privateBytes(pid: number): number | undefined {
  const text = readProcFile(pid, 'smaps_rollup');
  if (text === undefined) return undefined;
  let kilobytes = 0;
  for (const match of text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)) kilobytes += Number(match[1]);
  return kilobytes * 1024;
}
