/**
 * Child processes of a benchmark: started with a file of `support/`, ready when they say so, gone when asked.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface ChildOptions {
  readonly args?: readonly string[];
  readonly execArgv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Milliseconds that a child has to end by itself. */
const END_MS = 8_000;
/** Characters of output that are kept for the message of a failure. */
const OUTPUT_CHARACTERS = 4_000;

/** A child of the benchmark with an IPC channel. Its output shows only where it fails. */
export class Child {
  readonly process: ChildProcess;
  #output = '';

  constructor(name: string, options: ChildOptions = {}) {
    this.process = fork(join(__dirname, `${name}.js`), [...(options.args ?? [])], {
      env: { ...process.env, ...options.env },
      execArgv: [...(options.execArgv ?? [])],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_CHARACTERS)));
    }
  }

  get pid(): number {
    return this.process.pid as number;
  }

  /** The next message; rejects where the child ends before it. */
  async message(): Promise<unknown> {
    const abort = new AbortController();
    try {
      return await Promise.race([
        once(this.process, 'message', { signal: abort.signal }).then(([message]: unknown[]) => message),
        once(this.process, 'exit', { signal: abort.signal }).then(() => {
          throw new Error(`a process of the benchmark ended:\n${this.#output}`);
        }),
      ]);
    } finally {
      abort.abort();
    }
  }

  send(message: object): void {
    this.process.send(message);
  }

  /** Asks the child to end and waits for it. */
  async end(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exited = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), END_MS);
    await exited;
    clearTimeout(timer);
  }
}
