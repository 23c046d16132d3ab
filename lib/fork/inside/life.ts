/**
 * The life of a template, and the first moments of a fork: boot, checkpoint, check, quiet; then, in each fork, all that
 * makes a process its own. Runs in templates and their forks.
 *
 * 1. A template tells exactly one of `ready`, `refused`, `bootFailed`, and forks only after `ready`.
 * 2. From `ready` on none of its JavaScript runs but what an order asks for: no timer fires, nothing drifts.
 * 3. In a fork, nothing of the program runs before pid, exits, random numbers and timers are its own.
 */
import { Socket } from 'node:net';
import { CartonError, describe, toWire } from '../../support/errors';
import { LIMITS } from '../../support/limits';
import { OP, type Forker, type Frame } from '../native';
import type { Fork, TemplateProgram } from '../program';
import type { Reason } from '../reason';
import { closeWhatReopens } from './closing';
import { collectGarbage } from './garbage';
import { runAfterRestore, runBeforeCheckpoint } from './hooks';
import { baselineOf, inspect, whenStill, type Baseline } from './inspection';
import { Origins } from './origins';
import { restoreEntropy, settleEntropy } from './restore/entropy';
import { stopNotingPools } from './restore/pools';
import { takeOverExits } from './restore/exits';
import { restoreIdentity, settleIdentity } from './restore/identity';
import { restartTimers } from './restore/timers';

export interface TemplateOrder {
  /** Absolute path of a `TemplateProgram`. */
  readonly program: string;
  readonly argument: unknown;
}

export interface Surroundings {
  readonly native: Forker;
  /** Socket to whoever gives orders. */
  readonly control: number;
  /** A pidfd: with that process all templates and forks end. */
  readonly host: number;
  /** Whether it stays to reap what it is subreaper of, when nobody gives orders any more. */
  readonly lingers: boolean;
}

/** An order to fork, as JSON: a process of the program, or a template of its own. */
export interface ForkOrder {
  readonly kind: 'fork' | 'template';
  /** Nobody waits for the fork yet: it is told later what it is to be. */
  readonly isAhead: boolean;
}

/** What a fork is told on its own socket, as JSON: its argument, or its order as a template. */
export type Beginning = { readonly argument: unknown } | TemplateOrder;

/** Title of a process that does not know yet what it is to be. */
const AHEAD = 'egg-carton: fork ahead of time';

interface Warmed {
  readonly program: TemplateProgram;
  readonly state: unknown;
  /** Those that run in the template. */
  readonly timers: readonly NodeJS.Timeout[];
}

/** Makes this process a template. `inherited` is the state of the one that it was forked from. */
export async function beTemplate(order: TemplateOrder, surroundings: Surroundings, inherited?: unknown): Promise<void> {
  const { native, control } = surroundings;
  const tell = (op: number, message: unknown): void => {
    try {
      native.send(control, op, 0, JSON.stringify(message), []);
    } catch {
      // Nobody listens any more, so nobody will ever fork from this process.
      native.exit(0);
    }
  };
  try {
    // Whoever asked for it may end while it boots, or hangs, or spins.
    native.endUnheard(control);
  } catch {
    // Some sandboxes do not allow it; then one that spins lives until its host ends.
  }
  // Anything that is there already is Node's, or was found harmless in the template that this one was forked from.
  const baseline = await baselineOf(control);
  const origins = new Origins();
  origins.start();
  let warmed: Omit<Warmed, 'timers'>;
  try {
    // In a template that was forked: what its hooks open is its own, and to be closed before the next fork.
    await runAfterRestore();
    const program = await load(order.program);
    warmed = { program, state: await program.warm(order.argument, inherited) };
  } catch (error) {
    tell(OP.bootFailed, toWire(bootFailure(error, order.program)));
    return native.exit(1);
  }
  const refuse = (reasons: readonly Reason[]): never => {
    tell(OP.refused, reasons);
    return native.exit(1);
  };
  const { reasons, reopened } = await goQuiet(origins, baseline);
  if (reasons.length > 0) refuse(reasons);
  // From an immediate, so not in the middle of a round of the loop that has more to do.
  whenStill(baseline, (isStill) => {
    origins.stop();
    // What runs here for the first time need not be compiled in each fork.
    settleEntropy();
    settleIdentity();
    if (!isStill) refuse([{ kind: 'request', what: 'work that begins anew again and again', owner: null }]);
    tell(OP.ready, {});
    rest({ ...warmed, timers: origins.timers() }, surroundings, reopened);
  });
}

async function load(program: string): Promise<TemplateProgram> {
  try {
    return require(program) as TemplateProgram;
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_REQUIRE_ESM') throw error;
    return (await import(program)) as TemplateProgram;
  }
}

async function goQuiet(origins: Origins, baseline: Baseline): Promise<{ reasons: Reason[]; reopened: number[] }> {
  const failed = await runBeforeCheckpoint();
  const first = await inspect(origins, baseline);
  if (failed.length > 0) return { ...first, reasons: [...failed, ...first.reasons] };
  if (first.reasons.length === 0) return first;
  await closeWhatReopens(origins);
  return inspect(origins, baseline);
}

function rest(warmed: Warmed, surroundings: Surroundings, reopened: readonly number[]): void {
  const { native, control, host, lingers } = surroundings;
  for (;;) {
    const { op, payload, pid, fds } = native.wait(control, host, lingers, reopened);
    if (op === OP.fork) return wake(warmed, surroundings, { order: JSON.parse(payload) as ForkOrder, pid: pid as number, fd: fds[0] as number });
    if (op === OP.collect) {
      collectGarbage();
      // In V8's heap there are none left, and in the other one that has made new ones.
      native.fillHoles();
    }
    if (op === OP.learn) native.learnWritten(JSON.parse(payload) as number);
  }
}

/** In a fork. Whatever does not depend on what it is to be comes before it is told. */
function wake(warmed: Warmed, surroundings: Surroundings, { order, pid, fd }: { order: ForkOrder; pid: number; fd: number }): void {
  const { native, host } = surroundings;
  if (order.isAhead) native.copyWritten();
  restoreIdentity(pid);
  takeOverExits(native);
  restoreEntropy();
  if (order.kind === 'template') return beBelow(warmed, { ...surroundings, control: fd, lingers: false });
  stopNotingPools();
  native.endWith(host);
  const channel = new Socket({ fd, readable: true, writable: true });
  const { payload, fds } = order.isAhead ? standBy(native, fd, host) : native.receive(fd, host);
  // However long it waited, it begins now.
  if (order.isAhead) restoreIdentity(pid);
  restartTimers(warmed.timers);
  const { argument } = JSON.parse(payload) as { readonly argument: unknown };
  const fork: Fork = { channel, argument, descriptors: fds, restored: runAfterRestore() };
  // Whoever does not ask learns it like any rejection that nobody heard; asking later is not too late.
  warmed.program.run?.(fork, warmed.state);
}

function standBy(native: Forker, fd: number, host: number): Frame {
  const { title } = process;
  process.title = AHEAD;
  const beginning = native.receive(fd, host);
  process.title = title;
  return beginning;
}

function beBelow({ timers, state }: Warmed, surroundings: Surroundings): void {
  const { payload } = surroundings.native.receive(surroundings.control, surroundings.host);
  restartTimers(timers);
  void beTemplate(JSON.parse(payload) as TemplateOrder, surroundings, state);
}

function bootFailure(cause: unknown, program: string): CartonError {
  if (cause instanceof CartonError) return cause;
  // It travels in one frame, so nothing of it may be of any size.
  const message = describe(cause).slice(0, LIMITS.errorCharacters);
  const [name, stack] = cause instanceof Error ? [String(cause.name).slice(0, 100), String(cause.stack).slice(0, LIMITS.errorCharacters)] : ['', undefined];
  return new CartonError('CARTON_FORK_BOOT_FAILED', { of: program, got: name === '' ? message : `${name}: ${message}`, thrown: { name, message, stack }, cause });
}
