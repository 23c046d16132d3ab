/**
 * Waiting for templates: no longer than somebody has patience for. Runs in whoever starts templates.
 */
import { CartonError } from '../support/errors';

export interface Patience {
  readonly timeoutMs: number;
  /** Aborted: nobody waits any more. */
  readonly signal?: AbortSignal;
}

/** Rejects with `CARTON_FORK_TIMEOUT`, or `CARTON_FORK_ENDED` where it was aborted; `onLate` is called before. */
export async function inTime<T>(promise: Promise<T>, { timeoutMs, signal }: Patience, onLate: () => void): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort: () => void = () => undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const giveUp = (error: CartonError): void => {
      onLate();
      reject(error);
    };
    timer = setTimeout(() => giveUp(new CartonError('CARTON_FORK_TIMEOUT', { expected: `a template within ${Math.round(timeoutMs)} ms` })), timeoutMs);
    onAbort = () => giveUp(new CartonError('CARTON_FORK_ENDED', { of: 'a template that nobody waits for any more' }));
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted === true) onAbort();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Whether it settles within as many milliseconds. */
export async function isInTime(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => (timer = setTimeout(resolve, timeoutMs, false)));
  const settled = promise.then(() => true, () => true);
  const isSettled = await Promise.race([settled, late]);
  clearTimeout(timer);
  return isSettled;
}
