/**
 * Flags of Node and V8 for templates, and so for all that is forked from them: they are set when the root starts and
 * hold for every fork.
 */

/**
 * V8 11 optimises what has run for a while, and without other threads it would do so in the middle of a first request:
 * this has it wait seven times as long. Later ones wait for thousands of invocations, and do not know the flag.
 */
const LATER_OPTIMIZING = process.versions.v8.startsWith('11.3.') ? ['--interrupt-budget=1000000'] : [];

/**
 * A fork has one thread, so V8 must not count on others: with its default flags a fork hangs at its first collection.
 * The next two keep forks small: V8's memory reducer would collect in each idle fork some seconds after its start and
 * copy 17 MB that it shares with the template, and a larger young generation touches as many pages as it is large.
 */
export const TEMPLATE_FLAGS: readonly string[] = Object.freeze(['--single-threaded', '--v8-pool-size=0', '--no-memory-reducer', '--max-semi-space-size=1', ...LATER_OPTIMIZING]);

/** Those of templates, then `flags`, which may say otherwise. */
export function withTemplateFlags(flags: readonly string[]): string[] {
  return [...TEMPLATE_FLAGS.filter((flag) => !flags.includes(flag)), ...flags];
}
