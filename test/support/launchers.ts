/**
 * The launchers that give an instance a process of its own: what holds for instances holds with each of them.
 */
export const LAUNCHERS = ['fork', 'spawn'] as const;

/** Defines the same tests once per launcher, below a title that names it. */
export function describeWithEach(title: string, tests: (launcher: (typeof LAUNCHERS)[number]) => void): void {
  for (const launcher of LAUNCHERS) describe(`${title}, by ${launcher}`, () => tests(launcher));
}
