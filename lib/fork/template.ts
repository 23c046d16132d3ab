/**
 * A template, as whoever started it sees it: a warm process that is only ever forked from. Runs in Egg's agent, and in
 * any process that uses `egg-carton/fork`.
 *
 * Guarantees, each with a test that names it:
 * 1. `start` and `derive` settle once the template is ready, refused, failed or late; whatever is not ready is gone.
 * 2. A fork's `exited` resolves exactly once, after the last byte of its channel, also when its template died before it.
 * 3. At most `FORKS_AT_ONCE` requests are under way per template; the rest wait here, in order.
 * 4. When the template ends, requests that it did not answer reject with `CARTON_FORK_ENDED`; forks live on.
 */
import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { CartonError, describe, fromWire, type WireError } from '../support/errors';
import { killGroup, killRestOfGroup } from '../support/host_process';
import { exitOf, hasExited, inheritOrphans, orphaned, type Exit } from './children';
import { Control } from './control';
import { TEMPLATE_FLAGS } from './flags';
import type { ForkRequest, TemplateOrder } from './inside/life';
import { forker, OP } from './native';
import { describeReason, type Reason } from './reason';

export interface TemplateOptions extends TemplateOrder {
  /** File that the process runs: an entry of `lib/entry`. */
  readonly entry: string;
  /** Flags for Node beside `TEMPLATE_FLAGS`. @default those of this process */
  readonly execArgv?: readonly string[];
  /** @default that of this process */
  readonly cwd?: string;
  /** @default that of this process */
  readonly env?: NodeJS.ProcessEnv;
  /** With this process the template and all its forks end. @default this process */
  readonly hostPid?: number;
  /** Milliseconds to be ready in. @default 30000 */
  readonly timeoutMs?: number;
}

/** What a root template's process is started with, as JSON in its first argument. */
export interface TemplateBoot extends TemplateOrder {
  readonly hostPid: number;
}

/** A forked process. */
export interface ForkedProcess {
  readonly pid: number;
  /** End-of-file tells either side of the other's death. */
  readonly channel: Socket;
  readonly exited: Promise<Exit>;
  /** Ends the process and its group at once; after its end it does nothing. */
  kill(): void;
}

/** Requests under way: a template answers one at a time, and each holds a descriptor of the kernel's small store. */
export const FORKS_AT_ONCE = 32;
/** Requests that wait. */
const WAITING_LIMIT = 10_000;
const READY_MS = 30_000;

interface Asked {
  readonly request: ForkRequest;
  /** Of the new process: its channel, or a template's control socket. Closed here once it was sent. */
  readonly theirs: number;
  resolve(pid: number): void;
  reject(error: CartonError): void;
}

export class Template {
  /** Resolves when nothing can be forked from it any more. */
  readonly ended: Promise<void>;
  readonly #control: Control;
  readonly #waiting: Asked[] = [];
  readonly #asked = new Map<number, Asked>();
  /** Forks of this template that live, as far as is known here. */
  readonly #children = new Set<number>();
  readonly #ready: { resolve(): void; reject(error: CartonError): void };
  readonly #whenReady: Promise<void>;
  #pid = 0;
  #lastId = 0;
  #hasEnded = false;
  #onEnded: () => void = () => undefined;

  private constructor(controlFd: number) {
    this.ended = new Promise((resolve) => (this.#onEnded = resolve));
    let settle: { resolve(): void; reject(error: CartonError): void } | undefined;
    this.#whenReady = new Promise((resolve, reject) => (settle = { resolve, reject }));
    this.#ready = settle as NonNullable<typeof settle>;
    this.#control = new Control(controlFd, { onFrame: (op, id, payload) => this.#onFrame(op, id, payload), onEnd: () => this.#end() });
  }

  /** Starts a process that boots `program` and becomes a template: the root of a tree. */
  static async start(options: TemplateOptions): Promise<Template> {
    inheritOrphans();
    const { entry, program, argument, execArgv = process.execArgv, cwd, env = process.env, hostPid = process.pid, timeoutMs = READY_MS } = options;
    const [ours, theirs] = pair();
    const boot: TemplateBoot = { program, argument, hostPid };
    const child = spawn(process.execPath, [...execArgv, ...TEMPLATE_FLAGS, entry, JSON.stringify(boot)], {
      cwd, env, detached: true, stdio: ['ignore', 'inherit', 'inherit', theirs],
    });
    forker().close(theirs);
    const template = new Template(ours);
    child.once('error', (cause) => template.#ready.reject(new CartonError('CARTON_FORK_BOOT_FAILED', { expected: 'a new process', got: cause.message, cause })));
    template.#pid = child.pid ?? 0;
    return template.#settled(timeoutMs);
  }

  get pid(): number {
    return this.#pid;
  }

  /** Another template, forked from this one: it inherits all that is loaded here. */
  async derive({ program, argument, timeoutMs = READY_MS }: TemplateOrder & { readonly timeoutMs?: number }): Promise<Template> {
    const [ours, theirs] = pair();
    const derived = new Template(ours);
    // It may say that it is ready before its parent says which pid it has.
    derived.#whenReady.catch(() => undefined);
    try {
      derived.#pid = await this.#ask({ kind: 'template', program, argument }, theirs);
    } catch (error) {
      derived.close();
      throw error;
    }
    return derived.#settled(timeoutMs);
  }

  /** Rejects with `CARTON_FORK_FAILED` or `CARTON_FORK_ENDED`. */
  async fork(argument: unknown): Promise<ForkedProcess> {
    const [ours, theirs] = pair();
    const channel = new Socket({ fd: ours, readable: true, writable: true });
    try {
      const pid = await this.#ask({ kind: 'fork', argument }, theirs);
      return this.#forked(pid, channel);
    } catch (error) {
      channel.destroy();
      throw error;
    }
  }

  /** Makes the template collect its garbage before it forks again: forks that follow stay smaller. */
  collect(): void {
    if (!this.#hasEnded) this.#send(() => this.#control.send(OP.collect, 0, null));
  }

  /** The template ends; its forks live on. */
  close(): void {
    this.#control.close();
  }

  async #settled(timeoutMs: number): Promise<Template> {
    const timer = setTimeout(() => {
      this.#ready.reject(new CartonError('CARTON_FORK_TIMEOUT', { expected: `a template within ${timeoutMs} ms` }));
    }, timeoutMs);
    try {
      await this.#whenReady;
      return this;
    } catch (error) {
      this.close();
      // One that hangs does not see that nobody listens any more.
      if (this.#pid > 0 && !this.#hasEnded) killGroup(this.#pid);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #forked(pid: number, channel: Socket): ForkedProcess {
    this.#children.add(pid);
    const lastByte = new Promise((resolve) => channel.once('close', resolve));
    let isRunning = true;
    const status = exitOf(pid).then((exit) => {
      isRunning = false;
      this.#children.delete(pid);
      // Whatever way it ended, what it started ends with it.
      killRestOfGroup(pid);
      return exit;
    });
    if (this.#hasEnded) orphaned([pid]);
    return {
      pid, channel,
      exited: Promise.all([status, lastByte]).then(([exit]) => exit),
      kill: () => {
        if (isRunning) killGroup(pid);
      },
    };
  }

  #ask(request: ForkRequest, theirs: number): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#hasEnded || this.#waiting.length >= WAITING_LIMIT) {
        forker().close(theirs);
        return reject(this.#hasEnded ? new CartonError('CARTON_FORK_ENDED') : new CartonError('CARTON_FORK_FAILED', { expected: `at most ${WAITING_LIMIT} requests that wait`, got: 'another one' }));
      }
      this.#waiting.push({ request, theirs, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    while (this.#asked.size < FORKS_AT_ONCE) {
      const asked = this.#waiting.shift();
      if (asked === undefined) return;
      const id = (this.#lastId = (this.#lastId + 1) % 0x7fffffff);
      this.#asked.set(id, asked);
      this.#send(() => this.#control.send(OP.fork, id, asked.request, [asked.theirs]));
      forker().close(asked.theirs);
    }
  }

  #send(send: () => void): void {
    try {
      send();
    } catch {
      // Its end is on the way, and tells everybody.
      this.#control.close();
    }
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
        return this.#answered(id, (asked) => asked.resolve(payload.readInt32LE(0)));
      case OP.failed:
        return this.#answered(id, (asked) => asked.reject(new CartonError('CARTON_FORK_FAILED', { expected: 'a new process', got: `errno ${payload.readInt32LE(0)}` })));
      case OP.exited:
        return hasExited(payload.readInt32LE(0), payload.readInt32LE(4));
      case OP.leaving:
        return this.#end();
    }
  }

  #answered(id: number, settle: (asked: Asked) => void): void {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (asked !== undefined) settle(asked);
    this.#next();
  }

  /** Nothing can be forked from it any more; it may still tell how its forks end. */
  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const error = new CartonError('CARTON_FORK_ENDED', { of: `template ${this.#pid}` });
    this.#ready.reject(error);
    for (const { theirs } of this.#waiting) forker().close(theirs);
    for (const { reject } of [...this.#asked.values(), ...this.#waiting]) reject(error);
    this.#asked.clear();
    this.#waiting.length = 0;
    orphaned(this.#children);
    this.#onEnded();
  }
}

function pair(): [number, number] {
  try {
    return forker().socketPair();
  } catch (cause) {
    if (cause instanceof CartonError) throw cause;
    throw new CartonError('CARTON_FORK_FAILED', { expected: 'two free descriptors', got: describe(cause), cause });
  }
}

function refusal(reasons: readonly Reason[]): CartonError {
  return Object.assign(new CartonError('CARTON_FORK_REFUSED', { got: reasons.map(describeReason).join('; ') }), { reasons });
}
