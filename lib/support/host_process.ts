/**
 * The lifeline of everything on a host: who the host's process is, and whether it still lives. A pid alone would not
 * do, because pids are used again; a process is named by pid and start time (field 22 of /proc/<pid>/stat, proc(5)).
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Clock, Timer } from './clock';
import type { HostProcess } from './host_environment';

/** Milliseconds between two looks: instances end within a second of their host. A look costs about 10 µs. */
const LOOK_MS = 400;

/** Names a living process. Where there is no /proc, the start time stays empty and the pid has to do. */
export function hostProcessOf(pid: number): HostProcess {
  const stat = readStat(pid);
  return { pid, startTime: typeof stat === 'object' ? stat.startTime : '' };
}

export function isAlive(host: HostProcess): boolean {
  if (host.startTime === '') return answersSignals(host.pid);
  const stat = readStat(host.pid);
  // Without a descriptor left nothing can be read of it, and it is not dead for that; a signal needs none.
  if (stat === 'unreadable') return answersSignals(host.pid);
  // A zombie has ended; it only waits for its parent.
  return stat !== undefined && stat.startTime === host.startTime && stat.state !== 'Z' && stat.state !== 'X';
}

/** Ends a process and its group at once; one that has ended already is fine. */
export function killGroup(pid: number): void {
  kill(-pid);
  kill(pid);
}

/** Ends what a process left behind that led a group of its own and has just ended. */
export function killRestOfGroup(pid: number): void {
  kill(-pid);
}

function kill(target: number): void {
  try {
    process.kill(target, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Calls `onGone` once, within half a second of the host's end. */
export function watchHost(host: HostProcess, clock: Clock, onGone: () => void): Timer {
  const timer = clock.every(LOOK_MS, () => {
    if (isAlive(host)) return;
    timer.cancel();
    onGone();
  });
  return timer;
}

const buffer = Buffer.alloc(1024);

/** Undefined: there is no such process, or no /proc. */
function readStat(pid: number): { state: string; startTime: string } | 'unreadable' | undefined {
  let text: string;
  try {
    const fd = openSync(`/proc/${pid}/stat`, 'r');
    try {
      text = buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    return ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '') ? undefined : 'unreadable';
  }
  // The second field is the command in parentheses and may hold spaces and parentheses itself.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTime: fields[19] ?? '' };
}

function answersSignals(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
