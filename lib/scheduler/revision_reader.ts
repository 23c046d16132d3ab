/**
 * In development: reads functions and specs anew whenever somebody has reason to think that they changed. It runs in
 * the agent. One look at a time, so that an older one cannot overtake.
 */
import { delay, type Clock } from '../support/clock';
import { describe } from '../support/errors';
import type { HostLog } from '../support/host_environment';
import type { Revision } from '../spec/types';

/** A file is empty for the moment in which an editor writes it, so what is not valid gets a second look. */
const SECOND_LOOK_MS = 30;

export interface RevisionReaderOptions {
  readonly load: () => Promise<Revision>;
  readonly onRevision: (revision: Revision) => void;
  readonly clock: Clock;
  readonly log: HostLog;
}

export class RevisionReader {
  readonly #options: RevisionReaderOptions;
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  /** What was wrong at the last look; it is told once. */
  #problem: string | undefined;

  constructor(options: RevisionReaderOptions) {
    this.#options = options;
  }

  /** Never rejects: where the specs are not valid, the log says why and the last good ones stay. */
  look(): Promise<void> {
    // A look that has begun may have missed the change, so whoever asks meanwhile shares the next.
    this.#next ??= this.#running.then(() => {
      this.#running = this.#next as Promise<void>;
      this.#next = undefined;
      return this.#look();
    });
    return this.#next;
  }

  async #look(): Promise<void> {
    const { load, onRevision, clock, log } = this.#options;
    try {
      const revision = await load().catch(() => delay(clock, SECOND_LOOK_MS).then(load));
      this.#problem = undefined;
      onRevision(revision);
    } catch (error) {
      const problem = describe(error);
      if (problem !== this.#problem) log.error(`${problem} The functions stay as they were.`);
      this.#problem = problem;
    }
  }
}
