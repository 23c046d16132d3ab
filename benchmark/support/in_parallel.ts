/**
 * Does something many times, some of them at once.
 */

/** Calls `work` with 0 to `count` - 1, at most `atOnce` under way. Rejects with the first failure; the rest is not begun. */
export async function inParallel(count: number, atOnce: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  let failed = false;
  const lane = async (): Promise<void> => {
    while (next < count && !failed) {
      try {
        await work(next++);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, lane));
}
