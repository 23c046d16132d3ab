/**
 * Hooks around a checkpoint, named as in CRaC and SnapStart: `beforeCheckpoint` runs in the template before it goes
 * quiet, in reverse order of registration, `afterRestore` in each fork, in order. Runs in templates and forks.
 *
 * They are kept on the global object, because the application that registers them may have another copy of this file.
 * Nothing calls them in a process that is no template, so registering is always right.
 */
import { CartonError, describe } from '../../support/errors';
import type { Reason } from '../reason';

export interface CheckpointHooks {
  /** Closes what forks cannot share. What it rejects with makes the template refuse. */
  beforeCheckpoint?(): Promise<void> | void;
  /** Opens it again. A failure fails the fork. */
  afterRestore?(): Promise<void> | void;
}

interface Registered extends CheckpointHooks {
  /** Where they were registered. */
  readonly owner: string;
}

const HOOKS = Symbol.for('egg-carton.fork.hooks');
const holder = globalThis as { [HOOKS]?: Registered[] };

/** Milliseconds that one hook may take. */
const HOOK_MS = 5_000;

/** Registers both sides of one resource. */
export function onCheckpoint(hooks: CheckpointHooks): void {
  const caller = new Error().stack?.split('\n').slice(2).find((line) => !line.includes(__filename)) ?? '';
  registered().push({ ...hooks, owner: caller.trim().replace(/^at /, '') });
}

export function beforeCheckpoint(hook: () => Promise<void> | void): void {
  onCheckpoint({ beforeCheckpoint: hook });
}

export function afterRestore(hook: () => Promise<void> | void): void {
  onCheckpoint({ afterRestore: hook });
}

/** What an application finds at `app.carton`, in whatever process it runs. */
export const checkpointHooks = Object.freeze({ onCheckpoint, beforeCheckpoint, afterRestore });

/** Runs all of them, whatever fails, since each closes something else. */
export async function runBeforeCheckpoint(): Promise<Reason[]> {
  const reasons: Reason[] = [];
  for (const { beforeCheckpoint: hook, owner } of [...registered()].reverse()) {
    if (hook === undefined) continue;
    try {
      await inTime(hook);
    } catch (error) {
      reasons.push({ kind: 'hook', what: `a beforeCheckpoint hook that failed (${describe(error)})`, owner });
    }
  }
  return reasons;
}

/** Rejects with the error of the first that fails; the others do not run then. */
export async function runAfterRestore(): Promise<void> {
  for (const { afterRestore: hook } of registered()) if (hook !== undefined) await inTime(hook);
}

function registered(): Registered[] {
  return (holder[HOOKS] ??= []);
}

async function inTime(hook: () => Promise<void> | void): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new CartonError('CARTON_FORK_TIMEOUT', { of: 'a hook', expected: `its end within ${HOOK_MS} ms` })), HOOK_MS);
  });
  try {
    await Promise.race([hook(), late]);
  } finally {
    clearTimeout(timer);
  }
}
