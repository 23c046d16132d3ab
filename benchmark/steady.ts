/**
 * Is a warm instance slower for having been forked?
 *
 * Docs: invocations of one function of a generated application, 32 at once, straight over the instance's own socket, so
 * that neither ingress nor HTTP is in the figures. `forked`: from a template, as a host does it. `unforked`: a process of
 * its own under the same flags. `defaults`: one under Node's own flags, as on a host whose launcher is `spawn`. `ratio`:
 * invocations per second, forked to unforked; `cpu_ratio`: the same of the CPU that each takes of the instance, unforked
 * to forked, which others on the machine disturb less. Each round takes a sample of each, in turns, and figures are
 * medians of rounds, ratios medians of the rounds' ratios.
 */
import { carton as cartonDefaults } from '../config/config.default';
import { functionFlags } from '../lib/sandbox/flags';
import { environmentOf, revisionOf } from './support/function_start';
import { Instances, type LoadedInstance, type LoadFigures } from './support/instance_load';
import { buildManyFunctions } from './support/many_functions';
import type { Aims, BenchmarkOptions } from './support/options';
import { progress } from './support/progress';
import { startTemplates } from './support/revision_template';
import { median, round } from './support/statistics';

const ROUNDS = 15;
const DURATION_MS = 1_000;
/** Before the first round: the compiler of V8 is done with a function after some thousand invocations. */
const WARMUP_MS = 3_000;
const AT_ONCE = 32;
/** Enough work for the instance, not its caller, to be what is busy. */
const ARGS = [{ name: 'Ada', count: 100 }];

export const AIMS: Aims = { ratio: '≥ 0.9' };

const SUBJECTS = ['forked', 'unforked', 'defaults'] as const;
type Subject = (typeof SUBJECTS)[number];

export async function run({ samples: rounds = ROUNDS }: BenchmarkOptions): Promise<Record<string, unknown>> {
  const application = buildManyFunctions(1);
  const [environment, revision] = [environmentOf(application), await revisionOf(application)];
  const instances = new Instances(application, environment, revision);
  const started: { close(): Promise<void> }[] = [];
  try {
    const templates = await startTemplates({ environment, functions: revision.functions, env: application.environment('carton') });
    started.unshift(templates);
    // The first one keeps the template from collecting its garbage; a host's others are forked after that.
    templates.revision.collect();
    const serve = async (id: Subject, sandbox: Parameters<Instances['serve']>[1]): Promise<LoadedInstance> => {
      const instance = await instances.serve(id, sandbox);
      started.unshift({ close: () => instance.end() });
      return instance;
    };
    return resultOf(await measure({
      forked: await serve('forked', await templates.revision.fork(null)),
      unforked: await serve('unforked', instances.spawn(functionFlags(cartonDefaults))),
      defaults: await serve('defaults', instances.spawn([])),
    }, rounds));
  } finally {
    for (const one of started) await one.close();
    instances.close();
    await application.remove();
  }
}

async function measure(subjects: Readonly<Record<Subject, LoadedInstance>>, rounds: number): Promise<Record<Subject, LoadFigures[]>> {
  const samples: Record<Subject, LoadFigures[]> = { forked: [], unforked: [], defaults: [] };
  for (const name of SUBJECTS) await subjects[name].load({ args: ARGS, atOnce: AT_ONCE, durationMs: WARMUP_MS });
  for (let i = 1; i <= rounds; i += 1) {
    for (const name of SUBJECTS) samples[name].push(await subjects[name].load({ args: ARGS, atOnce: AT_ONCE, durationMs: DURATION_MS }));
    if (i % 5 === 0) progress(`round ${i} of ${rounds}`);
  }
  return samples;
}

function resultOf(samples: Readonly<Record<Subject, readonly LoadFigures[]>>): Record<string, unknown> {
  const ratio = (name: Subject, of: (figures: LoadFigures) => number): number =>
    round(median(samples.forked.map((forked, i) => of(forked) / of(samples[name][i] as LoadFigures))), 3);
  const figures = SUBJECTS.map((name) => {
    const each = (of: (figures: LoadFigures) => number, digits: number): number => round(median(samples[name].map(of)), digits);
    return [name, { per_second: each((one) => one.perSecond, 0), p99_ms: each((one) => one.p99Ms, 2), cpu_us: each((one) => one.cpuMicros, 1) }] as const;
  });
  return {
    ...Object.fromEntries(figures),
    ratio: ratio('unforked', (one) => one.perSecond),
    cpu_ratio: ratio('unforked', (one) => 1 / one.cpuMicros),
    ratio_to_defaults: ratio('defaults', (one) => one.perSecond),
    samples: samples.forked.length,
  };
}
