/**
 * CPU time of processes, as Linux counts it under /proc.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { readProcFile, statFields } from '../../scripts/support/processes';

/** Clock ticks per second in /proc/<pid>/stat. Linux reports 100 to user space on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;
/** Places of utime and stime among the fields, counted from the state on. */
const UTIME_FIELD = 11;
const STIME_FIELD = 12;

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

/**
 * The same to the nanosecond, by the scheduler's own account: of a thousand processes that each do next to nothing,
 * ticks would see none. One that has ended meanwhile counts as 0.
 */
export function exactCpuMicros(pids: readonly number[]): number {
  let nanos = 0;
  for (const pid of pids) for (const thread of threadsOf(pid)) nanos += Number(readProcFile(pid, `task/${thread}/schedstat`)?.split(' ')[0] ?? 0);
  return nanos / 1000;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** CPU microseconds that the whole machine has been busy, and that its cores have been there, since it started. */
export function machineMicros(): { busy: number; total: number } {
  const first = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? '';
  // user, nice, system, idle, iowait, irq, softirq, steal; the guest's fields after them are counted in user already.
  const ticks = first.trim().split(/\s+/).slice(1, 9).map(Number);
  const total = ticks.reduce((sum, value) => sum + value, 0);
  const waiting = (ticks[3] ?? 0) + (ticks[4] ?? 0);
  return { busy: ((total - waiting) / TICKS_PER_SECOND) * 1e6, total: (total / TICKS_PER_SECOND) * 1e6 };
}
