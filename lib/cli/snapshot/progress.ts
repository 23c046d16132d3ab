/**
 * Says how far the building of snapshots is: one line that is replaced where somebody watches, one line per step
 * elsewhere. Runs in the command line only.
 */
import type { SnapshotRole } from '../../snapshot/manifest';
import type { Clock, Timer } from '../../support/clock';
import type { Terminal } from '../terminal';

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 100;

export class Progress {
  readonly #terminal: Terminal;
  readonly #clock: Clock;
  readonly #timer: Timer | undefined;
  #role: SnapshotRole | undefined;
  #step = '';
  #startedAt = 0;

  constructor(terminal: Terminal, clock: Clock) {
    this.#terminal = terminal;
    this.#clock = clock;
    this.#timer = terminal.isLive ? clock.every(FRAME_MS, () => this.#draw()) : undefined;
  }

  step(role: SnapshotRole, step: string): void {
    if (role !== this.#role) this.#startedAt = this.#clock.now();
    this.#role = role;
    this.#step = step;
    if (this.#terminal.isLive) this.#draw();
    else this.#terminal.out(`${role}: ${step}`);
  }

  done(role: SnapshotRole): void {
    this.#role = undefined;
    if (!this.#terminal.isLive) return void this.#terminal.out(`${role}: done in ${this.#seconds()}`);
    this.#terminal.status(undefined);
    this.#terminal.out(`✓ ${role.padEnd(ROLE_WIDTH)}  ${this.#seconds()}`, 'good');
  }

  /** Leaves no line behind that says that something is under way. */
  close(): void {
    this.#timer?.cancel();
    this.#terminal.status(undefined);
  }

  #draw(): void {
    if (this.#role === undefined) return;
    const elapsedMs = this.#clock.now() - this.#startedAt;
    const frame = FRAMES[Math.floor(elapsedMs / FRAME_MS) % FRAMES.length] as string;
    this.#terminal.status(`${frame} ${this.#role.padEnd(ROLE_WIDTH)}  ${this.#seconds()}  ${this.#step}`);
  }

  #seconds(): string {
    return `${((this.#clock.now() - this.#startedAt) / 1000).toFixed(1)} s`;
  }
}

/** Of the longest role. */
export const ROLE_WIDTH = 'function'.length;
