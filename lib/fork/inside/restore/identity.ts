/**
 * What a fork says of itself: its pid, its age and its flags are those of a process that started just now. Prepared in
 * the root template's process, brought up to date in each fork, also in a fork of a fork.
 *
 * Moved are `process.pid`, `uptime()` and `execArgv`, and `performance.now()`, `timeOrigin`, `mark()` and `measure()`,
 * which agree with each other. `Date` and `process.hrtime()` know nothing of processes. Node takes the rest from within,
 * where nothing reaches: `performance.nodeTiming`, `eventLoopUtilization()`, `Event.timeStamp`, what observers are told
 * of Node's own work, and `new PerformanceMark()` without a time still count from the start of the root template. Marks
 * that the template made keep their times on its scale. `process.title` is set by whoever knows what the fork is.
 */
import { readlinkSync } from 'node:fs';
import { performance, type MarkOptions, type MeasureOptions, type Performance, type PerformanceMark, type PerformanceMeasure } from 'node:perf_hooks';
import { TEMPLATE_FLAGS } from '../../flags';

/** As callers may call them; Node complains of what it does not take. */
type Mark = (this: Performance, ...args: [name?: string, options?: MarkOptions | null]) => PerformanceMark;
type Measure = (this: Performance, ...args: [name?: string, from?: string | MeasureOptions | null, to?: string | number]) => PerformanceMeasure;

const prototype = Object.getPrototypeOf(performance) as Performance;
const nodes = {
  uptime: process.uptime,
  now: prototype.now,
  mark: prototype.mark as Mark,
  measure: prototype.measure as unknown as Measure,
  timeOrigin: Object.getOwnPropertyDescriptor(prototype, 'timeOrigin')?.get as () => number,
};

/** What Node's clock said when this process was forked; it is never set back, so forks of forks need no sum. 0: it was not. */
const born = { nowMs: 0, timeOriginMs: 0 };

/** Wall clock and monotonic clock agree as long as they are less than this apart; the wall clock has whole milliseconds. */
const CLOCK_MS = 2;

let isPrepared = false;

/** In the root template's process, before any module can take hold of what it replaces. */
export function prepareIdentity(): void {
  if (isPrepared) return;
  isPrepared = true;
  born.timeOriginMs = performance.timeOrigin;
  replace(process, 'uptime', methods.uptime);
  replace(prototype, 'now', methods.now);
  replace(prototype, 'mark', methods.mark);
  replace(prototype, 'measure', methods.measure);
  const timeOrigin = Object.getOwnPropertyDescriptor(methods, 'timeOrigin')?.get;
  Object.defineProperty(prototype, 'timeOrigin', { ...Object.getOwnPropertyDescriptor(prototype, 'timeOrigin'), get: timeOrigin });
}

/** In a template that is about to rest. What runs here for the first time need not be compiled in each fork. */
export function settleIdentity(): void {
  const { nowMs, timeOriginMs } = born;
  bear(process.pid);
  Object.assign(born, { nowMs, timeOriginMs });
}

/** In each fork, first of all. Whoever knows the pid should say it: to look it up touches 60 pages, 0.2 ms in a fork. */
export function restoreIdentity(pid = pidInProc()): void {
  prepareIdentity();
  bear(pid);
  // What it forks by `child_process.fork` is an ordinary process, with threads.
  for (const flag of TEMPLATE_FLAGS) {
    const index = process.execArgv.lastIndexOf(flag);
    if (index >= 0) process.execArgv.splice(index, 1);
  }
}

function pidInProc(): number {
  return Number(readlinkSync('/proc/self'));
}

function bear(pid: number): void {
  born.nowMs = nodes.now.call(performance);
  const movedMs = nodes.timeOrigin.call(performance) + born.nowMs;
  // A template waits for days, and clocks are set meanwhile.
  const wallMs = Date.now();
  born.timeOriginMs = Math.abs(movedMs - wallMs) < CLOCK_MS ? movedMs : wallMs;
  replace(process, 'pid', pid);
}

/** As Node's: no constructors, with the names and lengths of those that they stand for. All check the receiver. */
const methods = {
  uptime(): number {
    // Node counts them from moments that are a fraction of a millisecond apart.
    return born.nowMs === 0 ? nodes.uptime.call(process) : methods.now.call(performance) / 1000;
  },

  now(this: Performance): number {
    return nodes.now.call(this) - born.nowMs;
  },

  get timeOrigin(): number {
    nodes.timeOrigin.call(this as unknown as Performance);
    return born.timeOriginMs;
  },

  mark(this: Performance, ...args: Parameters<Mark>): PerformanceMark {
    const [name, options] = args;
    const isUntimed = options === undefined || options === null || (typeof options === 'object' && options.startTime === undefined);
    // Without a name it is Node's to complain.
    if (!isUntimed || args.length === 0) return nodes.mark.apply(this, args);
    return nodes.mark.call(this, name, { detail: options?.detail, startTime: nodes.now.call(this) - born.nowMs });
  },

  measure(this: Performance, ...args: Parameters<Measure>): PerformanceMeasure {
    const [name, from, to] = args;
    if (args.length === 0 || to !== undefined || !endsNow(from)) return nodes.measure.apply(this, args);
    const now = nodes.now.call(this) - born.nowMs;
    // Node takes numbers for marks, and nothing but text for the one to start from.
    if (!isOptions(from)) return nodes.measure.call(this, name, typeof from === 'string' ? from : undefined, now);
    // Without an end, a duration without a start means nothing to it, and the start is 0.
    return nodes.measure.call(this, name, { start: from.start ?? 0, end: now, detail: from.detail });
  },
};
Object.defineProperty(methods.mark, 'length', { value: nodes.mark.length });
Object.defineProperty(methods.measure, 'length', { value: nodes.measure.length });

function isOptions(from: unknown): from is MeasureOptions {
  return typeof from === 'object' && from !== null;
}

function endsNow(from: unknown): boolean {
  return !isOptions(from) || (from.end === undefined && (from.start === undefined || from.duration === undefined));
}

/** Keeps whether it can be written, listed and deleted. */
function replace(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { ...Object.getOwnPropertyDescriptor(target, name), value });
}
