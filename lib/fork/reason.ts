/**
 * Why a process cannot be forked from: what a template found in itself. Travels from templates to whoever started them.
 */

export interface Reason {
  /**
   * `socket`: a connection, a server or a datagram socket. `descriptor`: a pipe or the like that is not Node's.
   * `thread`: one that a fork would not have. `process`: a child of the template. `request`: an operation of Node that
   * has not ended. `hook`: a `beforeCheckpoint` that failed or did not end.
   */
  readonly kind: 'socket' | 'descriptor' | 'thread' | 'process' | 'request' | 'hook';
  /** What it is, for people: `a TCP connection to 127.0.0.1:3306`. */
  readonly what: string;
  /** Who opened it: the first frame outside Node, as `file:line`, with the package's name in front if it is one. Null: unknown. */
  readonly owner: string | null;
}

export function describeReason({ what, owner }: Reason): string {
  return owner === null ? what : `${what}, opened by ${owner}`;
}
