/**
 * The processes of this machine: who descends from whom, what each is, and how much memory it holds. Read from /proc;
 * where there is none, from `ps`.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  /** Command line or title. */
  readonly command: string;
  /** Bytes that it holds: its private ones, or all resident ones where only `ps` can tell. */
  readonly memoryBytes: number;
}

/** Place of the parent's pid in /proc/<pid>/stat, counted from the state on. */
const PARENT_FIELD = 1;

/** The text of a file under /proc/<pid>, or undefined where the process has ended. */
export function readProcFile(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}

/** Fields of /proc/<pid>/stat from the state on: the command's name before it may hold blanks itself. */
export function statFields(pid: number): string[] | undefined {
  const text = readProcFile(pid, 'stat');
  return text?.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** Pids of a process and of all that descend from it, parents before children. Empty where it has ended. */
export function treeOf(root: number): number[] {
  const parents = parentsOfAll();
  const childrenOf = new Map<number, number[]>();
  for (const [pid, parent] of parents) childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), pid]);
  const tree = parents.has(root) ? [root] : [];
  for (const pid of tree) tree.push(...(childrenOf.get(pid) ?? []));
  return tree;
}

/** Those of the processes that have not ended. */
export function livingOf(pids: Iterable<number>): number[] {
  const parents = parentsOfAll();
  return [...pids].filter((pid) => parents.has(pid));
}

/** A process and all that descend from it, each described. */
export function describeTree(root: number): ProcessInfo[] {
  const pids = treeOf(root);
  if (existsSync('/proc/self/stat')) return pids.flatMap((pid) => describeFromProc(pid) ?? []);
  const all = new Map(listWithPs().map((info) => [info.pid, info]));
  return pids.flatMap((pid) => all.get(pid) ?? []);
}

function parentsOfAll(): Map<number, number> {
  return existsSync('/proc/self/stat') ? parentsFromProc() : new Map(listWithPs().map(({ pid, parent }) => [pid, parent]));
}

function parentsFromProc(): Map<number, number> {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    const fields = Number.isInteger(pid) ? statFields(pid) : undefined;
    // A zombie has ended; it only waits for its parent.
    if (fields !== undefined && fields[0] !== 'Z') parents.set(pid, Number(fields[PARENT_FIELD]));
  }
  return parents;
}

function describeFromProc(pid: number): ProcessInfo | undefined {
  const parent = statFields(pid)?.[PARENT_FIELD];
  const command = readProcFile(pid, 'cmdline')?.split('\0').join(' ').trim();
  const rollup = readProcFile(pid, 'smaps_rollup');
  if (parent === undefined || command === undefined || rollup === undefined) return undefined;
  let kilobytes = 0;
  for (const match of rollup.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)) kilobytes += Number(match[1]);
  return { pid, parent: Number(parent), command, memoryBytes: kilobytes * 1024 };
}

function listWithPs(): ProcessInfo[] {
  const lines = execFileSync('ps', ['-axo', 'pid=,ppid=,rss=,command='], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => {
    const [, pid, parent, kilobytes, command] = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return command === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), memoryBytes: Number(kilobytes) * 1024, command }];
  });
}
