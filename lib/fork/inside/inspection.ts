/**
 * Finds out whether a process may be forked from. Runs in templates, before the first fork and before anything is told.
 *
 * 1. A process without reasons has no thread but those of Node, all parked, and nothing under way in them.
 * 2. It shares no connection, server, pipe or queue of events with its forks, and is nobody's parent.
 * 3. Looking takes a bounded time. A timer is never a reason: each fork has it for itself.
 */
import { stat } from 'node:fs/promises';
import { url as inspectorUrl } from 'node:inspector';
import { collectGarbage } from './garbage';
import { inspectChildren } from './inspection/children';
import { addonsOf, descriptors, givenDescriptors, inspectDescriptors, readFiles, type Descriptors } from './inspection/descriptors';
import { inspectRequests, onceStill, settle } from './inspection/requests';
import { threadIds, threadName } from './inspection/threads';
import type { Reason } from '../reason';
import type { Origins } from './origins';

/** What is there before the program is. */
export interface Baseline {
  readonly threads: ReadonlySet<string>;
  readonly fds: Descriptors;
}

export interface Inspection {
  readonly reasons: Reason[];
  /** Descriptors of files that each fork is to open again. */
  readonly reopened: number[];
}

/**
 * Makes libuv start its thread pool, so that all of its threads are among those that are Node's. `control` is the
 * template's own socket; without it every socket that is open counts as given.
 */
export async function baselineOf(control?: number): Promise<Baseline> {
  await stat('/');
  await settle();
  return { threads: new Set(threadIds()), fds: control === undefined ? descriptors() : givenDescriptors(control) };
}

/**
 * Calls back in a turn of the loop in which the process may stand still: nothing is under way. With false if no such
 * turn comes in a bounded time; then it must not be forked. The last thing before the first fork.
 */
export function whenStill(baseline: Baseline, callback: (isStill: boolean) => void): void {
  onceStill(baseline.threads, callback);
}

/** Waits first, for a bounded time, for what is under way. */
export async function inspect(origins: Origins, baseline: Baseline): Promise<Inspection> {
  const isCalm = await settle(baseline.threads);
  const threads = inspectThreads(origins, baseline);
  const children = inspectChildren(origins);
  const found = inspectDescriptors(origins, baseline.fds, threads.length > 0);
  // Pipes to a child are told with the child.
  const rest = found.filter(({ owner }) => owner === null || !children.some((child) => child.owner === owner));
  return { reasons: [...threads, ...children, ...rest, ...(isCalm ? [] : inspectRequests(origins, baseline.threads))], reopened: readFiles() };
}

function inspectThreads(origins: Origins, baseline: Baseline): Reason[] {
  // Its thread and its server are there before this is, if a flag asked for it.
  if (inspectorUrl() !== undefined) return [{ kind: 'thread', what: 'the inspector, which a debugger is or can be connected to', owner: null }];
  const foreign = threadIds().filter((id) => !baseline.threads.has(id));
  if (foreign.length === 0) return [];
  // Workers that have ended are not told apart from those that run, but nothing holds them any more.
  collectGarbage();
  const workers = origins.opened('WORKER').map(({ resource }): Reason => ({ kind: 'thread', what: 'a worker thread', owner: origins.ownerOf(resource) }));
  const native = foreign.length - workers.length;
  if (native <= 0) return workers.slice(0, foreign.length);
  const names = [...new Set(foreign.map(threadName))].join(', ');
  return [...workers, { kind: 'thread', what: native === 1 ? `a thread that is not Node's (${names})` : `${native} threads that are not Node's (${names})`, owner: addonsOf(origins) }];
}
