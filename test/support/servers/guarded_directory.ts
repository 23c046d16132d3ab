/**
 * A temporary directory, and the one process at a time that works in it, for real servers in tests.
 * It runs in the test process, with a guard beside it: a small shell that holds the reading end of
 * a pipe. It keeps true that when the test process ends, in whatever way (SIGKILL included), the
 * server is killed and the directory removed, for then the kernel closes the pipe.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { Writable } from 'node:stream';

/** Begins the name of every directory made here; also tells servers of tests from services of the machine. */
export const DIRECTORY_PREFIX = 'carton-test-';

/**
 * Reads process ids, a line each; an empty line when there is none. The newest counts. At the end
 * of input it kills that process group, waits till it is gone (5 s at most, for an init that does
 * not reap) so that nothing is written behind its back, and removes the directory `$1`. `-s` is
 * not a matter of taste: dash, Debian's sh, refuses `kill -KILL -- -<group>`.
 */
const GUARD_SCRIPT = `
pid=
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then
  kill -s KILL -- "-$pid"
  tries=0
  while kill -s 0 -- "-$pid" && [ "$tries" -lt 100 ]; do tries=$((tries + 1)); sleep 0.05; done
fi
cd / && rm -rf -- "$1"
`;

/** Lets a program begin only once the guard knows its process id, so that there is no moment without guard. */
const GATE_SCRIPT = 'read -r go && exec "$@" </dev/null';

/** A program under guard. `ended` resolves with a sentence, and never rejects; `log` is its output so far. */
export interface GuardedProcess {
  readonly ended: Promise<string>;
  log(): string;
  /** Signals the process and its children; does nothing once it has ended. */
  kill(signal: NodeJS.Signals): void;
}

export class GuardedDirectory {
  readonly path: string;
  private readonly guard: ChildProcess;
  private readonly guardGone: Promise<unknown>;
  private guardError: Error | undefined;

  constructor(name: string) {
    this.path = mkdtempSync(path.join(os.tmpdir(), `${DIRECTORY_PREFIX}${name}-`));
    // Detached: a Ctrl-C in the terminal is not to end the guard before its work.
    this.guard = spawn('sh', [ '-c', GUARD_SCRIPT, 'carton-test-guard', this.path ], { detached: true, cwd: '/', stdio: [ 'pipe', 'ignore', 'ignore' ] });
    this.guardGone = once(this.guard, 'exit');
    this.lifeline.on('error', error => { this.guardError = error; });
    // A forgotten stop() is not to keep the test process alive; its end is what the guard waits for.
    this.guard.unref();
    if (this.lifeline instanceof Socket) this.lifeline.unref();
  }

  /** Runs a program with its output in `<name>.log` of this directory. One at a time. */
  run(name: string, command: readonly string[]): GuardedProcess {
    if (this.guardError) throw new Error(`the guard of ${this.path} is gone`, { cause: this.guardError });
    const logFile = path.join(this.path, `${name}.log`);
    const output = openSync(logFile, 'a');
    const child = spawn('sh', [ '-c', GATE_SCRIPT, 'carton-test-gate', ...command ], { detached: true, cwd: this.path, stdio: [ 'pipe', output, output ] });
    closeSync(output);
    const ended = once(child, 'exit').then(([ code, signal ]: unknown[]) => {
      this.lifeline.write('\n');
      return `${name} ended with ${signal ? `signal ${String(signal)}` : `exit code ${String(code)}`}`;
    }, (error: unknown) => `${name} could not be run: ${String(error)}`);
    this.lifeline.write(`${child.pid ?? ''}\n`);
    child.stdin?.on('error', () => child.kill('SIGKILL')); // The gate is gone; `ended` tells why.
    child.stdin?.end('go\n');
    child.unref();
    return { ended, log: () => readFileSync(logFile, 'utf8'), kill: signal => killGroup(child, signal) };
  }

  /** Kills what still runs and removes the directory; resolves when both are done. */
  async remove(): Promise<void> {
    this.guard.ref();
    this.lifeline.end();
    await this.guardGone;
    // Done by the guard already, unless somebody killed it.
    await rm(this.path, { recursive: true, force: true });
  }

  private get lifeline(): Writable {
    if (!this.guard.stdin) throw new Error('the guard was started without a pipe');
    return this.guard.stdin;
  }
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  const running = child.exitCode === null && child.signalCode === null;
  if (!running || child.pid === undefined) return;
  child.ref(); // Whoever kills it wants to see it end.
  process.kill(-child.pid, signal);
}
