/**
 * Timers that were pending in the template: in each fork they start anew, with their whole delay, as in a process that
 * has booted just now. Without it all of them would be overdue and fire at once, an interval once. Runs in forks.
 */

/** As Node keeps them: cancelled ones stay objects, and `refresh()` would bring them back to life. */
type NodesTimeout = NodeJS.Timeout & { readonly _destroyed?: boolean; readonly _onTimeout?: unknown };

/**
 * Node's own, which forgets the text of the `Date` header once its second is over (lib/internal/http.js). It is overdue
 * in a fork, and is to be: started anew, it would leave the template's time in the first answers.
 */
function forgetsDate({ _onTimeout }: NodesTimeout): boolean {
  return typeof _onTimeout === 'function' && _onTimeout.name === 'resetCache' && String(_onTimeout).includes('utcCache');
}

/** `timers`: those that somebody set, some of which may be over or cancelled by now. */
export function restartTimers(timers: Iterable<NodeJS.Timeout>): void {
  // `refresh` keeps what `unref` and `ref` said, and an interval's delay.
  for (const timer of timers as Iterable<NodesTimeout>) if (timer._destroyed === false && !forgetsDate(timer)) timer.refresh();
}
