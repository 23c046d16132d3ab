/**
 * Counts the system calls by which a process looks for files and reads them, from a trace that strace wrote.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface FileCalls {
  /** stat in all its forms, access, readlink. */
  readonly stat: number;
  readonly open: number;
  /** Of regular files. */
  readonly read: number;
}

/**
 * With threads and children, the time of each call, and what each descriptor is. `fstat` and the reads are named
 * because strace's class of calls with a path has none of them.
 */
export function underStrace(file: string): [command: string, ...args: string[]] {
  return ['strace', '-f', '-ttt', '-y', '-s', '0', '-e', 'trace=%file,fstat,read,pread64', '-e', 'signal=none', '-o', file];
}

/** Throws where strace is not installed, with the line that installs it. */
export function assertStrace(): void {
  if (spawnSync('strace', ['--version'], { stdio: 'ignore' }).status === 0) return;
  throw new Error('expected strace, which counts system calls, and there is none. Run: apt-get install -y strace');
}

const STAT = new Set(['stat', 'lstat', 'fstat', 'statx', 'newfstatat', 'fstatat64', 'stat64', 'lstat64', 'fstat64', 'access', 'faccessat', 'faccessat2', 'readlink', 'readlinkat']);
const OPEN = new Set(['open', 'openat']);
const READ = new Set(['read', 'pread64']);

/** `<pid> <seconds since 1970> <call>(<arguments>`; the second half of a call that was interrupted begins otherwise. */
const CALL = /^\d+ +(\d+\.\d+) (\w+)\((.*)/;
/** A descriptor of a file with a path; sockets, pipes and their like have names without a slash in front. */
const REGULAR = /^\d+<\/(?!proc\/|sys\/|dev\/)/;

/** @param until milliseconds since 1970; what was called later does not count */
export function countFileCalls(trace: string, until = Number.POSITIVE_INFINITY): FileCalls {
  const counts = { stat: 0, open: 0, read: 0 };
  for (const line of readFileSync(trace, 'latin1').split('\n')) {
    const [, seconds, name = '', args = ''] = CALL.exec(line) ?? [];
    if (seconds === undefined || Number(seconds) * 1000 > until) continue;
    if (STAT.has(name)) counts.stat += 1;
    else if (OPEN.has(name)) counts.open += 1;
    else if (READ.has(name) && REGULAR.test(args)) counts.read += 1;
  }
  return counts;
}

export function total({ stat, open, read }: FileCalls): number {
  return stat + open + read;
}
