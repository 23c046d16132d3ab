/**
 * More than ten thousand hostile and odd HTTP requests against a real host: no process dies, none reaches a function
 * that it is not for, every error is one of the table, and whatever is well formed is answered exactly.
 *
 * The seed is printed; `CARTON_FUZZ_SEED` repeats a run, `CARTON_FUZZ_REQUESTS` changes its length.
 */
import assert from 'node:assert/strict';
import { ERRORS, type ErrorCode } from '../../lib/support/errors';
import { startCluster, type Cluster } from '../support/cluster';
import { FUNCTIONS, functionAt, fuzzCase, type FuzzCase } from './fuzz_requests';
import { exchange, type RawAnswer } from './raw_http';
import { Random } from './random';

const SEED = Number(process.env['CARTON_FUZZ_SEED'] ?? Date.now() % 1_000_000_000);
const REQUESTS = Number(process.env['CARTON_FUZZ_REQUESTS'] ?? 10_500);
/** Connections at once. */
const CONNECTIONS = 24;
/** What node's parser answers by itself, or Egg in its place, before anybody sees a request. */
const REFUSED_BY_NODE = new Set([400, 408, 413, 417, 431]);

type Outcome = 'function' | 'carton error' | 'refused by node' | 'application' | 'no answer';

interface Echo {
  readonly function: string;
  readonly args: readonly unknown[];
  readonly polluted?: unknown;
  readonly user?: unknown;
}

function bodyOf(answer: RawAnswer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(answer.body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // A stream, or an answer of node or Egg that is no JSON.
  }
}

/** Judges one answer of a case; throws where it must not be. */
function judge(made: FuzzCase, answer: RawAnswer, index: number): Outcome {
  const target = made.targets[index];
  if (answer.body.startsWith('{"data":"items"}') || answer.body.startsWith('data: "items"')) {
    assert.equal(target, 'items');
    return 'function';
  }
  const body = bodyOf(answer);
  const error = body?.['error'] as { code?: unknown } | undefined;
  if (typeof error?.code === 'string') return judgeError(made, answer, error.code);
  if (typeof body?.['function'] === 'string') {
    const echo = body as unknown as Echo;
    assert.equal(echo.function, target, 'reached another function');
    assert.deepEqual([answer.status, echo.polluted, echo.user], [200, undefined, undefined]);
    if (made.exact?.[index] !== undefined) assert.equal(JSON.stringify(echo.args), made.exact[index]);
    return 'function';
  }
  assert.equal(made.exact?.[index], undefined, 'a well-formed request was not answered');
  if (made.headless === true) return 'application';
  if (body?.['application'] === true) return 'application';
  // Egg's body parser and its error page, on what is the application's own.
  if (target === undefined && answer.status >= 400 && answer.status < 500) return REFUSED_BY_NODE.has(answer.status) ? 'refused by node' : 'application';
  assert.ok(REFUSED_BY_NODE.has(answer.status), `an answer that nobody gives: ${answer.status}`);
  return 'refused by node';
}

function judgeError(made: FuzzCase, answer: RawAnswer, code: string): Outcome {
  assert.ok(Object.hasOwn(ERRORS, code), `${code} is not in the table`);
  assert.equal(answer.status, ERRORS[code as ErrorCode].status, code);
  assert.ok(!['CARTON_INSTANCE_CRASHED', 'CARTON_INSTANCE_UNRESPONSIVE', 'CARTON_RUNTIME_TIMEOUT'].includes(code), `${code} for a request`);
  assert.equal(made.exact?.[0], undefined, `a well-formed request got ${code}`);
  return 'carton error';
}

describe('a host under hostile requests', function () {
  this.timeout(120_000);
  let cluster: Cluster;

  before(async () => {
    cluster = await startCluster({ application: 'fuzz-app', workers: 2 });
  });

  after(async () => {
    await cluster.destroy();
  });

  /** Every function answers, in both workers, and by this all instances are up. */
  const callAll = async (): Promise<void> => {
    for (const name of [...FUNCTIONS, 'items']) {
      for (let worker = 0; worker < 4; worker += 1) assert.equal((await cluster.invoke(name, ['x'], { fresh: true })).status, 200);
    }
    assert.equal((await cluster.request('/fuzz/item/x')).json<Echo>().function, 'item');
    assert.equal((await cluster.request('/fuzz/form', { body: { a: 1 } })).json<Echo>().function, 'form');
  };
  const pids = (): string[] => cluster.processes().map(({ pid, kind, group }) => `${kind} ${group} ${pid}`).sort();

  it('reads paths in one way only', () => {
    assert.equal(functionAt('/oneapi/nested%2Fgamma'), 'nested/gamma');
    assert.equal(functionAt('http://localhost/oneapi/alpha'), 'alpha');
    assert.equal(functionAt('//oneapi/alpha'), undefined);
  });

  it(`survives ${REQUESTS} of them (seed ${SEED})`, async () => {
    console.log(`      seed ${SEED}`);
    await callAll();
    await cluster.prepared();
    const before = pids();
    const outcomes = new Map<Outcome, number>();
    const count = (outcome: Outcome): void => void outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    let next = 0;
    const run = async (): Promise<void> => {
      while (next < REQUESTS) {
        const number = (next += 1);
        // Each case has a seed of its own, so that its bytes do not depend on what came before.
        const made = fuzzCase(new Random(SEED + number * 7919));
        try {
          const answers = await exchange(cluster.port, made);
          answers.forEach((answer, index) => count(judge(made, answer, index)));
          if (answers.length === 0) count('no answer');
          if (made.exact !== undefined && made.leave === undefined) assert.equal(answers.length, made.exact.length, 'answers are missing');
        } catch (error) {
          const sent = Buffer.concat(made.writes).toString('latin1').slice(0, 600);
          throw new Error(`request ${number} of seed ${SEED} (${made.kind}, for ${made.targets.join(', ') || 'nobody'}): ${JSON.stringify(sent)}`, { cause: error });
        }
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, run));
    console.log(`      ${[...outcomes].map(([outcome, times]) => `${times} ${outcome}`).join(', ')}`);
    await callAll();
    assert.deepEqual(pids(), before, 'a process has ended or was replaced');
    assert.doesNotMatch(cluster.logs + cluster.output, /unhandledRejection|uncaughtException|MaxListenersExceeded|TypeError|RangeError: Invalid/);
    assert.ok((outcomes.get('function') ?? 0) > REQUESTS / 5, 'too few requests reached a function for this to mean much');
  });
});
