/**
 * The bytes of a snapshot in a process that uses it: held while the application boots, later only while something is
 * loaded from them, since an idle instance is to be small. Read again, they are verified again.
 */
import type { SnapshotReference } from '../protocol/control';
import { systemClock, type Clock, type Timer } from '../support/clock';
import { CartonError, describeWithCode } from '../support/errors';
import { digestOf } from './format';
import { readSafely } from './safe_file';

/** Milliseconds without use, after which they are let go: what is loaded late comes in bursts. */
const HELD_MS = 2_000;

export interface HeldBytesOptions {
  readonly reference: SnapshotReference;
  /** @default the system's */
  readonly clock?: Clock;
  /** Takes the line about a file that is not what it was. @default stdout: egg-scripts takes stderr for a failed start */
  readonly tell?: (line: string) => void;
}

export class HeldBytes {
  readonly #reference: SnapshotReference;
  readonly #clock: Clock;
  readonly #tell: (line: string) => void;
  #bytes: Buffer | undefined;
  #isBooting = true;
  #isGone = false;
  #idle: Timer | undefined;

  constructor(bytes: Buffer, { reference, clock = systemClock, tell = (line) => process.stdout.write(`${line}\n`) }: HeldBytesOptions) {
    this.#bytes = bytes;
    this.#reference = reference;
    this.#clock = clock;
    this.#tell = tell;
  }

  /** Undefined where the file is gone, or not what it was, which is told once; whoever asks goes to the disk. */
  get(): Buffer | undefined {
    this.#bytes ??= this.#read();
    if (!this.#isBooting) this.#letGoLater();
    return this.#bytes;
  }

  /** The application has booted. */
  settle(): void {
    this.#isBooting = false;
    this.#letGoLater();
  }

  #letGoLater(): void {
    this.#idle?.cancel();
    this.#idle = this.#clock.after(HELD_MS, () => (this.#bytes = undefined));
  }

  #read(): Buffer | undefined {
    if (this.#isGone) return undefined;
    const { path, sha256 } = this.#reference;
    try {
      const bytes = readSafely(path);
      if (bytes !== undefined && digestOf(bytes) === sha256) return bytes;
      this.#isGone = true;
      // A later build has removed it; the disk will do.
      if (bytes === undefined) return undefined;
      throw new CartonError('CARTON_SNAPSHOT_DAMAGED', { of: path, expected: `the SHA-256 ${sha256}`, got: 'another' });
    } catch (error) {
      this.#isGone = true;
      this.#tell(`[egg-carton] ${describeWithCode(error)}`);
      return undefined;
    }
  }
}
