/**
 * Time and timers, injected wherever something waits or expires, so that tests run on a fake clock without sleeping.
 * `now` is monotonic; `wall` is for what people and other machines read.
 */
export interface Timer {
  /** Does nothing when the timer fired already. */
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds; only differences mean something. */
  now(): number;
  /** Milliseconds since the Unix epoch. */
  wall(): number;
  /** Calls `callback` once after `delayMs`. The timer never keeps a process alive. */
  after(delayMs: number, callback: () => void): Timer;
  /** Calls `callback` again and again, `periodMs` apart. The timer never keeps a process alive. */
  every(periodMs: number, callback: () => void): Timer;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(delayMs, callback) {
    const handle = setTimeout(callback, delayMs);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
  every(periodMs, callback) {
    const handle = setInterval(callback, periodMs);
    handle.unref();
    return { cancel: () => clearInterval(handle) };
  },
};

/** Resolves after `delayMs` of `clock`. */
export function delay(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => void clock.after(delayMs, resolve));
}

/** Resolves once `done` has settled, whatever way, and after `limitMs` at the latest. Leaves no timer behind. */
export function settledWithin(clock: Clock, limitMs: number, done: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(limitMs, resolve);
    const end = (): void => {
      timer.cancel();
      resolve();
    };
    done.then(end, end);
  });
}
