/**
 * Takes down what became of each invocation in an app worker, whether it came over HTTP or from code: in the counts
 * that operators read, and for whoever listens on the channel.
 */
import { publishInvocation, type InvocationRecord } from './channels';
import { Metrics, type Counted, type FunctionCounts } from './metrics';

/** An invocation that has ended; the whole record is made only where somebody reads it. */
export interface Recordable extends Counted {
  readonly record: InvocationRecord;
}

export class Recorder {
  readonly #metrics = new Metrics();

  record(invocation: Recordable): void {
    this.#metrics.record(invocation);
    publishInvocation(invocation);
  }

  get metrics(): Record<string, FunctionCounts> {
    return this.#metrics.snapshot();
  }
}
