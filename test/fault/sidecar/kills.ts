/**
 * Kills what a ledger host lives of, one after the other, while it is under load, and tells how long it took until all
 * kinds of calls were served again.
 */
import { eventually } from '../../support/eventually';
import { isRunning } from '../../support/processes';
import type { LedgerHost } from './host';
import type { Load } from './load';

export const VICTIMS = ['sidecar', 'function process', 'database', 'database and sidecar'] as const;
export type Victim = (typeof VICTIMS)[number];

/** Errors of callers before a database is started again. */
const FAILURES = 10;

export class Killer {
  readonly kills: { readonly victim: Victim; readonly backMs: number }[] = [];
  readonly #host: LedgerHost;
  readonly #load: Load;
  readonly #killed = new Set<number>();
  readonly #watched: ReadonlyMap<number, string>;
  /** Before this one. */
  readonly #former: ReadonlySet<string>;

  constructor(host: LedgerHost, load: Load) {
    this.#host = host;
    this.#load = load;
    this.#watched = new Map(host.cluster.processes().filter(({ kind }) => ['master', 'agent', 'worker'].includes(kind)).map(({ pid, kind }) => [pid, kind]));
    this.#former = new Set(this.#ends().map(([line]) => line));
  }

  /** After so many calls. Resolves with the milliseconds until the host served again, from when it could; rejects where that is never. */
  async kill(victim: Victim, afterCalls: number): Promise<number> {
    await this.#load.progress(afterCalls);
    await this.#strike(victim);
    const from = performance.now();
    await this.#load.served();
    const backMs = Math.round(performance.now() - from);
    this.kills.push({ victim, backMs });
    return backMs;
  }

  /** Processes that have ended, and that nobody has killed. */
  dead(): string[] {
    const others = [...this.#watched].filter(([pid]) => !isRunning(pid)).map(([pid, kind]) => `${kind} ${pid} has ended by itself`);
    const instances = this.#ends().filter(([line, pid]) => !this.#former.has(line) && !this.#killed.has(pid)).map(([line]) => line);
    return [...others, ...instances];
  }

  /** What the host tells of function processes that have ended, and of which. */
  #ends(): [line: string, pid: number][] {
    return [...this.#host.cluster.logs.matchAll(/instance \S+ of \S+ \(pid (\d+)\): .*/g)].map(([line, pid]) => [line, Number(pid)]);
  }

  async #strike(victim: Victim): Promise<void> {
    const { cluster, database } = this.#host;
    if (victim === 'sidecar') return this.#end(await this.#host.sidecar());
    if (victim === 'function process') {
      const { pid } = await eventually('a function process', () => drawn(cluster.instances('ledger')));
      return this.#end(pid);
    }
    const failures = this.#load.failures;
    await database.kill();
    if (victim === 'database and sidecar') await this.#end(await this.#host.sidecar());
    await eventually('errors of callers', () => this.#load.failures >= failures + FAILURES);
    await database.restart();
  }

  async #end(pid: number): Promise<void> {
    this.#killed.add(pid);
    await this.#host.cluster.kill(pid);
  }
}

function drawn<T>(all: readonly T[]): T | undefined {
  return all[Math.floor(Math.random() * all.length)];
}
