/**
 * How long does a saved function take to answer anew under `egg-bin dev`? The request is sent right after the save,
 * once, and waits.
 *
 * Docs: a copy of examples/bff (TypeScript, ts-node) is edited so that one function returns another value.
 * `reload_*`: with a rest after each answer, so that the spare process is there, as when a person edits.
 * `reload_back_to_back_p50_ms`: saved again at once, so that the spare may still be booting. Aim: `reload_p50_ms` at
 * most 300.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDevelopment, type DevelopmentHost } from '../test/support/development';
import type { Aims, BenchmarkOptions } from './support/options';
import { progress } from './support/progress';
import { median, quantile, round } from './support/statistics';

const ROUNDS = 20;
const WARMUP_ROUNDS = 3;
/** Longer than a process takes to boot the application. */
const REST_MS = 2_000;
const FILE = 'app/function/clock.ts';

export const AIMS: Aims = { reload_p50_ms: '≤ 300' };

export async function run({ samples: rounds = ROUNDS }: BenchmarkOptions): Promise<Record<string, number>> {
  const host = await startDevelopment({ application: 'examples/bff', environment: { EGG_SERVER_SCOPE: 'carton' } });
  try {
    const reloads = new Reloads(host);
    // The example knows its users, and so its functions need one unless their specs say other.
    host.save(FILE, sourceOf(0));
    host.edit('config/function.ts', 'defineFunctions({', "defineFunctions({ clock: { auth: 'none' },");
    for (let index = 0; index < WARMUP_ROUNDS; index += 1) await reloads.once(REST_MS);
    const rested = await reloads.many(rounds, REST_MS, 'with a rest');
    const backToBack = await reloads.many(rounds, 0, 'back to back');
    return {
      rounds,
      reload_p50_ms: round(median(rested), 1),
      reload_p99_ms: round(quantile(rested, 0.99), 1),
      reload_back_to_back_p50_ms: round(median(backToBack), 1),
    };
  } finally {
    await host.destroy();
  }
}

class Reloads {
  readonly #host: DevelopmentHost;
  #count = 0;

  constructor(host: DevelopmentHost) {
    this.#host = host;
  }

  async many(count: number, restMs: number, what: string): Promise<number[]> {
    const samples: number[] = [];
    for (let index = 0; index < count; index += 1) samples.push(await this.once(restMs));
    progress(`${what}: ${samples.map((sample) => Math.round(sample)).join(' ')} ms`);
    return samples;
  }

  /** Milliseconds from the end of the save to the new answer. */
  async once(restMs: number): Promise<number> {
    await sleep(restMs);
    this.#count += 1;
    this.#host.save(FILE, sourceOf(this.#count));
    const savedAt = performance.now();
    const answer = await this.#host.invoke('clock');
    const took = performance.now() - savedAt;
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json(), this.#count, 'the answer is the saved one');
    return took;
  }
}

/** Types and an import, as functions have them. */
function sourceOf(count: number): string {
  return [
    "import type { FunctionContext } from 'egg-carton';",
    "import { readLimit } from '../../lib/forms';",
    `export default (_ctx: FunctionContext): number => readLimit({ limit: 1 }, 1) * ${count};`,
    '',
  ].join('\n');
}
