/**
 * A load of transfers and notes upon a ledger host, from some lanes at once, that remembers what was answered to each
 * call, and holds it against the database when it has ended.
 */
import { eventually } from '../../support/eventually';
import { ACCOUNTS, BALANCE, type LedgerHost, type Outcome } from './host';

const LANES = 12;
/** Milliseconds that a lane stays away after an error. */
const PAUSE_MS = 10;
const MAX_AMOUNT = 50;
/** For some thousands of calls, on a machine that has much else to do. */
const PROGRESS_MS = 120_000;
/** Enough to see what is wrong. */
const VIOLATIONS = 20;

type Transfer = [from: number, to: number, amount: number];

/** What is called, and with what. */
const CALLS: Readonly<Record<string, (request: string) => readonly [method: string, ...args: unknown[]]>> = {
  scope: (request) => ['transfer', ...drawn(), { request }],
  'by hand': (request) => ['transfer', ...drawn(), { request, byHand: true }],
  model: (request) => ['transferByModel', ...drawn(), { request }],
  note: (request) => ['note', request],
  sum: () => ['sum'],
  'sum of models': () => ['sumByModel'],
};
const KINDS = Object.keys(CALLS);
const WRITING = ['scope', 'by hand', 'model', 'note'];

export class Load {
  /** Outcomes by kind and code; what was done has the code "done". */
  readonly counts = new Map<string, number>();
  readonly violations: string[] = [];
  done = 0;
  failures = 0;
  #host: LedgerHost;
  #newest = 0;
  #lanes: Promise<void>[] = [];
  #isStopped = false;
  /** Of calls that write: by their id, whether they were done. */
  #asked = new Map<string, boolean>();
  /** The newest call of each kind that was done. */
  readonly #served = new Map<string, number>();

  constructor(host: LedgerHost) {
    this.#host = host;
  }

  get calls(): number {
    return this.#newest;
  }

  start(): void {
    this.#isStopped = false;
    this.#lanes = Array.from({ length: LANES }, () => this.#lane());
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#lanes);
  }

  /** Resolves when of each kind a call was done that began after this one. */
  async served(): Promise<void> {
    const after = this.#newest;
    await eventually('calls of all kinds that are done', () => KINDS.every((kind) => (this.#served.get(kind) ?? -1) >= after), { seen: () => [after, ...this.#served] });
  }

  /** Resolves when so many more calls were done. */
  async progress(calls: number): Promise<void> {
    const until = this.done + calls;
    await eventually(`${calls} calls that are done`, () => this.done >= until, { deadlineMs: PROGRESS_MS, seen: () => until - this.done });
  }

  /** Holds all that was answered against the database, and begins anew. For a load that is stopped. */
  async check(): Promise<void> {
    await this.#host.settled();
    const outcomes = await this.#host.full((index) => this.#ask(`full-${this.#newest}-${index}`));
    for (const outcome of outcomes) if (!('done' in outcome)) this.#violation(`a transaction that waited with others failed: ${outcome.text}`);
    for (const request of [...this.#asked.keys()]) if (request.startsWith('full-')) this.#asked.set(request, true);
    await this.#compareEffects();
    await this.#compareBalances();
    this.#asked.clear();
    await this.#host.settled();
  }

  async #lane(): Promise<void> {
    while (!this.#isStopped) {
      const number = this.#newest++;
      const kind = KINDS[number % KINDS.length] as string;
      const request = `r${number}`;
      if (WRITING.includes(kind)) this.#ask(request);
      const [method, ...args] = (CALLS[kind] as (request: string) => readonly [string, ...unknown[]])(request);
      const outcome = await this.#host.call(method, ...args);
      this.#note(kind, outcome);
      if (!('done' in outcome)) {
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
        continue;
      }
      this.#served.set(kind, Math.max(number, this.#served.get(kind) ?? 0));
      if (this.#asked.has(request)) this.#asked.set(request, true);
      else if (outcome.done !== ACCOUNTS * BALANCE) this.#violation(`the balances were ${JSON.stringify(outcome.done)} in all, seen by ${kind}`);
    }
  }

  #ask(request: string): string {
    this.#asked.set(request, false);
    return request;
  }

  #note(kind: string, outcome: Outcome): void {
    const code = 'done' in outcome ? 'done' : outcome.code;
    if (code === undefined) this.#violation(`an error without a code, of ${kind}: ${'text' in outcome ? outcome.text : ''}`);
    if (code === 'done') this.done += 1;
    else this.failures += 1;
    const key = `${kind}: ${code ?? 'no code'}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }

  /** What was done is there once; what failed at most once. */
  async #compareEffects(): Promise<void> {
    const found = new Map<string, number>();
    for (const { request, n } of await this.#host.rows<{ request: string; n: number }>('SELECT request, COUNT(*) AS n FROM (SELECT request FROM transfer UNION ALL SELECT request FROM note) AS effects GROUP BY request')) found.set(request, Number(n));
    for (const [request, isDone] of this.#asked) {
      const times = found.get(request) ?? 0;
      if (isDone && times !== 1) this.#violation(`${request} was done, and is there ${times} times`);
      if (!isDone && times > 1) this.#violation(`${request} failed, and is there ${times} times`);
    }
    for (const request of found.keys()) if (!this.#asked.has(request)) this.#violation(`${request} is there, and was not asked for`);
  }

  /** Each account has what the rows say; then the rows go, and the balances begin anew. */
  async #compareBalances(): Promise<void> {
    const rows = await this.#host.rows<{ id: number; balance: number; moved: string }>(`
      SELECT id, balance, (SELECT COALESCE(SUM(amount), 0) FROM transfer WHERE to_id = account.id) - (SELECT COALESCE(SUM(amount), 0) FROM transfer WHERE from_id = account.id) AS moved FROM account`);
    const sum = rows.reduce((total, { balance }) => total + balance, 0);
    if (rows.length !== ACCOUNTS || sum !== ACCOUNTS * BALANCE) this.#violation(`${rows.length} accounts have ${sum} in all`);
    for (const { id, balance, moved } of rows) if (balance !== BALANCE + Number(moved)) this.#violation(`account ${id} has ${balance}, and its transfers say ${BALANCE + Number(moved)}`);
    for (const sql of ['TRUNCATE TABLE transfer', 'TRUNCATE TABLE note', `UPDATE account SET balance = ${BALANCE}`]) await this.#host.rows(sql);
  }

  #violation(text: string): void {
    if (this.violations.length < VIOLATIONS) this.violations.push(text);
  }
}

/** Accounts in any order, so that transactions meet in deadlocks as well. */
function drawn(): Transfer {
  const from = 1 + Math.floor(Math.random() * ACCOUNTS);
  const to = 1 + ((from + Math.floor(Math.random() * (ACCOUNTS - 1))) % ACCOUNTS);
  return [from, to, 1 + Math.floor(Math.random() * MAX_AMOUNT)];
}

