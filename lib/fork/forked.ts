/**
 * Forked processes, as whoever asked for them sees them. Runs in whoever starts templates.
 */
import { Socket } from 'node:net';
import { killGroup, killRestOfGroup } from '../support/host_process';
import { lookFor, type Exit } from './children';
import { forker } from './native';
import { begin, type Forked } from './requests';

/** A forked process. */
export interface ForkedProcess {
  readonly pid: number;
  /** End-of-file tells either side of the other's death. */
  readonly channel: Socket;
  readonly exited: Promise<Exit>;
  /** Ends the process and its group at once; after its end it does nothing. */
  kill(): void;
}

export function takeOver({ pid, socket, exit }: Forked): ForkedProcess {
  const channel = new Socket({ fd: socket, readable: true, writable: true });
  // One that died before it had read all that it was told: its end says it.
  channel.on('error', () => undefined);
  const lastByte = new Promise((resolve) => channel.once('close', resolve)).then(() => lookFor(pid));
  let isRunning = true;
  const status = exit.then((how) => {
    isRunning = false;
    // Whatever way it ended, what it started ends with it.
    killRestOfGroup(pid);
    return how;
  });
  return {
    pid, channel,
    exited: Promise.all([status, lastByte]).then(([how]) => how),
    kill: () => {
      if (isRunning) killGroup(pid);
    },
  };
}

/** Of one that nobody wants any more. */
export function discard({ pid, socket }: Forked): void {
  forker().close(socket);
  killGroup(pid);
}

/**
 * A process that was forked before anybody needed it. None of its program has run; all that does not depend on what it
 * is to be is done.
 */
export class ForkAhead {
  readonly pid: number;
  /** Resolves when it cannot begin any more. */
  readonly ended: Promise<void>;
  readonly #forked: Forked;
  #isWaiting = true;

  constructor(forked: Forked) {
    this.#forked = forked;
    this.pid = forked.pid;
    this.ended = forked.exit.then(() => this.#forget());
  }

  /**
   * It goes on as a fork that was made now. Throws `CARTON_FORK_ENDED` where it has ended, or has begun; `CARTON_FORK_ARGUMENT` and
   * `CARTON_FORK_FAILED`, after which it still waits.
   */
  begin(argument: unknown, descriptors: readonly number[] = []): ForkedProcess {
    begin(this.#forked, { beginning: { argument }, descriptors }, this.#isWaiting);
    this.#isWaiting = false;
    return takeOver(this.#forked);
  }

  /** For its template, which has ended: nobody may be left to tell how this one ends. */
  orphaned(): void {
    if (this.#isWaiting) lookFor(this.pid);
  }

  /** Ends it, if it has not begun. */
  kill(): void {
    if (!this.#isWaiting) return;
    killGroup(this.pid);
    lookFor(this.pid);
    this.#forget();
  }

  #forget(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    forker().close(this.#forked.socket);
  }
}
