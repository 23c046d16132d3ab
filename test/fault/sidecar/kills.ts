/**
 * Kills what a ledger host lives of, one after the other, while it is under load, and tells how long it took until all
 * kinds of calls were served again.
 */
import { eventually } from '../../support/eventually';
import { isRunning, type HostProcessInfo } from '../../support/processes';
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
  /** Processes that are not to end by themselves. */
  readonly #seen = new Map<number, string>();

  constructor(host: LedgerHost, load: Load) {
    this.#host = host;
    this.#load = load;
    this.#look();
  }

  /** Milliseconds until the host served again, from when it could. Rejects where that is never. */
  async kill(victim: Victim): Promise<number> {
    this.#look();
    await this.#strike(victim);
    const from = performance.now();
    await this.#load.served();
    const backMs = Math.round(performance.now() - from);
    this.#look();
    this.kills.push({ victim, backMs });
    return backMs;
  }

  /** Processes that have ended, and that nobody has killed. */
  dead(): string[] {
    this.#look();
    return [...this.#seen].filter(([pid]) => !this.#killed.has(pid) && !isRunning(pid)).map(([pid, what]) => `${what} ${pid} has ended by itself`);
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

  #look(): void {
    for (const info of this.#host.cluster.processes()) if (isWatched(info)) this.#seen.set(info.pid, `${info.kind} ${info.group}`.trim());
  }
}

/** Sidecars are not: one that starts while there is no database ends. */
function isWatched({ kind, group }: HostProcessInfo): boolean {
  return ['master', 'agent', 'worker'].includes(kind) || (kind === 'instance' && group !== '');
}

function drawn<T>(all: readonly T[]): T | undefined {
  return all[Math.floor(Math.random() * all.length)];
}
