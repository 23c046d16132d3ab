/**
 * Waits for conditions that no event tells of, such as the end of a process that is nobody's child here. A condition
 * decides; the deadline is far beyond what a busy machine needs and only turns a hang into a message.
 */

const LOOK_MS = 15;
const DEADLINE_MS = 30_000;

/**
 * Resolves with the first value of `look` that is neither false nor undefined nor null.
 * Rejects after `deadlineMs` with `what`, and with what `seen` tells.
 */
export async function eventually<T>(
  what: string,
  look: () => T | false | undefined | null | Promise<T | false | undefined | null>,
  { deadlineMs = DEADLINE_MS, seen }: { deadlineMs?: number; seen?: () => unknown } = {},
): Promise<T> {
  const until = performance.now() + deadlineMs;
  for (;;) {
    const value = await look();
    if (value !== false && value !== undefined && value !== null) return value;
    if (performance.now() > until) throw new Error(`did not happen within ${deadlineMs} ms: ${what}${seen === undefined ? '' : `; seen: ${JSON.stringify(seen())}`}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
