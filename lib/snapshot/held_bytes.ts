/**
 * The bytes of a snapshot in a process that uses it: held while the application boots, later only while something is
 * loaded from them, since an idle instance is to be small. Read again, they are verified again.
 */
import type { SnapshotReference } from '../protocol/control';
import { systemClock, type Timer } from '../support/clock';
import { CartonError, describeWithCode } from '../support/errors';
import { digestOf } from './format';
import { readSafely } from './safe_file';

/** Milliseconds without use, after which they are let go: what is loaded late comes in bursts. */
const HELD_MS = 2_000;

export class HeldBytes {
  readonly #reference: SnapshotReference;
  #bytes: Buffer | undefined;
  #isBooting = true;
  #isGone = false;
  #idle: Timer | undefined;

  constructor(bytes: Buffer, reference: SnapshotReference) {
    this.#bytes = bytes;
    this.#reference = reference;
  }

  /** Undefined where the file is not what it was; that is told once, and whoever asks goes to the disk. */
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
    this.#idle = systemClock.after(HELD_MS, () => (this.#bytes = undefined));
  }

  #read(): Buffer | undefined {
    if (this.#isGone) return undefined;
    const { path, sha256 } = this.#reference;
    try {
      const bytes = readSafely(path);
      if (bytes !== undefined && digestOf(bytes) === sha256) return bytes;
      throw new CartonError('CARTON_SNAPSHOT_DAMAGED', { of: path, expected: `the SHA-256 ${sha256}`, got: bytes === undefined ? 'no file' : 'another' });
    } catch (error) {
      this.#isGone = true;
      process.stdout.write(`[egg-carton] ${describeWithCode(error)}\n`);
      return undefined;
    }
  }
}
