/**
 * Threads of this process: which there are, and whether each is parked where it holds no lock that a fork would
 * inherit without the lock's holder. Runs in templates.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * System calls in which idle threads of V8 and libuv wait, by architecture: futex and its newer forms, then those that
 * wait for events. In any other a thread may hold a lock of the C library.
 */
const PARKED_IN: Readonly<Record<string, readonly number[] | undefined>> = {
  x64: [202, 449, 455, 232, 281, 441, 7, 271],
  arm64: [98, 449, 455, 22, 441, 73],
};

/** All threads, the main one too. */
export function threadIds(): string[] {
  return readdirSync('/proc/self/task');
}

export function threadName(id: string): string {
  return read(`/proc/self/task/${id}/comm`)?.trim() ?? '';
}

/** Whether all but the main thread are parked, of all or of those in `among`. */
export function othersAreParked(among?: ReadonlySet<string>): boolean {
  // Not process.pid, which is JavaScript's to change.
  const main = readlinkSync('/proc/self');
  return threadIds().every((id) => id === main || among?.has(id) === false || isParked(id));
}

function isParked(id: string): boolean {
  const call = read(`/proc/self/task/${id}/syscall`)?.split(' ', 1)[0]?.trim();
  const calls = PARKED_IN[process.arch];
  if (call !== undefined && calls !== undefined) return calls.includes(Number(call));
  // Some sandboxes hide system calls; that it sleeps is the next best. A thread that has ended meanwhile is no hindrance.
  const state = /\) (\w)/.exec(read(`/proc/self/task/${id}/stat`) ?? ') S')?.[1];
  return state === 'S';
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // Gone, or not shown here; what follows from that is for the caller to say.
    return undefined;
  }
}
