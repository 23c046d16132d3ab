/**
 * Faults that a test asks the upstream stub for: answer one service with an error
 * status, late, or both. They are set over HTTP, so that callers in any process meet them.
 */

export interface Fault {
  /** Answer with this status instead of the real answer; `0` leaves the answer as it is. */
  status: number;
  /** Wait this long before answering, in milliseconds. */
  delayMs: number;
}

/** Keeps a mistaken test from holding a connection for minutes. */
const FAULT_DELAY_MAX_MS = 10_000;

export class Faults {
  private readonly faults = new Map<string, Fault>();

  set(service: string, fault: Partial<Fault>): void {
    const delayMs = Math.min(Number(fault.delayMs ?? 0), FAULT_DELAY_MAX_MS);
    this.faults.set(service, { status: Number(fault.status ?? 0), delayMs });
  }

  clear(): void {
    this.faults.clear();
  }

  get(service: string): Fault | undefined {
    return this.faults.get(service);
  }
}
