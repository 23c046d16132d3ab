/**
 * Processes that are started to see how long that takes: the clock runs from before the process exists. One that is
 * traced runs under strace, which slows it, so its times mean nothing.
 */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { killGroup } from '../../lib/support/host_process';
import { underStrace } from './system_calls';

/** How long a start took, in milliseconds from before the process existed. */
export interface Start {
  readonly readyMs: number;
  readonly firstAnswerMs: number;
  /** When it was ready, in milliseconds since 1970: where a trace of the start ends. */
  readonly readyAt: number;
}

export interface StartOptions {
  /** For Node: the file and its arguments. */
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** What stands at descriptor 3: Node's channel, or a plain one. */
  readonly channel: 'ipc' | 'pipe';
  /** File for the trace; undefined: not traced. */
  readonly trace?: string;
  /** Milliseconds after which it is killed; null: its starter ends it. @default a minute */
  readonly lifeMs?: number | null;
}

/**
 * From a start to the end of the process, with a trace on a busy machine. An Egg application in single mode whose boot
 * fails waits for ever.
 */
const LIFE_MS = 60_000;
/** Characters of output that are kept: a start prints some hundred lines. */
const OUTPUT_CHARACTERS = 1_000_000;
/** Of those, the last ones, which the message of a failure shows. */
const SHOWN_CHARACTERS = 4_000;
/** What a process prints in front of why it does without its snapshot. */
const COMPLAINT = '[egg-carton]';

export class StartedProcess {
  readonly startedAt = performance.now();
  readonly process: ChildProcess;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  #output = '';
  #overdue = '';

  constructor({ args, cwd, env, channel, trace, lifeMs = LIFE_MS }: StartOptions) {
    const [command, ...rest] = [...(trace === undefined ? [] : underStrace(trace)), process.execPath, ...args] as [string, ...string[]];
    const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', channel];
    // A group of its own, as the spawn launcher makes it: what is under strace goes on when strace alone is killed.
    this.process = spawn(command, rest, { cwd, env: { ...process.env, ...env }, stdio, detached: true });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.#output = (this.#output + chunk.toString()).slice(0, OUTPUT_CHARACTERS)));
    }
    const timer = lifeMs === null ? undefined : setTimeout(() => this.#kill(lifeMs), lifeMs);
    this.process.once('exit', () => clearTimeout(timer));
    // 'close' comes after the last output, but not at all where this side has closed Node's channel.
    this.exited = once(this.process, channel === 'ipc' ? 'exit' : 'close').then(([code, signal]) => ({ code: code as number | null, signal: signal as NodeJS.Signals | null }));
  }

  /** The end of what it printed. */
  get output(): string {
    return this.#output.slice(-SHOWN_CHARACTERS);
  }

  /** Why it did without its snapshot; empty where it has said nothing. */
  get complaint(): string {
    return this.#output.split('\n').filter((line) => line.includes(COMPLAINT)).join('\n');
  }

  get elapsedMs(): number {
    return performance.now() - this.startedAt;
  }

  /** The first message over Node's channel; rejects where the process ends before it. */
  async message(): Promise<unknown> {
    const ended = once(this.process, 'close').then(() => {
      throw new Error(`a process ended before it was ready${this.#overdue}:\n${this.output}`);
    });
    const [message] = (await Promise.race([once(this.process, 'message'), ended])) as unknown[];
    return message;
  }

  /** Waits for its end. Rejects where that had to be forced. */
  async end(): Promise<void> {
    await this.exited;
    if (this.#overdue !== '') throw new Error(`a process did not end${this.#overdue}:\n${this.output}`);
  }

  #kill(lifeMs: number): void {
    this.#overdue = `, and was killed after ${lifeMs} ms`;
    killGroup(this.process.pid as number);
  }
}
