/**
 * What Node does for the program at this moment in the kernel or on its thread pool: a fork would have no thread to
 * finish it, and its answer would come once, to nobody. Runs in templates.
 */
import { systemClock } from '../../../support/clock';
import type { Reason } from '../../reason';
import type { Origins } from '../origins';
import { othersAreParked } from './threads';

/** Milliseconds in which what is under way may end. */
const SETTLE_MS = 500;
/** Between looks while something is under way. Of Node's timers, since the clock's would let the process end. */
const LOOK_MS = 1;
/**
 * Turns of the loop in a row without anything under way. One delivers the answers that lay ready; what these ask for
 * shows in the next, even if a thread has been so quick that none was seen at work.
 */
const CALM_TURNS = 3;

/** Names, as in async_hooks, of what Node does on its thread pool beside requests. */
export const POOL_WORK: readonly string[] = ['PBKDF2REQUEST', 'SCRYPTREQUEST', 'RANDOMBYTESREQUEST', 'KEYPAIRGENREQUEST', 'KEYGENREQUEST', 'HASHREQUEST', 'SIGNREQUEST', 'CHECKPRIMEREQUEST', 'DERIVEBITSREQUEST', 'CIPHERREQUEST', 'ZLIB'];

/** What requests show of themselves. */
interface Request {
  readonly hostname?: string;
  readonly address?: string;
  readonly port?: number;
}

/** Waits until nothing is under way, for a bounded time; tells whether that came. `threads` are Node's, if known. */
export function settle(threads?: ReadonlySet<string>): Promise<boolean> {
  return new Promise((resolve) => onceStill(threads, resolve));
}

/**
 * Calls back in a turn of the loop in which nothing is under way, with true; or, if none comes in a bounded time, with
 * false. For the last step before a process stands still, since timers have fired since it was inspected.
 */
export function onceStill(threads: ReadonlySet<string> | undefined, callback: (isStill: boolean) => void): void {
  const until = systemClock.now() + SETTLE_MS;
  let calm = 0;
  const look = (): void => {
    calm = isStill(threads) ? calm + 1 : 0;
    if (calm === CALM_TURNS) return callback(true);
    if (systemClock.now() > until) return callback(false);
    if (calm > 0) setImmediate(look);
    else setTimeout(look, LOOK_MS);
  };
  setImmediate(look);
}

/** Whether nothing is under way at this moment. */
function isStill(threads: ReadonlySet<string> | undefined): boolean {
  return activeRequests().length === 0 && othersAreParked(threads);
}

/** What is still under way. */
export function inspectRequests(origins: Origins, threads: ReadonlySet<string>): Reason[] {
  const requests = activeRequests();
  const reasons = requests.map((request): Reason => ({ kind: 'request', what: describeRequest(request), owner: origins.ownerOf(request) }));
  // Cryptography and compression are not among Node's requests, but their threads are busy.
  if (requests.length === 0 && !othersAreParked(threads)) reasons.push({ kind: 'request', what: 'work on Node\'s thread pool', owner: origins.latestOwner(...POOL_WORK) });
  return reasons;
}

function activeRequests(): object[] {
  return (process as unknown as { _getActiveRequests(): object[] })._getActiveRequests();
}

function describeRequest(request: object): string {
  const { hostname, address, port } = request as Request;
  const name = request.constructor.name;
  switch (name) {
    case 'FSReqCallback':
    case 'FSReqPromise':
      return 'a file operation that has not ended';
    case 'GetAddrInfoReqWrap':
      return `a lookup of ${hostname} that has not ended`;
    case 'TCPConnectWrap':
      return `a connection to ${address}:${port} that is not made yet`;
    case 'WriteWrap':
      return 'a write to a socket or pipe that has not ended';
    default:
      return `an operation of Node (${name}) that has not ended`;
  }
}
