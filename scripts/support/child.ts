/**
 * Child processes of the demo and of benchmarks, with an IPC channel: started with a compiled file, ready when they say
 * so, gone when asked. Each ends by itself when the channel closes, so that none outlives its parent.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

export interface ChildOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A process group of its own, which a Ctrl-C in the terminal does not reach. @default false */
  readonly detached?: boolean;
}

/** Milliseconds that a child has to end by itself, unless told. */
const END_MS = 8_000;
/** Characters of output that are kept for the message of a failure. */
const OUTPUT_CHARACTERS = 4_000;

export class Child {
  readonly process: ChildProcess;
  #output = '';

  /** @param file absolute path of the compiled file */
  constructor(file: string, { args = [], env = {}, detached = false }: ChildOptions = {}) {
    this.process = fork(file, [...args], { env: { ...process.env, ...env }, detached, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_CHARACTERS)));
    }
  }

  get pid(): number {
    return this.process.pid as number;
  }

  /** The end of what it wrote to stdout and stderr. */
  get output(): string {
    return this.#output;
  }

  get ended(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** The next message; rejects where the child ends before it. */
  async message(): Promise<unknown> {
    const abort = new AbortController();
    const { signal } = abort;
    const ended = (): never => {
      throw new Error(`a child process ended:\n${this.#output}`);
    };
    if (this.ended) ended();
    try {
      // 'close' comes after the last output, which is what the message of a failure is made of.
      const [message] = (await Promise.race([once(this.process, 'message', { signal }), once(this.process, 'close', { signal }).then(ended)])) as unknown[];
      return message;
    } finally {
      abort.abort();
    }
  }

  send(message: object): void {
    this.process.send(message);
  }

  /** Asks the child to end, kills it after `graceMs`, and waits until it is gone. */
  async end(graceMs: number = END_MS): Promise<void> {
    if (this.ended) return;
    const exited = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), graceMs);
    await exited;
    clearTimeout(timer);
  }
}
