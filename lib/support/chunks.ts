/**
 * Bytes that come in pieces and are kept: bodies, in app workers and in instances. A Buffer costs some hundred bytes
 * beside its content, so a sender that cuts its body into pieces of one byte would take a hundred times its size;
 * small pieces are therefore gathered into blocks. A body that comes in one piece is never copied.
 */

/** Pieces from this size on are kept as they are. */
const OWN_BYTES = 2 * 1024;
const BLOCK_BYTES = 8 * 1024;

export class Chunks {
  readonly #whole: Buffer[] = [];
  /** The block that small pieces go into, and how much of it is used. */
  #block: Buffer | undefined;
  #used = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#bytes += chunk.length;
    if (chunk.length >= OWN_BYTES || this.#bytes === chunk.length) {
      this.#seal();
      this.#whole.push(chunk);
      return;
    }
    if (this.#block !== undefined && this.#block.length - this.#used < chunk.length) this.#seal();
    this.#block ??= Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#used += chunk.copy(this.#block, this.#used);
  }

  /** All that was pushed, in order. What is pushed later changes nothing of it. */
  list(): Buffer[] {
    return this.#block === undefined ? [...this.#whole] : [...this.#whole, this.#block.subarray(0, this.#used)];
  }

  /** All of it in one piece; no copy where it came in one. */
  concat(): Buffer {
    const list = this.list();
    return list.length === 1 ? (list[0] as Buffer) : Buffer.concat(list, this.#bytes);
  }

  #seal(): void {
    if (this.#block === undefined) return;
    this.#whole.push(this.#block.subarray(0, this.#used));
    this.#block = undefined;
    this.#used = 0;
  }
}
