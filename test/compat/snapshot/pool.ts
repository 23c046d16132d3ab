/**
 * Runs jobs some at once, ahead of who waits for their results: mocha waits for one test after the other, and a
 * comparison keeps one processor busy.
 */
const AT_ONCE = 2;

export class Pool {
  readonly #jobs: (() => Promise<unknown>)[] = [];
  readonly #running = new Set<Promise<unknown>>();

  /** The returned function starts the job and the next, unless they run already. */
  add<T>(job: () => Promise<T>): () => Promise<T> {
    let result: Promise<T> | undefined;
    const start = () => (result ??= this.#start(job));
    const place = this.#jobs.push(start) - 1;
    return async () => {
      // Whoever waits for a job started ahead learns of its failure.
      for (const ahead of this.#jobs.slice(place, place + AT_ONCE)) ahead().catch(() => undefined);
      return await start();
    };
  }

  #start<T>(job: () => Promise<T>): Promise<T> {
    const result = job();
    this.#running.add(result);
    const end = () => void this.#running.delete(result);
    result.then(end, end);
    return result;
  }

  /** Waits for what was started ahead and nobody asked for. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#running]);
  }
}
