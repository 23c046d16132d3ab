/**
 * What a process says of itself, for identity.test.ts: told by forks, and by a fresh process that runs this file.
 */
import { performance, type PerformanceEntry } from 'node:perf_hooks';

type Shape = { readonly name: string; readonly length: number; readonly flags: readonly boolean[] };

/** What must look the same in every process. */
export function shapes(): Record<string, Shape | string> {
  const prototype = Object.getPrototypeOf(performance) as object;
  const told: Record<string, Shape | string> = { pid: shape(process, 'pid'), uptime: shape(process, 'uptime') };
  for (const name of ['now', 'mark', 'measure', 'timeOrigin']) told[name] = shape(prototype, name);
  const strange = {} as typeof performance;
  told['now of another'] = failure(() => performance.now.call(strange));
  told['mark of another'] = failure(() => performance.mark.call(strange, 'x'));
  told['measure of another'] = failure(() => Reflect.apply(performance.measure, strange, ['x']));
  told['timeOrigin of another'] = failure(() => Reflect.get(prototype, 'timeOrigin', strange));
  told['mark without a name'] = failure(() => Reflect.apply(performance.mark, performance, []));
  told['measure without a name'] = failure(() => Reflect.apply(performance.measure, performance, []));
  told['mark with a bad time'] = failure(() => performance.mark('x', { startTime: -1 }));
  told['mark with bad options'] = failure(() => performance.mark('x', 5 as unknown as object));
  told['measure from nothing'] = failure(() => performance.measure('x', 'nothing of this name'));
  told['measure with everything'] = failure(() => performance.measure('x', { start: 1, end: 2, duration: 1 }));
  told['own names of performance'] = Object.getOwnPropertyNames(performance).join();
  return told;
}

/** `[start, end]` of marks and measures, `now` for what was taken between two looks at the clock. */
export function times(): Record<string, readonly (number | string)[]> {
  performance.mark('a', { startTime: 0.25 });
  const told: Record<string, readonly (number | string)[]> = {};
  const tell = (name: string, take: () => PerformanceEntry): void => {
    const before = performance.now();
    const { startTime, duration } = take();
    const after = performance.now();
    told[name] = [startTime, startTime + duration].map((time) => (time >= before && time <= after ? 'now' : Math.round(time * 1e6) / 1e6));
  };
  // So that no time is by chance another one.
  while (performance.now() < 1);
  tell('mark', () => performance.mark('x'));
  tell('mark at a time', () => performance.mark('x', { startTime: 0.5 }));
  tell('mark with null', () => performance.mark('x', null as unknown as object));
  tell('measure', () => performance.measure('x'));
  tell('measure from a mark', () => performance.measure('x', 'a'));
  tell('measure to a mark', () => performance.measure('x', undefined, 'a'));
  tell('measure from a start', () => performance.measure('x', { start: 0.75 }));
  tell('measure to an end', () => performance.measure('x', { end: 0.5 }));
  tell('measure a duration alone', () => performance.measure('x', { duration: 0.5 }));
  tell('measure with a detail alone', () => performance.measure('x', { detail: 1 }));
  tell('measure a start and a duration', () => performance.measure('x', { start: 0.25, duration: 0.5 }));
  return told;
}

function shape(target: object, name: string): Shape {
  const { value, get, configurable, enumerable, writable } = Object.getOwnPropertyDescriptor(target, name) ?? {};
  const method = (get ?? value) as { name?: string; length?: number };
  return { name: method.name ?? '', length: method.length ?? 0, flags: [configurable, enumerable, writable].map(Boolean) };
}

function failure(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return `${(error as { code?: string }).code ?? ''} ${(error as Error).message}`;
  }
  return 'none';
}

if (require.main === module) console.log(JSON.stringify({ shapes: shapes(), times: times() }));
