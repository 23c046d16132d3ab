/**
 * What the demo has to undo before it ends: started processes and directories. The last one is undone first.
 */

export class Cleanup {
  readonly #steps: (() => Promise<void>)[] = [];
  readonly #abort = new AbortController();
  #running: Promise<void> | undefined;

  /** Aborted as soon as the end has begun: nothing new may be started then. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  add(step: () => Promise<void>): void {
    this.#steps.push(step);
  }

  /** Undoes everything; called again, it waits for the same end. */
  run(): Promise<void> {
    this.#abort.abort();
    this.#running ??= this.#undo();
    return this.#running;
  }

  async #undo(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) await step();
  }
}
