/**
 * Many invocations of `ledger` while its instances die, and what became of each: the client's answers on one side,
 * the ledger that the function wrote as its first act on the other.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { Cluster } from '../support/cluster';

export interface LedgerRun {
  readonly answered: number;
  /** Ids that were answered with CARTON_INSTANCE_CRASHED. */
  readonly crashed: string[];
  /** Any other answer: there must be none. */
  readonly strange: string[];
  /** How often each id stands in the ledger. */
  readonly entries: ReadonlyMap<string, number>;
}

export interface LedgerPlan {
  readonly path: string;
  /** Half of them answer at once, half a moment later: some are always at work. */
  readonly requests: number;
  readonly concurrency: number;
  /** Whether the invocation with this number ends its own process. */
  readonly dies?: (index: number) => boolean;
  /** Called after each answer. */
  readonly progress?: (answered: number) => void;
}

/** Sends `requests` invocations, `concurrency` at once, and reads the ledger when all are answered. */
export async function runLedger(cluster: Cluster, plan: LedgerPlan): Promise<LedgerRun> {
  const crashed: string[] = [];
  const strange: string[] = [];
  let next = 0;
  let answered = 0;
  const lane = async (): Promise<void> => {
    while (next < plan.requests) {
      const index = next++;
      const id = `r${index}`;
      const outcome = await outcomeOf(cluster, [plan.path, id, plan.dies?.(index) ?? false, index % 2]);
      if (outcome === 'CARTON_INSTANCE_CRASHED') crashed.push(id);
      else if (outcome !== id) strange.push(`${id}: ${outcome}`);
      answered += 1;
      plan.progress?.(answered);
    }
  };
  await Promise.all(Array.from({ length: plan.concurrency }, lane));
  return { answered, crashed, strange, entries: entriesOf(plan.path) };
}

/** Lines of a ledger with how often each stands there. */
export function entriesOf(path: string): Map<string, number> {
  const entries = new Map<string, number>();
  if (!existsSync(path)) return entries;
  for (const line of readFileSync(path, 'utf8').split('\n')) if (line !== '') entries.set(line, (entries.get(line) ?? 0) + 1);
  return entries;
}

/** The id that the function returned, or the code of what came instead. */
async function outcomeOf(cluster: Cluster, args: readonly unknown[]): Promise<string> {
  try {
    const answer = await cluster.invoke('ledger', args);
    return answer.status === 200 ? answer.json<{ id: string }>().id : answer.code === 'CARTON_INSTANCE_CRASHED' ? answer.code : `${answer.status} ${answer.text}`;
  } catch (error) {
    return String(error);
  }
}
