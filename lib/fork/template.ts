/**
 * A template, as whoever started it sees it: a warm process that is only ever forked from. Runs in Egg's agent, and in
 * any process that uses `egg-carton/fork`.
 *
 * Guarantees, each with a test that names it:
 * 1. `start` and `derive` settle once the template is ready, refused, failed or late; whatever is not ready is gone.
 * 2. A fork's `exited` resolves exactly once, after the last byte of its channel, also when its template died before it.
 * 3. At most `FORKS_AT_ONCE` requests are under way per template; the rest wait here, in order.
 * 4. When the template ends, requests that it did not answer reject with `CARTON_FORK_ENDED`; forks live on.
 * 5. After `close` it ends, also if it is stopped or hangs; a root, once what it is subreaper of has ended.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { CartonError, describe, fromWire, type WireError } from '../support/errors';
import type { HostProcess } from '../support/host_environment';
import { hostProcessOf, killGroup } from '../support/host_process';
import { hasExited, inheritOrphans, type Exit } from './children';
import { Control } from './control';
import { withTemplateFlags } from './flags';
import { discard, ForkAhead, takeOver, type ForkedProcess } from './forked';
import { inTime, isInTime, type Patience } from './in_time';
import type { TemplateOrder } from './inside/life';
import { forker, OP } from './native';
import { describeReason, type Reason } from './reason';
import { Requests } from './requests';

export { FORKS_AT_ONCE } from './requests';
export type { ForkAhead, ForkedProcess } from './forked';

export interface TemplateOptions extends TemplateOrder {
  /** File that the process runs: an entry of `lib/entry`. */
  readonly entry: string;
  /** Flags for Node, behind `TEMPLATE_FLAGS`. @default those of this process */
  readonly execArgv?: readonly string[];
  /** @default that of this process */
  readonly cwd?: string;
  /** @default that of this process */
  readonly env?: NodeJS.ProcessEnv;
  /** With this process the template and all its forks end. @default this process */
  readonly hostPid?: number;
  /** Field 22 of its `/proc/<pid>/stat`: pids are used again. @default that of whoever has the pid now */
  readonly hostStartTime?: string;
  /** Milliseconds to be ready in. @default 30000 */
  readonly timeoutMs?: number;
  /** Aborted while it is not ready, it ends at once, and `start` rejects with `CARTON_FORK_ENDED`. */
  readonly signal?: AbortSignal;
}

export type DeriveOptions = TemplateOrder & Pick<TemplateOptions, 'timeoutMs' | 'signal'>;

/** What a root template's process is started with, as JSON in its first argument. */
export interface TemplateBoot extends TemplateOrder {
  readonly host: HostProcess;
}

const READY_MS = 30_000;
/** Milliseconds in which a process that was killed is gone, unless the kernel itself is stuck with it. */
const GONE_MS = 1_000;
/** Milliseconds for a template that was closed to end, or to say that it stays to reap its forks. */
const LEAVE_MS = 2_000;

export class Template {
  /** Resolves when nothing can be forked from it any more. */
  readonly ended: Promise<void>;
  /** Resolves when its process has gone, or is a root that stays for its forks alone; soon after `close`, in any case. */
  readonly left: Promise<void>;
  readonly pid: number;
  readonly #control: Control;
  readonly #requests: Requests;
  readonly #exit: Promise<Exit>;
  readonly #whenReady: Promise<void>;
  readonly #ready: { resolve(): void; reject(error: CartonError): void };
  /** Those that live, also when they have begun. */
  readonly #ahead = new Set<ForkAhead>();
  #isReady = false;
  #hasEnded = false;
  #isCollected = false;
  /** Its pid may be another's. */
  #isGone = false;
  #onEnded: () => void = () => undefined;
  #onLeft: () => void = () => undefined;

  private constructor(controlFd: number, pid: number, exit: Promise<Exit>) {
    this.pid = pid;
    this.#exit = exit;
    void exit.then(() => (this.#isGone = true));
    this.ended = new Promise((resolve) => (this.#onEnded = resolve));
    this.left = new Promise((resolve) => (this.#onLeft = resolve));
    let settle: { resolve(): void; reject(error: CartonError): void } | undefined;
    this.#whenReady = new Promise((resolve, reject) => (settle = { resolve, reject }));
    this.#ready = settle as NonNullable<typeof settle>;
    this.#control = new Control(controlFd, { onFrame: (op, id, payload) => this.#onFrame(op, id, payload), onEnd: () => this.#hasLeft() });
    this.#requests = new Requests(this.#control);
  }

  /** Starts a process that boots `program` and becomes a template: the root of a tree. */
  static async start(options: TemplateOptions): Promise<Template> {
    inheritOrphans();
    const { program, argument, hostPid = process.pid, hostStartTime, timeoutMs = READY_MS, signal } = options;
    const host = hostStartTime === undefined ? hostProcessOf(hostPid) : { pid: hostPid, startTime: hostStartTime };
    const boot: TemplateBoot = { program, argument, host };
    const [ours, theirs] = pair();
    let child: ChildProcess;
    try {
      child = launch(options, boot, theirs);
    } catch (cause) {
      forker().close(ours);
      throw noProcess(cause);
    } finally {
      forker().close(theirs);
    }
    const exit = new Promise<Exit>((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
    const template = new Template(ours, child.pid ?? 0, exit);
    child.once('error', (cause) => template.#ready.reject(noProcess(cause)));
    return template.#settled({ timeoutMs, signal });
  }

  /** Another template, forked from this one: it inherits all that is loaded here. */
  async derive({ program, argument, timeoutMs = READY_MS, signal }: DeriveOptions): Promise<Template> {
    const started = performance.now();
    const asked = this.#requests.ask('template', { beginning: { program, argument }, descriptors: [] });
    const { pid, socket, exit } = await inTime(asked, { timeoutMs, signal }, () => {
      asked.then(discard, () => undefined);
    });
    return new Template(socket, pid, exit).#settled({ timeoutMs: Math.max(1, timeoutMs - (performance.now() - started)), signal });
  }

  /**
   * Forks a process that runs the program with this argument; copies of `descriptors` (at most 4) go with it,
   * which have to stay open until this settles. Rejects with `CARTON_FORK_ARGUMENT`, `CARTON_FORK_FAILED` or `CARTON_FORK_ENDED`.
   */
  async fork(argument: unknown, descriptors: readonly number[] = []): Promise<ForkedProcess> {
    return takeOver(await this.#requests.ask('fork', { beginning: { argument }, descriptors }));
  }

  /** Forks a process that stands by until it is told its argument. Rejects as `fork` does. */
  async forkAhead(): Promise<ForkAhead> {
    const fork = new ForkAhead(await this.#requests.ask('fork'));
    this.#ahead.add(fork);
    void fork.ended.then(() => this.#ahead.delete(fork));
    if (this.#hasEnded) fork.orphaned();
    return fork;
  }

  /**
   * Makes the template look which of its memory a fork has written, so that forks made ahead of time have that copied.
   * The fork must be alive until the template has read the order, which it does before it forks again.
   */
  learn({ pid }: ForkedProcess): void {
    this.#tell(OP.learn, pid);
  }

  /**
   * Makes the template collect its garbage before it forks again: forks that follow stay smaller. A second time does
   * nothing, since none of its JavaScript runs in between.
   */
  collect(): void {
    if (this.#isCollected || this.#hasEnded) return;
    this.#isCollected = this.#tell(OP.collect, null);
  }

  /** The template ends; its forks live on. */
  close(): void {
    this.#control.stop();
    this.#end();
    void this.#seeOff();
  }

  /** Ends the template at once, whatever it is doing; its forks live on. */
  kill(): void {
    if (!this.#isGone) killGroup(this.pid);
  }

  /** Whether it was sent. Nothing depends on it; should the template be gone, its end is on the way and tells everybody. */
  #tell(op: number, message: unknown): boolean {
    try {
      this.#control.send(op, 0, JSON.stringify(message));
      return true;
    } catch {
      return false;
    }
  }

  async #seeOff(): Promise<void> {
    if (await isInTime(this.left, LEAVE_MS)) return;
    this.kill();
    await isInTime(this.left, GONE_MS);
    this.#onLeft();
  }

  async #settled(patience: Patience): Promise<Template> {
    try {
      await inTime(this.#whenReady, patience, () => {
        this.#whenReady.catch(() => undefined);
      });
      this.#isReady = true;
      return this;
    } catch (error) {
      this.#control.close();
      await this.#gone();
      throw error;
    }
  }

  /** One that hangs does not see that nobody listens any more. */
  async #gone(): Promise<void> {
    // There never was a process.
    if (this.pid === 0) return;
    await Promise.resolve();
    this.kill();
    await isInTime(this.#exit, GONE_MS);
  }

  #onFrame(op: number, id: number, payload: Buffer): void {
    switch (op) {
      case OP.ready:
        return this.#ready.resolve();
      case OP.refused:
        return this.#ready.reject(refusal(JSON.parse(payload.toString()) as Reason[]));
      case OP.bootFailed:
        return this.#ready.reject(fromWire(JSON.parse(payload.toString()) as WireError));
      case OP.forked:
        return this.#requests.forked(id, payload.readInt32LE(0));
      case OP.failed:
        return this.#requests.failed(id, payload.readInt32LE(0));
      case OP.exited:
        return hasExited(payload.readInt32LE(0), payload.readInt32LE(4));
      case OP.leaving:
        this.#control.stop();
        this.#onLeft();
        return this.#end();
    }
  }

  #hasLeft(): void {
    this.#onLeft();
    this.#end();
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const error = new CartonError('CARTON_FORK_ENDED', { of: `template ${this.pid}` });
    this.#requests.end(error);
    for (const fork of this.#ahead) fork.orphaned();
    if (!this.#isReady) void this.#exit.then((exit) => this.#ready.reject(endedEarly(exit)));
    this.#onEnded();
  }
}

function launch({ entry, execArgv = process.execArgv, cwd, env = process.env }: TemplateOptions, boot: TemplateBoot, control: number): ChildProcess {
  return spawn(process.execPath, [...withTemplateFlags(execArgv), entry, JSON.stringify(boot)], {
    cwd, env, detached: true, stdio: ['ignore', 'inherit', 'inherit', control],
  });
}

function pair(): [number, number] {
  try {
    return forker().socketPair();
  } catch (cause) {
    if (cause instanceof CartonError) throw cause;
    throw new CartonError('CARTON_FORK_FAILED', { expected: 'two free descriptors', got: describe(cause), cause });
  }
}

function noProcess(cause: unknown): CartonError {
  return new CartonError('CARTON_FORK_BOOT_FAILED', { expected: 'a new process', got: describe(cause), cause });
}

function endedEarly({ code, signal }: Exit): CartonError {
  return new CartonError('CARTON_FORK_BOOT_FAILED', { expected: 'a template', got: `the end of its process, with ${signal ?? `exit code ${code}`}` });
}

function refusal(reasons: readonly Reason[]): CartonError {
  return Object.assign(new CartonError('CARTON_FORK_REFUSED', { got: reasons.map(describeReason).join('; ') }), { reasons });
}
