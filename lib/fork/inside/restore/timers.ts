/**
 * Timers that were pending in the template: in each fork they start anew, with their whole delay, as in a process that
 * has booted just now. Without it all of them would be overdue and fire at once, an interval once. Runs in forks.
 */

/** As Node keeps them: cancelled ones stay objects, and `refresh()` would bring them back to life. */
type NodesTimeout = NodeJS.Timeout & { readonly _destroyed?: boolean };

/** `origins` tells of the timers that somebody set, those that are over or cancelled among them. */
export function restartTimers(origins: { timers(): Iterable<NodeJS.Timeout> }): void {
  // `refresh` keeps what `unref` and `ref` said, and an interval's delay.
  for (const timer of origins.timers()) if ((timer as NodesTimeout)._destroyed === false) timer.refresh();
}
