/**
 * `egg-carton/fork`: processes that are forked from a warm one, on Linux, with stock Node and without Egg.
 *
 *     const template = await startTemplate({ program: require.resolve('./program'), argument: { port: 0 } });
 *     const { channel, exited } = await template.fork({ request: 1 });
 *
 * A template loads `program` and calls its `warm`; each fork of it has all of that in memory it shares, and calls its
 * `run`. docs/guides/fork.md says what a template may hold, and docs/design/0006-fork.md whom this is not for.
 */
import { join } from 'node:path';
import { Template, type ForkAhead, type ForkedProcess, type TemplateOptions as AllOptions } from './lib/fork/template';
import { forkObstacle } from './lib/fork/native';
import { afterRestore, beforeCheckpoint, onCheckpoint, type CheckpointHooks } from './lib/fork/inside/hooks';
import type { Exit } from './lib/fork/children';
import type { Fork, TemplateProgram } from './lib/fork/program';
import type { Reason } from './lib/fork/reason';

export type { CheckpointHooks, Exit, Fork, ForkAhead, ForkedProcess, Reason, Template, TemplateProgram };
export { afterRestore, beforeCheckpoint, forkObstacle, onCheckpoint };

export type TemplateOptions = Omit<AllOptions, 'entry'>;

const ENTRY = join(__dirname, 'lib/entry/template_process.js');

/**
 * Starts a process that becomes a template. Rejects with `CARTON_FORK_UNAVAILABLE` where processes cannot be forked,
 * `CARTON_FORK_REFUSED` where this one must not be (its `reasons` say why), `CARTON_FORK_BOOT_FAILED`,
 * `CARTON_FORK_TIMEOUT` or `CARTON_FORK_ENDED`.
 */
export function startTemplate(options: TemplateOptions): Promise<Template> {
  return Template.start({ ...options, entry: ENTRY });
}
